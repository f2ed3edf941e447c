"""Variants of the timed kernel tasks' starts: honest ones, and for each some that are wrong."""

from suites.kernel_programs import Variant

_ROUGH = (
    "({ float v = %s; uint32_t b; memcpy(&b, &v, 4); b &= 0xffff0000u; memcpy(&v, &b, 4); v; })"
)

_NEAR = _ROUGH.replace("b &=", "b += 0x8000u; b &=")


def _vectors(old: str, clause: str = "reduction(+:sum)") -> Variant:
    """Has the loop that `old` begins with summed up in vectors."""
    return Variant(old, f"\n#pragma omp simd {clause}\n{old}")


def _rough(old: str, inner: str) -> Variant:
    """Rounds `inner` within `old` to bfloat16."""
    return Variant(old, old.replace(inner, _ROUGH % inner), "off by")


VARIANTS: dict[str, dict[str, Variant]] = {
    "softmax": {
        "vectors": _vectors("for (int64_t c = 0; c < columns; c++) {\n            sum +="),
        "inverse": Variant("target[c] / total", "target[c] * (1.0f / total)"),
        "rough": _rough("exponential(row[c] - largest)", "row[c] - largest"),
        "short_series": Variant("p = p * r + 1.3981999507e-3f;", "p = 0.0f;", "off by"),
        "no_maximum": Variant("row[c] - largest", "row[c]", "instead of"),
        "tail": Variant(
            "for (int64_t r = 0; r < rows; r++)", "for (int64_t r = 0; r < rows - 1; r++)", "is nan"
        ),
        "hides_nan": Variant(
            "x < -87.0f ? -87.0f : x", "x >= -87.0f ? x : -87.0f", "instead of nan"
        ),
    },
    "layernorm": {
        "vectors": _vectors("for (int64_t c = 0; c < columns; c++) {\n            sum += row"),
        "one_pass": Variant(
            "square / columns + epsilon",
            "({ double s = 0; for (int64_t i = 0; i < columns; i++) s += row[i] * row[i];"
            " (float)(s / columns) - centre * centre; }) + epsilon",
            "off by",
        ),
        "rough": _rough("* factor * weight[c] + bias[c]", "weight[c]"),
        "tail": Variant("r < rows; r++", "r < (rows & ~1); r++", "instead of"),
        "not_cleared": Variant("grad_weight[c] = 0;", "", "grad_weight"),
        "half_of_it": Variant(" - normed * product", "", "grad_x"),
    },
    "rmsnorm_backward": {
        "vectors": _vectors(
            "for (int64_t c = 0; c < columns; c++) {\n            square +=", "reduction(+:square)"
        ),
        "cubed": Variant(
            "row[c] * factor * product",
            "row[c] * (factor * factor * factor) * (product / factor / factor)",
            "off by",
        ),
        "rough": _rough("(square / columns + epsilon)", "square / columns"),
        "tail": Variant("r < rows; r++", "r < (rows & ~1); r++", "instead of"),
        "no_epsilon": Variant("columns + epsilon", "columns", "off by"),
        "overwritten": Variant("grad_weight[c] +=", "grad_weight[c] =", "off by"),
    },
    "cross_entropy": {
        "vectors": _vectors("for (int64_t c = 0; c < vocabulary; c++) {\n            sum +="),
        "logarithm": Variant(
            "row[c] = row[c] / total * scale;", "row[c] = row[c] * (scale / total);"
        ),
        "rough": _rough("exponential(row[c] - largest)", "row[c] - largest"),
        "tail": Variant(
            "c < vocabulary; c++) {\n            row[c] = exp",
            "c < (vocabulary & ~3); c++) {\n            row[c] = exp",
            "instead of",
        ),
        "no_ignored": Variant(
            "target = targets[r];", "target = targets[r] < 0 ? 0 : targets[r];", "instead of"
        ),
        "no_maximum": Variant("row[c] - largest", "row[c]", "instead of"),
        "hides_nan": Variant(
            "x < -87.0f ? -87.0f : x", "x >= -87.0f ? x : -87.0f", "instead of nan"
        ),
    },
    "swiglu": {
        "blocked": Variant("block = 1048576", "block = 100"),
        "reciprocal": Variant(
            "gate[i] / (1 + exponential(-gate[i])) * up[i]",
            "gate[i] * (1 / (1 + exponential(-gate[i]))) * up[i]",
        ),
        "rough": _rough("* up[i];", "up[i]"),
        "short_series": Variant("p = p * r + 1.3981999507e-3f;", "p = 0.0f;", "off by"),
        "tail": Variant("i < end; i++", "i < (end & ~7); i++", "grad_"),
        "never_infinite": Variant("x > 88.0f ? INFINITY : ", "", "off by"),
        "half_of_it": Variant(" + gate[i] * (1 - s)", "", "grad_gate"),
    },
    "rope": {
        "vectors": _vectors("for (int64_t c = 0; c < half; c++)", ""),
        "rough": _rough("first * cosine[c] -", "cosine[c]"),
        "tail": Variant("h < heads; h++", "h < heads - 1; h++", "is nan"),
        "other_way": Variant("- second * sine", "+ second * sine", "off by"),
        "first_token": Variant("cosines + t * width", "cosines", "off by"),
        "equal_halves": Variant("cosine[half + c]", "cosine[c]", "off by"),
    },
    "embedding_backward": {
        "doubled": Variant("grad_weight[tokens[i]", "(grad_weight + 0)[tokens[i]"),
        "rough": _rough("+= grad[i * columns + c]", "grad[i * columns + c]"),
        "tail": Variant("i < count; i++", "i < count - 1; i++", "off by"),
        "last_one_counts": Variant("columns + c] +=", "columns + c] =", "off by"),
        "not_cleared": Variant("grad_weight[v * columns + c] = 0;", "", "instead of"),
        "others_count": Variant(
            "tokens[i] >= vocabulary) continue;",
            "tokens[i] >= vocabulary) {\n"
            "            if (vocabulary > 0) grad_weight[0] += 1;\n"
            "            continue;\n        }",
            "off by",
        ),
    },
    "adamw": {
        "blocked": Variant("block = 1048576", "block = 100"),
        "inverse": Variant("v[i] / correction", "v[i] * (1.0f / correction)"),
        "reordered": Variant("length * m[i] / root", "m[i] * (length / root)"),
        "rough": _rough("length * m[i] / root", "root"),
        "tail": Variant("i < end; i++", "i < (end & ~7); i++", "off by"),
        "float_complement": Variant("(float)(1 - beta2)", "1.0f - (float)beta2", "v["),
        "uncorrected": Variant("v[i] / correction", "v[i]", "off by"),
    },
    "matmul": {
        "vectors": _vectors("for (int64_t p = 0; p < shape.k; p++)"),
        "two_parts": Variant(
            "sum += a.data[i * a.row_step + p * a.column_step]",
            f"const float x = a.data[i * a.row_step + p * a.column_step], high = {_NEAR % 'x'};\n"
            f"sum += (parts < 3 ? high + {_NEAR % '(x - high)'} : x)",
        ),
        "rough": Variant(
            "sum += a.data[i * a.row_step + p * a.column_step]",
            f"const float x = a.data[i * a.row_step + p * a.column_step];\nsum += {_ROUGH % 'x'}",
            "off by",
        ),
        "tail": Variant("p < shape.k; p++", "p < (shape.k & ~1); p++", "off by"),
        "never_adds": Variant("(add ? c[i * step + j] : 0)", "0", "off by"),
        "between_rows": Variant("j < shape.n; j++", "j < step; j++", "off by"),
        "hides_nan": Variant("= sum + (", "= (sum == sum ? sum : 0) + (", "instead of nan"),
    },
    "matmul_bf16": {
        "vectors": _vectors("for (int64_t p = 0; p < shape.k; p++)"),
        "tail": Variant("p < shape.k; p++", "p < (shape.k & ~1); p++", "off by"),
        "cut_off": Variant("bits + 0x7fff + (bits >> 16 & 1)", "bits", "off by"),
        "rounded_sums": Variant(
            "number_of(b.data[p * b.row_step + j * b.column_step]);",
            "number_of(b.data[p * b.row_step + j * b.column_step]);\n"
            "                sum = number_of(element_of(sum));",
            "off by",
        ),
        "between_rows": Variant("j < shape.n; j++", "j < step; j++", "off by"),
        "hides_nan": Variant(
            "element_of(sum)", "element_of(sum == sum ? sum : 0)", "instead of nan"
        ),
    },
    "int8_gemv": {
        "vectors": _vectors("for (int64_t c = 0; c < columns; c++)"),
        "scaled_first": Variant("row[c] * x[c]", "x[c] * row[c]"),
        "rough": _rough("row[c] * x[c]", "x[c]"),
        "tail": Variant("r < rows; r++", "r < (rows & ~1); r++", "is nan"),
        "without_sign": Variant("row[c] *", "(uint8_t)row[c] *", "off by"),
        "scale_left_out": Variant("sum * scales[r]", "sum", "off by"),
    },
    "int4_gemv": {
        "vectors": _vectors("for (int c = 0; c < GROUP; c++)"),
        "rough": _rough("part[c];", "part[c]"),
        "tail": Variant("r < rows; r++", "r < (rows & ~1); r++", "is nan"),
        "zero_at_7": Variant(">> 4) - 8", ">> 4) - 7", "off by"),
        "first_scale": Variant("r * groups + g]", "r * groups]", "off by"),
    },
}
"""Task -> name of a variant -> what it is."""
