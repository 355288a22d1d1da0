"""Every case of specs/vectors/sampler.json, which Python programs of their own computed, through the package."""
import json

import numpy as np
import pytest

import heirmark
from support import ROOT

VECTORS = json.loads((ROOT / "specs/vectors/sampler.json").read_text())


def logits_row(rule):
    v = np.arange(rule["vocab"], dtype=np.int64)
    row = (((rule["a"] * v * v + rule["b"] * v) % rule["m"] - rule["c"]) / 2.0 ** rule["s"]).astype(np.float32)
    n, residues = rule["mask"]
    row[~np.isin(v % n, residues)] = -np.inf
    for token, value in rule["set"]:
        row[token] = float(value)
    return row


ROWS = {name: logits_row(rule) for name, rule in VECTORS["logits"].items()}


def sampler_of(profile, vocab):
    keys = VECTORS["subkeys"]
    value = {"type": "heirmark/subkeys/v1", "path": "test/2026-11", "keyId": "0" * 16, "profile": profile, "accounts": [f"a{i}" for i in range(len(keys["issuance"]))], **keys}
    return heirmark.Sampler(heirmark.Subkeys.from_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"), vocab_size=vocab, device="cpu")


def run(case, sample):
    """The case's steps; sample(sampler, row, sequence, step) returns (token, status)."""
    drawn = 0
    # One for each vocabulary: a sequence goes with the key.
    samplers = {vocab: sampler_of(case["profile"], vocab) for vocab in {VECTORS["logits"][step["logits"]]["vocab"] for step in case["steps"] if "logits" in step}}
    sequence = next(iter(samplers.values())).begin(request_id=bytes.fromhex(case["requestId"]), prompt=case["prompt"], account=f"a{case['account']}")
    for step in case["steps"]:
        if "accept" in step:
            sequence.accept(step["accept"])
            continue
        token, status = sample(samplers[len(ROWS[step["logits"]])], ROWS[step["logits"]], sequence, step)
        assert heirmark.RowStatus(int(status)).name.lower().replace("_", "-") == step["status"], step
        assert token == (-1 if step["token"] is None else step["token"]), step
        drawn += 1
    return drawn


def params(step):
    return heirmark.Params(temperature=step["temperature"], min_p=step["minP"], top_k=step["topK"], top_p=step["topP"], mode=step["mode"])


def is_in_range(case):
    """Params refuses what the vectors of bad parameters ask for."""
    try:
        for step in case["steps"]:
            if "logits" in step:
                params(step)
    except heirmark.UsageError:
        return False
    return case["account"] < len(VECTORS["subkeys"]["issuance"])


GOOD = [case for case in VECTORS["cases"] if is_in_range(case)]


def test_most_cases_are_in_range():
    out_of_range = [case for case in VECTORS["cases"] if case not in GOOD]
    assert len(GOOD) > 60 and {case["profile"] for case in GOOD} == {profile.name for profile in heirmark.Profile.all()}
    assert all(any(step.get("status") == "bad-parameter" for step in case["steps"]) for case in out_of_range)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["id"])
def test_case(case):
    def sample(sampler, row, sequence, step):
        out = sampler.sample(row, [sequence], params(step))
        return out.token[0], out.status[0]
    assert run(case, sample) > 0


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["id"])
def test_case_from_memory_to_memory(case):
    def sample(sampler, row, sequence, step):
        rows, out = sampler.rows([sequence], params(step)), np.zeros(1, heirmark.layout.SAMPLED)
        sampler.launch(row[None], rows, out)
        sampler.settle([sequence], rows, out)
        token = int(out["token"][0])
        return -1 if token == heirmark.layout.NO_TOKEN else token, out["status"][0]
    assert run(case, sample) > 0
