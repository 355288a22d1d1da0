"""The sampler: the C library's tokens, whatever the type and the strides; results, drafts, launches; what it refuses."""
import ctypes
import json
import math
import threading
import time

import ml_dtypes
import numpy as np
import pytest

import heirmark
from support import ROOT, VOCAB, Library, logits_of, make_sampler, request, subkeys_bytes

MODES = {"off": 0, "greedy": 1, "marked": 2, "issuance": 3}
ASKED = [dict(temperature=1.0), dict(temperature=0.7, top_k=40), dict(temperature=1.3, top_p=0.9), dict(temperature=1.0, min_p=0.05), dict(temperature=0.0),
         dict(temperature=1.0, mode="issuance"), dict(temperature=0.5, top_k=20, top_p=0.8, min_p=0.01), dict(mode="off")]


def for_c(p):
    return (p.get("temperature", 1.0), p.get("min_p", 0.0), p.get("top_p", 1.0), p.get("top_k", 0), MODES[p.get("mode", "marked")])


def bits(values):
    """IEEE bits, so that equal NaNs are equal."""
    return np.asarray(values, np.float32).view(np.uint32)


@pytest.mark.parametrize("profile", [profile.name for profile in heirmark.Profile.all()])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_c_librarys_tokens(profile, dtype):
    library, sampler = Library(subkeys_bytes(profile), VOCAB, log_probs=True), make_sampler(profile, log_probs=True)
    here = [sampler.begin(request_id=request(i), prompt=range(i), account=["default", "birch"][i % 2]) for i in range(len(ASKED))]
    there = [library.begin(request(i), list(range(i)), i % 2) for i in range(len(ASKED))]
    params = [heirmark.Params(**p) for p in ASKED]
    statuses = set()
    for step in range(40):
        logits = logits_of(len(ASKED), step).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
        if step == 7:
            logits[3, 11], logits[2, 5] = np.inf, np.nan
        if step == 8:
            logits[1] = -np.inf
        expected = library.sample(logits, there, [for_c(p) for p in ASKED])
        got = sampler.sample(logits, here, params)
        assert len(got) == len(ASKED)
        assert np.array_equal(got.status, expected["status"])
        kept = slice(0, -1)  # the last row is off: drawn with a key of nobody's, new in each sampler
        assert np.array_equal(np.where(got.token < 0, heirmark.layout.NO_TOKEN, got.token)[kept], expected["token"][kept])
        assert np.array_equal(bits(got.log_prob)[kept], bits(expected["log_prob"])[kept])
        statuses |= set(got.status.tolist())
    assert statuses >= {1, 2, 3, 4} | ({0} if profile != "issuance-only-2026-11" else set())  # issued: also by the mode of a row
    assert [s.position for s in here] == [40 - (i == 1) for i in range(len(ASKED))]


def test_results_are_arrays_of_their_types(sampler):
    out = sampler.sample(logits_of(3, 1), [sampler.begin() for _ in range(3)])
    assert (out.token.dtype, out.status.dtype, out.log_prob.dtype) == (np.int64, np.uint8, np.float32)
    assert out.token.shape == out.status.shape == out.log_prob.shape == (3,)
    assert np.isnan(out.log_prob).all() and out.top_token is None and out.top_p is None
    with pytest.raises(heirmark.UsageError, match="top tokens"):
        out.phat(0)


def test_log_probs_are_those_of_the_softmax():
    sampler, logits = make_sampler(log_probs=True), logits_of(4, 2)
    out = sampler.sample(logits, [sampler.begin() for _ in range(4)], heirmark.Params(temperature=0.5, top_k=50))
    x = logits.astype(np.float64) / 0.5
    expected = x[np.arange(4), out.token] - (x.max(1) + np.log(np.exp(x - x.max(1, keepdims=True)).sum(1)))
    assert np.allclose(out.log_prob, expected, atol=2e-5, rtol=0)


def test_top_tokens_are_those_of_marks_md(sampler):
    logits, k = logits_of(2, 3), 5
    out = sampler.sample(logits, [sampler.begin() for _ in range(2)], heirmark.Params(top_k=k), top=True)
    assert out.top_token.shape == out.top_p.shape == (2, 16)
    for row in range(2):
        order = sorted(range(VOCAB), key=lambda v: (-logits[row, v], v))[:k]
        masses = [math.floor(2**40 * math.exp(float(logits[row, v]) - float(logits[row].max()))) for v in order]
        exact = [(2**32 * m) // sum(masses) for m in masses]
        phat = out.phat(row)
        assert [token for token, _ in phat] == order
        assert all(abs(p - q) <= 1 for (_, p), q in zip(phat, exact, strict=True))
        assert out.top_token[row, k:].tolist() == [-1] * (16 - k) and not out.top_p[row, k:].any()


def test_one_params_for_all_rows_or_one_for_each(sampler):
    def tokens(params):
        sequences = [sampler.begin(request_id=request(i)) for i in range(6)]
        return [sampler.sample(logits_of(6, step), sequences, params).token.tolist() for step in range(5)]
    one = heirmark.Params(temperature=0.8, top_k=10)
    assert tokens(one) == tokens([one] * 6) == tokens((one,) * 6) != tokens(heirmark.Params())
    assert tokens(None) == tokens(heirmark.Params())


def test_threads_and_batches_change_no_token():
    def tokens(sampler, order):
        sequences = {i: sampler.begin(request_id=request(i)) for i in range(9)}
        out = {i: [] for i in sequences}
        for step in range(30):
            logits = logits_of(9, step)
            for batch in order(step):
                for i, token in zip(batch, sampler.sample(logits[batch], [sequences[i] for i in batch]).token.tolist(), strict=True):
                    out[i].append(token)
        return out
    plain = tokens(make_sampler(), lambda step: [list(range(9))])
    assert plain == tokens(make_sampler(threads=3), lambda step: [list(range(9))])
    assert plain == tokens(make_sampler(), lambda step: [[i] for i in range(9)])
    assert plain == tokens(make_sampler(), lambda step: [list(np.random.default_rng(step).permutation(9))])


class TestArrays:
    """Logits where they are: what they may be, and what is refused."""

    def tokens(self, logits, rows=4):
        sampler = make_sampler()
        return sampler.sample(logits, [sampler.begin(request_id=request(i)) for i in range(rows)]).token.tolist()

    def test_strides(self):
        logits = logits_of(4, 5)
        wide = np.full((8, 2 * VOCAB), 50, np.float32)
        wide[::2, :VOCAB] = logits
        assert self.tokens(wide[::2, :VOCAB]) == self.tokens(logits)
        assert self.tokens(wide[::2]) == self.tokens(logits), "columns behind the vocabulary take no part"
        wide[1::2, 7:7 + VOCAB] = logits
        assert self.tokens(wide[1::2, 7:]) == self.tokens(logits)

    def test_one_row_may_have_one_dimension(self):
        logits = logits_of(1, 6)
        assert self.tokens(logits[0], 1) == self.tokens(logits, 1)

    def test_nothing_is_copied_or_written(self):
        logits = logits_of(4, 7)
        before = logits.copy()
        logits.flags.writeable = False
        expected = self.tokens(before)
        assert self.tokens(logits) == expected and np.array_equal(logits, before)

    def test_bfloat16_by_dlpack_as_torch_gives_it(self):
        class Bfloat16:
            """Exports the bits of bfloat16 as DLPack's type of that name, as torch does."""
            def __init__(self, bits):
                self.bits = bits

            def __dlpack__(self, **_):
                capsule = self.bits.__dlpack__()
                import ctypes
                ctypes.pythonapi.PyCapsule_GetPointer.restype = ctypes.c_void_p
                ctypes.pythonapi.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
                tensor = ctypes.pythonapi.PyCapsule_GetPointer(capsule, b"dltensor")
                ctypes.c_uint8.from_address(tensor + 20).value = 4  # DLTensor.dtype.code: kDLBfloat
                return capsule

            def __dlpack_device__(self):
                return (1, 0)
        logits = logits_of(4, 8).astype(ml_dtypes.bfloat16)
        assert self.tokens(Bfloat16(logits.view(np.uint16))) == self.tokens(logits) == self.tokens(logits.astype(np.float32))

    @pytest.mark.parametrize(("make", "words"), [
        (lambda x: x.astype(np.float64), "float32, bfloat16 or float16"),
        (lambda x: x.astype(np.int32), "float32, bfloat16 or float16"),
        (lambda x: x.astype(ml_dtypes.bfloat16).astype(np.dtype(ml_dtypes.bfloat16).newbyteorder()), "no array"),
        (lambda x: x.astype(np.complex64), "float32, bfloat16 or float16"),
        (lambda x: x.view(np.uint16)[:, :VOCAB], "float32, bfloat16 or float16"),
        (lambda x: x[:, :VOCAB - 1], "columns"),
        (lambda x: np.asfortranarray(x), "side by side"),
        (lambda x: np.repeat(x, 2, axis=1)[:, ::2], "side by side"),
        (lambda x: x[::-1], "backwards"),
        (lambda x: np.broadcast_to(x[0], x.shape), "overlap"),
        (lambda x: x[None], "shape"),
        (lambda x: x[0, 0], "shape"),
        (lambda x: x[:3], "3 rows for 4 sequences"),
        (lambda x: x.tolist(), "no array"),
        (lambda x: b"\0" * 4 * VOCAB, "float32"),
    ])
    def test_refused_with_a_reason_and_nothing_changed(self, make, words):
        sampler = make_sampler()
        sequences = [sampler.begin(request_id=request(i)) for i in range(4)]
        with pytest.raises(heirmark.UsageError, match=words):
            sampler.sample(make(logits_of(4, 9)), sequences)
        assert [s.position for s in sequences] == [0] * 4
        assert sampler.sample(logits_of(4, 9), sequences).token.tolist() == self.tokens(logits_of(4, 9))

    @pytest.mark.parametrize("wrong", [dict(temperature=1e-50), dict(temperature=0.00099), dict(min_p=-1e-50), dict(top_p=1.00000001), dict(top_p=1e-50), dict(top_k=-1), dict(top_k=2**32), dict(min_p=math.nan)], ids=str)
    def test_parameters_out_of_range_are_told_as_they_were_given(self, wrong):
        with pytest.raises(heirmark.UsageError, match=next(iter(wrong))):
            heirmark.Params(**wrong)

    def test_what_settles_is_of_the_vocabulary(self):
        sampler = make_sampler()
        sequence = sampler.begin()
        rows = sampler.rows([sequence], heirmark.Params())
        sampled = np.zeros((1, 12), np.uint8)
        sampler.launch(logits_of(1, 1), rows, sampled)
        sampled.view(np.uint32)[0, 0] = VOCAB
        with pytest.raises(heirmark.UsageError, match=f"token {VOCAB} is outside"):
            sampler.settle([sequence], rows, sampled)
        assert sequence.position == 0

    def test_arrays_of_ctypes_which_tell_no_strides(self):
        logits = logits_of(4, 9)
        rows = ((ctypes.c_float * logits.shape[1]) * 4).from_buffer_copy(logits.tobytes())
        assert self.tokens(rows) == self.tokens(logits)
        prompt = (ctypes.c_uint32 * 3)(1, 2, 3)
        sampler = make_sampler()
        one, other = (sampler.begin(request_id=request(1), prompt=p) for p in (prompt, [1, 2, 3]))
        assert sampler.sample(logits[:1], [one]).token == sampler.sample(logits[:1], [other]).token

    def test_logits_that_somebody_writes_into_meanwhile_spoil_a_token_and_nothing_else(self):
        logits = logits_of(4, 9)
        stop = threading.Event()

        def write():
            random = np.random.default_rng(0)
            while not stop.is_set():
                logits[random.integers(4)] = random.choice([np.nan, -np.inf, np.inf, 0, 3e38, random.standard_normal()])
        writer = threading.Thread(target=write)
        writer.start()
        try:
            sampler, until = make_sampler(), time.monotonic() + 1
            while time.monotonic() < until:
                for params in (heirmark.Params(), heirmark.Params(temperature=0.7, top_p=0.9), heirmark.Params(top_k=40)):
                    out = sampler.sample(logits, [sampler.begin() for _ in range(4)], params, top=True)
                    assert (out.token < VOCAB).all() and (out.top_token < VOCAB).all()
        finally:
            stop.set()
            writer.join()

    def test_why_an_array_cannot_be_handed_over_is_told(self):
        class Tensor:
            def __dlpack__(self, **_):
                raise BufferError("Can't export tensors that require gradient")
        with pytest.raises(heirmark.UsageError, match="require gradient"):
            self.tokens(Tensor())

    def test_memory_of_a_device_is_refused(self):
        class OnDevice:
            def __init__(self, array):
                self.array = array

            def __dlpack__(self, **_):
                import ctypes
                capsule = self.array.__dlpack__()
                ctypes.pythonapi.PyCapsule_GetPointer.restype = ctypes.c_void_p
                ctypes.pythonapi.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
                tensor = ctypes.pythonapi.PyCapsule_GetPointer(capsule, b"dltensor")
                ctypes.c_int32.from_address(tensor + 8).value = 2  # DLTensor.device.device_type: kDLCUDA
                return capsule
        with pytest.raises(heirmark.UsageError, match="on a device"):
            self.tokens(OnDevice(logits_of(4, 1)))


class TestSequences:
    def test_a_request_id_is_random_unless_given(self, sampler):
        ids = {sampler.begin().request_id for _ in range(100)}
        assert len(ids) == 100 and {len(i) for i in ids} == {12}
        assert sampler.begin(request_id=request(3)).request_id == request(3)
        for wrong in (b"short", "twelve chars", 12, bytearray(12)):
            with pytest.raises(heirmark.UsageError, match="12"):
                sampler.begin(request_id=wrong)

    def test_accounts(self, sampler):
        assert sampler.begin().account == "default" and sampler.begin(account="birch").account == "birch"
        with pytest.raises(heirmark.KeyAccessError, match="no account \"pine\"") as error:
            sampler.begin(account="pine")
        assert error.value.code == 4

    @pytest.mark.parametrize("make", [list, tuple, iter, np.array, lambda x: np.array(x, np.uint16), lambda x: np.array(x, np.int32), lambda x: np.array(x)[::-1][::-1]])
    def test_prompts_of_any_integers(self, sampler, make):
        logits = logits_of(1, 4)
        def token(prompt):
            return [sampler.sample(logits, [sampler.begin(request_id=request(i), prompt=prompt())]).token[0] for i in range(40)]
        assert token(lambda: make([7, 8, 900])) == token(lambda: [7, 8, 900]) != token(lambda: [7, 8, 901])

    @pytest.mark.parametrize("prompt", [[1, -1], [1, 2**32 - 1], [1, 2**80], [1, 1.0], [1, None], np.array([1, 2**63], np.uint64)])
    def test_a_bad_token_is_named(self, sampler, prompt):
        with pytest.raises(heirmark.BadInputError, match=r"prompt\[1\]"):
            sampler.begin(prompt=prompt)

    @pytest.mark.parametrize("prompt", ["text", 5, np.array([1.5]), np.array([[1]])])
    def test_no_tokens_at_all(self, sampler, prompt):
        with pytest.raises(heirmark.UsageError, match="prompt"):
            sampler.begin(prompt=prompt)

    def test_accept_is_as_sampling_those_tokens(self, sampler):
        one = sampler.begin(request_id=request(1), prompt=[5])
        for step in range(9):
            sampler.sample(logits_of(1, step), [one], heirmark.Params(mode="issuance"))
        two, three = sampler.begin(request_id=request(1), prompt=[5]), sampler.begin(request_id=request(1), prompt=[5])
        again = sampler.begin(request_id=request(1), prompt=[5])
        tokens = [int(sampler.sample(logits_of(1, step), [again], heirmark.Params(mode="issuance")).token[0]) for step in range(9)]
        two.accept(tokens)
        for token in tokens:
            three.accept(np.int64(token))
        assert one.position == two.position == three.position == 9
        rows = [sampler.rows([s])[0].tobytes() for s in (one, two, three)]
        assert rows[0] == rows[1] == rows[2]
        with pytest.raises(heirmark.BadInputError):
            two.accept([1, 2, -3])
        assert two.position == 9

    def test_a_clone_goes_its_own_way(self, sampler):
        import copy
        sequence = sampler.begin(request_id=request(2), prompt=[1, 2])
        sampler.sample(logits_of(1, 1), [sequence])
        for twin in (sequence.clone(), copy.copy(sequence)):
            before = sampler.rows([sequence])[0].tobytes()
            assert sampler.rows([twin])[0].tobytes() == before
            twin.accept(3)
            assert sampler.rows([sequence])[0].tobytes() == before and twin.position == sequence.position + 1

    def test_a_sequence_is_in_one_row(self, sampler):
        a, b = sampler.begin(), sampler.begin()
        with pytest.raises(heirmark.UsageError, match="row 2: its sequence is in another row"):
            sampler.sample(logits_of(3, 1), [a, b, a])
        assert (a.position, b.position) == (0, 0)
        sampler.sample(logits_of(2, 1), [a, b])  # and is free again
        with pytest.raises(TypeError, match="row 1"):
            sampler.sample(logits_of(2, 1), [a, None])
        with pytest.raises(ZeroDivisionError):
            sampler.sample(logits_of(2, 1), (x for x in [a, b] if 1 / (x is a)))
        sampler.sample(logits_of(2, 1), [a, b])
        assert (a.position, b.position) == (2, 2)

    def test_a_sequence_of_another_key_is_refused(self, sampler):
        other, twin = make_sampler(seed=2), make_sampler()
        with pytest.raises(heirmark.UsageError, match="another key"):
            other.sample(logits_of(1, 1), [sampler.begin()])
        twin.sample(logits_of(1, 1), [sampler.begin()])  # the same key, loaded twice


class TestParams:
    @pytest.mark.parametrize("wrong", [dict(temperature=-1), dict(temperature=1e-4), dict(temperature=1001), dict(temperature=math.nan), dict(temperature=math.inf), dict(top_p=0),
                                       dict(top_p=1.1), dict(top_p=math.nan), dict(min_p=-0.1), dict(min_p=2), dict(mode="loud"), dict(mode=7)])
    def test_out_of_range(self, wrong):
        with pytest.raises(heirmark.UsageError, match=next(iter(wrong))) as error:
            heirmark.Params(**wrong)
        assert error.value.code == 2 and isinstance(error.value, ValueError)

    def test_values(self):
        p = heirmark.Params(temperature=0.7, top_k=5, top_p=0.9, min_p=0.1, mode=heirmark.Mode.ISSUANCE)
        assert (p.temperature, p.top_k, p.top_p, p.min_p, p.mode) == (np.float32(0.7), 5, np.float32(0.9), np.float32(0.1), heirmark.Mode.ISSUANCE)
        assert repr(p) == "heirmark.Params(temperature=0.7, top_k=5, top_p=0.9, min_p=0.1, mode='issuance')"
        assert eval(repr(p)) == p and hash(eval(repr(p))) == hash(p) and p != heirmark.Params() and p != "p"
        with pytest.raises(AttributeError):
            p.temperature = 2

    def test_a_list_has_one_for_each_row(self, sampler):
        sequences = [sampler.begin() for _ in range(2)]
        with pytest.raises(heirmark.UsageError, match="3 params for 2 rows"):
            sampler.sample(logits_of(2, 1), sequences, [heirmark.Params()] * 3)
        with pytest.raises(TypeError, match="params"):
            sampler.sample(logits_of(2, 1), sequences, 1.0)


class TestSamplers:
    @pytest.mark.parametrize("wrong", [dict(vocab_size=0), dict(vocab_size=2**20 + 1), dict(max_rows=0), dict(max_rows=2**16 + 1), dict(threads=0), dict(device="tpu"),
                                       dict(device="cuda:x"), dict(device="cuda:")])
    def test_impossible_options(self, wrong):
        with pytest.raises(heirmark.UsageError):
            make_sampler(**wrong)

    def test_a_device_that_is_not_there(self):
        sampler = make_sampler(device="auto")
        if sampler.device == "cuda":
            pytest.skip("this machine has a device")
        with pytest.raises(heirmark.IOFailureError) as error:
            make_sampler(device="cuda")
        assert error.value.code == 5 and sampler.workspace_bytes() == 0
        # What it asks for is what it takes.
        rows = sampler.rows([sampler.begin()], heirmark.Params())
        sampled = np.zeros((1, 12), np.uint8)
        sampler.launch(logits_of(1, 1), rows, sampled, workspace=np.zeros(sampler.workspace_bytes(), np.uint8))

    def test_what_it_says_of_itself(self):
        sampler = make_sampler("tournament-2026-11", max_rows=7, log_probs=True)
        assert (sampler.device, sampler.vocab_size, sampler.max_rows, sampler.log_probs, sampler.accounts) == ("cpu", VOCAB, 7, True, ("default", "birch"))
        assert sampler.profile == heirmark.Profile.find("tournament-2026-11") and sampler.key_id == "0" * 15 + "1"
        with pytest.raises(heirmark.UsageError, match="max_rows"):
            sampler.sample(logits_of(8, 1), [sampler.begin() for _ in range(8)])

    def test_without_truncation(self):
        sampler = make_sampler(truncation=False)
        out = sampler.sample(logits_of(2, 1), [sampler.begin(), sampler.begin()], [heirmark.Params(), heirmark.Params(top_k=4)])
        assert out.status[1] == heirmark.RowStatus.BAD_PARAMETER and out.token[1] == -1 and out.token[0] >= 0

    def test_no_rows(self, sampler):
        assert len(sampler.sample(np.zeros((0, VOCAB), np.float32), [])) == 0


class TestLaunches:
    """From memory to memory. A device's calls are the same; here the memory is the host's."""

    def test_as_sample(self, sampler):
        params = [heirmark.Params(**p) for p in ASKED]
        one, two = ([sampler.begin(request_id=request(i), prompt=[i]) for i in range(len(ASKED))] for _ in range(2))
        for step in range(25):
            logits = logits_of(len(ASKED), step)
            expected = sampler.sample(logits, one, params, top=True)
            rows = sampler.rows(two, params)
            out, top = np.zeros(len(two), heirmark.layout.SAMPLED), np.zeros(len(two), heirmark.layout.TOP_TOKENS)
            sampler.launch(logits, rows, out, top, stream=0)
            sampler.settle(two, rows, out)
            assert np.array_equal(out["token"], expected.token) and np.array_equal(out["status"], expected.status)
            assert np.array_equal(top["token"]["p"] * (top["token"]["token"] != heirmark.layout.NO_TOKEN), expected.top_p)

    def test_layout_is_that_of_the_c_library(self):
        structures = json.loads((ROOT / "specs/c_api/c_api.json").read_text())["structures"]
        for dtype, name in ((heirmark.layout.ROW, "heirmark_row"), (heirmark.layout.SAMPLED, "heirmark_sampled"), (heirmark.layout.TOP_TOKENS, "heirmark_top_tokens"),
                            (heirmark.layout.TOP_TOKENS["token"].base, "heirmark_top_token")):
            assert dtype.itemsize == structures[name]["size"]
            assert {field: dtype.fields[field][1] for field in dtype.names} == structures[name]["offsets"]
        constants = json.loads((ROOT / "specs/c_api/c_api.json").read_text())["constants"]
        assert (constants["HEIRMARK_NO_TOKEN"], constants["HEIRMARK_WORKSPACE_ALIGNMENT"]) == (heirmark.layout.NO_TOKEN, heirmark.layout.WORKSPACE_ALIGNMENT)

    def test_rows_say_what_was_asked(self, sampler):
        sequence = sampler.begin(request_id=request(9), prompt=[1, 2, 3], account="birch")
        row = sampler.rows([sequence], heirmark.Params(temperature=0.5, top_k=3, top_p=0.25, min_p=0.125, mode="issuance"))[0]
        assert (row["temperature"], row["top_k"], row["top_p"], row["min_p"], row["mode"], row["account_slot"], row["position"]) == (0.5, 3, 0.25, 0.125, 3, 1, 0)
        assert row["request_id"].tobytes() == request(9) and row["window"].tolist()[2:] == [2, 3]

    def test_refused(self, sampler):
        sequences = [sampler.begin() for _ in range(3)]
        rows, out, logits = sampler.rows(sequences), np.zeros(3, heirmark.layout.SAMPLED), logits_of(3, 1)
        for arguments, words in (((logits, rows[:2], out), "rows: 128 bytes"), ((logits, rows, out[:2]), "sampled: 24 bytes"), ((logits, rows[::2], out), "rows"),
                                 ((logits, rows, out, np.zeros(3, np.uint8)), "top: 3 bytes"), ((logits, rows, bytes(36)), "written"), ((logits, [1], out), "rows: no array"),
                                 ((logits, np.zeros(200, np.uint8)[1:193], out), "aligned")):
            with pytest.raises(heirmark.UsageError, match=words):
                sampler.launch(*arguments)
        assert not out.view(np.uint8).any()
        sampler.launch(logits, rows, out)
        sampler.settle(sequences, rows, out)
        with pytest.raises(heirmark.UsageError, match="another position"):
            sampler.settle(sequences, rows, out)
        fresh = sampler.rows(sequences)
        with pytest.raises(heirmark.UsageError, match="row 0"):
            sampler.settle(sequences[::-1], fresh, out)
        assert [s.position for s in sequences] == [1, 1, 1]


class TestDrafts:
    def plain(self, sampler, logits, params):
        sequence = sampler.begin(request_id=request(1), prompt=[1, 2])
        return [int(sampler.sample(row, [sequence], params).token[0]) for row in logits], sequence

    @pytest.mark.parametrize("profile", ["standard-2026-11", "greenlist-2026-11", "tournament-2026-11"])
    @pytest.mark.parametrize("agreed", range(5))
    def test_what_is_taken_is_what_plain_sampling_gives(self, profile, agreed):
        sampler, logits, params = make_sampler(profile), logits_of(5, 3), heirmark.Params(temperature=0.9, top_k=100)
        expected, plain = self.plain(sampler, logits, params)
        draft = expected[:agreed] + [(token + 1) % VOCAB for token in expected[agreed:4]]
        sequence = sampler.begin(request_id=request(1), prompt=[1, 2])
        out = sampler.sample_draft(logits, sequence, draft, params, top=True)
        assert out.token.tolist() == expected[:agreed + 1] and out.top_token.shape == (agreed + 1, 16)
        assert sequence.position == agreed + 1
        by_rows = sampler.begin(request_id=request(1), prompt=[1, 2])
        rows, sampled = sampler.draft_rows(by_rows, draft, params), np.zeros(5, heirmark.layout.SAMPLED)
        sampler.launch(logits, rows, sampled)
        assert sampler.settle_draft(by_rows, rows, draft, sampled) == agreed + 1
        assert sampler.rows([by_rows])[0].tobytes() == sampler.rows([sequence])[0].tobytes()
        if agreed == 4:
            assert sampler.rows([plain])[0].tobytes() == sampler.rows([sequence])[0].tobytes()
        with pytest.raises(heirmark.UsageError, match="another position"):
            sampler.settle_draft(by_rows, rows, draft, sampled)

    def test_refused(self, sampler):
        sequence = sampler.begin()
        with pytest.raises(heirmark.UsageError, match="one more is needed"):
            sampler.sample_draft(logits_of(2, 1), sequence, [1, 2])
        nothing = sampler.sample_draft(np.full((3, VOCAB), -np.inf, np.float32), sequence, [1, 2])
        assert nothing.token.tolist() == [-1] and nothing.status.tolist() == [heirmark.RowStatus.NO_FINITE_LOGIT] and sequence.position == 0
