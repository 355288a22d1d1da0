"""Time stamps: asked for over HTTP or by hand, in a provider's folder and in a case, and what goes wrong."""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "../support")]
from authority import Authority, Served
from support import HERE, PASSPHRASE, Case, heirmark, main, make_keystore

KEY = "acme-70b/2026-11"


def utc():
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime())


class Stamps(Case):
    def setUp(self):
        super().setUp()
        self.keys = ("--keystore", make_keystore(self.dir / "keys"))
        self.authority, self.other = (Authority(self.dir / name, name) for name in ("one", "two"))
        self.public = self.dir / "public"
        self.run_ok("key", "new", KEY, "--family-size", 64, *self.keys, passphrase=PASSPHRASE)
        self.run_ok("key", "commit", KEY, "-o", self.public / "commitment.json", *self.keys, passphrase=PASSPHRASE)

    def served(self, authority=None):
        return Served(lambda request: (200, (authority or self.authority).answer(request, utc())))

    def case(self):
        """A case of prompts alone, from the folder public/."""
        (self.dir / "prompts.jsonl").write_text("".join(json.dumps({"tokens": [i, i + 1]}) + "\n" for i in range(8)))
        self.run_ok("audit", "suspect", "-o", self.dir / "suspect.json", "--released", "2049-01-01", "--", sys.executable, HERE / "suspect.py", 509)
        self.run_ok("audit", "plan", "--commitment", self.public / "commitment.json", "--suspect", self.dir / "suspect.json", "--prompts", self.dir / "prompts.jsonl", "--texts", 8,
                    "--tokens", 8, "--decoys", 15, "--controls", 1, "-o", self.dir / "case", *self.keys, passphrase=PASSPHRASE)
        return self.dir / "case"

    def codes(self, bag, *options):
        report = json.loads(heirmark("verify", bag, "--json", *options).out)
        return report["state"], {(c["code"], c["level"]): c["detail"] for c in report["codes"]}

    def test_from_the_commitment_to_the_bag(self):
        with self.served() as one, self.served(self.other) as two:
            self.run_fails(2, "stamp", "get", self.public, "--authority", one.url, "--authority", one.url, words="another one")
            urls = ("--authority", one.url + "/tsa/", "--authority", two.url)
            said = self.run_ok("stamp", "get", self.public, *urls).err.splitlines()
            self.assertEqual(len(said), 2, said)
            self.assertRegex(said[0], r"^stamped    .*/stamps/commitment-1\.tsr, not later than \S+Z, by CN=one$")
            self.assertEqual([path for path, _, _ in one.requests + two.requests], ["/tsa/", "/"])
            self.assertEqual({fields["Content-Type"] for _, fields, _ in one.requests}, {"application/timestamp-query"})
            kept = (self.public / "stamps/commitment-1.tsr").read_bytes()
            said = self.run_ok("stamp", "get", self.public, *urls).err.splitlines()
            self.assertEqual([line.split()[0] for line in said], ["kept", "kept"])
            self.assertTrue(said[1].endswith(", by CN=two"))
            self.run_fails(2, "stamp", "get", self.public, "--authority", two.url, "--authority", two.url + "/", words="another one")
            self.assertEqual(len(one.requests), 1)

            case = self.case()
            self.assertEqual((case / "stamps/commitment-1.tsr").read_bytes(), kept)
            self.run_ok("stamp", "get", case, *urls)
            self.run_ok("audit", "run", case, *self.keys, passphrase=PASSPHRASE)
            self.run_ok("stamp", "get", case, *urls)
            time.sleep(1.1)  # so that the verdict is of a later second
            self.run_ok("key", "open", KEY, "--to", "x", "-o", self.dir / "opening.json", *self.keys, passphrase=PASSPHRASE)
            self.run_ok("audit", "verdict", case, "--opening", self.dir / "opening.json", *self.keys, passphrase=PASSPHRASE)
            state, codes = self.codes(case / "bag", "--trust-authority", self.other.root)
            self.assertEqual(state, "valid", codes)
            self.assertIn(("trust.stamps", "ok"), codes)
            self.assertIn(("dates.stamped", "ok"), codes, codes.get(("dates.stamped", "note")))
            self.assertNotIn(("stamp.verdict.signature", "ok"), codes)
            # The verdict's stamp comes behind the bag, which is packed anew, and the report with it.
            said = self.run_ok("stamp", "get", case, *urls).err
            self.assertIn("packed ", said)
        state, codes = self.codes(case / "bag", "--trust-authority", self.authority.root)
        self.assertEqual((state, ("stamp.verdict.signature", "ok") in codes), ("valid", True))
        report = (case / "report.html").read_text()
        self.assertIn("CN=one", report)
        self.assertIn("in order (stamped)", report)
        self.assertNotIn("no time stamp of a third party", report)
        # Whoever trusts neither has a valid bag that others stamped; whoever asks for nothing is told so.
        stranger = Authority(self.dir / "three", "three")
        done = heirmark("verify", case / "bag", "--trust-authority", stranger.root)
        self.assertEqual(done.code, 1)
        self.assertIn("note  trust.unstamped  no time stamp of an authority that you trust: commitment, plan, transcript\n", done.out)
        self.assertIn("VALID-BUT-UNTRUSTED", done.out)
        self.assertIn("trust.stamps-unpinned", self.run_ok("verify", case / "bag").out)
        # OpenSSL finds the same.
        for name in ("commitment", "plan", "transcript", "verdict"):
            for slot, authority in ((1, self.authority), (2, self.other)):
                data = case / "bag/data"
                done = subprocess.run(["openssl", "ts", "-verify", "-data", data / f"statements/{name}.dsse.json", "-in", data / f"stamps/{name}-{slot}.tsr", "-CAfile", authority.root],
                                      capture_output=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
        # A verdict that is made again has another statement: its stamps go.
        self.run_ok("audit", "verdict", case, "--opening", self.dir / "opening.json", *self.keys, passphrase=PASSPHRASE)
        self.assertEqual(sorted(path.name for path in (case / "stamps").iterdir()), [f"{name}-{slot}.tsr" for name in ("commitment", "plan", "transcript") for slot in (1, 2)])
        # Of two authorities one fails: what the other gave is in the bag all the same, and a broken stamp spoils no good bag.
        with self.served() as one, Served(lambda request: (500, b"")) as broken:
            self.assertEqual(heirmark("stamp", "get", case, "verdict", "--authority", one.url, "--authority", broken.url).code, 5)
        self.assertTrue((case / "bag/data/stamps/verdict-1.tsr").exists())
        self.assertEqual(self.codes(case / "bag", "--trust-authority", self.authority.root)[0], "valid")
        with Served(lambda request: (500, b"")) as broken, self.served() as one:  # the other way round, too, and the broken one is asked once
            self.assertEqual(heirmark("stamp", "get", case, "--authority", broken.url, "--authority", one.url).code, 0)  # all of the first are there
            (case / "stamps").rename(case / "lost")
            early = (case / "bag/data/stamps/plan-1.tsr").read_bytes()
            self.assertEqual(heirmark("stamp", "get", case, "plan", "--authority", broken.url).code, 0)  # what only the bag has comes back, and is kept
            self.assertEqual((case / "stamps/plan-1.tsr").read_bytes(), early)
            self.assertEqual(sorted(path.name for path in (case / "stamps").iterdir()), sorted(path.name for path in (case / "bag/data/stamps").iterdir()))
            self.assertEqual(broken.requests, [])
            shutil.rmtree(case / "lost")
        # A verdict that was being made when it was killed: the bag is of the one before, and stays.
        verdict, bag = (case / "verdict.json").read_bytes(), (case / "bag/manifest-sha256.txt").read_bytes()
        (case / "verdict.json").write_bytes(verdict.replace(b'"type"', b'"typ "'))
        (case / "stamps/verdict-2.tsr").unlink()
        (case / "bag/data/stamps/verdict-2.tsr").unlink()
        with self.served() as one, self.served(self.other) as two:
            said = self.run_ok("stamp", "get", case, "verdict", "--authority", one.url, "--authority", two.url).err
        self.assertIn("stays as it is", said)
        self.assertEqual((case / "bag/manifest-sha256.txt").read_bytes(), bag)
        (case / "verdict.json").write_bytes(verdict)
        # A report that was not written any more is.
        (case / "report.html").unlink()
        with self.served() as one:
            self.assertIn("packed", self.run_ok("stamp", "get", case, "verdict", "--authority", one.url).err)
        self.assertTrue((case / "report.html").exists())
        self.assertEqual(self.codes(case / "bag", "--trust-authority", self.authority.root)[0], "valid")
        (case / "stamps/plan-1.tsr").write_bytes(b"junk")
        with self.served() as one:
            done = heirmark("stamp", "get", case, "verdict", "--authority", one.url)
            self.assertEqual(done.code, 1, done.err)
            self.assertIn("stamp.plan.parse: stamps/plan-1.tsr", done.err)
            self.assertEqual(self.codes(case / "bag")[0], "valid")
            self.run_fails(3, "stamp", "get", case, "plan", "--authority", one.url, words="plan-1.tsr")
        self.assertEqual(self.codes(case / "bag")[0], "valid")

    def test_by_hand(self):
        request, reply = self.dir / "c.tsq", self.dir / "c.tsr"
        self.run_ok("stamp", "request", self.public, "commitment", "-o", request)
        text = subprocess.run(["openssl", "ts", "-query", "-in", request, "-text"], capture_output=True, check=True).stdout.decode()
        for word in ("Hash Algorithm: sha256", "Certificate required: yes", "Nonce: 0x"):
            self.assertIn(word, text)
        reply.write_bytes(self.authority.answer(request.read_bytes(), utc()))
        other = self.dir / "other.tsq"
        self.run_ok("stamp", "request", self.public, "commitment", "-o", other)
        self.run_fails(1, "stamp", "add", self.public, "commitment", "--reply", reply, "--request", other, words=("other.tsq", "answers another request"))
        self.run_fails(3, "stamp", "add", self.public, "commitment", "--reply", reply, "--request", reply, words=("c.tsr", "not a request"))
        self.run_fails(3, "stamp", "add", self.public, "plan", "--reply", reply, words=("plan.dsse.json", "not signed yet"))
        self.run_ok("stamp", "add", self.public, "commitment", "--reply", reply, "--request", request)
        self.run_fails(2, "stamp", "add", self.public, "commitment", "--reply", reply, words="is this very stamp")
        second = self.other.answer(request.read_bytes(), utc())
        self.run_ok("stamp", "add", self.public, "commitment", "--reply", "-", stdin=second)
        self.assertEqual((self.public / "stamps/commitment-2.tsr").read_bytes(), second)
        self.run_fails(2, "stamp", "add", self.public, "commitment", "--reply", reply, words="2 time stamps already")
        self.run_fails(2, "stamp", "add", self.public, "commitment", "--slot", 2, "--reply", reply, words="is not replaced")

    def test_wrong(self):
        nothing = self.dir / "nothing"
        nothing.mkdir()
        add = ("stamp", "add", self.public, "commitment", "--reply")
        for code, words, arguments in (
                (2, "--authority is needed", ("get", self.public)), (2, "at most 2 authorities", ("get", self.public, *["--authority", "http://x"] * 3)),
                (2, "expected http:// or https://", ("get", self.public, "--authority", "ftp://x")), (3, "no statement of the provider", ("get", nothing, "--authority", "http://x")),
                (3, "the object is not signed yet", ("get", self.public, "plan", "--authority", "http://x")), (2, "is not commitment", ("get", self.public, "opening", "--authority", "http://x")),
                (3, "plan.dsse.json", ("request", self.public, "plan", "-o", self.dir / "x")), (3, "no such file", ("add", self.public, "commitment", "--reply", self.dir / "x"))):
            self.run_fails(code, "stamp", *arguments, words=words if words != "no such file" else "/x")
        statement = (self.public / "statements/commitment.dsse.json").read_bytes()
        good = self.authority.stamp_bytes(statement, utc())
        for code, words, data in ((3, "not the reply of a time-stamping authority", b"<html>no</html>"), (3, "not the reply", b""), (3, "not the reply", good + b"\n"),
                                  (1, "about other bytes", self.authority.stamp_bytes(b"x", utc())), (1, "does not check", good[:-8] + bytes(8)),
                                  (1, "does not check", self.authority.stamp_bytes(statement, "20190101000000Z"))):
            self.run_fails(code, *add, "-", stdin=data, words=("standard input", words))
        self.assertFalse((self.public / "stamps").exists())

        refusal = bytes.fromhex("3012 3010 020102 300b 0c09") + b"bad alg\x1b!"
        replies = {"status 404": (404, b"x"), "redirect": (302, b""), "not the reply": (200, b"x"), "did not grant a time stamp: bad alg?!": (200, refusal),
                   "answers another request": (200, good), "other bytes": None}
        for words, reply in replies.items():
            with Served(lambda request, reply=reply: reply or (200, self.authority.answer(request.replace(request[24:56], bytes(32)), utc()))) as server:
                code = 5 if reply and reply[0] != 200 else 3 if words.startswith(("not", "did")) else 1
                self.run_fails(code, "stamp", "get", self.public, "--authority", server.url, words=(words, "127.0.0.1"))
        for when in ("20250101000000Z", "20480101000000Z"):
            with Served(lambda request, when=when: (200, self.authority.answer(request, when))) as wrong:
                self.run_fails(1, "stamp", "get", self.public, "--authority", wrong.url, words=("its time is", when[:4]))
        self.run_fails(5, "stamp", "get", self.public, "--authority", server.url, words="127.0.0.1")  # nobody answers any more
        self.assertFalse((self.public / "stamps").exists())
        bag = self.dir / "bag"
        bag.mkdir()
        self.run_fails(3, "verify", bag, "--trust-authority", self.public / "commitment.json", words=("commitment.json", "no certificate in PEM"))


if __name__ == "__main__":
    main()
