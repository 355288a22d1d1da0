"""A stand-in for vLLM's batch and sampler (0.32, V1 runner), for test_vllm.py and test_vllm_ledger.py; tests/engines/vllm has the real ones."""
import dataclasses
import enum
import json
import types

import numpy as np
import pytest

import heirmark
import heirmark.vllm
from heirmark.serving import VARIABLE
from support import logits_of, subkeys_bytes

VOCAB, COLUMNS, EOS = 211, 240, 3


class Direction(enum.Enum):
    UNIDIRECTIONAL = enum.auto()
    SWAP = enum.auto()


@dataclasses.dataclass(frozen=True)
class BatchUpdate:
    batch_size: int
    removed: list
    added: list
    moved: list


def sampling(eos=EOS, ignore_eos=False, stop=(), **changes):
    values = dict(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, extra_args=None, eos_token_id=None if ignore_eos else eos, stop_token_ids=list(stop),
                  all_stop_token_ids={*stop, *([] if eos is None else [eos])}, presence_penalty=0.0, allowed=None, watermarking=None)
    return types.SimpleNamespace(**{**values, **changes})


class Call:
    """A request of the engine's."""

    def __init__(self, number, prompt, params, length=12, chunks=1):
        self.number, self.prompt, self.params, self.length, self.unread = number, prompt, params, length, chunks
        self.output, self.seen = [], []


class Engine:
    """As much of the engine as a logits processor sees. Logits are a function of request and position, so that no test hangs on a random request id."""

    def __init__(self, processor):
        self.processor, self.slots, self.removed, self.added, self.moved = processor, [], [], [], []

    def remove(self, call):
        index = self.slots.index(call)
        self.slots[index] = None
        self.removed.append(index)

    def add(self, call):
        self.removed.sort(reverse=True)
        index = self.removed.pop() if self.removed else len(self.slots)
        self.slots[index:index + 1] = [call]
        self.added.append((index, call.params, call.prompt, call.output))

    def condense(self):
        self.removed.sort(reverse=True)
        for empty in sorted(self.removed):
            while self.slots and self.slots[-1] is None:
                self.slots.pop()
            if empty < len(self.slots) - 1:
                self.removed.remove(empty)
                self.slots[empty] = self.slots.pop()
                self.moved.append((len(self.slots), empty, Direction.UNIDIRECTIONAL))
        assert None not in self.slots

    def swap(self, a, b):
        self.slots[a], self.slots[b] = self.slots[b], self.slots[a]
        self.moved.append((a, b, Direction.SWAP))

    def raw(self, call):
        row = logits_of(1, call.number * 1000 + len(call.output), COLUMNS)[0]
        row[VOCAB:] = 60.0  # padding, which must never be chosen
        row[EOS] = -60.0
        return row

    def step(self, scheduled=None, shuffle=None):
        """One forward pass and one sampling of all scheduled requests."""
        if scheduled is not None:
            for call in [c for c in self.slots if c not in scheduled]:
                self.remove(call)
            for call in scheduled:
                if call not in self.slots:
                    self.add(call)
        self.condense()
        if shuffle is not None and len(self.slots) > 1:
            self.swap(*shuffle.sample(range(len(self.slots)), 2))
        changed = self.removed or self.added or self.moved
        self.processor.update_state(BatchUpdate(len(self.slots), self.removed, self.added, self.moved) if changed else None)
        self.removed, self.added, self.moved = [], [], []
        logits = np.stack([self.raw(c) for c in self.slots]) if self.slots else np.zeros((0, COLUMNS), np.float32)
        for row, call in zip(logits, self.slots, strict=True):
            row[call.output] -= np.float32(call.params.presence_penalty)
            if call.params.allowed is not None:
                row[[t for t in range(COLUMNS) if t not in call.params.allowed]] = -np.inf
        greedy = logits[:, :VOCAB].argmax(1) if len(logits) else []
        tokens = list(greedy)
        if any(c.params.temperature >= 1e-5 for c in self.slots):  # where all are greedy, vLLM stops here
            for row, call in zip(logits, self.slots, strict=True):
                row /= np.float32(call.params.temperature if call.params.temperature >= 1e-5 else 1)
                if call.params.min_p:
                    e = np.exp(row[:VOCAB] - row[:VOCAB].max())
                    row[:VOCAB][e < call.params.min_p] = -np.inf
            seen = logits.copy()
            assert self.processor.is_argmax_invariant()
            logits = self.processor.apply(logits)
            rng = np.random.default_rng(5)
            for i, call in enumerate(self.slots):
                if call.params.temperature >= 1e-5:
                    call.seen.append(seen[i])
                    row = np.asarray(logits[i, :VOCAB], np.float64)
                    p = np.exp(row - row.max())
                    tokens[i] = int(rng.choice(VOCAB, p=p / p.sum()))
        for call, token in zip(self.slots, tokens, strict=True):
            if call.unread > 1:
                call.unread -= 1  # a chunk of the prompt: what was sampled is thrown away
                if call.seen:
                    call.seen.pop()
            else:
                call.output.append(int(token))
        return tokens

    def run(self, calls, shuffle=None):
        waiting = list(calls)
        while waiting:
            self.step(waiting, shuffle)
            waiting = [c for c in waiting if len(c.output) < c.length]
        self.step([])


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Makes a plugin as the engine does, by HEIRMARK_CONFIG."""
    monkeypatch.setattr(heirmark.vllm, "_front", None)

    def make(profile="standard-2026-11", columns=VOCAB, **members):
        (tmp_path / "subkeys.json").write_bytes(subkeys_bytes(profile))
        (tmp_path / "subkeys.json").chmod(0o600)
        (tmp_path / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", **members}))
        monkeypatch.setenv(VARIABLE, str(tmp_path / "heirmark.json"))
        heirmark.vllm.register()
        processor = heirmark.vllm.LogitsProcessor(engine_config(vocab_size=columns), "cpu", False)
        processor.begun, begin = [], processor._service.begin
        processor._service.begin = lambda *a, **k: processor.begun.append(begin(*a, **k)) or processor.begun[-1]
        return processor
    return make


def engine_config(vocab_size=VOCAB, **changes):
    values = dict(speculative_config=None, use_v2_model_runner=False, async_scheduling=False, tensor=1, pipeline=1, logprobs_mode="raw_logprobs", runner_type="generate",
                  watermark=None, prefill_context=1, diffusion=False, sampling_mask=False, trace_replay=False)
    values.update(changes)
    name = types.SimpleNamespace
    return name(speculative_config=values["speculative_config"], use_v2_model_runner=values["use_v2_model_runner"], watermark_config=values["watermark"],
                scheduler_config=name(async_scheduling=values["async_scheduling"], max_num_seqs=64),
                parallel_config=name(tensor_parallel_size=values["tensor"], pipeline_parallel_size=values["pipeline"], prefill_context_parallel_size=values["prefill_context"]),
                model_config=name(runner_type=values["runner_type"], logprobs_mode=values["logprobs_mode"], get_vocab_size=lambda: vocab_size, is_diffusion=values["diffusion"],
                                  return_sampling_mask=values["sampling_mask"], enable_trace_replay=values["trace_replay"]))


def draft_config(method="standard", vocab_size=VOCAB):
    return types.SimpleNamespace(rejection_sample_method=method, num_speculative_tokens=3, draft_model_config=types.SimpleNamespace(get_vocab_size=lambda: vocab_size))


def alone(processor, request, call):
    """The tokens of one request by the sampler alone, from the logits as the engine had them before sampling and the request's own parameters."""
    sampler = processor._service.sampler
    sequence = sampler.begin(request_id=bytes.fromhex(request.key), prompt=call.prompt, account=request.account)
    p = call.params
    params = heirmark.Params(temperature=p.temperature, top_k=p.top_k if 0 < p.top_k < VOCAB else 0, top_p=p.top_p, min_p=p.min_p)
    tokens = []
    for position in range(len(call.output)):
        row = logits_of(1, call.number * 1000 + position, COLUMNS)[0]
        row[VOCAB:], row[EOS] = 60.0, -60.0
        row[tokens] -= np.float32(p.presence_penalty)
        if p.allowed is not None:
            row[[t for t in range(COLUMNS) if t not in p.allowed]] = -np.inf
        tokens.append(int(sampler.sample(row[None], [sequence], params).token[0]))
    return tokens


# Temperatures are powers of two: dividing by them is exact, so that the engine's division and the sampler's are the same.
