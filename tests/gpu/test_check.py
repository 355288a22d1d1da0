#!/usr/bin/env python3
"""gpu_check with the CPU in the device's place: it finds no difference where there is none, and every kind of difference where there is one."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

CHECK = os.environ["HEIRMARK_GPU_CHECK"]


def run(*arguments):
    return subprocess.run([CHECK, *arguments], capture_output=True, text=True, check=False, timeout=200)


def on_host(*arguments):
    return run("--on-host", "--threads", "2", *arguments)


class Check(unittest.TestCase):
    def test_equal(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "check.json"
            done = on_host("--small", "--seed", "11", "--json", str(path))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            summary = json.loads(path.read_text())
        self.assertEqual((summary["result"], summary["seed"], summary["cases"]), ("equal", 11, 42))
        self.assertGreater(summary["rows"], 500)
        for kind, rows in summary["rows_of"].items():  # a kind of row that never comes up would be checked in name only
            if kind != "vocabulary of 32,000 or more":
                self.assertGreater(rows, 10, kind)

    def test_enough_rows_or_failure(self):
        self.assertEqual(on_host("--seed", "12", "--rows", "9000", "--seconds", "100").returncode, 0)
        done = on_host("--seed", "12", "--rows", "1000000000", "--seconds", "1")
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)

    def test_every_kind_of_difference_is_found_and_reproduced(self):
        for spoil, said in (("token", "different token"), ("status", "different status"), ("log_prob", "log_prob"), ("top", "top token"), ("unwritten", "different"), ("guard", "out: something was written")):
            with self.subTest(spoil):
                done = on_host("--small", "--seed", "13", "--spoil", spoil)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(said, done.stderr)
                again = re.search(r"reproduce: gpu_check(( --\w+ ?\d*)+)", done.stderr)
                self.assertIsNotNone(again, done.stderr)
                repeated = run("--on-host", *again[1].split(), "--spoil", spoil)
                self.assertEqual(repeated.returncode, 1)
                if spoil not in ("guard", "log_prob"):
                    self.assertIn("temperature", repeated.stderr)

    def test_no_device(self):
        if os.path.exists("/dev/nvidia0"):
            self.skipTest("there is a device")
        done = run("--small")
        self.assertEqual(done.returncode, 77)
        self.assertIn("no CUDA device", done.stderr)

    def test_usage(self):
        for arguments in (("--rows",), ("--rows", "many"), ("--nonsense", "1"), ("--seed", "1x")):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("gpu_check: compares", done.stderr)


if __name__ == "__main__":
    unittest.main()
