"""Tiles of sums and split reductions, on products of every kind, compiled and compared."""

import re
import shutil

import pytest

from breeder.proposers.edits.contractions import contractions
from breeder.proposers.edits.lanes import split_reduction
from breeder.proposers.edits.tiles import tile_contraction
from breeder.proposers.sites import sites
from breeder.proposers.trees import read

from .variants import first_wrong, results

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")

HEAD = "static void work(const float *a, const float *b, float *c, int n, int m, int k)\n{\n"
PRODUCTS = {
    "rows, columns, terms": """    for (int i = 0; i < n; i++) {
        for (int j = 0; j < m; j++) {
            float sum = c[i * m + j];
            for (int t = 0; t < k; t++) {
                sum += a[i * k + t] * b[t * m + j];
            }
            c[i * m + j] = sum;
        }
    }
""",
    "rows, terms, columns": """    for (int i = 0; i < n; i++)
        for (int t = 0; t < k; t++)
            for (int j = 0; j < m; j++)
                c[i * m + j] += a[i * k + t] * b[t * m + j];
""",
    "terms, rows, columns": """    for (int t = 0; t < k; t++) {
        const float *row = b + t * m;
        for (int i = 0; i < n; i++) {
            float *target = c + i * m;
            for (int j = 0; j < m; j++) {
                target[j] -= a[i * k + t] * row[j];
            }
        }
    }
""",
    "transposed, from 1 on": """    for (int i = 1; i < n; i++) {
        const float *row = a + i * k;
        for (int j = 1; j < m - 1; j++) {
            const float *column = &b[j * k];
            float sum = 0.5f;
            for (int t = 1; t < k; t++) {
                sum += row[t] * column[t];
            }
            c[i * m + j] = 2 * sum;
            c[i * m + j] += 1;
        }
    }
""",
    "a matrix times a vector": """    for (int i = 0; i < n; i++) {
        float sum = 0.0f;
        for (int t = 0; t < k; t++) {
            sum += a[i * k + t] * b[t];
        }
        c[i] = 3 * sum;
    }
""",
    "in blocks of one": """    const int block = 1; // rows
    for (int begin = 0; begin < n; begin += block) {
        const int end = begin + block < n ? begin + block : n;
        for (int i = begin; i < end; i++) {
            for (int j = 0; j < m; j++) {
                float sum = 0.0f;
                for (int t = 0; t < k; t++) {
                    sum += a[i * k + t] * b[j * k + t];
                }
                c[i * m + j] = sum;
            }
        }
    }
""",
}
REDUCTION = """    float largest = a[0];
    for (int i = 1; i < n; i++) {
        largest = a[i] > largest ? a[i] : largest;
    }
    float sum = 1.0f;
    double other = 0.0;
    for (int i = 0; i < n - 1; i++) {
        const float g = a[i] * b[i];
        sum += g;
        other += a[i] * g;
    }
    c[0] = largest;
    c[1] = sum;
    c[2] = (float)other;
"""
SIGNATURE = "void (*)(const float *, const float *, float *, int, int, int)"
# Small whole numbers, so that sums are equal in any order.
COMPARED = f"""static bool differs({SIGNATURE.replace("(*)", "(*variant)")})
{{
    static const int sizes[][3] = {{
        {{1, 1, 1}}, {{5, 3, 2}}, {{2, 37, 9}}, {{13, 70, 33}}, {{26, 130, 67}},
    }};
    for (const auto &size : sizes) {{
        const int n = size[0], m = size[1], k = size[2];
        static float a[9000], b[9000], c[9000], expected[9000];
        for (int i = 0; i < 9000; i++) {{
            a[i] = i * i % 11 - 4;
            b[i] = i * 7 % 13 - 6;
            c[i] = expected[i] = i % 5;
        }}
        start::work(a, b, expected, n, m, k);
        variant(a, b, c, n, m, k);
        if (std::memcmp(c, expected, sizeof c)) return true;
    }}
    return false;
}}
"""


def found_in(body: str):
    source = read(HEAD + body + "}\n", "cpp", whole=True)
    return contractions(source, sites(source))


@needs_compiler
@pytest.mark.parametrize("kind", PRODUCTS)
def test_a_tiled_product_is_the_same(kind: str) -> None:
    start = HEAD + PRODUCTS[kind] + "}\n"
    made = results(tile_contraction, start, seeds=16, whole=True)
    assert len(made) > 6
    assert first_wrong(start, made, SIGNATURE, COMPARED) == -1


@needs_compiler
def test_split_reductions_are_the_same() -> None:
    start = HEAD + REDUCTION + "}\n"
    made = results(split_reduction, start, seeds=24, whole=True)
    assert {len(re.findall(r"const int lanes1 = \d+;", text)) for text in made} == {1, 2}
    assert first_wrong(start, made, SIGNATURE, COMPARED) == -1


def test_what_a_tile_is_made_of_is_left_alone() -> None:
    start = HEAD + PRODUCTS["rows, columns, terms"] + "}\n"
    for text in results(tile_contraction, start, whole=True):
        assert not results(tile_contraction, text, whole=True)
        assert not results(split_reduction, text, whole=True)


@needs_compiler
def test_a_tile_that_reads_the_wrong_row_is_noticed() -> None:
    start = HEAD + PRODUCTS["rows, columns, terms"] + "}\n"
    made = results(tile_contraction, start, seeds=4, whole=True)
    wrong = [text.replace("(i + row1) * k", "i * k") for text in made]
    assert wrong != made
    assert first_wrong(start, wrong, SIGNATURE, COMPARED) >= 0


def test_rows_columns_and_terms_are_told_by_what_the_target_depends_on() -> None:
    ways = {
        kind: {(f.rows.name, f.columns and f.columns.name, f.terms.name) for f in found_in(body)}
        for kind, body in PRODUCTS.items()
    }
    for kind in ("rows, columns, terms", "rows, terms, columns", "terms, rows, columns"):
        assert (b"i", b"j", b"t") in ways[kind]
    assert ways["a matrix times a vector"] == {(b"i", None, b"t")}


def test_operands_that_lie_apart_are_copied_and_blocks_make_room() -> None:
    made = results(tile_contraction, HEAD + PRODUCTS["in blocks of one"] + "}\n", whole=True)
    tiles = [text for text in made if "columns1" in text]
    assert any("packed1a" in text for text in tiles)
    for text in tiles:
        rows = int(re.search(r"rows1 = (\d+);", text).group(1))
        block = int(re.search(r"block = (\d+);", text).group(1))
        assert block % rows == 0


@pytest.mark.parametrize(
    "body",
    [
        # A range that differs from row to row.
        "for (int i = 0; i < n; i++)\n for (int j = 0; j < i; j++)\n for (int t = 0; t < k; t++)\n"
        " c[i * m + t] += a[i] * b[t];",
        # The target is the same in every iteration.
        "for (int i = 0; i < n; i++)\n for (int t = 0; t < k; t++)\n for (int j = 0; j < m; j++)\n"
        " c[0] += a[i] * b[j];",
        # Something else happens in the nest.
        "for (int i = 0; i < n; i++) {\n float s = 0;\n c[i] = 1;\n for (int t = 0; t < k; t++)"
        " s += a[t];\n c[i] = s;\n}",
        # The sum is read while it is made.
        "for (int i = 0; i < n; i++) {\n float s = 1;\n for (int t = 0; t < k; t++)"
        " s += s * a[t];\n c[i] = s;\n}",
        # It counts down.
        "for (int i = n; i > 0; i--) {\n float s = 0;\n for (int t = 0; t < k; t++)"
        " s += a[t];\n c[i] = s;\n}",
    ],
)
def test_other_nests_are_left_alone(body: str) -> None:
    assert not found_in(body + "\n")


def test_in_c_only_sums_of_a_declared_type_are_tiled() -> None:
    texts = {kind: HEAD + body + "}\n" for kind, body in PRODUCTS.items()}
    assert not results(tile_contraction, texts["rows, terms, columns"], language="c", whole=True)
    made = results(tile_contraction, texts["rows, columns, terms"], language="c", whole=True)
    assert made
    assert all("decltype" not in text for text in made)
