"""llama-server with llama-server.patch (HEIRMARK_LLAMA_SERVER) and a real language model (HEIRMARK_LLAMA_MODEL): what clients got stands in the ledger, token for token and
once, and nothing else; what clients may ask; what a server does that cannot mark or record.

p-values are exact: the other key fails its check with a probability of at most 1e-9. Request ids are random, so there is no seed. Of the 1,650 marked tokens of a 270M model three runs
gave log10 p = -104, -111 and -104, with a standard deviation of some 8: the limit of -9 is more than ten of them above.
"""
import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

from test_model import key, log10_p, skip

CLIENTS = 8
LENGTH = 48
LIMIT = -9.0
BOS = 2


class Server:
    """llama-server on the loopback address. Its log goes through a pipe, so that a limit on the size of files is the ledger's alone."""

    def __init__(self, folder, config, *options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = []
        self.process = subprocess.Popen([os.environ["HEIRMARK_LLAMA_SERVER"], "-m", os.path.abspath(os.environ["HEIRMARK_LLAMA_MODEL"]), "--host", "127.0.0.1", "--port", str(self.port), "-t",
                                         "1", "-tb", "1", "-np", str(CLIENTS), "-c", str(512 * CLIENTS), *options], cwd=folder, env={**os.environ, "HEIRMARK_CONFIG": config}, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace", restore_signals=False)  # SIGXFSZ stays ignored, as Python has it
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def __enter__(self):
        deadline = time.monotonic() + 600
        while self.ask("GET", "/health")[0] != 200:
            assert self.process.poll() is None, self.text()[-3000:]
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.5)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.end()

    def end(self):
        """Its exit code; killed after two minutes."""
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(10)
        return self.process.returncode

    def text(self):
        return "".join(self.log)

    def counts(self):
        """What it counted, as its last line about that says."""
        line = next(line for line in reversed(self.log) if "heirmark: requests." in line)
        return {name: int(count) for name, count in (word.split() for word in line.split("heirmark: ")[1].split(", "))}

    def ask(self, method, path, body=None):
        """Status and JSON of an answer; (0, None) where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or "null")
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return 0, None
        finally:
            connection.close()

    def vocabulary(self):
        return self.ask("GET", "/v1/models")[1]["data"][0]["meta"]["n_vocab"]

    def complete(self, prompt, length=LENGTH, **more):
        """Token ids of a completion, or of several."""
        status, answer = self.ask("POST", "/completion", {"prompt": prompt, "n_predict": length, "return_tokens": True, "ignore_eos": True, **more})
        assert status == 200, (status, answer)
        return [one["tokens"] for one in answer] if isinstance(answer, list) else answer["tokens"]

    def stream(self, prompt, tokens, **more):
        """A stream that the client leaves after `tokens` tokens, or that breaks: the tokens that it had."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("POST", "/completion", json.dumps({"prompt": prompt, "n_predict": 450, "return_tokens": True, "ignore_eos": True, "stream": True, **more}),
                           {"Content-Type": "application/json"})
        got = []
        try:
            answer = connection.getresponse()
            while len(got) < tokens and (line := answer.readline()):
                if line.startswith(b"data: {"):
                    got += json.loads(line[6:]).get("tokens", [])
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        return got


class Case:
    """A key, another, and a ledger."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run([os.environ["HEIRMARK_MAKE_KEYSTORE"], "keys"], cwd=folder, check=True, input="engines test\n", text=True)
        for epoch in ("2026-11", "2026-12"):
            key(folder, "new", f"acme/{epoch}", "--family-size", "4096")
            key(folder, "commit", f"acme/{epoch}", "-o", f"commitment-{epoch}.json")
            key(folder, "open", f"acme/{epoch}", "--to", "auditor", "-o", f"opening-{epoch}.json")
        key(folder, "export-subkey", "acme/2026-11", "--account", "acme", "--account", "birch", "-o", "subkeys.json")
        self.config("heirmark.json", ledger=self.ledger("ledger"))

    def config(self, name, **more):
        (self.folder / name).write_text(json.dumps({"subkeys": "subkeys.json", "epoch": "2026-11", "model": "test", **more}))
        return name

    def ledger(self, name):
        self.run("ledger", "new", name, store=True)
        return name

    def run(self, *words, store=False):
        return subprocess.run([os.environ["HEIRMARK"], *words, *(["--keystore", "keys", "--passphrase-fd", "0"] if store else [])], cwd=self.folder, input="engines test\n" if store else None,
                              check=True, capture_output=True, text=True).stdout

    def recorded(self, name="ledger", *words):
        """The exported lines of a ledger that verifies."""
        check = json.loads(self.run("ledger", "verify", name, "--sealed", "--json", store=True))
        assert check["problems"] == [] and check["opened"] == check["responses"], check
        return [json.loads(line) for line in self.run("ledger", "export", name, "-o", "-", *words, store=True).splitlines()]

    def wait(self, count, name="ledger"):
        deadline = time.monotonic() + 60
        while json.loads(self.run("ledger", "list", name, "--json"))["responses"] < count:
            assert time.monotonic() < deadline, f"fewer than {count} responses are recorded"
            time.sleep(0.2)


def prompt_of(number):
    return [BOS, 1000 + 37 * number, 2000 + 11 * number, 3000 + 7 * number]


def entry(line):
    return line["account"], tuple(line["prompt"]), tuple(line["tokens"])


def check_what_was_served(case):
    served = []  # (account, prompt, tokens) of each marked answer
    expected = collections.Counter()

    def many(server, first, count):
        """Half of the clients for birch, a quarter not marked."""
        def one(number):
            wish = {"heirmark_account": "birch"} if number % 2 else {}
            if number % 4 == 3:
                wish["heirmark_mark"] = number % 8 == 3 and 0  # 0 or false
            return number, wish, server.complete(prompt_of(number), **wish)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for number, wish, tokens in pool.map(one, range(first, first + count)):
                assert len(tokens) == LENGTH
                if "heirmark_mark" in wish:
                    expected["requests.opted-out"] += 1
                else:
                    expected["requests.marked"] += 1
                    served.append((wish.get("heirmark_account", "acme"), tuple(prompt_of(number)), tuple(tokens)))

    def marked(prompt, tokens, account="acme"):
        expected["requests.marked"] += 1
        served.append((account, tuple(prompt), tuple(tokens)))

    with Server(case.folder, "heirmark.json") as server:
        many(server, 0, 3 * CLIENTS)
        pair = server.complete(prompt_of(100), n_cmpl=2, heirmark_account="birch")
        assert len(pair) == 2 and pair[0] != pair[1]
        for tokens in pair:
            marked(prompt_of(100), tokens, "birch")
        marked(prompt_of(101), server.complete(prompt_of(101), 24, grammar='root ::= "yes" | "no" | [a-z ]+', ignore_eos=False))
        marked(prompt_of(102), server.complete(prompt_of(102), 8, temperature=0))
        marked(prompt_of(103), server.complete(prompt_of(103), 200, stop=["e"]))
        marked(prompt_of(104), server.complete(prompt_of(104), 4, n_probs=3, post_sampling_probs=True))
        # An endpoint that gives text only: the recorded tokens are that text.
        status, chat = server.ask("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 12, "heirmark_account": "birch"})
        assert status == 200, chat
        expected["requests.marked"] += 1
        status, message = server.ask("POST", "/v1/messages", {"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 12, "heirmark_mark": False})
        assert status == 200, message
        expected["requests.opted-out"] += 1
        # A client that goes away.
        left = server.stream(prompt_of(105), 10)
        assert len(left) >= 10
        expected["requests.marked"] += 1
        # What is refused begins nothing.
        for wish, word in (({"heirmark_mark": "no"}, "heirmark_mark"), ({"heirmark_mark": 2}, "heirmark_mark"), ({"heirmark_mark": None}, "heirmark_mark"), ({"heirmark_account": 5}, "heirmark_account"),
                           ({"heirmark_account": "No Name"}, "heirmark_account"), ({"heirmark_account": "pine"}, "no such account"), ({"heirmark_key": "x"}, "heirmark_key"),
                           ({"mirostat": 2}, "mirostat"), ({"samplers": ["adaptive_p"]}, "adaptive-p")):
            status, answer = server.ask("POST", "/completion", {"prompt": "x", "n_predict": 4, **wish})
            assert status == 400 and word in answer["error"]["message"], (wish, status, answer)
        status, answer = server.ask("POST", "/v1/messages", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 4, "heirmark_key": "x"})
        assert status == 400 and "heirmark_key" in json.dumps(answer), (status, answer)
        for reason in ("unknown-account", "unsupported-mirostat", "unsupported-adaptive-p"):
            expected[f"requests.{reason}"] += 1
        # A row of which nothing is left ends its request before a token is given out.
        status, answer = server.ask("POST", "/completion", {"prompt": "x", "n_predict": 4, "samplers": [], "logit_bias": [[token, False] for token in range(server.vocabulary())]})
        assert status == 500 and "no-candidate" in answer["error"]["message"], (status, answer)
        expected["requests.marked"] += 1
        # Not marked, these are llama.cpp's own, and so is the seed.
        again = [server.complete(prompt_of(106), 16, heirmark_mark=0, seed=7, mirostat=2) for _ in range(2)]
        assert again[0] == again[1]
        expected["requests.opted-out"] += 2
        case.wait(len(served) + 2)
        # Another server cannot have the ledger.
        other = Server(case.folder, "heirmark.json")
        assert other.end() != 0 and "another server" in other.text(), other.text()
        lines = case.recorded()
        rest = collections.Counter(map(entry, lines)) - collections.Counter(served)
        assert not collections.Counter(served) - collections.Counter(map(entry, lines)), "an answer is not in the ledger"
        of_chat = next(one for one in rest if one[0] == "birch")
        status, text = server.ask("POST", "/detokenize", {"tokens": of_chat[2]})
        content = chat["choices"][0]["message"]["content"]
        assert content and text["content"].startswith(content), (text, content)
        of_left = next(one for one in rest if one[0] == "acme")
        assert of_left[1] == tuple(prompt_of(105)) and list(of_left[2][:len(left)]) == left and len(of_left[2]) < 450
        assert sum(rest.values()) == 2, rest
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0, server.text()[-2000:]
        counts = server.counts()
        total = sum(len(line["tokens"]) for line in lines)
        assert {name: count for name, count in counts.items() if name.startswith("requests.")} == expected, (counts, expected)
        assert counts["tokens.marked"] + counts["tokens.issued"] == total and counts["tokens.failed"] == 1 and "responses.unrecorded" not in counts, (counts, total)
        before = [entry(line) for line in lines]

    # Killed while it answers: what is in the ledger was asked for, and is whole; what was answered some time ago is there.
    with Server(case.folder, "heirmark.json") as server:
        many(server, 200, CLIENTS)
        time.sleep(2)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            broken = [pool.submit(server.stream, prompt_of(300 + i), 450) for i in range(CLIENTS)]
            time.sleep(3)
            server.process.kill()
            assert all(len(call.result()) < 450 for call in broken)
        server.end()
    after = [entry(line) for line in case.recorded()]
    assert after[:len(before)] == before
    assert not collections.Counter(served) - collections.Counter(after), "an answer is not in the ledger"

    # Started again; and ended while it answers: the responses are recorded as far as they came.
    with Server(case.folder, "heirmark.json") as server:
        many(server, 400, CLIENTS)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            calls = [pool.submit(server.stream, prompt_of(500 + i), 450, heirmark_account="birch") for i in range(2)]
            time.sleep(3)
            server.process.send_signal(signal.SIGTERM)
            got = [call.result() for call in calls]
        assert server.end() == 0, server.text()[-2000:]
    lines = case.recorded()
    entries = collections.Counter(map(entry, lines))
    rest = list((entries - collections.Counter(served)).elements())
    assert not collections.Counter(served) - entries, "an answer is not in the ledger"
    for i, tokens in enumerate(got):
        full = [one[2] for one in rest if one[:2] == ("birch", tuple(prompt_of(500 + i)))]
        assert len(full) == 1 and 0 < len(tokens) <= len(full[0]) < 450 and list(full[0][:len(tokens)]) == tokens, (len(tokens), [len(one) for one in full])
    assert len(rest) == 4, [one[:2] for one in rest]  # the two, and the chat and the stream of the first server
    ids = {line["request_id"] for line in lines}
    assert len(ids) == len(lines)
    birch = case.recorded("ledger", "--account", "birch")
    assert len(birch) == sum(line["account"] == "birch" for line in lines) > 0 and all(line["account"] == "birch" for line in birch)
    check = json.loads(case.run("ledger", "list", "ledger", "--json"))
    assert check["checkpoints"][-1]["size"] == check["records"] and check["lost"] == 0, check
    (case.folder / "log.jsonl").write_text("".join(json.dumps({"tokens": line["prompt"] + line["tokens"], "prompt_tokens": len(line["prompt"])}) + "\n" for line in lines))
    found = {epoch: log10_p(case.folder, "log.jsonl", epoch) for epoch in ("2026-11", "2026-12")}
    print(f"{len(lines)} responses recorded, {sum(len(line['tokens']) for line in lines)} tokens; log10 p of the exported log: {found}")
    assert found["2026-11"] < LIMIT < found["2026-12"], found
    # Its secrets are in no log.
    secrets = json.loads((case.folder / "subkeys.json").read_text())
    for secret in [secrets["coin"], *secrets["window"], *secrets["issuance"]]:
        assert secret not in server.text()


def check_a_full_disk(case):
    """A limit on the size of files stands for the disk. Under fail-closed nothing begins while the ledger cannot write; what was begun is recorded when it can again."""
    name = case.ledger("full")
    with Server(case.folder, case.config("full.json", ledger=name)) as server:
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
        served = [server.complete(prompt_of(0), 8)]
        deadline = time.monotonic() + 60
        while True:
            status, answer = server.ask("POST", "/completion", {"prompt": prompt_of(1), "n_predict": 8, "return_tokens": True, "ignore_eos": True})
            if status != 200:
                break
            served.append(answer["tokens"])
            assert time.monotonic() < deadline, "the full disk is not noticed"
        assert status == 503 and "cannot be recorded" in answer["error"]["message"], (status, answer)
        server.complete(prompt_of(2), 8, heirmark_mark=0)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        case.wait(len(served), name)
        served.append(server.complete(prompt_of(3), 8))
    assert sorted(line["tokens"] for line in case.recorded(name)) == sorted(served)
    assert server.process.returncode == 0 and server.counts()["requests.ledger-fails"] == 1


def check_serving_unmarked(case):
    """The other policy serves what cannot be marked, counts it, and records none of it."""
    name = case.ledger("lenient")
    with Server(case.folder, case.config("lenient.json", ledger=name, policy="serve-unmarked-and-count", account="birch")) as server:
        tokens = server.complete(prompt_of(0), 8)
        for more in ({"heirmark_account": "pine"}, {"mirostat": 1}):
            assert len(server.complete(prompt_of(1), 8, **more)) == 8
    assert [entry(line) for line in case.recorded(name)] == [("birch", tuple(prompt_of(0)), tuple(tokens))]
    counts = {name: count for name, count in server.counts().items() if name.startswith("requests.")}
    assert counts == {"requests.marked": 1, "requests.unknown-account": 1, "requests.unsupported-mirostat": 1}, counts
    assert "policy serve-unmarked-and-count" in server.text()


def check_drafts(case):
    """The model as its own drafter: most drafts are taken, and a response ends within one."""
    name = case.ledger("drafts")
    with Server(case.folder, case.config("drafts.json", ledger=name), "-md", os.path.abspath(os.environ["HEIRMARK_LLAMA_MODEL"]), "--spec-type", "draft-simple") as server:
        served = [server.complete(prompt_of(i), length) for i, length in enumerate((23, 30, 31))] + [server.complete(prompt_of(9), 100, stop=["e"])]
    lines = case.recorded(name)
    assert [line["tokens"] for line in lines] == served
    assert all(len(line["tokens"]) == length for line, length in zip(lines, (23, 30, 31)))
    accepted = [line for line in server.log if "draft acceptance" in line]
    assert len(accepted) == 4 and any(" 0 accepted" not in line for line in accepted), accepted
    assert "tokens.failed" not in server.counts()


def check_what_does_not_start(case):
    """Each with one line that names the file, before a model is loaded."""
    (case.folder / "empty").mkdir()
    good = '"subkeys": "subkeys.json", "epoch": "2026-11"'
    for text, words in (("{", ["bad.json", "line 1"]), ("[]", ["bad.json", "expected an object"]), ("\xff{}", ["bad.json"]), ("{}", ['"subkeys": missing']), ('{"subkeys": ""}', ['"subkeys"']),
                        ('{"subkeys": 5}', ['"subkeys"']), ('{%s, "polic": "x"}' % good, ['unknown member "polic"']), ('{%s, "policy": "x"}' % good, ['"policy"', "fail-closed"]),
                        ('{%s, %s}' % (good, good), ["a member twice"]), ('{%s, "account": "A B"}' % good, ['"account"']), ('{%s, "account": "pine"}' % good, ["subkeys.json", '"pine"']),
                        ('{"subkeys": "none.json"}', ["none.json"]), ('{%s, "ledger": "none"}' % good, ["none"]), ('{%s, "ledger": "empty"}' % good, ["empty"]),
                        ('{%s, "ledger": "ledger", "model": "\\u00e9"}' % good, ["bad.json", '"model"', "ASCII"]), ('{%s, "model": "\\u00e9"}' % good, ['"model"', "ASCII"]),
                        ('{"subkeys": "a\\u0000b"}', ['"subkeys"', "control"]), ('{"subkeys": "subkeys.json", "epoch": "2026-13"}', ['"epoch"', "YYYY-MM"]),
                        ('{"subkeys": "subkeys.json", "epoch": "2026-12"}', ["keys of 2026-11, and the configuration names 2026-12"])):
        (case.folder / "bad.json").write_bytes(text.encode("latin-1"))
        server = Server(case.folder, "bad.json")
        assert server.end() != 0, text
        lines = [line for line in server.log if "heirmark: " in line]
        assert len(lines) == 1 and all(word in lines[0] for word in words), (text, server.text())
        assert "loading model '" not in server.text(), text
    server = Server(case.folder, "missing.json")
    assert server.end() != 0 and "missing.json" in server.text()


def main():
    for variable, what in (("HEIRMARK_LLAMA_SERVER", "llama-server, patched with llama-server.patch"), ("HEIRMARK_LLAMA_MODEL", "GGUF file")):
        if not os.environ.get(variable):
            skip(f"{variable} names no {what}")
    with tempfile.TemporaryDirectory() as name:
        case = Case(pathlib.Path(name))
        for check in (check_what_does_not_start, check_serving_unmarked, check_a_full_disk, check_drafts, check_what_was_served):
            started = time.monotonic()
            check(case)
            print(f"{check.__name__}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
