from __future__ import annotations

import itertools

import numpy as np
import pytest

from breeder.evaluation.layout import Layout, Place

TYPES = ("int64", "float64[]", "inout float32[]", "out int32[]", "float32")


def example(count: int = 5) -> Layout:
    calls = [
        [n, np.full(n, float(n)), np.arange(6).reshape(2, 3), (n, 2), n / 10] for n in range(count)
    ]
    return Layout(TYPES, "float64", calls)


def places(layout: Layout) -> list[Place]:
    assert layout.returned is not None
    found = [one for call in layout.calls for one in call if isinstance(one, Place)]
    return [*found, layout.returned]


def test_arrays_lie_apart_from_each_other_at_cache_lines() -> None:
    layout = example()
    taken = sorted((one.offset, one.offset + max(one.bytes, 1)) for one in places(layout))
    assert all(begin % 64 == 0 for begin, _ in taken)
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(taken))
    assert taken[0][0] >= 4096
    assert taken[-1][1] <= layout.bytes - 4096
    assert layout.bytes % 4096 == 0


def test_distances_are_drawn_anew() -> None:
    offsets = {tuple(one.offset for one in places(example(20))) for _ in range(5)}
    assert len(offsets) == 5


def test_the_image_holds_arguments_and_poison() -> None:
    layout = example()
    memory = layout.image()
    assert memory.size == layout.bytes

    def held(place: Place) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        room = memory[place.offset : place.offset + place.bytes]
        return room.view(place.dtype).reshape(place.shape)

    for number, (count, x, y, z, factor) in enumerate(layout.calls):
        assert (count, factor) == (number, np.float32(number / 10))
        np.testing.assert_array_equal(held(x), np.full(number, float(number)))
        np.testing.assert_array_equal(held(y), np.arange(6, dtype=np.float32).reshape(2, 3))
        assert held(z).dtype == np.int32
        assert held(z).shape == (number, 2)
        assert (held(z) == -1).all()
    assert layout.returned is not None
    assert np.isnan(held(layout.returned)).all()


def test_columns_say_where_every_value_lies() -> None:
    layout = example()
    memory, columns = layout.image(), layout.columns()
    assert [len(column) for column in columns] == [5] * 5
    assert columns[1].tolist() == [call[1].offset for call in layout.calls]
    for column, dtype, expected in (
        (columns[0], np.int64, [0, 1, 2, 3, 4]),
        (columns[4], np.float32, [0, 0.1, 0.2, 0.3, 0.4]),
    ):
        size = np.dtype(dtype).itemsize
        found = [memory[at : at + size].view(dtype)[0] for at in column.tolist()]
        np.testing.assert_array_equal(found, np.array(expected, dtype))


def test_no_calls_and_no_arguments_are_possible() -> None:
    assert Layout(TYPES, "void", []).calls == []
    layout = Layout((), "int32", [[], []])
    assert layout.columns() == []
    assert layout.returned is not None
    assert layout.returned.shape == (2,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([1], "5 arguments, 1 given"),
        (["x", [], [], 0, 0], "integer"),
        ([1, "x", [], 0, 0], "float"),
        ([1, [], [], (2, -1), 0], "shape"),
        ([1, [], [], (2.5,), 0], "integer"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: list[object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Layout(TYPES, "void", [arguments])
