#!/usr/bin/env python3
"""The instruction budget of the sampling kernels, on every architecture that was built. Needs CUDA's cuobjdump and nvdisasm, no device.

    HEIRMARK_KERNELS=build/cuda/sdk/kernels/libheirmark_kernels.a HEIRMARK_CUDA_BIN=/usr/local/cuda/bin tests/gpu/test_instructions.py
    ... --table            prints the table as Markdown (tests/bench/results/sass-DATE.md)

The budget, in issue slots for a logit: what the pass cannot do without is a conversion from 16 bits, the greatest logit (maximum), and its term
(multiply-add, exponential, addition): 5, for float32 4. Beside the loads, 16 bytes each, addresses, bounds and branches of an iteration over 32 logits
may take 12 slots, and 12 more where the greatest logit of each 32 is stored. The key stream is 128 ChaCha20 blocks of about 950 instructions for a row: .95 at V = 128,256. At the bf16 floor an H100 has about 20.
"""
import os
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import sass

SKIP = 77
VOCAB, BATCH = 128256, 256
PROCESSORS, SLOTS_PER_CLOCK, CLOCK, BANDWIDTH, MUFU_PER_CLOCK = 132, 4, 1.755e9, 3.0e12, 16  # an H100 SXM: 3.0 of 3.35 TB/s can be had
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# float32 has nothing to convert. float16's conversion is one HADD2.F32 for each logit.
LOOP_SLOTS = {name: (4 if size == 4 else 5) + size / 16 + 12 / 32 for name, size in BYTES.items()}
STORE_SLOTS = 12 / 32
CHACHA_BLOCK = 1000
MUFU = 1.0


def find_cuobjdump():
    folder = os.environ.get("HEIRMARK_CUDA_BIN", "")
    tool = shutil.which("cuobjdump", path=folder) or shutil.which("cuobjdump")
    if tool:  # it calls nvdisasm
        os.environ["PATH"] = os.pathsep.join([str(pathlib.Path(tool).parent), os.environ.get("PATH", "")])
    return tool if tool and shutil.which("nvdisasm") else None


class Row:
    """One kernel on one architecture."""

    def __init__(self, function, resources):
        self.arch = function.arch
        self.dtype, self.truncation = function.template()
        self.path = sass.hot_path(function, 16 // BYTES[self.dtype])
        self.chacha = sass.chacha_block(function)
        self.stack, self.registers = resources["STACK"], resources["REG"]
        self.local_in_loop = sum(sass.class_of(text) == "local" for text in self.path.whole)
        self.local = sum(sass.class_of(i.text) == "local" for i in function.instructions)

    def name(self):
        return f"{self.arch} {self.dtype}{' with truncation' if self.truncation else ''}"

    def loop(self):
        return self.path.per_logit()

    def stream(self):
        return 128 * self.chacha / VOCAB

    def slots_us(self):
        return (self.loop() + self.stream()) * VOCAB * BATCH / 32 / (PROCESSORS * SLOTS_PER_CLOCK * CLOCK) * 1e6

    def mufu_us(self):
        return self.path.per_logit("MUFU") * VOCAB * BATCH / (PROCESSORS * MUFU_PER_CLOCK * CLOCK) * 1e6

    def memory_us(self):
        return BYTES[self.dtype] * VOCAB * BATCH / BANDWIDTH * 1e6


def rows(cuobjdump, file):
    resources = sass.resources_of(sass.dump(cuobjdump, "--dump-resource-usage", file))
    functions = [f for f in sass.functions_of(sass.dump(cuobjdump, "--dump-sass", file)) if f.template()]
    return sorted((Row(f, resources[f.arch, f.name]) for f in functions), key=lambda r: (int(r.arch.strip("sm_abcdf")), r.truncation, r.dtype))


COLUMNS = ("float", "MUFU", "convert", "IMAD", "ALU", "LDG", "branch", "local")


def table(list_of_rows):
    lines = ["| kernel | " + " | ".join(COLUMNS) + " | other | loop | key stream | registers | stack | issue us | MUFU us | memory us |",
             "|---|" + "---:|" * (len(COLUMNS) + 8)]
    for row in list_of_rows:
        counts = [row.path.per_logit(c) for c in COLUMNS]
        lines.append(f"| {row.name()} | " + " | ".join(f"{c:.2f}" for c in counts) + f" | {row.loop() - sum(counts):.2f} | {row.loop():.2f} | {row.stream():.2f} | {row.registers} | "
                     f"{row.stack} | {row.slots_us():.1f} | {row.mufu_us():.1f} | {row.memory_us():.1f} |")
    return "\n".join(lines)


class Instructions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = rows(find_cuobjdump(), os.environ["HEIRMARK_KERNELS"])
        print(table(cls.rows))

    def over(self, limit_of, value_of, unit):
        over = [f"{row.name()}: {value_of(row):.2f} {unit}, at most {limit_of(row):.2f}" for row in self.rows if value_of(row) > limit_of(row)]
        if over:
            self.fail("\n" + "\n".join(over))

    def test_every_type_was_built(self):
        for arch in {row.arch for row in self.rows}:
            self.assertEqual({(row.dtype, row.truncation) for row in self.rows if row.arch == arch}, {(d, t) for d in BYTES for t in (False, True)}, arch)
        self.assertTrue(self.rows)

    def test_slots_of_the_pass(self):
        self.over(lambda row: LOOP_SLOTS[row.dtype] + (STORE_SLOTS if row.truncation else 0), Row.loop, "issue slots a logit")

    def test_exponentials(self):
        self.over(lambda row: MUFU, lambda row: row.path.per_logit("MUFU"), "MUFU a logit")

    def test_key_stream(self):
        for row in self.rows:
            self.assertIsNotNone(row.chacha, f"{row.name()}: no ChaCha20 block found")
        self.over(lambda row: CHACHA_BLOCK, lambda row: row.chacha, "instructions a ChaCha20 block")

    def test_memory_bound(self):
        """Issuing takes less time than reading, with a third to spare for the rest of a row."""
        self.over(lambda row: row.memory_us() * 2 / 3, Row.slots_us, "us of issue slots")

    def test_no_local_memory_in_the_pass(self):
        self.over(lambda row: 0, lambda row: row.local_in_loop, "LDL and STL in the hot loop")


if __name__ == "__main__":
    if find_cuobjdump() is None:
        print("skipped: no cuobjdump and nvdisasm (HEIRMARK_CUDA_BIN, PATH)")
        sys.exit(SKIP)
    if "--table" in sys.argv:
        print(table(rows(find_cuobjdump(), os.environ["HEIRMARK_KERNELS"])))
        sys.exit(0)
    unittest.main(verbosity=1)
