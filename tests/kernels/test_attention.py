"""Attention cases: strides, layouts, the float64 reference and how tight its bounds are."""

import numpy as np
import pytest

from breeder.kernels import Call, Inputs, disagreement
from breeder.kernels.attention import KERNEL, SIGNATURE, Case, draw, reference

CASES = [
    Case(2, 4, 2, 7, 7, 8),
    Case(1, 2, 2, 5, 300, 16, causal=False, layout="bthd"),
    Case(2, 3, 1, 270, 9, 4, layout="packed"),
    Case(1, 2, 1, 11, 11, 8, kind="rising"),
]


def tensor(stored, strides, shape):
    """The tensor that lies in `stored` at `strides`, in float64."""
    steps = [4 * int(one) for one in strides] + [4]
    return np.lib.stride_tricks.as_strided(stored, shape, steps).astype(float)


def naive(arguments):
    """The formula, row by row."""
    q, k, v, _, _, strides, batch, heads, kv_heads, queries, keys, width, causal, scale = arguments
    q = tensor(q, strides[:3], (batch, heads, queries, width))
    k = tensor(k, strides[3:6], (batch, kv_heads, keys, width))
    v = tensor(v, strides[6:9], (batch, kv_heads, keys, width))
    out = np.empty(q.shape)
    sums = np.empty(q.shape[:3])
    for b, h, i in np.ndindex(*sums.shape):
        seen = min(i + 1, keys) if causal else keys
        g = h * kv_heads // heads
        logits = float(np.float32(scale)) * (k[b, g, :seen] @ q[b, h, i])
        weights = np.exp(logits - logits.max())
        out[b, h, i] = weights @ v[b, g, :seen] / weights.sum()
        sums[b, h, i] = logits.max() + np.log(weights.sum())
    return out, sums


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_reference_is_the_formula(case):
    arguments = draw(Inputs(1), case)
    out, sums = naive(arguments)
    expected, logsumexp = reference(case, arguments)
    stored = out if case.layout == "bhtd" else out.transpose(0, 2, 1, 3)
    assert np.allclose(expected.value, stored, rtol=1e-9, atol=1e-12)
    assert np.allclose(logsumexp.value, sums, rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_there_is_an_argument_for_each_of_the_signature(case):
    call = Call(KERNEL, case, Inputs(1))
    assert len(call.arguments) == len(SIGNATURE)
    for declared, sent in zip(SIGNATURE, call.arguments, strict=True):
        assert ("[]" in declared) == isinstance(sent, np.ndarray)


def test_what_lies_between_packed_rows_is_not_a_number():
    stored = draw(Inputs(1), Case(1, 2, 2, 3, 3, 4, layout="packed"))[0]
    assert np.isnan(stored[:, :, 2:]).all()
    assert np.isfinite(stored[:, :, :2]).all()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rounding_to_float32_passes_and_to_fewer_bits_does_not(case):
    arguments = draw(Inputs(3), case)
    for expected in reference(case, arguments):
        single = expected.value.astype(np.float32)
        assert disagreement(single, expected) == ""
        if case.kind == "normal":
            assert disagreement(single.astype(np.float16).astype(np.float32), expected)


def test_logits_rise_beyond_what_an_exponential_takes():
    arguments = draw(Inputs(1), Case(1, 1, 1, 200, 200, 16, causal=False, kind="rising"))
    logsumexp = reference(Case(1, 1, 1, 200, 200, 16, causal=False, kind="rising"), arguments)[1]
    assert logsumexp.value.min() > 150.0
    with np.errstate(over="ignore"):
        assert np.isinf(np.exp(np.float32(logsumexp.value.max())))


def test_names_of_cases_tell_them_apart():
    names = [str(one) for one in CASES]
    assert len(set(names)) == len(names)
    assert names[0] == "2 x 4/2 heads x 7 x 8 causal"
