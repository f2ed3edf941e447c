// SwiGLU, forward and backward: out = gate * s * up with s = 1 / (1 + exp(-gate)).
#include <cmath>
#include <cstdint>
#include <cstring>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. One pass, all in registers.
#ifdef __AVX512F__
const int LANES = 16;
#else
const int LANES = 8;
#endif
typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline Vec load(const float *from) { return *(const Loose *)from; }
static inline void store(float *to, Vec value) { *(Loose *)to = value; }

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

static inline Vec partial(const float *from, int64_t count)
{
    Vec x = {};
    memcpy(&x, from, count * sizeof(float));
    return x;
}
// EVOLVE-BLOCK-END

extern "C" void swiglu_forward(const float *gate, const float *up, float *out, int64_t count)
{
    // EVOLVE-BLOCK-START
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const Vec g = load(gate + i);
        store(out + i, g * sigmoid(g) * load(up + i));
    }
    if (i < count) {
        const Vec g = partial(gate + i, count - i);
        const Vec value = g * sigmoid(g) * partial(up + i, count - i);
        memcpy(out + i, &value, (count - i) * sizeof(float));
    }
    // EVOLVE-BLOCK-END
}

extern "C" void swiglu_backward(const float *grad, const float *gate, const float *up,
                                float *grad_gate, float *grad_up, int64_t count)
{
    // EVOLVE-BLOCK-START
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const Vec above = load(grad + i), g = load(gate + i), s = sigmoid(g);
        const Vec other = load(up + i);
        store(grad_gate + i, above * other * (s * (1.0f + g * (1.0f - s))));
        store(grad_up + i, above * (g * s));
    }
    if (i < count) {
        const Vec above = partial(grad + i, count - i), g = partial(gate + i, count - i);
        const Vec s = sigmoid(g), other = partial(up + i, count - i);
        const Vec first = above * other * (s * (1.0f + g * (1.0f - s))), second = above * (g * s);
        memcpy(grad_gate + i, &first, (count - i) * sizeof(float));
        memcpy(grad_up + i, &second, (count - i) * sizeof(float));
    }
    // EVOLVE-BLOCK-END
}
