"""Marks in vLLM's V2 model runner, among its own classes on the CPU: its slots, its batches, its sampler and its rejection sampler, whose kernels Triton's interpreter runs. No model, no GPU.

`tests/engines/vllm/run` runs this file in a process of its own with TRITON_INTERPRET=1."""
import json
import os
import random
import types

import numpy as np
import pytest

if not os.environ.get("TRITON_INTERPRET"):
    pytest.skip("needs TRITON_INTERPRET=1 from the start: tests/engines/vllm/run sets it", allow_module_level=True)
pytest.importorskip("vllm", reason="vLLM is not installed")
backends = pytest.importorskip("triton.backends", reason="Triton is not installed").backends
# A build of vLLM for the CPU takes Triton's kernels where Triton has a backend of that name. The interpreter needs none.
backends["cpu"] = types.SimpleNamespace(driver=types.SimpleNamespace(is_active=lambda: True), compiler=None)

import torch  # noqa: E402
from vllm import SamplingParams  # noqa: E402
from vllm.v1.sample.ops import topk_topp_sampler  # noqa: E402
from vllm.v1.worker.gpu import buffer_utils  # noqa: E402
from vllm.v1.worker.gpu.input_batch import (  # noqa: E402
    InputBatch,
    InputBuffers,
    combine_sampled_and_draft_tokens,
    expand_idx_mapping,
    post_update,
    prepare_pos_seq_lens,
    prepare_prefill_inputs,
)
from vllm.v1.worker.gpu.sample.logits_processor import (  # noqa: E402
    LogitsContext,
    LogitsProcRequestState,
    build_custom_logits_processors,
    build_custom_logits_processors_params_validator,
)
from vllm.v1.worker.gpu.sample.sampler import Sampler  # noqa: E402
from vllm.triton_utils import tl  # noqa: E402
from vllm.v1.worker.gpu.spec_decode import rejection_sampler_utils  # noqa: E402
from vllm.v1.worker.gpu.spec_decode.rejection_sampler import RejectionSampler  # noqa: E402
from vllm.v1.worker.gpu.states import RequestState  # noqa: E402

import heirmark  # noqa: E402
import heirmark.vllm  # noqa: E402
import heirmark.vllm_v2  # noqa: E402
from heirmark.serving import VARIABLE  # noqa: E402
from support import subkeys_bytes  # noqa: E402

VOCAB, EOS, LONGEST, SLOTS = 503, 3, 160, 12
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Each test as a process of its own would see it."""
    monkeypatch.setattr(heirmark.vllm, "_front", None)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(buffer_utils, "is_uva_available", lambda: False)  # no pinned memory here
    monkeypatch.setattr(topk_topp_sampler, "HAS_TRITON", False)  # vLLM's own way without Triton: the interpreter does not take this one kernel
    monkeypatch.setattr(rejection_sampler_utils.tldevice, "log1p", lambda x: tl.log(1.0 + x))  # a function of the device's library, which the interpreter does not have


@pytest.fixture
def configured(tmp_path, monkeypatch):
    def configure(profile="standard-2026-11", **members):
        (tmp_path / "subkeys.json").write_bytes(subkeys_bytes(profile))
        (tmp_path / "subkeys.json").chmod(0o600)
        (tmp_path / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", "epoch": "2026-11", **members}))
        monkeypatch.setenv(VARIABLE, str(tmp_path / "heirmark.json"))
        monkeypatch.setattr(heirmark.vllm, "_front", None)
        heirmark.vllm.register()
    return configure


def config(drafts=0, method="standard", vocab_size=VOCAB, **changes):
    name = types.SimpleNamespace
    draft = name(num_speculative_tokens=drafts, rejection_sample_method=method, enable_adaptive_verification=False, draft_model_config=None) if drafts else None
    model = dict(runner_type="generate", logprobs_mode="raw_logprobs", get_vocab_size=lambda: vocab_size, is_diffusion=False, return_sampling_mask=False, enable_trace_replay=False)
    values = dict(speculative_config=draft, use_v2_model_runner=True, watermark_config=None, reasoning_config=None, scheduler_config=name(async_scheduling=True, max_num_seqs=SLOTS),
                  parallel_config=name(tensor_parallel_size=1, pipeline_parallel_size=1, prefill_context_parallel_size=1))
    for key, value in changes.items():
        (model if key in model else values)[key] = value
    return name(model_config=name(**model), **values)


class Call:
    """A request of the engine's."""

    def __init__(self, number, prompt, params, length=20):
        params.update_from_generation_config({}, EOS)
        self.number, self.prompt, self.params, self.length, self.output, self.read, self.draft, self.ahead, self.begun, self.fresh = number, prompt, params, length, [], 0, [], [], 0, 0

    @property
    def text(self):
        return self.prompt + self.output

    def logits(self, place):
        """Before the token at that place of the text. No test hangs on a random request id."""
        row = (np.random.default_rng(self.number * 1000 + place).standard_normal(VOCAB) * 2).astype(np.float32)
        row[EOS] = -60.0
        return row


class Runner:
    """vLLM's slots, sampler and rejection sampler, driven as its model runner drives them (GPUModelRunner.prepare_inputs, sample, postprocess_sampled)."""

    def __init__(self, drafts=0, method="standard", probabilistic=False):
        self.config, self.drafts = config(drafts, method), drafts
        self.states = RequestState(SLOTS, LONGEST, 4096, drafts, VOCAB, CPU)
        self.buffers = InputBuffers(SLOTS, 4096, CPU)
        processors = build_custom_logits_processors(self.config, self.states, False)
        self.marks = next(p for p in processors if isinstance(p, heirmark.vllm.LogitsProcessor))
        self.sampler = Sampler(self.config, SLOTS, VOCAB, CPU, self.states, num_speculative_tokens=1 + drafts, custom_logits_processors=processors)
        self.rejection = RejectionSampler(self.sampler, self.config.speculative_config, CPU) if drafts else None
        self.draft_logits = torch.full((SLOTS, drafts, VOCAB), -torch.inf) if probabilistic else None
        self.calls, self.accepted, self.offered = {}, 0, 0

    # ---- As the scheduler would

    def add(self, call):
        """For the first time, or after a preemption."""
        name = str(call.number)
        self.states.add_request(name, len(call.prompt), call.text, 0, 1000)
        slot = self.states.req_id_to_index[name]
        self.sampler.add_request(slot, call.params)
        self.calls[name], call.read, call.draft, call.begun = call, 0, [], call.begun + 1
        call.fresh += not call.output  # a request that was preempted before its first token cannot be told from a new one
        call.ahead = self.expected(call, slot)

    def remove(self, call):
        self.states.remove_request(str(call.number))
        del self.calls[str(call.number)]

    def expected(self, call, slot):
        """What heirmark.Sampler gives for this request from here on, by its own Sequence: the id is the one thing that is taken from the plugin."""
        v2 = self.marks._v2
        if v2 is None or v2._slots.np[slot, heirmark.vllm_v2._KIND] != heirmark.vllm_v2._MARKED:
            return []
        row = v2._slots.np[slot, :16].copy().view(heirmark.layout.ROW)[0]
        sampler, p = v2.service.sampler, call.params
        sequence = sampler.begin(request_id=row["request_id"].tobytes(), prompt=call.text, account=(p.extra_args or {}).get("heirmark_account"))
        params = heirmark.Params(temperature=p.temperature, top_k=max(0, p.top_k), top_p=p.top_p, min_p=p.min_p)
        call.ids = [*getattr(call, "ids", []), row["request_id"].tobytes()]
        tokens, call.statuses = [], []
        for place in range(len(call.text), len(call.text) + call.length - len(call.output) + self.drafts + 1):
            logits = call.logits(place)
            for token, bias in (p.logit_bias or {}).items():
                logits[token] += np.float32(bias)
            out = sampler.sample(logits[None], [sequence], params)
            tokens.append(int(out.token[0]))
            call.statuses.append(int(out.status[0]))
        return tokens

    # ---- As the model runner does

    def step(self, scheduled):
        """scheduled: (call, how many tokens of its prompt it reads at most). Returns the step's output and the logits that the sampler left."""
        self.states.apply_staged_writes()
        self.sampler.apply_staged_writes()
        if not scheduled:
            return None
        calls, slots, counts, drafts = [], [], [], []
        for call, chunk in scheduled:
            slot = self.states.req_id_to_index[str(call.number)]
            unread = int(self.states.prefill_len.np[slot]) - call.read
            draft = call.draft if unread <= 0 else []
            calls.append(call)
            slots.append(slot)
            counts.append(min(chunk, unread) if unread > 0 else 1 + len(draft))
            drafts.append(len(draft))
            if draft:
                self.states.draft_tokens[slot, :len(draft)] = torch.tensor(draft)
        slots, counts, rows = np.array(slots), np.array(counts, np.int32), np.array(drafts, np.int32) + 1
        starts, row_starts = (np.concatenate([[0], np.cumsum(n)]).astype(np.int32) for n in (counts, rows))
        mapping, total = torch.from_numpy(slots), int(row_starts[-1])
        self.buffers.query_start_loc[:len(calls) + 1] = torch.from_numpy(starts)
        self.buffers.query_start_loc[len(calls) + 1:] = int(starts[-1])
        query = self.buffers.query_start_loc[:len(calls) + 1]
        row_starts_t = torch.from_numpy(row_starts)
        expanded, local = expand_idx_mapping(mapping, total, row_starts_t, 1 + self.drafts) if sum(drafts) else (mapping, torch.zeros(len(calls), dtype=torch.int32))
        s = self.states
        prepare_prefill_inputs(self.buffers.input_ids, s.next_prefill_tokens, mapping, query, s.all_token_ids.gpu, s.prefill_len.gpu, s.num_computed_tokens.gpu)
        prepare_pos_seq_lens(mapping, query, s.num_computed_tokens.gpu, self.buffers.positions, self.buffers.seq_lens)
        lengths = self.buffers.seq_lens[:len(calls)]
        indices = combine_sampled_and_draft_tokens(self.buffers.input_ids, mapping, s.last_sampled_tokens, query, lengths, s.prefill_len.gpu, s.draft_tokens, row_starts_t, total)
        n = int(starts[-1])
        batch = InputBatch.make_dummy(len(calls), max(n, len(calls)), InputBuffers(SLOTS, 4096, CPU))
        for name, value in dict(idx_mapping=mapping, idx_mapping_np=slots, expanded_idx_mapping=expanded, expanded_local_pos=local, num_draft_tokens=sum(drafts), seq_lens=lengths,
                                query_start_loc=query, seq_lens_cpu_upper_bound=torch.from_numpy(np.array([c.read for c in calls], np.int32) + counts), input_ids=self.buffers.input_ids[:n],
                                positions=self.buffers.positions[:n], logits_indices=indices, cu_num_logits=row_starts_t, cu_num_logits_np=row_starts).items():
            setattr(batch, name, value)
        # A row's logits are those of its place: behind the token that it was fed.
        places = self.buffers.positions[:n][indices].tolist()
        owners = [call for call, count in zip(calls, rows, strict=True) for _ in range(count)]
        logits = torch.from_numpy(np.stack([call.logits(place + 1) for call, place in zip(owners, places, strict=True)]))
        if sum(drafts):
            out = self.rejection(logits, batch, self.draft_logits)
        else:
            out = self.sampler(logits, batch)
        post_update(mapping, s.num_computed_tokens.gpu, s.last_sampled_tokens, None, out.sampled_token_ids, out.num_sampled, out.num_rejected, query, s.all_token_ids.gpu, s.total_len.gpu)
        for call, tokens, sampled, rejected, count, draft in zip(calls, out.sampled_token_ids.tolist(), out.num_sampled.tolist(), out.num_rejected.tolist(), counts, drafts, strict=True):
            call.read += int(count) - rejected
            call.output += tokens[:sampled]
            self.offered, self.accepted = self.offered + draft, self.accepted + max(0, sampled - 1)
        return out

    def propose(self, call, rng):
        """A draft that is right for a while; sometimes one that has the next windows of the text in it."""
        k = rng.randint(0, self.drafts)
        right = self.next(call)[:k]
        call.draft = right + [rng.randrange(4, VOCAB) for _ in range(k - len(right))]
        if call.draft and rng.random() < 0.5:
            call.draft[rng.randrange(len(call.draft))] = rng.randrange(4, VOCAB)
        if self.draft_logits is not None:
            slot = self.states.req_id_to_index[str(call.number)]
            self.draft_logits[slot] = torch.randn(self.drafts, VOCAB, generator=torch.Generator().manual_seed(rng.randrange(2**31)))
            for i, token in enumerate(call.draft):
                self.draft_logits[slot, i, token] += rng.choice([0.0, 4.0, 40.0])

    def next(self, call):
        return call.ahead[len(call.output) - call.since:]

    def run(self, calls, rng=None, preempted=0.1):
        """All calls to their length: with rng in any order, in chunks, with preemptions and drafts."""
        waiting, live = list(calls), []
        while waiting or live:
            while waiting and len(live) < SLOTS:
                live.append(waiting.pop(0))
                live[-1].since = len(live[-1].output)
                self.add(live[-1])
            scheduled = [c for c in live if rng is None or rng.random() < 0.8]
            if rng is not None:
                rng.shuffle(scheduled)
                for call in live:
                    if call.output and self.drafts and call.params.temperature:
                        self.propose(call, rng)
                    if call not in scheduled and rng.random() < preempted:
                        check(call)
                        self.remove(call)
                        live.remove(call)
                        waiting.append(call)
            self.step([(c, 1000 if rng is None else rng.randint(1, 4)) for c in scheduled])
            for call in [c for c in live if len(c.output) >= c.length]:
                check(call)
                self.remove(call)
                live.remove(call)


def check(call):
    if call.ahead:
        assert call.output[call.since:] == call.ahead[:len(call.output) - call.since], call.number


def params(**given):
    return SamplingParams(max_tokens=100, **given)


KINDS = [dict(), dict(temperature=0.7), dict(temperature=1.3, top_k=20), dict(top_p=0.9), dict(temperature=2.0, min_p=0.05), dict(temperature=0.3, top_k=40, top_p=0.8, min_p=0.01),
         dict(logit_bias={7: 4.0, 11: 4.0}, temperature=0.4), dict(extra_args={"heirmark_account": "birch"}), dict(seed=5), dict(temperature=0.0), dict(extra_args={"heirmark_mark": 0})]


@pytest.mark.parametrize("profile", [p.name for p in heirmark.Profile.all()])
def test_tokens_are_the_samplers(configured, profile):
    """Marked rows with every kind of parameter, beside others; each text is short of tokens, so that windows come again."""
    configured(profile)
    runner = Runner()
    calls = [Call(i, [5 + i % 3, 6, 7][:1 + i % 3], params(**kind, **({} if "logit_bias" in kind else {"logit_bias": {20: 7.0, 21: 7.0, 22: 7.0}})), length=24) for i, kind in enumerate(KINDS)
             if not (profile.startswith("greenlist") and kind.get("temperature") == 0)]
    runner.run(calls)
    marked = [c for c in calls if c.ahead]
    assert len(marked) == 9 and all(len(c.output) == 24 for c in calls)
    if "issuance-only" not in profile:
        assert any(1 in c.statuses and 0 in c.statuses for c in marked)
    greedy = [c for c in calls if c.params.temperature == 0]
    for call in greedy:
        assert call.output == [max(range(VOCAB), key=lambda t, row=call.logits(p): row[t] + (call.params.logit_bias or {}).get(t, 0)) for p in range(len(call.prompt), len(call.text))]


@pytest.mark.parametrize(("drafts", "method", "probabilistic"), [(0, "standard", False), (3, "standard", False), (3, "block", False), (1, "standard", True), (4, "block", True)])
def test_whatever_the_batch_does(configured, drafts, method, probabilistic):
    """Slots recycled, prompts in chunks, preemptions, drafts right and wrong: each response is what its own Sequence gives."""
    configured()
    runner, rng = Runner(drafts, method, probabilistic), random.Random(7 + drafts)
    few = {token: 9.0 for token in range(20, 23)}
    calls = [Call(i, [rng.randrange(20, 24) for _ in range(rng.randrange(1, 9))], params(**{**KINDS[i % len(KINDS)], **({"logit_bias": few} if i % 2 else {})}), length=rng.randint(1, 30)) for i in range(33)]
    runner.run(calls, rng, 0.4 if drafts > 3 else 0.1)  # long drafts make few steps
    counts = runner.marks.counters.snapshot()
    ids = [i for c in calls for i in getattr(c, "ids", [])]
    assert len(set(ids)) == len(ids) == sum(c.begun for c in calls if c.ahead) and len(ids) - len([c for c in calls if c.ahead]) > 5
    assert counts["requests.opted-out"] == sum(c.fresh for c in calls if c.params.extra_args == {"heirmark_mark": 0}) >= 3 and counts["requests.marked"] + counts["restarts"] == sum(c.begun for c in calls if c.params.extra_args != {"heirmark_mark": 0})
    if drafts:
        assert runner.accepted > 40 and runner.offered - runner.accepted > 40


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
@pytest.mark.parametrize("policy", ["fail-closed", "serve-unmarked-and-count"])
def test_a_row_that_cannot_be_marked(configured, value, policy):
    configured(policy=policy)
    runner, good, bad = Runner(), Call(1, [5], params(), length=9), Call(2, [5], params(), length=9)
    for call in (good, bad):
        call.since = 0
        runner.add(call)
    plain, whole = bad.logits, runner.marks._v2._counts
    bad.logits = lambda place: np.full(VOCAB, value, np.float32) if place == 3 else plain(place)
    for _ in range(6):
        runner.step([(good, 9), (bad, 9)])
    check(good)
    assert bad.output[:2] == bad.ahead[:2]
    if policy == "fail-closed":
        assert bad.output[2] == EOS
    elif value == np.inf:
        assert bad.output[2] == 0  # the smallest such id: specs/marks.md
    status = heirmark.RowStatus.INFINITE_LOGIT if value == np.inf else heirmark.RowStatus.NO_FINITE_LOGIT
    assert whole[int(status)] == 1 and int(whole[:2].sum()) == 11
    heirmark.vllm._REPORT_SECONDS, then = 0.0, heirmark.vllm._REPORT_SECONDS
    try:
        runner.marks.apply_staged_writes()
        assert runner.marks._v2._copied.tolist() == whole.tolist()
    finally:
        heirmark.vllm._REPORT_SECONDS = then


def test_a_request_that_cannot_be_marked_is_ended(configured):
    """Past validate_params, which refuses it."""
    configured()
    runner, call, other = Runner(), Call(1, [5], params(extra_args={"heirmark_account": "pine"})), Call(2, [5], params(), length=6)
    for each in (call, other):
        each.since = 0
        runner.add(each)
    for _ in range(3):
        runner.step([(call, 9), (other, 9)])
    check(other)
    assert call.output == [EOS] * 3 and runner.marks.counters.snapshot() == {"requests.unknown-account": 1, "requests.marked": 1}
    call.params._eos_token_id, call.params._all_stop_token_ids = None, {-1, VOCAB + 7}  # no token that there is
    runner.sampler.add_request(runner.states.req_id_to_index["1"], call.params)
    runner.step([(call, 9)])
    assert call.output[3:] == [0]


def test_rows_of_others_are_left_as_they_were(configured):
    configured()
    runner = Runner()
    calls = [Call(1, [5], params(extra_args={"heirmark_mark": 0})), Call(2, [5], params()), Call(3, [5], params(temperature=0.0))]
    for call in calls:
        runner.add(call)
    runner.states.apply_staged_writes()
    runner.sampler.apply_staged_writes()
    slots = np.array([runner.states.req_id_to_index[str(c.number)] for c in calls])
    logits = torch.from_numpy(np.stack([c.logits(1) for c in calls]))
    mapping = torch.from_numpy(slots)
    ctx = LogitsContext(mapping, mapping, slots, torch.zeros(3, dtype=torch.int32), torch.full((3,), 5), torch.zeros(3), np.ones(3, np.int32))
    got = runner.marks.apply(logits.clone(), ctx)
    assert got[[0, 2]].equal(logits[[0, 2]]) and int(torch.isfinite(got[1]).sum()) == 1 and int(got[1].argmax()) == calls[1].ahead[0]
    assert [bool(runner.sampler.logits_processors[-1].add_request(int(s), c.params)) for s, c in zip(slots, calls, strict=True)] == [False, True, False]


@pytest.mark.parametrize("drafts", [0, 3])
def test_nothing_waits_for_the_device(configured, monkeypatch, drafts):
    """On tensors that have a device and no values: whatever would read one on the host, or mix devices, raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    configured()
    states = RequestState(SLOTS, LONGEST, 4096, drafts, VOCAB, CPU)
    marks = heirmark.vllm_v2.Marks(config(drafts), LogitsProcRequestState.from_request_state(states))
    call = Call(1, [5, 6], params())
    states.add_request("1", 2, call.text, 0, 50)
    slot = states.req_id_to_index["1"]
    assert marks.add_request(slot, call.params)
    launched, rows = [], 1 + drafts
    monkeypatch.setattr(heirmark.vllm_v2, "_SCAN", 64)  # several parts
    monkeypatch.setattr(marks, "_stream", lambda: 0)
    with FakeTensorMode():
        def gpu(*shape, dtype=torch.int32):
            return torch.empty(shape, dtype=dtype, device="cuda")
        sampler = types.SimpleNamespace(max_rows=2, launch=lambda logits, rows, sampled, **_: launched.append((logits.device.type, tuple(rows.shape), rows.is_contiguous(), tuple(sampled.shape))))
        marks._sampler, marks._counts = sampler, gpu(8, dtype=torch.int64)
        marks._slots = types.SimpleNamespace(np=marks._slots.np, gpu=gpu(SLOTS, 18))
        marks._states = types.SimpleNamespace(all_token_ids=types.SimpleNamespace(gpu=gpu(SLOTS, LONGEST)), total_len=types.SimpleNamespace(gpu=gpu(SLOTS)),
                                              prefill_len=types.SimpleNamespace(gpu=gpu(SLOTS), np=states.prefill_len.np))
        ctx = LogitsContext(gpu(rows), gpu(1), np.array([slot]), gpu(rows), gpu(rows), gpu(rows), np.array([150], np.int32))
        out = marks.apply(gpu(rows, VOCAB, dtype=torch.float32), ctx)
        assert out.device.type == "cuda" and out.shape == (rows, VOCAB)
        with pytest.raises(Exception, match="local_scalar"):  # this way of looking sees it
            bool(out[0, 0] > 0)
    assert [shape[1][0] for shape in launched] == [2] * (rows // 2) + [1] * (rows % 2) and all(d == "cuda" and r[1] == 16 and c and s[1] == 3 for d, r, c, s in launched)


class TestTheFrontEnd:
    def test_validates_by_vllms_own_loader(self, configured):
        from vllm.exceptions import VLLMValidationError
        configured()
        validate = build_custom_logits_processors_params_validator(None)
        validate(params(extra_args={"heirmark_account": "birch"}))
        for extra in ({"heirmark_account": "pine"}, {"heirmark_mark": "no"}, {"heirmark_key": "x"}):
            with pytest.raises(VLLMValidationError, match="heirmark|account"):
                validate(params(extra_args=extra))

    def test_watermarking_false_opts_out(self, configured):
        """By vllm's InputProcessor: validation, then a clone on which the field is overwritten."""
        from vllm.v1.engine.input_processor import InputProcessor
        configured()
        runner = Runner()
        plain = {name: getattr(InputProcessor, name) for name in ("resolve_watermarking", "apply_watermarking")}
        try:
            for asked in (params(), params(skip_clone=True)):  # a program's, and one of vLLM's servers', of which it makes no deep copy
                for watermarking, marked in ((False, False), (None, True), (True, True)):
                    asked.watermarking = watermarking
                    processor = InputProcessor.__new__(InputProcessor)
                    processor.vllm_config = types.SimpleNamespace(watermark_config=None)
                    build_custom_logits_processors_params_validator(None)(asked)
                    clone = asked.clone()
                    processor.apply_watermarking(clone, False)
                    assert clone.watermarking is False and runner.marks.add_request(0, clone) is marked and asked.extra_args is None
                    processor.apply_watermarking(clone, False)  # as AsyncLLM does with an EngineCoreRequest
                    assert runner.marks.add_request(0, clone) is marked
        finally:
            for name, function in plain.items():
                setattr(InputProcessor, name, function)

    @pytest.mark.parametrize("policy", ["fail-closed", "serve-unmarked-and-count"])
    def test_beam_search(self, configured, policy):
        """The function that the online and the offline beam search call first, and the error as the server answers it."""
        from vllm.config import VllmConfig
        from vllm.entrypoints.serve.exception_handling.error_response import create_error_response
        from vllm.sampling_params import BeamSearchParams
        from vllm.v1.engine import input_processor
        from vllm.v1.engine.input_processor import InputProcessor
        configured(policy=policy)
        plain = {name: getattr(function := getattr(InputProcessor, name), "__wrapped__", function) for name in ("resolve_watermarking", "apply_watermarking")}
        try:
            for name, function in plain.items():
                setattr(InputProcessor, name, function)
            heirmark.vllm._watch_requests(input_processor)
            processor = InputProcessor.__new__(InputProcessor)
            processor.vllm_config = VllmConfig.__new__(VllmConfig)
            processor.vllm_config.watermark_config = None
            assert processor.resolve_watermarking(params()) is False
            for watermarking in (None, False):
                asked = BeamSearchParams(beam_width=2, max_tokens=3, watermarking=watermarking)
                if policy == "fail-closed":
                    with pytest.raises(ValueError, match="beam search") as error:
                        processor.resolve_watermarking(asked)
                    assert create_error_response(error.value).error.code == 400
                else:
                    assert processor.resolve_watermarking(asked) is False
            if policy != "fail-closed":
                assert heirmark.vllm._front.counters.snapshot() == {"requests.unsupported-beam-search": 2}
        finally:
            for name, function in plain.items():
                setattr(InputProcessor, name, function)
