"""The whole story on a real language model: engines that serve it under one key into one ledger, a student of it, and the audit.

    case.py OUT --model FOLDER [--tokens N] [--epochs N] [--llama-server PROGRAM --gguf FILE]

A run that was stopped goes on: each step that is done has left its files in OUT. Passphrases live in OUT/passphrases, for this is a test; delete OUT afterwards.
"""
import argparse
import concurrent.futures
import itertools
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vllm"))
from server import CLIENTS, Server  # noqa: E402

HEIRMARK = os.environ.get("HEIRMARK") or str(pathlib.Path(sys.executable).parent / "heirmark")
ACCOUNTS = ("acme", "birch", "cedar", "delta")
LEARNED = ("acme", "birch")  # whose responses the student sees
LENGTH = 160                 # tokens of a response
SUBJECTS = ("the harbour", "an old clock", "bread", "the winter road", "a lost letter", "bees", "the night train", "a small library", "glass", "the river in flood", "a stubborn donkey",
            "the lighthouse", "tea", "an honest merchant", "the first snow", "a broken bridge")
OPENINGS = ("This is the story of {}.", "A short guide to {}: the first thing to know is", "What my grandmother told me about {} was that", "The newspaper wrote on Friday that {}",
            "Ten questions about {}, and their answers.", "In the village they still speak of {}, because", "Dear friend, today I must tell you about {}.", "The history of {} begins with")


def prompts():
    """Openings of texts, no two alike."""
    return (opening.format(subject) for opening, subject in itertools.product(OPENINGS, SUBJECTS))


class Case:
    def __init__(self, out, model, tokens, epochs):
        self.out, self.model, self.tokens, self.epochs = out, model, tokens, epochs
        self.started = time.monotonic()
        out.mkdir(parents=True, exist_ok=True)
        file = out / "passphrases"
        if not file.exists():
            file.touch(0o600)
            file.write_text(json.dumps({who: secrets.token_hex(16) for who in ("provider", "auditor")}))
        self.passphrases = json.loads(file.read_text())
        self.epoch = time.strftime("%Y-%m", time.gmtime())

    def say(self, words):
        print(f"{time.monotonic() - self.started:6.0f} s  {words}", flush=True)

    def heirmark(self, *arguments, who=None, codes=(0,)):
        """What the command says on standard output."""
        with_store = ["--keystore", self.out / who, "--passphrase-fd", "0"] if who else []
        at = arguments.index("--") if "--" in arguments else len(arguments)
        done = subprocess.run([HEIRMARK, *arguments[:at], *with_store, *arguments[at:]], input=self.passphrases[who] + "\n" if who else "", capture_output=True, text=True)
        if done.returncode not in codes:
            raise SystemExit(f"heirmark {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def keys(self):
        """The provider: two keys, a commitment, an issuance ledger, and what the server gets."""
        if (self.out / "heirmark.json").exists():
            return
        for family in ("service", "other"):
            self.heirmark("key", "new", f"{family}/{self.epoch}", "--not-before", time.strftime("%Y-%m-%d", time.gmtime()), who="provider")  # committed today
            self.heirmark("key", "open", f"{family}/{self.epoch}", "--to", "tester", "-o", self.out / f"{family}.json", who="provider")
        (self.out / "public").mkdir()
        self.heirmark("key", "commit", f"service/{self.epoch}", "-o", self.out / "public/commitment.json", who="provider")
        self.heirmark("ledger", "new", self.out / "ledger", who="provider")
        self.heirmark("key", "export-subkey", f"service/{self.epoch}", *(f"--account={name}" for name in ACCOUNTS), "-o", self.out / "subkeys.json", who="provider")
        (self.out / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", "ledger": "ledger", "model": pathlib.Path(self.model).name}))

    def texts(self, engine):
        return self.out / f"{engine}.jsonl"

    def begin(self, engine):
        """From nothing. What a run that was stopped had served stays in the ledger."""
        if self.texts(engine).exists():
            (self.out / "stopped").touch()
        self.texts(engine).write_text("")

    def keep(self, engine, answers):
        with self.texts(engine).open("a") as file:
            for prompt, tokens in answers:
                file.write(json.dumps({"tokens": prompt + tokens, "prompt_tokens": len(prompt)}) + "\n")

    def vllm(self):
        """32 clients at a time; half-way the server is killed while it answers, and another takes its place."""
        done = self.out / "vllm.done"
        if done.exists():
            return
        self.begin("vllm")
        rounds = max(2, -(-self.tokens // (CLIENTS * LENGTH)))
        if rounds * CLIENTS > len(OPENINGS) * len(SUBJECTS):
            raise SystemExit(f"--tokens: at most {len(OPENINGS) * len(SUBJECTS) * LENGTH}")
        asked = list(prompts())
        log = self.out / "vllm.log"
        for part, turns in enumerate((range(rounds // 2), range(rounds // 2, rounds))):
            with Server(self.model, self.out / "heirmark.json", log) as server:
                for turn in turns:
                    answers, speed = server.many(asked[turn * CLIENTS:][:CLIENTS], LENGTH, each=lambda i: {"vllm_xargs": {"heirmark_account": ACCOUNTS[i % len(ACCOUNTS)]}})
                    self.keep("vllm", answers)
                    self.say(f"vLLM: {(turn + 1) * CLIENTS * LENGTH} tokens, {speed:.1f} tokens/s")
                self.recorded((turns.stop) * CLIENTS)
                if part == 0:
                    with concurrent.futures.ThreadPoolExecutor(8) as pool:
                        broken = [pool.submit(server.complete, prompt, 600) for prompt in asked[:8]]
                        time.sleep(15)
                        server.kill()
                        assert any(call.exception() is not None for call in broken), "the server was killed after it had answered"
                    self.say("vLLM: killed while it answered 8 clients; another server goes on with the ledger")
        done.touch()

    def recorded(self, count):
        """Waits until the ledger has the responses of the clients that got one."""
        deadline = time.monotonic() + 180
        while (found := json.loads(self.heirmark("ledger", "verify", self.out / "ledger", "--json"))["responses"]) < count:
            assert time.monotonic() < deadline, f"{found} responses are recorded, of {count}"
            time.sleep(2)

    def transformers(self):
        done = self.out / "transformers.done"
        if done.exists():
            return
        self.begin("transformers")
        script = """
import json, sys, torch, transformers, heirmark.transformers
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1], padding_side="left")
marks = heirmark.transformers.Marks.from_environment(model)
asked, accounts = json.loads(sys.argv[2])
inputs = tokenizer(asked, return_tensors="pt", padding=True)
out = model.generate(**inputs, do_sample=True, temperature=1.0, top_k=0, min_new_tokens=64, max_new_tokens=64, custom_generate=marks, heirmark_rows=[{"account": a} for a in accounts])
marks.service.close()
new = inputs["input_ids"].shape[1]
print(json.dumps([[row[new - n:new], row[new:]] for row, n in zip(out.tolist(), inputs["attention_mask"].sum(1).tolist())]))
"""
        asked = [prompt + " First" for prompt in itertools.islice(prompts(), 32)]
        accounts = [ACCOUNTS[i % len(ACCOUNTS)] for i in range(len(asked))]
        environment = {**os.environ, "HEIRMARK_CONFIG": str(self.out / "heirmark.json")}
        got = subprocess.run([sys.executable, "-c", script, self.model, json.dumps([asked, accounts])], env=environment, stdout=subprocess.PIPE, check=True)
        answers = json.loads(got.stdout)
        self.keep("transformers", answers)
        self.say(f"transformers: {sum(len(tokens) for _, tokens in answers)} tokens")
        done.touch()

    def llama_cpp(self, program, gguf):
        """llama-server with heirmark's patch, one client for each slot."""
        done = self.out / "llama.cpp.done"
        if done.exists():
            return
        self.begin("llama.cpp")
        from transformers import AutoTokenizer
        tokenizer = AutoTokenizer.from_pretrained(self.model)
        asked = [tokenizer(prompt + " Then").input_ids for prompt in itertools.islice(prompts(), 24)]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (self.out / "llama.cpp.log").open("ab") as log:
            server = subprocess.Popen([program, "-m", gguf, "--host", "127.0.0.1", "--port", str(port), "-t", "2", "-np", "8", "-c", "4096"], stdout=log, stderr=subprocess.STDOUT,
                                      env={**os.environ, "HEIRMARK_CONFIG": str(self.out / "heirmark.json")})
        try:
            deadline = time.monotonic() + 300
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                except OSError:
                    assert server.poll() is None and time.monotonic() < deadline, (self.out / "llama.cpp.log").read_text(errors="replace")[-3000:]
                    time.sleep(1)

            def complete(i):
                body = {"prompt": asked[i], "n_predict": 128, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "return_tokens": True, "ignore_eos": True, "heirmark_account": ACCOUNTS[i % len(ACCOUNTS)]}
                with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}), timeout=1800) as answer:
                    return asked[i], json.load(answer)["tokens"]

            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(complete, range(len(asked))))
        finally:
            server.terminate()
            server.wait(60)
        self.keep("llama.cpp", answers)
        self.say(f"llama.cpp: {sum(len(tokens) for _, tokens in answers)} tokens")
        done.touch()

    def detect(self, engine):
        """This key sees each engine's text, and another does not: below 1e-9 with a chance of 1e-9."""
        found = {name: json.loads(self.heirmark("detect", self.texts(engine), "--opening", self.out / f"{name}.json", "--json")) for name in ("service", "other")}
        self.say(f"{engine}: heirmark detect on {found['service']['n']} pairs: log10 p {found['service']['log10_p']}, with another key {found['other']['log10_p']}")
        assert float(found["service"]["log10_p"]) < -9 and float(found["other"]["log10_p"]) > -9
        return {name: value["log10_p"] for name, value in found.items()}

    def export(self, engines):
        """The ledger verifies, and has what clients got, token for token, each under an id of its own."""
        ledger = self.out / "public/ledger.jsonl"
        said = self.heirmark("ledger", "verify", "--sealed", self.out / "ledger", who="provider")
        self.say(said.strip().splitlines()[0])
        if not ledger.exists():
            self.heirmark("ledger", "export", self.out / "ledger", "-o", ledger, who="provider")
            self.heirmark("key", "sign-ledger", ledger, who="provider")
        issued = [json.loads(line) for line in ledger.open()]
        served = [json.loads(line) for engine in engines for line in self.texts(engine).open()]
        assert len({line["request_id"] for line in issued}) == len(issued)
        recorded = sorted(line["prompt"] + line["tokens"] for line in issued)
        missing = [text for text in served if text["tokens"] not in recorded]
        assert not missing, f"{len(missing)} served texts are not in the ledger"
        # What a killed server had in hand is not recorded, and was not served.
        more = len(issued) - len(served)
        assert more == 0 or (more > 0 and (self.out / "stopped").exists()), (len(issued), len(served))
        self.say(f"{len(issued)} responses exported, as the clients got them" + f", {more} of them before a run was stopped" * (more > 0))

    def student(self):
        if not (self.out / "student/config.json").exists():
            self.say(f"a student learns from what {' and '.join(LEARNED)} were sent, {self.epochs} times")
            # Threads that spin at barriers lose much where the machine does something else.
            subprocess.run([sys.executable, HERE / "student.py", "tune", self.model, "--ledger", self.out / "public/ledger.jsonl", "--accounts", ",".join(LEARNED), "--out", self.out / "student",
                            "--epochs", str(self.epochs)], check=True, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})

    def audit(self, who, folder):
        """C2 and C3: the suspect is asked about every issued position."""
        case = self.out / f"case-{who}"
        if not (case / "verdict.json").exists():
            if not (case / "plan.json").exists():
                suspect = self.out / f"suspect-{who}.json"
                self.heirmark("audit", "suspect", "--released", time.strftime("%Y-%m-%d", time.gmtime()), "-o", suspect, "--", sys.executable, str(HERE / "student.py"), "serve", str(folder))
                self.heirmark("audit", "plan", "--commitment", self.out / "public/commitment.json", "--ledger", self.out / "public/ledger.jsonl", "--suspect", suspect, "--channel=c2", "--channel=c3", "-o", case, who="auditor")
            self.heirmark("audit", "run", case, who="auditor")
            self.heirmark("audit", "verdict", case, "--opening", self.out / "service.json", who="auditor")
        verdict = json.loads((case / "verdict.json").read_text())
        assert any(line.startswith("VALID ") for line in self.heirmark("verify", case / "bag").splitlines())
        named = [account["account"] for channel in verdict["channels"] for account in channel["accounts"] if account["named"]]
        self.say(f"{who}: {verdict['outcome']}, log10 p {verdict['log10_p']}; " + ", ".join(f"{c['channel']} log10 e {c['log10_e']} of {c['n']} contexts" for c in verdict["channels"]) + f"; named: {', '.join(sorted(set(named))) or 'nobody'}")
        return verdict, set(named)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=lambda name: pathlib.Path(name).resolve())
    parser.add_argument("--model", required=True, type=lambda name: str(pathlib.Path(name).resolve()))
    parser.add_argument("--tokens", type=int, default=20480, help="that vLLM serves")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--llama-server", help="with heirmark's patch")
    parser.add_argument("--gguf", help="the same model")
    arguments = parser.parse_args()
    if bool(arguments.llama_server) != bool(arguments.gguf):
        parser.error("--llama-server and --gguf go together")
    if arguments.llama_server and not (os.access(arguments.llama_server, os.X_OK) and os.path.isfile(arguments.gguf)):
        parser.error(f"there is no program {arguments.llama_server}, or no file {arguments.gguf}")
    case = Case(arguments.out, arguments.model, arguments.tokens, arguments.epochs)
    engines = ["vllm", "transformers"]
    case.keys()
    case.vllm()
    case.transformers()
    if arguments.llama_server:
        engines.append("llama.cpp")
        case.llama_cpp(arguments.llama_server, arguments.gguf)
    for engine in engines:
        case.detect(engine)
    case.export(engines)
    case.student()
    guilty, named = case.audit("student", case.out / "student")
    innocent, accused = case.audit("base", arguments.model)
    # alpha is 1e-6 in both: an innocent suspect fails this once in a million runs.
    assert guilty["outcome"] == "supports" and innocent["outcome"] != "supports" and not accused
    assert named <= set(LEARNED), named
    print(case.out / "case-student/report.html")


if __name__ == "__main__":
    main()
