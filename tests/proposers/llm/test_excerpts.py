from breeder.proposers.llm.excerpts import evolvable_text, functions
from breeder.proposers.proposer import Grammar
from proposers.llm.made_up import GRAMMAR, START

INSIDE = '''class Policy:
    def choose(self, pod: int, *, spare: float = 1.0) -> float:
        """Frozen docstring."""
        # EVOLVE-BLOCK-START
        text = """two

        lines"""
        def inner(x):
            return x
        return inner(pod) * spare - len(text)
        # EVOLVE-BLOCK-END
'''
KERNEL = """#include <math.h>
extern "C" void norm(const float *x, float *out, long rows, long columns)
{
    // EVOLVE-BLOCK-START
    /* sums */
    for (long r = 0; r < rows; r++) {
        out[r] = x[r * columns];  // first
    }
    // EVOLVE-BLOCK-END
}
"""


def test_functions_of_the_evolvable_regions_are_found_and_shortened() -> None:
    rate, spare = functions({"place.py": START}, GRAMMAR)
    assert (rate.name, rate.path, rate.language) == ("rate", "place.py", "python")
    assert rate.signature == "def rate(item, room):"
    assert rate.short == "def rate(item, room):\n    left = room - item\n    return -left"
    assert rate.lines == 3
    assert "closer is better" in rate.text
    assert spare.name == "spare"


def test_values_are_what_the_function_computes_with() -> None:
    rate, spare = functions({"place.py": START}, GRAMMAR)
    assert set(rate.values) == {"item", "room", "left", "room - item"}
    assert spare.values[0] == "node.cpu"


def test_a_function_round_a_region_is_one_too() -> None:
    (view,) = functions({"a.py": INSIDE}, Grammar({"a.py": "python"}))
    assert view.name == "choose"
    assert view.signature == "def choose(self, pod: int, *, spare: float = 1.0) -> float:"
    assert "docstring" not in view.short
    assert '"""two\n\n' in view.short  # a string is not touched
    assert view.short.startswith("def choose")
    assert "spare" in view.values


def test_functions_in_c_are_found() -> None:
    (view,) = functions({"norm.cpp": KERNEL}, Grammar({"norm.cpp": "cpp"}))
    assert view.name == "norm"
    assert view.signature == ("void norm(const float *x, float *out, long rows, long columns)\n{")
    assert "//" not in view.short
    assert "sums" not in view.short
    assert {"rows", "columns"} <= set(view.values)


def test_what_cannot_be_parsed_has_no_functions() -> None:
    assert functions({"place.py": "def (\n"}, GRAMMAR) == ()
    assert functions({"notes.txt": "def f(): pass"}, Grammar({"notes.txt": "text"})) == ()


def test_blocks_are_numbered_and_files_named_where_there_are_several() -> None:
    one = "# EVOLVE-BLOCK-START\na = 1\n# EVOLVE-BLOCK-END\n"
    grammar = Grammar({"a.py": "python", "b.py": "python"})
    assert evolvable_text({"a.py": one}, grammar) == "```python\na = 1\n```\n"
    text = evolvable_text({"a.py": one * 2, "b.py": one}, grammar)
    assert text.count("a = 1") == 3
    assert [t for t in text.split("\n") if t.endswith(":")] == [
        "a.py, block 1:",
        "a.py, block 2:",
        "b.py:",
    ]
