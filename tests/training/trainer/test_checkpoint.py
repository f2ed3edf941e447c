import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from breeder.errors import RunError, UserError  # noqa: E402
from breeder.training.trainer import checkpoint  # noqa: E402
from breeder.training.trainer.checkpoint import Position  # noqa: E402

POSITION = Position(step=3, sequences=12, seconds=1.5, corpus="abc")


def stepped(seed):
    """A layer and its optimiser after a step."""
    torch.manual_seed(seed)
    layer = torch.nn.Linear(4, 3)
    optimiser = torch.optim.AdamW(layer.parameters(), fused=True)
    layer(torch.randn(2, 4)).sum().backward()
    optimiser.step()
    return layer, optimiser


def test_everything_comes_back(tmp_path):
    layer, optimiser = stepped(1)
    checkpoint.save(tmp_path, layer, optimiser, POSITION)
    expected = torch.rand(5)
    other, empty = torch.nn.Linear(4, 3), stepped(2)[1]
    empty = torch.optim.AdamW(other.parameters(), fused=True)
    assert checkpoint.restore(tmp_path, other, empty) == POSITION
    assert torch.equal(torch.rand(5), expected)
    for ours, theirs in zip(layer.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        for key, value in optimiser.state[ours].items():
            assert torch.equal(value, empty.state[theirs][key])


def test_a_failed_write_leaves_the_one_before(tmp_path, monkeypatch):
    layer, optimiser = stepped(1)
    checkpoint.save(tmp_path, layer, optimiser, POSITION)
    before = (tmp_path / checkpoint.FILE).read_bytes()

    def full(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors, "save_file", full)
    with pytest.raises(UserError, match=r"checkpoint\.safetensors: cannot be written.*No space"):
        checkpoint.save(tmp_path, layer, optimiser, POSITION)
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]


def test_what_is_no_checkpoint_of_this_model_is_refused(tmp_path):
    layer, optimiser = stepped(1)
    with pytest.raises(RunError, match="is missing or damaged"):
        checkpoint.restore(tmp_path, layer, optimiser)
    checkpoint.save(tmp_path, layer, optimiser, POSITION)
    path = tmp_path / checkpoint.FILE
    with pytest.raises(RunError, match="belongs to another model"):
        checkpoint.restore(tmp_path, torch.nn.Sequential(layer), optimiser)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match="is missing or damaged"):
        checkpoint.restore(tmp_path, layer, optimiser)
    safetensors.save_file({"x": torch.ones(1)}, path, metadata={"format": "9"})
    with pytest.raises(RunError, match="is of another format, 9, not 1"):
        checkpoint.restore(tmp_path, layer, optimiser)
