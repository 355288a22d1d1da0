"""Logits of real tensors, where they are."""
import numpy as np
import pytest

import heirmark
from support import VOCAB, logits_of, make_sampler, request

torch = pytest.importorskip("torch", reason="torch is not installed")


def tokens(logits, rows=4):
    sampler = make_sampler()
    return sampler.sample(logits, [sampler.begin(request_id=request(i)) for i in range(rows)]).token.tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_types_and_strides(dtype):
    logits = torch.from_numpy(logits_of(4, 1)).to(dtype)
    expected = tokens(logits.float().numpy())
    assert tokens(logits) == expected
    wide = torch.full((8, VOCAB + 61), 50.0, dtype=dtype)
    wide[::2, :VOCAB] = logits
    assert tokens(wide[::2]) == expected == tokens(wide[::2, :VOCAB])
    three = torch.zeros((4, 3, VOCAB), dtype=dtype)
    three[:, -1] = logits
    assert tokens(three[:, -1]) == expected


def test_a_gradient_is_of_no_account():
    logits = torch.from_numpy(logits_of(4, 4))
    assert tokens(logits.clone().requires_grad_()) == tokens(logits)


def test_the_c_librarys_view_of_the_same_bits():
    import ml_dtypes
    logits = torch.from_numpy(logits_of(4, 2)).to(torch.bfloat16)
    assert tokens(logits) == tokens(logits.view(torch.uint16).numpy().view(ml_dtypes.bfloat16))


@pytest.mark.parametrize(("make", "words"), [(lambda x: x.double(), "float32, bfloat16 or float16"), (lambda x: x.t().contiguous().t(), "side by side"), (lambda x: x[0].expand(4, -1), "overlap"),
                                             (lambda x: x.to_sparse(), "no array"), (lambda x: x.to("meta"), "no array|device")])
def test_refused(make, words):
    with pytest.raises(heirmark.UsageError, match=words):
        tokens(make(torch.from_numpy(logits_of(4, 3))))


def test_results_become_tensors_without_a_copy():
    sampler = make_sampler()
    out = sampler.sample(torch.from_numpy(logits_of(3, 1)), [sampler.begin() for _ in range(3)], top=True)
    for array in (out.token, out.status, out.log_prob, out.top_token, out.top_p):
        assert np.shares_memory(torch.from_numpy(array).numpy(), array)
    assert torch.from_numpy(out.token).dtype == torch.int64


def test_prompts_of_tensors():
    sampler = make_sampler()
    rows = [sampler.rows([sampler.begin(request_id=request(1), prompt=p)]).tobytes() for p in ([1, 2, 900], torch.tensor([1, 2, 900]), torch.tensor([1, 2, 900], dtype=torch.int32))]
    assert rows[0] == rows[1] == rows[2]
