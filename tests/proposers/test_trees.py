import pytest

from breeder.proposers.languages import language
from breeder.proposers.trees import byte_regions, decode, encode, function_name, parses, read

from .programs import FILES, PACKING, SCHEDULER, block


@pytest.mark.parametrize("name", FILES)
def test_the_copy_equals_the_grammar_s_tree(name):
    source = read(FILES[name], name, whole=False)
    assert source is not None
    table = language(name)
    assert table is not None
    stack = [(source.root, table.parser().parse(source.text).root_node)]
    while stack:
        mine, theirs = stack.pop()
        assert (mine.type, mine.begin, mine.end) == (
            theirs.type,
            theirs.start_byte,
            theirs.end_byte,
        )
        assert len(mine.children) == theirs.child_count
        for index, (a, b) in enumerate(zip(mine.children, theirs.children, strict=True)):
            assert a.parent is mine
            assert a.index == index
            assert a.field == (theirs.field_name_for_child(index) or "")
            stack.append((a, b))


def test_what_does_not_parse_has_no_source():
    assert read(block("x = (1\n"), "python", whole=False) is None
    assert read(PACKING, "klingon", whole=False) is None
    assert read("x = 1\n" * 60_000, "python", whole=True) is None
    assert read("x = " + "(" * 400 + "1" + ")" * 400, "python", whole=True) is None


def test_python_is_compiled_too():
    assert parses(b"x = 1\n", "python")
    assert not parses(b"return 1\n", "python")
    assert not parses(b"def f():\n    continue\n", "python")
    assert parses(b"anything at all (", "klingon")


def test_regions_are_counted_in_bytes():
    text = "ä = 1\n" + block("ö = 2\n")
    ((begin, end),) = byte_regions(text, whole=False)
    assert decode(encode(text)[begin:end]) == "ö = 2\n"
    assert byte_regions("no markers", whole=False) == ()


def test_functions_have_names():
    source = read(SCHEDULER, "cpp", whole=False)
    assert source is not None
    functions = [n for n in source.root.walk() if n.type == "function_definition"]
    assert [function_name(source, f) for f in functions] == [b"Scheduler", b"pick"]
    outside = read("double *A::g(int x) { return 0; }\n", "cpp", whole=True)
    assert outside is not None
    (function,) = [n for n in outside.root.walk() if n.type == "function_definition"]
    assert function_name(outside, function) == b"g"


def test_a_language_without_its_package_is_unknown():
    assert language("klingon") is None
    assert language("cpp") is not None
