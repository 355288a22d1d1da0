"""heirmark doctor: a set-up that marks is good; each way in which it does not is named."""
import http.server
import json
import os
import socket
import ssl
import subprocess
import sqlite3
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from support import HEIRMARK, PASSPHRASE, Case, environment, heirmark, json_members, main, make_keystore


class Endpoint:
    """Stands for an inference server: answer(handler, question) writes what it likes."""

    def __init__(self, answer, context=None):
        self.questions, lock = [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler):
                question = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
                with lock:
                    self.questions.append((handler.path, dict(handler.headers), question))
                    number = len(self.questions) - 1
                handler.close_connection = True
                try:
                    answer(handler, question, number)
                except OSError:
                    pass  # the doctor has gone

            def log_message(handler, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that does not trust it

        self.server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def say(handler, body, status=200, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


def as_vllm(tokens):
    return {"choices": [{"index": 0, "text": "", "token_ids": tokens, "prompt_token_ids": []}]}


class Doctor(Case):
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

    def ledger(self):
        folder = self.dir / "ledger"
        self.run_ok("ledger", "new", folder, "--keystore", self.store, passphrase=PASSPHRASE)
        return folder

    def mark(self, *more, subkeys=None, name="text.jsonl", texts=20):
        self.run_ok("mark", "--subkeys", subkeys or self.subkeys, "--texts", texts, "--tokens", 100, "-o", self.dir / name, *more)
        return self.dir / name

    def checks(self, *args, code=0):
        done = heirmark("doctor", *args, "--json")
        self.assertEqual(done.code, code, done.out + done.err)
        self.assertEqual(done.json["state"], "bad" if code else "good")
        return {check["code"]: (check["level"], check["detail"]) for check in done.json["checks"]}

    def test_a_good_set_up(self):
        ledger = self.ledger()
        text = self.mark("--ledger", ledger)
        checks = self.checks("--subkeys", self.subkeys, "--text", text, "--ledger", ledger)
        self.assertEqual({code for code, (level, _) in checks.items() if level == "ok"} | {"clock", "ledger.disk"},
                         {"clock", "keys.read", "keys.epoch", "probe", "text", "ledger.read", "ledger.checkpoint", "ledger.key", "ledger.disk"})
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
        other = self.exported("other", self.month)
        for text in (self.mark("--mode", "off", name="off.jsonl"), self.mark(subkeys=other, name="other.jsonl")):
            level, detail = self.checks("--subkeys", self.subkeys, "--text", text, code=1)["text"]
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

    def serve(self, answer, context=None):
        endpoint = Endpoint(answer, context)
        self.addCleanup(endpoint.close)
        return endpoint

    def served(self, *more, subkeys=None, shape=as_vllm):
        """An endpoint that gives out what `heirmark mark` samples, a text for each question."""
        file = self.mark(*more, texts=40, subkeys=subkeys, name="served.jsonl")
        texts = [json.loads(line)["tokens"] for line in file.read_text().splitlines()]
        return self.serve(lambda handler, question, number: say(handler, shape(texts[number][:question["max_tokens"]])))

    def ask(self, url, *more, code=1):
        return self.checks("--subkeys", self.subkeys, "--endpoint", url, "--model", "acme-70b", "--timeout", 5, *more, code=code)

    def test_a_server_that_marks(self):
        for shape in (as_vllm, lambda tokens: {"choices": [{"text": ""}], "__verbose": {"tokens": tokens}}):
            endpoint = self.served(shape=shape)
            checks = self.ask(endpoint.url + "/", code=0)
            self.assertEqual(checks["endpoint"], ("ok", "33 answers, 3,300 tokens"))
            self.assertEqual([checks[name][0] for name in ("endpoint.mark", "endpoint.repeat")], ["ok", "ok"])
            self.assertEqual({path for path, _, _ in endpoint.questions}, {"/v1/completions"})
            asked = [question for _, _, question in endpoint.questions]
            self.assertEqual(len({(tuple(q["prompt"]), q["seed"]) for q in asked}), 32)
            for question in asked:
                self.assertEqual((question["model"], question["temperature"], question["max_tokens"], question["top_p"], question["top_k"]), ("acme-70b", 1, 128, 1, 0))
        checks = self.ask(self.served().url, "--requests", 12, "--tokens", 90, code=0)
        self.assertEqual(checks["endpoint"][1], "13 answers, 1,170 tokens")

    def test_a_server_that_does_not_mark_or_repeats_itself(self):
        for endpoint in (self.served("--mode", "off"), self.served(subkeys=self.exported("other", self.month))):
            self.assertIn("NOT marked", self.ask(endpoint.url)["endpoint.mark"][1])
        same = json.loads(self.mark(texts=1).read_text())["tokens"]
        self.assertEqual(self.ask(self.serve(lambda handler, question, _: say(handler, as_vllm(same))).url)["endpoint.repeat"][0], "fail")
        self.assertEqual(self.ask(self.serve(lambda handler, question, _: say(handler, as_vllm([5, 6]))).url)["endpoint.repeat"][0], "note")

    def test_what_was_answered_must_be_in_the_ledger(self):
        ledger = self.ledger()
        texts = [json.loads(line)["tokens"] for line in self.mark(texts=40, name="served.jsonl").read_text().splitlines()]

        def answer(handler, _, number):
            if number == 12:  # the last one: as many responses as were answered come to the ledger
                self.mark("--ledger", ledger, texts=13, name="other.jsonl")
            say(handler, as_vllm(texts[number]))
        checks = self.ask(self.serve(answer).url, "--requests", 12, "--ledger", ledger, code=0)
        self.assertEqual(checks["endpoint.ledger"], ("ok", "13 responses were recorded meanwhile"))

    def test_what_a_server_may_do_wrong(self):
        def drip(handler, *_):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                handler.wfile.write(b" ")
                time.sleep(0.2)

        def raw(data):
            return lambda handler, *_: handler.wfile.write(data)
        head = b"HTTP/1.1 200 OK\r\n"
        cases = (
            (lambda h, *_: say(h, {"error": "no"}, 401), ("401", "no")), (lambda h, *_: say(h, b"\x1b[31mred" + b"x" * 1000, 500), ("500", "?[31mred", "..")),
            (lambda h, *_: say(h, b"", 404), ("404",)), (lambda h, *_: say(h, b"", 429), ("429",)), (lambda h, *_: say(h, b"", 302, Location="http://127.0.0.1:1/"), ("redirects",)),
            (lambda h, *_: say(h, b"{"), ("no JSON",)), (lambda h, *_: say(h, b"[" * 100), ("no JSON",)), (lambda h, *_: say(h, [1]), ("no choices",)), (lambda h, *_: say(h, {"choices": []}), ("no choices",)),
            (lambda h, *_: say(h, {"choices": [{"text": "words"}]}), ("return_token_ids", "--text")), (lambda h, *_: say(h, as_vllm("abc")), ("token_ids is no list",)),
            (lambda h, *_: say(h, as_vllm([1, 2.5])), ("no token id",)), (lambda h, *_: say(h, as_vllm([3.0])), ("no token id",)), (lambda h, *_: say(h, as_vllm([-1])), ("no token id",)),
            (lambda h, *_: say(h, as_vllm([2**20])), ("no token id",)), (lambda h, *_: say(h, as_vllm([2**70])), ("no token id",)), (lambda h, *_: say(h, as_vllm([1] * 129)), ("129 tokens",)),
            (lambda h, *_: say(h, b'{"choices":[{"token_ids":[NaN]}]}'), ("no JSON",)), (raw(b""), ("no HTTP answer",)), (raw(b"SSH-2.0-OpenSSH_9\r\n"), ("no HTTP answer",)),
            (raw(head + b"Content-Length: 100\r\n\r\n{"), ("no HTTP answer",)), (raw(head + b"Content-Length: 99999999999\r\n\r\n{"), ("too long",)),
            (raw(head + b"X: " + b"y" * 100_000 + b"\r\n\r\n"), ("too long",)), (raw(head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"), ("no HTTP answer",)),
            (drip, ("no answer in time (5 s)",)), (lambda *_: time.sleep(20), ("no answer in time (5 s)",)))
        for number, (answer, words) in enumerate(cases):
            with self.subTest(number=number, words=words):
                level, detail = self.ask(self.serve(answer).url)["endpoint"]
                self.assertEqual(level, "fail")
                for word in words:
                    self.assertIn(word, detail)
                self.assertLess(len(detail), 400)
                self.assertNotIn("\x1b", detail)
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b'{"choices":[{"token', b'_ids":[5,', b"6]}]}")) + b"0\r\n\r\n"
        self.assertEqual(self.ask(self.serve(raw(chunked)).url)["endpoint"], ("ok", "33 answers, 66 tokens"))
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            self.assertIn("cannot connect", self.ask(f"http://127.0.0.1:{closed.getsockname()[1]}/v1")["endpoint"][1])
        self.assertIn("cannot be found", self.ask("http://no-such-host.invalid/v1")["endpoint"][1])

    def test_tls_and_the_api_key(self):
        key, certificate = self.dir / "tls.key", self.dir / "tls.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        texts = [json.loads(line)["tokens"] for line in self.mark(texts=40).read_text().splitlines()]
        endpoint = self.serve(lambda handler, question, number: say(handler, as_vllm(texts[number])), context)
        self.assertIn("no TLS", self.ask(endpoint.url)["endpoint"][1])
        self.assertIn("no TLS", self.ask(endpoint.url.replace("127.0.0.1", "localhost"), "--ca", certificate)["endpoint"][1])
        self.assertEqual(endpoint.questions, [])
        self.ask(endpoint.url, "--ca", certificate, code=0)
        endpoint.questions.clear()
        read, write = os.pipe()
        os.write(write, b"sk-secret\n")
        os.close(write)
        done = subprocess.run([HEIRMARK, "doctor", "--subkeys", self.subkeys, "--endpoint", endpoint.url, "--model", "m", "--ca", certificate, "--api-key-fd", str(read)], pass_fds=[read], capture_output=True,
                              text=True, env=environment())
        os.close(read)
        self.assertEqual({headers.get("Authorization") for _, headers, _ in endpoint.questions}, {"Bearer sk-secret"})
        self.assertNotIn("sk-secret", done.stdout + done.stderr)
        self.assertIn("--ca", self.ask(endpoint.url, "--ca", self.subkeys)["endpoint"][1])

    def test_an_interrupt_ends_it_at_once(self):
        asked = threading.Event()
        endpoint = self.serve(lambda *_: (asked.set(), time.sleep(30)))
        started = subprocess.Popen([HEIRMARK, "doctor", "--subkeys", self.subkeys, "--endpoint", endpoint.url, "--model", "m"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.assertTrue(asked.wait(60))
        started.terminate()
        out, error = started.communicate(timeout=10)
        self.assertEqual((started.returncode, out), (6, b""), error)

    def test_wrong_usage(self):
        for words in (("--endpoint", "http://127.0.0.1:1/v1"), ("--model", "m"), ("--ca", "x"), ("--api-key-fd", "9")):
            self.run_fails(2, "doctor", "--subkeys", self.subkeys, *words, words=("go",))
        for url in ("127.0.0.1:8000", "ftp://x/v1", "http://", "http://a:b@c/v1", "http://c/v1?key=1", "http://c:0/v1", "http://c:99999/v1", "http://c:/v1", "http://[::1/v1", "http://[::1]x/v1", "http://a b/v1"):
            self.run_fails(2, "doctor", "--subkeys", self.subkeys, "--endpoint", url, "--model", "m", words=("--endpoint: ",))
        read, write = os.pipe()
        os.write(write, b"sk-secret\n")
        os.close(write)
        done = subprocess.run([HEIRMARK, "doctor", "--subkeys", self.subkeys, "--endpoint", "http://192.0.2.1/v1", "--model", "m", "--api-key-fd", str(read)], pass_fds=[read], capture_output=True, text=True,
                              env=environment())
        os.close(read)
        self.assertEqual(done.returncode, 2)
        self.assertIn("use https", done.stderr)
        self.assertNotIn("sk-secret", done.stdout + done.stderr)
        self.run_fails(2, "doctor", words=("--subkeys",))
        self.run_fails(2, "doctor", "--subkeys", "-", "--text", "-", words=("standard input",))


if __name__ == "__main__":
    main()
