"""Attention's operators: results and gradients are PyTorch's, whatever runs behind them."""

import math
import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training.attention import attention, attention_backward  # noqa: E402

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def heads(batch, heads, kv_heads, rows, keys, width):
    shapes = [(batch, heads, rows, width), *[(batch, kv_heads, keys, width)] * 2]
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def strided():
    """Queries, keys and values as one projection yields them: heads between rows."""
    whole = torch.randn(2, 19, 3, 4, 16, requires_grad=True)
    return [one.transpose(1, 2) for one in whole.unbind(2)]


def exact(q, k, v, *, causal, scale):
    """The formula in float64, by automatic differentiation."""
    q, k, v = (one.detach().double().requires_grad_() for one in (q, k, v))
    group = q.shape[1] // k.shape[1]
    scores = q @ k.repeat_interleave(group, 1).transpose(-1, -2) * scale
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(hidden, -math.inf)
    return (q, k, v), scores.softmax(-1) @ v.repeat_interleave(group, 1)


def close(got, expected, *, most=2e-6):
    difference = (got.double() - expected).norm() / expected.norm()
    return bool(difference <= most)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "sizes", [(2, 4, 4, 33, 33, 32), (1, 6, 2, 65, 65, 40), (1, 2, 1, 7, 90, 64)], ids=str
)
def test_attention_and_its_gradients_are_the_formula(sizes, causal):
    q, k, v = heads(*sizes)
    scale = sizes[-1] ** -0.5
    inputs, expected = exact(q, k, v, causal=causal, scale=scale)
    out, _ = attention(q, k, v, causal, scale)
    grad = torch.randn(out.shape)
    out.backward(grad)
    expected.backward(grad.double())
    assert close(out, expected)
    for ours, theirs in zip((q, k, v), inputs, strict=True):
        assert close(ours.grad, theirs.grad, most=1e-5)


def test_strided_inputs_need_no_copy():
    q, k, v = strided()
    _, expected = exact(q, k, v, causal=True, scale=0.25)
    out, logsumexp = attention(q, k, v, True, 0.25)
    assert close(out, expected)
    assert out.transpose(1, 2).is_contiguous()
    assert logsumexp.shape == (2, 4, 19)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_the_work(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        q, k, v = heads(1, 4, 2, 40, 40, 16)
        inputs, expected = exact(q, k, v, causal=True, scale=0.25)
        out, _ = attention(q, k, v, True, 0.25)
        out.backward(torch.ones_like(out))
        expected.backward(torch.ones_like(expected))
        assert close(out, expected)
        for ours, theirs in zip((q, k, v), inputs, strict=True):
            assert close(ours.grad, theirs.grad, most=1e-5)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_operators_keep_pytorchs_rules(dtype):
    q, k, v = (one.detach().to(dtype).requires_grad_() for one in heads(1, 2, 1, 8, 8, 16))
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(attention, (q, k, v, True, 0.25), test_utils=checks)
    q, k, v = (one.detach() for one in (q, k, v))
    out, logsumexp = attention(q, k, v, True, 0.25)
    arguments = (torch.randn_like(out), q, k, v, out, logsumexp, True, 0.25)
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(attention_backward, arguments, test_utils=checks)


@pytest.mark.parametrize("dtype", ["", "_bf16"])
def test_without_a_kernel_pytorchs_path_runs(monkeypatch, kernels, dtype):
    monkeypatch.setattr(kernels, "_choices", {})
    none = {(f"attention_{way}{dtype}", "c++"): ((), "none") for way in ("forward", "backward")}
    monkeypatch.setattr(kernels, "_loaded", none)
    q, k, v = heads(1, 2, 1, 9, 9, 16)
    if dtype:
        q, k, v = (one.detach().bfloat16().requires_grad_() for one in (q, k, v))
    inputs, expected = exact(q, k, v, causal=True, scale=0.25)
    out, _ = attention(q, k, v, True, 0.25)
    out.sum().backward()
    expected.sum().backward()
    most = 1e-2 if dtype else 1e-5
    assert close(out, expected, most=most)
    assert all(close(a.grad, b.grad, most=most) for a, b in zip((q, k, v), inputs, strict=True))
    assert "PyTorch's path: none" in kernels.report()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("sizes", [(2, 4, 2, 33, 33, 32), (1, 2, 2, 70, 90, 64)], ids=str)
def test_attention_in_bfloat16_and_its_gradients_are_the_formula(kernels, sizes, causal):
    q, k, v = (one.detach().bfloat16().requires_grad_() for one in heads(*sizes))
    inputs, expected = exact(q, k, v, causal=causal, scale=0.125)
    out, logsumexp = attention(q, k, v, causal, 0.125)
    grad = torch.randn(out.shape).bfloat16()
    out.backward(grad)
    expected.backward(grad.double())
    assert out.dtype == torch.bfloat16
    assert logsumexp.dtype == torch.float32
    assert close(out, expected, most=5e-3)
    for ours, theirs in zip((q, k, v), inputs, strict=True):
        assert close(ours.grad, theirs.grad, most=1e-2)
    assert "attention_backward_bf16 bfloat16" in kernels.report()


def test_gradients_of_sums_have_no_strides_of_their_own():
    q, k, v = heads(1, 2, 2, 12, 12, 16)
    inputs, expected = exact(q, k, v, causal=False, scale=0.25)
    attention(q, k, v, False, 0.25)[0].sum().backward()
    expected.sum().backward()
    for ours, theirs in zip((q, k, v), inputs, strict=True):
        assert close(ours.grad, theirs.grad, most=1e-5)
