"""The plugin among vLLM's own classes: entry points, batch, parameters, sampler. No model."""
import json
import random
import types
from importlib.metadata import entry_points

import numpy as np
import pytest

import heirmark
import heirmark.vllm
from heirmark.serving import VARIABLE
from support import subkeys_bytes

pytest.importorskip("vllm", reason="vLLM is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")

from vllm import SamplingParams  # noqa: E402
from vllm.exceptions import VLLMValidationError  # noqa: E402
from vllm.v1.sample import logits_processor as vllm_processors  # noqa: E402
from vllm.v1.sample.sampler import Sampler  # noqa: E402
from vllm.v1.worker.gpu_input_batch import CachedRequestState, InputBatch  # noqa: E402

VOCAB, EOS, LONGEST = 503, 3, 256


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Each test as a process of its own would see it."""
    monkeypatch.setattr(heirmark.vllm, "_front", None)
    monkeypatch.delenv(VARIABLE, raising=False)
    vllm_processors.cached_load_custom_logitsprocs.cache_clear()


@pytest.fixture
def configured(tmp_path, monkeypatch):
    (tmp_path / "subkeys.json").write_bytes(subkeys_bytes())
    (tmp_path / "subkeys.json").chmod(0o600)
    (tmp_path / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", "epoch": "2026-11"}))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "heirmark.json"))
    return tmp_path


def config(**changes):
    name = types.SimpleNamespace
    return name(speculative_config=changes.get("speculative_config"), use_v2_model_runner=False, watermark_config=None, scheduler_config=name(async_scheduling=False, max_num_seqs=64),
                parallel_config=name(tensor_parallel_size=1, pipeline_parallel_size=1),
                model_config=name(runner_type="generate", logprobs_mode="raw_logprobs", get_vocab_size=lambda: VOCAB, logits_processors=None))


class Runner:
    """vLLM's persistent batch and sampler, with logits that are a function of request and position."""

    def __init__(self):
        self.processors = vllm_processors.build_logitsprocs(config(), torch.device("cpu"), False, False)
        self.marks = next((p for p in self.processors.all if isinstance(p, heirmark.vllm.LogitsProcessor)), None)
        self.batch = InputBatch(max_num_reqs=64, max_model_len=LONGEST, max_num_batched_tokens=512, device=torch.device("cpu"), vocab_size=VOCAB, block_sizes=[16], max_num_blocks_per_req=[16],
                                logitsprocs=self.processors)
        self.sampler, self.calls = Sampler(), {}
        if self.marks is not None and self.marks._service is not None:
            self.begun, begin = [], self.marks._service.begin
            self.marks._service.begin = lambda *a, **k: self.begun.append(begin(*a, **k)) or self.begun[-1]

    def call(self, name, prompt, params, mask=None):
        params.update_from_generation_config({}, EOS)
        state = CachedRequestState(req_id=name, prompt_token_ids=prompt, mm_features=[], sampling_params=params, generator=None, block_ids=([],), num_computed_tokens=0, output_token_ids=[])
        state.mask = mask  # what a grammar allows, by position
        self.calls[name] = state
        return state

    def logits(self, state):
        seed = sum(state.req_id.encode()) * 1000 + len(state.output_token_ids)
        row = torch.from_numpy((np.random.default_rng(seed).standard_normal(VOCAB) * 3).astype(np.float32))
        row[EOS] = -40.0
        if state.mask is not None:  # as apply_grammar_bitmask leaves them, before the sampler
            row[[t for t in range(VOCAB) if t not in state.mask(len(state.output_token_ids))]] = -torch.inf
        return row

    def step(self, scheduled, shuffle=None, discard=()):
        """Returns the sampler's output and the logits that the processor saw."""
        for name in [n for n in self.batch.req_ids if n not in [s.req_id for s in scheduled]]:
            self.batch.remove_request(name)
        for state in scheduled:
            if state.req_id not in self.batch.req_id_to_index:
                self.batch.add_request(state)
        self.batch.condense()
        if shuffle is not None and self.batch.num_reqs > 1:
            self.batch.swap_states(*shuffle.sample(range(self.batch.num_reqs), 2))
        self.batch.refresh_metadata()
        rows = [self.calls[name] for name in self.batch.req_ids]
        if not rows:
            return None
        out = self.sampler(torch.stack([self.logits(s) for s in rows]), self.batch.sampling_metadata)
        for state, token in zip(rows, out.sampled_token_ids[:, 0].tolist(), strict=True):
            if state.req_id not in discard:
                index = self.batch.req_id_to_index[state.req_id]
                self.batch.token_ids_cpu[index, self.batch.num_tokens_no_spec[index]] = token
                self.batch.num_tokens_no_spec[index] += 1
                state.output_token_ids.append(token)
        return out

    def alone(self, request, state):
        """The sampler's own tokens from the logits as they stand before sampling."""
        sampler, p = self.marks._service.sampler, state.sampling_params
        sequence = sampler.begin(request_id=bytes.fromhex(request.key), prompt=state.prompt_token_ids, account=request.account)
        params = heirmark.Params(temperature=p.temperature, top_k=max(0, p.top_k), top_p=p.top_p, min_p=p.min_p)
        outputs, state.output_token_ids = state.output_token_ids, []
        try:
            for _ in outputs:
                row = self.logits(state)
                for token, bias in (p.logit_bias or {}).items():
                    row[token] += bias
                if p.allowed_token_ids:
                    row[[t for t in range(VOCAB) if t not in p.allowed_token_ids]] = -torch.inf
                if len(state.output_token_ids) < p.min_tokens:
                    row[sorted(p.all_stop_token_ids)] = -torch.inf
                for words in p.bad_words_token_ids or []:
                    if state.output_token_ids[len(state.output_token_ids) - len(words) + 1:] == words[:-1]:
                        row[words[-1]] = -torch.inf
                seen = sorted(set(state.output_token_ids))
                both = sorted(set(state.output_token_ids + state.prompt_token_ids))
                row[both] = torch.where(row[both] > 0, row[both] / p.repetition_penalty, row[both] * p.repetition_penalty)
                for token in seen:
                    row[token] -= p.frequency_penalty * state.output_token_ids.count(token) + p.presence_penalty
                state.output_token_ids.append(int(sampler.sample(row[None], [sequence], params).token[0]))
            return state.output_token_ids
        finally:
            state.output_token_ids = outputs


def params(**given):
    bad_words = given.pop("bad_words_ids", None)
    made = SamplingParams(max_tokens=100, **given)
    if bad_words:
        made._bad_words_token_ids = bad_words
    return made


# Numbers are powers of two or of few bits, so that the engine's float32 and the sampler's double agree to the last bit.
KINDS = {
    "plain": lambda: params(temperature=1.0),
    "truncated": lambda: params(temperature=0.5, top_k=30, top_p=0.9),
    "min-p": lambda: params(temperature=2.0, min_p=0.0625),
    "logit-bias": lambda: params(temperature=1.0, logit_bias={7: 8.0, 11: -50.0}),
    "min-tokens": lambda: params(temperature=1.0, min_tokens=20, logit_bias={EOS: 50.0}),
    "bad-words": lambda: params(temperature=0.5, bad_words_ids=[[17], [40, 41]], logit_bias={17: 50.0, 40: 6.0, 41: 6.0}),
    "allowed": lambda: params(temperature=1.0, allowed_token_ids=list(range(50, 90))),
    "penalties": lambda: params(temperature=1.0, presence_penalty=1.5, frequency_penalty=0.5, repetition_penalty=2.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_the_samplers(configured, kind):
    """With each thing that vLLM does to logits before it samples; and it was done."""
    runner = Runner()
    states = [runner.call(f"request-{i}", [5 + i, 6, 7], KINDS[kind]()) for i in range(3)]
    for _ in range(40):
        runner.step(states)
    runner.step([])
    for request, state in zip(runner.begun, states, strict=True):
        assert state.output_token_ids == runner.alone(request, state)
    if kind == "min-tokens":
        assert EOS not in states[0].output_token_ids[:20] and EOS in states[0].output_token_ids[20:]
    if kind == "bad-words":
        assert 17 not in states[0].output_token_ids
    if kind == "allowed":
        assert all(50 <= t < 90 for s in states for t in s.output_token_ids)
    counts = runner.marks.counters.snapshot()
    assert counts["tokens.marked"] + counts["tokens.issued"] == 120 and "restarts" not in counts


def test_a_grammars_mask_is_respected(configured):
    runner = Runner()
    state = runner.call("request-1", [1], params(temperature=1.0), mask=lambda position: range(100 + position, 110 + position))
    for _ in range(30):
        runner.step([state])
    runner.step([])
    assert all(100 + i <= t < 110 + i for i, t in enumerate(state.output_token_ids)) and state.output_token_ids == runner.alone(runner.begun[0], state)


def test_a_grammars_mask_of_vllm(configured):
    """apply_grammar_bitmask itself, rows in another order than the batch's."""
    from vllm.v1.structured_output.utils import apply_grammar_bitmask
    runner = Runner()
    states = [runner.call(f"request-{i}", [1], params(temperature=1.0)) for i in range(3)]
    runner.step(states)
    allowed, masks = {0: [9, 33, 64], 2: [31, 400]}, np.zeros((2, (VOCAB + 31) // 32), np.uint32)
    for row, i in enumerate((2, 0)):
        for token in allowed[i]:
            masks[row, token // 32] |= np.uint32(1 << token % 32)
    plain = runner.logits
    runner.batch.refresh_metadata()
    logits = torch.stack([plain(s) for s in states])
    apply_grammar_bitmask(types.SimpleNamespace(scheduled_spec_decode_tokens={}), types.SimpleNamespace(structured_output_request_ids=["request-2", "request-0"], grammar_bitmask=masks.view(np.int32)),
                          runner.batch, logits)
    tokens = runner.sampler(logits, runner.batch.sampling_metadata).sampled_token_ids[:, 0].tolist()
    assert tokens[0] in allowed[0] and tokens[2] in allowed[2]


def test_whatever_the_batch_does(configured):
    runner, rng = Runner(), random.Random(3)
    kinds = [k for k in KINDS if k != "min-tokens"]
    states = [runner.call(f"request-{i}", [i + 1] * (1 + i % 4), KINDS[kinds[i % len(kinds)]]()) for i in range(40)]
    lengths, waiting = {s.req_id: rng.randint(1, 30) for s in states}, list(states)
    while waiting:
        scheduled = [s for s in waiting[:16] if rng.random() < 0.7]
        new = [s.req_id for s in scheduled if s.req_id not in runner.batch.req_id_to_index]
        runner.step(scheduled, rng, discard=[name for name in new if rng.random() < 0.4])
        waiting = [s for s in waiting if len(s.output_token_ids) < lengths[s.req_id]]
    runner.step([])
    assert len(runner.begun) == 40
    unmatched = list(runner.begun)
    for state in states:
        found = [r for r in unmatched if r.tokens == state.output_token_ids and r.prompt == state.prompt_token_ids]
        assert any(state.output_token_ids == runner.alone(r, state) for r in found), state.req_id
        unmatched.remove(found[0])
    counts = runner.marks.counters.snapshot()
    assert counts["tokens.marked"] + counts["tokens.issued"] == sum(lengths.values()) and "restarts" not in counts


def test_the_token_that_ends_a_response_stops_it():
    """By vLLM's own scheduler: of a request's stop tokens the one that is given is one at which it stops."""
    from vllm.v1.core.sched.utils import check_stop
    for given, expected, stops in ((dict(), EOS, True), (dict(stop_token_ids=[9]), EOS, True), (dict(ignore_eos=True, stop_token_ids=[9]), 9, True), (dict(ignore_eos=True), EOS, False),
                                   (dict(min_tokens=20), EOS, True)):
        asked = params(**given)
        asked.update_from_generation_config({"eos_token_id": [EOS]}, EOS)
        token = heirmark.vllm.ending(asked, VOCAB)
        request = types.SimpleNamespace(pooling_params=None, sampling_params=asked, output_token_ids=[token], num_tokens=2, num_output_tokens=1, max_tokens=100)
        assert token == expected and check_stop(request, LONGEST) is stops, given


def test_greedy_rows_and_opting_out(configured):
    runner = Runner()
    states = [runner.call("request-0", [1], params(temperature=0.0)), runner.call("request-1", [1], params(temperature=1.0)), runner.call("request-2", [1], params(temperature=1.0, extra_args={"heirmark_mark": False}))]
    for _ in range(10):
        runner.step(states)
    runner.step(states[:1])
    assert len(runner.begun) == 2 and states[1].output_token_ids == runner.alone(runner.begun[0], states[1])
    outputs = states[0].output_token_ids
    for position, token in enumerate(outputs):
        states[0].output_token_ids = outputs[:position]
        assert token == int(runner.logits(states[0]).argmax())


def test_log_probabilities_are_the_models(configured):
    runner = Runner()
    state = runner.call("request-0", [1], params(temperature=1.0, logprobs=5))
    for _ in range(10):
        expected = runner.logits(state).log_softmax(-1)
        out = runner.step([state])
        ids, values = out.logprobs_tensors.logprob_token_ids[0].tolist(), out.logprobs_tensors.logprobs[0]
        assert ids[0] == state.output_token_ids[-1] and torch.allclose(values, expected[ids], atol=1e-5) and sorted(ids[1:]) == sorted(expected.topk(5).indices.tolist())


class TestEntryPoints:
    def test_vllm_finds_them(self):
        assert [e.load() for e in entry_points(group="vllm.logits_processors") if e.name == "heirmark"] == [heirmark.vllm.LogitsProcessor]
        assert [e.load() for e in entry_points(group="vllm.general_plugins") if e.name == "heirmark"] == [heirmark.vllm.register]
        assert heirmark.vllm.LogitsProcessor in vllm_processors._load_logitsprocs_plugins()

    def test_without_a_configuration_the_engine_is_as_it_was(self):
        """Also under the V2 runner, which refuses plugins without its own interface."""
        from vllm.v1.worker.gpu.sample.logits_processor.loader import _load_v2_logitsprocs_plugins
        assert heirmark.vllm.LogitsProcessor in _load_v2_logitsprocs_plugins()
        heirmark.vllm.register()
        runner = Runner()
        assert runner.marks is not None and runner.marks.counters is None
        row = torch.randn(2, VOCAB)
        assert runner.marks.apply(row.clone()).equal(row)
        vllm_processors.validate_logits_processors_parameters(None, params(temperature=1.0, extra_args={"heirmark_mark": "no"}))

    def test_bad_arguments_are_vllms_own_error(self, configured):
        heirmark.vllm.register()
        vllm_processors.validate_logits_processors_parameters(None, params(temperature=1.0, extra_args={"heirmark_account": "birch"}))
        for extra in ({"heirmark_account": "pine"}, {"heirmark_mark": "no"}, {"heirmark_key": "x"}):
            with pytest.raises(VLLMValidationError, match="heirmark|account"):
                vllm_processors.validate_logits_processors_parameters(None, params(temperature=1.0, extra_args=extra))

    def test_vllm_leaves_plugins_out_of_speculative_decoding(self, configured):
        """The reason why register() checks the configuration: when this fails, vLLM has begun to load them."""
        built = vllm_processors.build_logitsprocs(config(speculative_config=object()), torch.device("cpu"), False, False)
        assert not any(isinstance(p, heirmark.vllm.LogitsProcessor) for p in built.all)

    def test_order_of_the_processors(self, configured):
        processors = [type(p).__name__ for p in Runner().processors.argmax_invariant]
        assert processors.index("MinPLogitsProcessor") < processors.index("LogitsProcessor")
