import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
np = pytest.importorskip("numpy")

from breeder.errors import RunError, UserError  # noqa: E402
from breeder.models import Bytes  # noqa: E402
from breeder.training.trainer.corpus import Corpus, Windows, tokenised  # noqa: E402


def read(texts):
    told = []
    corpus = tokenised(texts, Bytes(), lambda done, count: told.append((done, count)))
    assert told[-1] == (len(texts), len(texts))
    return corpus


def test_whole_texts_are_held_out_and_nothing_is_lost():
    texts = [f"text number {number}" for number in range(40)]
    corpus = read(texts)
    assert corpus.train.dtype == np.uint16
    both = [*corpus.train.tolist(), *corpus.held_out.tolist()]
    assert both == [one for text in texts for one in [*text.encode(), 256]]
    assert 0.05 <= len(corpus.held_out) / len(both) < 0.1
    assert corpus.train[-1] == 256


def test_of_a_single_text_the_tail_is_held_out():
    corpus = read(["x" * 999])
    assert (len(corpus.train), len(corpus.held_out)) == (950, 50)


def test_a_corpus_is_saved_and_opened(tmp_path):
    corpus = read(["one text", "another"])
    corpus.save(tmp_path)
    assert Corpus.open(tmp_path).digest() == corpus.digest()
    assert read(["one text", "anothes"]).digest() != corpus.digest()
    (tmp_path / "train.npy").write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"train\.npy: is missing or damaged"):
        Corpus.open(tmp_path)


def test_an_epoch_takes_every_sequence_once_and_targets_come_next():
    windows = Windows(np.arange(50, dtype=np.uint16), 4, seed=3, name="training")
    assert windows.count == 12
    inputs, targets = windows.batch(0, 24)
    assert torch.equal(inputs + 1, targets)
    epochs = inputs[:, 0].reshape(2, 12)
    assert sorted(epochs[0].tolist()) == sorted(epochs[1].tolist()) == list(range(0, 48, 4))
    assert not torch.equal(epochs[0], epochs[1])


def test_a_batch_depends_on_its_position_alone():
    tokens = np.arange(500, dtype=np.uint16)
    one, other = (Windows(tokens, 4, seed=3, name="training") for _ in range(2))
    one.batch(0, 200)
    assert torch.equal(one.batch(77, 5)[0], other.batch(77, 5)[0])
    assert not torch.equal(
        other.batch(0, 9)[0], Windows(tokens, 4, seed=4, name="training").batch(0, 9)[0]
    )
    plain = Windows(tokens, 4, seed=None, name="held-out").batch(1, 2)[0]
    assert plain.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]


def test_too_little_text_is_refused():
    with pytest.raises(UserError, match="the held-out text has 4 tokens, a sequence takes 5"):
        Windows(np.arange(4), 4, seed=None, name="held-out")
