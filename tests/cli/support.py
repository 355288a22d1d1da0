"""Runs the heirmark command for tests. A passphrase goes through a pipe, as --passphrase-fd wants it."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HEIRMARK = os.environ.get("HEIRMARK", "heirmark")
MAKE_KEYSTORE = os.environ.get("HEIRMARK_MAKE_KEYSTORE", "make_keystore")
SOURCE = pathlib.Path(os.environ.get("HEIRMARK_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
EXPECT_DEVICE = "HEIRMARK_EXPECT_DEVICE" in os.environ  # the command under test has a device, an emulated one at least
PASSPHRASE = "correct horse battery staple"
HERE = pathlib.Path(__file__).resolve().parent


def environment(**more):
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "XDG_DATA_HOME")}
    env.update(TERM="xterm", **more)
    return env


def make_keystore(folder):
    """An empty keystore at the least cost of the passphrase hash, unless there is one: the command's own takes a second each time it is opened."""
    if not (pathlib.Path(folder) / "HEIRMARK-KEYSTORE").exists():
        subprocess.run([MAKE_KEYSTORE, folder], input=(PASSPHRASE + "\n").encode(), check=True)
    return folder


class Done:
    """What a run left behind."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


def heirmark(*args, passphrase=None, stdin=b"", cwd=None, env=None, stdout=None):
    """Runs the command to its end; `passphrase` adds --passphrase-fd."""
    command, fds = [HEIRMARK, *map(str, args)], ()
    if passphrase is not None:
        read, write = os.pipe()
        os.write(write, (passphrase + "\n").encode())
        os.close(write)
        at = command.index("--") if "--" in command else len(command)
        command[at:at] = ["--passphrase-fd", str(read)]
        fds = (read,)
    try:
        done = subprocess.run(command, input=stdin, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=fds, cwd=cwd,
                              env=env or environment(), timeout=120, check=False)
    finally:
        for fd in fds:
            os.close(fd)
    return Done(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())


def on_terminal(*args, answers=(), cwd=None, env=None):
    """Runs the command on a terminal of its own; `answers` are typed one after the other at each ": ". Returns (code, all that was shown)."""
    pid, master = pty.fork()
    if pid == 0:
        if cwd:
            os.chdir(cwd)
        os.execve(HEIRMARK, [HEIRMARK, *map(str, args)], env or environment())
    shown, left, seen = b"", list(answers), 0
    deadline = time.time() + 60
    while time.time() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
        if left and shown[seen:].rstrip(b" ").endswith(b":"):
            seen = len(shown)
            time.sleep(0.05)
            os.write(master, left.pop(0).encode() + b"\n")
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


def json_members():
    """Command -> names of its JSON object's members, as specs/cli.md has them."""
    page = (SOURCE / "specs/cli.md").read_text()
    out = {}
    for commands, text in re.findall(r"^\| (`[^|]*) \| (.*) \|$", page[page.index("## JSON"):], re.M):
        text = re.sub(r": list of [^;]*(;|$)", ",", re.sub(r"\([^)]*\)", "", text))
        names = re.findall(r"`([^`]+)`", commands)
        group = names[0].split()[0] + " " if " " in names[0] else ""
        for name in names:
            out[name if name.startswith(group) else group + name] = set(re.findall(r"`(\w+)`", text))
    return out


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="heirmark-cli-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.store = self.dir / "keys"

    def run_ok(self, *args, **options):
        done = heirmark(*args, **options)
        self.assertEqual(done.code, 0, f"{args}: {done.err}")
        return done

    def run_fails(self, code, *args, words=(), **options):
        """One clear line on standard error, nothing on standard output, that exit code."""
        done = heirmark(*args, **options)
        self.assertEqual(done.code, code, f"{args}: exit {done.code}: {done.out}{done.err}")
        lines = done.err.splitlines()
        self.assertEqual(len(lines), 1, f"{args}: {done.err}")
        self.assertTrue(lines[0].startswith("heirmark: "), lines[0])
        self.assertEqual(done.out, "", f"{args} printed")
        for word in (words,) if isinstance(words, str) else words:
            self.assertIn(word, done.err)
        return done

    def new_key(self, key="acme-70b/2026-11", **options):
        make_keystore(self.store)
        extra = [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), value)]
        return self.run_ok("key", "new", key, "--keystore", self.store, *extra, passphrase=PASSPHRASE)

    def opening(self, key="acme-70b/2026-11", **options):
        self.new_key(key, **options)
        path = self.dir / "opening.json"
        self.run_ok("key", "open", key, "--to", "tester", "-o", path, "--keystore", self.store, passphrase=PASSPHRASE)
        return path


def main():
    unittest.main(module=sys.modules["__main__"], verbosity=1)
