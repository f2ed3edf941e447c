"""Changes to the starts of the later attention tasks: honest ones, and ways to be wrong."""

from suites.kernel_programs import Variant


def rounding(old: str, new: str, refusal: str = "") -> Variant:
    """A change that rounds something to bfloat16 by `rounded`."""
    return Variant(old, new.replace("rounded(", "number_of(element_of("), refusal)


FORWARD_BF16 = {
    "lanes": Variant("LANES = 1;", "LANES = 8;"),
    "blocked": Variant("KEY_BLOCK = 1;", "KEY_BLOCK = 48;"),
    "weights_rounded_once": rounding("row[j] /= sum;", "row[j] = rounded(row[j] / sum));"),
    "logits_rounded": rounding(
        "row[j] = shape.scale *\n                             dot(q + i * strides[0].row, "
        "k + j * strides[1].row, shape.width);",
        "row[j] = rounded(shape.scale * dot(q + i * strides[0].row, k + j * strides[1].row,"
        " shape.width)));",
        "o",
    ),
    "sums_rounded": rounding(
        "target[d] += row[j] * number_of(value[d]);",
        "target[d] = rounded(target[d] + row[j] * number_of(value[d])));",
        "out",
    ),
    "weights_of_four_bits": Variant(
        "row[j] /= sum;",
        "row[j] = number_of(element_of(row[j] / sum) + 8 & 0xfff0);",
        "out",
    ),
    "sees_the_future": Variant("causal != 0", "false", "off by"),
    "truncates": Variant("bits + 0x7fff + (bits >> 16 & 1)", "bits", "out"),
    "unscaled": Variant("row[j] = shape.scale *", "row[j] = 1.0f *", "o"),
}

BACKWARD = {
    "lanes": Variant("LANES = 1;", "LANES = 8;"),
    "blocked": Variant("KEY_BLOCK = 1;", "KEY_BLOCK = 24;"),
    "double_dots": Variant(
        "float sum = 0.0f;\n    for (; d < width", "double sum = 0.0;\n    for (; d < width"
    ),
    "without_delta": Variant("(product - deltas[i])", "(product)", "grad_"),
    "sees_the_future": Variant("causal != 0", "false", "grad_"),
    "unscaled": Variant("shape.scale * (weight", "1.0f * (weight", "grad_"),
    "one_head_of_a_group": Variant(
        "h = g * group; h < (g + 1)",
        "h = (g + 1) * group - 1; h < (g + 1)",
        "grad_",
    ),
    "dense": Variant("saved.q + i * strides[0].row", "saved.q + i * shape.width", "grad_"),
    "forgets_small_weights": Variant(
        "weight = expf(score - saved.logsumexp[i]);",
        "weight = score - saved.logsumexp[i] < -7.0f ? 0.0f : expf(score - saved.logsumexp[i]);",
        "grad_",
    ),
    "half_weights": Variant(
        "weights[i - begin][j - block] = weight;",
        "uint32_t bits; memcpy(&bits, &weight, 4); bits = bits + 0x1000u & 0xffffe000u;"
        " memcpy(&weight, &bits, 4); weights[i - begin][j - block] = weight;",
        "grad_",
    ),
}  # fmt: skip

BACKWARD_BF16 = {
    **{name: BACKWARD[name] for name in BACKWARD
       if name not in ("half_weights", "forgets_small_weights")},
    "weights_rounded_once": rounding(
        "weights[i - begin][j - block] = weight;",
        "weights[i - begin][j - block] = rounded(weight));",
    ),
    "sums_rounded": rounding(
        "sums[d] += factor * number_of(row[d]);",
        "sums[d] = rounded(sums[d] + factor * number_of(row[d])));",
        "grad_",
    ),
    "logits_rounded": rounding(
        "weight = expf(score - saved.logsumexp[i]);",
        "weight = expf(rounded(score)) - saved.logsumexp[i]);",
        "grad_",
    ),
    "truncates": Variant("bits + 0x7fff + (bits >> 16 & 1)", "bits", "grad_"),
}  # fmt: skip

VARIANTS = {
    "flash_attention_forward_bf16": FORWARD_BF16,
    "flash_attention_backward": BACKWARD,
    "flash_attention_backward_bf16": BACKWARD_BF16,
}
