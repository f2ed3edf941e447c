// Backward pass of root mean square normalisation: with f = 1 / sqrt(mean(x[r, :]^2) + epsilon),
// n = x * f and g = grad * weight: grad_x = f * (g - n * mean(g * n)), grad_weight = sum(grad * n)
#include <cmath>
#include <cstdint>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Two passes over a row that stays in the first cache.
#include "streams.h"
#include "lanes.h"

template <bool PAST>
static void differentiate(const float *grad, const float *x, const float *weight, float *grad_x,
                          float *grad_weight, int64_t rows, int64_t columns, float epsilon)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *above = grad + r * columns, *row = x + r * columns;
        float *target = grad_x + r * columns;
        Vec squares[2] = {}, products[2] = {};
        int64_t c = 0;
        for (; c + 2 * LANES <= columns; c += 2 * LANES) {
            for (int i = 0; i < 2; i++) {
                const Vec part = load(row + c + i * LANES);
                squares[i] += part * part;
                products[i] += load(above + c + i * LANES) * load(weight + c + i * LANES) * part;
            }
        }
        for (; c < columns; c += LANES) {
            const int64_t left = columns - c;
            const Vec part = load_some(row + c, left, 0.0f);
            squares[0] += part * part;
            products[0] +=
                load_some(above + c, left, 0.0f) * load_some(weight + c, left, 0.0f) * part;
        }
        const float square = total(squares[0] + squares[1]);
        const float factor = 1 / sqrtf(square / columns + epsilon);
        const float mean = total(products[0] + products[1]) * factor / columns;
        for (c = 0; c + LANES <= columns; c += LANES) {
            const Vec normed = load(row + c) * factor, g = load(above + c);
            put<PAST>(target + c, factor * (g * load(weight + c) - normed * mean));
            store(grad_weight + c, load(grad_weight + c) + g * normed);
        }
        for (; c < columns; c++) {
            const float normed = row[c] * factor;
            target[c] = factor * (above[c] * weight[c] - normed * mean);
            grad_weight[c] += above[c] * normed;
        }
    }
    finish<PAST>();
}
// EVOLVE-BLOCK-END

extern "C" void rmsnorm_backward(const float *grad, const float *x, const float *weight,
                                 float *grad_x, float *grad_weight, int64_t rows, int64_t columns,
                                 float epsilon)
{
    // EVOLVE-BLOCK-START
    for (int64_t c = 0; c < columns; c++) grad_weight[c] = 0;
    if (streams(grad_x, columns, rows * columns)) {
        differentiate<true>(grad, x, weight, grad_x, grad_weight, rows, columns, epsilon);
    } else {
        differentiate<false>(grad, x, weight, grad_x, grad_weight, rows, columns, epsilon);
    }
    // EVOLVE-BLOCK-END
}
