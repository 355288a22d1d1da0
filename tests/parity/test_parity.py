"""`heirmark` against second_verifier.py on fresh inputs: marks, texts, bags, damaged bags, a whole audit. HEIRMARK names the command.

Inputs follow from fixed seeds, but for the keys, the plan's id and so the queries of the one audit that the command makes itself."""
import base64
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import bags
import second_verifier as sv

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import authority

HEIRMARK = os.environ.get("HEIRMARK", "")
PROFILES = list(sv.PROFILES)
SUSPECT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli/suspect.py")


def command(*args, secret=None, status=0):
    """Standard output of the command, which must exit with one of `status`."""
    args, passed = [HEIRMARK] + [str(a) for a in args], ()
    if secret is not None:
        out, into = os.pipe()
        os.write(into, secret + b"\n")
        os.close(into)
        args, passed = args + ["--passphrase-fd", str(out)], (out,)
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, pass_fds=passed)
    for descriptor in passed:
        os.close(descriptor)
    if done.returncode not in ((status,) if isinstance(status, int) else status):
        raise AssertionError(f"{args}: exit status {done.returncode}\n{done.stderr.decode()}")
    return done.stdout


def jsonl(lines):
    return "".join(json.dumps(line) + "\n" for line in lines)


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def demo_logits(vocab, tokens):
    """Logits of `mark`'s demonstration model (specs/cli.md)."""
    a, b = ([sv.NONE, sv.NONE] + tokens)[-2:]
    x = ((a << 32 | b) + 0x9E3779B97F4A7C15) % 2 ** 64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2 ** 64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2 ** 64
    h = x ^ x >> 31
    return [float32(-1.5 * math.log(1 + (1048583 * v + h) % vocab)) for v in range(vocab)]


class Folder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="heirmark-parity-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def path(self, name, data=None):
        path = os.path.join(self.folder, name)
        if data is not None:
            with open(path, "wb" if isinstance(data, bytes) else "w") as file:
                file.write(data)
        return path


class Mark(Folder):
    """Tokens of `heirmark mark` against the reference sampler."""

    def check(self, profile, vocab, tokens, texts=2, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, mode="marked", prompts=(), account="default"):
        opening = bags.make_opening("mark " + profile, profile, 64, 41)
        prompts = [list(p) for p in prompts] or [[]]
        seed, extra = 2 ** 61 + vocab, []
        if any(prompts):
            extra = ["--prompt", self.path("prompts", jsonl({"tokens": p} for p in prompts))]
        ledger = self.path("ledger")
        if temperature and mode != "greedy":
            extra += ["--ledger", ledger]
        out = command("mark", "--opening", self.path("opening.json", opening), "--vocab", vocab, "--tokens", tokens, "--texts", texts, "--temperature",
                      temperature, "--top-k", top_k, "--top-p", top_p, "--min-p", min_p, "--mode", mode, "--account", account, "--seed", seed,
                      *extra)
        key = sv.Key(sv.read_opening(opening))
        lines = [json.loads(line) for line in out.splitlines()]
        issued = sv.read_ledger(sv.read_file(ledger), vocab) if "--ledger" in extra else [None] * texts
        self.assertEqual((len(lines), len(issued)), (texts, texts))
        for i, (line, response) in enumerate(zip(lines, issued)):
            request, prompt = seed.to_bytes(8, "big") + i.to_bytes(4, "big"), prompts[i % len(prompts)]
            sampler = sv.Sampler(key.profile, key.family.coin, key.family.windows(key.live), key.family.issuance(key.live, account), request, prompt)
            counts = {"marked": 0, "issued": 0, "unmarked": 0}
            for _ in range(tokens):
                status, _ = sampler.sample(demo_logits(vocab, sampler.tokens), float32(temperature), float32(min_p), top_k, float32(top_p), mode)
                counts[status] += 1
            self.assertEqual(line["tokens"], sampler.tokens)
            self.assertEqual((line["prompt_tokens"], line["request_id"]), (len(prompt), request.hex()))
            self.assertEqual((line["window"], line["issued"], line["unmarked"]), (counts["marked"], counts["issued"], counts["unmarked"]))
            if response is None:
                continue
            self.assertEqual((response["prompt"], response["tokens"], response["request_id"], response["account"]),
                             (prompt, sampler.tokens[len(prompt):], request.hex(), account))

    def test_profiles(self):
        for profile in PROFILES:
            self.check(profile, 700, 12, prompts=[[1, 2, 3, 4, 5], [], [699]])

    def test_parameters(self):
        self.check("standard-2026-11", 3001, 8, temperature=0.7, top_k=40, top_p=0.9, min_p=0.01, account="birch-2")
        self.check("greenlist-2026-11", 2047, 8, temperature=0)
        self.check("tournament-2026-11", 2049, 6, temperature=1.5, top_p=0.95)
        self.check("window-only-2026-11", 1, 6)
        self.check("standard-2026-11", 50, 6, mode="issuance")
        self.check("standard-2026-11", 50, 6, mode="greedy")


class Detect(Folder):
    def check(self, opening, lines, rule="distinct", decoys=0, vocab=None):
        tokens = self.path("tokens.jsonl", lines if isinstance(lines, str) else jsonl(lines))
        got = json.loads(command("detect", tokens, "--opening", self.path("opening.json", opening), "--count-rule", rule, "--decoys", decoys, "--json",
                                 *([] if vocab is None else ["--vocab", vocab])))
        with open(tokens, "rb") as file:
            expected = sv.detect(sv.read_token_file(file.read()), sv.read_opening(opening), decoys, rule)
        for name in expected:
            self.assertEqual(got[name], expected[name], (name, rule, decoys))
        self.assertEqual(set(got), set(expected))
        return got

    def marked(self, profile, opening, texts, tokens, vocab):
        out = command("mark", "--opening", self.path("opening.json", opening), "--vocab", vocab, "--tokens", tokens, "--texts", texts, "--seed", 11,
                      "--prompt", self.path("prompts", jsonl({"tokens": p} for p in ([5], [], [9, 8, 7, 6, 5, 4], [5, 5]))))
        return [json.loads(line) for line in out.splitlines()]

    def test_marked(self):
        for profile in PROFILES:
            opening = bags.make_opening("detect " + profile, profile, 32, 30)
            lines = self.marked(profile, opening, 10, 40, 40)
            for rule, decoys in (("distinct", 7), ("sqrt2", 0), ("log2", 3)):
                got = self.check(opening, lines, rule, decoys)
                if profile == "window-only-2026-11" and rule == "distinct":
                    self.assertLess(got["log10_p_prf"], -10)

    def test_odd(self):
        rng, top = random.Random(17), 2 ** 20
        odd = [[{"tokens": []}], [{"tokens": [], "prompt_tokens": 0}] * 3, [{"tokens": [1, 2, 3], "prompt_tokens": 3}], [{"tokens": [0]}],
               [{"tokens": [7] * 40}], [{"tokens": [1, 2, 3, 1, 2, 3, 1, 2]}] * 4, [{"tokens": [top - 1, top - 2048, top - 1, 0, 2047, 2048], "note": [None]}],
               [{"tokens": [4, 5, 6, 7, 8]}, {"tokens": [4, 5, 6, 9], "prompt_tokens": 3}, {"tokens": [4, 5, 6, 7, 8], "prompt_tokens": 1}],
               [{"tokens": [rng.randrange(top - 3000, top) for _ in range(30)], "prompt_tokens": rng.randrange(6)} for _ in range(3)],
               [{"tokens": [rng.randrange(6) for _ in range(30)], "prompt_tokens": rng.randrange(3)} for _ in range(8)]]
        for profile in PROFILES:
            opening = bags.make_opening("odd " + profile, profile, 16, 15)
            for lines in odd:
                self.check(opening, lines, decoys=rng.randrange(3))
                self.check(opening, lines, rng.choice(("sqrt2", "log2")), decoys=rng.randrange(3))

    def test_layout(self):
        opening = bags.make_opening("layout", "window-only-2026-11", 16, 3)
        for text in ('{"tokens":[1]}', '{"tokens":[1]}\n\n\n', '{"tokens":[1]}\r\n{"tokens":[2]}\r\n', '  {"tokens" : [ 1 ,-0] }\t\n', '{"t\\u006fkens":[7]}\n',
                     '{"tokens":[1],"x":{"tokens":1,"tokens":2},"\u00e9":1.5e3,"x":null}\n'):
            with self.subTest(text):
                self.check(opening, text)

    def test_refused(self):
        opening = bags.make_opening("refused", "standard-2026-11", 16, 0)
        path = self.path("opening.json", opening)
        for text, vocab in (('{"tokens":[1048576]}', None), ('{"tokens":[5000]}', 5000), ('{"tokens":[-1]}', None), ('{"tokens":[1],"prompt_tokens":2}', None),
                            ('{"tokens":[1.0]}', None), ('{"prompt_tokens":0}', None), ("[]", None), ('{"tokens":[1]', None), ('{"tokens":"1"}', None),
                            ('{"tokens":[1],"prompt_tokens":-1}', None), ('{"tokens":[1]}\n\n{"tokens":[2]}', None), ('{"tokens":[1]}\n \n', None),
                            ('{"tokens":[1],"x":NaN}', None), ('\ufeff{"tokens":[1]}', None), ('{"tokens":[1e0]}', None), ('{"tokens":[1],}', None),
                            ('{"tokens":[1],"prompt_tokens":null}', None), ('{"tokens":[1],"x":' + "[" * 40 + "]" * 40 + "}", None), ('{"tokens":[true]}', None), ('{"tokens":[1],"tokens":[2]}', None)):
            with self.subTest(text):
                extra = [] if vocab is None else ["--vocab", vocab]
                self.assertEqual(command("detect", self.path("tokens", text + "\n"), "--opening", path, "--json", *extra, status=3), b"")
                with self.assertRaises(sv.Bad):
                    sv.read_token_file(text.encode(), vocab or sv.VOCAB)
        for text in ("", "\n\n"):
            self.assertEqual(command("detect", self.path("tokens", text), "--opening", path, "--json", status=3), b"")
            with self.assertRaises(sv.Bad):
                sv.detect(sv.read_token_file(text.encode()), sv.read_opening(opening), 0, "distinct")


def two_accounts(folder, opening, vocab, texts, tokens):
    """A ledger of two accounts, made by the command, and its texts."""
    responses = []
    path = os.path.join(folder, "opening")
    with open(path, "wb") as file:
        file.write(opening)
    with open(os.path.join(folder, "prompts"), "w") as file:
        file.write(jsonl({"tokens": p} for p in ([1, 2], [], [3, 1, 2, 9, 4])))
    for seed, account in ((1, "acme"), (2, "birch")):
        command("mark", "--opening", path, "--vocab", vocab, "--tokens", tokens, "--texts", texts, "--seed", seed, "--account", account, "--ledger",
                os.path.join(folder, "ledger"), "--ledger-top", 6, "--prompt", os.path.join(folder, "prompts"), "-o", os.path.join(folder, "text"))
        with open(os.path.join(folder, "ledger")) as file:
            responses += [json.loads(line) for line in file]
    responses = responses[::2] + responses[1::2]
    for number, response in enumerate(responses):
        response["seq"] = number
    return b"".join(map(sv.canonical, responses)), [r["prompt"] + r["tokens"] for r in responses]


def example_bags(folder):
    """Valid bags of all channels, by name."""
    prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [11, 12]]
    c1 = {"channel": "c1", "weight": 1000000, "texts": 6, "tokensPerText": 30, "countRule": "distinct", "decoys": 9, "temperatureMilli": 1000}
    out = {}
    opening = bags.make_opening("bag standard", "standard-2026-11", 64, 63)
    ledger, texts = two_accounts(folder, opening, 50, 8, 14)
    three = [c1 | {"weight": 300000}, {"channel": "c2", "weight": 200001, "samples": 3}, {"channel": "c3", "weight": 499999, "top": 7}]
    out["all"] = bags.make_bag("all", opening, three, ledger, prompts, vocab=50, fit=4, controls=2, student_texts=texts, share=0.9, multiplicity=2)
    out["weak"] = bags.make_bag("weak", opening, three[1:2] + [three[2] | {"weight": 799999}], ledger, vocab=50, context=12, controls=0, share=0.0,
                                signers=(bags.Signer("one", "p256"),) * 2, released="")
    flat = [sv.canonical({"account": "a", "phat": [[[v, 2 ** 32 // 14] for v in range(14)]] * 3, "prompt": [1] * d, "request_id": f"{d:024x}", "seq": d,
                          "time": "2026-11-05T10:00:00Z", "tokens": [3, 4, 5]}) for d in range(2)]
    out["flat"] = bags.make_bag("flat", opening, [{"channel": "c3", "weight": 1000000, "top": 20}], b"".join(flat), vocab=14, fit=1)
    out["silent"] = bags.make_bag("silent", opening, [three[1] | {"weight": 9263}, three[2] | {"weight": 990737}], b"".join(flat), vocab=14, context=1)
    opening = bags.make_opening("bag green", "greenlist-2026-11", 16, 0)
    out["green"] = bags.make_bag("green", opening, [c1 | {"countRule": "log2", "decoys": 0}], prompts=prompts, vocab=20, student_texts=[[1, 2, 3, 4, 1, 2, 3]],
                                 controls=3)
    opening = bags.make_opening("bag deep", "tournament-2026-11", 32, 9)
    out["deep"] = bags.make_bag("deep", opening, [c1 | {"countRule": "sqrt2"}], prompts=prompts[:1], vocab=9, student_texts=[[1, 2, 3, 4, 1, 2, 3]],
                                signers=(bags.Signer("one", "p256"), bags.Signer("two")), controls=1, attempt=2, multiplicity=7, weights="0" * 64)
    return out


class Bags(Folder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bags = example_bags(cls.folder)

    def compare(self, folder, trust=(), what="", authorities=()):
        """Both verifiers say the same of a bag: state, the result of every check, and what they repeat of it."""
        options = [word for path in trust for word in ("--trust", path)] + [word for path in authorities for word in ("--trust-authority", path)]
        got = json.loads(command("verify", folder, "--json", *options, status=(0, 1)))
        expected = sv.Verification(folder, [sv.read_file(path) for path in trust], [sv.read_file(path) for path in authorities]).report()
        codes = [{(c["code"], c["level"]) for c in report["codes"]} for report in (got, expected)]
        self.assertEqual(codes[0], codes[1], what)
        for name in ("state", "planId", "outcome", "log10_p", "log10_e"):
            self.assertEqual(got[name], expected[name], (what, name))
        return got

    def test_valid(self):
        for name, raw in self.bags.items():
            got = self.compare(bags.write_bag(self.path("valid-" + name), raw), what=name)
            self.assertEqual(got["state"], "valid", got)
        keys = [self.path(name, self.bags["all"][f"trust/{name}.pem"]) for name in ("provider", "auditor")]
        self.assertEqual(self.compare(self.path("valid-all"), keys)["state"], "valid")
        self.assertEqual(self.compare(self.path("valid-all"), keys[:1])["state"], "valid-but-untrusted")

    def damaged(self, number, raw, what, tags=None):
        folder = bags.write_bag(self.path(f"damaged-{number}"), raw, tags)
        got = self.compare(folder, what=what)
        shutil.rmtree(folder)
        return got["state"]

    def test_flips(self):
        """One bit of one file; then the same with the tag files made anew."""
        rng, number = random.Random(23), 0
        for name in ("all", "deep"):
            raw = self.bags[name]
            for path in sorted(raw):
                data = bytearray(raw[path])
                at = rng.randrange(len(data))
                data[at] ^= 1 << rng.randrange(7)
                changed = raw | {path: bytes(data)}
                for tags in (sv.tag_files(raw, "2026-12-11", json.loads(raw["plan.json"])["planId"]), None):
                    self.assertEqual(self.damaged(number, changed, (name, path, at, tags is None), tags), "invalid")
                    number += 1

    def test_swaps(self):
        """An object of another valid bag, with the tag files made anew; then also with all statements made anew."""
        number, signers = 1000, (bags.Signer("provider"), bags.Signer("auditor", "p256"))
        for one, other in (("all", "weak"), ("deep", "green")):
            raw = self.bags[one]
            for path in sorted(set(raw) & set(self.bags[other])):
                changed = raw | {path: self.bags[other][path]}
                if changed[path] == raw[path]:
                    continue
                self.damaged(number, changed, (one, other, path))
                if not path.startswith(("statements/", "trust/")):
                    bags.sign_all(changed, signers)
                    self.assertEqual(self.damaged(number + 1, changed, (one, other, path, "signed")), "invalid")
                number += 2

    def test_shapes(self):
        """Files too many, missing, of another kind; signers, dates and statements that are not as they should be."""
        raw, signers = self.bags["flat"], (bags.Signer("provider"), bags.Signer("auditor", "p256"))

        def resigned(**changes):
            out = dict(raw)
            bags.sign_all(out, changes.pop("signers", signers), bags.DATES | changes)
            return out
        plan = raw["plan.json"]
        payloads = {
            "extra": raw | {"more.json": b"{}\n"}, "unused": raw | {"prompts.jsonl": b""}, "one signer": resigned(signers=(signers[0],) * 2),
            "late ledger": resigned(ledger="2026-12-02T00:00:00Z"), "late plan": resigned(plan="2026-12-10T10:00:02Z"),
            "early commitment": resigned(commitment="2020-02-29T23:59:59Z"), "no such day": resigned(verdict="2027-02-29T00:00:00Z"),
            "other signer": raw | {"trust/provider.pem": bags.Signer("x").public}, "no key": raw | {"trust/provider.pem": b"-----BEGIN PUBLIC KEY-----\n"},
            "plan": raw | {"plan.json": plan.replace(b'"stop":"fixed"', b'"stop":"later"')}, "space": raw | {"plan.json": plan.replace(b":", b": ", 1)},
            "statement of another": raw | {"statements/plan.dsse.json": raw["statements/verdict.dsse.json"]},
            "nothing": {}, "all records": raw | {"ledger.jsonl": raw["ledger.jsonl"].replace(b"[3,4,5]", b"[3,4,6]")}}
        statement, _, _, _ = sv.read_statement("plan", raw["statements/plan.dsse.json"])
        for what, signer in (("no signer", ""), ("long signer", "x" * 4097), ("another signer", "x" * 4096), ("signer of no ASCII", "\u00e9")):
            payloads[what] = raw | {"statements/plan.dsse.json": signers[1].envelope(statement | {"predicate": statement["predicate"] | {"signer": signer}})}
        payloads |= {"without " + path: {p: d for p, d in raw.items() if p != path} for path in raw}
        for number, (what, payload) in enumerate(payloads.items()):
            state = self.damaged(2000 + number, payload, what)
            self.assertEqual(state, "valid" if what in ("one signer", "early commitment") else "invalid", what)
        for number, name in enumerate(sv.TAG_FILES):
            for data in (None, b"", bags.tags_of(raw)[name] + b"\n"):
                tags = {n: d for n, d in (bags.tags_of(raw) | {name: data}).items() if d is not None}
                if data and name != "tagmanifest-sha256.txt":
                    tags["tagmanifest-sha256.txt"] = sv.manifest("", {n: tags[n] for n in sv.TAG_FILES[:3]})
                self.assertEqual(self.damaged(3000 + number, raw, (name, data), tags), "invalid")
        folder = bags.write_bag(self.path("links"), raw)
        for path, target in (("data/plan.json", "../bagit.txt"), ("data/link", "plan.json"), ("more", "data")):
            if os.path.exists(os.path.join(folder, path)):
                os.remove(os.path.join(folder, path))
            os.symlink(target, os.path.join(folder, path))
        os.mkdir(os.path.join(folder, "data/empty"))
        self.assertEqual(self.compare(folder)["state"], "invalid")


    def test_stamps_made_by_hand(self):
        """Form and vouching of tests/support/replies.json, as the second verifier sees them. openssl's command asks less in three of them: what else a certificate may be used for."""
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support/replies.json")) as file:
            document = json.load(file)
        message, root, laxer = document["message"].encode(), document["root"].encode(), {"24inter eku serverAuth", "25leaf eku ts plus unknown", "26leaf eku ts plus any"}
        forms = vouched = 0
        for one in document["replies"]:
            reply = base64.b64decode(one["reply"])
            with self.subTest(one["name"]):
                try:
                    stamp = sv.Stamp(reply)
                except sv.Bad as error:
                    self.assertFalse(one["form"], error)
                    continue
                self.assertTrue(one["form"])
                self.assertEqual(stamp.time, one["time"])
                forms += 1
                if one["name"] not in laxer and stamp.about(message):
                    self.assertEqual(sv.stamp_checks(reply, stamp.generated, message, root), one["vouched"])
                    vouched += one["vouched"]
        self.assertEqual((forms, vouched), (64, 21))

    def test_stamps(self):
        """Time stamps of two authorities: right, late, early, of other bytes, torn, at every statement or at some."""
        raw, number = self.bags["all"], 0
        one, two = (authority.Authority(self.path(name), name) for name in ("one", "two"))

        def stamp(name, time, by=one, slot=1, of=None):
            return {f"stamps/{name}-{slot}.tsr": by.stamp_bytes(raw[f"statements/{of or name}.dsse.json"], time)}
        times = {name: bags.DATES[name].replace("-", "").replace(":", "").replace("T", "") for name in sv.ROLES}
        full = {path: data for name in sv.ROLES for path, data in stamp(name, times[name]).items()}
        first = full["stamps/plan-1.tsr"]
        cases = {
            "all": (full, "valid"), "none": ({}, "valid-but-untrusted"), "one": (stamp("plan", times["plan"]), "valid-but-untrusted"),
            "no verdict": ({path: data for path, data in full.items() if "verdict" not in path}, "valid"),
            "other authority": (full | stamp("plan", times["plan"], two), "valid-but-untrusted"),
            "both": (full | stamp("plan", "20200101000001Z", two, 2), "valid"), "late plan": (full | stamp("plan", "20270101000000Z"), "valid"),
            "early plan": (full | stamp("plan", "20261210095959Z"), "valid"), "fraction": (full | stamp("plan", times["plan"][:-1] + ".001Z"), "valid"),
            "late ledger": (full | stamp("ledger", "20290101000000Z"), "valid"), "earlier in slot 2": (full | stamp("plan", "20290101000000Z") | stamp("plan", times["plan"], slot=2), "valid"),
            "other bytes": (full | stamp("plan", times["plan"], of="verdict"), "invalid"), "before the certificate": (full | stamp("plan", "20190101000000Z"), "invalid"),
            "no time": (full | stamp("plan", "20261310095959Z"), "invalid"), "zone": (full | stamp("plan", "20261210100000+0000"), "invalid"),
            "empty": (full | {"stamps/plan-1.tsr": b""}, "invalid"), "torn": (full | {"stamps/plan-1.tsr": first[:-1]}, "invalid"),
            "more": (full | {"stamps/plan-1.tsr": first + b"0"}, "invalid"), "another's signature": (full | {"stamps/plan-1.tsr": first[:-8] + bytes(8)}, "invalid"),
            "third": (full | {"stamps/plan-3.tsr": first}, "invalid")}
        for what, (stamps, state) in cases.items():
            folder = bags.write_bag(self.path(f"stamped-{number}"), raw | stamps)
            number += 1
            got = self.compare(folder, what=what, authorities=[one.root])
            self.assertEqual(got["state"], state, what)
            got = self.compare(folder, what=what)
            self.assertEqual(got["state"], "invalid" if state == "invalid" else "valid", what)
            self.compare(folder, what=what, authorities=[two.root, one.root])
        without = {path: data for path, data in raw.items() if path != "statements/ledger.dsse.json"} | full
        self.assertEqual(self.compare(bags.write_bag(self.path("unsigned"), without))["state"], "invalid")


class Audit(Folder):
    """A whole audit by the command, its verdict computed again."""

    def test_audit(self):
        secret, keystore = b"correct horse", ["--keystore", self.path("keys")]
        public, case = self.path("public"), self.path("case")
        os.mkdir(public)
        vocab = 151
        command("key", "new", "acme-70b", "--epoch", "2026-11", "--family-size", 64, *keystore, secret=secret)
        command("key", "commit", "acme-70b/2026-11", "-o", public + "/commitment.json", *keystore, secret=secret)
        command("key", "open", "acme-70b/2026-11", "--to", "parity", "-o", self.path("opening.json"), *keystore, secret=secret)
        ledger, texts = two_accounts(self.folder, sv.read_file(self.path("opening.json")), vocab, 6, 16)
        self.path("public/ledger.jsonl", ledger)
        command("key", "sign-ledger", public + "/ledger.jsonl", *keystore, secret=secret)
        command("audit", "suspect", "-o", self.path("suspect.json"), "--", sys.executable, "-B", SUSPECT, vocab, "--learned", public + "/ledger.jsonl")
        command("audit", "plan", "--commitment", public + "/commitment.json", "--ledger", public + "/ledger.jsonl", "--prompts",
                self.path("prompts.jsonl", jsonl({"tokens": t[:3]} for t in texts)), "--suspect", self.path("suspect.json"), "--texts", 8, "--tokens", 20,
                "--decoys", 11, "--samples", 2, "--top", 5, "--fit", 2, "--controls", 2, "--alpha", "0.01", "-o", case, *keystore, secret=secret)
        command("audit", "run", case, *keystore, secret=secret)
        command("audit", "verdict", case, "--opening", self.path("opening.json"), *keystore, secret=secret)
        result = sv.Verification(case + "/bag")
        self.assertEqual([c for c in result.codes if c[1] == "fail"], [])
        self.assertEqual(sv.read_file(case + "/verdict.json"), sv.Case(result.raw).verdict(result.parsed["verdict"]["date"]))
        self.assertEqual(json.loads(command("verify", case + "/bag", "--json"))["state"], "valid")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"] + sys.argv[1:])
