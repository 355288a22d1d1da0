"""The contract of the vLLM plugin among a stand-in for the engine: tokens, requests, policy, beam search, the server. Its ledger: test_vllm_ledger.py."""
import copy
import functools
import gc
import json
import logging
import random
import sys
import types

import numpy as np
import pytest

import heirmark
import heirmark.vllm
from heirmark.serving import VARIABLE
from support import logits_of, subkeys_bytes
from vllm_stand_in import COLUMNS, EOS, VOCAB, BatchUpdate, Call, Engine, alone, draft_config, engine_config, sampling, start

KINDS = [dict(), dict(temperature=0.5), dict(temperature=2.0, top_k=20), dict(top_p=0.9), dict(temperature=2.0, min_p=0.05), dict(temperature=0.5, top_k=40, top_p=0.8, min_p=0.01),
         dict(top_k=-1), dict(top_k=VOCAB + 5), dict(presence_penalty=2.5), dict(allowed=set(range(20, 60)))]


@pytest.fixture
def input_processor(monkeypatch):
    """vLLM's, as far as it has to do with marks."""
    class InputProcessor:
        def resolve_watermarking(self, params):
            return "vLLM's"

        def apply_watermarking(self, params, watermarking):
            params.watermarking = watermarking
    monkeypatch.setitem(sys.modules, "vllm.v1.engine.input_processor", types.SimpleNamespace(InputProcessor=InputProcessor, BeamSearchParams=BeamSearch))
    return InputProcessor


def submit(processor, params):
    """As InputProcessor.process_inputs does it: a validation, and a copy, shallow for its own servers, in which it overwrites the field. Returns what the engine's process is sent."""
    processor.validate_params(params)
    copied = copy.copy(params)
    sys.modules["vllm.v1.engine.input_processor"].InputProcessor().apply_watermarking(copied, False)
    return copied


class TestTokens:
    def test_are_the_samplers(self, start):
        processor = start(account="birch")
        calls = [Call(i, [i, i + 1], sampling(**kind), length=30) for i, kind in enumerate(KINDS)]
        Engine(processor).run(calls)
        assert len(processor.begun) == len(calls)
        for request, call in zip(processor.begun, calls, strict=True):
            assert call.output == alone(processor, request, call) and request.account == "birch" and all(0 <= t < VOCAB for t in call.output)
        counts = processor.counters.snapshot()
        assert counts["requests.marked"] == len(calls) and counts["tokens.marked"] + counts["tokens.issued"] == 30 * len(calls) and "restarts" not in counts

    def test_every_profile(self, start):
        for profile in heirmark.Profile.all():
            processor = start(profile.name)
            call = Call(1, [4, 5], sampling(temperature=0.5), length=20)
            Engine(processor).run([call])
            assert call.output == alone(processor, processor.begun[0], call), profile.name

    def test_whatever_the_batch_does(self, start):
        """Requests come, go, pause and come back, rows move and swap, prompts are read in chunks; no token changes and no response is begun twice."""
        processor, rng = start(), random.Random(11)
        calls = [Call(i, [i % 7] * (1 + i % 3), sampling(**KINDS[i % len(KINDS)]), length=rng.randint(1, 40), chunks=rng.randint(1, 4)) for i in range(60)]
        engine, waiting, steps = Engine(processor), list(calls), 0
        while waiting:
            scheduled = [c for c in waiting[:24] if rng.random() < 0.7]
            for call in scheduled:
                if call not in engine.slots and call.output and rng.random() < 0.5:
                    call.unread = rng.randint(1, 3)  # preempted: prompt and output are read again
            engine.step(scheduled, rng)
            waiting = [c for c in waiting if len(c.output) < c.length]
            steps += 1
        engine.step([])
        assert steps > 60
        by_prompt = {}
        for request in processor.begun:
            by_prompt.setdefault(request.key, request)
        assert len(by_prompt) == len(calls) == processor.counters.snapshot()["requests.marked"]
        unmatched = list(processor.begun)
        for call in calls:
            found = [r for r in unmatched if r.tokens == call.output and r.prompt == call.prompt]
            assert found, call.number
            assert any(call.output == alone(processor, r, call) for r in found)
            unmatched.remove(found[0])
        counts = processor.counters.snapshot()
        assert counts["tokens.marked"] + counts["tokens.issued"] == sum(c.length for c in calls) and "restarts" not in counts

    def test_padding_is_never_chosen(self, start):
        processor = start()
        call = Call(1, [], sampling(top_k=1), length=10)
        Engine(processor).run([call])
        assert max(call.output) < VOCAB

    def test_logits_narrower_than_the_vocabulary_are_refused(self, start):
        processor = start(columns=COLUMNS + 1)
        with pytest.raises(heirmark.UsageError, match="241"):
            Engine(processor).run([Call(1, [], sampling())])

    def test_greedy_rows_are_the_engines(self, start):
        processor = start()
        calls = [Call(1, [1], sampling(temperature=0.0)), Call(2, [1], sampling()), Call(3, [1], sampling(temperature=0.0))]
        Engine(processor).run(calls)
        for call in (calls[0], calls[2]):
            expected = []
            for position in range(call.length):
                row = logits_of(1, call.number * 1000 + position, COLUMNS)[0]
                row[EOS] = -60.0
                expected.append(int(row[:VOCAB].argmax()))
            assert call.output == expected
        assert calls[1].output == alone(processor, processor.begun[0], calls[1]) and len(processor.begun) == 1
        Engine(processor).run([Call(4, [1], sampling(temperature=0.0), length=5), Call(5, [1], sampling(temperature=0.0, extra_args={"heirmark_mark": 0}), length=5)])
        assert processor.counters.snapshot()["tokens.unmarked"] == 12 + 12 + 5
        assert processor.counters.snapshot()["requests.marked"] == 4 and processor.counters.snapshot()["requests.opted-out"] == 1

    def test_a_greedy_row_that_comes_back_is_the_same_request(self, start):
        processor = start()
        engine, call, other = Engine(processor), Call(1, [1], sampling(temperature=0.0), length=20), Call(2, [1], sampling())
        for scheduled in ([call], [call, other], [other], [other], [call, other], [other], [call]):
            if call in scheduled and call not in engine.slots and call.output:
                call.unread = 2  # preempted: read again
            engine.step(scheduled)
        engine.step([])
        assert processor.counters.snapshot()["requests.marked"] == 2 and processor.counters.snapshot()["tokens.unmarked"] == len(call.output) == 2

    def test_what_the_engine_put_there_itself(self, start):
        """A token that was not drawn, and an output that was cut: the request goes on from what stands."""
        processor = start()
        call, engine = Call(1, [7, 8], sampling(), length=40), Engine(processor)
        for _ in range(5):
            engine.step([call])
        request = processor._rows[0].request
        call.output[-1] = 99
        engine.step([call])
        assert request.tokens == call.output[:5] and request.sequence.position == 5 and "restarts" not in processor.counters.snapshot()
        for _ in range(3):
            engine.step([call])
        del call.output[2:]
        engine.step([call])
        assert request.tokens == call.output[:2] and len(call.output) == 3 and processor.counters.snapshot()["restarts"] == 1
        engine.step([call])
        assert request is processor._rows[0].request and request.tokens == call.output[:3] and request.sequence.position == 1

    def test_what_came_with_tokens_and_lost_some(self, start):
        """A request that joins in the middle goes on as a response whose prompt is all that stands, also when the engine takes some of that back."""
        processor = start()
        call, engine = Call(1, [7, 8], sampling(), length=40), Engine(processor)
        call.output[:] = [20, 21, 22]
        engine.step([call])
        engine.step([call])
        assert processor.begun[0].prompt == [7, 8, 20, 21, 22] and processor.begun[0].tokens == call.output[3:4]
        del call.output[1:]
        engine.step([call])
        engine.step([call])
        assert processor._rows[0].request is processor.begun[1] and processor.begun[1].prompt == [7, 8, 20] and processor.begun[1].tokens == call.output[1:2]


class TestRequests:
    def test_opting_out_and_accounts(self, start):
        processor = start()
        asked = [{"heirmark_mark": False}, {"heirmark_account": "birch"}, {"heirmark_mark": 0}, {"other": {"heirmark_mark": 5}}, {"heirmark_mark": True, "heirmark_account": "default"}]
        calls = [Call(i, [i], sampling(extra_args=a)) for i, a in enumerate(asked)]
        twins = [Call(i, [i], sampling(extra_args=a)) for i, a in enumerate(asked)]
        Engine(processor).run(calls)
        assert [r.marked for r in processor.begun] == [False, True, False, True, True] and [r.account for r in processor.begun] == ["default", "birch", "default", "default", "default"]
        nothing = heirmark.vllm.LogitsProcessor.__new__(heirmark.vllm.LogitsProcessor)
        nothing._service = None
        Engine(nothing).run(twins)
        for i in (0, 2):
            np.testing.assert_array_equal(np.stack(calls[i].seen), np.stack(twins[i].seen))
        for i in (1, 3, 4):
            assert calls[i].output == alone(processor, processor.begun[i], calls[i])
        assert processor.counters.snapshot()["requests.opted-out"] == 2

    def test_vllms_own_field_opts_out(self, start, input_processor):
        """It is noted in vLLM's copy, in which vLLM overwrites it; a gateway that says heirmark_mark has the last word."""
        processor = start()
        for watermarking, extra, marked in ((False, None, False), (False, {"other": 1}, False), (False, {"heirmark_mark": 1}, True), (None, None, True), (True, {"heirmark_mark": 0}, False)):
            params = sampling(extra_args=extra, watermarking=watermarking)
            assert heirmark.vllm.wish_of(submit(processor, params)).marked is marked

    def test_and_nothing_stays_in_the_callers_parameters(self, start, input_processor):
        """The same object, changed and used again, says what it says then; and what vLLM has copied once says the same when it is handed in again."""
        processor = start()
        params, extra = sampling(extra_args={"other": 1}, watermarking=False), {"other": 1}
        for watermarking, marked in ((False, False), (True, True), (False, False), (None, True)):
            params.watermarking = watermarking
            copied = submit(processor, params)
            assert heirmark.vllm.wish_of(copied).marked is marked and params.extra_args == extra and params.watermarking is watermarking
            input_processor().apply_watermarking(copied, False)
            assert heirmark.vllm.wish_of(copied).marked is marked

    def test_opted_out_by_it_a_request_needs_no_account(self, start):
        processor = start()
        processor.validate_params(sampling(extra_args={"heirmark_account": "pine"}, watermarking=False))
        with pytest.raises(ValueError, match="no such account"):
            processor.validate_params(sampling(extra_args={"heirmark_account": "pine", "heirmark_mark": 1}, watermarking=False))

    def test_unmarked_rows_are_not_touched(self, start):
        processor = start()
        rows = logits_of(3, 1, COLUMNS)
        outs = [[], [], []]
        processor.update_state(BatchUpdate(3, [], [(0, sampling(extra_args={"heirmark_mark": False}), [1], outs[0]), (1, sampling(), [1], outs[1]), (2, sampling(temperature=0), [1], outs[2])], []))
        got = processor.apply(rows.copy())
        np.testing.assert_array_equal(got[[0, 2]], rows[[0, 2]])
        assert np.isfinite(got[1]).sum() == 1

    def test_every_sample_of_n_has_an_id_of_its_own(self, start):
        processor, params, prompt = start(), sampling(), [1, 2]
        calls = [Call(1, prompt, params, length=30) for _ in range(6)]
        Engine(processor).run(calls)
        assert len({r.key for r in processor.begun}) == 6 and len({tuple(c.output) for c in calls}) > 1

    def test_ends_are_seen(self, start):
        """The engine forgets a finished request, and keeps one that it paused."""
        processor, engine = start(), None
        engine, paused = Engine(processor), Call(1, [1], sampling(), length=50)
        engine.step([paused])
        for number in range(2, 30):
            engine.step([Call(number, [1], sampling())])
        gc.collect()
        engine.step([])
        engine.step([])
        assert processor._service.live() == 1
        engine.step([paused])
        assert processor._rows[0].request is processor.begun[0] and len(paused.output) == 2
        assert paused.output == alone(processor, processor.begun[0], paused)

    def test_what_is_kept_of_those_who_left_is_bounded(self, start):
        processor, kept = start(), []
        engine = Engine(processor)
        for number in range(processor._most_left + 40):
            kept.append(Call(number, [1], sampling()))
            engine.step(kept[-1:])
        assert processor._service.live() <= processor._most_left + 2
        engine.step(kept[:1])  # forgotten: it goes on as a new response
        engine.step(kept[:1])
        assert processor.begun[-1].prompt == [1] + kept[0].output[:1] and processor.begun[-1].tokens == kept[0].output[1:2]


class TestPolicy:
    @pytest.mark.parametrize(("extra", "words"), [({"heirmark_mark": "no"}, "heirmark_mark"), ({"heirmark_mark": 2}, "heirmark_mark"), ({"heirmark_mark": None}, "heirmark_mark"),
                                                  ({"heirmark_account": "Not One"}, "heirmark_account"), ({"heirmark_account": 5}, "heirmark_account"), ({"heirmark": {"mark": False}}, '"heirmark"'),
                                                  ({"heirmark_request": "a"}, "heirmark_request")])
    def test_malformed_arguments_are_refused_at_submission(self, start, extra, words):
        for policy in ("fail-closed", "serve-unmarked-and-count"):
            processor = start(policy=policy)
            with pytest.raises(ValueError, match=words):
                processor.validate_params(sampling(extra_args=extra))

    def test_accounts_are_checked_at_submission(self, start):
        processor = start()
        for good in (None, {}, {"heirmark_account": "birch"}, {"heirmark_account": "pine", "heirmark_mark": False}, {"session_id": "x"}):
            processor.validate_params(sampling(extra_args=good))
        with pytest.raises(ValueError, match="no such account"):
            processor.validate_params(sampling(extra_args={"heirmark_account": "pine"}))

    def test_greedy_under_greenlist(self, start):
        processor = start("greenlist-2026-11")
        with pytest.raises(ValueError, match="temperature 0"):
            processor.validate_params(sampling(temperature=0.0))
        processor.validate_params(sampling(temperature=0.5))

    def test_a_request_that_cannot_be_marked_is_ended(self, start, caplog):
        processor = start()
        call = Call(1, [1], sampling(extra_args={"heirmark_account": "pine"}), length=3)  # past validate_params
        with caplog.at_level(logging.ERROR, "vllm.heirmark"):
            Engine(processor).run([call])
        assert call.output == [EOS] * 3 and "no such account" in caplog.text and processor.counters.snapshot() == {"requests.unknown-account": 1}

    def test_one_at_temperature_0_cannot_be_ended(self, start, caplog):
        """Nor is it said that it is."""
        processor = start()
        call = Call(1, [1], sampling(temperature=0.0, extra_args={"heirmark_account": "pine"}), length=3)  # past validate_params
        with caplog.at_level(logging.ERROR, "vllm.heirmark"):
            Engine(processor).run([call])
        assert EOS not in call.output and "temperature 0, which nothing can end, is served" in caplog.text and processor.counters.snapshot() == {"requests.unknown-account": 1}

    def test_or_served_and_counted(self, start):
        processor = start(policy="serve-unmarked-and-count")
        processor.validate_params(sampling(extra_args={"heirmark_account": "pine"}))
        call = Call(1, [1], sampling(extra_args={"heirmark_account": "pine"}), length=3)
        Engine(processor).run([call])
        assert EOS not in call.output and processor.counters.snapshot() == {"requests.unknown-account": 1}

    @pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
    def test_a_row_that_cannot_be_marked(self, start, value):
        for policy in ("fail-closed", "serve-unmarked-and-count"):
            processor = start(policy=policy)
            good, bad = Call(1, [1], sampling(), length=6), Call(2, [1], sampling(), length=6)
            engine = Engine(processor)
            engine.step([good, bad])
            raw = engine.raw
            def broken(call):
                row = raw(call)
                if call is bad:
                    row[:] = value
                return row
            engine.raw = broken
            engine.processor, inner = types.SimpleNamespace(update_state=processor.update_state, is_argmax_invariant=processor.is_argmax_invariant, apply=lambda x: finite(processor.apply(x))), processor
            with np.errstate(invalid="ignore"):
                engine.step([good, bad])
            engine.raw, engine.processor = raw, inner
            engine.step([good, bad])
            engine.step([good, bad])
            name = "tokens.infinite-logit" if value == np.inf else "tokens.no-finite-logit"
            assert processor.counters.snapshot()[name] == 1
            assert good.output == alone(processor, processor.begun[0], good)
            if policy == "fail-closed":
                assert bad.output[1:] == [EOS] * 3
            else:
                assert processor._rows[1].request.tokens == bad.output[:3] and "restarts" not in processor.counters.snapshot()

    @pytest.mark.parametrize(("stop", "token"), [(dict(), EOS), (dict(stop=[9]), EOS), (dict(stop=[2]), 2), (dict(ignore_eos=True, stop=[9, 12, VOCAB]), 9), (dict(ignore_eos=True), EOS),
                                                 (dict(ignore_eos=True, stop=[-1]), EOS), (dict(eos=None, stop=[9]), 9)])
    def test_the_token_that_ends_it_is_one_that_stops_it(self, start, stop, token):
        """vLLM stops at eos_token_id, which is None with ignore_eos, and at stop_token_ids; all_stop_token_ids has EOS in any case."""
        processor = start()
        call = Call(1, [1], sampling(extra_args={"heirmark_account": "pine"}, **stop), length=2)
        Engine(processor).run([call])
        assert call.output == [token] * 2 and "responses.without-stop-token" not in processor.counters.snapshot()

    @pytest.mark.parametrize("stop", [dict(eos=None), dict(eos=-1, stop=[VOCAB + 7])])
    def test_without_a_stop_token_the_engine_goes_on(self, start, caplog, stop):
        """The response that cannot be marked gets token 0 up to its limit; the other is what it would have been."""
        processor = start()
        bad, broken, good = (Call(1, [1], sampling(extra_args={"heirmark_account": "pine"}, **stop), length=4), Call(2, [1], sampling(**stop), length=4),
                             Call(3, [1], sampling(), length=8))
        engine = Engine(processor)
        raw = engine.raw
        engine.raw = lambda call: np.full(COLUMNS, -np.inf, np.float32) if call is broken else raw(call)
        with caplog.at_level(logging.ERROR, "vllm.heirmark"):
            engine.run([bad, broken, good])
        assert bad.output == broken.output == [0] * 4 and good.output == alone(processor, processor.begun[1], good)
        assert processor.counters.snapshot()["responses.without-stop-token"] == 2 and caplog.text.count("no stop token") == 2


def finite(logits):
    """What the stand-in's own sampling can take: a row that was left as it was becomes a certain token."""
    rows = ~np.isfinite(logits[:, :VOCAB]).any(1) | np.isnan(logits[:, :VOCAB]).any(1)
    logits[rows, :VOCAB] = -np.inf
    logits[rows, 9] = 0
    return logits


class BeamSearch:
    def __init__(self, watermarking=None):
        self.watermarking = watermarking


class TestBeamSearch:
    """What vLLM calls before each: tests/engines/vllm/test_v2.py has the real ones."""

    @pytest.fixture
    def processor(self, start, monkeypatch, input_processor):
        class EngineArgs:
            def create_engine_config(self):
                return engine_config()
        monkeypatch.setitem(sys.modules, "vllm.engine.arg_utils", types.SimpleNamespace(EngineArgs=EngineArgs))

        def make(**members):
            start(**members)
            EngineArgs().create_engine_config()
            once = input_processor.resolve_watermarking
            EngineArgs().create_engine_config()
            assert input_processor.resolve_watermarking is once
            return input_processor()
        return make

    def test_is_refused(self, processor):
        """Whatever its field `watermarking` says: of a gateway's heirmark_mark 1 nothing has reached the beam."""
        made = processor()
        for watermarking in (None, True, False):
            with pytest.raises(ValueError, match="beam search"):
                made.resolve_watermarking(BeamSearch(watermarking=watermarking))
        assert made.resolve_watermarking(sampling()) == "vLLM's"

    def test_also_where_another_plugin_has_wrapped_the_function(self, processor, input_processor):
        plain = input_processor.resolve_watermarking
        input_processor.resolve_watermarking = functools.wraps(plain)(lambda self, params: plain(self, params))
        with pytest.raises(ValueError, match="beam search"):
            processor().resolve_watermarking(BeamSearch())

    def test_or_counted(self, processor, caplog):
        made = processor(policy="serve-unmarked-and-count")
        with caplog.at_level(logging.WARNING, "vllm.heirmark"):
            assert {made.resolve_watermarking(BeamSearch(watermarking=w)) for w in (None, True, False)} == {"vLLM's"}
        assert heirmark.vllm._front.counters.snapshot() == {"requests.unsupported-beam-search": 3} and "requests.unsupported-beam-search 3" in caplog.text


class TestTheServer:
    def test_without_a_configuration_nothing_happens(self, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        monkeypatch.setattr(heirmark.vllm, "_front", None)
        heirmark.vllm.register()
        assert heirmark.vllm._front is None
        bad = engine_config(speculative_config=object(), use_v2_model_runner=True)
        processor = heirmark.vllm.LogitsProcessor(bad, "cpu", False)
        rows = logits_of(2, 1)
        processor.update_state(BatchUpdate(1, [], [(0, sampling(extra_args={"heirmark_mark": "no"}), [1], [])], []))
        np.testing.assert_array_equal(processor.apply(rows.copy()), rows)
        processor.validate_params(sampling(extra_args={"heirmark_mark": "no"}))
        assert processor.counters is None and heirmark.vllm.LogitsProcessor(bad, object()).add_request(0, sampling()) is False

    @pytest.mark.parametrize(("change", "words"), [(dict(speculative_config=object()), "speculative"), (dict(watermark=object()), "--watermark-config"),
                                                   (dict(async_scheduling=True), "--no-async-scheduling"), (dict(tensor=2), "tensor parallelism"), (dict(pipeline=2), "pipeline"),
                                                   (dict(logprobs_mode="processed_logits"), "processed_logits")])
    def test_engines_that_cannot_mark_are_refused(self, start, change, words):
        start()
        with pytest.raises(heirmark.UsageError, match=words) as error:
            heirmark.vllm.LogitsProcessor(engine_config(**change), "cpu", False)
        assert "\n" not in str(error.value)
        heirmark.vllm.check(engine_config(**change, runner_type="pooling"))

    @pytest.mark.parametrize(("change", "words"), [(dict(speculative_config=draft_config("synthetic")), "synthetic"), (dict(speculative_config=draft_config(vocab_size=VOCAB - 1)), "smaller vocabulary"),
                                                   (dict(tensor=2), "tensor parallelism"), (dict(pipeline=2), "pipeline"), (dict(prefill_context=2), "prefill context"),
                                                   (dict(logprobs_mode="processed_logits"), "processed_logits"), (dict(watermark=object()), "--watermark-config"), (dict(diffusion=True), "diffusion"),
                                                   (dict(sampling_mask=True), "--return-sampling-mask"), (dict(trace_replay=True), "--enable-trace-replay")])
    def test_and_with_model_runner_v2(self, start, change, words):
        start()
        for draft in (None, draft_config(), draft_config("block"), draft_config(vocab_size=VOCAB + 9)):
            heirmark.vllm.check(engine_config(use_v2_model_runner=True, async_scheduling=True, speculative_config=draft))
        with pytest.raises(heirmark.UsageError, match=words) as error:
            heirmark.vllm.check(engine_config(use_v2_model_runner=True, **change))
        assert "\n" not in str(error.value)

    def test_a_ledger_needs_model_runner_v1(self, start, tmp_path):
        start()
        (tmp_path / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", "ledger": "ledger"}))
        for front in (heirmark.vllm._front, None):  # in the process that takes requests, and in the engine's
            heirmark.vllm._front = front and heirmark.vllm._Front.read()
            heirmark.vllm.check(engine_config())
            with pytest.raises(heirmark.UsageError, match="ledger.*VLLM_USE_V2_MODEL_RUNNER=0"):
                heirmark.vllm.check(engine_config(use_v2_model_runner=True))

    def test_and_before_they_start(self, start, monkeypatch, input_processor):
        """register() checks what EngineArgs makes of its arguments: with speculative decoding vLLM would never call the processor."""
        class EngineArgs:
            def create_engine_config(self, context=None, *, headless=False):
                return engine_config(speculative_config=context)
        monkeypatch.setitem(sys.modules, "vllm.engine.arg_utils", types.SimpleNamespace(EngineArgs=EngineArgs))
        plain = EngineArgs.create_engine_config
        start()
        assert EngineArgs().create_engine_config(headless=True).speculative_config is None
        with pytest.raises(heirmark.UsageError, match="speculative"):
            EngineArgs().create_engine_config("draft")
        wrapped = EngineArgs.create_engine_config
        heirmark.vllm.register()
        assert EngineArgs.create_engine_config is wrapped is not plain

    @pytest.mark.parametrize(("members", "words"), [({"account": "pine"}, "pine"), ({"subkeys": "none.json"}, "none.json"), ({"policy": "open"}, "policy")])
    def test_a_wrong_configuration_stops_it(self, start, monkeypatch, members, words):
        monkeypatch.setattr(heirmark.vllm, "_front", None)
        with pytest.raises(heirmark.Error, match=words) as error:
            start(**members)
        assert "\n" not in str(error.value)

    def test_a_plugin_that_vllm_left_out_takes_no_requests(self, start, monkeypatch):
        processor = start()
        monkeypatch.setattr(heirmark.vllm, "_front", None)
        with pytest.raises(ValueError, match="VLLM_PLUGINS"):
            processor.validate_params(sampling())

    def test_says_that_it_marks_and_nothing_secret(self, start, caplog, monkeypatch):
        with caplog.at_level(logging.DEBUG, "vllm.heirmark"):
            processor = start()
            monkeypatch.setattr(heirmark.vllm, "_REPORT_SECONDS", 0.0)
            Engine(processor).run([Call(1, [1], sampling())])
        assert f"key {1:016x}" in caplog.text and "tokens." in caplog.text
        secrets = [v for v in json.loads(subkeys_bytes())["window"]] + json.loads(subkeys_bytes())["issuance"]
        assert not any(s in caplog.text for s in secrets)


def test_draws_are_the_samples(start):
    """Service.draw and take are sample in two halves."""
    processor = start()
    service = processor._service
    requests = [service.begin([i]) for i in range(3)] + [service.begin([], marked=False)]
    sampler = service.sampler
    twins = [sampler.begin(request_id=r.sequence.request_id, prompt=r.prompt) for r in requests[:3]]
    for step in range(10):
        logits = logits_of(4, step, VOCAB)
        before = sampler.rows([r.sequence for r in requests[:3]]).tobytes()
        draws = service.draw(logits, requests)
        assert draws[3] is None and sampler.rows([r.sequence for r in requests[:3]]).tobytes() == before
        assert [d.token for d in draws[:3]] == [d.token for d in service.draw(logits, requests)[:3]] == sampler.sample(logits[:3], twins).token.tolist()
        for request, draw in zip(requests[:3], draws[:3], strict=True):
            service.take(request, draw)
        with pytest.raises(heirmark.UsageError):
            service.take(requests[0], draws[0])
    assert [len(r.tokens) for r in requests] == [10, 10, 10, 0] and service.draw(logits[3:], requests[3:]) == [None]
