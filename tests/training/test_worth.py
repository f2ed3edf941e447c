"""Whether looking for calls pays: weighed from timings, and acted upon."""

from collections import Counter
from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.measurement import Spent  # noqa: E402
from breeder.training import accelerate, worth  # noqa: E402
from breeder.training.registry import Choice, Key  # noqa: E402
from breeder.training.worth import LOOKED_AT, Worth, interception  # noqa: E402

FAST, UNTIMED, PLAIN = (Key(name, "float32", "8") for name in ("fast", "untimed", "plain"))


@dataclass
class Timed:
    """What is read of a comparison."""

    baseline_seconds: tuple[Spent, ...]
    candidate_seconds: tuple[Spent, ...]


class Decisions:
    """A registry in which `FAST` saves 2 ms a call."""

    def __init__(self) -> None:
        timed = Timed((Spent(0.005, 9.0),) * 3, (Spent(0.003, 0.0),) * 3)
        self._choices = {FAST: Choice(("kernel",), "", timed), UNTIMED: Choice(("kernel",), "")}

    def decided(self, key: Key) -> Choice | None:
        return self._choices.get(key, Choice((), ""))


@pytest.fixture(autouse=True)
def decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 100 calls that cost 10 us each to look at."""
    monkeypatch.setattr(worth, "WINDOW", 100)
    monkeypatch.setattr(worth, "interception", lambda: 10e-6)
    monkeypatch.setattr(worth, "registry", Decisions)


def window(made: Worth, calls: Counter[Key], key: Key | None, count: int = 1) -> str:
    """What is said of a window in which kernels are called for so often."""
    if key is not None:
        calls[key] += count
    said = [made.call() for _ in range(100)]
    assert not any(said[:-1])
    return said[-1]


def test_kernels_that_save_more_than_looking_costs_pay() -> None:
    calls: Counter[Key] = Counter()
    made = Worth(calls, Counter())
    said = [window(made, calls, FAST) for _ in range(4)]  # the first one is when it was timed
    assert said == ["", "", "", ""]  # 2 ms for 100 + LOOKED_AT times 10 us
    assert window(made, calls, PLAIN, 100) == ""
    assert window(made, calls, PLAIN, 100) == ""
    assert window(made, calls, PLAIN, 100) == (
        "kernels would save 0.0 ms in 200 calls of PyTorch, and looking for such calls costs "
        f"{1e-2 * (200 + 200 * LOOKED_AT):.1f} ms"
    )


def test_a_part_without_kernels_is_weighed_with_the_rest() -> None:
    calls: Counter[Key] = Counter()
    made = Worth(calls, Counter())
    window(made, calls, FAST)
    assert [window(made, calls, key, 2) for key in (FAST, None, FAST, None)] == [""] * 4


def test_what_was_not_timed_pays() -> None:
    calls: Counter[Key] = Counter()
    made = Worth(calls, Counter())
    assert [window(made, calls, UNTIMED) for _ in range(4)] == [""] * 4


def test_before_a_model_begins_nothing_is_said() -> None:
    calls: Counter[Key] = Counter()
    kept: Counter[str] = Counter()
    made = Worth(calls, kept)
    assert [window(made, calls, None) for _ in range(3)] == [""] * 3
    kept["attention with a mask of its own"] += 1
    assert "would save 0.0 ms" in window(made, calls, None)


def test_interception_is_measured() -> None:
    assert 0.0 < interception() < 1e-3


def many(x):
    """Small operations around a linear layer of few rows, which no kernel is for."""
    weight = torch.eye(4)
    for _ in range(60):
        x = torch.nn.functional.linear(x + 1.0, weight)
    return x


class Many(torch.nn.Module):
    def forward(self, x):
        return many(x)


def test_a_model_that_does_not_pay_is_left_alone() -> None:
    model, x = Many(), torch.ones(2, 4)
    accelerated = accelerate(model)
    expected = many(x)
    for _ in range(4):
        assert torch.equal(model(x), expected)
    assert "PyTorch's path for everything but the optimiser: kernels would save 0.0 ms" in (
        accelerated.report()
    )
    before = accelerated.kept.total()
    assert torch.equal(model(x), expected)
    assert accelerated.kept.total() == before
    accelerated.undo()
    assert "forward" not in vars(model)


def test_a_block_that_does_not_pay_is_left_at_the_end_of_a_step() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 4))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    mode = torch.overrides._get_current_function_mode
    with accelerate(None, optimiser):
        for _ in range(4):
            many(weight).sum().backward()
            assert mode() is not None
        optimiser.step()
        assert mode() is None
        optimiser.step()
    assert mode() is None
    optimiser.step()
    assert not optimiser._optimizer_step_post_hooks
