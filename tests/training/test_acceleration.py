"""`accelerate`: same results and gradients, every way of calling attention, clean undoing."""

import copy
import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn.functional import scaled_dot_product_attention as imported_by_name  # noqa: E402

from breeder.errors import UserError  # noqa: E402
from breeder.training import accelerate  # noqa: E402

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]

WIDTH, HEADS = 32, 4


class TinyRMSNorm(torch.nn.Module):
    """Spelt out, as model libraries do."""

    def __init__(self, width, *, offset=0.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(width))
        self.variance_epsilon = 1e-6
        self.offset = offset

    def forward(self, x):
        variance = x.pow(2).mean(-1, keepdim=True)
        return (self.offset + self.weight) * (x * torch.rsqrt(variance + self.variance_epsilon))


class Block(torch.nn.Module):
    """Attention between two norms."""

    def __init__(self, options=None):
        super().__init__()
        self.before, self.after = TinyRMSNorm(WIDTH), torch.nn.RMSNorm(WIDTH)
        self.project = torch.nn.Linear(WIDTH, 3 * WIDTH)
        self.options = {"is_causal": True} if options is None else options

    def forward(self, x):
        parts = self.project(self.before(x)).unflatten(-1, (3, HEADS, -1)).unbind(-3)
        q, k, v = (one.transpose(1, 2) for one in parts)
        mixed = imported_by_name(q, k, v, **self.options).transpose(1, 2).flatten(2)
        return self.after(x + mixed)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(Block(), Block())


@pytest.fixture
def x():
    return torch.randn(2, 21, WIDTH, generator=torch.Generator().manual_seed(1))


def step(model, x):
    model.zero_grad()
    out = model(x)
    (out * torch.linspace(-1, 1, WIDTH)).sum().backward()
    return out.detach(), torch.cat([one.grad.flatten() for one in model.parameters()])


def patches(model):
    return [
        name
        for module in model.modules()
        for name in vars(module)
        if name == "forward" or "breeder" in name
    ]


def test_results_and_gradients_stay_and_undoing_leaves_nothing(model, x, kernels):
    out, grads = step(model, x)
    state = list(model.state_dict())
    accelerated = accelerate(model)
    fast, fast_grads = step(model, x)
    assert list(model.state_dict()) == state
    assert torch.allclose(fast, out, rtol=1e-5, atol=1e-5)
    assert (fast_grads - grads).norm() <= 1e-5 * grads.norm()
    assert "kernel (written by hand), not timed" in accelerated.report()
    assert not accelerated.kept
    accelerated.undo()
    accelerated.undo()
    assert patches(model) == []
    assert torch.equal(step(model, x)[0], out)


def test_as_a_context_manager_it_ends_with_the_block_even_after_an_error(model, x):
    with pytest.raises(TypeError, match="argument"), accelerate(model):
        model(x, "an argument too many")
    assert patches(model) == []
    out = model(x)
    with accelerate() as everything:
        assert torch.allclose(model(x), out, rtol=1e-5, atol=1e-5)
        assert "attention_forward" in everything.report()
    assert torch.equal(model(x), out)


def test_a_forward_that_was_there_before_comes_back(model, x):
    def own(x):
        return type(model).forward(model, x) + 1

    model.forward = own
    with accelerate(model):
        assert model.forward is not own
    assert model.forward is own


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"attn_mask": torch.ones(21, 21).tril().bool()}, "a mask of its own"),
        ({"dropout_p": 0.5}, "dropout"),
    ],
)
def test_calls_that_no_kernel_covers_stay_with_pytorch(options, why, x):
    model = Block(options)
    torch.manual_seed(3)
    out = model(x)
    with accelerate(model) as accelerated:
        torch.manual_seed(3)
        assert torch.allclose(model(x), out, rtol=1e-5, atol=1e-5)
        assert why in accelerated.report()


def test_other_types_stay_with_pytorch(model, x):
    half = copy.deepcopy(model).bfloat16()
    out = half(x.bfloat16())
    with accelerate(half) as accelerated:
        assert torch.allclose(half(x.bfloat16()), out, rtol=1e-2, atol=2e-2)
        assert "attention in torch.bfloat16" in accelerated.report()


def test_autocast_stays_with_pytorch(model, x):
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x)
        with accelerate(model) as accelerated:
            assert torch.allclose(model(x).float(), out.float(), rtol=1e-2, atol=1e-2)
    assert any("attention" in why for why in accelerated.kept)


def test_a_norm_that_only_looks_like_one_keeps_its_forward(x):
    model = torch.nn.Sequential(TinyRMSNorm(WIDTH, offset=1.0))
    out = model(x)
    with accelerate(model):
        assert "forward" not in vars(model[0])
        assert torch.equal(model(x), out)


def test_shapes_may_change_from_step_to_step(model):
    for rows in (3, 17, 40):
        x = torch.randn(1, rows, WIDTH)
        out = model(x)
        with accelerate(model):
            assert torch.allclose(model(x), out, rtol=1e-5, atol=1e-5)


def test_twice_is_refused_and_so_is_what_is_no_module(model):
    with accelerate(model):
        with pytest.raises(UserError, match="accelerated already"):
            accelerate(model)
        with pytest.raises(UserError, match="accelerated already"):
            accelerate(torch.nn.Sequential(model))
    with pytest.raises(UserError, match="not list"):
        accelerate([])


def test_it_compiles_without_graph_breaks(model, x):
    out = model(x)
    with accelerate(model):
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        assert torch.allclose(compiled(x), out, rtol=1e-5, atol=1e-5)
    torch.compiler.reset()
