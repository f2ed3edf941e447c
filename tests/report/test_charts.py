import pytest

from breeder.report.charts import Bars, Heatmap, Layer, Plot, tick_text, ticks
from breeder.report.png import write
from breeder.report.svg import draw


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 100.0, [0, 20, 40, 60, 80, 100]),
        (0.0415, 0.0532, [0.0425, 0.045, 0.0475, 0.05, 0.0525]),
        (-3.0, 3.0, [-2, 0, 2]),
        (5.0, 5.0, [5]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [(0.0, 1.0, "0"), (2500.0, 500.0, "2,500"), (0.0475, 0.0025, "0.0475"), (3e9, 1e9, "3e+09")],
)
def test_tick_text(value, step, text):
    assert tick_text(value, step) == text


def plot(**fields):
    values = {
        "key": "p", "title": "t", "x_label": "x", "y_label": "y", "x_range": (0.0, 10.0),
        "y_range": (0.0, 1.0), "layers": (),
    }  # fmt: skip
    return Plot(**{**values, **fields})


def test_values_outside_are_drawn_at_the_edge():
    inside = draw(plot(layers=(Layer("points", "a", 0, [5.0], [1.0]),)))
    outside = draw(plot(layers=(Layer("points", "a", 0, [5.0], [99.0]),)))
    assert inside == outside


def test_empty_ranges_do_not_divide_by_zero():
    drawing = draw(plot(x_range=(0.0, 0.0), y_range=(2.0, 2.0)))
    assert "nan" not in drawing
    assert "inf" not in drawing


def test_texts_are_escaped():
    for chart in (
        plot(title="<b>"),
        Bars("b", "t", "u", {"<b>": 1.0}),
        Heatmap("h", "t", "<b>", "y", ["0"], ["0"], {(0, 0): (1.0, "<b>")}),
    ):
        assert "<b>" not in draw(chart)


def test_warnings_change_the_picture(tmp_path):
    (tmp_path / "marked").mkdir()
    bars = Bars("bars", "t", "u", {"a": 1.0})
    plain = write(bars, tmp_path).read_bytes()
    marked = write(bars, tmp_path / "marked", ["sandbox: none"]).read_bytes()
    assert plain != marked
