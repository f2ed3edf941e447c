"""AdamW: PyTorch's results, state and hooks, whichever of the two takes the step."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training import accelerate, fused  # noqa: E402

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]

OPTIONS = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}


@pytest.fixture(autouse=True, params=[0, 16, 1 << 18], ids=["kernel", "both", "at once"])
def small(request, monkeypatch):
    """Tensors below this size take PyTorch's step, all in one call."""
    monkeypatch.setattr(fused.optimiser, "_SMALL", request.param)


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator))
        for shape in ((3, 5), (17,), (4, 40), (2,))
    ]


def train(kind, steps=5, **options):
    """The parameters after some steps; the last one never gets a gradient."""
    found = parameters()
    optimiser = kind(found, **{**OPTIONS, **options})
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for one in found[:-1]:
            one.grad = torch.randn(one.shape, generator=generator)
        optimiser.step()
    return found, optimiser


@pytest.mark.parametrize("options", [{}, {"maximize": True}, {"amsgrad": True}], ids=str)
def test_steps_are_pytorchs(options):
    ours, _ = train(fused.AdamW, **options)
    theirs, _ = train(torch.optim.AdamW, **options)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-7)


def test_the_state_goes_over_and_back():
    _, theirs = train(torch.optim.AdamW)
    _, ours = train(fused.AdamW)
    assert ours.state_dict()["state"].keys() == theirs.state_dict()["state"].keys()
    ours.load_state_dict(theirs.state_dict())
    ours.step()
    theirs.load_state_dict(ours.state_dict())
    theirs.step()
    assert int(theirs.state_dict()["state"][0]["step"]) == 7


@pytest.mark.parametrize(
    ("parameter", "why"),
    [
        (torch.zeros(3, dtype=torch.float64), "AdamW of torch.float64"),
        (torch.zeros(3, device="meta"), "on meta"),
        (torch.zeros(3, 4)[:, :2], "AdamW of parameters with gaps"),
    ],
    ids=["float64", "meta", "gaps"],
)
def test_what_no_kernel_covers_is_named(parameter, why):
    optimiser = fused.AdamW([torch.nn.Parameter(parameter)])
    assert why in fused.optimiser.hindrance(optimiser)


def test_gradients_that_lie_in_another_order_are_laid_like_their_parameters():
    turned, plain = (torch.nn.Parameter(torch.ones(3, 4)) for _ in range(2))
    grads = torch.arange(12.0).reshape(4, 3).t()
    for one, kind in ((turned, fused.AdamW), (plain, torch.optim.AdamW)):
        optimiser = kind([one], **OPTIONS)
        for grad in (grads, grads.square()):
            one.grad = grad.clone(memory_format=torch.preserve_format)
            optimiser.step()
    assert turned.grad.stride() != turned.stride()
    assert torch.allclose(turned, plain, rtol=1e-6)


def test_a_state_that_lies_in_another_order_is_laid_like_its_parameter():
    found = []
    for kind in (fused.AdamW, torch.optim.AdamW):
        parameter = torch.nn.Parameter(torch.arange(12.0).reshape(3, 4))
        optimiser = kind([parameter], **OPTIONS)
        parameter.grad = torch.arange(12.0).reshape(3, 4)
        optimiser.step()
        for name in ("exp_avg", "exp_avg_sq"):
            optimiser.state[parameter][name] = optimiser.state[parameter][name].t().clone().t()
        optimiser.step()
        found.append(parameter)
    assert torch.allclose(*found, rtol=1e-6)


def test_a_closure_is_asked_once_with_gradients_on():
    parameter = torch.nn.Parameter(torch.ones(2))
    optimiser = fused.AdamW([parameter])

    def closure():
        optimiser.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert optimiser.step(closure) == 2.0
    assert (parameter < 1.0).all()


def test_accelerate_takes_an_optimiser_and_gives_it_back():
    found = parameters()
    optimiser = torch.optim.AdamW(found, **OPTIONS)
    calls = []
    optimiser.register_step_post_hook(lambda *_: calls.append("hook"))
    with accelerate(optimiser=optimiser):
        assert type(optimiser) is fused.AdamW
        for one in found:
            one.grad = torch.ones_like(one)
        optimiser.step()
    assert type(optimiser) is torch.optim.AdamW
    assert calls == ["hook"]
    expected = parameters()
    other = torch.optim.AdamW(expected, **OPTIONS)
    for one in expected:
        one.grad = torch.ones_like(one)
    other.step()
    for one, two in zip(found, expected, strict=True):
        assert torch.allclose(one, two, rtol=1e-6, atol=1e-7)


def test_hooks_run_once_where_pytorch_takes_the_step():
    torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])  # whose step gets hooks around it, too
    found = [torch.nn.Parameter(torch.ones(2))]
    found[0].grad = torch.ones(2)
    calls = []
    optimiser = fused.AdamW(found, amsgrad=True)
    optimiser.register_step_post_hook(lambda *_: calls.append("hook"))
    optimiser.step()
    assert calls == ["hook"]
    assert (found[0] < 1.0).all()


def test_optimisers_without_a_kernel_stay_and_are_named():
    sgd = torch.optim.SGD(parameters(), lr=0.1)
    with accelerate(optimiser=sgd) as accelerated:
        assert type(sgd) is torch.optim.SGD
        assert "SGD: only torch.optim.AdamW has a kernel" in accelerated.report()
    held = torch.optim.AdamW(parameters())
    torch.optim.lr_scheduler.ConstantLR(held)
    with accelerate(optimiser=held) as accelerated:
        assert "a scheduler holds" in accelerated.report()
