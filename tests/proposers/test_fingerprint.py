import pytest

from breeder.proposers.fingerprint import fingerprint
from breeder.proposers.proposer import Grammar

from .programs import FILES, PACKING, TILING, block, grammar


def digest(text, language="python"):
    return fingerprint({"program": text}, grammar(language)).digest


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x = 1\n", "x  =  1  # one\n"),
        ("x = 1\n", "\n\nx = 1\n"),
        ("x = (a + b)\n", "x = a + b\n"),
        ("x = ((a)) + (b * c)\n", "x = a + b * c\n"),
        ("x = 1.0\n", "x = 1.\n"),
        ("x = 1e-3\n", "x = 0.001\n"),
        ("x = 1_000\n", "x = 1000\n"),
        ("def f(a):\n    return a\n", 'def f(a):\n  """Doc."""\n  return a\n'),
        ("f(a,\n  b)\n", "f(a, b)\n"),
    ],
)
def test_comments_layout_and_spelling_do_not_count(a, b):
    assert digest(block(a)) == digest(block(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x = 1\n", "x = 2\n"),
        ("x = 1\n", "x = 1.0\n"),
        ("x = a - b\n", "x = a + b\n"),
        ("x = (a + b) * c\n", "x = a + b * c\n"),
        ("x = a\n", "y = a\n"),
        ("x = 'a b'\n", "x = 'a  b'\n"),
        ("x = (a,)\n", "x = (a)\n"),
        ("if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n"),
        ("x = a\ny = b\n", "y = b\nx = a\n"),
        ("x = a < b\n", "x = a <= b\n"),
    ],
)
def test_what_the_program_does_counts(a, b):
    assert digest(block(a)) != digest(block(b))


def test_frozen_text_counts_byte_for_byte():
    assert digest("a = 1\n" + block("x = 1\n")) != digest("a =  1\n" + block("x = 1\n"))


def test_languages_with_braces():
    spread = TILING.replace("{\n", "{\n\n  // note\n").replace("int kb = k;", "int  kb=k ;")
    assert spread != TILING
    assert digest(spread, "c") == digest(TILING, "c")
    assert digest(TILING.replace("> 64", "> 064"), "c") != digest(TILING, "c")


def test_size_counts_nodes_of_evolvable_regions_only():
    small = fingerprint({"program": block("x = 1\n")}, grammar("python"))
    assert small.size == 4  # statement, assignment, name, number
    assert (
        fingerprint({"program": "y = [1, 2, 3]\n" + block("x = 1\n")}, grammar("python")).size == 4
    )
    both = Grammar({"a": "python", "b": "python"})
    assert fingerprint({"a": block("x = 1\n"), "b": block("x = 1\n")}, both).size == 8


@pytest.mark.parametrize("language", FILES)
def test_sound_programs_parse(language):
    assert fingerprint({"program": FILES[language]}, grammar(language)).parses


@pytest.mark.parametrize("broken", [block("x = (1\n"), "x = 1\n", block("x = 1\n") + "if (\n"])
def test_broken_programs_do_not_parse(broken):
    assert not fingerprint({"program": broken}, grammar("python")).parses


def test_without_a_grammar_white_space_is_collapsed():
    a, b = block("let x  = 1;\n"), block("let x = 1;\n")
    assert digest(a, "klingon") == digest(b, "klingon")
    assert digest(a, "klingon") != digest(b.replace("1", "2"), "klingon")
    assert fingerprint({"program": a}, grammar("klingon")).parses


def test_whole_files_and_strange_texts():
    whole = grammar("python", whole=True)
    assert fingerprint({"program": "x = 1 # a\n"}, whole) == fingerprint(
        {"program": "x = 1\n"}, whole
    )
    for text in ("", "\udc80", "x" * 300_000, "(" * 5000, PACKING.replace("\n", "\r\n")):
        assert len(fingerprint({"program": text}, whole).digest) == 32
