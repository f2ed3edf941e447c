"""Bodies for kernels/rmsnorm written by hand: honest ones, and one for each way to be wrong."""

HONEST = {
    "unrolled": """
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
        int64_t c = 0;
        for (; c + 4 <= columns; c += 4) {
            s0 += row[c] * row[c];
            s1 += row[c + 1] * row[c + 1];
            s2 += row[c + 2] * row[c + 2];
            s3 += row[c + 3] * row[c + 3];
        }
        for (; c < columns; c++) s0 += row[c] * row[c];
        const float factor = 1.0f / sqrtf(((s0 + s1) + (s2 + s3)) / columns + epsilon);
        for (c = 0; c < columns; c++) target[c] = row[c] * factor * weight[c];
    }
""",
    "restricted": """
    const float *__restrict from = x;
    const float *__restrict scales = weight;
    float *__restrict to = out;
    for (int64_t r = 0; r < rows; r++, from += columns, to += columns) {
        float sum = 0.0f;
        for (int64_t c = 0; c < columns; c++) sum += from[c] * from[c];
        const float factor = 1.0f / sqrtf(sum / columns + epsilon);
        for (int64_t c = 0; c < columns; c++) to[c] = from[c] * (factor * scales[c]);
    }
""",
    "simd_pragma": """
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        float sum = 0.0f;
        #pragma omp simd reduction(+:sum)
        for (int64_t c = 0; c < columns; c++) sum += row[c] * row[c];
        const float factor = 1.0f / sqrtf(sum / columns + epsilon);
        #pragma omp simd
        for (int64_t c = 0; c < columns; c++) target[c] = row[c] * factor * weight[c];
    }
""",
    "vector_extensions": """
    typedef float vec __attribute__((vector_size(64)));
    typedef float loose __attribute__((vector_size(64), aligned(4), may_alias));
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        vec sums = {0}, more = {0};
        int64_t c = 0;
        for (; c + 32 <= columns; c += 32) {
            const vec a = *(const loose *)(row + c), b = *(const loose *)(row + c + 16);
            sums += a * a;
            more += b * b;
        }
        sums += more;
        float sum = 0.0f;
        for (int i = 0; i < 16; i++) sum += sums[i];
        for (; c < columns; c++) sum += row[c] * row[c];
        const float factor = 1.0f / sqrtf(sum / columns + epsilon);
        for (c = 0; c + 16 <= columns; c += 16)
            *(loose *)(target + c) =
                *(const loose *)(row + c) * factor * *(const loose *)(weight + c);
        for (; c < columns; c++) target[c] = row[c] * factor * weight[c];
    }
""",
    "two_pass": """
    for (int64_t r = 0; r < rows; r++) {
        float sum = 0.0f;
        for (int64_t c = 0; c < columns; c++) sum += x[r * columns + c] * x[r * columns + c];
        out[r * columns] = 1.0f / sqrtf(sum / columns + epsilon);
    }
    for (int64_t r = 0; r < rows; r++) {
        const float factor = out[r * columns];
        for (int64_t c = 0; c < columns; c++)
            out[r * columns + c] = x[r * columns + c] * factor * weight[c];
    }
""",
    "blocked": """
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float sum = 0.0f;
        for (int64_t begin = 0; begin < columns; begin += 64) {
            const int64_t end = begin + 64 < columns ? begin + 64 : columns;
            float part = 0.0f;
            for (int64_t c = begin; c < end; c++) part += row[c] * row[c];
            sum += part;
        }
        const float factor = 1.0f / sqrtf(sum / columns + epsilon);
        for (int64_t c = 0; c < columns; c++) out[r * columns + c] = row[c] * factor * weight[c];
    }
""",
    "divided": """
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0.0;
        for (int64_t c = columns - 1; c >= 0; c--) {
            sum += (double)x[r * columns + c] * x[r * columns + c];
        }
        const float root = (float)sqrt(sum / columns + epsilon);
        for (int64_t c = 0; c < columns; c++)
            out[r * columns + c] = x[r * columns + c] / root * weight[c];
    }
""",
    "newton": """
    for (int64_t r = 0; r < rows; r++) {
        float sum = 0.0f;
        for (int64_t c = 0; c < columns; c++) sum += x[r * columns + c] * x[r * columns + c];
        const float mean = sum / columns + epsilon;
        float factor = 1.0f / sqrtf(mean);
        uint32_t bits;
        memcpy(&bits, &factor, 4);
        bits &= 0xfffff800u;
        memcpy(&factor, &bits, 4);
        if (mean < 1e38f) factor = factor * (1.5f - 0.5f * mean * factor * factor);
        for (int64_t c = 0; c < columns; c++)
            out[r * columns + c] = x[r * columns + c] * factor * weight[c];
    }
""",
}
"""Each computes the same within float32 rounding; `newton` refines a 12-bit reciprocal root."""

_LOOPS = """
    for (int64_t r = 0; r < rows; r++) {{
        const float *row = x + r * columns;
        float *target = out + r * columns;
        float sum = 0.0f;
        for (int64_t c = 0; c < columns; c += {stride}) sum += {term};
        float factor = 1.0f / sqrtf(sum / columns{epsilon});
        {after_factor}
        for (int64_t c = 0; c < {last}; c++) target[c] = {value};
        {after_row}
    }}
    {after_all}
"""


def _wrong(**changes: str) -> str:
    parts = {
        "stride": "1",
        "term": "row[c] * row[c]",
        "epsilon": " + epsilon",
        "after_factor": "",
        "last": "columns",
        "value": "row[c] * factor * weight[c]",
        "after_row": "",
        "after_all": "",
    }
    return _LOOPS.format(**{**parts, **changes})


_TRUNCATE = (
    """uint32_t bits; memcpy(&bits, &factor, 4); bits &= {mask}u; memcpy(&factor, &bits, 4);"""
)

WRONG = {
    "rough_root": (_wrong(after_factor=_TRUNCATE.format(mask="0xfffff000")), "off by"),
    "bfloat16": (
        _wrong(
            value="""({ float v = row[c] * factor * weight[c]; uint32_t b; memcpy(&b, &v, 4);
                b &= 0xffff0000u; memcpy(&v, &b, 4); v; })"""
        ),
        "off by",
    ),
    "half_sum": (
        _wrong(
            term="""({ float v = row[c]; uint32_t b; memcpy(&b, &v, 4);
                b &= 0xffff0000u; memcpy(&v, &b, 4); v * v; })"""
        ),
        "off by",
    ),
    "sampled": (_wrong(stride="2", term="2 * row[c] * row[c]"), "off by"),
    "no_epsilon": (_wrong(epsilon=""), "off by"),
    "last_column": (_wrong(last="columns - 1"), "is nan instead of"),
    "overrun": (_wrong(after_all="out[rows * columns] = 0.0f;"), "beyond the end of out"),
    "scratch_in_input": (
        _wrong(after_row="((float *)row)[0] = factor;"),
        "argument 1 is an input, but was written to",
    ),
    "scratch_in_weight": (
        _wrong(after_all="((float *)weight)[columns - 1] += 1.0f;"),
        "argument 2 is an input, but was written to",
    ),
}
"""Name -> (body, what the refusal says)."""

MEMOISED = """
    static const float *seen_x;
    static float *seen_out;
    static float first;
    if (x == seen_x && out == seen_out && x[0] == first) return;
    seen_x = x; seen_out = out; first = x[0];
""" + HONEST["unrolled"]
"""Right when called with anything new: no fault to find, and nothing to gain."""

STALE = (
    """
    static float kept[1 << 16];
    static int64_t size;
    if (size == rows * columns) {
        memcpy(out, kept, (size_t)size * 4);
        return;
    }
"""
    + HONEST["unrolled"]
    + """
    size = rows * columns;
    if (size <= 1 << 16) memcpy(kept, out, (size_t)size * 4);
"""
)
"""Answers with its previous output where the size is the same."""

NOT_A_NUMBER = _wrong(
    after_factor="if (sum != sum) factor = 0.0f;",
    value="""
    (row[c] != row[c] ? 0.0f : row[c] * factor * weight[c])""",
)
"""Hides NaN: only extreme inputs tell."""
