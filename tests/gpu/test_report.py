#!/usr/bin/env python3
"""The report of tests/gpu/run and the reading of machine code, on made-up input."""
import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import peers
import report
import sass

DEVICE = "NVIDIA H100 80GB HBM3"


def row(scheme="gumbel", truncation="none", dtype="float32", batch=128, vocab=128256, us=11.0, floor=10.0, l2="cold", impl="heirmark"):
    return {"device": DEVICE, "impl": impl, "scheme": scheme, "truncation": truncation, "dtype": dtype, "batch": batch, "vocab": vocab, "l2": l2, "us": us, "floor_us": floor,
            "ratio": us / floor}


def rate(profile, nanoseconds, weighted=False):
    return {"profile": profile, "weighted": weighted, "sums": 1e9, "seconds": nanoseconds}


def verdicts(rows):
    return {t["target"]: t for t in report.targets(report.Measurements(rows))}


class Targets(unittest.TestCase):
    def test_worst_shape_decides(self):
        found = verdicts([row(us=11.0), row(batch=256, us=11.6), row(batch=512, us=11.4)])["gumbel, float32, B >= 128"]
        self.assertEqual((found["verdict"], found["shapes"], found["where"]), ("missed", 3, "float32, B=256, V=128,256"))
        self.assertAlmostEqual(found["measured"], 1.16)
        self.assertEqual(verdicts([row(us=11.49)])["gumbel, float32, B >= 128"]["verdict"], "met")

    def test_what_a_target_does_not_speak_of(self):
        others = [row(vocab=32000, us=99), row(batch=32, us=99), row(l2="hot", us=99), row(impl="heirmark + top tokens", us=99), row(dtype="float16", us=99), row(truncation="top-p 0.95", us=99)]
        for found in verdicts(others).values():
            self.assertEqual(found["verdict"], "not measured", found)

    def test_each_limit(self):
        cut = report.CUTS[0]
        cases = [("gumbel, bfloat16, B >= 128", dict(dtype="bfloat16"), 1.2), ("gumbel, B = 64", dict(batch=64, dtype="bfloat16"), 1.35),
                 (f"{cut}, B = 128, V = 131,072", dict(truncation=cut, vocab=131072), 1.6), ("tournament, B >= 128", dict(scheme="tournament"), 1.6),
                 ("greenlist, B >= 128", dict(scheme="greenlist", dtype="bfloat16"), 1.2)]
        for target, shape, limit in cases:
            self.assertEqual(verdicts([row(us=10 * limit - 0.01, **shape)])[target]["verdict"], "met", target)
            self.assertEqual(verdicts([row(us=10 * limit + 0.01, **shape)])[target]["verdict"], "missed", target)

    def test_one_row_is_a_time(self):
        self.assertEqual(verdicts([row(batch=1, us=7.9, floor=2)])["gumbel, B = 1"]["verdict"], "met")
        self.assertEqual(verdicts([row(batch=1, us=8.1, floor=8)])["gumbel, B = 1"]["verdict"], "missed")

    def test_no_slower_compares_the_same_shape(self):
        rows = [row(us=10.0), row("off", us=9.8), row("off", batch=256, us=1.0), row("greedy", us=9.0)]
        found = verdicts(rows)
        self.assertEqual(found["marked no slower than unmarked"]["verdict"], "met")
        self.assertEqual(found["marked no slower than greedy"]["verdict"], "missed")
        self.assertAlmostEqual(found["marked no slower than greedy"]["measured"], 10 / 9)


    def test_bulk_scoring(self):
        def found(*rates):
            return {t["target"]: t for t in report.targets(report.Measurements([]), {"rates": rates})}["bulk scoring, 5e9 (key, pair) a second"]
        self.assertEqual(found(rate("one", 0.199), rate("two", 0.1), rate("three", 0.5, weighted=True))["verdict"], "met")
        self.assertEqual((found(rate("one", 0.1), rate("two", 0.201))["verdict"], found(rate("one", 0.1), rate("two", 0.201))["where"]), ("missed", "two"))


class Sanitizers(unittest.TestCase):
    def result(self, tool, text):
        with tempfile.TemporaryDirectory() as name:
            (pathlib.Path(name) / f"sanitizer-{tool}.log").write_text(text)
            return dict(report.sanitizer_results(pathlib.Path(name)))

    def test_results(self):
        ok = "ok      300 rows, compared 700 times\n"
        self.assertEqual(self.result("memcheck", ok + "========= ERROR SUMMARY: 0 errors\n")["memcheck"], "clean")
        self.assertEqual(self.result("memcheck", ok + "========= ERROR SUMMARY: 3 errors\n")["memcheck"], "3 errors")
        self.assertEqual(self.result("racecheck", ok + "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n")["racecheck"], "clean")
        self.assertEqual(self.result("racecheck", ok + "========= RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)\n")["racecheck"], "2 errors")
        self.assertEqual(self.result("memcheck", "")["memcheck"], "not run")
        self.assertEqual(self.result("memcheck", "")["initcheck"], "not run")

    def test_an_unfinished_program_is_not_clean(self):
        self.assertIn("did not finish", self.result("memcheck", "device x\n========= ERROR SUMMARY: 0 errors\n")["memcheck"])
        self.assertIn("Device not supported", self.result("memcheck", "========= Error: Device not supported\n")["memcheck"])


class Whole(unittest.TestCase):
    def make(self, folder, **files):
        for name, content in files.items():
            path = folder / name.replace("_dot_", ".")
            path.write_text("".join(json.dumps(line) + "\n" for line in content) if isinstance(content, list) else content if isinstance(content, str) else json.dumps(content))

    def run_report(self, folder):
        done = subprocess.run([sys.executable, "-B", str(HERE / "report.py"), str(folder), "--out", str(folder / "out")], capture_output=True, text=True, check=True)
        stem = pathlib.Path(done.stdout.strip())
        return stem, stem.with_suffix(".md").read_text(), json.loads(stem.with_suffix(".json").read_text())

    def test_everything(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            check = {"device": DEVICE, "result": "equal", "seed": 5, "rows": 10000123, "comparisons": 20000456, "launches": 7, "cases": 9, "seconds": 88.0, "rows_of": {"gumbel": 77}, "shards": {"plain": 900, "left to a whole launch": 3},
                     "failure": ""}
            scoring = {"result": "equal", "sums": 101000000, "seconds": 6.2, "rates": [rate("one", 0.19), rate("two", 0.3), rate("three", 9.0, weighted=True)]}
            self.make(folder, machine_dot_json={"device": DEVICE, "date": "2026-11-30", "commit": "abc1234", "driver": "580", "cuda": "13.0", "compute_capability": "9.0", "cores": 16, "seconds": 500},
                      parts_dot_jsonl=[{"name": "check", "seconds": 88, "limit": 170, "exit": 0}, {"name": "peers", "seconds": 50, "limit": 60, "exit": 124, "note": "stopped at its limit"}],
                      check_dot_json=check, check_scoring_dot_json=scoring, peers_dot_log="the last words\n",
                      bench_dot_jsonl=[row(), row("greedy", us=10.9), row(truncation=report.CUTS[0], us=15.0), row(l2="hot", us=6.0, floor=5.0), row(impl="heirmark + top tokens", us=13.0),
                                       {"bench_seconds": 1, "measured": 5, "left_out": 2, "first_left_out": "gumbel, somewhere"}],
                      peers_dot_jsonl=[{**row("off", us=33.0, impl="torch softmax + multinomial"), "timing": "graph"}, {"impl": "flashinfer top-k + top-p", "error": "ImportError: no flashinfer"}])
            stem, text, data = self.run_report(folder)
            self.assertEqual(stem.name, "h100-80gb-hbm3-2026-11-30")
            for expected in ("# NVIDIA H100 80GB HBM3, 2026-11-30", "Commit abc1234.", "**Parts that failed: peers.**", "10,000,123 rows", "shards left 3 of 900 plain rows", "the last words", "ImportError: no flashinfer", "33.0 (3.0x)",
                             "| 128,256 x 128 | 10.0 | 11.0 (1.10) |  | 10.9 (1.09) |", "bench: 2 cases, from gumbel, somewhere on", "peers: stopped at its limit", "heirmark + top tokens",
                             "### Without truncation, float32, hot", "compute-sanitizer memcheck: not run", "bulk scoring: **equal**; 101,000,000 (key, pair) sums", "three, weighted: 1.11e+08 (key, pair) a second"):
                self.assertIn(expected, text)
            self.assertEqual([line["impl"] for line in data], ["heirmark"] * 4 + ["heirmark + top tokens", "torch softmax + multinomial"])
            for line in data:
                self.assertLessEqual({"device", "impl", "scheme", "truncation", "dtype", "batch", "vocab", "l2", "us", "floor_us", "ratio"}, set(line))

    def test_nothing_but_a_failed_build(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.make(folder, machine_dot_json={"device": DEVICE, "date": "2026-11-30"}, parts_dot_jsonl=[{"name": "build", "seconds": 3, "limit": 150, "exit": 2}], build_dot_log="error: nvcc\n")
            _, text, data = self.run_report(folder)
            self.assertIn("**Parts that failed: build.**", text)
            self.assertIn("error: nvcc", text)
            self.assertIn("sampler: not run", text)
            self.assertIn("bulk scoring: not run", text)
            self.assertEqual(text.count("not measured"), 10)
            self.assertEqual(data, [])

    def test_a_difference_is_shown_whole(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.make(folder, check_dot_json={"result": "different", "seed": 5, "rows": 12, "seconds": 1, "failure": "case 3: row 7\nreproduce: gpu_check --seed 5 --case 3\n"}, bench_dot_jsonl='{"us": 1, "ha')
            _, text, data = self.run_report(folder)
            self.assertIn("**different**", text)
            self.assertIn("reproduce: gpu_check --seed 5 --case 3", text)
            self.assertEqual(data, [])


class Peers(unittest.TestCase):
    def test_a_missing_torch_is_reported(self):
        with tempfile.TemporaryDirectory() as name:
            path, torch = pathlib.Path(name) / "peers.jsonl", peers.torch
            peers.torch, peers.why_no_torch, sys.argv = None, "no torch here", ["peers.py", "--json", str(path)]
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    self.assertEqual(peers.main(), 0)
            finally:
                peers.torch = torch
            self.assertEqual(json.loads(path.read_text()), {"impl": "torch", "error": "RuntimeError: no torch here"})

    def test_floors(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "bench.jsonl"
            path.write_text(json.dumps(row()) + "\n" + json.dumps({"left_out": 0}) + "\n")
            self.assertEqual(peers.read_floors(path), {("float32", 128, 128256, "cold"): 10.0})


# A loop with a second load for odd addresses (0x30 .. 0x50), a way for the end of the row (0x80) and a way for a new reference (0xc0); in it a
# loop of its own without exponentials; after it another loop that loads but takes none.
LISTING = """
	code for sm_90
		Function : _ZN1x13sample_kernelILNS_5DTypeE0ELb0EEEvv
        /*0000*/                   LDC R1, c[0x0][0x28] ;   /* 0x00 */
        /*0010*/                   ISETP.GE.AND P0, PT, R1, R2, PT ;
        /*0020*/              @!P0 BRA 0x60 ;
        /*0030*/                   LDG.E.NA.128.CONSTANT R4, desc[UR8][R20.64] ;
        /*0040*/                   LDG.E.NA.128.CONSTANT R8, desc[UR8][R20.64+0x10] ;
        /*0050*/                   BRA 0x90 ;
        /*0060*/               @P1 BRA 0x80 ;
        /*0070*/                   LDG.E.NA.128.CONSTANT R4, desc[UR8][R20.64] ;
        /*0078*/                   BRA 0x90 ;
        /*0080*/               @P2 BRA 0x80 ;
        /*0090*/                   FADD R4, R4, R5 ;
        /*00a0*/                   FSETP.LEU.AND P1, PT, R42, R41, PT ;
        /*00b0*/               @P0 BRA P1, 0xe0 ;
        /*00c0*/                   MUFU.EX2 R30, R30 ;
        /*00d0*/                   FMUL R37, R37, R30.reuse ;
        /*00e0*/                   MUFU.EX2 R4, R4 ;
        /*00f0*/                   MUFU.EX2 R5, R5 ;
        /*0100*/                   MUFU.EX2 R6, R6 ;
        /*0110*/                   MUFU.EX2 R7, R7 ;
        /*0120*/               @P3 BRA 0x10 ;
        /*0130*/                   LDG.E.128 R4, desc[UR8][R20.64] ;
        /*0140*/                   STL [R1], R4 ;
        /*0150*/               @P3 BRA 0x130 ;
        /*0160*/                   EXIT ;
"""


class MachineCode(unittest.TestCase):
    def test_hot_path(self):
        function, = sass.functions_of(LISTING)
        self.assertEqual((function.arch, function.template()), ("sm_90", ("float32", False)))
        path = sass.hot_path(function, 4)
        self.assertEqual(path.logits, 4)
        self.assertEqual([sass.opcode(t) for t in path.texts],
                         ["ISETP.GE.AND", "BRA", "BRA", "LDG.E.NA.128.CONSTANT", "BRA", "FADD", "FSETP.LEU.AND", "BRA", "MUFU.EX2", "MUFU.EX2", "MUFU.EX2", "MUFU.EX2", "BRA"])
        self.assertEqual(path.counts, {"ALU": 1, "branch": 5, "LDG": 1, "float": 2, "MUFU": 4})
        self.assertFalse(any(sass.class_of(t) == "local" for t in path.whole))

    def test_a_kernel_without_the_loop_is_refused(self):
        function, = sass.functions_of(LISTING.replace("MUFU.EX2", "MUFU.LG2"))
        with self.assertRaisesRegex(ValueError, "no loop"):
            sass.hot_path(function, 4)
        function, = sass.functions_of(LISTING.replace("/*0130*/                   LDG.E.128 R4, desc[UR8][R20.64]", "/*0130*/                   MUFU.EX2 R4, R4").replace("MUFU.EX2 R6", "MUFU.LG2 R6"))
        function.instructions = [i if i.address != 0xc0 else sass.Instruction(0xc0, "FADD R1, R1, R1") for i in function.instructions]
        with self.assertRaisesRegex(ValueError, "no loop"):
            sass.hot_path(function, 4)

    def test_resources(self):
        listing = "arch = sm_90\nResource usage:\n Function f:\n  REG:80 STACK:208 SHARED:4 LOCAL:0 CONSTANT[0]:664\n"
        self.assertEqual(sass.resources_of(listing)["sm_90", "f"]["STACK"], 208)


if __name__ == "__main__":
    unittest.main()
