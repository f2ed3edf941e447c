// Cross-entropy of rows of logits, forward and backward: losses[r] = -log(softmax(row)[target]), and
// the logits become their gradient, scale * (softmax(row) - one-hot(target)).
#include <cmath>
#include <cstdint>
#include <cstring>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Three passes over a row that stays in the second cache.
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

static inline float largest_of(const float *row, int64_t count)
{
    Vec highs[SIDE];
    for (int i = 0; i < SIDE; i++) highs[i] = Vec{} + row[0];
    int64_t c = 0;
    for (; c + SIDE * LANES <= count; c += SIDE * LANES) {
#pragma GCC unroll 4
        for (int i = 0; i < SIDE; i++) highs[i] = larger(load(row + c + i * LANES), highs[i]);
    }
    for (; c + LANES <= count; c += LANES) highs[0] = larger(load(row + c), highs[0]);
    if (c < count) highs[0] = larger(partial(row + c, count - c, row[0]), highs[0]);
    const Vec high = larger(larger(highs[0], highs[1]), larger(highs[2], highs[3]));
    float largest = high[0];
    for (int lane = 1; lane < LANES; lane++) largest = high[lane] > largest ? high[lane] : largest;
    return largest;
}

// Turns the row into exponentials and returns their sum.
static inline float weigh(float *row, int64_t count, float largest)
{
    Vec sums[SIDE] = {};
    int64_t c = 0;
    for (; c + SIDE * LANES <= count; c += SIDE * LANES) {
#pragma GCC unroll 4
        for (int i = 0; i < SIDE; i++) {
            const Vec weight = exponential(load(row + c + i * LANES) - largest);
            store(row + c + i * LANES, weight);
            sums[i] += weight;
        }
    }
    for (; c + LANES <= count; c += LANES) {
        const Vec weight = exponential(load(row + c) - largest);
        store(row + c, weight);
        sums[0] += weight;
    }
    const Vec all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double sum = 0.0;
    for (int lane = 0; lane < LANES; lane++) sum += all[lane];
    if (c < count) {
        const Vec weight = exponential(partial(row + c, count - c, largest) - largest);
        memcpy(row + c, &weight, (count - c) * sizeof(float));
        for (int64_t lane = 0; lane < count - c; lane++) sum += weight[lane];
    }
    return (float)sum;
}
// EVOLVE-BLOCK-END

extern "C" void cross_entropy(float *logits, const int64_t *targets, float *losses, int64_t rows,
                              int64_t vocabulary, float scale)
{
    // EVOLVE-BLOCK-START
    for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * vocabulary;
        const int64_t target = targets[r];
        if (target < 0) {
            losses[r] = 0;
            memset(row, 0, vocabulary * sizeof(float));
            continue;
        }
        const float right = row[target], largest = largest_of(row, vocabulary);
        const float sum = weigh(row, vocabulary, largest), factor = scale / sum;
        losses[r] = logf(sum) + (largest - right);
        int64_t c = 0;
        for (; c + LANES <= vocabulary; c += LANES) store(row + c, load(row + c) * factor);
        for (; c < vocabulary; c++) row[c] *= factor;
        row[target] -= scale;
    }
    // EVOLVE-BLOCK-END
}
