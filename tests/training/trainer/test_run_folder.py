"""Runs as a whole: what is learnt, exact continuation, what comes out, what is refused."""

import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from breeder.archive.lock import WriterLock  # noqa: E402
from breeder.errors import ConfigError, NothingAchievedError, RunError  # noqa: E402
from breeder.models import Bytes, LoadedModel, load, save  # noqa: E402
from breeder.training.trainer import checkpoint, run_folder  # noqa: E402
from breeder.training.trainer.run_folder import Plan, TrainingRun  # noqa: E402
from breeder.training.trainer.settings import TrainingSettings  # noqa: E402
from breeder.training.trainer.trainer import METRICS, Update  # noqa: E402


def start(folder, model, text, settings, **more):
    checked = TrainingSettings.checked(settings)
    plan = Plan(model=str(model), settings=checked, threads=torch.get_num_threads(), **more)
    return run_folder.start(folder, plan, [text], 10**6, lambda done, count: None)


def train(run, stop_at=None):
    """Train; stops after a step. Returns the updates."""
    seen = []
    run.train(seen.append, lambda: bool(seen) and seen[-1].step == stop_at)
    return seen


def weights(run):
    return (run.folder / "model" / "model.safetensors").read_bytes()


def losses(updates):
    return [(one.step, one.loss, one.gradient_norm, one.held_out_loss) for one in updates]


def test_a_model_learns_from_scratch(tmp_path, tiny, text, settings):
    run = start(tmp_path / "run", tiny, text, {**settings, "steps": 40, "evaluate_every": 20})
    updates = train(run)
    assert updates[0].loss == pytest.approx(5.55, abs=0.2)  # log 257
    assert updates[-1].held_out_loss < updates[19].held_out_loss < 4.5
    lines = (run.folder / METRICS).read_text().splitlines()
    assert [Update(**json.loads(line)) for line in lines] == updates
    assert updates[-1].tokens == 40 * 2 * 16
    assert updates[-1].seconds_left == 0.0
    assert updates[0].seconds_left > 0.0
    assert isinstance(run.trained(), LoadedModel)
    assert load(run.result).decoder.config.width == 32


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("stop", [1, 3])
def test_a_stopped_run_goes_on_bit_by_bit(tmp_path, tiny, text, settings, dtype, stop):
    values = {**settings, "dtype": dtype, "accumulate": 2}
    whole = start(tmp_path / "whole", tiny, text, values)
    expected = train(whole)
    halves = start(tmp_path / "halves", tiny, text, values)
    first = train(halves, stop_at=stop)
    torch.manual_seed(99)
    second = train(TrainingRun(halves.folder))
    assert len(first) == stop
    assert losses([*first, *second]) == losses(expected)
    assert weights(halves) == weights(whole)


def test_a_killed_run_repeats_what_came_after_its_checkpoint(
    tmp_path, tiny, text, settings, monkeypatch
):
    whole = start(tmp_path / "whole", tiny, text, settings)
    expected = train(whole)
    killed = start(tmp_path / "killed", tiny, text, settings)

    class Killed(BaseException):
        """As if by a signal that cannot be caught."""

    def die(update):
        if update.step == 5:  # the last checkpoint is of step 4
            raise Killed

    with pytest.raises(Killed):
        killed.train(die, lambda: False)
    with (killed.folder / METRICS).open("a") as file:
        file.write('{"step": 6, "lo')
    train(TrainingRun(killed.folder))
    assert weights(killed) == weights(whole)
    lines = [json.loads(line) for line in (killed.folder / METRICS).read_text().splitlines()]
    assert losses([Update(**line) for line in lines]) == losses(expected)


def test_lora_with_dropout_goes_on_bit_by_bit_and_merges(tmp_path, decoder, text, settings):
    save(LoadedModel(decoder, Bytes()), tmp_path / "base")
    values = {**settings, "lora": {"r": 2, "dropout": 0.2}}
    whole = start(tmp_path / "whole", tmp_path / "base", text, values)
    expected = train(whole)
    halves = start(tmp_path / "halves", tmp_path / "base", text, values)
    train(halves, stop_at=3)
    train(TrainingRun(halves.folder))
    names = "adapter/adapter_model.safetensors"
    assert (halves.folder / names).read_bytes() == (whole.folder / names).read_bytes()
    model = whole.trained().decoder
    tokens = torch.arange(32).reshape(2, 16)
    assert not torch.allclose(model(tokens), decoder(tokens), atol=1e-3)
    assert expected[-1].held_out_loss < expected[2].held_out_loss
    size = (whole.folder / checkpoint.FILE).stat().st_size
    assert size < (tmp_path / "base" / "model.safetensors").stat().st_size


def test_accumulated_passes_are_one_large_one(tmp_path, tiny, text, settings):
    once = train(start(tmp_path / "once", tiny, text, {**settings, "batch": 4}))
    twice = train(start(tmp_path / "twice", tiny, text, {**settings, "accumulate": 2}))
    for a, b in zip(once, twice, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-4)
        assert b.gradient_norm == pytest.approx(a.gradient_norm, rel=1e-2)


def test_narrow_products_keep_weights_in_float32(tmp_path, tiny, text, settings):
    wide = train(start(tmp_path / "wide", tiny, text, settings))
    run = start(tmp_path / "narrow", tiny, text, {**settings, "dtype": "bfloat16"})
    narrow = train(run)
    assert narrow[-1].loss != wide[-1].loss
    assert narrow[-1].loss == pytest.approx(wide[-1].loss, rel=0.02)
    assert {one.dtype for one in load(run.result).decoder.parameters()} == {torch.float32}


def test_a_vocabulary_is_learnt_from_the_text(tmp_path, tiny, text, settings):
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    run = start(tmp_path / "run", tiny, text, settings, vocabulary=300)
    train(run)
    model = load(run.result)
    assert 257 < model.decoder.config.vocabulary == model.tokenizer.vocabulary <= 300


def test_a_loss_that_is_no_number_stops_with_the_checkpoint_kept(tmp_path, tiny, text, settings):
    run = start(tmp_path / "run", tiny, text, {**settings, "rate": 1e30, "clip": 0.0})
    with pytest.raises(NothingAchievedError, match=r"update \d: the loss is .*lower --rate"):
        train(run)
    assert "\n" not in (run.folder / run_folder.FILE).name
    assert not run.result.exists()


def test_folders_that_cannot_be_used_are_refused(tmp_path, tiny, text, settings):
    with pytest.raises(RunError, match=r"is no training run; it has no run\.json"):
        TrainingRun(tmp_path / "none")
    run = start(tmp_path / "run", tiny, text, settings)
    with pytest.raises(RunError, match="has no result yet"):
        run.trained()
    with pytest.raises(RunError, match="exists and is not empty"):
        start(tmp_path / "run", tiny, text, settings)
    lock = WriterLock(run.folder)
    with pytest.raises(RunError, match="another process is writing"):
        train(run)
    lock.release()
    train(run, stop_at=2)
    for one in ("train.npy", "held_out.npy"):
        shutil.copy(run.folder / one, tmp_path / one)
    shutil.copy(tmp_path / "held_out.npy", run.folder / "train.npy")
    with pytest.raises(RunError, match="its text changed since the checkpoint"):
        train(run)
    (run.folder / run_folder.FILE).write_text('{"model": 3}')
    with pytest.raises(RunError, match=r"run\.json: "):
        TrainingRun(run.folder)


def test_models_that_do_not_fit_are_refused(tmp_path, tiny, decoder, text, settings):
    with pytest.raises(ConfigError, match="--length 65 is more than the model's context 64"):
        train(start(tmp_path / "long", tiny, text, {**settings, "length": 65}))
    save(LoadedModel(decoder, Bytes()), tmp_path / "base")
    run = start(tmp_path / "run", tmp_path / "base", text, settings)
    (tmp_path / "base" / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(RunError, match="base: has changed since"):
        train(run)
    with pytest.raises(ConfigError, match="nowhere does not exist"):
        start(tmp_path / "other", tmp_path / "nowhere", text, settings)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.usefixtures("kernels")
def test_kernels_are_used_and_told_and_go_on_bit_by_bit(tmp_path, tiny, text, settings):
    plain = train(start(tmp_path / "plain", tiny, text, settings))
    values = {**settings, "kernels": True}
    whole = start(tmp_path / "whole", tiny, text, values)
    updates = train(whole)
    told = (whole.folder / run_folder.KERNELS).read_text()
    assert "attention_forward float32" in told
    assert "kernel (" in told
    for a, b in zip(plain, updates, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-4)
    halves = start(tmp_path / "halves", tiny, text, values)
    train(halves, stop_at=3)
    train(TrainingRun(halves.folder))
    assert weights(halves) == weights(whole)
