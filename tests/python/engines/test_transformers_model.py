"""generate() of real transformers on a small model with random weights."""
import json
import types

import pytest

import heirmark
from heirmark.serving import Config
from heirmark.transformers import Marks
from support import subkeys_bytes

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

VOCAB, EOS, PAD = 503, 2, 0


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(7)
    config = transformers.LlamaConfig(vocab_size=VOCAB, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
                                      bos_token_id=1, eos_token_id=EOS, pad_token_id=PAD)
    made = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        made.lm_head.weight *= 40  # random weights give nearly equal logits
    return made


@pytest.fixture
def marks(tmp_path, model):
    (tmp_path / "subkeys.json").write_bytes(subkeys_bytes())
    (tmp_path / "subkeys.json").chmod(0o600)

    def make(**members):
        (tmp_path / "heirmark.json").write_text(json.dumps({"subkeys": "subkeys.json", **members}))
        made = Marks.from_config(Config.read(tmp_path / "heirmark.json"), model)
        made.begun, begin = [], made.service.begin
        made.service.begin = lambda *a, **k: made.begun.append(begin(*a, **k)) or made.begun[-1]
        return made
    return make


def again(marks, model, request, count, **params):
    """The tokens of one response, from whole forward passes of its own without padding or cache, and the sampler alone."""
    sampler, tokens = marks.service.sampler, []
    sequence = sampler.begin(request_id=bytes.fromhex(request.key), prompt=request.prompt, account=request.account)
    for _ in range(count):
        with torch.no_grad():
            logits = model(torch.tensor([request.prompt + tokens])).logits[:, -1].float()
        tokens.append(int(sampler.sample(logits, [sequence], heirmark.Params(**params)).token[0]))
        if tokens[-1] == EOS:
            break
    return tokens + [PAD] * (count - len(tokens))


PROMPTS = torch.tensor([[11, 12, 13, 14], [21, 22, 23, 24], [31, 32, 33, 34]])


@pytest.mark.parametrize("params", [dict(temperature=0.8), dict(temperature=1.0, top_k=30), dict(top_p=0.9), dict(min_p=0.05, temperature=1.4)])
def test_a_batch_has_the_samplers_tokens(marks, model, params):
    marks = marks(account="birch")
    out = model.generate(PROMPTS, attention_mask=torch.ones_like(PROMPTS), do_sample=True, max_new_tokens=30, custom_generate=marks, **{"top_k": 0, **params})
    new = out[:, 4:].tolist()
    for request, tokens in zip(marks.begun, new, strict=True):
        assert tokens == again(marks, model, request, len(tokens), **params)
    assert marks.service.live() == 0 and "restarts" not in marks.counters.snapshot()


def test_left_padding_changes_no_token(marks, model):
    """The same prompt alone and padded in a batch; float sums differ in the last bits, tokens do not."""
    marks = marks()
    ids = torch.tensor([[PAD, PAD, 13, 14], [21, 22, 23, 24]])
    out = model.generate(ids, attention_mask=torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]), do_sample=True, top_k=0, max_new_tokens=25, custom_generate=marks)
    assert [r.prompt for r in marks.begun] == [[13, 14], [21, 22, 23, 24]]
    for request, tokens in zip(marks.begun, out[:, 4:].tolist(), strict=True):
        assert tokens == again(marks, model, request, len(tokens))


def test_n_responses_accounts_and_opting_out(marks, model):
    marks = marks()
    rows = [{"account": "birch"}, {"marked": False}, {}]
    out = model.generate(PROMPTS, attention_mask=torch.ones_like(PROMPTS), do_sample=True, top_k=0, num_return_sequences=2, max_new_tokens=12, custom_generate=marks, heirmark_rows=rows)
    assert out.shape[0] == 6 and [r.marked for r in marks.begun] == [True, True, False, False, True, True]
    for i in (0, 1, 4, 5):
        assert out[i, 4:].tolist() == again(marks, model, marks.begun[i], out.shape[1] - 4)
    assert marks.counters.snapshot()["requests.opted-out"] == 2


def test_penalties_and_scores(marks, model):
    """A repetition penalty stands before the mark; scores are what was sampled from."""
    marks = marks()
    out = model.generate(PROMPTS, attention_mask=torch.ones_like(PROMPTS), do_sample=True, top_k=0, repetition_penalty=5.0, no_repeat_ngram_size=1, max_new_tokens=40, custom_generate=marks,
                         return_dict_in_generate=True, output_scores=True)
    for i, row in enumerate(out.sequences.tolist()):
        served = row[:row.index(EOS)] if EOS in row else row
        assert len(set(served)) == len(served)
        assert out.scores[0][i].argmax() == row[4] and torch.isfinite(out.scores[0][i]).sum() == 1


def test_greedy_is_transformers_own(marks, model):
    marks = marks()
    options = dict(attention_mask=torch.ones_like(PROMPTS), do_sample=False, max_new_tokens=30)
    assert model.generate(PROMPTS, custom_generate=marks, **options).tolist() == model.generate(PROMPTS, **options).tolist()
    assert set(marks.counters.snapshot()) == {"requests.marked", "tokens.unmarked"}


@pytest.mark.parametrize("in_a_dictionary", [False, True])
def test_a_record_is_what_was_returned(marks, model, in_a_dictionary):
    """A criterion ends one row a token before the batch: in the last step a token is drawn for it, and padding stands in its place."""
    class Stop(transformers.StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return torch.tensor([input_ids.shape[1] >= 9, False, False])
    marks, recorded = marks(), []
    marks.service._recorder = types.SimpleNamespace(begin=lambda r: None, token=lambda *_: None, end=lambda r: recorded.append(list(r.tokens)))
    out = model.generate(PROMPTS, attention_mask=torch.ones_like(PROMPTS), do_sample=True, max_new_tokens=6, suppress_tokens=[PAD, EOS], stopping_criteria=[Stop()], custom_generate=marks,
                         return_dict_in_generate=in_a_dictionary)
    new = (out.sequences if in_a_dictionary else out)[:, 4:].tolist()
    assert new[0][5] == PAD and recorded == [new[0][:5], *new[1:]] and all(PAD not in tokens for tokens in recorded)


def test_refused(marks, model):
    marks = marks()
    for options, words in ((dict(num_beams=3), "num_beams"), (dict(do_sample=True, typical_p=0.4), "typical_p"), (dict(do_sample=True, epsilon_cutoff=0.02), "epsilon_cutoff"),
                           (dict(prompt_lookup_num_tokens=2), "prompt_lookup_num_tokens"), (dict(do_sample=True, heirmark_rows=[{}]), "heirmark_rows")):
        with pytest.raises(heirmark.UsageError, match=words):
            model.generate(PROMPTS, attention_mask=torch.ones_like(PROMPTS), max_new_tokens=4, custom_generate=marks, **options)
    assert marks.service.live() == 0


def test_text_served_is_found_and_not_with_another_key(model, tmp_path):
    """p below 1e-9 under an independent key happens with a chance of at most 1e-9."""
    store = heirmark.Keystore.create(tmp_path / "keys", "engines", opslimit=1, memlimit=8192)
    openings = []
    for month in ("2026-11", "2026-12"):
        store.new_epoch(f"acme/{month}", family_size=4096)
        openings.append(store.open_for(f"acme/{month}", "test"))
    (tmp_path / "subkeys.json").write_bytes(store.subkeys("acme/2026-11").expose_bytes())
    (tmp_path / "subkeys.json").chmod(0o600)
    marks = Marks.from_config(Config(tmp_path / "subkeys.json", epoch="2026-11"), model)
    prompts = torch.arange(100, 132).reshape(8, 4)
    out = model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=True, top_k=0, min_new_tokens=100, max_new_tokens=100, custom_generate=marks)
    texts = [(row, 4) for row in out.tolist()]
    assert heirmark.detect(texts, openings[0]).log10_p < -20
    assert heirmark.detect(texts, openings[1]).log10_p > -9
