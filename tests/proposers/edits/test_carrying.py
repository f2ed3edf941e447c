"""Sums carried over the iterations of an outer loop: compiled, and compared with what they were."""

import re
import shutil

import pytest

from breeder.proposers.edits.carrying import carry_sums

from .variants import first_wrong, results

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")

HEAD = "static void work(const float *a, const float *b, float *c, int n, int k)\n{\n"
SUMS = {
    "groups with a scale": """    float total = 2.0f;
    for (int g = 0; g < n; g++) {
        const float *group = a + g * 8;
        float sum = 0.0f;
        for (int i = 0; i < 8; i++) {
            sum += group[i] * b[i];
        }
        total += sum * b[g];
    }
    c[0] = total;
""",
    "the scale first, and taken away": """    for (int g = 1; g < n; g++) {
        float sum = 0;
        for (int i = 2; i < k; i++) sum -= a[g * k + i];
        c[3] += (b[g] + 1) * sum;
    }
""",
    "without a scale": """    float total = c[1];
    for (int g = 0; g < n; g++) {
        float sum = 0.f;
        for (int i = 0; i < k; i++) {
            sum += a[g * k + i] * b[i];
        }
        total += sum;
    }
    c[1] = total;
""",
}
LEFT_ALONE = {
    "a total for each": ("c[3] += (b[g] + 1) * sum", "c[g] += (b[g] + 1) * sum"),
    "no factor": ("c[3] += (b[g] + 1) * sum", "c[3] += (b[g] + 1) + sum"),
    "a square": ("c[3] += (b[g] + 1) * sum", "c[3] += sum * sum"),
    "a start other than 0": ("float sum = 0;", "float sum = 1;"),
    "another use": ("c[3] += (b[g] + 1) * sum", "c[3] = (b[g] + 1) * sum"),
}
SIGNATURE = "void (*)(const float *, const float *, float *, int, int)"
# Small whole numbers, so that sums are equal in any order.
COMPARED = f"""static bool differs({SIGNATURE.replace("(*)", "(*variant)")})
{{
    for (int n = 0; n < 9; n++) for (int k = 0; k < 40; k += 3) {{
        float a[400], b[400], c[9], expected[9];
        for (int i = 0; i < 400; i++) {{
            a[i] = i * i % 11 - 4;
            b[i] = i * 7 % 13 - 6;
            if (i < 9) c[i] = expected[i] = i % 5;
        }}
        start::work(a, b, expected, n, k);
        variant(a, b, c, n, k);
        if (std::memcmp(c, expected, sizeof c)) return true;
    }}
    return false;
}}
"""


@needs_compiler
@pytest.mark.parametrize("kind", SUMS)
def test_carried_sums_are_the_same(kind: str) -> None:
    start = HEAD + SUMS[kind] + "}\n"
    made = results(carry_sums, start, seeds=12, whole=True)
    assert len({re.search(r"simd.*", text).group() for text in made}) == len(made) > 2
    assert all(text.count("carried1[i] ") >= 2 for text in made)
    assert first_wrong(start, made, SIGNATURE, COMPARED) == -1


@needs_compiler
def test_a_factor_that_is_lost_is_noticed() -> None:
    start = HEAD + SUMS["groups with a scale"] + "}\n"
    wrong = [text.replace(" * (b[g])", "") for text in results(carry_sums, start, whole=True)]
    assert first_wrong(start, wrong[:1], SIGNATURE, COMPARED) == 0


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_other_sums_are_left_alone(kind: str) -> None:
    old, new = LEFT_ALONE[kind]
    text = HEAD + SUMS["the scale first, and taken away"] + "}\n"
    assert results(carry_sums, text, whole=True)
    assert not results(carry_sums, text.replace(old, new), whole=True)
