"""A real language model, served by vLLM with marks. HEIRMARK_VLLM_MODEL names its folder (tests/engines/vllm/run makes one); HEIRMARK_VLLM_TOKENS, about how many tokens to serve."""
import concurrent.futures
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
import urllib.error

import pytest

import heirmark
from heirmark.serving import VARIABLE
from server import CLIENTS, Server

pytest.importorskip("vllm", reason="vLLM is not installed")
MODEL = os.environ.get("HEIRMARK_VLLM_MODEL", "")
if not MODEL:
    pytest.skip("HEIRMARK_VLLM_MODEL names no model: tests/engines/vllm/run --install makes one", allow_module_level=True)

TURNS = 3
LENGTH = max(16, int(os.environ.get("HEIRMARK_VLLM_TOKENS", "4096")) // CLIENTS // TURNS)
BOS = 2
HEIRMARK = os.environ.get("HEIRMARK") or str(pathlib.Path(sys.executable).parent / "heirmark")


class Key:
    def __init__(self, folder):
        self.folder = folder
        store = self.store = heirmark.Keystore.create(folder / "keys", "correct horse", opslimit=1, memlimit=8192)
        self.subkeys = folder / "subkeys.json"
        for name, epoch in (("opening", "acme/2026-11"), ("other", "acme/2026-12")):
            store.new_epoch(epoch, family_size=4096)
            self.write(f"{name}.json", store.open_for(epoch, "tester").expose_bytes())
        self.write("subkeys.json", store.subkeys("acme/2026-11", ["default", "birch"]).expose_bytes())
        (folder / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", "epoch": "2026-11"}))
        self.config = folder / "heirmark.json"

    def write(self, name, data):
        (self.folder / name).write_bytes(data)
        (self.folder / name).chmod(0o600)

    def secrets(self):
        value = json.loads(self.subkeys.read_bytes())
        return [value["coin"], *value["window"], *value["issuance"]]

    def detect(self, texts, opening="opening"):
        """What `heirmark detect` says of texts, as log10 of p."""
        file = self.folder / "texts.jsonl"
        file.write_text("".join(json.dumps({"tokens": prompt + tokens, "prompt_tokens": len(prompt)}) + "\n" for prompt, tokens in texts))
        done = subprocess.run([HEIRMARK, "detect", file, "--opening", self.folder / f"{opening}.json", "--json"], capture_output=True, text=True, check=True, timeout=300)
        return float(json.loads(done.stdout)["log10_p"])


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return Key(tmp_path_factory.mktemp("key"))


def prompts(first=0):
    return [[BOS, 1000 + 37 * i, 2000 + 11 * i, 3000 + 7 * i] for i in range(first, first + CLIENTS)]


def test_served_text_is_found(key, tmp_path):
    """32 clients of the OpenAI-compatible endpoint. Under the null hypothesis p is exact: the other key fails this with a probability of 1e-9."""
    log = tmp_path / "server.log"
    marked, speeds = [], {}
    with Server(MODEL, key.config, log) as server:
        server.many(prompts(), 4)
        # In turns, so that both see what else the machine does.
        for turn in range(TURNS):
            for mark in (0, 1):
                texts, speed = server.many(prompts(turn * CLIENTS), LENGTH, vllm_xargs={"heirmark_mark": mark})
                speeds.setdefault(mark, []).append(speed)
                if mark:
                    marked += texts
                else:
                    unmarked = texts
        print(f"\n{CLIENTS} clients, {TURNS} turns of {CLIENTS * LENGTH} tokens each way, tokens/s: unmarked {speeds[0]}, marked {speeds[1]}; ratio of the medians {statistics.median(speeds[1]) / statistics.median(speeds[0]):.3f}")
        server.many(prompts(), 8, vllm_xargs={"heirmark_account": "birch"})
        for more in ({}, {"watermarking": False, "vllm_xargs": {"heirmark_mark": 1}}):  # the second: what a client adds to its gateway's word
            with pytest.raises(urllib.error.HTTPError) as error:
                server.complete([BOS, 5], 4, use_beam_search=True, n=2, **more)
            assert error.value.code == 400 and "beam search" in error.value.read().decode()
        for extra, words in (({"heirmark_mark": "no"}, "heirmark_mark"), ({"heirmark_account": "pine"}, "no such account"), ({"heirmark_key": "x"}, "heirmark_key")):
            with pytest.raises(urllib.error.HTTPError) as error:
                server.complete([BOS, 5], 4, vllm_xargs=extra)
            assert error.value.code == 400 and words in error.value.read().decode()
        _, samples = server.complete([BOS, 818, 1000], 16, n=3)
        assert len(samples) == 3 and len({tuple(s) for s in samples}) > 1
        outside = [(folder / name).read_bytes() for folder in server.processes() for name in ("environ", "cmdline")]
        assert len(outside) >= 4
        # The server goes away while it answers.
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            broken = [pool.submit(server.complete, prompt, 600) for prompt in prompts()]
            time.sleep(5)
            server.kill()
            assert any(call.exception() is not None for call in broken)
    with Server(MODEL, key.config, log) as server:
        again, _ = server.many(prompts(), min(LENGTH, 64))
    found = {name: key.detect(texts) for name, texts in (("marked", marked), ("unmarked", unmarked), ("again", again))}
    print(found, "other key", key.detect(marked, "other"))
    assert found["marked"] < -9 and found["unmarked"] > -9 and key.detect(marked, "other") > -9
    # The same client's request id, seed and prompt: a request id of ours that came again would give the same issued tokens.
    assert not any(tokens[:len(more)] == more for (_, tokens), (_, more) in zip(marked[:CLIENTS], again, strict=True))
    text = log.read_text(errors="replace")
    assert "heirmark: marking with key" in text
    for secret in key.secrets():
        assert secret not in text and not any(secret.encode() in data for data in outside)


def _counts(worker):
    """Runs in the engine's worker."""
    import heirmark.vllm
    marks = next(p for p in worker.model_runner.input_batch.logitsprocs.all if isinstance(p, heirmark.vllm.LogitsProcessor))
    return marks.counters.snapshot()


OFFLINE = r"""
import json, os, sys
sys.path.insert(0, os.environ["HERE"])
if __name__ == "__main__":
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams
    from test_engine import MODEL, _counts
    # Prompts in chunks of 24 tokens, and a cache that holds some of the sixteen responses: preemption.
    llm = LLM(MODEL, dtype="bfloat16", enforce_eager=True, max_model_len=256, max_num_seqs=16, max_num_batched_tokens=24, num_gpu_blocks_override=int(os.environ["BLOCKS"]), enable_prefix_caching=True)
    def tokens(outs):
        return [[list(o.prompt_token_ids), list(c.token_ids), c.finish_reason] for o in outs for c in o.outputs]
    common = [2] + [1000 + 13 * i for i in range(60)]
    prompts = [{"prompt_token_ids": common + [5000 + i]} for i in range(16)]
    long = llm.generate(prompts, SamplingParams(temperature=1.0, max_tokens=70, ignore_eos=True), use_tqdm=False)
    after = llm.collective_rpc(_counts)[0]
    digits = llm.generate(prompts[:3], SamplingParams(temperature=1.0, max_tokens=12, structured_outputs=StructuredOutputsParams(regex="[0-9]{6}")), use_tqdm=False)
    n = llm.generate(prompts[:1], SamplingParams(temperature=1.0, n=4, max_tokens=12, ignore_eos=True, logprobs=2), use_tqdm=False)
    greedy = llm.generate(prompts[:2], SamplingParams(temperature=0.0, max_tokens=8, ignore_eos=True), use_tqdm=False)
    json.dump({"long": tokens(long), "digits": [o.outputs[0].text for o in digits], "n": tokens(n), "greedy": tokens(greedy), "after": after, "counts": llm.collective_rpc(_counts)[0],
               "logprobs": [[list(step) for step in c.logprobs] for c in n[0].outputs]}, open(os.environ["RESULT"], "w"))
"""


def test_chunks_preemption_and_grammars(key, tmp_path):
    """LLM(...) offline: no token that was served is uncounted, none that was thrown away is counted, and no response starts again."""
    script, result, log = tmp_path / "offline.py", tmp_path / "result.json", tmp_path / "log"
    script.write_text(OFFLINE)
    environment = {**os.environ, VARIABLE: str(key.config), "HERE": str(pathlib.Path(__file__).parent), "RESULT": str(result), "BLOCKS": os.environ.get("HEIRMARK_VLLM_BLOCKS", "40"),
                   "VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}
    with log.open("wb") as out:
        assert subprocess.run([sys.executable, script], env=environment, stdout=out, stderr=subprocess.STDOUT, timeout=1500).returncode == 0, log.read_text(errors="replace")[-3000:]
    got, text = json.loads(result.read_text()), log.read_text(errors="replace")
    assert all(len(tokens) == 70 for _, tokens, _ in got["long"])
    counts = got["after"]
    # The last response's last tokens may not be taken yet: an idle engine does not tell.
    assert counts["requests.marked"] == 16 and 0 <= 1120 - counts["tokens.marked"] - counts["tokens.issued"] <= 16 and "restarts" not in counts, counts
    print(got["counts"], "preempted" if re.search("preempt", text, re.I) else "no preemption seen")
    assert all(re.fullmatch("[0-9]{1,6}", digits) for digits in got["digits"])
    assert len(got["n"]) == 4 and len({tuple(tokens) for _, tokens, _ in got["n"]}) > 1
    for (_, tokens, _), steps in zip(got["n"], got["logprobs"], strict=True):
        assert all(str(token) in [str(t) for t in step] for token, step in zip(tokens, steps, strict=True))
    assert got["counts"].get("tokens.unmarked", 0) >= 14
    assert key.detect([(prompt, tokens) for prompt, tokens, _ in got["long"]], "other") > -9


def test_engines_that_cannot_mark_do_not_start(key, monkeypatch):
    """vLLM's own EngineArgs, speculative decoding and reported choices."""
    import heirmark.vllm
    from vllm.engine.arg_utils import EngineArgs
    monkeypatch.setattr(EngineArgs, "create_engine_config", EngineArgs.create_engine_config)
    monkeypatch.setattr(heirmark.vllm, "_front", None)
    monkeypatch.setenv(VARIABLE, str(key.config))
    heirmark.vllm.register()
    common = dict(model=MODEL, dtype="bfloat16", enforce_eager=True, max_model_len=512)
    heirmark.vllm.check(EngineArgs(**common).create_engine_config())
    for options, words in ((dict(speculative_config={"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3}), "speculative decoding"), (dict(logprobs_mode="processed_logprobs"), "logprobs-mode")):
        with pytest.raises(heirmark.UsageError, match=words):
            EngineArgs(**common, **options).create_engine_config()


def test_the_ledger_has_what_was_served(tmp_path):
    """What the endpoint returned stands in the ledger token for token, once the engine rests; a killed server leaves a good one, and the next goes on with it."""
    key = Key(tmp_path)
    heirmark.make_ledger(tmp_path / "ledger", key.store)
    key.config.write_text(json.dumps({"subkeys": "subkeys.json", "epoch": "2026-11", "ledger": "ledger", "model": "test"}))

    def recorded(count):
        deadline = time.monotonic() + 120
        while heirmark.verify_ledger(tmp_path / "ledger").responses < count:
            assert time.monotonic() < deadline, "the responses are not recorded"
            time.sleep(0.5)
        done = subprocess.run([HEIRMARK, "ledger", "export", tmp_path / "ledger", "-o", "-", "--keystore", tmp_path / "keys", "--passphrase-fd", "0"], input=b"correct horse\n", capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    served = []
    for turn in range(2):
        with Server(MODEL, key.config, tmp_path / "server.log") as server:
            answers, _ = server.many(prompts(), 16)
            server.many(prompts(), 4, vllm_xargs={"heirmark_mark": 0})
            served += answers
            lines = recorded(len(served))
            assert sorted((line["prompt"], line["tokens"]) for line in lines) == sorted((prompt, tokens) for prompt, tokens in served)
            assert len({line["request_id"] for line in lines}) == len(served)
            if turn == 0:
                server.kill()
    check = heirmark.verify_ledger(tmp_path / "ledger", store=key.store)
    assert check.problems == [] and check.opened == len(served)
    print(f"\n{len(served)} responses served and recorded, {check.checkpoints} checkpoints")
