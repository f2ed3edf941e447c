"""Linear layers: products and gradients in the precision that PyTorch is set to, any layout."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training import accelerate, fused  # noqa: E402
from breeder.training.fused import products  # noqa: E402

F = torch.nn.functional

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]

MOST = {"highest": 5e-7, "high": 8e-6, "medium": 5e-3}
"""Precision -> relative L2 norm of the difference from float64."""
SIZES = [(1, 1, 1), (33, 70, 50), (200, 130, 31), (64, 600, 300)]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def precision():
    """Sets PyTorch's precision while a test runs."""
    yield torch.set_float32_matmul_precision
    torch.set_float32_matmul_precision("highest")


@pytest.fixture
def threads(monkeypatch):
    """Sets the number of threads while a test runs; the smallest products are shared, too."""
    monkeypatch.setattr(products, "_ALONE", 1)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def results(run, inputs, grad):
    """The output and the gradients of all inputs."""
    inputs = [one.detach().requires_grad_() for one in inputs]
    out = run(*inputs)
    return [out.detach(), *torch.autograd.grad(out, inputs, grad)]


def distances(got, exact):
    return [
        float((one.double() - other).norm() / other.norm())
        for one, other in zip(got, exact, strict=True)
    ]


def drawn(rows, depth, columns):
    """Input, weights, bias and the gradient above."""
    shapes = ((rows, depth), (columns, depth), (columns,), (rows, columns))
    return [torch.randn(one) for one in shapes]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("word", MOST)
def test_they_are_as_exact_as_pytorch_promises(word, sizes, count, precision, threads):
    *inputs, grad = drawn(*sizes)
    exact = results(F.linear, [one.double() for one in inputs], grad.double())
    threads(count)
    precision(word)
    assert max(distances(results(fused.linear, inputs, grad), exact)) <= MOST[word]


def test_the_highest_precision_is_no_worse_than_pytorchs_own():
    *inputs, grad = drawn(100, 700, 90)
    exact = results(F.linear, [one.double() for one in inputs], grad.double())
    ours = distances(results(fused.linear, inputs, grad), exact)
    theirs = distances(results(F.linear, inputs, grad), exact)
    assert all(a <= 1.25 * b for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("count", [1, 2])
def test_inputs_and_gradients_may_lie_anywhere(count, threads):
    threads(count)
    x = torch.randn(3, 96, 40).transpose(1, 2)
    weight = torch.randn(70, 192)[:, ::2]
    for grad in (torch.ones(()).expand(3, 40, 70), torch.randn(70, 40, 3).permute(2, 1, 0)):
        exact = results(F.linear, [x.double(), weight.double()], grad.double())
        got = results(fused.linear, [x, weight], grad)
        assert max(distances(got, exact)) <= MOST["highest"]


def test_gradients_lie_in_memory_as_the_weights_do():
    x, weight, _, grad = drawn(40, 64, 50)
    _, of_x, of_weight = results(fused.linear, [x, weight], grad)
    assert of_x.is_contiguous()
    assert of_weight.is_contiguous()


def test_what_needs_no_gradient_costs_no_product(monkeypatch):
    x, weight, _, grad = drawn(40, 64, 50)
    made = []
    whole = products._multiply
    monkeypatch.setattr(
        products, "_multiply", lambda *given, **named: (made.append(1), whole(*given, **named))
    )
    fused.linear(x, weight.requires_grad_()).backward(grad)
    assert len(made) == 2
    assert x.grad is None


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_nan_and_infinity_do_not_pass_for_numbers(parts):
    all_ones = torch.tensor(0x7FFFFFFF, dtype=torch.int32).view(torch.float32).item()
    for odd in (torch.nan, all_ones, torch.inf, -torch.inf):
        x = torch.randn(40, 64)
        x[7, 3] = odd
        out = fused.linear(x, torch.randn(33, 64), None, parts)
        assert not out[7].isfinite().any()
        assert out[torch.arange(40) != 7].isfinite().all()


def test_second_derivatives_and_other_types_are_pytorchs():
    x, weight, bias, _ = (one.double().requires_grad_() for one in drawn(3, 5, 4))
    assert torch.autograd.gradgradcheck(fused.linear, (x, weight, bias))
    half = [one.detach().bfloat16() for one in (x, weight, bias)]
    assert torch.equal(fused.linear(*half), F.linear(*half))


def test_second_derivatives_of_float32():
    x, weight, _, _ = drawn(40, 64, 50)
    x, weight = x.requires_grad_(), weight.requires_grad_()

    def twice(linear):
        (first,) = torch.autograd.grad(linear(x, weight).square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), weight)[0]

    assert torch.allclose(twice(fused.linear), twice(F.linear), rtol=1e-3, atol=1e-1)


def test_the_operator_keeps_pytorchs_rules():
    x, weight, bias, _ = (one.requires_grad_() for one in drawn(5, 8, 3))
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    arguments = (x, weight.detach().t().requires_grad_(), bias, 3, "8x8x4-highest")
    torch.library.opcheck(products.matmul.operator, arguments, test_utils=checks)


@pytest.fixture
def tiles(monkeypatch):
    """Linear layers are covered on any processor."""
    monkeypatch.setattr(products, "has_tiles", lambda: True)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("word", MOST)
def test_layers_of_a_model_take_the_precision_that_is_set(word, precision, kernels):
    model = torch.nn.Sequential(torch.nn.Linear(48, 96), torch.nn.Tanh(), torch.nn.Linear(96, 40))
    x, grad = torch.randn(2, 33, 48), torch.randn(2, 33, 40)
    parameters = list(model.parameters())
    exact = torch.autograd.grad(model(x), parameters, grad)
    precision(word)
    with accelerate(model) as accelerated:
        got = torch.autograd.grad(model(x), parameters, grad)
    assert max(distances(got, [one.double() for one in exact])) <= 2 * MOST[word]
    assert {key.bucket for key in accelerated.calls if key.op == "linear"} == {
        f"128x64x128-{word}", f"128x128x64-{word}"
    }  # fmt: skip


KEPT = {
    "few rows": lambda x, weight: F.linear(x[:31], weight),
    "linear layers in torch.float64": lambda x, weight: F.linear(x.double(), weight.double()),
    "linear layers of unusual shapes": lambda x, weight: F.linear(x, weight[0]),
    "under autocast": lambda x, weight: _autocast(x, weight),
}


def _autocast(x, weight):
    with torch.autocast("cpu", torch.bfloat16):
        return F.linear(x, weight)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("why", KEPT)
def test_other_layers_stay_with_pytorch_and_say_why(why):
    x, weight, _, _ = drawn(40, 64, 50)
    expected = KEPT[why](x, weight)
    with accelerate() as accelerated:
        assert torch.equal(KEPT[why](x, weight), expected)
    assert why in accelerated.report()


@pytest.mark.usefixtures("tiles")
def test_sizes_that_do_not_fit_fail_as_without_us():
    with accelerate(), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        F.linear(torch.randn(40, 64), torch.randn(50, 63))


def test_processors_without_tiles_keep_pytorchs_products(monkeypatch):
    monkeypatch.setattr(products, "has_tiles", lambda: False)
    with accelerate() as accelerated:
        F.linear(torch.randn(40, 64), torch.randn(50, 64))
    assert "without matrix tiles" in accelerated.report()


def test_settings_that_contradict_each_other_count_as_the_highest_precision(monkeypatch):
    def contradictory():
        raise RuntimeError("mix of the legacy and new APIs")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", contradictory)
    assert products.precision() == "highest"
