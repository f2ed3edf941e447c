// SwiGLU, forward and backward: out = gate * s * up with s = 1 / (1 + exp(-gate)).
#include <cmath>
#include <cstdint>
#include <cstring>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. One pass, all in registers.
#include "streams.h"
#include "lanes.h"

// 1 / (1 + e^-x) with a polynomial of degree 5 for the fraction of the power of two (relative error
// 7.5e-8). From 2^127.5 on the power is infinite; NaN stays NaN.
static inline Vec sigmoid(Vec x)
{
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
    const Vec power = x * -1.44269504088896341f;
    const Vec high = power < -126.0f ? Vec{} - 126.0f : power;
    const Vec bounded = high > 128.0f ? Vec{} + 128.0f : high;
    const Vec shifted = bounded + magic;
    const Vec f = bounded - (shifted - magic);
    Vec p = f * 1.327647174e-3f + 9.675541540e-3f;
    p = p * f + 5.550713276e-2f;
    p = p * f + 2.402211972e-1f;
    p = p * f + 6.931469671e-1f;
    p = p * f + 1.000000072f;
    return 1.0f / (1.0f + p * (Vec)(((Ints)shifted + 127) << 23));
}

template <bool PAST>
static void forward(const float *gate, const float *up, float *out, int64_t count)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const Vec g = load(gate + i);
        put<PAST>(out + i, g * sigmoid(g) * load(up + i));
    }
    if (i < count) {
        const Vec g = load_some(gate + i, count - i, 0.0f);
        store_some(out + i, g * sigmoid(g) * load_some(up + i, count - i, 0.0f), count - i);
    }
    finish<PAST>();
}

template <bool PAST>
static void backward(const float *grad, const float *gate, const float *up, float *grad_gate,
                     float *grad_up, int64_t count)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const Vec above = load(grad + i), g = load(gate + i), s = sigmoid(g);
        const Vec other = load(up + i);
        put<PAST>(grad_gate + i, above * other * (s * (1.0f + g * (1.0f - s))));
        put<PAST>(grad_up + i, above * (g * s));
    }
    if (i < count) {
        const int64_t left = count - i;
        const Vec above = load_some(grad + i, left, 0.0f), g = load_some(gate + i, left, 0.0f);
        const Vec s = sigmoid(g), other = load_some(up + i, left, 0.0f);
        store_some(grad_gate + i, above * other * (s * (1.0f + g * (1.0f - s))), left);
        store_some(grad_up + i, above * (g * s), left);
    }
    finish<PAST>();
}
// EVOLVE-BLOCK-END

extern "C" void swiglu_forward(const float *gate, const float *up, float *out, int64_t count)
{
    // EVOLVE-BLOCK-START
    if (streams(out, LANES, count)) {
        forward<true>(gate, up, out, count);
    } else {
        forward<false>(gate, up, out, count);
    }
    // EVOLVE-BLOCK-END
}

extern "C" void swiglu_backward(const float *grad, const float *gate, const float *up,
                                float *grad_gate, float *grad_up, int64_t count)
{
    // EVOLVE-BLOCK-START
    if (streams(grad_gate, LANES, count) && streams(grad_up, LANES, count)) {
        backward<true>(grad, gate, up, grad_gate, grad_up, count);
    } else {
        backward<false>(grad, gate, up, grad_gate, grad_up, count);
    }
    // EVOLVE-BLOCK-END
}
