"""What the operators share."""

import threading

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training import operators  # noqa: E402
from breeder.training.operators import in_pieces, pieces  # noqa: E402


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


@pytest.mark.parametrize("openmp", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_part_is_run_once(count, openmp, monkeypatch):
    if openmp and operators._openmp() is None:
        pytest.skip("this PyTorch brings no OpenMP library")
    if not openmp:
        monkeypatch.setattr(operators, "_openmp", lambda: None)
    seen: list[int] = []
    in_pieces(seen.append, list(range(count)))
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("openmp", [True, False])
def test_parts_run_side_by_side_and_errors_reach_the_caller(openmp, monkeypatch):
    if openmp and operators._openmp() is None:
        pytest.skip("this PyTorch brings no OpenMP library")
    if not openmp:
        monkeypatch.setattr(operators, "_openmp", lambda: None)
    both = threading.Barrier(2, timeout=30)  # broken unless two threads come to it

    def meet(part):
        both.wait()
        if part == 1:
            raise ZeroDivisionError("part 1")

    with pytest.raises(ZeroDivisionError, match="part 1"):
        in_pieces(meet, [0, 1])
