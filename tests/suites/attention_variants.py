"""Changes to the start of kernels/flash_attention_forward: honest ones, and ways to be wrong."""

Change = tuple[str, str]

HONEST: dict[str, list[Change]] = {
    "vectors": [("for (int64_t d = 0; d < shape.width; d++) {\n                        sum",
                 "\n#pragma omp simd reduction(+:sum)\n"
                 "for (int64_t d = 0; d < shape.width; d++) {\n                        sum")],
    "blocked": [
        ("QUERY_BLOCK = 1", "QUERY_BLOCK = 5"),
        ("KEY_BLOCK = 1", "KEY_BLOCK = 48"),
    ],
    "divided_last": [
        ("row[j] /= sum;", ""),
        ("target[d] = 0.0f;", "target[d] = 0.0f; row[seen - 1] += 0.0f;"),
        ("row[j] * value[d]", "row[j] / total * value[d]"),
        ("const float *row = &scores[(i - begin) * shape.keys];\n                float *target",
         "const float *row = &scores[(i - begin) * shape.keys];\n"
         "                float total = 0.0f;\n"
         "                for (int64_t j = 0; j < keys; j++) total += row[j];\n"
         "                float *target"),
    ],
    "double_sums": [("float sum = 0.0f;\n    for (int64_t j = 0; j < count",
                     "double sum = 0.0;\n    for (int64_t j = 0; j < count")],
}  # fmt: skip
"""Each computes the same within float32 rounding."""

WRONG: dict[str, tuple[list[Change], str]] = {
    "overflowing": ([("    largest = scores[0];", "    largest = 0.0f; return [&] { float s = 0.0f;"
                      " for (int64_t j = 0; j < count; j++) s += scores[j] = expf(scores[j]);"
                      " return s; }();")], "instead of"),
    "sees_the_future": ([("shape.causal && end < shape.keys ? end : shape.keys", "shape.keys"),
                         ("shape.causal && i + 1 < keys ? i + 1 : keys", "keys")], "off by"),
    "unscaled": ([("shape.scale *", "1.0f *")], "off by"),
    "other_heads": ([("h / group * strides[1]", "h % shape.kv_heads * strides[1]")], "off by"),
    "dense": ([("k + j * strides[1].row", "k + j * shape.width")], "instead of"),
    "no_sums": ([("logsumexp[i] = largest + logf(sum);", "")], "logsumexp"),
    "sums_of_largest": ([("largest + logf(sum)", "largest")], "logsumexp"),
    "beyond_the_end": ([("float *target = out + i * strides[3].row;\n            for",
                         "float *target = out + i * strides[3].row; target[shape.width] = 0.0f;\n"
                         "            for")], "beyond the end of out"),
    "bfloat16_weights": ([("row[j] /= sum;",
                           "row[j] /= sum; { uint32_t bits; memcpy(&bits, row + j, 4);"
                           " bits = (bits + 0x8000u) & 0xffff0000u; memcpy(row + j, &bits, 4); }")],
                         "out"),
    "float16_weights": ([("row[j] /= sum;",
                          "row[j] /= sum; { uint32_t bits; memcpy(&bits, row + j, 4);"
                          " bits = (bits + 0x1000u) & 0xffffe000u; memcpy(row + j, &bits, 4); }")],
                        "out"),
    "rough_exponential": ([("expf(scores[j] - largest)",
                            "powf(fmaxf(1.0f + (scores[j] - largest) / 1024, 0.0f), 1024.0f)")],
                          "off by"),
    "forgets_small_ones": ([("scores[j] = expf(scores[j] - largest);",
                             "scores[j] = scores[j] < largest - 8.0f ? 0.0f :"
                             " expf(scores[j] - largest);")], "o"),
}  # fmt: skip
"""Each way to be wrong with a part of the sentence that refuses it."""


def changed(text: str, changes: list[Change]) -> str:
    """The start with some of its text replaced, each exactly once."""
    for before, after in changes:
        assert text.count(before) == 1, f"{text.count(before)} times: {before}"
        text = text.replace(before, after)
    return text
