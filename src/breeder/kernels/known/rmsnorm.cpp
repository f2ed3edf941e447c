// Root mean square normalisation of rows:
// out[r, c] = x[r, c] / sqrt(mean(x[r, :]^2) + epsilon) * weight[c]
#include <cmath>
#include <cstdint>
#include <cstring>

// EVOLVE-BLOCK-START
// Written by hand, not evolved.
#include "streams.h"
#include "lanes.h"

const int SIDE = 4; // vectors that are summed side by side

template <bool PAST>
static void normalise(const float *x, const float *weight, float *out, int64_t rows, int64_t columns,
                      float epsilon)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        Vec sums[SIDE] = {};
        int64_t c = 0;
        for (; c + SIDE * LANES <= columns; c += SIDE * LANES) {
#pragma GCC unroll 4
            for (int i = 0; i < SIDE; i++) {
                const Vec part = load(row + c + i * LANES);
                sums[i] += part * part;
            }
        }
        for (; c < columns; c += LANES) {
            const Vec part = load_some(row + c, columns - c, 0.0f);
            sums[0] += part * part;
        }
        const float sum = total((sums[0] + sums[1]) + (sums[2] + sums[3]));
        const float factor = 1 / sqrtf(sum / columns + epsilon);
        for (c = 0; c + LANES <= columns; c += LANES) {
            put<PAST>(target + c, load(row + c) * factor * load(weight + c));
        }
        for (; c < columns; c++) target[c] = row[c] * factor * weight[c];
    }
    finish<PAST>();
}
// EVOLVE-BLOCK-END

extern "C" void rmsnorm(const float *x, const float *weight, float *out, int64_t rows,
                        int64_t columns, float epsilon)
{
    // EVOLVE-BLOCK-START
    if (streams(out, columns, rows * columns)) {
        normalise<true>(x, weight, out, rows, columns, epsilon);
    } else {
        normalise<false>(x, weight, out, rows, columns, epsilon);
    }
    // EVOLVE-BLOCK-END
}
