"""One wrong input of each kind for each command: one line on standard error that names the place, the documented exit code, and nothing half written."""
import json
import os
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from support import HEIRMARK, PASSPHRASE, environment, heirmark, main, make_keystore
from test_audit import KEY, VOCAB, Audits, call

NOBODY = 65534
AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}  # root may read everything


def setUpModule():
    Audits.make()
    base = Audits.base
    call("key", "export-subkey", KEY, "-o", base / "subkeys.json", "--keystore", base / "provider-keys", passphrase=PASSPHRASE)
    # A plan whose suspect any user may start; no test lets it come to a query.
    call("audit", "suspect", "-o", base / "cat.json", "--name", "x", "--vocab", VOCAB, "--weights", "0" * 64, "--", "/bin/cat")
    Audits.plan(base / "planned", "cat")


def tearDownModule():
    shutil.rmtree(Audits.base, ignore_errors=True)


class Wrong(Audits):
    def setUp(self):
        super().setUp()
        base = self.base
        self.provider = ("--keystore", base / "provider-keys")
        self.text, self.opening, self.subkeys, self.ledger, self.bag = (base / "issued.jsonl", base / "opening.json", base / "subkeys.json", base / "public/ledger.jsonl",
                                                                        base / "guilty/bag")
        self.good = {
            "key new": ("key", "new", "fresh/2026-11", *self.provider), "key commit": ("key", "commit", KEY, "-o", self.dir / "commitment.json", *self.provider),
            "key sign-ledger": ("key", "sign-ledger", self.ledger, *self.provider), "key list": ("key", "list", *self.provider), "key show": ("key", "show", KEY, *self.provider),
            "key rotate": ("key", "rotate", "acme-70b", *self.provider), "key open": ("key", "open", KEY, "--to", "x", "-o", self.dir / "o.json", *self.provider),
            "key export-subkey": ("key", "export-subkey", KEY, "-o", self.dir / "s.json", *self.provider),
            "key signer": ("key", "signer", "provider", "-o", self.dir / "p.pem", *self.provider),
            "mark": ("mark", "--subkeys", self.subkeys, "--tokens", 5, "-o", self.dir / "t.jsonl"), "detect": ("detect", self.text, "--opening", self.opening),
            "audit power": ("audit", "power"), "audit suspect": ("audit", "suspect", "-o", self.dir / "suspect.json", "--name", "x", "--vocab", "9", "--weights", "0" * 64, "program"),
            "audit plan": ("audit", "plan", "--commitment", base / "public/commitment.json", "--suspect", base / "guilty.json", "--ledger", self.ledger, "-o", self.dir / "case", *self.auditor),
            "audit run": ("audit", "run", base / "planned", *self.auditor), "audit verdict": ("audit", "verdict", base / "guilty", "--opening", self.opening, *self.auditor),
            "report": ("report", self.bag, "-o", self.dir / "r.html"), "verify": ("verify", self.bag), "bench": ("bench", "--seconds", "0.01"), "help": ("help",),
            "completion": ("completion", "bash")}
        self.asks = [name for name in self.good if name.startswith("key ") or name in ("audit plan", "audit run", "audit verdict")]

    def fails(self, code, *args, words=(), passphrase=PASSPHRASE, **options):
        """As run_fails, and nothing new lies in the test's folder."""
        before = sorted(self.dir.rglob("*"))
        given = passphrase if any(str(arg) == "--keystore" for arg in args) else None
        done = self.run_fails(code, *args, words=words, passphrase=given, **options)
        self.assertEqual(sorted(self.dir.rglob("*")), before, f"{args} left something")
        return done

    def inputs(self):
        """Commands and what each reads: every file and folder that must be there."""
        base = self.base
        return [("detect", self.text), ("detect", self.opening), ("mark", self.subkeys), ("key sign-ledger", self.ledger), ("audit plan", base / "public/commitment.json"),
                ("audit plan", base / "guilty.json"), ("audit plan", self.ledger), ("audit run", base / "planned"), ("audit verdict", base / "guilty"), ("audit verdict", self.opening),
                ("report", self.bag), ("verify", self.bag)]

    def changed(self, command, old, new):
        """The command with one argument changed."""
        args = list(self.good[command])
        args[args.index(old)] = new
        return args


class CommandLine(Wrong):
    def test_an_unknown_option(self):
        for command, args in self.good.items():
            with self.subTest(command):
                cut = args.index("program") if "program" in args else len(args)  # what follows belongs to the suspect
                self.fails(2, *args[:cut], "--frobnicate", *args[cut:], words="--frobnicate")

    def test_an_option_without_its_value_and_one_twice(self):
        for command, args in self.good.items():
            if "-o" in args:
                with self.subTest(command):
                    self.fails(2, *args, "-o", self.dir / "again", words="output")
            if "--keystore" in args:
                with self.subTest(command):
                    self.run_fails(2, *args, "--passphrase-fd", words="--passphrase-fd")

    def test_numbers_out_of_range(self):
        for command, option, value in (
                ("key new", "--family-size", "1"), ("key new", "--family-size", "16777217"), ("mark", "--vocab", "0"), ("mark", "--vocab", "1048577"), ("mark", "--tokens", "0"),
                ("mark", "--temperature", "-1"), ("mark", "--temperature", "inf"), ("mark", "--top-p", "0"), ("mark", "--top-p", "1.5"), ("mark", "--min-p", "nan"),
                ("mark", "--ledger-top", "1025"), ("mark", "--texts", "99999999999999999999"), ("detect", "--decoys", "4194305"), ("detect", "--threads", "0"),
                ("detect", "--vocab", "1048577"), ("audit power", "--alpha", "2"), ("audit power", "--share", "1.1"), ("audit suspect", "--vocab", "0"), ("audit plan", "--attempt", "0"),
                ("audit plan", "--controls", "65"), ("audit plan", "--samples", "1025"), ("audit plan", "--texts", "1e3"), ("audit run", "--batch", "0"), ("audit verdict", "--threads", "1025"),
                ("verify", "--threads", "x"), ("bench", "--seconds", "0"), ("bench", "--vocab", "")):
            with self.subTest((command, option, value)):
                args = list(self.good[command])
                if option in args:
                    del args[args.index(option):args.index(option) + 2]
                cut = args.index("program") if "program" in args else len(args)
                self.fails(2, *args[:cut], option, value, *args[cut:], words=option)

    def test_standard_input_twice(self):
        self.fails(2, "detect", "-", "--opening", "-", words=("standard input", "--opening", "FILE"))
        self.fails(2, "mark", "--subkeys", "-", "--logits", "-", "--vocab", 9, words=("standard input", "--subkeys", "--logits"))
        self.fails(2, "mark", "--opening", "-", "--prompt", "-", words=("standard input", "--opening", "--prompt"))
        self.fails(2, "mark", "--subkeys", self.subkeys, "--ledger", "-", words=("ledger", "one file"))
        self.fails(2, "mark", "--subkeys", self.subkeys, "-o", self.dir / "x", "--ledger", self.dir / "x", words="one file")
        # Once is fine.
        self.assertIn("log10 p", self.run_ok("detect", self.text, "--opening", "-", stdin=self.opening.read_bytes()).out)

    def test_a_name_with_control_characters_stays_one_line(self):
        self.fails(3, "detect", "no\nsuch\033[31m.jsonl", "--opening", self.opening, words="no?such?[31m.jsonl")
        self.fails(2, "no\nsuch", words="no?such")


class Files(Wrong):
    def test_missing(self):
        for command, path in self.inputs():
            with self.subTest((command, path.name)):
                missing = self.dir / "gone" / path.name
                self.fails(3, *self.changed(command, path, missing), words=str(missing))
        self.fails(3, *self.good["mark"], "--prompt", self.dir / "gone", words="gone")
        self.fails(3, *self.good["mark"], "--vocab", 9, "--logits", self.dir / "gone", words="gone")
        self.fails(3, *self.good["verify"], "--trust", self.dir / "gone", words="gone")
        self.fails(4, "key", "list", "--keystore", self.dir / "gone", words="gone")
        self.fails(4, "audit", "run", self.base / "planned", "--keystore", self.dir / "gone", words="gone")

    def test_a_name_that_is_no_name(self):
        for name in ("x" * 300, "loop"):
            path = self.dir / name
            if name == "loop":
                path.symlink_to(path)
            for command, old in self.inputs():
                with self.subTest((command, name[:5])):
                    if command == "key sign-ledger":
                        continue  # takes no other name than ledger.jsonl
                    self.fails(3, *self.changed(command, old, path), words=name)

    def test_a_folder_given_as_a_file_and_a_file_as_a_folder(self):
        folder, file = self.dir / "folder", self.dir / "ledger.jsonl"
        folder.mkdir()
        file.write_text("")
        (self.dir / "sub").mkdir()
        (self.dir / "sub/ledger.jsonl").mkdir()
        for command, old in self.inputs():
            with self.subTest((command, old.name)):
                if old.is_dir():
                    self.fails(3, *self.changed(command, old, file), words=str(file))
                else:
                    wrong = self.dir / "sub/ledger.jsonl" if command == "key sign-ledger" else folder
                    self.fails(3, *self.changed(command, old, wrong), words=str(wrong))
        for more in (("--prompt", folder), ("--logits", folder, "--vocab", 9)):
            self.fails(3, *self.good["mark"], *more, words=str(folder))
        for command in ("key commit", "key open", "key export-subkey", "key signer", "mark", "audit suspect", "report"):
            with self.subTest(command):
                args = list(self.good[command])
                args[args.index("-o") + 1] = folder
                self.fails(2, *args, words=(str(folder), "folder"))
        self.fails(3, *self.good["mark"], "--ledger", folder, words="no ledger here")
        self.fails(5, *self.good["mark"][:-1], file / "t.jsonl", words=str(file))
        for command in ("key new", "key list"):
            args = list(self.good[command])
            args[args.index("--keystore") + 1] = file
            self.fails(4 if command == "key list" else 5, *args, words=str(file))

    def test_truncated(self):
        for command, path in self.inputs():
            if path.is_dir():
                continue
            with self.subTest((command, path.name)):
                (self.dir / "cut").mkdir(exist_ok=True)
                cut = self.dir / "cut" / path.name
                cut.write_bytes(path.read_bytes()[:-20])
                cut.chmod(0o600)
                code = 1 if command == "audit verdict" else 3  # an opening that is not the committed one is no evidence, whatever is wrong with it
                done = heirmark(*self.changed(command, path, cut), passphrase=PASSPHRASE if command in self.asks else None)
                self.assertIn(done.code, {3, code}, done.err)
                self.assertEqual((done.out, len(done.err.splitlines())), ("", 1))
                self.assertIn(cut.name, done.err)

    def test_malformed_lines_are_numbered(self):
        lines = self.text.read_text().splitlines(keepends=True)
        bad = self.dir / "bad.jsonl"
        bad.write_text("".join(lines[:3]) + '{"tokens":[1,}\n')
        self.fails(3, "detect", bad, "--opening", self.opening, words=f"{bad}:4: ")
        self.fails(3, "detect", "-", "--opening", self.opening, stdin=bad.read_bytes(), words="standard input:4: ")
        self.fails(3, *self.good["mark"], "--prompt", bad, words=f"{bad}:4: ")
        self.fails(3, "audit", "plan", *self.good["audit plan"][2:], "--prompts", bad, words=f"{bad}:4: ")
        ledger = self.dir / "ledger.jsonl"
        rows = self.ledger.read_text().splitlines(keepends=True)
        for change in (lambda row: row[:-3] + "\n", lambda row: row.replace(",", ", ", 1), lambda row: row.replace('"seq":2', '"seq":3'), lambda row: row.replace('"tokens":[', '"tokens":[1,')):
            ledger.write_text("".join([*rows[:2], change(rows[2]), *rows[3:]]))
            for command in ("key sign-ledger", "audit plan"):
                with self.subTest(command):
                    self.fails(3, *self.changed(command, self.ledger, ledger), words=f"{ledger}:3: ")

    def test_tokens_beyond_the_vocabulary(self):
        self.fails(3, "detect", self.text, "--opening", self.opening, "--vocab", 2, words=f"{self.text}:1: ")
        big = self.dir / "big.jsonl"
        big.write_text('{"tokens":[1,2]}\n{"tokens":[%d]}\n' % VOCAB)
        self.fails(3, *self.good["mark"], "--vocab", VOCAB, "--prompt", big, words=f"{big}:2: ")
        self.fails(3, "audit", "plan", *self.good["audit plan"][2:], "--prompts", big, words=f"{big}:2: ")

    def test_a_text_longer_than_the_suspects_context(self):
        folder = self.dir / "case"
        call("audit", "plan", "--commitment", self.base / "public/commitment.json", "--suspect", self.base / "guilty.json", "--prompts", self.base / "prompts.jsonl", "--texts", 2,
             "--tokens", 4096, "--decoys", 0, "-o", folder, *self.auditor, passphrase=PASSPHRASE)
        self.run_fails(3, "audit", "run", folder, *self.auditor, passphrase=PASSPHRASE, words=("prompts.jsonl:1: ", "context"))
        self.assertFalse((folder / "transcript.json").exists())

    def test_logits(self):
        mark = (*self.good["mark"], "--vocab", 4, "--logits", "-")
        row = struct.pack("<4f", 0, 1, 2, 3)
        self.fails(3, *mark, stdin=row + struct.pack("<4f", *[float("nan")] * 4), words=("standard input:2", "no finite logit"))
        self.fails(3, *mark, stdin=row * 2 + row[:5], words=("standard input:3", "cut short"))
        self.fails(3, *mark, stdin=b"", words="standard input: no row")

    def test_the_wrong_key(self):
        other = ("--keystore", make_keystore(self.dir / "other"))
        call("key", "new", KEY, "--family-size", 4096, *other, passphrase=PASSPHRASE)
        call("key", "open", KEY, "--to", "x", "-o", self.dir / "other.json", *other, passphrase=PASSPHRASE)
        case = self.copied()
        before = {path: path.read_bytes() for path in case.rglob("*") if path.is_file()}
        self.fails(1, "audit", "verdict", case, "--opening", self.dir / "other.json", *self.auditor, words="opening")
        self.assertEqual({path: path.read_bytes() for path in case.rglob("*") if path.is_file()}, before)
        self.assertGreater(self.run_ok("detect", self.text, "--opening", self.dir / "other.json", "--json").json["log10_p"], -6)  # false-failure probability 1e-6

    def test_wrong_passphrases(self):
        for command in self.asks:
            with self.subTest(command):
                self.fails(4, *self.good[command], passphrase="wrong", words="wrong passphrase")
                done = heirmark(*self.good[command], "--passphrase-fd", "97")
                self.assertEqual((done.code, done.out, len(done.err.splitlines())), (4, "", 1), done.err)
                self.assertIn("97", done.err)

    def test_a_bag_with_one_flipped_bit(self):
        bag = self.copied() / "bag"
        for path in sorted(p for p in bag.rglob("*") if p.is_file()):
            good = path.read_bytes()
            with self.subTest(path.name):
                bad = bytearray(good)
                bad[len(bad) // 3] ^= 4
                path.write_bytes(bad)
                self.assertEqual(heirmark("verify", bag).code, 1)
                path.write_bytes(good)
        self.assertEqual(heirmark("verify", bag).code, 0)


class Outputs(Wrong):
    WRITES = ("key open", "key export-subkey", "key signer", "mark", "audit suspect", "report")

    def test_a_full_disk(self):
        for command in self.WRITES:
            with self.subTest(command):
                args = list(self.good[command])
                args[args.index("-o") + 1] = "/dev/full"
                self.fails(5, *args, words=("/dev/full", "No space left"))
                args[args.index("-o") + 1] = "-"
                if command == "audit suspect":
                    continue
                with open("/dev/full", "wb") as full:
                    done = heirmark(*args, passphrase=PASSPHRASE if command in self.asks else None, stdout=full)
                self.assertEqual((done.code, done.err.splitlines()[-1].startswith("heirmark: standard output: No space left")), (5, True), done.err)
        self.fails(5, *self.good["mark"], "--ledger", "/dev/full", words="/dev/full")

    def test_a_small_disk(self):
        """A file system of its own, where the machine lets us mount one: what does not fit is told, and what was there stays."""
        disk = self.dir / "disk"
        disk.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest("mounting is not allowed here; /dev/full and RLIMIT_FSIZE stand in for it")
        try:
            (disk / "t.jsonl").write_text("old")
            self.run_fails(5, "mark", "--subkeys", self.subkeys, "--texts", 500, "-o", disk / "t.jsonl", words=(str(disk / "t.jsonl"), "No space left"))
            self.run_fails(5, "report", self.bag, "-o", disk / "r.html", words=str(disk))
            self.run_fails(5, *self.good["audit plan"][:-4], "-o", disk / "case", *self.auditor, passphrase=PASSPHRASE, words=str(disk))
            self.assertEqual([(path.name, path.read_text()) for path in disk.iterdir()], [("t.jsonl", "old")])
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_a_limit_on_file_size(self):
        """RLIMIT_FSIZE does to a writer what a full disk does, without a mount."""
        import resource

        def small():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        target = self.dir / "t.jsonl"
        target.write_text("old")
        for args in (("mark", "--subkeys", self.subkeys, "--texts", 50, "-o", target), ("report", self.bag, "-o", target)):
            with self.subTest(args[0]):
                done = subprocess.run([HEIRMARK, *map(str, args)], capture_output=True, text=True, env=environment(), preexec_fn=small, check=False)
                self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (5, "", 1), done.stderr)
                self.assertIn(str(target), done.stderr)
                self.assertEqual([(path.name, path.read_text()) for path in self.dir.iterdir()], [("t.jsonl", "old")])

    def test_closed_standard_output(self):
        for command, args in self.good.items():
            if "-o" in args and command not in ("audit plan",) or command in ("audit run", "audit verdict", "key new", "key rotate", "key sign-ledger", "audit plan"):
                continue  # nothing for standard output, or more than words would change
            with self.subTest(command):
                read, write = os.pipe()
                os.write(write, (PASSPHRASE + "\n").encode())
                os.close(write)
                more = ["--passphrase-fd", str(read)] if command in self.asks else []
                done = subprocess.run(["sh", "-c", '"$0" "$@" >&-', HEIRMARK, *map(str, args), *more], stderr=subprocess.PIPE, pass_fds=(read,), env=environment(), check=False, text=True)
                os.close(read)
                self.assertEqual((done.returncode, len(done.stderr.splitlines())), (5, 1), done.stderr)
                self.assertIn("standard output", done.stderr)

    def test_links_pipes_and_devices(self):
        real, link = self.dir / "real", self.dir / "link"
        real.write_text("old")
        link.symlink_to(real)
        self.run_ok("mark", "--subkeys", self.subkeys, "--tokens", 5, "-o", link)
        self.assertEqual((real.read_text(), link.is_symlink()), ("old", False))  # the link is replaced, what it named is not touched
        target = self.dir / "opening"
        target.symlink_to(real)
        self.run_ok(*self.good["key open"][:-3], target, *self.provider, passphrase=PASSPHRASE)
        self.assertEqual((real.read_text(), stat.S_IMODE(target.stat().st_mode)), ("old", 0o600))
        # Inputs behind links are read like any other.
        text = self.dir / "text"
        text.symlink_to(self.text)
        self.run_ok("detect", text, "--opening", self.opening)
        # A bag too; what it is must lie in it.
        bag = self.dir / "bag"
        bag.symlink_to(self.bag)
        self.assertEqual(self.run_ok("verify", bag).out, self.run_ok("verify", self.bag).out)
        copy = self.dir / "copy"
        shutil.copytree(self.bag, copy)
        (copy / "data/plan.json").unlink()
        (copy / "data/plan.json").symlink_to(self.bag / "data/plan.json")
        self.assertIn("bag.file-type", heirmark("verify", copy).out)
        # Named pipes, both ways.
        pipe = self.dir / "pipe"
        os.mkfifo(pipe)
        writer = subprocess.Popen(["sh", "-c", 'cat "$0" > "$1"', self.text, pipe])
        self.run_ok("detect", pipe, "--opening", self.opening)
        self.assertEqual(writer.wait(30), 0)
        reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
        self.run_ok("mark", "--subkeys", self.subkeys, "--tokens", 5, "--seed", 1, "-o", pipe)
        self.assertEqual(reader.communicate(timeout=30)[0].decode(), self.run_ok("mark", "--subkeys", self.subkeys, "--tokens", 5, "--seed", 1).out)
        self.assertTrue(stat.S_ISFIFO(pipe.stat().st_mode))


class Words(Wrong):
    def test_nothing_is_said_to_be_done_that_failed(self):
        for args in (("key", "open", KEY, "--to", "x", "-o", "-", *self.provider), ("key", "export-subkey", KEY, "-o", "-", *self.provider)):
            with open("/dev/full", "w") as full:
                done = heirmark(*args, passphrase=PASSPHRASE, stdout=full)
            self.assertEqual((done.code, done.err), (5, "heirmark: standard output: No space left on device\n"))

    def test_arguments_that_are_no_text(self):
        bad = os.fsdecode(b"\xff")
        for args, words in ((("--", "./prog", bad), "argument 1 of COMMAND"), (("--", bad), "COMMAND"), (("--name", bad, "--", "./prog"), "--name"), (("--weights", bad, "--", "./prog"), "--weights")):
            with self.subTest(words):
                self.fails(2, "audit", "suspect", "-o", self.dir / "s.json", "--vocab", 9, *args, words=(words, "UTF-8"))

    def test_a_key_that_others_may_read(self):
        opening = self.dir / "o.json"
        shutil.copy(self.opening, opening)
        for mode, words in ((0o600, ""), (0o644, f"note       {opening}: holds the key, and others may read it (mode 0644); make it 0600\n"), (0o666, "may change it (mode 0666)")):
            opening.chmod(mode)
            for args in (("detect", self.text, "--opening", opening), ("mark", "--opening", opening, "--tokens", 5)):
                err = self.run_ok(*args).err
                self.assertIn(words, err)
                self.assertEqual(len(err.splitlines()), 1 if words else 0)
        self.assertEqual(self.run_ok("-q", "detect", self.text, "--opening", opening).err, "")

    def test_a_folder_that_becomes_a_keystore(self):
        for mode, words in ((0o755, " was open to others (mode 0755); as a keystore it has mode 0700"), (0o700, None)):
            folder = self.dir / f"keys-{mode}"
            folder.mkdir()
            folder.chmod(mode)
            err = self.run_ok("key", "signer", "x", "--keystore", folder, passphrase=PASSPHRASE).err
            self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
            self.assertEqual([line for line in err.splitlines() if line.startswith("note ")], [f"note       {folder}{words}"] if words else [])


class Limits(Wrong):
    def limited(self, *args, stdout=subprocess.PIPE):
        read, write = os.pipe()
        os.write(write, (PASSPHRASE + "\n").encode())
        os.close(write)
        more = ["--passphrase-fd", str(read)] if "--keystore" in args else []
        done = subprocess.run([HEIRMARK, *map(str, args), *more], pass_fds=(read,), stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment(), check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512)))
        os.close(read)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (5, 1), done.stderr)
        return done.stderr

    def test_a_limit_on_the_size_of_files(self):
        out = self.dir / "t.jsonl"
        self.assertEqual(self.limited(*self.good["mark"][:-1], out, "--texts", 50), f"heirmark: {out}: File too large\n")
        with open(out, "w") as file:
            self.assertEqual(self.limited("mark", "--subkeys", self.subkeys, "--texts", 50, stdout=file), "heirmark: standard output: File too large\n")
        out.unlink()
        self.assertIn("new", self.limited("ledger", "new", self.dir / "new", *self.provider))
        self.assertIn("case", self.limited(*self.good["audit plan"]))
        self.assertEqual(list(self.dir.iterdir()), [])


class Permissions(Wrong):
    """What the system refuses is exit code 4, whatever was refused."""

    def setUp(self):
        super().setUp()
        self.dir.chmod(0o755)
        self.program = shutil.copy(HEIRMARK, self.dir / "heirmark")  # where it was built, another user may not come
        self.closed = self.dir / "closed"
        self.closed.mkdir()
        self.world = self.dir / "world"
        shutil.copytree(self.base, self.world)
        if AS_NOBODY:
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", self.world, self.closed], check=True)
        self.closed.chmod(0o500)

    def refused(self, *args, word=None, passphrase=True):
        read, write = os.pipe()
        os.write(write, (PASSPHRASE + "\n").encode())
        os.close(write)
        moved = [str(arg).replace(str(self.base), str(self.world)) for arg in args]
        more = ["--passphrase-fd", str(read)] if "--keystore" in moved and passphrase else []
        done = subprocess.run([self.program, *moved, *more], pass_fds=(read,), capture_output=True, text=True, env=environment(), cwd="/", check=False, **AS_NOBODY)
        os.close(read)
        self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (4, "", 1), f"{args}: {done.stdout}{done.stderr}")
        self.assertIn("Permission denied", done.stderr)
        self.assertIn(str(word or ""), done.stderr)
        self.assertEqual(list(self.closed.iterdir()), [])

    def mine(self, path):
        return self.world / path.relative_to(self.base)

    def test_inputs_that_may_not_be_read(self):
        for command, path in self.inputs():
            files = [path] if path.is_file() else [path / name for name in {"audit run": ("plan.json",), "audit verdict": ("plan.json",)}.get(command, ("data/plan.json",))]
            for file in files:
                with self.subTest((command, file.name)):
                    self.mine(file).chmod(0o000)
                    self.refused(*self.good[command], word=file.name)
                    self.mine(file).chmod(0o600)
        for more in (("--prompt", self.text), ("--logits", self.text, "--vocab", 9)):
            with self.subTest(more[0]):
                self.mine(self.text).chmod(0o000)
                self.refused(*self.good["mark"][:-2], "-o", "/dev/null", *more, word=self.text.name)
                self.mine(self.text).chmod(0o600)
        self.mine(self.text).chmod(0o000)
        self.refused(*self.good["verify"], "--trust", self.text, word=self.text.name)

    def test_folders_that_may_not_be_searched(self):
        for command, path in (("audit run", self.base / "planned"), ("audit verdict", self.base / "guilty"), ("report", self.bag), ("verify", self.bag)):
            with self.subTest(command):
                self.mine(path).chmod(0o000)
                self.refused(*self.good[command])
                self.mine(path).chmod(0o700)

    def test_a_keystore_that_may_not_be_read(self):
        store = self.mine(self.base / "provider-keys")
        for name in (".", "HEIRMARK-KEYSTORE", KEY.replace("/", "@") + ".key"):
            for command in ("key list", "key show", "key rotate", "key commit", "key open", "key export-subkey"):
                if command in ("key commit", "key open", "key export-subkey"):
                    (self.dir / "out").mkdir(exist_ok=True)
                    (self.dir / "out").chmod(0o777)
                with self.subTest((name, command)):
                    (store / name).chmod(0o000)
                    args = [self.dir / "out/x" if str(arg).startswith(str(self.dir)) and "world" not in str(arg) else arg for arg in self.good[command]]
                    self.refused(*args, word="provider-keys")
                    (store / name).chmod(0o700 if name == "." else 0o600)
        (store / "provider.sign").chmod(0o000)
        self.refused(*self.good["key sign-ledger"], word="provider.sign")
        self.refused("key", "signer", "provider", *self.provider, word="provider.sign")
        (store / "provider.sign").chmod(0o600)
        (store / "root.key").chmod(0o000)
        self.refused("key", "new", "fresh/2026-11", *self.provider, word="root.key")
        self.assertFalse((store / "fresh@2026-11.key").exists())

    def test_outputs_that_may_not_be_written(self):
        for command in ("key commit", "key open", "key export-subkey", "key signer", "mark", "audit suspect", "audit plan", "report"):
            with self.subTest(command):
                args = list(self.good[command])
                args[args.index("-o") + 1] = self.closed / "x"
                self.refused(*args, word="closed")
        self.refused(*self.good["mark"][:-1], "/dev/null", "--ledger", self.closed / "ledger", word="closed")
        self.refused("key", "new", "fresh/2026-11", "--keystore", self.closed / "keys", word="closed")
        for folder, command in ((self.base / "provider-keys", ("key", "new", "fresh/2026-11", *self.provider)), (self.base / "planned", self.good["audit run"]),
                                (self.base / "guilty", self.good["audit verdict"])):
            with self.subTest(command[:2]):
                self.mine(folder).chmod(0o500)
                self.refused(*command, word=folder.name)
                self.mine(folder).chmod(0o700)
        # What is there already stays whole.
        self.assertTrue((self.mine(self.base / "guilty") / "bag/bagit.txt").exists())


class Signals(Wrong):
    def interrupted(self, args, after=0.5):
        """Sends SIGINT to a command that is at work; it must end by itself."""
        running = subprocess.Popen([HEIRMARK, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        time.sleep(after)
        self.assertIsNone(running.poll(), "ended before the signal came")
        running.send_signal(signal.SIGINT)
        try:
            # Standard input stays open: a read that waits must wake up by the signal alone.
            running.wait(timeout=60)
            out, err = running.stdout.read(), running.stderr.read()
        finally:
            running.kill()
            running.stdin.close()
            running.stdout.close()
            running.stderr.close()
        self.assertEqual((running.returncode, out, len(err.splitlines())), (6, b"", 1), err)
        self.assertTrue(err.startswith(b"heirmark: stopped"), err)
        return err.decode()

    def test_a_read_that_waits(self):
        for args in (("detect", "-", "--opening", self.opening), ("detect", "-", "--opening", self.opening, "--reading"), ("mark", "--subkeys", self.subkeys, "--vocab", 9, "--logits", "-"),
                     ("mark", "--subkeys", self.subkeys, "--prompt", "-")):
            with self.subTest(args):
                self.interrupted(args)
        pipe = self.dir / "pipe"
        os.mkfifo(pipe)
        for args in (("detect", pipe, "--opening", self.opening), ("detect", self.text, "--opening", pipe), ("mark", "--subkeys", pipe), ("mark", "--subkeys", self.subkeys, "-o", pipe)):
            with self.subTest(args):
                self.interrupted(args)

    def test_work_that_takes_long(self):
        out = self.dir / "t.jsonl"
        self.interrupted(("mark", "--subkeys", self.subkeys, "--texts", 100000, "--vocab", 65536, "-o", out))
        self.assertEqual(list(self.dir.iterdir()), [])
        text = self.dir / "long.jsonl"
        text.write_text("".join(json.dumps({"tokens": [(i * 7919 + j * j * 31) % 100003 for j in range(2000)]}) + "\n" for i in range(100)))
        self.new_key("long/2026-11", family_size="4194304")
        self.run_ok("key", "open", "long/2026-11", "--to", "x", "-o", self.dir / "long.json", "--keystore", self.store, passphrase=PASSPHRASE)
        self.assertIn("starts again", self.interrupted(("detect", text, "--opening", self.dir / "long.json", "--decoys", 4194303), after=1))


if __name__ == "__main__":
    main()
