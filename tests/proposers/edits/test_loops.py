"""Loop edits on the shipped kernels, on small texts, and compiled on a small example."""

import importlib.resources
import re
import shutil

import pytest

from breeder.proposers.edits.hints import vectorise_loops
from breeder.proposers.edits.loops import block_loop, fuse_loops, interchange_loops, split_loop
from breeder.proposers.syntax import C_EDITS

from .variants import first_wrong, results

KERNELS = {
    folder.name: (folder / "initial.cpp").read_text()
    for folder in (importlib.resources.files("breeder") / "suites" / "kernels").iterdir()
    if (folder / "initial.cpp").is_file()
}

RARE = {
    "carry sums", "tile contraction", "expand exponential", "fuse loops", "interchange loops",
    "align array", "split loop",
}  # fmt: skip

# Iterations may be taken in any order where an edit may change their order.
EXAMPLE = """static int64_t work(const int *a, int *b, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < 3; j++) {
            b[3 * i + j] = a[i] * (j + 1);
        }
    }
    int64_t sum = b[0];
    for (int i = 0; i < n; i++) {
        b[i] += a[i];  // the first part
        b[n + i] -= 2 * i;
    }
    for (int i = 0; i < n; i++)
        b[2 * n + i] *= 5;
    int k = 2;
    for (; k < n; k++) {
        if (b[k] == 7)
            continue;
        sum += 3 * b[k] + k;
    }
    sum *= k;
    for (k = 0; k < n - 1; k++)
        sum += b[k + n] - b[k];
    return sum + k;
}
"""
COMPARED = """static bool differs(int64_t (*variant)(const int *, int *, int))
{
    for (int n : {0, 1, 2, 7, 64, 300}) {
        static int a[300], first[901], b[901];
        for (int &value : first) value = 1;
        for (int i = 0; i < n; i++) a[i] = i * i % 11 - 4;
        const int64_t expected = start::work(a, first, n);
        for (int &value : b) value = 1;
        if (variant(a, b, n) != expected || std::memcmp(b, first, sizeof b)) return true;
    }
    return false;
}
"""


def only(edit, body: str, **options) -> str:
    """The only text that an edit makes of the body of a function."""
    (made,) = results(edit, function(body), whole=True, **options)
    return made


def function(body: str) -> str:
    return "void f(int *a, int *b, int n)\n{\n" + body + "}\n"


@pytest.mark.parametrize("kind", C_EDITS)
def test_the_edits_of_shipped_kernels_parse_and_are_found_in_some_of_them(kind: str) -> None:
    edit = C_EDITS[kind][0]
    texts = KERNELS
    if kind == "change width":
        texts = {n: results(vectorise_loops, text, seeds=1)[0] for n, text in KERNELS.items()}
    made = {name: results(edit, text, seeds=12) for name, text in texts.items()}
    assert sum(map(bool, made.values())) >= (1 if kind in RARE else 3)
    for name, text in texts.items():
        assert text not in made[name]


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_blocks_and_reordered_free_iterations_give_equal_results() -> None:
    found = [
        text
        for edit in (block_loop, interchange_loops, fuse_loops, split_loop)
        for text in results(edit, EXAMPLE, seeds=10, whole=True)
    ]
    twice = results(block_loop, found[0], seeds=4, whole=True)
    variants = [*found, *twice]
    assert len(variants) > 12
    signature = "int64_t (*)(const int *, int *, int)"
    assert first_wrong(EXAMPLE, variants, signature, COMPARED) == -1


def test_declarations_between_loops_move_ahead_of_what_is_fused() -> None:
    loop = "    for (int i = 0; i < n; i++)\n        %s;\n"
    first, second = loop % "b[i] = a[i]", loop % "sum += b[i]"
    between = "    // what they add up to\n    int sum = 0;\n"
    made = only(fuse_loops, first + between + second)
    assert made == function(
        "    int sum = 0;\n    for (int i = 0; i < n; i++) {\n        b[i] = a[i];\n"
        "        sum += b[i];\n    }\n"
    )
    for other in ("int sum = b[0];", "int sum = i;", "int a = 0;", "sum = 0;"):
        text = function(f"    int i = n;\n{first}    {other}\n{second}")
        assert not results(fuse_loops, text, whole=True)


def test_a_block_has_a_named_size_and_an_end_that_cannot_overflow() -> None:
    made = results(
        block_loop, function("    for (int i = 1; i < n - 1; i++)\n        a[i] = 0;\n"), whole=True
    )
    sizes = {int(size) for text in made for size in re.findall(r"block1 = (\d+);", text)}
    assert sizes <= {2**k for k in range(2, 11)}
    assert len(sizes) > 4
    (text,) = {re.sub(r"block1 = \d+", "block1 = 8", one) for one in made}
    assert text == function(
        "    const int block1 = 8;\n"
        "    for (int begin1 = 1; begin1 < (n - 1); begin1 += block1) {\n"
        "        const int end1 = (n - 1) - begin1 > block1 ? begin1 + block1 : (n - 1);\n"
        "        for (int i = begin1; i < end1; i++) a[i] = 0;\n"
        "    }\n"
    )


def test_names_of_a_block_are_new() -> None:
    loop = "    for (int i = 0; i < n; i++) a[i] = 0;\n"
    for text in results(block_loop, function("    int end1 = 3;\n" + loop), whole=True):
        assert "block2" in text
        assert "block1" not in text


def test_heads_of_a_perfect_nest_are_swapped() -> None:
    inner = "        for (int j = 0; j < 4; j++) {\n            a[i] += j;\n        }\n"
    made = only(interchange_loops, f"    for (int i = 0; i < n; i++) {{\n{inner}    }}\n")
    assert made == function(
        "    for (int j = 0; j < 4; j++) {\n        for (int i = 0; i < n; i++) {\n"
        "            a[i] += j;\n        }\n    }\n"
    )


def test_neighbours_over_one_range_are_fused() -> None:
    made = only(
        fuse_loops,
        "    for (int i = 0; i < n; i++) {\n        a[i] = i; // kept\n    }\n"
        "    for (int i = 0; i < n; i++) b[i] = a[i];\n",
    )
    assert made == function(
        "    for (int i = 0; i < n; i++) {\n        a[i] = i; // kept\n"
        "        b[i] = a[i];\n    }\n"
    )


def test_a_body_is_split_where_no_name_is_needed_later() -> None:
    made = only(
        split_loop,
        "    for (int i = 0; i < n; i++) {\n        int t = a[i];\n        b[i] = t;\n"
        "        a[i] = 0;\n    }\n",
    )
    assert made == function(
        "    for (int i = 0; i < n; i++) {\n        int t = a[i];\n        b[i] = t;\n    }\n"
        "    for (int i = 0; i < n; i++) {\n        a[i] = 0;\n    }\n"
    )


@pytest.mark.parametrize(
    ("edit", "body"),
    [
        (block_loop, "for (int i = 0; i < n; i++) { a[i] = 0; n--; }"),
        (block_loop, "for (int i = 0; i < n; i++) { a[i] = 0; i++; }"),
        (block_loop, "for (int i = 0; i < n; i++) { if (a[i]) break; }"),
        (block_loop, "for (int i = 0; i < next(); i++) { a[i] = 0; }"),
        (block_loop, "for (int i = 0; i < n; i += 2) { a[i] = 0; }"),
        (block_loop, "for (int i = n; i > 0; i--) { a[i] = 0; }"),
        (interchange_loops, "for (int i = 0; i < n; i++) { for (int j = 0; j < i; j++) g(); }"),
        (
            interchange_loops,
            "for (int i = 0; i < n; i++) { g(); for (int j = 0; j < 2; j++) g(); }",
        ),
        (fuse_loops, "for (int i = 0; i < n; i++) g();\n for (int i = 1; i < n; i++) g();"),
        (fuse_loops, "for (int i = 0; i < n; i++) g();\n g();\n for (int i = 0; i < n; i++) g();"),
        (fuse_loops, "for (; *a < n; n++) g();\n for (; *a < n; n++) g();"),
        (
            fuse_loops,
            "for (int i = 0; i < n; i++) { int t = 1; a[t] = i; }\n"
            "    for (int i = 0; i < n; i++) { b[i] = t; }",
        ),
        (split_loop, "for (int i = 0; i < n; i++) { if (a[i]) continue; b[i] = 1; }"),
        (split_loop, "for (int i = 0; i < n; i++) { int t = a[i]; b[i] = t; }"),
        (split_loop, "for (; n < 9; n++) { a[n] = 1; b[n] = 1; }"),
    ],
)
def test_loops_that_do_not_qualify_are_left_alone(edit, body: str) -> None:
    assert not results(edit, function(f"    {body}\n"), whole=True)
