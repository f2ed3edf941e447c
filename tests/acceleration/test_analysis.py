"""`breeder accelerate` from beginning to end: a hot layer becomes a task, is evolved, adopted."""

import shutil
import textwrap
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.acceleration.analysis import AGREEMENT, Plan, _todo, analyse  # noqa: E402
from breeder.acceleration.profile import Row  # noqa: E402
from breeder.task_formats import load  # noqa: E402
from breeder.verification.registry import Registry  # noqa: E402

LAYERS = """
    import torch

    model = torch.nn.Linear(48, 40)
    optimiser = torch.optim.SGD(model.parameters())
    torch.set_num_threads(1)
    for step in range(100_000):
        loss = model(torch.randn(64, 48)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
"""


def test_what_an_earlier_call_adopted_is_not_evolved_again():
    profile = [Row("aten::mm", ((64, 96), (96, 48)), 1.0, 1e-3, 0.0, 0.0)]
    met = {
        "op": "softmax", "shapes": [(64, 64)], "calls": 2.0, "taken": False, "pytorch": 3e-3,
        "kernel": 1e-3, "origins": [], "device": "cpu", "bucket": "64x64",
    }  # fmt: skip
    nothing = SimpleNamespace(adopted=lambda: ())
    assert [one.op for one in _todo([met], profile, nothing)] == ["softmax", "matmul"]
    names = ("kernels/softmax/64x64", "kernels/matmul/64x48x96x3")
    earlier = SimpleNamespace(adopted=lambda: [SimpleNamespace(task=name) for name in names])
    assert _todo([met], profile, earlier) == []
    linear = {**met, "op": "linear", "shapes": [(8, 16), (4, 16)], "bucket": "8x16x4-highest"}
    assert [one.shape for one in _todo([linear], profile, earlier)] == [(8, 4, 16, 3)]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_hot_layer_is_evolved_verified_and_adopted(tmp_path, monkeypatch):
    monkeypatch.setenv("BREEDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BREEDER_REGISTRY", str(tmp_path / "none"))
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(LAYERS))
    told: list[str] = []
    plan = Plan([str(script)], tmp_path / "out", steps=2, seconds=2.0, evolve_cpu_seconds=30.0)
    outcome = analyse(plan, told.append)
    ops = {op for op, _ in outcome.todo}
    assert ops == {"matmul"}
    adopted = Registry(tmp_path / "out" / "registry").adopted()
    assert outcome.adopted == len(list(adopted)), told
    # A search of 30 CPU seconds finds a faster kernel here; on a crowded machine it need not.
    others = (": nothing: ", ": not adopted: ")
    assert outcome.adopted or any(one in line for line in told for one in others), told
    made = load(next((tmp_path / "out").glob("matmul-*/task")))
    assert made.name.startswith("kernels/matmul/")
    assert outcome.distance <= AGREEMENT
    assert outcome.kernel_gain.pairs > 0
    assert outcome.kernel_gain.before_seconds > 0
    assert any("linear" in one["op"] for one in outcome.buckets)
