"""Detection: the command's numbers; what texts may be; progress and stopping."""
import json
import math
import os
import signal
import threading

import numpy as np
import pytest

import heirmark
from conftest import KEY, PASSPHRASE
from support import command, logits_of, request

VOCAB = 997


@pytest.fixture(scope="module")
def texts(key, tmp_path_factory):
    """A token file sampled under the key through the package, and the texts themselves."""
    sampler = heirmark.Sampler(key.store.subkeys(KEY), vocab_size=VOCAB, device="cpu")
    made = []
    for i in range(12):
        prompt = [i, 2 * i, 3 * i + 1]
        sequence = sampler.begin(request_id=request(i), prompt=prompt)
        tokens = [int(sampler.sample(logits_of(1, 1000 * i + t, VOCAB, 1.5), [sequence]).token[0]) for t in range(80)]
        made.append({"tokens": prompt + tokens, "prompt_tokens": 3})
    path = tmp_path_factory.mktemp("texts") / "text.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in made))
    return path, made


@pytest.mark.parametrize("options", [{}, {"decoys": 200}, {"count_rule": "sqrt2"}, {"count_rule": "log2", "decoys": 63, "threads": 2}, {"vocab_size": VOCAB}],
                         ids=lambda options: " ".join(f"{k}={v}" for k, v in options.items()) or "plain")
def test_the_commands_numbers(key, texts, options):
    path, made = texts
    names = {"vocab_size": "vocab", "count_rule": "count-rule"}
    arguments = [part for name, value in options.items() for part in (f"--{names.get(name, name)}", value)]
    told = json.loads(command("detect", path, "--opening", key.opening_file, "--json", *arguments))
    assert told["log10_p_prf"] < -10 or "count_rule" in options
    for source in (path, str(path), made, iter(made), [(t["tokens"], 3) for t in made], [(np.array(t["tokens"]), 3) for t in made]):
        found = heirmark.detect(source, key.opening, **options)
        assert found.to_dict() == told
        assert list(found.to_dict()) == list(told)
    assert (found.n, found.log10_p, found.log10_e, found.statistic) == (told["n"], told["log10_p"], told["log10_e"], int(told["statistic_integer"]))
    assert found.log10_p >= found.log_p / math.log(10) > found.log10_p - 1.01e-4
    assert found.log10_e <= found.log_e / math.log(10) < found.log10_e + 1.01e-4


def test_another_keys_opening_finds_nothing(key, texts):
    """p below 1e-9 under an independent key happens with a chance of at most 1e-9."""
    found = heirmark.detect(texts[0], key.other)
    assert found.log10_p > -9 and found.n > 300


def test_the_commands_text_is_found(key, tmp_path):
    path = tmp_path / "marked.jsonl"
    command("mark", "--opening", key.opening_file, "--texts", 5, "--tokens", 100, "--seed", 7, "-o", path)
    assert heirmark.detect(path, key.opening).to_dict() == json.loads(command("detect", path, "--opening", key.opening_file, "--json"))


def test_what_the_command_marks_the_package_marks(key, tmp_path):
    """`heirmark mark --logits` and Sampler, the same logits in each type."""
    import ml_dtypes
    logits = logits_of(60, 5, VOCAB)
    for name, dtype in (("f32", np.float32), ("bf16", ml_dtypes.bfloat16), ("f16", np.float16)):
        rows = logits.astype(dtype)
        (tmp_path / "logits").write_bytes(rows.tobytes())
        told = json.loads(command("mark", "--opening", key.opening_file, "--logits", tmp_path / "logits", "--dtype", name, "--vocab", VOCAB, "--seed", 3, "--top-k", 50, "--top-p", 0.9,
                                  "--temperature", 0.8))
        sampler = heirmark.Sampler(key.opening.subkeys(), vocab_size=VOCAB, device="cpu")
        sequence = sampler.begin(request_id=bytes.fromhex(told["request_id"]))
        out = [sampler.sample(row[None], [sequence], heirmark.Params(temperature=0.8, top_k=50, top_p=0.9)) for row in rows]
        assert [int(o.token[0]) for o in out] == told["tokens"]
        assert [sum(int(o.status[0]) == status for o in out) for status in (0, 1)] == [told["window"], told["issued"]]


def test_reading(key, texts, tmp_path):
    path = tmp_path / "reading.jsonl"
    with open(path, "w") as file:
        for text in texts[1]:
            top = [[[token, 2**31], [(token + 1) % VOCAB, 2**30]] for token in text["tokens"][3:]]
            file.write(json.dumps({**text, "top": top}) + "\n")
    told = json.loads(command("detect", path, "--opening", key.opening_file, "--reading", "--json", "--decoys", 31))
    found = heirmark.detect_reading(path, key.opening, decoys=31)
    assert found.to_dict() == told and told["reading"] and found.log10_p_saddlepoint == told["log10_p_saddlepoint"] is not None


@pytest.mark.parametrize(("bad", "words"), [
    ([[1, 2, 3], [4, -5]], r"texts\[1\]\[1\]: no token id"),
    ([{"tokens": [1, "x"]}], r"texts\[0\]\.tokens\[1\]: no integer"),
    ([{"text": [1]}], r"texts\[0\]: no \"tokens\""),
    ([([1, 2], 3)], r"texts\[0\]: prompt_tokens"),
    ([{"tokens": [1], "prompt_tokens": -1}], r"texts\[0\]: prompt_tokens"),
    ([[VOCAB]], r"texts\[0\]\[0\]: a token id outside"),
    ([], "no text"),
])
def test_bad_texts_are_named(key, bad, words):
    with pytest.raises(heirmark.BadInputError, match=words):
        heirmark.detect(bad, key.opening, vocab_size=VOCAB)


def test_bad_files_are_named(key, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"tokens":[1,2]}\n{"tokens":[1,"2"]}\n')
    with pytest.raises(heirmark.BadInputError, match=r"bad\.jsonl:2"):
        heirmark.detect(path, key.opening)
    with pytest.raises(heirmark.UsageError, match="one text is"):
        heirmark.detect([1, 2, 3], key.opening)
    with pytest.raises(TypeError):
        heirmark.detect(5, key.opening)
    with pytest.raises(heirmark.BadInputError, match="count rule"):
        heirmark.detect(path, key.opening, count_rule="loud")


def test_progress_and_stopping(key, texts):
    shares = []
    found = heirmark.detect(texts[0], key.opening, decoys=500, progress=shares.append)
    assert found.log10_p < -1 and shares == sorted(shares) and shares[-1] == 1.0
    with pytest.raises(heirmark.StoppedError) as error:
        heirmark.detect(texts[0], key.opening, decoys=500, progress=lambda share: False)
    assert error.value.code == 6
    class Oops(Exception):
        pass
    def fails(share):
        raise Oops("at " + str(share))
    with pytest.raises(Oops, match="at "):
        heirmark.detect(texts[0], key.opening, decoys=500, progress=fails)


def test_ctrl_c(key, texts):
    """A signal's exception ends the work, as in any Python program."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    many = texts[1] + [{"tokens": np.random.default_rng(i).integers(0, VOCAB, 2000)} for i in range(40)]
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            for _ in range(50):
                heirmark.detect(many, key.opening, decoys=4095)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def test_detection_lets_others_run(key, texts):
    thread = threading.Thread(target=lambda: heirmark.detect(texts[0], key.opening, decoys=4095))
    counted = 0
    thread.start()
    while thread.is_alive():
        thread.join(0.001)
        counted += 1
    assert counted > 3


def test_passphrases_are_not_needed_to_detect(key):
    assert PASSPHRASE not in repr(key.opening)
