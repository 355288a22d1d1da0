"""mark and detect: the path from key to p, and bad input of every kind."""
import json
import math
import os
import random
import struct
import sys

sys.path.insert(0, os.path.dirname(__file__))
from support import EXPECT_DEVICE, PASSPHRASE, SOURCE, Case, environment, heirmark, main


class Texts(Case):
    def mark(self, opening, name="text.jsonl", *more):
        path = self.dir / name
        self.run_ok("mark", "--opening", opening, "--seed", 1, "-o", path, *more)
        return path

    def detect(self, text, opening, *more):
        return self.run_ok("detect", text, "--opening", opening, "--json", *more).json

    def test_marked_text_is_found_and_other_text_is_not(self):
        opening = self.opening(family_size="4096")
        text = self.mark(opening, "text.jsonl", "--texts", 20)
        found = self.detect(text, opening, "--decoys", 1023)
        self.assertEqual(found["scheme"], "gumbel")
        self.assertLess(found["log10_p_prf"], -50)
        self.assertGreater(found["log10_e"], 50)
        self.assertLess(found["log10_p_rank"], -10)
        self.assertEqual(found["log10_p"], max(found["log10_p_prf"], found["log10_p_rank"]))
        self.assertEqual(found["n"] + found["repeats"] + found["tainted"] + found["off_coin"], found["positions"])
        self.assertEqual(found["positions"], 20 * 200)
        self.assertAlmostEqual(int(found["statistic_integer"]) / 2**24, found["statistic"], places=4)
        # Unmarked: false-failure probability 1e-6.
        plain = self.mark(opening, "plain.jsonl", "--texts", 20, "--mode", "off")
        self.assertGreater(self.detect(plain, opening)["log10_p"], -6)
        issued = self.mark(opening, "issued.jsonl", "--texts", 20, "--mode", "issuance")
        self.assertGreater(self.detect(issued, opening)["log10_p"], -6)

    def test_another_key_finds_nothing(self):
        opening = self.opening()
        text = self.mark(opening, "text.jsonl", "--texts", 10)
        self.run_ok("key", "new", "other/2026-11", "--keystore", self.store, passphrase=PASSPHRASE)
        self.run_ok("key", "open", "other/2026-11", "--to", "x", "-o", self.dir / "other.json", "--keystore", self.store, passphrase=PASSPHRASE)
        self.assertGreater(self.detect(text, self.dir / "other.json")["log10_p"], -6)

    def test_every_profile(self):
        for profile, scheme in (("window-only-2026-11", "gumbel"), ("greenlist-2026-11", "greenlist"), ("tournament-2026-11", "tournament")):
            with self.subTest(profile):
                opening = self.opening(f"{profile[:6].strip('-')}/2026-11", profile=profile)
                text = self.mark(opening, "text.jsonl", "--texts", 20)
                found = self.detect(text, opening)
                self.assertEqual(found["scheme"], scheme)
                self.assertLess(found["log10_p"], -6)
                if scheme != "gumbel":
                    self.assertEqual(found["statistic"], int(found["statistic_integer"]))

    def test_threads_and_standard_input_change_nothing(self):
        opening = self.opening(family_size="4096")
        text = self.mark(opening, "text.jsonl", "--texts", 5)
        one = self.run_ok("detect", text, "--opening", opening, "--json", "--decoys", 63, "--threads", 1).out
        self.assertEqual(self.run_ok("detect", text, "--opening", opening, "--json", "--decoys", 63, "--threads", 3).out, one)
        self.assertEqual(self.run_ok("detect", "-", "--opening", opening, "--json", "--decoys", 63, stdin=text.read_bytes()).out, one)

    def test_the_device_changes_nothing_and_is_never_replaced(self):
        opening = self.opening(family_size="4096")
        text = self.mark(opening, "text.jsonl", "--texts", 5)
        args = ("detect", text, "--opening", opening, "--json", "--decoys", 63)
        one = self.run_ok(*args).out
        self.assertEqual(self.run_ok(*args, "--device", "cpu").out, one)
        self.run_fails(5, *args, "--device", "cuda", env=environment(CUDA_VISIBLE_DEVICES=""), words="CUDA device")
        self.run_fails(2, *args, "--device", "gpu", words="--device")
        # Before its work: the input is not even looked at.
        self.run_fails(5, "detect", self.dir / "none.jsonl", "--opening", opening, "--device", "cuda", env=environment(CUDA_VISIBLE_DEVICES=""), words="CUDA device")
        here = heirmark(*args, "--device", "cuda")
        if here.code == 5 and not EXPECT_DEVICE:  # this machine has no GPU
            self.assertIn("CUDA device", here.err)
        else:
            self.assertEqual((here.code, here.out), (0, one))

    def test_count_rules(self):
        opening = self.opening()
        text = self.mark(opening, "text.jsonl", "--texts", 40, "--vocab", 64)
        for rule in ("sqrt2", "log2"):
            found = self.detect(text, opening, "--count-rule", rule)
            self.assertIsNotNone(found["log10_p_saddlepoint"])
            self.assertLess(found["log10_p"], -3)

    def test_published_vectors(self):
        """Texts and readings of specs/vectors/detect.json, from files to the integers that the page gives."""
        vectors = json.loads((SOURCE / "specs/vectors/detect.json").read_text())
        opening, text = self.dir / "vector.json", self.dir / "vector.jsonl"
        cases = [(case, ("--count-rule", case["count_rule"])) for case in vectors["text"]] + [(case, ("--reading",)) for case in vectors["reading"]]
        self.assertGreaterEqual(len(vectors["reading"]), 3)
        for case, more in cases:
            with self.subTest(case["id"]):
                opening.write_text(case["opening"])
                text.write_text("".join(line + "\n" for line in case["lines"]))
                found = self.detect(text, opening, "--decoys", case["decoys"], *more)
                for name in ("positions", "repeats", "tainted", "off_coin"):
                    self.assertEqual(found[name], case[name], name)
                self.assertEqual((found["n"], found["statistic_integer"], found["classes"]), (case["n"], case["statistic"], case["classes"]))
                self.assertEqual((found["reading"], found["count_rule"]), ("--reading" in more, None if "--reading" in more else case["count_rule"]))

    def test_reading_is_explained(self):
        case = json.loads((SOURCE / "specs/vectors/detect.json").read_text())["reading"][0]
        opening, text = self.dir / "vector.json", self.dir / "vector.jsonl"
        opening.write_text(case["opening"])
        text.write_text("".join(line + "\n" for line in case["lines"]))
        out = self.run_ok("detect", text, "--opening", opening, "--reading", "--explain").out
        for word in ("Chernoff bound of a weighted sum", "the suspect's probabilities", "saddlepoint"):
            self.assertIn(word, out)

    def test_words_for_people(self):
        opening = self.opening()
        text = self.mark(opening)
        out = self.run_ok("detect", text, "--opening", opening).out
        self.assertEqual(len(out.splitlines()), 1)
        self.assertRegex(out, r"log10 p = -\d+\.\d{4}, log10 e = \d+\.\d{4}")
        out = self.run_ok("detect", text, "--opening", opening, "--explain", "--decoys", 15).out
        for word in ("Gamma(", "pairs", "null", "decoys", "not shown"):
            self.assertIn(word, out)

    def test_the_keystore_marks_as_the_opening_does(self):
        opening = self.opening()
        ours = self.run_ok("mark", "acme-70b/2026-11", "--keystore", self.store, "--seed", 5, passphrase=PASSPHRASE).out
        self.assertEqual(self.run_ok("mark", "--opening", opening, "--seed", 5).out, ours)
        # Without a seed, request ids are random.
        ids = {json.loads(self.run_ok("mark", "--opening", opening, "--tokens", 1).out)["request_id"] for _ in range(2)}
        self.assertEqual(len(ids), 2)

    def test_prompts_are_context_and_are_not_scored(self):
        opening = self.opening()
        prompts = self.dir / "prompts.jsonl"
        prompts.write_text('{"tokens":[1,2,3]}\n{"tokens":[4],"title":"other members are ignored"}\n')
        text = self.mark(opening, "text.jsonl", "--prompt", prompts, "--texts", 3, "--tokens", 10)
        lines = [json.loads(line) for line in text.read_text().splitlines()]
        self.assertEqual([line["prompt_tokens"] for line in lines], [3, 1, 3])
        self.assertEqual(lines[0]["tokens"][:3], [1, 2, 3])
        self.assertEqual(self.detect(text, opening)["positions"], 30)

    def test_a_ledger_is_canonical_and_its_probabilities_are_the_models(self):
        opening = self.opening()
        ledger = self.dir / "ledger.jsonl"
        self.mark(opening, "text.jsonl", "--texts", 2, "--tokens", 20, "--vocab", 128, "--ledger", ledger, "--ledger-top", 128, "--top-p", "0.9")
        lines = ledger.read_text().splitlines()
        self.assertEqual(len(lines), 2)
        for seq, text in enumerate(lines):
            line = json.loads(text)
            self.assertEqual(json.dumps(line, separators=(",", ":"), sort_keys=True), text)
            self.assertEqual((line["seq"], len(line["phat"]), line["account"]), (seq, 20, "default"))
            for entries, token in zip(line["phat"], line["tokens"]):
                self.assertIn(token, [entry[0] for entry in entries])
                self.assertGreaterEqual(sum(p for _, p in entries), 2**32 - len(entries) - 1)

    def test_rows_of_logits_of_every_type(self):
        opening = self.opening()
        rng = random.Random(1)
        vocab, steps = 50, 30
        rows = [[round(rng.gauss(0, 2) * 8) / 8 for _ in range(vocab)] for _ in range(steps)]  # exact in all three types
        f32 = b"".join(struct.pack(f"<{vocab}f", *row) for row in rows)
        f16 = b"".join(struct.pack(f"<{vocab}e", *row) for row in rows)
        bf16 = b"".join(struct.pack("<f", x)[2:] for row in rows for x in row)
        outs = []
        for dtype, data in (("f32", f32), ("f16", f16), ("bf16", bf16)):
            done = self.run_ok("mark", "--opening", opening, "--logits", "-", "--vocab", vocab, "--dtype", dtype, "--seed", 3, "--ledger", self.dir / dtype, stdin=data)
            self.assertEqual(len(json.loads(done.out)["tokens"]), steps)
            outs.append(done.out)
        self.assertEqual(len(set(outs)), 1)
        greedy = self.run_ok("mark", "--opening", opening, "--logits", "-", "--vocab", vocab, "--mode", "greedy", stdin=f32)
        self.assertEqual(json.loads(greedy.out)["tokens"], [row.index(max(row)) for row in rows])


class BadInput(Case):
    def setUp(self):
        super().setUp()
        self.key = self.opening()

    def detect_fails(self, content, words, *more, code=3):
        path = self.dir / "bad.jsonl"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.run_fails(code, "detect", path, "--opening", self.key, *more, words=(str(path), *words))

    def test_token_files(self):
        good = '{"tokens":[1,2,3,4]}\n'
        for content, words in (
                (good + '{"tokens":[1,2', (":2: ",)), (good + "nonsense\n", (":2: ",)), (good * 2 + '{"tokens":[1,2.5]}\n', (":3: ",)),
                (good + '{"tokens":[-1]}\n', (":2: ",)), (good + '{"tokens":[1],"tokens":[2]}\n', (":2: ",)), (good + '{"text":"x"}\n', (":2: ", "tokens")),
                (good + '{"tokens":[1],"prompt_tokens":2}\n', (":2: ", "prompt_tokens")), (good + '{"tokens":[4294967295]}\n', (":2: ",)),
                (good + '{"tokens":["1"]}\n', (":2: ",)), (good + "[1,2]\n", (":2: ",)), (good + "\n" + good, (":2: ",)),
                (good.encode() + b'{"tokens":[1],"x":"\xff"}\n', (":2: column 20: not UTF-8",)), (b"\xef\xbb\xbf" + good.encode(), (":1: column 1: a byte order mark",)),
                (good + '{"tokens":[1,23,45x]}\n', (":2: column 19: not JSON",)), (good + '{"tokens":[1,1048576]}\n', (":2: column 14: a token id",)),
                (good + '{"tokens":[1]} {}\n', (":2: ",)),
                (good + '{"tokens":' + "[" * 100 + "]" * 100 + "}\n", (":2: ",))):
            with self.subTest(content):
                self.detect_fails(content, words)

    def test_a_token_beyond_the_vocabulary(self):
        self.detect_fails('{"tokens":[1]}\n{"tokens":[99,100]}\n', (":2: ",), "--vocab", 100)

    def test_missing_and_unreadable_files(self):
        self.run_fails(3, "detect", self.dir / "none.jsonl", "--opening", self.key, words="none.jsonl")
        text = self.dir / "t.jsonl"
        text.write_text('{"tokens":[1,2]}\n')
        self.run_fails(3, "detect", text, "--opening", self.dir / "none.json", words="none.json")

    def test_nothing_to_score(self):
        for content in (b"", b"\n", b"\n\n"):
            self.run_fails(3, "detect", "-", "--opening", self.key, "--json", stdin=content, words="standard input: no text")
            self.run_fails(3, "detect", "-", "--opening", self.key, "--reading", stdin=content, words="standard input: no text")
        path = self.dir / "empty.jsonl"
        path.write_bytes(b"")
        self.run_fails(3, "detect", path, "--opening", self.key, words=(str(path), "no text"))
        for content, more in ((b'{"tokens":[]}\n', ()), (b'{"tokens":[1,2],"prompt_tokens":2}\n', ()), (b'{"tokens":[1],"prompt_tokens":1,"top":[]}\n', ("--reading",))):
            done = self.run_ok("detect", "-", "--opening", self.key, "--json", *more, stdin=content)
            self.assertEqual((done.json["n"], done.json["log10_p"], done.json["log10_e"]), (0, 0, 0))
            self.assertRegex(done.err, "^note  .*standard input.*\n$")
            self.assertEqual(self.run_ok("-q", "detect", "-", "--opening", self.key, *more, stdin=content).err, "")

    def test_reading_files(self):
        good = '{"tokens":[1,2],"top":[[[7,1]],[]]}\n'
        for content, words in (
                ('{"tokens":[1,2]}\n', (":2: ", "top")), ('{"tokens":[1,2],"top":[[]]}\n', (":2: ", "1 lists", "2 positions")), ('{"tokens":[1],"top":7}\n', (":2: ", "top")),
                ('{"tokens":[1],"top":[[[7]]]}\n', (":2: ", "position 0")), ('{"tokens":[1],"top":[[[7,0.5]]]}\n', (":2: ", "position 0")),
                ('{"tokens":[1],"top":[[[1048576,5]]]}\n', (":2: ", "out of range")), ('{"tokens":[1],"top":[[[-1,5]]]}\n', (":2: ", "out of range")),
                ('{"tokens":[1],"top":[[[7,4294967296]]]}\n', (":2: ", "2^32")), ('{"tokens":[1],"top":[[[7,-1]]]}\n', (":2: ", "2^32")),
                ('{"tokens":[1],"top":[[[7,1],[7,1]]]}\n', (":2: ", "twice")), ('{"tokens":[1],"top":[[[7,4294967295],[8,2]]]}\n', (":2: ", "more than 1")),
                ('{"tokens":[1,2],"prompt_tokens":1,"top":[[]],"base":[[[7,1],[7,1]]]}\n', (":2: ", "base", "position 1")), ('{"tokens":[1],"top":[[]', (":2: ",))):
            with self.subTest(content):
                self.detect_fails(good + content, words, "--reading")
        self.detect_fails(good, ("out of range",), "--reading", "--vocab", 7)
        self.run_fails(2, "detect", "x", "--opening", self.key, "--reading", "--count-rule", "log2", words="--count-rule")

    def test_openings(self):
        text = self.dir / "t.jsonl"
        text.write_text('{"tokens":[1,2]}\n')
        bad = self.dir / "bad.json"
        original = self.key.read_text()
        opening = json.loads(original)
        for change in ({"liveIndex": 1 << 20}, {"familySecret": "00" * 32}, {"keyId": "0" * 16}, {"profile": "unknown"}, {"more": 1}, {"familySize": 1000}):
            with self.subTest(change):
                bad.write_text(json.dumps({**opening, **change}, separators=(",", ":"), sort_keys=True) + "\n")
                done = self.run_fails(3, "detect", text, "--opening", bad, words="bad.json")
                self.assertNotIn(opening["familySecret"], done.err)
        for content in (original[:50], original.replace(":", ": "), "", "{}"):
            bad.write_text(content)
            done = self.run_fails(3, "detect", text, "--opening", bad, words="bad.json")
            self.assertNotIn(opening["familySecret"], done.err)
        for content, words in ((b"", "it is empty"), (b"\xef\xbb\xbf" + original.encode(), "a byte order mark")):
            bad.write_bytes(content)
            self.run_fails(3, "detect", text, "--opening", bad, words=("bad.json: opening: ", words))

    def test_more_decoys_than_members(self):
        text = self.dir / "t.jsonl"
        text.write_text('{"tokens":[1,2]}\n')
        self.run_fails(2, "detect", text, "--opening", self.key, "--decoys", 1 << 20, words="family size")

    def test_logits(self):
        nan = struct.pack("<4f", math.nan, math.nan, math.nan, -math.inf)
        good = struct.pack("<4f", 0, 1, 2, 3)
        mark = ("mark", "--opening", self.key, "--logits", "-", "--vocab", 4)
        self.run_fails(3, *mark, stdin=good + nan, words=("standard input:2", "no finite logit"))
        self.run_fails(3, *mark, stdin=good + good[:7], words=("standard input:2", "cut short"))
        self.run_fails(3, *mark, stdin=b"", words="no row")
        self.run_fails(3, "mark", "--opening", self.key, "--logits", self.dir / "none", "--vocab", 4, words="none")
        # Some NaN in a row is no error: NaN counts as minus infinity (marks.md).
        done = self.run_ok(*mark, stdin=struct.pack("<4f", math.nan, math.nan, 1, math.nan))
        self.assertEqual(json.loads(done.out)["tokens"], [2])
        path = self.dir / "out.jsonl"
        self.run_fails(3, *mark, "-o", path, stdin=good + nan)
        self.assertFalse(path.exists())

    def test_prompts(self):
        prompts = self.dir / "prompts.jsonl"
        prompts.write_text('{"tokens":[4096]}\n')
        self.run_fails(3, "mark", "--opening", self.key, "--prompt", prompts, words="prompts.jsonl:1: ")
        prompts.write_text("")
        self.run_fails(3, "mark", "--opening", self.key, "--prompt", prompts, words="no prompt")


if __name__ == "__main__":
    main()
