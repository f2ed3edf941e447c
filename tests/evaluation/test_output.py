from __future__ import annotations

import os

from breeder.evaluation.output import Output


def test_long_output_keeps_head_and_tail_and_says_what_is_missing() -> None:
    reading, writing = os.pipe()
    output = Output(reading, limit=100)
    for piece in (b"begin " + b"a" * 60, b"b" * 60, b"c" * 60 + b" end"):
        os.write(writing, piece)
        assert output.drain()
    os.close(writing)
    assert not output.drain()
    os.close(reading)
    text = output.text()
    assert text.startswith("begin aaa")
    assert text.endswith("ccc end")
    assert "[... 90 bytes ...]" in text
    assert output.total == 190
    assert output.exceeded


def test_short_output_is_kept_whole_and_decoded_with_care() -> None:
    reading, writing = os.pipe()
    output = Output(reading, limit=100)
    os.write(writing, b"a\xffb")
    assert output.drain()
    assert output.drain()  # nothing there yet, but a writer still is
    os.close(writing)
    os.close(reading)
    assert output.text() == "a�b"
    assert not output.exceeded
