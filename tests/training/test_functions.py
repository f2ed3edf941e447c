"""What `accelerate` intercepts: kernels where they fit, PyTorch and a reason elsewhere."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.models import operations  # noqa: E402
from breeder.training import accelerate  # noqa: E402

F = torch.nn.functional

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]

WIDTH = 24


def x(*shape):
    generator = torch.Generator().manual_seed(len(shape))
    return torch.randn(shape or (5, WIDTH), generator=generator).requires_grad_()


def angles(*shape):
    one = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    return one.cos(), one.sin()


LABELS = torch.tensor([1, 0, 23, 4, -100])
TOKENS = torch.tensor([[3, 1, 1], [0, 6, 3]])

COVERED = {
    "F.rms_norm": lambda: F.rms_norm(x(), (WIDTH,), x(WIDTH)),
    "torch.rms_norm": lambda: torch.rms_norm(x(), (WIDTH,), x(WIDTH), 1e-4),
    "F.layer_norm": lambda: F.layer_norm(x(2, 3, WIDTH), (WIDTH,), x(WIDTH), x(WIDTH)),
    "F.cross_entropy": lambda: F.cross_entropy(x(), LABELS),
    "F.cross_entropy, each row": lambda: F.cross_entropy(
        x(), LABELS.abs() % 24, reduction="none", ignore_index=4
    ),
    "F.softmax": lambda: F.softmax(x(2, 3, WIDTH), dim=-1),
    "torch.softmax": lambda: torch.softmax(x(), 1),
    "Tensor.softmax": lambda: x().softmax(dim=1),
    "F.embedding": lambda: F.embedding(TOKENS, x(7, 8), padding_idx=-1),
    "swiglu": lambda: operations.swiglu(x(), x(5, WIDTH)),
    "rotate": lambda: operations.rotate(x(2, 3, 4, 8), *angles(3, 4)),
    "named, norm": lambda: F.rms_norm(input=x(), normalized_shape=(WIDTH,), weight=x(WIDTH)),
    "named, softmax": lambda: F.softmax(input=x(), dim=-1),
    "named, cross-entropy": lambda: F.cross_entropy(input=x(), target=LABELS),
    "named, embedding": lambda: F.embedding(input=TOKENS, weight=x(7, 8)),
}
KEPT = {
    "positions of each row": lambda: operations.rotate(x(2, 3, 4, 8), *angles(2, 3, 4)),
    "SwiGLU of unusual shapes": lambda: operations.swiglu(x(), x(WIDTH)),
    "without weights": lambda: F.rms_norm(x(), (WIDTH,)),
    "over several dimensions": lambda: F.layer_norm(x(), (5, WIDTH), x(5, WIDTH), x(5, WIDTH)),
    "RMS normalisation in torch.float64": lambda: F.rms_norm(
        x().double(), (WIDTH,), x(WIDTH).double()
    ),
    "smoothing": lambda: F.cross_entropy(x(), LABELS.abs() % 24, label_smoothing=0.1),
    "cross-entropy without gradients": lambda: F.cross_entropy(x().detach(), LABELS),
    "several dimensions": lambda: F.cross_entropy(x(2, 4, 3), TOKENS % 4),
    "softmax over another dimension": lambda: x().softmax(0),
    "softmax into another type": lambda: torch.softmax(x(), -1, dtype=torch.float64),
    "softmax of unusual shapes": lambda: torch.softmax(torch.zeros(0, 3), -1),
    "embedding with norms": lambda: F.embedding(TOKENS, x(7, 8), scale_grad_by_freq=True),
    "in a function transformation": lambda: torch.func.vmap(lambda one: one.softmax(-1))(x()),
    "a class of their own": lambda: torch.softmax(x().detach().as_subclass(OfItsOwn), -1),
}


class OfItsOwn(torch.Tensor):
    """A tensor that might mean something else."""


def outcome(call):
    out = call()
    return out.detach().as_subclass(torch.Tensor)


@pytest.mark.parametrize("name", COVERED)
def test_covered_calls_take_kernels_and_give_the_same(name, kernels):
    expected = outcome(COVERED[name])
    with accelerate() as accelerated:
        assert torch.allclose(outcome(COVERED[name]), expected, rtol=1e-5, atol=1e-6)
    assert not accelerated.kept


@pytest.mark.parametrize("why", KEPT)
def test_other_calls_stay_with_pytorch_and_say_why(why):
    expected = outcome(KEPT[why])
    with accelerate() as accelerated:
        assert torch.equal(outcome(KEPT[why]), expected)
    assert why in accelerated.report()


def test_targets_out_of_bounds_fail_as_without_us():
    wrong = torch.full((5,), WIDTH)
    with accelerate(), pytest.raises(IndexError, match="out of bounds"):
        F.cross_entropy(x(), wrong)


def test_gradients_reach_everything():
    def step():
        weight, table = x(WIDTH), x(7, WIDTH)
        hidden = F.rms_norm(F.embedding(TOKENS, table), (WIDTH,), weight)
        loss = F.cross_entropy(hidden.flatten(0, 1), TOKENS.flatten())
        return torch.autograd.grad(loss, (weight, table))

    expected = step()
    with accelerate():
        got = step()
    for one, other in zip(got, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_trials_leave_random_numbers_and_gradients_alone(monkeypatch, kernels):
    monkeypatch.setattr(kernels, "_timed", True)
    monkeypatch.setattr(kernels, "_choices", {})
    weight = x(WIDTH)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with accelerate() as accelerated:
        F.rms_norm(x(), (WIDTH,), weight)
    assert torch.equal(torch.rand(3), expected)
    assert weight.grad is None
    assert "as fast as PyTorch" in accelerated.report()
