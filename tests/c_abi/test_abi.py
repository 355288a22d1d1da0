#!/usr/bin/env python3
"""A C library against its specification in specs/c_api: header, layout, exported symbols.

    HEIRMARK_SPEC=c_api.json HEIRMARK_LIBRARY=build/cpu/bindings/c/libheirmark.so CC=cc CXX=c++ tests/c_abi/test_abi.py
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "bindings/c/include"
SPEC = json.loads((ROOT / "specs/c_api" / os.environ["HEIRMARK_SPEC"]).read_text())
NAME = SPEC["soname"].removeprefix("lib").split(".")[0] + ".h"
HEADER = re.sub(r"/\*.*?\*/", " ", (INCLUDE / NAME).read_text(), flags=re.DOTALL)
LIBRARY = os.environ["HEIRMARK_LIBRARY"]


def squeeze(text):
    return re.sub(r"\s*([*(),])\s*", r"\1", " ".join(text.split()))


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


class Header(unittest.TestCase):
    def test_functions(self):
        found = {squeeze(declaration) for declaration in re.findall(r"HEIRMARK_API ([^;#]*?);", HEADER)}
        self.assertEqual(found, {squeeze(function["c"]) for function in SPEC["functions"]})
        self.assertGreaterEqual(len(found), 12)

    def test_every_function_is_specified_whole(self):
        for function in SPEC["functions"]:
            self.assertEqual(set(function), {"name", "since", "c", "does", "owns", "threads", "errors"}, function["name"])
            for member in ("does", "owns", "threads"):
                self.assertTrue(function[member], function["name"])
            self.assertEqual(bool(function["errors"]), function["c"].startswith("heirmark_status "), f"{function['name']}: errors, iff it returns a status")
            for error in function["errors"]:
                self.assertRegex(error, r"^HEIRMARK_(INTERNAL|USAGE|BAD_INPUT|KEY|IO): ", function["name"])

    def test_names(self):
        types = set(re.findall(r"typedef (?:struct|enum) (\w+)", HEADER))
        self.assertEqual(types, set(SPEC["opaque"]) | set(SPEC["structures"]) | set(SPEC["enums"]))
        constants = set(re.findall(r"#define (HEIRMARK_\w+)", HEADER)) - {"HEIRMARK_H", "HEIRMARK_LEDGER_H", "HEIRMARK_API"}
        self.assertEqual(constants, set(SPEC["constants"]))
        values = {name for body in re.findall(r"typedef enum \w+ \{(.*?)\}", HEADER, re.DOTALL) for name in re.findall(r"HEIRMARK_\w+", body)}
        self.assertEqual(values, {name for names in SPEC["enums"].values() for name in names})
        fields = {match[2]: set(re.findall(r"(\w+)(?:\[\w+\])?;", match[1])) for match in re.finditer(r"typedef struct \w+ \{(.*?)\} (\w+);", HEADER, re.DOTALL)}
        self.assertEqual(fields, {name: set(structure["offsets"]) for name, structure in SPEC["structures"].items()})

    def source(self):
        """Values, sizes and offsets as assertions of the compiler."""
        lines = [f'#include "{NAME}"', "#include <stddef.h>"]
        numbers = dict(SPEC["constants"])
        for values in SPEC["enums"].values():
            numbers.update(values)
        lines += [f'ASSERT((uint64_t){name} == {value}u, "{name}");' for name, value in numbers.items()]
        for name, structure in SPEC["structures"].items():
            lines.append(f'ASSERT(sizeof({name}) == {structure["size"]}, "size of {name}");')
            lines += [f'ASSERT(offsetof({name}, {field}) == {offset}, "{name}.{field}");' for field, offset in structure["offsets"].items()]
        return "\n".join(lines) + "\n"

    def test_layout_and_languages(self):
        for compiler, arguments, assertion in ((os.environ.get("CC", "cc"), ["-x", "c", "-std=c11", "-pedantic"], "_Static_assert"),
                                               (os.environ.get("CXX", "c++"), ["-x", "c++", "-std=c++11", "-pedantic"], "static_assert")):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "layout"
                path.write_text(self.source())
                done = run(compiler, *arguments, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-DASSERT={assertion}", f"-I{INCLUDE}", str(path))
                self.assertEqual(done.returncode, 0, done.stderr)
                size = next(iter(SPEC["structures"].values()))["size"]
                path.write_text(self.source().replace(f"== {size},", f"== {size + 4},"))  # the assertions are there
                self.assertNotEqual(run(compiler, *arguments, "-fsyntax-only", f"-DASSERT={assertion}", f"-I{INCLUDE}", str(path)).returncode, 0)


class Library(unittest.TestCase):
    def test_exported_symbols(self):
        done = run("nm", "--dynamic", "--defined-only", "--format=posix", LIBRARY)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = {line.split()[0].split("@")[0] for line in done.stdout.splitlines()}
        self.assertEqual(found, {function["name"] for function in SPEC["functions"]})

    def test_soname_and_needs(self):
        text = run("readelf", "--dynamic", "--wide", LIBRARY).stdout
        self.assertEqual(re.findall(r"SONAME.*\[(.*)\]", text), [SPEC["soname"]])
        allowed = ("libstdc++.so", "libm.so", "libgcc_s.so", "libc.so", "ld-linux", "libpthread.so", "libdl.so", "librt.so", "libasan.so", "libubsan.so")
        if NAME == "heirmark_ledger.h":
            allowed += ("libsqlite3.so", "libsodium.so", "libcrypto.so")
        for needed in re.findall(r"NEEDED.*\[(.*)\]", text):
            self.assertTrue(needed.startswith(allowed), f"the library needs {needed}")


if __name__ == "__main__":
    unittest.main()
