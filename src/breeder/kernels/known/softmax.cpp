// Softmax of rows: out[r, c] = exp(x[r, c] - m[r]) / sum(exp(x[r, :] - m[r])), m[r] = max(x[r, :])
#include <cmath>
#include <cstdint>
#include <cstring>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Three passes over a row that stays in a near cache.
#ifdef __AVX512F__
const int LANES = 16;
#else
const int LANES = 8;
#endif
const int SIDE = 4; // vectors that are taken side by side
typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline Vec load(const float *from) { return *(const Loose *)from; }
static inline void store(float *to, Vec value) { *(Loose *)to = value; }
static inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }

// e^x for x <= 0 by a polynomial of degree 5 for the fraction of the power of two (relative error
// 7.5e-8). It ends at 2^-126; NaN stays NaN.
static inline Vec exponential(Vec x)
{
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
    const Vec power = x * 1.44269504088896341f;
    const Vec bounded = power < -126.0f ? Vec{} - 126.0f : power;
    const Vec shifted = bounded + magic;
    const Vec f = bounded - (shifted - magic);
    Vec p = f * 1.327647174e-3f + 9.675541540e-3f;
    p = p * f + 5.550713276e-2f;
    p = p * f + 2.402211972e-1f;
    p = p * f + 6.931469671e-1f;
    p = p * f + 1.000000072f;
    return p * (Vec)(((Ints)shifted + 127) << 23);
}

static inline Vec partial(const float *from, int64_t count, float rest)
{
    Vec x = Vec{} + rest;
    memcpy(&x, from, count * sizeof(float));
    return x;
}
// EVOLVE-BLOCK-END

extern "C" void softmax(const float *x, float *out, int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    const int64_t wide = columns / (SIDE * LANES) * (SIDE * LANES);
    const int64_t whole = columns / LANES * LANES, rest = columns - whole;
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        Vec highs[SIDE];
        for (int i = 0; i < SIDE; i++) highs[i] = Vec{} + row[0];
        for (int64_t c = 0; c < wide; c += SIDE * LANES) {
#pragma GCC unroll 4
            for (int i = 0; i < SIDE; i++) highs[i] = larger(load(row + c + i * LANES), highs[i]);
        }
        for (int64_t c = wide; c < whole; c += LANES) highs[0] = larger(load(row + c), highs[0]);
        if (rest) highs[0] = larger(partial(row + whole, rest, row[0]), highs[0]);
        const Vec high = larger(larger(highs[0], highs[1]), larger(highs[2], highs[3]));
        float largest = high[0];
        for (int lane = 1; lane < LANES; lane++) largest = high[lane] > largest ? high[lane] : largest;
        Vec sums[SIDE] = {};
        for (int64_t c = 0; c < wide; c += SIDE * LANES) {
#pragma GCC unroll 4
            for (int i = 0; i < SIDE; i++) {
                const Vec weight = exponential(load(row + c + i * LANES) - largest);
                store(target + c + i * LANES, weight);
                sums[i] += weight;
            }
        }
        for (int64_t c = wide; c < whole; c += LANES) {
            const Vec weight = exponential(load(row + c) - largest);
            store(target + c, weight);
            sums[0] += weight;
        }
        const Vec all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        float sum = 0.0f;
        for (int lane = 0; lane < LANES; lane++) sum += all[lane];
        if (rest) {
            const Vec weight = exponential(partial(row + whole, rest, largest) - largest);
            memcpy(target + whole, &weight, rest * sizeof(float));
            for (int64_t lane = 0; lane < rest; lane++) sum += weight[lane];
        }
        const float factor = 1 / sum;
        for (int64_t c = 0; c < whole; c += LANES) store(target + c, load(target + c) * factor);
        for (int64_t c = whole; c < columns; c++) target[c] *= factor;
    }
    // EVOLVE-BLOCK-END
}
