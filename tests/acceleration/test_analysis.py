"""`breeder accelerate` from beginning to end: a hot layer becomes a task, is evolved, adopted."""

import shutil
import textwrap

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.acceleration.analysis import AGREEMENT, Plan, analyse  # noqa: E402
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


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_hot_layer_is_evolved_verified_and_adopted(tmp_path, monkeypatch):
    monkeypatch.setenv("BREEDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BREEDER_REGISTRY", str(tmp_path / "none"))
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(LAYERS))
    told: list[str] = []
    plan = Plan([str(script)], tmp_path / "out", steps=2, seconds=2.0, evolve_cpu_seconds=40.0)
    outcome = analyse(plan, told.append)
    ops = {op for op, _ in outcome.todo}
    assert ops == {"matmul"}
    adopted = Registry(tmp_path / "out" / "registry").adopted()
    assert outcome.adopted == len(list(adopted)) > 0, told
    made = load(next((tmp_path / "out").glob("matmul-*/task")))
    assert made.name.startswith("kernels/matmul/")
    assert outcome.distance <= AGREEMENT
    assert outcome.kernel_gain.pairs > 0
    assert outcome.kernel_gain.before_seconds > 0
    assert any("linear" in one["op"] for one in outcome.buckets)
