#!/usr/bin/env python3
"""gpu_bench on the emulated device, and the report of what it wrote. Its times say nothing; that it goes through does."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = os.environ["HEIRMARK_GPU_BENCH"]
REPORT = pathlib.Path(__file__).parent / "report.py"
KEYS = {"device", "impl", "scheme", "truncation", "dtype", "batch", "vocab", "l2", "us", "floor_us", "ratio"}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)


class Bench(unittest.TestCase):
    def test_rehearsal_and_its_report(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            done = run(BENCH, "--small", "--seconds", "240", "--most", "24", "--json", str(folder / "bench.jsonl"))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            rows = [json.loads(line) for line in (folder / "bench.jsonl").read_text().splitlines()]
            end, rows = rows[-1], rows[:-1]
            self.assertEqual(end["measured"], len(rows))
            self.assertEqual(len(rows), 24)
            for row in rows:
                self.assertEqual(set(row), KEYS)
                self.assertGreater(row["us"], 0)
                self.assertAlmostEqual(row["ratio"], row["us"] / row["floor_us"], delta=0.01 * row["ratio"])
            self.assertLessEqual({"gumbel", "off", "greedy", "greenlist", "tournament"}, {row["scheme"] for row in rows})
            (folder / "machine.json").write_text(json.dumps({"device": "emulated", "date": "2026-01-02"}))
            written = run(sys.executable, "-B", str(REPORT), name, "--out", name)
            self.assertEqual((written.returncode, written.stderr), (0, ""))
            stem = written.stdout.strip()
            self.assertEqual(json.loads(pathlib.Path(stem + ".json").read_text()), rows)
            self.assertIn("### Without truncation, bfloat16, cold", pathlib.Path(stem + ".md").read_text())

    def test_usage(self):
        for arguments in (["--seconds"], ["--seconds", "x"], ["--most", "x"], ["--unknown", "1"], ["--json"]):
            self.assertEqual(run(BENCH, *arguments).returncode, 2, arguments)
        listed = run(BENCH, "--list")
        self.assertEqual(listed.returncode, 0)
        self.assertEqual(len(set(listed.stdout.splitlines())), len(listed.stdout.splitlines()), "a case twice")
        self.assertEqual(run(BENCH, "--json", "/nowhere/at/all").returncode, 2)
        self.assertEqual(run(BENCH, "--device", "1").returncode, 77)


if __name__ == "__main__":
    unittest.main()
