"""The operators: results and gradients are PyTorch's, whatever runs behind them."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training.operators import pieces, rmsnorm  # noqa: E402

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def close(got, expected, *, most=2e-6):
    difference = (got.double() - expected).norm() / expected.norm()
    return bool(difference <= most)


@pytest.mark.parametrize(
    ("batch", "heads", "threads"), [(5, 3, 1), (5, 3, 2), (1, 3, 2), (2, 8, 4), (1, 1, 4)]
)
def test_pieces_cover_everything_once(batch, heads, threads):
    parts = pieces(batch, heads, threads)
    covered = [
        (b, h)
        for first, count, head, many in parts
        for b in range(first, first + count)
        for h in range(head, head + many)
    ]
    assert sorted(covered) == [(b, h) for b in range(batch) for h in range(heads)]


@pytest.mark.parametrize("shape", [(3, 5, 48), (7, 33), (2, 2, 2, 8)], ids=str)
def test_rmsnorm_and_its_gradients_are_pytorchs(shape):
    x = torch.randn(shape, requires_grad=True)
    weight = torch.rand(shape[-1], requires_grad=True)
    inputs = [one.detach().double().requires_grad_() for one in (x, weight)]
    expected = torch.rms_norm(inputs[0], (shape[-1],), inputs[1], 1e-5)
    out = rmsnorm(x, weight, 1e-5)
    grad = torch.randn(shape)
    out.backward(grad)
    expected.backward(grad.double())
    assert close(out, expected)
    assert close(x.grad, inputs[0].grad, most=1e-5)
    assert close(weight.grad, inputs[1].grad, most=1e-5)


def test_the_operators_keep_pytorchs_rules():
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    x, weight = torch.randn(4, 16, requires_grad=True), torch.rand(16, requires_grad=True)
    torch.library.opcheck(rmsnorm, (x, weight, 1e-6), test_utils=checks)


def test_without_a_kernel_pytorchs_path_runs(monkeypatch, kernels):
    monkeypatch.setattr(kernels, "_choices", {})
    monkeypatch.setattr(kernels, "_loaded", {"rmsnorm": ((), "none")})
    x, weight = torch.randn(4, 16), torch.rand(16)
    assert torch.equal(rmsnorm(x, weight, 1e-6), torch.rms_norm(x, (16,), weight, 1e-6))
    assert "PyTorch's path: none" in kernels.report()
