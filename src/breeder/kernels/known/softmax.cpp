// Softmax of rows: out[r, c] = exp(x[r, c] - m[r]) / sum(exp(x[r, :] - m[r])), m[r] = max(x[r, :])
#include <cmath>
#include <cstdint>
#include <cstring>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Three passes over a row that stays in a near cache.
#include "streams.h"
#include "lanes.h"
#include "exponentials.h"

const int64_t NEAR = 1 << 12; // elements that wait in the nearest cache to go past all

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
