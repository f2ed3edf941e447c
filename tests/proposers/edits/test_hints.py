import random
import re

import pytest

from breeder.proposers.edits.change import Material, apply
from breeder.proposers.edits.hints import (
    align_array,
    change_pragma,
    change_restrict,
    change_width,
    vectorise_loops,
)
from breeder.proposers.trees import parses, read


def results(edit, text: str, *, language: str = "cpp", seeds: int = 60) -> set[str]:
    """The distinct texts that an edit makes; all of them parse."""
    source = read(text, language, whole=True)
    assert source is not None
    made = set()
    for seed in range(seeds):
        found = edit(Material(source, (source,), random.Random(seed)))
        if found is not None:
            after = apply(source.text, found.changes)
            assert after is not None
            assert parses(after, language)
            made.add(after.decode())
    return made


def pragmas(body: str) -> set[str]:
    """The pragmas that are put before the only loop of a function."""
    made = results(change_pragma, f"void f(float *x, int n)\n{{\n    {body}\n}}\n")
    found = [re.findall(r"(?m)^    #pragma (.*)\n    for ", text) for text in made]
    assert all(len(one) == 1 for one in found)
    return {one[0] for one in found}


UNROLLED = {f"GCC unroll {k}" for k in (2, 4, 8, 16)}


@pytest.mark.parametrize(
    ("body", "simd"),
    [
        ("for (int i = 0; i < n; i++) x[i] = 0;", "omp simd"),
        ("for (int i = 0; i < n; i++) { float t = x[i]; t += 1; x[i] = t; }", "omp simd"),
        ("for (int i = 0; i < n; i++) s += x[i];", "omp simd reduction(+:s)"),
        (
            "for (int i = 0; i < n; i++) { s += x[i]; p *= 2; }",
            "omp simd reduction(*:p) reduction(+:s)",
        ),
        ("for (int i = 0; i < n; i++) m = x[i] > m ? x[i] : m;", "omp simd reduction(max:m)"),
        ("for (int i = 0; i < n; i++) m = m > x[i] ? x[i] : m;", "omp simd reduction(min:m)"),
        ("for (int i = 0; i < n; i++) m = x[i] < m ? x[i] : m;", "omp simd reduction(min:m)"),
        ("for (int i = 0; i < n; i++) m = x[i] > 0 ? x[i] : m;", ""),
        ("for (int i = 0; i < n; i++) { s += x[i]; s *= 2; }", ""),
        ("for (int i = 0; i < n; i++) s += s * x[i];", ""),
        ("for (int i = 0; i < n; i++) last = x[i];", ""),
        ("for (int i = 0; i < n; i++) if (x[i] > 0) break;", ""),
        ("for (; n < 9; n++) x[n] = 0;", ""),
    ],
)
def test_pragmas_fit_their_loop(body: str, simd: str) -> None:
    wide = {f"{simd} simdlen({width})" for width in (8, 16, 32)}
    found = pragmas(body)
    assert found - wide == UNROLLED | {"GCC ivdep"} | ({simd} if simd else set())
    assert bool(found & wide) == bool(simd)


def test_all_innermost_loops_of_a_function_are_vectorised_alike() -> None:
    loops = (
        "    for (int i = 0; i < n; i++) {\n        for (int j = 0; j < n; j++)\n"
        "            s += x[i + j];\n    }\n    for (int i = 0; i < n; i++)\n        x[i] = s;\n"
        "    #pragma GCC ivdep\n    for (int i = 0; i < n; i++)\n        x[i] += s;\n"
    )
    made = results(vectorise_loops, f"void f(float *x, float s, int n)\n{{\n{loops}}}\n")
    assert {text.count("simdlen(16)") for text in made} == {0, 2}
    for text in made:
        assert text.count("#pragma omp simd") == 2
        assert "reduction(+:s)" in text


def test_the_width_of_all_vectors_of_a_function_is_changed_at_once() -> None:
    loop = "    for (int i = 0; i < n; i++)\n        x[i] = 0;\n"
    some = "    #pragma omp simd simdlen(8)\n" + loop + "    #pragma omp simd\n" + loop
    bare = "    #pragma GCC ivdep\n" + loop
    made = results(change_width, f"void f(float *x, int n)\n{{\n{some}{bare}}}\n")
    found = {tuple(re.findall(r"(?m)^    #pragma omp simd(.*)$", text)) for text in made}
    widths = ("", " simdlen(8)", " simdlen(16)", " simdlen(32)")
    assert found == {(width, width) for width in widths}
    assert all("ivdep\n" in text for text in made)
    assert not results(change_width, f"void f(float *x, int n)\n{{\n{bare}}}\n")


def test_a_pragma_is_replaced_or_removed_and_never_doubled() -> None:
    bare = "void f(float *x, int n)\n{\n    for (; n < 9; n++) x[n] = 0;\n}\n"
    made = results(change_pragma, bare.replace("    for", "    #pragma GCC ivdep\n    for"))
    assert bare in made
    assert all(text.count("#pragma") == 1 for text in made - {bare})
    assert len(made) == 1 + len(UNROLLED)


def test_restrict_is_added_to_parameters_and_locals_and_removed_again() -> None:
    text = "void f(const float *x, float *y, float (*g)(float), int n) { float *z = y + n; }\n"
    made = results(change_restrict, text)
    every = text.replace("*x", "*__restrict__ x").replace("*y", "*__restrict__ y")
    every = every.replace("*z", "*__restrict__ z")
    assert every in made
    assert text.replace("*x", "*__restrict__ x") in made
    assert "(*g)" in every
    assert text in results(change_restrict, every)
    assert results(change_restrict, "int f(int a) { return a; }\n") == set()


@pytest.mark.parametrize(("language", "word"), [("cpp", "alignas"), ("c", "_Alignas")])
def test_an_array_is_aligned_and_no_longer(language: str, word: str) -> None:
    text = "void f(void)\n{\n    int i = 3;\n    float sums[8] = {0};\n}\n"
    aligned = text.replace("float sums", f"{word}(64) float sums")
    assert results(align_array, text, language=language) == {aligned}
    assert results(align_array, aligned, language=language) == {text}
