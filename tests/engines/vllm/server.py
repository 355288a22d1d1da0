"""`vllm serve` on the loopback address, and clients of its OpenAI-compatible endpoint."""
import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from heirmark.serving import VARIABLE

# What lets the CPU's vLLM run on a small machine, without a network.
for _name, _value in (("HF_HUB_OFFLINE", "1"), ("VLLM_CPU_KVCACHE_SPACE", "2"), ("VLLM_NO_USAGE_STATS", "1"), ("VLLM_LOGGING_LEVEL", "INFO")):
    os.environ.setdefault(_name, _value)

CLIENTS = 32
_ENGINE = ["--dtype", "bfloat16", "--enforce-eager", "--max-model-len", "768", "--max-num-seqs", str(CLIENTS)]


class Server:
    """One server, for a `with` block. (`vllm serve` itself asks for a distribution named vllm, and the one for the CPU is named vllm-cpu.)"""

    def __init__(self, model, config, log, *options):
        """config: the file that HEIRMARK_CONFIG names. log: what the server says is appended there."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = log
        self.process = subprocess.Popen([sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--host", "127.0.0.1", "--port", str(self.port), "--served-model-name", "test", *_ENGINE, *options],
                                        stdout=log.open("ab"), stderr=subprocess.STDOUT, env={**os.environ, VARIABLE: str(config)}, start_new_session=True)

    def __enter__(self):
        deadline = time.monotonic() + 900
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).close()
                return self
            except OSError:
                assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(2)

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        """As a crash would: SIGKILL to all its processes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def complete(self, prompt, length, **changes):
        """(token ids of the prompt, those of each choice) of one completion."""
        body = {"model": "test", "prompt": prompt, "max_tokens": length, "temperature": 1.0, "ignore_eos": True, "return_token_ids": True, "seed": 7, **changes}
        call = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json", "X-Request-Id": "the-same"})
        with urllib.request.urlopen(call, timeout=1800) as answer:
            choices = json.load(answer)["choices"]
        return choices[0]["prompt_token_ids"], [choice["token_ids"] for choice in choices]

    def many(self, prompts, length, each=lambda _: {}, **changes):
        """All prompts at once, each from a client of its own, with each(i) beside `changes`. Returns (prompt, tokens) of each and tokens a second."""
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(prompts)) as pool:
            answers = list(pool.map(lambda i: self.complete(prompts[i], length, **{**changes, **each(i)}), range(len(prompts))))
        took = time.monotonic() - started
        assert all(len(tokens[0]) == length for _, tokens in answers)
        return [(prompt, tokens[0]) for prompt, tokens in answers], len(prompts) * length / took

    def processes(self):
        """/proc folders of the server and its children."""
        parents = {}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
        found = {self.process.pid}
        while more := {child for child, parent in parents.items() if parent in found} - found:
            found |= more
        return [pathlib.Path("/proc") / str(pid) for pid in found]
