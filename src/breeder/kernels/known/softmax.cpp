// Softmax of rows: out[r, c] = exp(x[r, c] - m[r]) / sum(exp(x[r, :] - m[r])), m[r] = max(x[r, :])
#include <cmath>
#include <cstdint>
#include <cstring>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Three passes over a row that stays in a near cache.
#include "streams.h"
#include "lanes.h"

const int SIDE = 4;            // vectors that are taken side by side
const int64_t NEAR = 1 << 12; // elements that wait in the nearest cache to go past all

static inline float largest_of(const float *row, int64_t columns)
{
    const int64_t wide = columns / (SIDE * LANES) * (SIDE * LANES);
    Vec highs[SIDE];
    for (int i = 0; i < SIDE; i++) highs[i] = Vec{} + row[0];
    for (int64_t c = 0; c < wide; c += SIDE * LANES) {
#pragma GCC unroll 4
        for (int i = 0; i < SIDE; i++) highs[i] = larger(load(row + c + i * LANES), highs[i]);
    }
    for (int64_t c = wide; c < columns; c += LANES) {
        highs[0] = larger(load_some(row + c, columns - c, row[0]), highs[0]);
    }
    return highest(larger(larger(highs[0], highs[1]), larger(highs[2], highs[3])));
}

// Writes exp(row - largest), returns their sum.
static inline float exponentials(const float *row, float largest, float *to, int64_t columns)
{
    const int64_t wide = columns / (SIDE * LANES) * (SIDE * LANES);
    Vec sums[SIDE] = {};
    for (int64_t c = 0; c < wide; c += SIDE * LANES) {
#pragma GCC unroll 4
        for (int i = 0; i < SIDE; i++) {
            const Vec weight = exponential(load(row + c + i * LANES) - largest);
            store(to + c + i * LANES, weight);
            sums[i] += weight;
        }
    }
    for (int64_t c = wide; c < columns; c += LANES) {
        const Vec weight = exponential(load_some(row + c, columns - c, largest) - largest);
        store_some(to + c, weight, columns - c);
        sums[0] += first_of(weight, columns - c);
    }
    return total((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <bool PAST>
static void rows_of(const float *x, float *out, int64_t rows, int64_t columns)
{
    alignas(64) float near[PAST ? NEAR : 1];
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns, *weights = PAST ? near : target;
        const float factor = 1 / exponentials(row, largest_of(row, columns), weights, columns);
        int64_t c = 0;
        for (; c + LANES <= columns; c += LANES) put<PAST>(target + c, load(weights + c) * factor);
        if (c < columns) store_some(target + c, load_some(weights + c, columns - c, 0) * factor, columns - c);
    }
    finish<PAST>();
}
// EVOLVE-BLOCK-END

extern "C" void softmax(const float *x, float *out, int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    if (columns <= NEAR && streams(out, columns, rows * columns)) {
        rows_of<true>(x, out, rows, columns);
    } else {
        rows_of<false>(x, out, rows, columns);
    }
    // EVOLVE-BLOCK-END
}
