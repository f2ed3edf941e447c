"""What runs where: C++ here, Triton on GPUs or in its interpreter; one line where neither can."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training import devices  # noqa: E402
from breeder.training.registry import KernelRegistry, Key  # noqa: E402
from breeder.training.sources import TRITON, sources  # noqa: E402
from breeder.verification.registry import Registry  # noqa: E402


@pytest.fixture
def plain(monkeypatch):
    """No GPU, and Triton's switch as it is where nobody touched it."""
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    monkeypatch.setattr(devices, "has_gpu", lambda: False)


@pytest.mark.usefixtures("plain")
def test_tensors_of_the_processor_take_programs_in_cpp():
    assert devices.device_of("rmsnorm", torch.zeros(1)) == devices.CPU


@pytest.mark.parametrize(
    ("op", "dtype", "device"),
    [
        ("rmsnorm", torch.float32, devices.INTERPRETER),
        ("rmsnorm", torch.bfloat16, devices.CPU),
        ("attention_forward_bf16", torch.bfloat16, devices.INTERPRETER),
        ("swiglu", torch.float32, devices.CPU),
    ],
)
def test_the_interpreter_takes_what_there_is_in_triton(op, dtype, device, monkeypatch):
    monkeypatch.setenv(devices.VARIABLE, "1")
    assert devices.device_of(op, torch.zeros(1, dtype=dtype)) == device


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("there", "reason"),
    [(True, "needs a GPU"), (False, "needs a GPU and Triton: pip install 'breeder[triton]'")],
)
def test_without_a_gpu_pytorchs_path_stays_and_one_line_says_why(
    there, reason, tmp_path, monkeypatch
):
    monkeypatch.setattr(devices, "installed", lambda: there)
    registry = KernelRegistry(Registry(tmp_path), tmp_path)
    key = Key("rmsnorm", "float32", "4x64", "cuda sm80")
    choice = registry.choose(key, lambda: pytest.fail("timed"), lambda _: pytest.fail("timed"))
    assert choice.kernel is None
    assert registry.report() == f"rmsnorm float32 4x64 cuda sm80: PyTorch's path: {reason}"
    assert registry.kernel_for("rmsnorm", "4x64", "cuda sm80") is None


@pytest.mark.parametrize("op", TRITON)
def test_programs_in_triton_have_the_signature_of_the_native_one(op, tmp_path):
    (native,) = sources(op, Registry(tmp_path))[0]
    (ours,) = sources(op, Registry(tmp_path), "triton")[0]
    (name,) = ours.functions
    assert ours.functions[name] == native.functions[name]
    assert ours.dtype == native.dtype
    assert ours.language == "triton"
