"""Fused operations: results and gradients are the formula's, in every type, eager and compiled."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training import fused  # noqa: E402
from breeder.training.fused.losses import losses_and_gradient  # noqa: E402

F = torch.nn.functional

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]

TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 6e-3}
"""Relative L2 norm of the difference from the formula in float64."""


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def turned(x, cosines, sines):
    first, second = x.chunk(2, -1)
    return x * cosines[:, None] + torch.cat((-second, first), -1) * sines[:, None]


def angles(tokens, width):
    half = torch.arange(tokens)[:, None] * 10.0 ** -torch.linspace(0, 3, width // 2)
    return torch.cat((half, half), -1)


def rope_inputs():
    whole = angles(7, 24)
    return torch.randn(3, 7, 4, 24), whole.cos(), whole.sin()


OPERATIONS = {
    "rmsnorm": (
        lambda x, weight: fused.rmsnorm(x, weight, 1e-5),
        lambda x, weight: F.rms_norm(x, (x.shape[-1],), weight, 1e-5),
        lambda: (torch.randn(3, 5, 48), torch.rand(48)),
    ),
    "layernorm": (
        lambda x, weight, bias: fused.layernorm(x, weight, bias, 1e-5)[0],
        lambda x, weight, bias: F.layer_norm(x, (x.shape[-1],), weight, bias, 1e-5),
        lambda: (torch.randn(3, 5, 33) + 2, torch.rand(33), torch.rand(33)),
    ),
    "softmax": (fused.softmax, lambda x: x.softmax(-1), lambda: (3 * torch.randn(2, 3, 65),)),
    "swiglu": (
        fused.swiglu,
        lambda gate, up: F.silu(gate) * up,
        lambda: (torch.randn(5, 33), torch.randn(5, 33)),
    ),
    "linear": (
        fused.linear,
        F.linear,
        lambda: (torch.randn(3, 7, 40), torch.randn(33, 40), torch.randn(33)),
    ),
    "cross-entropy": (
        lambda x: fused.cross_entropy(x, torch.arange(9) * 3 % 65),
        lambda x: F.cross_entropy(x, torch.arange(9) * 3 % 65),
        lambda: (3 * torch.randn(9, 65),),
    ),
    "cross-entropy of each row": (
        lambda x: fused.cross_entropy(x, torch.tensor([1, -100, 7]), mean=False),
        lambda x: F.cross_entropy(x, torch.tensor([1, -100, 7]), reduction="none"),
        lambda: (3 * torch.randn(3, 40),),
    ),
    "embedding": (
        lambda weight: fused.embedding(weight, torch.tensor([[1, 5, 5], [2, 1, 5]]), -1),
        lambda weight: F.embedding(torch.tensor([[1, 5, 5], [2, 1, 5]]), weight),
        lambda: (torch.randn(9, 20),),
    ),
}


def results(run, inputs, grad):
    """The output and the gradient of every input."""
    inputs = [one.detach().clone().requires_grad_() for one in inputs]
    out = run(*inputs)
    return [out.detach(), *torch.autograd.grad(out, inputs, grad.to(out.dtype))]


def assert_close(got, expected, dtype):
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.dtype == dtype
        distance = (ours.double() - theirs).norm()
        assert distance <= TOLERANCE[dtype] * theirs.norm() + 1e-12


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_results_and_gradients_are_the_formulas(name, threads, dtype, monkeypatch):
    monkeypatch.setattr("breeder.training.rows.ALONE", 1)
    monkeypatch.setattr("breeder.training.rows._STAGED", 64)
    run, formula, draw = OPERATIONS[name]
    inputs = [one.to(dtype) for one in draw()]
    grad = torch.randn(formula(*inputs).shape, dtype=torch.float64)
    grad = grad.to(dtype).double()
    expected = results(formula, [one.double() for one in inputs], grad)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_close(results(run, inputs, grad), expected, dtype)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_pass_gradcheck_in_float64(name):
    run, _, draw = OPERATIONS[name]
    inputs = [one.double().requires_grad_() for one in draw()]
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("name", OPERATIONS)
def test_they_compile_without_graph_breaks(name):
    run, formula, draw = OPERATIONS[name]
    inputs = draw()
    grad = torch.randn(formula(*inputs).shape)
    expected = results(formula, [one.double() for one in inputs], grad)
    compiled = torch.compile(lambda *given: run(*given), fullgraph=True, backend="aot_eager")
    assert_close(results(compiled, inputs, grad), expected, torch.float32)
    torch.compiler.reset()


def test_the_operators_keep_pytorchs_rules():
    def leaf(*shape):
        return torch.randn(shape, requires_grad=True)

    tokens, targets = torch.tensor([[1, 2], [3, 1]]), torch.tensor([1, 0, 3])
    calls = {
        fused.rmsnorm: (leaf(4, 16), leaf(16), 1e-6),
        fused.layernorm: (leaf(4, 16), leaf(16), leaf(16), 1e-6),
        fused.softmax: (leaf(4, 16),),
        fused.swiglu: (leaf(4, 16), leaf(4, 16)),
        fused.rope: (leaf(2, 3, 2, 8), angles(3, 8).cos(), angles(3, 8).sin()),
        fused.embedding: (leaf(5, 16), tokens, -1),
        losses_and_gradient: (leaf(3, 16), targets, -100, True),
    }
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    for operation, arguments in calls.items():
        torch.library.opcheck(operation.operator, arguments, test_utils=checks)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("width", [24, 12])
def test_rope_and_its_gradient_are_the_formula(width, threads, monkeypatch):
    monkeypatch.setattr("breeder.training.fused.rotary.ALONE", 1)
    x, *whole = rope_inputs()
    cosines, sines = (one[:, :width] for one in whole)
    grad = torch.randn(x.shape)
    wide = [one.double() for one in whole]
    expected = results(lambda x: turned(x, *wide), [x.double()], grad.double())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_close(results(lambda x: fused.rope(x, cosines, sines), [x], grad), expected, x.dtype)
    finally:
        torch.set_num_threads(before)


def test_rope_with_halves_that_differ_is_the_formula_too():
    x, cosines, sines = rope_inputs()
    cosines[:, 3] += 0.5
    grad = torch.randn(x.shape)
    wide = [one.double() for one in (cosines, sines)]
    expected = results(lambda x: turned(x, *wide), [x.double()], grad.double())
    assert_close(results(lambda x: fused.rope(x, cosines, sines), [x], grad), expected, x.dtype)
    double = x.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: fused.rope(x, *wide), (double,), fast_mode=True)


@pytest.mark.parametrize("mean", [True, False])
def test_in_place_the_logits_become_their_gradient(mean):
    logits, targets = torch.randn(6, 50), torch.tensor([3, -7, 0, 49, 3, 12])
    expected = results(
        lambda x: F.cross_entropy(
            x, targets, ignore_index=-7, reduction="mean" if mean else "none"
        ),
        [logits.double()],
        grad := torch.rand(() if mean else (6,)),
    )
    leaf = logits.clone().requires_grad_()
    kept = leaf * 1.0
    loss = fused.cross_entropy(kept, targets, -7, mean=mean, in_place=True)
    (gradient,) = torch.autograd.grad(loss, leaf, grad)
    assert_close([loss.detach(), gradient], expected, torch.float32)
    assert kept.data_ptr() == gradient.data_ptr() or not torch.equal(kept, logits)


def test_no_gradient_of_the_gradient_is_made_up():
    class Seen(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(function)
            return function(*args, **(kwargs or {}))

    seen: list = []
    loss = fused.cross_entropy(torch.randn(6, 50, requires_grad=True), torch.arange(6))
    with Seen():
        loss.backward()
    assert not [one for one in seen if "zeros" in str(one)]


def test_what_kept_the_logits_notices_that_they_changed():
    leaf = torch.randn(2, 5, requires_grad=True)
    capped = torch.tanh(leaf)  # whose gradient needs its result
    loss = fused.cross_entropy(capped, torch.tensor([1, 2]), in_place=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_padding_gets_no_gradient():
    weight, tokens = torch.randn(9, 20, requires_grad=True), torch.tensor([[1, 5, 5], [2, 1, 5]])
    grad = torch.randn(2, 3, 20)
    expected = torch.autograd.grad(F.embedding(tokens, weight, 5), weight, grad)
    assert torch.allclose(
        *torch.autograd.grad(fused.embedding(weight, tokens, 5), weight, grad), *expected
    )


def test_targets_outside_of_the_vocabulary_are_refused_as_pytorch_does():
    for wrong in (5, -1):
        with pytest.raises(IndexError, match=f"Target {wrong} is out of bounds"):
            fused.cross_entropy(torch.randn(2, 5), torch.tensor([1, wrong]))


def test_rows_that_do_not_count_have_no_loss_and_no_gradient():
    logits = torch.randn(2, 5, requires_grad=True)
    loss = fused.cross_entropy(logits, torch.tensor([-100, -100]))
    loss.backward()
    assert loss.isnan()  # as PyTorch has it
    assert not logits.grad.any()


@pytest.mark.parametrize("name", ["rmsnorm", "layernorm", "swiglu", "softmax"])
def test_second_derivatives_are_the_formulas(name):
    run, formula, draw = OPERATIONS[name]
    found, drawn = [], draw()
    for function in (run, formula):
        inputs = [one.double().requires_grad_() for one in drawn]
        out = function(*inputs)
        (first,) = torch.autograd.grad((out * out).sum(), inputs[:1], create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), inputs[:1])[0])
    assert torch.allclose(*found)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_table_of_an_embedding(threads):
    tokens, grad = torch.randint(0, 301, (400,)), torch.randn(400, 160)
    weight = torch.randn(301, 160, requires_grad=True)
    expected = torch.autograd.grad(F.embedding(tokens, weight), weight, grad)[0]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        got = torch.autograd.grad(fused.embedding(weight, tokens, -1), weight, grad)[0]
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(got, expected)
