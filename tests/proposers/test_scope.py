import pytest

from breeder.proposers.scope import scope, use
from breeder.proposers.trees import read

from .programs import FILES, block

NESTED = block(
    "import math\n"
    "RATE = 0.5\n\n\n"
    "def early(a):\n"
    "    if a > 1:\n"
    "        inner = a\n"
    "    for i in a:\n"
    "        looped = [k for k in i]\n"
    "    mark()\n"
    "    later = RATE\n"
    "    return later\n\n\n"
    "def late(b):\n"
    "    RATE2 = RATE\n"
    "    return b\n"
)


def visible(text, language, at):
    source = read(text, language, whole=False)
    assert source is not None
    position = text.index(at)
    node = next(n for n in source.root.walk() if n.begin == position and not n.children)
    return {name.decode() for name in scope(source).visible(node)}


def test_python_names_are_visible_after_their_binding_and_in_their_block():
    names = visible(NESTED, "python", "mark()")
    assert {"math", "RATE", "early", "late", "a"} <= names
    assert not {"inner", "i", "looped", "k", "later", "b", "RATE2"} & names


def test_a_local_shadows_a_global_before_it_is_bound():
    text = block("x = 1\n\n\ndef f():\n    mark()\n    x = 2\n    return x\n")
    assert "x" not in visible(text, "python", "mark()")


def test_c_names_are_visible_in_their_braces():
    at_rest = visible(FILES["c"], "c", "rest != 0")
    assert {"m", "n", "k", "cache", "tile", "mb", "kb", "rest", "clamp"} <= at_rest
    assert not {"i", "value", "low"} & at_rest
    assert "i" in visible(FILES["c"], "c", "mb -= 4")


def test_class_members_are_visible_in_methods():
    names = visible(FILES["cpp"], "cpp", "cost < lowest")
    assert {"alpha_", "total_", "count_", "load", "i", "cost"} <= names
    assert not {"value", "alpha"} & names


@pytest.mark.parametrize(
    ("language", "at", "expected"),
    [
        ("python", "gap[k] < 0.01", "sequence"),
        ("python", "k] < 0.01", "index"),
        ("python", "weights):", "argument"),
        ("python", "features(item, bins)\n    score", "callee"),
        ("c", "tile[1]", "sequence"),
        ("c", "rest / (m", "number"),
        ("cpp", "i] + size", "index"),
        ("cpp", "deadline);\n", "number"),
    ],
)
def test_uses(language, at, expected):
    text = FILES[language]
    source = read(text, language, whole=False)
    assert source is not None
    position = text.index(at)
    node = next(n for n in source.root.walk() if n.begin == position and n.type == "identifier")
    assert use(source, node) == expected


def test_types_of_c_declarations():
    source = read(FILES["cpp"], "cpp", whole=False)
    assert source is not None
    types = {b.name: b.type for b in scope(source).bindings}
    assert types[b"load"] == "sequence"
    assert types[b"alpha_"] == "float"
    assert types[b"best"] == "integer"
