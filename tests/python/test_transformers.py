"""The contract of the processor and of custom_generate, by a stand-in for torch and generate(); test_transformers_model.py has the real ones."""
import json
import types

import numpy as np
import pytest

import heirmark
from heirmark.serving import Config, Service
from heirmark.transformers import Marks, Processor
from support import command, logits_of, subkeys_bytes

VOCAB, EOS, PAD = 211, 3, 0


class Tensor(np.ndarray):
    """As much of torch.Tensor as a processor uses."""

    def detach(self):
        return self

    def cpu(self):
        return self

    def clone(self):
        return self.copy()


def tensor(values):
    return np.asarray(values).view(Tensor)


class TemperatureLogitsWarper:
    def __call__(self, input_ids, scores):
        return scores / 0.5


class Penalty:
    """A processor of the caller's: token 5 never."""

    def __call__(self, input_ids, scores):
        out = scores.clone()
        out[:, 5] = -np.inf
        return out


class Model:
    """Logits by the last token and the position; _sample as transformers' own loop does it: processors, argmax or a draw, padding behind the end."""

    config = types.SimpleNamespace(is_encoder_decoder=False, get_text_config=lambda: types.SimpleNamespace(vocab_size=VOCAB))

    def __init__(self, columns=VOCAB, stop_at=None):
        self.columns, self.stop_at, self.seen = columns, stop_at, []

    def logits(self, ids):
        out = np.stack([logits_of(1, int(row[-1]) * 1000 + ids.shape[1], self.columns)[0] for row in ids])
        out[:, [PAD, EOS, 77]] = -80  # request ids are random: what a test needs, or must not have, does not hang on them
        return tensor(out)

    def _sample(self, input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus, streamer, **model_kwargs):
        rng, ids, unfinished = np.random.default_rng(1), input_ids, np.ones(len(input_ids), bool)
        for step in range(generation_config.max_new_tokens):
            scores = self.logits(ids)
            for processor in logits_processor:
                scores = processor(ids, scores)
            self.seen.append(scores)
            exp = np.exp(np.asarray(scores) - np.asarray(scores).max(1, keepdims=True))
            tokens = [rng.choice(self.columns, p=row / row.sum()) for row in exp.astype(np.float64)] if generation_config.do_sample else exp.argmax(1)
            tokens = np.where(unfinished, tokens, PAD)
            ids = tensor(np.concatenate([ids, tokens[:, None]], axis=1))
            unfinished &= ~np.isin(tokens, [EOS])
            if self.stop_at and step == self.stop_at[1]:
                unfinished[self.stop_at[0]] = False
            if not unfinished.any():
                break
        return ids


def configuration(**changes):
    values = dict(do_sample=True, temperature=None, top_k=None, top_p=None, min_p=None, typical_p=None, epsilon_cutoff=None, eta_cutoff=None, top_h=None, num_beams=1,
                  num_beam_groups=None, penalty_alpha=None, dola_layers=None, prompt_lookup_num_tokens=None, constraints=None, force_words_ids=None, watermarking_config=None,
                  num_return_sequences=1, eos_token_id=EOS, pad_token_id=PAD, max_new_tokens=20)
    return types.SimpleNamespace(**{**values, **changes})


@pytest.fixture
def marks(tmp_path):
    (tmp_path / "subkeys.json").write_bytes(subkeys_bytes())
    (tmp_path / "subkeys.json").chmod(0o600)

    def make(**members):
        (tmp_path / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", **members}))
        return Marks.from_config(Config.read(tmp_path / "heirmark.json"), Model)
    return make


def generate(marks, model, prompts, processors=(), mask=None, rows=None, **changes):
    """As generate() calls a custom_generate; returns the new columns."""
    config = configuration(**changes)
    ids = tensor(np.repeat(np.asarray(prompts), config.num_return_sequences, axis=0))
    kwargs = {} if mask is None else {"attention_mask": np.repeat(np.asarray(mask), config.num_return_sequences, axis=0)}
    if rows is not None:
        kwargs["heirmark_rows"] = rows
    out = marks(model, ids, logits_processor=list(processors), stopping_criteria=None, generation_config=config, **kwargs)
    assert (np.asarray(out[:, :ids.shape[1]]) == np.asarray(ids)).all()
    return [row[ids.shape[1]:].tolist() for row in out]


class Ids:
    """Remembers the requests that a service begins."""

    def __init__(self, marks):
        self.requests, begin = [], marks.service.begin
        marks.service.begin = lambda *a, **k: self.requests.append(begin(*a, **k)) or self.requests[-1]


def again(marks, model, request_id, prompt, count, width, processors=(), account=None, **params):
    """The tokens of one row by the sampler alone; `width`: columns of the batch's prompt."""
    sampler, ids, tokens = marks.service.sampler, list(prompt), []
    sequence = sampler.begin(request_id=request_id, prompt=prompt, account=account)
    for step in range(count):
        shape = tensor(np.zeros((1, width + step), int))
        shape[0, -1] = ids[-1]
        scores = model.logits(shape)
        for processor in processors:
            scores = processor(shape, scores)
        tokens.append(int(sampler.sample(scores, [sequence], heirmark.Params(**params)).token[0]))
        ids.append(tokens[-1])
        if tokens[-1] == EOS:
            break
    return tokens + [PAD] * (count - len(tokens))


PROMPTS = [[7, 8, 9], [10, 11, 12], [13, 14, 15], [16, 17, 18]]


@pytest.mark.parametrize("params", [dict(temperature=0.7), dict(temperature=1.0, top_k=20), dict(temperature=1.2, top_p=0.8), dict(min_p=0.02, top_k=50, top_p=0.95)])
def test_a_batch_has_the_samplers_tokens(marks, params):
    marks, model = marks(account="birch"), Model()
    ids = Ids(marks)
    out = generate(marks, model, PROMPTS, [TemperatureLogitsWarper()], **params)
    for request, prompt, tokens in zip(ids.requests, PROMPTS, out, strict=True):
        first = bytes.fromhex(request.key)
        assert tokens == again(marks, model, first, prompt, len(tokens), 3, account="birch", **params)
    counts = marks.counters.snapshot()
    assert counts["tokens.marked"] + counts["tokens.issued"] == 80 and counts["requests.marked"] == 4 and "restarts" not in counts
    assert marks.service.live() == 0


def test_only_the_chosen_token_is_left(marks):
    marks, model = marks(), Model()
    out = generate(marks, model, PROMPTS[:2], max_new_tokens=1)
    scores = np.asarray(model.seen[0])
    assert [int(i) for i in scores.argmax(1)] == [t[0] for t in out] and (scores.max(1) == 0).all() and np.isneginf(scores).sum() == 2 * (VOCAB - 1)


def test_the_mark_stands_behind_the_callers_processors_and_before_the_warpers(marks):
    marks, model, processors = marks(), Model(), [Penalty(), TemperatureLogitsWarper()]
    ids = Ids(marks)
    out = generate(marks, model, PROMPTS[:1] * 8, processors, max_new_tokens=40)
    assert all(5 not in tokens for tokens in out)
    for request, tokens in zip(ids.requests, out, strict=True):
        assert tokens == again(marks, model, bytes.fromhex(request.key), PROMPTS[0], len(tokens), 3, [Penalty()])


def test_left_padding_is_no_part_of_the_prompt(marks):
    marks, model = marks(), Model()
    ids = Ids(marks)
    out = generate(marks, model, [[PAD, PAD, 9], [10, 11, 12]], mask=[[0, 0, 1], [1, 1, 1]])
    assert [r.prompt[:len(p)] for r, p in zip(ids.requests, ([9], [10, 11, 12]), strict=True)] == [[9], [10, 11, 12]] and len(ids.requests[0].prompt) == 1
    assert out[0] == again(marks, model, bytes.fromhex(ids.requests[0].key), [9], len(out[0]), 3)


def test_n_responses_of_a_prompt_have_ids_of_their_own(marks):
    marks, model = marks(), Model()
    ids = Ids(marks)
    out = generate(marks, model, PROMPTS[:2], num_return_sequences=5)
    assert len({r.key for r in ids.requests}) == 10 and len({tuple(t) for t in out}) > 5
    assert [r.prompt for r in ids.requests] == [PROMPTS[0]] * 5 + [PROMPTS[1]] * 5


def test_accounts_and_opting_out_by_row(marks):
    marks, model = marks(), Model()
    ids = Ids(marks)
    rows = [{"account": "birch"}, {"marked": False}, {}]
    out = generate(marks, model, PROMPTS[:3], rows=rows, num_return_sequences=2)
    assert [r.marked for r in ids.requests] == [True, True, False, False, True, True] and [r.account for r in ids.requests if r.marked] == ["birch"] * 2 + ["default"] * 2
    for i in (0, 4):
        assert out[i] == again(marks, model, bytes.fromhex(ids.requests[i].key), PROMPTS[i // 2], len(out[i]), 3, account=ids.requests[i].account)
    assert np.isneginf(np.asarray(model.seen[0])[2:4]).sum() == 0, "an unmarked row's scores are left as they were"
    assert marks.counters.snapshot()["requests.opted-out"] == 2
    for wrong, words in (([{}], "1 entries for 3 prompts"), ([{"key": 1}] * 3, 'unknown member "key"'), ([{"marked": 0}] * 3, "True or False")):
        with pytest.raises(heirmark.UsageError, match=words):
            generate(marks, model, PROMPTS[:3], rows=wrong)
    assert marks.service.live() == 0


def test_greedy(marks):
    marks, model = marks(), Model()
    out = generate(marks, model, PROMPTS, do_sample=False, temperature=0.3, typical_p=0.5)
    plain = Model()._sample(tensor(PROMPTS), [], None, configuration(do_sample=False), False, None)
    assert out == [row[3:].tolist() for row in plain]
    assert set(marks.counters.snapshot()) == {"requests.marked", "tokens.unmarked"}


@pytest.mark.parametrize("changes", [dict(num_beams=4), dict(num_beam_groups=2), dict(penalty_alpha=0.6), dict(prompt_lookup_num_tokens=3), dict(dola_layers="high"),
                                     dict(force_words_ids=[[1]]), dict(constraints=[1])])
@pytest.mark.parametrize("policy", ["fail-closed", "serve-unmarked-and-count"])
def test_other_ways_of_generating_are_refused(marks, changes, policy):
    marks, model = marks(policy=policy), Model()
    with pytest.raises(heirmark.UsageError, match=next(iter(changes))):
        generate(marks, model, PROMPTS, **changes)
    assert model.seen == [] and marks.counters.snapshot() == {}


@pytest.mark.parametrize(("changes", "reason"), [(dict(typical_p=0.5), "unsupported-typical_p"), (dict(epsilon_cutoff=0.01), "unsupported-epsilon_cutoff"), (dict(eta_cutoff=0.01), "unsupported-eta_cutoff"),
                                                 (dict(top_h=0.4), "unsupported-top_h"), (dict(watermarking_config={}), "unsupported-watermarking_config"),
                                                 (dict(temperature=1e-5), "bad-parameter"), (dict(top_p=0.0), "bad-parameter")])
def test_what_cannot_be_marked_follows_the_policy(marks, changes, reason):
    closed = marks()
    with pytest.raises(heirmark.UsageError, match="cannot be marked"):
        generate(closed, Model(), PROMPTS, **changes)
    assert closed.counters.snapshot() == {f"requests.{reason}": 1} and closed.service.live() == 0
    serving, model = marks(policy="serve-unmarked-and-count"), Model()
    out = generate(serving, model, PROMPTS, **changes)
    assert [len(t) for t in out] == [20] * 4
    assert serving.counters.snapshot() == {f"requests.{reason}": 4} and not np.isneginf(np.asarray(model.seen[0])).any()


def test_rows_that_ended_are_left_alone(marks):
    """By an end token, and by a criterion of the row that only the padding shows: no token is counted that was not served, and nothing restarts."""
    class Ends:
        def __call__(self, input_ids, scores):
            out = scores.clone()
            out[:, EOS] = -np.inf
            if input_ids.shape[1] == 10:
                out[0], out[0, EOS] = -np.inf, 0
            return out
    marks, model = marks(), Model(stop_at=(1, 4))
    out = generate(marks, model, PROMPTS, [Ends()], max_new_tokens=60)
    assert out[0].index(EOS) == 7 and out[0][8:] == [PAD] * 52 and out[1][5:] == [PAD] * 55 and PAD not in out[1][:5]
    counts = marks.counters.snapshot()
    # The row that a criterion ended was sampled once more, before its padding showed.
    assert "restarts" not in counts and counts["tokens.marked"] + counts["tokens.issued"] == 8 + 5 + 1 + 60 + 60


def test_a_token_that_the_caller_forces(marks):
    class Forced:
        def __call__(self, input_ids, scores):
            if input_ids.shape[1] != 6:
                return scores
            out = scores.clone()
            out[:], out[:, 77] = -np.inf, 0
            return out
    marks, model = marks(), Model()
    ids = Ids(marks)
    before = generate(marks, model, PROMPTS, [Forced()])
    assert [t[3] for t in before] == [77] * 4 and "restarts" not in marks.counters.snapshot()
    behind = type("LogitNormalization", (Forced,), {})()  # a class that stands behind the mark
    out = generate(marks, model, PROMPTS, [behind])
    assert [t[3] for t in out] == [77] * 4 and marks.counters.snapshot()["restarts"] == 4
    for request, prompt, tokens in zip(ids.requests[4:], PROMPTS, out, strict=True):
        assert request.key != request.sequence.request_id.hex()
        assert tokens[4:] == again(marks, model, request.sequence.request_id, prompt + tokens[:4], len(tokens) - 4, 7)


def test_going_on_with_a_response(marks):
    """A second call with what the first one made: a new response whose prompt is all of it."""
    marks, model = marks(), Model()
    ids = Ids(marks)
    first = generate(marks, model, PROMPTS[:1], max_new_tokens=5)
    whole = PROMPTS[0] + first[0]
    second = generate(marks, model, [whole], max_new_tokens=5)
    assert ids.requests[1].prompt == whole and ids.requests[0].key != ids.requests[1].key
    assert second[0] == again(marks, model, bytes.fromhex(ids.requests[1].key), whole, len(second[0]), len(whole))


def test_padded_logits_never_give_a_padding_token(marks):
    marks, model = marks(), Model(columns=VOCAB + 45)
    out = generate(marks, model, PROMPTS, max_new_tokens=50)
    assert all(token < VOCAB for tokens in out for token in tokens)


def test_a_row_without_a_finite_logit(marks):
    class Nothing:
        def __call__(self, input_ids, scores):
            out = scores.clone()
            out[1, :VOCAB] = -np.inf
            return out
    closed = marks()
    with pytest.raises(heirmark.BadInputError, match="no-finite-logit"):
        generate(closed, Model(), PROMPTS, [Nothing()])
    assert closed.service.live() == 0
    serving = marks(policy="serve-unmarked-and-count")
    out = generate(serving, Model(columns=VOCAB + 1), PROMPTS, [Nothing()], max_new_tokens=3)
    assert out[1] == [VOCAB] * 3 and serving.counters.snapshot()["tokens.no-finite-logit"] == 3


class TestTheLedger:
    """What generate() returned stands in the ledger, and nothing else."""

    @pytest.fixture
    def recorded(self, marks, tmp_path):
        store = heirmark.Keystore.create(tmp_path / "keys", "a passphrase", opslimit=1, memlimit=8192)
        heirmark.make_ledger(tmp_path / "ledger", store)
        made = marks(ledger="ledger")

        def lines():
            made.service.close()
            done = command("ledger", "export", tmp_path / "ledger", "-o", "-", "--keystore", tmp_path / "keys", passphrase="a passphrase")
            return [(line["prompt"], line["tokens"]) for line in map(json.loads, done.splitlines())]
        return made, lines

    @pytest.mark.parametrize("in_a_dictionary", [False, True])
    def test_a_row_that_ended_one_token_before_the_batch(self, recorded, in_a_dictionary):
        """In the last step a token is drawn for it, and padding stands in its place."""
        marks, lines = recorded

        class Stops(Model):
            def _sample(self, *args, **kwargs):
                ids = super()._sample(*args, **kwargs)
                return types.SimpleNamespace(sequences=ids) if in_a_dictionary else ids
        model = Stops(stop_at=(0, 3))
        config = configuration(max_new_tokens=5)
        out = marks(model, tensor(PROMPTS[:2]), logits_processor=[], stopping_criteria=None, generation_config=config)
        ids = np.asarray(out.sequences if in_a_dictionary else out)[:, 3:].tolist()
        assert ids[0][4] == PAD and PAD not in ids[0][:4] + ids[1] and len(ids[1]) == 5
        assert lines() == [(PROMPTS[0], ids[0][:4]), (PROMPTS[1], ids[1])]

    def test_rows_of_a_generate_that_raised(self, recorded):
        """One row cannot be marked, another had ended before: neither was returned."""
        marks, lines = recorded

        class Breaks:
            def __call__(self, input_ids, scores):
                out = scores.clone()
                if input_ids.shape[1] == 6:
                    out[0], out[0, EOS] = -np.inf, 0
                if input_ids.shape[1] == 9:
                    out[1] = -np.inf
                return out
        with pytest.raises(heirmark.BadInputError, match="no-finite-logit"):
            generate(marks, Model(), PROMPTS, [Breaks()])
        assert marks.service.live() == 0
        served = generate(marks, Model(), PROMPTS[:1], max_new_tokens=3)
        assert lines() == [(PROMPTS[0], served[0])]


def test_a_processor_serves_one_call(marks):
    service = marks().service
    processor = Processor(service, [service.begin([1]), service.begin([2])])
    with pytest.raises(heirmark.UsageError, match="one call"):
        processor(tensor(PROMPTS), tensor(logits_of(4, 1, VOCAB)))
    assert isinstance(service, Service)


def test_by_the_environment(marks, tmp_path, monkeypatch):
    marks()
    monkeypatch.setenv("HEIRMARK_CONFIG", str(tmp_path / "heirmark.json"))
    assert Marks.from_environment(Model()).service.sampler.vocab_size == VOCAB
    assert Marks.from_environment(Model(), vocab_size=200).service.sampler.vocab_size == 200
