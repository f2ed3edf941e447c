"""What the operators share."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training.operators import pieces  # noqa: E402


@pytest.mark.parametrize(
    ("batch", "heads", "threads"), [(5, 3, 1), (5, 3, 2), (1, 3, 2), (2, 8, 4), (1, 1, 4)]
)
def test_pieces_cover_everything_once(batch, heads, threads):
    parts = pieces(batch, heads, threads)
    covered = [
        (b, h)
        for first, count, head, many in parts
        for b in range(first, first + count)
        for h in range(head, head + many)
    ]
    assert sorted(covered) == [(b, h) for b in range(batch) for h in range(heads)]
