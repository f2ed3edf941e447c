"""Arithmetic that compilers leave alone: reciprocals and an exponential without a call."""

import shutil

import pytest

from breeder.proposers.edits.arithmetic import expand_exponential, hoist_reciprocal

from .variants import first_wrong, results

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")

HEAD = "static void work(const float *a, const float *b, float *c, int n, int m, int k)\n{\n"
SIGNATURE = "void (*)(const float *, const float *, float *, int, int, int)"
EXPONENTIALS = """    for (int i = 0; i < n; i++)
        c[i] = expf(a[i]) + std::exp(b[i]);
"""
# Within 2 ulp of the library's, with what lies outside of a float's range.
NEAR = f"""static bool differs({SIGNATURE.replace("(*)", "(*variant)")})
{{
    static float a[20000], b[20000], c[20000];
    for (int i = 0; i < 20000; i++) {{
        a[i] = -87.0f + i * 0.00875f;
        b[i] = -200.0f;
    }}
    a[0] = NAN; a[1] = INFINITY; a[2] = 500.0f; a[3] = -INFINITY; a[4] = -500.0f;
    variant(a, b, c, 20000, 0, 0);
    if (!std::isnan(c[0]) || !std::isinf(c[1]) || !std::isinf(c[2])) return true;
    if (!(c[3] < 1e-36f) || !(c[4] < 1e-36f)) return true;
    for (int i = 5; i < 20000; i++)
        if (!(std::fabs(c[i] - std::exp((double)a[i])) <= 2.4e-7 * std::exp((double)a[i]) + 4e-38))
            return true;
    return false;
}}
"""


@needs_compiler
def test_the_expanded_exponential_is_right_for_every_float() -> None:
    start = HEAD + EXPONENTIALS + "}\n"
    (made,) = results(expand_exponential, start, whole=True)
    assert "expf(" not in made
    assert "std::exp" not in made
    assert first_wrong(start, [made], SIGNATURE, NEAR) == -1
    assert first_wrong(start, [made.replace("8.3334519073e-3f", "8.3e-3f")], SIGNATURE, NEAR) == 0


def test_only_calls_of_the_exponential_within_a_function_of_the_region_are_expanded() -> None:
    assert not results(expand_exponential, HEAD + "    c[0] = expm1f(a[0]);\n}\n", whole=True)
    frozen = "void f(float *a)\n{\n    // EVOLVE-BLOCK-START\n    a[0] = expf(a[1]);\n"
    assert not results(expand_exponential, frozen + "    // EVOLVE-BLOCK-END\n}\n")


def test_a_comment_stays_with_its_function() -> None:
    text = "// EVOLVE-BLOCK-START\nint k;\n// What it\n// does.\nfloat f(float x)\n{\n"
    text += "    return expf(x);\n}\n// EVOLVE-BLOCK-END\n"
    (made,) = results(expand_exponential, text)
    assert "int k;\n// exp(x)" in made
    assert "}\n\n// What it\n// does.\nfloat f(float x)\n" in made
    (bare,) = results(expand_exponential, text.replace("int k;\n// What it\n// does.\n", ""))
    assert bare.startswith("// EVOLVE-BLOCK-START\n// exp(x)")


def test_a_divisor_that_stays_is_divided_by_once() -> None:
    body = """    float total = a[0];
    #pragma GCC ivdep
    for (int i = 0; i < n; i++) {
        c[i] = a[i] / total;
        c[i + 1] /= total;
        float other = b[i];
        c[i] = c[i] / other / i / (total + 1);
    }
"""
    (made,) = results(hoist_reciprocal, HEAD + body + "}\n", whole=True)
    assert (
        made
        == HEAD
        + body.replace("a[i] / total", "a[i] * inverse1")
        .replace("/= total", "*= inverse1")
        .replace("    #pragma", "    const auto inverse1 = 1 / total;\n    #pragma")
        + "}\n"
    )


def test_in_c_a_reciprocal_is_declared_as_c_does() -> None:
    body = "    double d = 3;\n    for (int i = 0; i < n; i++)\n        c[i] = a[i] / d;\n"
    (made,) = results(hoist_reciprocal, HEAD + body + "}\n", language="c", whole=True)
    assert "const __auto_type inverse1 = 1 / d;" in made


def test_whole_numbers_have_no_reciprocal() -> None:
    body = "    for (int i = 0; i < n; i++)\n        c[i] = a[i / n];\n"
    assert not results(hoist_reciprocal, HEAD + body + "}\n", whole=True)
