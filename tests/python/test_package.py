"""What the package promises its users' tools: stubs, docstrings, names."""
import inspect
import pathlib
import re
import subprocess
import sys

import heirmark
import heirmark._core
from support import ROOT

SOURCE = ROOT / "bindings/python/src/heirmark"


def test_the_stub_is_what_the_extension_is(tmp_path):
    """Renew it with: python -m nanobind.stubgen -m heirmark._core -o bindings/python/src/heirmark/_core.pyi"""
    made = tmp_path / "_core.pyi"
    subprocess.run([sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "heirmark._core", "-o", made], check=True)
    assert made.read_text() == (SOURCE / "_core.pyi").read_text()
    assert (SOURCE / "py.typed").exists()


def test_everything_public_has_a_docstring():
    missing = []
    for name in heirmark.__all__:
        thing = getattr(heirmark, name)
        if name == "__version__":
            continue
        if not inspect.getdoc(thing):
            missing.append(name)
        if inspect.isclass(thing) and thing.__module__ == "heirmark._core":
            missing += [f"{name}.{member}" for member, value in vars(thing).items() if not member.startswith("_") and callable(value) and not inspect.getdoc(value)]
    assert missing == []


def test_everything_of_the_extension_is_public():
    names = {name for name in dir(heirmark._core) if not name.startswith("_")}
    assert names == {name for name in heirmark.__all__ if hasattr(heirmark._core, name) and not name.startswith("_")}
    assert sorted(heirmark.__all__, key=str.lower) == sorted(set(heirmark.__all__), key=str.lower)


def test_the_version_is_the_projects():
    assert heirmark.__version__ == re.search(r"project\(heirmark VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1]


def test_the_extension_shows_nothing_but_its_entry():
    """Two packages of one process that both link the SDK statically must not share its symbols."""
    library = pathlib.Path(heirmark._core.__file__)
    done = subprocess.run(["nm", "--dynamic", "--defined-only", "--format=posix", str(library)], capture_output=True, text=True, check=True)
    shown = {line.split()[0] for line in done.stdout.splitlines()}
    assert "PyInit__core" in shown and not [name for name in shown if "heirmark" in name]
