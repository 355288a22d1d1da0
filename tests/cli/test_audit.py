"""A whole audit from key to report, its verification, and what happens when something is wrong."""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
from support import EXPECT_DEVICE, HEIRMARK, HERE, PASSPHRASE, Case, environment, heirmark, json_members, main, make_keystore, on_terminal

KEY = "acme-70b/2026-11"
VOCAB = 509


def call(*args, **options):
    done = heirmark(*args, **options)
    if done.code != 0:
        raise AssertionError(f"{args}: exit {done.code}: {done.err}")
    return done


class Audits(Case):
    """One provider, one auditor, a guilty and an innocent student; the cases are made once and copied."""

    @classmethod
    def make(cls):
        cls.base = pathlib.Path(tempfile.mkdtemp(prefix="heirmark-audit-"))
        base = cls.base
        (base / "public").mkdir()
        provider, cls.auditor = ("--keystore", base / "provider-keys"), ("--keystore", base / "auditor-keys")
        for folder in (provider[1], cls.auditor[1]):
            make_keystore(folder)
        call("key", "new", KEY, "--family-size", 4096, *provider, passphrase=PASSPHRASE)
        call("key", "commit", KEY, "-o", base / "public/commitment.json", *provider, passphrase=PASSPHRASE)
        call("mark", KEY, *provider, "--vocab", VOCAB, "--texts", 40, "--tokens", 48, "--ledger", base / "public/ledger.jsonl", "--account", "reseller-7",
             "-o", base / "issued.jsonl", passphrase=PASSPHRASE)
        call("key", "sign-ledger", base / "public/ledger.jsonl", *provider, passphrase=PASSPHRASE)
        call("key", "open", KEY, "--to", "auditor", "-o", base / "opening.json", *provider, passphrase=PASSPHRASE)
        call("key", "signer", "auditor", "-o", base / "auditor.pem", *cls.auditor, passphrase=PASSPHRASE)
        with open(base / "prompts.jsonl", "w") as prompts:
            for line in (base / "issued.jsonl").read_text().splitlines():
                prompts.write(json.dumps({"tokens": json.loads(line)["tokens"][:2]}) + "\n")
        cls.suspect("guilty", "--learned", base / "public/ledger.jsonl")
        cls.suspect("innocent")
        for name in ("guilty", "innocent"):
            cls.plan(base / name, name)
            call("audit", "run", base / name, *cls.auditor, passphrase=PASSPHRASE)
        cls.said = call("audit", "verdict", base / "guilty", "--opening", base / "opening.json", *cls.auditor, passphrase=PASSPHRASE)
        cls.twin = call("audit", "verdict", base / "innocent", "--opening", base / "opening.json", *cls.auditor, passphrase=PASSPHRASE)

    @classmethod
    def suspect(cls, name, *options):
        call("audit", "suspect", "-o", cls.base / f"{name}.json", "--released", "2031-01-01", "--", sys.executable, HERE / "suspect.py", VOCAB, *options)

    @classmethod
    def plan(cls, folder, suspect, *more):
        return call("audit", "plan", "--commitment", cls.base / "public/commitment.json", "--suspect", cls.base / f"{suspect}.json", "--prompts",
                    cls.base / "prompts.jsonl", "--ledger", cls.base / "public/ledger.jsonl", "--alpha", "1e-6", "--texts", 40, "--tokens", 40, "--decoys", 63,
                    "--controls", 2, "-o", folder, *cls.auditor, *more, passphrase=PASSPHRASE)

    def planned(self, name="case", public=None, suspect="guilty", code=0, words=()):
        """A plan of a copy of public/, which `public` may change first. Returns the case's folder, its plan refused with `code`."""
        folder, copy = self.dir / name, self.dir / f"{name}-public"
        shutil.copytree(self.base / "public", copy)
        if public:
            public(copy)
        arguments = ("audit", "plan", "--commitment", copy / "commitment.json", "--suspect", self.base / f"{suspect}.json", "--ledger", copy / "ledger.jsonl",
                     "--controls", 1, "-o", folder, *self.auditor)
        if code:
            self.run_fails(code, *arguments, words=words, passphrase=PASSPHRASE)
            self.assertFalse(folder.exists())
            self.assertEqual([path for path in self.dir.iterdir() if path.name.startswith(".")], [])
        else:
            self.run_ok(*arguments, passphrase=PASSPHRASE)
        return folder

    def copied(self, name="guilty"):
        folder = self.dir / name
        shutil.copytree(self.base / name, folder)
        return folder


def setUpModule():
    Audits.make()


def tearDownModule():
    shutil.rmtree(Audits.base, ignore_errors=True)


class Verdicts(Audits):
    def test_the_guilty_one(self):
        out = self.said.out
        self.assertTrue(out.startswith("SUPPORTS   student B was influenced by text made under key acme-70b/2026-11\n"), out)
        for word in ("at most 1 in 10^", "log10 p = -", "issued contexts (C3", "text pairs (C1", "controls: 2 other keys", "not shown: intent", "account reseller-7"):
            self.assertIn(word, out)
        self.assertIn(f"report     {self.base}/guilty/report.html\n", out)
        self.assertNotIn("\033", out + self.said.err)
        self.assertLessEqual(max(map(len, out.splitlines()[:-1])), 100)
        report = (self.base / "guilty/report.html").read_text()
        self.assertIn("student B", report)
        for name in ("plan.json", "verdict.json", "transcript.json", "bag/bagit.txt", "bag/data/statements/verdict.dsse.json"):
            self.assertTrue((self.base / "guilty" / name).exists(), name)

    def test_the_innocent_twin(self):
        self.assertTrue(self.twin.out.startswith("INCONCLUSIVE  no reliable signal; this does not show that the model was not distilled\n"), self.twin.out)

    def test_explained(self):
        out = self.run_ok("audit", "verdict", self.copied(), "--opening", self.base / "opening.json", *self.auditor, "--explain", passphrase=PASSPHRASE).out
        verdict = json.loads((self.base / "guilty/verdict.json").read_text())
        c1, c2, c3 = verdict["channels"]
        for word in ("Gamma(", f"exact integer {c1['statistic']}", f"log10 p (PRF) {c1['log10_p_prf']}", f"log10 p (rank among 63 decoys in each of {len(c1['classes'])} classes) {c1['log10_p_rank']}",
                     f"log10 e {c2['log10_e']}: mean over 20", f"log10 e {c3['log10_e']}: mean over 30", f"alpha = {c3['alpha']}", "p = min(1, m x the least p / weight)",
                     "log10 0.000001 = -6.0000", f"control-2: log10 p {verdict['controls'][1]['log10_p']}"):
            self.assertIn(word, out)
        self.assertTrue(self.run_ok("verify", self.base / "guilty/bag", "--explain").out.endswith(out[out.index("c1         weight"):]))

    def test_verdict_again_in_json_and_with_a_required_outcome(self):
        folder = self.copied()
        args = ("audit", "verdict", folder, "--opening", self.base / "opening.json", *self.auditor)
        answer = self.run_ok(*args, "--json", "--require", "supports", passphrase=PASSPHRASE).json
        self.assertEqual(answer["outcome"], "supports")
        self.assertEqual(set(answer), json_members()["audit verdict"])
        self.assertLess(answer["log10_p"], -6)
        self.assertEqual([channel["channel"] for channel in answer["channels"]], ["c1", "c2", "c3"])
        self.assertEqual(answer["channels"][2]["accounts"][0]["account"], "reseller-7")
        twin = self.copied("innocent")
        done = heirmark("audit", "verdict", twin, "--opening", self.base / "opening.json", *self.auditor, "--require", "supports", passphrase=PASSPHRASE)
        self.assertEqual((done.code, done.out.split()[0]), (7, "INCONCLUSIVE"))

    def test_without_the_device_nothing_is_written(self):
        folder = self.copied()
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        args = ("audit", "verdict", folder, "--opening", self.base / "opening.json", *self.auditor, "--device", "cuda")
        self.run_fails(5, *args, passphrase=PASSPHRASE, env=environment(CUDA_VISIBLE_DEVICES=""), words="CUDA device")
        self.assertEqual({path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}, before)
        here = heirmark(*args, passphrase=PASSPHRASE)
        if here.code == 5 and not EXPECT_DEVICE:  # this machine has no GPU
            self.assertIn("CUDA device", here.err)
            return
        self.assertEqual(here.code, 0, here.err)
        mine, base = (json.loads((at / "verdict.json").read_text()) for at in (folder, self.base / "guilty"))
        self.assertEqual({**mine, "date": ""}, {**base, "date": ""})

    def test_who_may_read_a_case(self):
        case = self.base / "guilty"
        for name in ("opening.json", "ledger.jsonl", "bag/data/opening.json", "bag/data/ledger.jsonl"):
            self.assertEqual(stat.S_IMODE((case / name).stat().st_mode), 0o600, name)
        self.assertEqual(stat.S_IMODE(case.stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE((case / "bag/data/verdict.json").stat().st_mode) & 0o400, 0o400)
        # A case of an older version gets them too.
        old = self.copied()
        (old / "opening.json").chmod(0o644)
        self.run_ok("audit", "verdict", old, "--opening", self.base / "opening.json", *self.auditor, passphrase=PASSPHRASE)
        self.assertEqual(stat.S_IMODE((old / "opening.json").stat().st_mode), 0o600)

    def test_the_report_is_a_function_of_the_bag(self):
        self.run_ok("report", self.base / "guilty/bag", "-o", self.dir / "again.html")
        self.assertEqual((self.dir / "again.html").read_bytes(), (self.base / "guilty/report.html").read_bytes())
        self.assertEqual(self.run_ok("report", self.base / "guilty/bag", "-o", "-").out.encode(), (self.dir / "again.html").read_bytes())
        self.run_fails(5, "report", self.base / "guilty/bag", "-o", "/dev/full", words="/dev/full")
        done = heirmark("report", self.dir)
        self.assertIn(str(self.dir), done.err)
        self.assertEqual(done.code, 3)
        self.assertEqual(len(done.err.splitlines()), 1)

    def test_a_terminal_gets_colour_and_no_color_is_respected(self):
        bag = self.base / "guilty/bag"
        code, shown = on_terminal("verify", bag)
        self.assertEqual(code, 0, shown)
        self.assertIn("\033[1;32mVALID\033[0m", shown)
        code, shown = on_terminal("-q", "verify", bag, env=environment(NO_COLOR="1"))
        self.assertNotIn("\033", shown)


class Verification(Audits):
    def test_a_good_bag(self):
        bag = self.base / "guilty/bag"
        answer = self.run_ok("verify", bag, "--json").json
        self.assertEqual((answer["state"], answer["outcome"]), ("valid", "supports"))
        self.assertEqual(set(answer), json_members()["verify"])
        self.assertIn({"code": "trust.unpinned", "level": "note"}, [{k: c[k] for k in ("code", "level")} for c in answer["codes"]])
        self.assertNotIn("fail", {c["level"] for c in answer["codes"]})
        self.assertIn("VALID", self.run_ok("verify", bag).out)
        trust = ("--trust", self.base / "auditor.pem", "--trust", self.base / "public/trust/provider.pem")
        self.assertEqual(self.run_ok("verify", bag, *trust, "--json").json["state"], "valid")
        self.assertEqual(heirmark("verify", self.base / "innocent/bag", "--require", "supports").code, 7)
        self.assertEqual(heirmark("verify", bag, "--require", "supports").code, 0)

    def test_what_is_said_of_a_bag_is_json_whatever_its_verdict_writes(self):
        copy = self.base / "odd-numbers"
        shutil.copytree(self.base / "guilty/bag", copy)
        path = copy / "data/verdict.json"
        verdict = json.loads(path.read_bytes())
        verdict["log10_p"], verdict["log10_e"] = "00.1", "-01"
        path.write_bytes(json.dumps(verdict, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        answer = heirmark("verify", copy, "--json")
        self.assertEqual(answer.code, 1)
        said = json.loads(answer.out)
        self.assertEqual((said["state"], said["log10_p"], said["log10_e"]), ("invalid", None, None))

    def test_a_missing_device_says_nothing_about_the_bag(self):
        bag = self.base / "guilty/bag"
        self.run_fails(5, "verify", bag, "--json", "--device", "cuda", env=environment(CUDA_VISIBLE_DEVICES=""), words="CUDA device")
        self.assertEqual(self.run_ok("verify", bag, "--json", "--device", "cpu").out, self.run_ok("verify", bag, "--json").out)
        here = heirmark("verify", bag, "--json", "--device", "cuda")
        if here.code == 5 and not EXPECT_DEVICE:  # this machine has no GPU
            self.assertIn("CUDA device", here.err)
        else:
            self.assertEqual((here.code, here.out), (0, self.run_ok("verify", bag, "--json").out))

    def test_signers_that_nobody_trusts(self):
        roles = {role: ("--trust", f"{role}={pem}") for role, pem in (("auditor", self.base / "auditor.pem"), ("provider", self.base / "public/trust/provider.pem"))}
        self.run_ok("verify", self.base / "guilty/bag", *roles["auditor"], *roles["provider"])
        crossed = heirmark("verify", self.base / "guilty/bag", "--trust", f"provider={self.base / 'auditor.pem'}", *roles["auditor"], "--json")
        self.assertEqual((crossed.code, crossed.json["state"]), (1, "valid-but-untrusted"))
        done = heirmark("verify", self.base / "guilty/bag", "--trust", self.base / "auditor.pem", "--json")
        self.assertEqual((done.code, done.json["state"]), (1, "valid-but-untrusted"))
        self.run_fails(3, "verify", self.base / "guilty/bag", "--trust", self.dir / "none.pem", words="none.pem")
        (self.dir / "empty.pem").write_text("")
        self.run_fails(3, "verify", self.base / "guilty/bag", *roles["provider"], "--trust", f"auditor={self.dir / 'empty.pem'}", words=f"{self.dir / 'empty.pem'}: not a public key")

    def test_flipped_bits(self):
        bag = self.copied() / "bag"
        for name in ("data/verdict.json", "data/ledger.jsonl", "data/transcript/c1.jsonl", "data/statements/plan.dsse.json", "data/trust/auditor.pem",
                     "manifest-sha256.txt", "bagit.txt", "data/opening.json"):
            with self.subTest(name):
                path = bag / name
                good = path.read_bytes()
                bad = bytearray(good)
                bad[len(bad) // 2] ^= 1
                path.write_bytes(bad)
                done = heirmark("verify", bag, "--json")
                self.assertEqual((done.code, done.json["state"]), (1, "invalid"))
                self.assertIn("fail", {c["level"] for c in done.json["codes"]})
                path.write_bytes(good)
        self.assertEqual(heirmark("verify", bag).code, 0)

    def test_missing_and_extra_files(self):
        bag = self.copied() / "bag"
        (bag / "data/note.txt").write_text("x")
        self.assertEqual(heirmark("verify", bag).code, 1)
        (bag / "data/note.txt").unlink()
        (bag / "data/plan.json").unlink()
        done = heirmark("verify", bag)
        self.assertEqual(done.code, 1)
        self.assertIn("INVALID", done.out)
        self.run_fails(3, "verify", self.dir / "none", words="none")


class Steps(Audits):
    def run_fails_here(self, code, *args, words=()):
        return self.run_fails(code, *args, *self.auditor, passphrase=PASSPHRASE, words=words)

    def test_plans_that_make_no_sense(self):
        base = ("audit", "plan", "--commitment", self.base / "public/commitment.json", "--suspect", self.base / "guilty.json", "--prompts", self.base / "prompts.jsonl")
        self.run_fails_here(2, *base[:-2], "-o", self.dir / "case", words=("--prompts", "--ledger"))
        for more, code, words in ((("--alpha", "2"), 2, "--alpha"), (("--alpha", "0"), 2, "--alpha"), (("--alpha", "x"), 2, "--alpha"), (("--channel", "c7"), 2, "c7"),
                                  (("--channel", "c1=5"), None, ""), (("--channel", "c3"), None, "channel"), (("--decoys", 4096), None, "")):
            with self.subTest(more):
                done = heirmark(*base, *more, "-o", self.dir / "case", *self.auditor, passphrase=PASSPHRASE)
                self.assertIn(done.code, (code,) if code else (2, 3), done.err)
                self.assertEqual(len(done.err.splitlines()), 1)
                self.assertIn(words, done.err)
                self.assertFalse((self.dir / "case/plan.json").exists())

    def test_a_small_family_has_fewer_decoys_unless_they_were_asked_for(self):
        base = ("audit", "plan", "--commitment", self.base / "public/commitment.json", "--suspect", self.base / "guilty.json", "--prompts", self.base / "prompts.jsonl", *self.auditor)
        for name, more, decoys in (("a", (), 4091), ("b", ("--controls", 9, "--channel", "c1"), 4086), ("c", ("--decoys", 4091), 4091)):
            self.run_ok(*base, *more, "-o", self.dir / name, passphrase=PASSPHRASE)
            self.assertEqual(json.loads((self.dir / name / "plan.json").read_text())["channels"][0]["decoys"], decoys)
        self.run_fails(2, *base, "--decoys", 4095, "-o", self.dir / "d", passphrase=PASSPHRASE, words="family size 4096")

    def test_alpha_is_kept_as_an_exact_decimal(self):
        for given, kept in (("1e-6", "0.000001"), ("2.50e-3", "0.0025"), (".01", "0.01"), ("0.00010", "0.0001")):
            folder = self.dir / given
            call("audit", "plan", "--commitment", self.base / "public/commitment.json", "--suspect", self.base / "guilty.json", "--prompts", self.base / "prompts.jsonl",
                 "--alpha", given, "--decoys", 63, "-o", folder, *self.auditor, passphrase=PASSPHRASE)
            self.assertEqual(json.loads((folder / "plan.json").read_text())["alpha"], kept)

    def test_a_name_alone_is_a_case_of_where_one_is(self):
        for name in ("case", "slash/"):
            self.run_ok("audit", "plan", "--commitment", self.base / "public/commitment.json", "--suspect", self.base / "guilty.json", "--prompts", self.base / "prompts.jsonl", "-o", name,
                        *self.auditor, cwd=self.dir, passphrase=PASSPHRASE)
            self.assertTrue((self.dir / name / "plan.json").is_file())

    def test_a_case_that_is_there_is_not_overwritten(self):
        folder = self.copied()
        before = (folder / "plan.json").read_bytes()
        done = heirmark("audit", "plan", "--commitment", self.base / "public/commitment.json", "--suspect", self.base / "guilty.json", "--prompts", self.base / "prompts.jsonl",
                        "-o", folder, *self.auditor, passphrase=PASSPHRASE)
        self.assertIn(done.code, (2, 3, 5))
        self.assertEqual((folder / "plan.json").read_bytes(), before)

    def test_an_interrupted_run_goes_on(self):
        self.suspect("slow", "--learned", self.base / "public/ledger.jsonl", "--slow", "0.05")
        folder = self.dir / "case"
        self.plan(folder, "slow")
        read, write = os.pipe()
        os.write(write, (PASSPHRASE + "\n").encode())
        os.close(write)
        running = subprocess.Popen([HEIRMARK, "audit", "run", folder, "--batch", "2", *map(str, self.auditor), "--passphrase-fd", str(read)], pass_fds=(read,),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        os.close(read)
        log = folder / "transcript/c1.jsonl"
        deadline = time.time() + 60
        while time.time() < deadline and not (log.exists() and log.stat().st_size > 0):
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 6, err)
        self.assertEqual(out, b"")
        self.assertIn(b"heirmark audit run", err)
        self.assertFalse((folder / "transcript.json").exists())
        done = self.run_ok("audit", "run", folder, *self.auditor, passphrase=PASSPHRASE)
        self.assertIn("sealed", done.out)
        lines = [json.loads(line)["i"] for line in log.read_text().splitlines()]
        self.assertEqual(lines, list(range(40)))
        # The same again changes nothing.
        sealed = (folder / "transcript.json").read_bytes()
        self.run_ok("audit", "run", folder, *self.auditor, passphrase=PASSPHRASE)
        self.assertEqual((folder / "transcript.json").read_bytes(), sealed)

    def test_a_suspect_that_breaks_or_does_not_exist(self):
        self.suspect("broken", "--broken")
        folder = self.dir / "case"
        self.plan(folder, "broken")
        self.run_fails_here(5, "audit", "run", folder, words="out of order")
        self.run_fails(5, "audit", "suspect", "-o", self.dir / "s.json", "--", "/no/such/program", words="/no/such/program")

    def test_a_suspect_cannot_read_the_passphrase(self):
        passphrase, peek = self.dir / "passphrase", self.dir / "peek.py"
        passphrase.write_text(PASSPHRASE + "\n")
        peek.write_text(f"""import os, runpy, sys
for fd in range(3, 65):
    try:
        found = os.pread(fd, 4096, 0)
    except OSError:
        continue
    open({str(self.dir / "stolen")!r}, "ab").write(found)
sys.argv[0] = {str(HERE / "suspect.py")!r}
runpy.run_path(sys.argv[0], run_name="__main__")
""")
        call("audit", "suspect", "-o", self.base / "thief.json", "--", sys.executable, peek, VOCAB)
        self.plan(self.dir / "case", "thief")
        with open(passphrase, "rb") as file:
            done = subprocess.run([HEIRMARK, "audit", "run", self.dir / "case", *map(str, self.auditor), "--passphrase-fd", str(file.fileno())], pass_fds=(file.fileno(),),
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(), check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse((self.dir / "stolen").exists())

    def test_a_verdict_before_its_time(self):
        folder = self.dir / "case"
        self.plan(folder, "guilty")
        self.run_fails_here(2, "audit", "verdict", folder, "--opening", self.base / "opening.json", words="audit run")
        self.run_fails_here(3, "audit", "verdict", self.dir / "none", "--opening", self.base / "opening.json", words="plan.json")

    def test_two_verdicts_at_once(self):
        folder = self.copied()
        verdict = ("audit", "verdict", folder, "--opening", self.base / "opening.json", *self.auditor)
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        self.run_fails_here(5, *verdict[:-2], words=f"{folder}: another command is at work in this folder")
        os.close(held)
        together = []
        for _ in range(4):
            read, write = os.pipe()
            os.write(write, (PASSPHRASE + "\n").encode())
            os.close(write)
            together.append(subprocess.Popen([HEIRMARK, *map(str, verdict), "--passphrase-fd", str(read)], pass_fds=(read,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                             env=environment()))
            os.close(read)
        codes = {one.wait(timeout=60) for one in together}
        self.assertIn(0, codes)
        self.assertLessEqual(codes, {0, 5})
        self.run_ok("verify", folder / "bag")
        self.assertEqual([path.name for path in folder.iterdir() if path.name.startswith(".")], [])

    def test_what_a_kill_left_of_a_bag_goes_away(self):
        folder = self.copied()
        for name in (".bag.new", ".bag.old"):
            (folder / name / "data").mkdir(parents=True)
            (folder / name / "data/opening.json").write_text("half")
        self.run_ok("audit", "verdict", folder, "--opening", self.base / "opening.json", *self.auditor, passphrase=PASSPHRASE)
        self.run_ok("verify", folder / "bag")
        self.assertEqual([path.name for path in folder.iterdir() if path.name.startswith(".")], [])

    def test_another_keys_opening(self):
        folder = self.copied()
        other = ("--keystore", make_keystore(self.dir / "other"))
        call("key", "new", KEY, "--family-size", 4096, *other, passphrase=PASSPHRASE)
        call("key", "open", KEY, "--to", "x", "-o", self.dir / "other.json", *other, passphrase=PASSPHRASE)
        (folder / "opening.json").unlink()
        self.run_fails_here(1, "audit", "verdict", folder, "--opening", self.dir / "other.json")

    def test_another_signer(self):
        folder = self.dir / "case"
        self.plan(folder, "guilty")
        self.run_fails(4, "audit", "run", folder, "--signer", "nobody", *self.auditor, passphrase=PASSPHRASE, words="nobody")
        self.run_fails(4, "audit", "run", folder, *self.auditor, passphrase="wrong")

    def test_an_early_date_is_not_replaced_by_a_later_one(self):
        public = self.dir / "public"
        shutil.copytree(self.base / "public", public)
        store = ("--keystore", self.base / "provider-keys")
        before = {name: (public / "statements" / name).read_bytes() for name in ("commitment.dsse.json", "ledger.dsse.json")}
        time.sleep(1.1)  # dates are of seconds
        (public / "commitment.json").unlink()
        for command in (("key", "commit", KEY, "-o", public / "commitment.json"), ("key", "sign-ledger", public / "ledger.jsonl")):
            self.assertIn("kept", self.run_ok(*command, *store, passphrase=PASSPHRASE).err)
        self.assertEqual({name: (public / "statements" / name).read_bytes() for name in before}, before)
        self.assertEqual((public / "commitment.json").read_bytes(), (self.base / "public/commitment.json").read_bytes())
        # Nor by one of another signer, about another key, or about another ledger.
        call("key", "new", "acme-70b/2026-12", *store, passphrase=PASSPHRASE)
        call("key", "signer", "second", "-o", self.dir / "second.pem", *store, passphrase=PASSPHRASE)
        ledger = (public / "ledger.jsonl").read_text().splitlines(keepends=True)
        self.run_fails(2, "key", "commit", KEY, "--signer", "second", "-o", public / "commitment.json", *store, passphrase=PASSPHRASE, words="another key")
        self.run_fails(2, "key", "commit", "acme-70b/2026-12", "-o", public / "commitment.json", *store, passphrase=PASSPHRASE, words="other bytes")
        (public / "ledger.jsonl").write_text("".join(ledger[:-1]))
        self.run_fails(2, "key", "sign-ledger", public / "ledger.jsonl", *store, passphrase=PASSPHRASE, words="other bytes")
        self.assertEqual({name: (public / "statements" / name).read_bytes() for name in before}, before)

    def test_nothing_is_spent_on_what_cannot_become_evidence(self):
        def change(name, by):
            def changed(public):
                by(public / name)
            return changed

        def other_key(path):
            shutil.copy(self.base / "auditor.pem", path)

        def fewer_lines(path):
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))

        for name, public, words in (("key", change("trust/provider.pem", other_key), "statement.commitment.signature"),
                                    ("no-key", change("trust/provider.pem", pathlib.Path.unlink), "statement.commitment.signature"),
                                    ("ledger", change("ledger.jsonl", fewer_lines), "statement.ledger.subject"),
                                    ("hello", change("statements/commitment.dsse.json", lambda path: path.write_text("hello")), "statement.commitment.parse")):
            with self.subTest(name):
                self.planned(name, public, code=1, words=words)
        early = self.base / "early.json"
        early.write_text((self.base / "guilty.json").read_text().replace("2031-01-01", "2020-01-01"))
        self.planned("early", suspect="early", code=1, words="dates.release")
        # Statements that are not there yet may come; what is there has to be right.
        done = self.planned("later", lambda public: shutil.rmtree(public / "statements"))
        self.assertFalse((done / "statements/commitment.dsse.json").exists())

    def test_a_plan_that_was_touched_is_not_run(self):
        signed = self.planned()
        for name, by, code, words in (("unsigned", lambda case: (case / "statements/plan.dsse.json").unlink(), 1, "statement.plan.missing"),
                                      ("alpha", lambda case: (case / "plan.json").write_text((case / "plan.json").read_text().replace('"0.000001"', '"0.001"')), 1,
                                       "statement.plan.subject"),
                                      ("suspect", lambda case: (case / "suspect.json").write_text((case / "suspect.json").read_text().replace("2031", "2032")), 1, "plan.suspect")):
            with self.subTest(name):
                case = self.dir / name
                shutil.copytree(signed, case)
                by(case)
                self.run_fails_here(code, "audit", "run", case, words=words)
                self.assertFalse((case / "transcript").exists())
        call("key", "signer", "other", "-o", self.dir / "other.pem", *self.auditor, passphrase=PASSPHRASE)
        self.run_fails_here(4, "audit", "run", signed, "--signer", "other", words="another key")
        self.assertFalse((signed / "transcript").exists())

    def test_no_verdict_on_what_is_not_valid(self):
        for name, change, words in (("key", lambda case: shutil.copy(self.base / "auditor.pem", case / "trust/provider.pem"), "statement.commitment.signature"),
                                    ("none", lambda case: (case / "statements/ledger.dsse.json").unlink(), "statement.ledger.missing"),
                                    ("ledger", lambda case: (case / "ledger.jsonl").write_text(""), "plan.ledger")):
            with self.subTest(name):
                case = self.copied()
                shutil.rmtree(case / "bag")
                (case / "verdict.json").unlink()
                change(case)
                self.run_fails_here(1, "audit", "verdict", case, "--opening", self.base / "opening.json", words=words)
                self.assertFalse((case / "verdict.json").exists() or (case / "bag").exists())
                shutil.rmtree(case)

    def test_a_ledger_with_a_bad_line(self):
        bad = self.dir / "ledger.jsonl"
        lines = (self.base / "public/ledger.jsonl").read_text().splitlines(keepends=True)
        lines[2] = lines[2].replace('"seq":2', '"seq":7')
        bad.write_text("".join(lines))
        self.run_fails(3, "key", "sign-ledger", bad, "--keystore", self.base / "provider-keys", passphrase=PASSPHRASE, words=(str(bad), "3"))


if __name__ == "__main__":
    main()
