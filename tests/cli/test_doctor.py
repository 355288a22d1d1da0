"""heirmark doctor: a set-up that marks is good; each way in which it does not is named."""
import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sqlite3
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from completions_server import Completions, sample, trusting
from support import HEIRMARK, PASSPHRASE, Case, environment, heirmark, json_members, main, make_keystore, on_terminal


class DoctorCase(Case):
    def setUp(self):
        super().setUp()
        make_keystore(self.store)
        self.month = time.strftime("%Y-%m", time.gmtime())
        self.subkeys = self.exported("acme-70b", self.month)

    def exported(self, family, month, *more):
        keys = ("--keystore", self.store)
        self.run_ok("key", "new", f"{family}/{month}", *more, *keys, passphrase=PASSPHRASE)
        file = self.dir / f"{family}-{month}.json"
        self.run_ok("key", "export-subkey", f"{family}/{month}", "-o", file, *keys, passphrase=PASSPHRASE)
        return file

    def fixed(self, name):
        """Subkeys of this month whose secrets are those of `name` in every run."""
        members = json.loads(self.subkeys.read_text())
        secret = lambda *part: hashlib.sha256("/".join(map(str, (name, *part))).encode()).hexdigest()
        members["coin"], members["issuance"] = secret("coin"), [secret("issuance")]
        members["window"] = [secret("window", c) for c in range(16)]
        file = self.dir / f"fixed-{name}.json"
        file.write_text(json.dumps(members, sort_keys=True, separators=(",", ":")) + "\n")
        file.chmod(0o600)
        return file

    def ledger(self):
        folder = self.dir / "ledger"
        self.run_ok("ledger", "new", folder, "--keystore", self.store, passphrase=PASSPHRASE)
        return folder

    def mark(self, *more, subkeys=None, name="text.jsonl"):
        self.run_ok("mark", "--subkeys", subkeys or self.subkeys, "--texts", 20, "--tokens", 100, "-o", self.dir / name, *more)
        return self.dir / name

    def checks(self, *args, code=0):
        done = heirmark("doctor", *args, "--json")
        self.assertEqual(done.code, code, done.out + done.err)
        self.assertEqual(done.json["state"], "bad" if code else "good")
        return {check["code"]: (check["level"], check["detail"]) for check in done.json["checks"]}


class Doctor(DoctorCase):
    def test_a_good_set_up(self):
        ledger = self.ledger()
        text = self.mark("--ledger", ledger)
        checks = self.checks("--subkeys", self.subkeys, "--text", text, "--ledger", ledger)
        self.assertEqual({code for code, (level, _) in checks.items() if level == "ok"} | {"clock", "ledger.disk"},
                         {"clock", "keys.read", "keys.epoch", "probe", "text", "ledger.read", "ledger.open", "ledger.checkpoint", "ledger.key", "ledger.disk"})
        self.assertEqual(checks["ledger.server"][0], "note")
        self.assertEqual(set(self.run_ok("doctor", "--subkeys", self.subkeys, "--json").json), json_members()["doctor"])
        lines = self.run_ok("doctor", "--subkeys", self.subkeys).out.splitlines()
        self.assertEqual(len(lines), 4)
        secrets = json.loads(self.subkeys.read_text())
        self.assertFalse(any(secret in "".join(lines) for secret in [secrets["coin"], *secrets["window"], *secrets["issuance"]]))

    def test_every_profile_has_a_probe(self):
        for profile in ("greenlist-2026-11", "tournament-2026-11"):
            with self.subTest(profile):
                level, detail = self.checks("--subkeys", self.exported(profile.split("-")[0], self.month, "--profile", profile))["probe"]
                self.assertEqual(level, "ok", detail)

    def test_text_that_is_not_marked_or_by_another_key(self):
        """Of fresh keys and texts one in 10,000 would pass: these are always the same."""
        subkeys, chance, unmarked = self.fixed("judged"), random.Random(20261125), self.dir / "unmarked.jsonl"
        unmarked.write_text("".join(json.dumps({"tokens": [chance.randrange(16384) for _ in range(100)]}) + "\n" for _ in range(20)))
        for text in (unmarked, self.mark("--seed", 1, subkeys=self.fixed("other"), name="other.jsonl")):
            level, detail = self.checks("--subkeys", subkeys, "--text", text, code=1)["text"]
            self.assertEqual(level, "fail")
            self.assertIn("NOT marked", detail)
        little = self.dir / "little.jsonl"
        little.write_text('{"tokens":[1,2,3,4]}\n')
        self.assertIn("too little", self.checks("--subkeys", self.subkeys, "--text", little, code=1)["text"][1])
        self.assertIn("no-such", self.checks("--subkeys", self.subkeys, "--text", self.dir / "no-such", code=1)["text"][1])

    def test_keys_of_the_wrong_month_or_open_to_others(self):
        self.assertIn("is over", self.checks("--subkeys", self.exported("old", "2020-01"), code=1)["keys.epoch"][1])
        self.assertIn("has not begun", self.checks("--subkeys", self.exported("new", "2999-01"), code=1)["keys.epoch"][1])
        self.subkeys.chmod(0o644)
        self.assertEqual(self.checks("--subkeys", self.subkeys, code=1)["keys.read"][0], "fail")
        self.assertEqual(self.checks("--subkeys", self.dir / "none.json", code=1)["keys.read"][0], "fail")

    def test_a_ledger_of_another_key_a_damaged_one_and_none(self):
        ledger = self.ledger()
        self.mark("--ledger", ledger, subkeys=self.exported("other", self.month))
        self.assertEqual(self.checks("--subkeys", self.subkeys, "--ledger", ledger, code=1)["ledger.key"][0], "fail")
        database = sqlite3.connect(ledger / "ledger.db")
        database.execute("DELETE FROM records WHERE seq = 3")
        database.commit()
        database.close()
        self.assertIn("record 3 is missing", self.checks("--subkeys", self.subkeys, "--ledger", ledger, code=1)["ledger.read"][1])
        self.assertEqual(self.checks("--subkeys", self.subkeys, "--ledger", self.dir / "none", code=1)["ledger.read"][0], "fail")

    def test_a_ledger_that_no_server_can_open(self):
        """What a server would say at its start is said here, too."""
        ledger, other = self.ledger(), self.dir / "other"
        self.mark("--ledger", ledger)
        self.run_ok("ledger", "new", other, "--keystore", self.store, passphrase=PASSPHRASE)
        key, right = ledger / "log.key", (ledger / "log.key").read_bytes()
        look = ("--subkeys", self.subkeys, "--ledger", ledger)
        for words, spoil in (("open to others", lambda: key.chmod(0o644)), ("not the key that ledger.json names", lambda: key.write_bytes((other / "log.key").read_bytes())),
                             ("not a signing key", lambda: key.write_bytes(b"x")), ("log.key", key.unlink)):
            spoil()
            checks = self.checks(*look, code=1)
            self.assertEqual((checks["ledger.open"][0], checks["ledger.read"][0]), ("fail", "ok"), words)
            self.assertIn(words, checks["ledger.open"][1])
            refused = heirmark("mark", "--subkeys", self.subkeys, "--ledger", ledger, "--texts", 1, "--tokens", 4, "-o", self.dir / "x.jsonl")
            self.assertNotEqual(refused.code, 0)
            self.assertIn(checks["ledger.open"][1], refused.err)
            key.write_bytes(right)
            key.chmod(0o600)
        if os.geteuid() != 0:  # root may write anywhere
            for path in (ledger, ledger / "ledger.db"):
                mode = path.stat().st_mode & 0o777
                path.chmod(0o500)
                self.assertEqual(self.checks(*look, code=1)["ledger.open"][0], "fail")
                path.chmod(mode)
        ledger.chmod(0o755)
        self.assertEqual(self.checks(*look)["ledger.open"][0], "note")
        self.assertIn("0755", self.checks(*look)["ledger.open"][1])

    def test_a_server_that_runs_is_seen(self):
        ledger = self.ledger()
        server = subprocess.Popen([HEIRMARK, "mark", "--subkeys", self.subkeys, "--ledger", ledger, "--texts", "100000", "--tokens", "20", "--vocab", "300", "-o", self.dir / "never.jsonl"],
                                  stderr=subprocess.DEVNULL, env=environment())
        try:
            deadline = time.time() + 60
            seen = ("note", "")
            while seen[0] != "ok" and time.time() < deadline:
                seen = self.checks("--subkeys", self.subkeys, "--ledger", ledger)["ledger.server"]
            self.assertEqual(seen, ("ok", "a server has it open"))
        finally:
            server.kill()
            server.wait()

    def test_wrong_usage(self):
        self.run_fails(2, "doctor", words=("--subkeys",))
        self.run_fails(2, "doctor", "--subkeys", "-", "--text", "-", words=("standard input",))


class Endpoint(DoctorCase):
    """The running server. Texts that are to be found are sampled anew, 12 requests of 100 tokens, some 600 pairs; a set-up that marks fails at alpha = 10^-4 with a probability far below
    10^-9 (log10 p was below -300 in each of ten runs). Texts that are not to be found, which would be found once in 10,000 keys, are always the same, under a key that is always the same."""

    ASK = ("--requests", 12, "--tokens", 100)

    def ask(self, server, *more, subkeys=None, code=0, url=None):
        return self.checks("--subkeys", subkeys or self.subkeys, "--endpoint", url or server.url, "--model", "acme-70b", *self.ASK, *more, code=code)

    def marked(self, *more):
        return lambda prompt, tokens: sample(prompt, tokens, "--subkeys", self.subkeys, *more)

    def certificate(self, name):
        certificate, key = self.dir / f"{name}.pem", self.dir / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=tester", "-addext",
                        f"subjectAltName={name}", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        return certificate, key

    def with_key(self, key, *args):
        """Runs the command with an API key on a descriptor of its own."""
        read, write = os.pipe()
        os.write(write, key)
        os.close(write)
        try:
            done = subprocess.run([HEIRMARK, *map(str, args), "--api-key-fd", str(read)], capture_output=True, pass_fds=(read,), env=environment(), timeout=120, check=False)
        finally:
            os.close(read)
        return done.returncode, (done.stdout + done.stderr).decode()

    def test_a_server_that_marks_and_records(self):
        ledger, lock = self.ledger(), threading.Lock()
        at_once = [0, 0]

        def samples(prompt, tokens):
            with lock:
                at_once[0] += 1
                at_once[1] = max(at_once)
            try:
                time.sleep(0.05)
                with lock:
                    return sample(prompt, tokens, "--subkeys", self.subkeys, "--ledger", ledger)
            finally:
                with lock:
                    at_once[0] -= 1

        with Completions(samples) as server:
            checks = self.ask(server, "--ledger", ledger, url=server.url + "/v1/")
        for code, words in (("endpoint", "marked under this key"), ("endpoint.answers", "12 answers, 1,200 tokens"), ("endpoint.random", "another text"), ("endpoint.ledger", "12 marked responses")):
            self.assertEqual(checks[code][0], "ok", checks[code])
            self.assertIn(words, checks[code][1])
        self.assertLess(float(checks["endpoint"][1].split("log10 p ")[1].split(":")[0]), -20)
        self.assertEqual(checks["ledger.key"][0], "ok")
        self.assertLessEqual(at_once[1], 8)
        self.assertGreater(at_once[1], 1)
        bodies = [body for path, _, body in server.requests]
        self.assertEqual({path for path, _, _ in server.requests}, {"/v1/completions"})
        self.assertEqual(len(bodies), 12)
        for body in bodies:
            self.assertEqual((body["model"], body["temperature"], body["max_tokens"], body["ignore_eos"], body["return_token_ids"]), ("acme-70b", 1, 100, True, True))
        prompts = [tuple(body["prompt"]) for body in bodies]
        self.assertEqual(len(set(prompts)), 10)
        self.assertEqual(sorted(prompts.count(tuple(body["prompt"])) for body in bodies if "seed" in body), [2, 2, 2, 2])

    def test_a_server_of_llama_cpp_and_one_that_takes_words_alone(self):
        for options in ({"llama": True}, {"words": True}):
            with self.subTest(options), Completions(self.marked(), **options) as server:
                checks = self.ask(server, url=server.url + "/v1" if "llama" in options else None)
                self.assertEqual((checks["endpoint"][0], checks["endpoint.answers"][0], checks["endpoint.random"][0]), ("ok", "ok", "ok"), checks)

    def test_every_profile(self):
        for profile, endpoint, alike in (("greenlist-2026-11", "ok", "ok"), ("tournament-2026-11", "ok", "ok"), ("window-only-2026-11", "ok", None), ("issuance-only-2026-11", "note", "ok")):
            subkeys = self.exported(profile[:5], self.month, "--profile", profile)
            with self.subTest(profile), Completions(lambda prompt, tokens: sample(prompt, tokens, "--subkeys", subkeys)) as server:
                checks = self.ask(server, subkeys=subkeys)
                self.assertEqual(checks["endpoint"][0], endpoint, checks["endpoint"])
                self.assertEqual(checks.get("endpoint.random", (None,))[0], alike)

    def test_text_that_is_not_marked_or_by_another_key(self):
        subkeys, other, chance = self.fixed("judged"), self.fixed("other"), random.Random(20261125)
        prompts = [[chance.randrange(1000, 9000) for _ in range(8)] for _ in range(12)]
        texts = {"by another key": [sample(prompt, 100, "--subkeys", other, "--seed", number) for number, prompt in enumerate(prompts)],
                 "by none": [[chance.randrange(16384) for _ in range(100)] for _ in prompts]}
        for name, made in texts.items():
            left = list(zip(prompts, made))

            def serve(handler, body):
                prompt, tokens = left.pop()
                handler.reply(200, {"choices": [{"token_ids": tokens, "prompt_token_ids": prompt}]})

            with self.subTest(name), Completions(answer=serve) as server:
                checks = self.ask(server, subkeys=subkeys, code=1)
                self.assertEqual(checks["endpoint"][0], "fail")
                self.assertIn("NOT marked", checks["endpoint"][1])
                self.assertEqual((checks["endpoint.answers"][0], checks["endpoint.random"][0]), ("ok", "ok"))

    def test_a_server_that_gives_less_than_it_was_asked_for(self):
        marked = self.marked()
        with Completions(lambda prompt, tokens: marked(prompt, tokens)[:40]) as server:
            checks = self.ask(server)
        self.assertEqual(checks["endpoint.answers"][0], "note")
        self.assertIn("12 answers, but 480 tokens of 1,200", checks["endpoint.answers"][1])

    def test_a_request_id_that_is_used_again(self):
        with Completions(self.marked("--seed", 7)) as server:
            checks = self.ask(server, code=1)
        self.assertEqual(checks["endpoint.random"][0], "fail")
        self.assertIn("used again", checks["endpoint.random"][1])
        self.assertEqual(checks["endpoint"][0], "ok")  # which is why it is a check of its own
        with Completions(self.marked("--seed", 7)) as server:
            level, detail = self.checks("--subkeys", self.subkeys, "--endpoint", server.url, "--model", "m", "--requests", 30, "--tokens", 29)["endpoint.random"]
        self.assertEqual((level, "no two answers" in detail), ("note", True))

    def test_one_prompt_of_two_with_the_same_text_is_a_note(self):
        first = []

        def samples(prompt, tokens):
            first.append(prompt)
            return sample(prompt, tokens, "--subkeys", self.subkeys, *(("--seed", 7) if prompt == first[0] else ()))

        with Completions(samples) as server:
            self.assertEqual(self.ask(server)["endpoint.random"][0], "note")

    def test_answers_without_token_ids(self):
        with Completions(self.marked(), ids=False) as server:
            level, detail = self.ask(server, code=1)["endpoint"]
        self.assertEqual(level, "fail")
        for word in ("vLLM", "return_token_ids", "llama-server", "return_tokens", "SGLang"):
            self.assertIn(word, detail)
        self.assertEqual([path for path, _, _ in server.requests], ["/v1/completions", "/completion"])

    def test_a_ledger_that_gets_less_than_was_answered(self):
        ledger, sent = self.ledger(), []
        lock = threading.Lock()

        def samples(prompt, tokens):
            with lock:
                sent.append(1)
                return sample(prompt, tokens, "--subkeys", self.subkeys, *(("--ledger", ledger) if len(sent) <= recorded else ()))

        for recorded, words in ((5, "5 marked responses"), (0, "or not at all")):
            with self.subTest(recorded), Completions(samples) as server:
                sent.clear()
                started = time.monotonic()
                level, detail = self.ask(server, "--ledger", ledger, "--wait", 1, code=1)["endpoint.ledger"]
                self.assertEqual(level, "fail")
                self.assertIn(words, detail)
                self.assertIn("after 1 s, not 12", detail)
                self.assertGreater(time.monotonic() - started, 1)

    def test_a_ledger_that_is_written_late(self):
        ledger, late = self.ledger(), []

        def samples(prompt, tokens):
            late.append(prompt)
            if len(late) == 12:
                threading.Timer(1.5, lambda: [sample(prompt, tokens, "--subkeys", self.subkeys, "--ledger", ledger) for prompt in late]).start()
            return sample(prompt, tokens, "--subkeys", self.subkeys)

        with Completions(samples) as server:
            self.assertEqual(self.ask(server, "--ledger", ledger, "--wait", 60)["endpoint.ledger"][0], "ok")

    def test_hostile_answers(self):
        good = json.dumps({"choices": [{"token_ids": [5, 6, 7], "prompt_token_ids": [1, 2]}]}).encode()

        def raw(data, slowly=None):
            def answer(handler, body):
                handler.close_connection = True
                with contextlib.suppress(OSError):
                    for at in range(len(data)) if slowly else [0]:
                        handler.wfile.write(data[at:at + 1] if slowly else data)
                        time.sleep(slowly or 0)
            return answer

        def body(data, status=200, **fields):
            return lambda handler, _: handler.reply(status, data, **fields)

        def hang(handler, _):
            time.sleep(3)
            handler.close_connection = True

        def choice(ids, prompt=None):
            return body(json.dumps({"choices": [{"token_ids": ids, "prompt_token_ids": prompt}]}).encode())

        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        cases = {
            "cut JSON": (body(good[:-5]), "cut off"),
            "no JSON": (body(b"<html>\x1b[31m</html>"), "not JSON"),
            "nothing": (body(b""), "cut off"),
            "a number": (body(b"5"), "no object"),
            "choices of another type": (body({"choices": {"token_ids": [1]}}), "one choice"),
            "no choice": (body({"choices": []}), "one choice"),
            "two choices": (body({"choices": [{"token_ids": [1]}, {"token_ids": [2]}]}), "one choice"),
            "a choice that is a string": (body({"choices": ["token_ids"]}), "no object"),
            "ids that are text": (choice("1,2,3"), "no list"),
            "an id that is text": (choice([1, "2"]), "no token id"),
            "a negative id": (choice([1, -2]), "no token id"),
            "an id out of range": (choice([1, 1 << 20]), "no token id"),
            "a very large id": (choice([1, 1 << 70]), "no token id"),
            "a fraction": (choice([1, 2.0]), "no token id"),
            "a list in a list": (choice([[1]]), "no token id"),
            "NaN": (choice([float("nan")]), "not JSON"),
            "more tokens than were asked for": (choice([1] * 101), "more than 100"),
            "a prompt of another type": (choice([1, 2], {"a": 1}), "\"prompt_token_ids\" is no list"),
            "a prompt out of range": (choice([1, 2], [-1]), "no token id"),
            "a prompt that nobody sent": (choice([1, 2], [1] * 4097), "more than 4096"),
            "nested too deep": (body(b'{"choices":' + b"[" * 100000), "too deep"),
            "a body that never ends": (raw(head + b"\r\n" + b" " * (5 << 20)), "more than 4 MiB"),
            "a long body that is announced": (raw(head + b"Content-Length: 99999999999\r\n\r\n{"), "more than 4 MiB"),
            "a length that is no number": (raw(head + b"Content-Length: -1\r\n\r\n{}"), "no HTTP answer"),
            "a header that never ends": (raw(head + b"X: " + b"y" * (1 << 20)), "header is longer"),
            "chunks of another size": (raw(head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"), "no HTTP answer"),
            "a chunk that is cut": (raw(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a"), "in the middle"),
            "a body that is cut": (raw(head + b"Content-Length: 100\r\n\r\n{"), "in the middle"),
            "a slow drip": (raw(head + b"\r\n", slowly=0.2), "no whole answer within 1 s"),
            "no answer": (hang, "no whole answer within 1 s"),
            "closed at once": (raw(b""), "without an answer"),
            "another protocol": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "no HTTP answer"),
            "status 401": (body({"error": {"message": "bad key"}}, 401), "--api-key-fd"),
            "status 403": (body({"error": "no"}, 403), "says: no"),
            "status 404": (body({"error": {"message": "The model `acme-70b` does not exist."}}, 404), "does not exist"),
            "status 429": (body({"message": "slow down"}, 429), "asked too often; the server says: slow down"),
            "status 500": (body(b"\x1b]0;title\x07\x1b[2J\xe2\x80\xae" + b"A" * 5000, 500), "status 500; the server says: ?]0;title??[2J???AAA"),
            "interim answers alone": (raw(b"HTTP/1.1 102 Processing\r\n\r\n" * 9 + b"HTTP/1.1 200 OK\r\n\r\n"), "more than 8 interim answers"),
            "interim answers without end": (raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 3, slowly=0.01), "without an answer"),
            "slow interim answers": (raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 9, slowly=0.05), "no whole answer within 1 s"),
            "a long interim header": (raw(b"HTTP/1.1 100 Continue\r\nX: " + b"y" * (1 << 20)), "header is longer"),
            "another protocol is wished for": (raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"), "another protocol (status 101)"),
            "status 204": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "status 204"),
        }
        for name, (answer, words) in cases.items():
            with self.subTest(name), Completions(answer=answer) as server:
                done = heirmark("doctor", "--subkeys", self.subkeys, "--endpoint", server.url, "--model", "m", *self.ASK, "--timeout", 1)
                line = next(line for line in done.out.splitlines() if "endpoint" in line)
                self.assertEqual(done.code, 1, done.err)
                self.assertIn(words, line)
                self.assertTrue(line.startswith("fail  endpoint "))
                self.assertLess(len(line), 300)
                self.assertTrue(all(" " <= c <= "~" or c == "\n" for c in done.out + done.err), done.out)
                self.assertLessEqual(len(server.requests), 3)

    def test_a_proper_answer_in_chunks(self):
        def answer(handler, body):
            prompt = body["prompt"]
            data = json.dumps({"choices": [{"token_ids": sample(prompt, body["max_tokens"], "--subkeys", self.subkeys)}]}).encode()
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for at in range(0, len(data), 100):
                part = data[at:at + 100]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            handler.wfile.write(b"0\r\n\r\n")

        with Completions(answer=answer) as server:
            self.assertEqual(self.ask(server)["endpoint"][0], "ok")

    def test_interim_answers_are_skipped(self):
        def answer(handler, body):
            prompt = body["prompt"]
            handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n" + b"HTTP/1.1 102 Processing\r\n\r\n" * 6)
            handler.reply(200, {"choices": [{"token_ids": sample(prompt, body["max_tokens"], "--subkeys", self.subkeys), "prompt_token_ids": prompt}]})

        with Completions(answer=answer) as server:
            self.assertEqual(self.ask(server)["endpoint"][0], "ok")

    def test_a_redirect_is_not_followed(self):
        with Completions(self.marked()) as elsewhere, Completions(answer=lambda handler, _: handler.reply(307, b"", Location=elsewhere.url + "/v1/completions")) as server:
            self.assertIn("not followed", self.ask(server, code=1)["endpoint"][1])
        self.assertEqual((len(server.requests), len(elsewhere.requests)), (1, 0))

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        level, detail = self.ask(None, url=f"http://127.0.0.1:{port}/api", code=1)["endpoint"]
        self.assertEqual((level, detail), ("fail", f"http://127.0.0.1:{port}/api: Connection refused"))
        self.assertIn("no-such.invalid:", self.ask(None, url="http://no-such.invalid", code=1)["endpoint"][1])

    def test_a_server_that_fails_on_the_way(self):
        lock, served = threading.Lock(), []

        def answer(handler, body):
            with lock:
                served.append(1)
                fails = len(served) > 6
            if fails:
                return handler.reply(*failure)
            tokens = sample(body["prompt"], body["max_tokens"], "--subkeys", self.subkeys)
            handler.reply(200, {"choices": [{"token_ids": tokens, "prompt_token_ids": body["prompt"]}]})

        for failure, words in (((500, {"error": {"message": "out of memory"}}), "status 500; the server says: out of memory"), ((200, b"{"), "JSON that is cut off"), ((200, {"choices": [{}]}), "an answer without token ids")):
            served.clear()
            with self.subTest(words), Completions(answer=answer) as server:
                checks = self.checks("--subkeys", self.subkeys, "--endpoint", server.url, "--model", "m", "--requests", 200, "--tokens", 100, code=1)
                self.assertEqual(checks["endpoint.answers"][0], "fail")
                self.assertRegex(checks["endpoint.answers"][1], f"^6 of 200 answers.*{words}$")
                self.assertEqual(checks["endpoint"][0], "ok")
                self.assertLess(len(server.requests), 30)

    def test_tls(self):
        mine, other = self.certificate("IP:127.0.0.1"), self.certificate("DNS:other.example")
        with Completions(self.marked(), context=trusting(*mine)) as server:
            self.assertIn("certificate is refused: self-signed certificate", self.ask(server, code=1)["endpoint"][1])
            self.assertIn("certificate is refused", self.ask(server, "--ca", other[0], code=1)["endpoint"][1])
            self.assertIn("mismatch", self.ask(server, "--ca", mine[0], code=1, url=f"https://localhost:{server.port}")["endpoint"][1])
            self.assertEqual(server.requests, [])
            self.assertEqual(self.ask(server, "--ca", mine[0])["endpoint"][0], "ok")
            self.assertEqual(self.ask(server, url=f"http://127.0.0.1:{server.port}", code=1)["endpoint"][0], "fail")
        with Completions(self.marked(), context=trusting(*other)) as server:
            self.assertIn("IP address mismatch", self.ask(server, "--ca", other[0], code=1)["endpoint"][1])
            self.assertEqual(server.requests, [])
        with Completions(self.marked()) as server:
            self.assertIn("TLS", self.ask(server, url=f"https://127.0.0.1:{server.port}", code=1)["endpoint"][1])
            self.run_fails(3, "doctor", "--subkeys", self.subkeys, "--endpoint", f"https://127.0.0.1:{server.port}", "--model", "m", "--ca", self.subkeys, words=("--ca", "no certificate"))
            self.run_fails(3, "doctor", "--subkeys", self.subkeys, "--endpoint", f"https://127.0.0.1:{server.port}", "--model", "m", "--ca", self.dir / "none.pem", words=("none.pem",))

    def test_an_api_key(self):
        base = ("doctor", "--subkeys", self.subkeys, "--model", "m", *self.ASK)
        with Completions(self.marked()) as server:
            code, said = self.with_key(b"sk-very-secret\n", *base, "--endpoint", server.url)
            self.assertEqual(code, 0, said)
            self.assertEqual({fields["Authorization"] for _, fields, _ in server.requests}, {"Bearer sk-very-secret"})
            self.assertNotIn("very-secret", said)
            self.assertIn("ok    endpoint ", said)
        with Completions(answer=lambda handler, _: handler.reply(401, {"error": {"message": "key sk-very-secret is not known, sk-very-secret"}})) as server:
            code, said = self.with_key(b"sk-very-secret", *base, "--endpoint", server.url)
            self.assertEqual(code, 1)
            self.assertNotIn("very-secret", said)
            self.assertIn("key [key] is not known, [key]", said)
            for wrong in (b"", b"\nkey", b"two words\n", b"sk-very-secret\rX: y\n", b"k" * 2000):
                with self.subTest(wrong[:20]):
                    code, said = self.with_key(wrong, *base, "--endpoint", server.url)
                    self.assertEqual((code, said.count("\n")), (4, 1))
                    self.assertNotIn("very-secret", said)
            self.assertEqual(len(server.requests), 1)
            self.run_fails(4, *base, "--endpoint", server.url, "--api-key-fd", 99, words=("--api-key-fd 99",))
        for url in ("http://192.0.2.1", "http://127.0.0.1.example", "http://localhost.example"):  # nobody on the way is shown the key
            code, said = self.with_key(b"sk-very-secret\n", *base, "--endpoint", url)
            self.assertEqual((code, "use https" in said, "very-secret" in said), (2, True, False), said)

    def test_a_signal_ends_it_at_once(self):
        came, leave = threading.Event(), threading.Event()

        def hang(handler, _):
            came.set()
            leave.wait(60)
            handler.close_connection = True

        with Completions(answer=hang) as server:
            asking = subprocess.Popen([HEIRMARK, "doctor", "--subkeys", self.subkeys, "--endpoint", server.url, "--model", "m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
            try:
                self.assertTrue(came.wait(60))
                asking.send_signal(signal.SIGINT)
                sent = time.monotonic()
                out, err = asking.communicate(timeout=30)
                self.assertLess(time.monotonic() - sent, 5)
                self.assertEqual((asking.returncode, out), (6, b""))
                self.assertIn(b"stopped", err)
            finally:
                leave.set()
                asking.kill()
                asking.wait()

    def test_progress_on_a_terminal(self):
        with Completions(self.marked()) as server:
            code, shown = on_terminal("doctor", "--subkeys", self.subkeys, "--endpoint", server.url, "--model", "m", *self.ASK)
        self.assertEqual(code, 0, shown)
        self.assertRegex(shown, r"endpoint \[#*\.*\] +\d+%")

    def test_wrong_usage(self):
        base = ("doctor", "--subkeys", self.subkeys)
        self.run_fails(2, *base, "--endpoint", "http://127.0.0.1", words=("--model",))
        self.run_fails(2, *base, "--model", "m", words=("--endpoint",))
        self.run_fails(2, *base, "--endpoint", "http://127.0.0.1", "--model", "m", "--requests", 3, words=("4",))
        self.run_fails(2, *base, "--ca", "-", "--text", "-", words=("standard input",))
        self.run_fails(2, *base, "--ca", "ca.pem", words=("--endpoint",))
        self.run_fails(2, *base, "--api-key-fd", 9, words=("--endpoint",))
        for url in ("127.0.0.1:8000", "ftp://host", "http://", "http://:80", "http://user:pw-secret@host", "http://host:0", "http://host:65536", "http://host:x", "http://host/?a=b", "http://host/#a",
                    "http://ho st", "http://host/\r\nX: y", "http://[::1", "http://[::1]8080", "https://[2001:db8::1]8443", "http://[::1]x443", "http://[host]/", "https:///v1", "http://h\u00f6st", ""):
            with self.subTest(url):
                done = self.run_fails(2, *base, "--endpoint", url, "--model", "m", words=("--endpoint",))
                self.assertNotIn("pw-secret", done.err)


if __name__ == "__main__":
    main()
