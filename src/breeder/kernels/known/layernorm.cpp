// Layer normalisation of rows, forward and backward.
#include <cmath>
#include <cstdint>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Passes over a row that stays in the first cache.
#include "streams.h"
#include "lanes.h"

template <bool PAST>
static void forward(const float *x, const float *weight, const float *bias, float *out, float *mean,
                    float *rstd, int64_t rows, int64_t columns, float epsilon)
{
    const int64_t pairs = columns / (2 * LANES) * (2 * LANES), whole = columns / LANES * LANES;
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        Vec sums[2] = {}, squares[2] = {};
        for (int64_t c = 0; c < pairs; c += 2 * LANES) {
            for (int i = 0; i < 2; i++) sums[i] += load(row + c + i * LANES);
        }
        float sum = total(sums[0] + sums[1]);
        for (int64_t c = pairs; c < columns; c++) sum += row[c];
        const float centre = sum / columns;
        for (int64_t c = 0; c < pairs; c += 2 * LANES) {
            for (int i = 0; i < 2; i++) {
                const Vec away = load(row + c + i * LANES) - centre;
                squares[i] += away * away;
            }
        }
        float square = total(squares[0] + squares[1]);
        for (int64_t c = pairs; c < columns; c++) square += (row[c] - centre) * (row[c] - centre);
        const float factor = 1 / sqrtf(square / columns + epsilon);
        mean[r] = centre;
        rstd[r] = factor;
        for (int64_t c = 0; c < whole; c += LANES) {
            const Vec normed = (load(row + c) - centre) * factor;
            put<PAST>(target + c, normed * load(weight + c) + load(bias + c));
        }
        for (int64_t c = whole; c < columns; c++) {
            target[c] = (row[c] - centre) * factor * weight[c] + bias[c];
        }
    }
    finish<PAST>();
}

template <bool PAST>
static void backward(const float *grad, const float *x, const float *weight, const float *mean,
                     const float *rstd, float *grad_x, float *grad_weight, float *grad_bias,
                     int64_t rows, int64_t columns)
{
    const int64_t whole = columns / LANES * LANES;
    for (int64_t r = 0; r < rows; r++) {
        const float *above = grad + r * columns, *row = x + r * columns;
        float *target = grad_x + r * columns;
        const float centre = mean[r], factor = rstd[r];
        Vec sums = {}, products = {};
        for (int64_t c = 0; c < whole; c += LANES) {
            const Vec scaled = load(above + c) * load(weight + c);
            sums += scaled;
            products += scaled * (load(row + c) - centre);
        }
        float sum = total(sums), product = total(products);
        for (int64_t c = whole; c < columns; c++) {
            sum += above[c] * weight[c];
            product += above[c] * weight[c] * (row[c] - centre);
        }
        sum /= columns;
        product = product * factor / columns;
        for (int64_t c = 0; c < whole; c += LANES) {
            const Vec normed = (load(row + c) - centre) * factor, g = load(above + c);
            put<PAST>(target + c, factor * (g * load(weight + c) - sum - normed * product));
            store(grad_weight + c, load(grad_weight + c) + g * normed);
            store(grad_bias + c, load(grad_bias + c) + g);
        }
        for (int64_t c = whole; c < columns; c++) {
            const float normed = (row[c] - centre) * factor;
            target[c] = factor * (above[c] * weight[c] - sum - normed * product);
            grad_weight[c] += above[c] * normed;
            grad_bias[c] += above[c];
        }
    }
    finish<PAST>();
}
// EVOLVE-BLOCK-END

extern "C" void layernorm_forward(const float *x, const float *weight, const float *bias, float *out,
                                  float *mean, float *rstd, int64_t rows, int64_t columns,
                                  float epsilon)
{
    // EVOLVE-BLOCK-START
    if (streams(out, columns, rows * columns)) {
        forward<true>(x, weight, bias, out, mean, rstd, rows, columns, epsilon);
    } else {
        forward<false>(x, weight, bias, out, mean, rstd, rows, columns, epsilon);
    }
    // EVOLVE-BLOCK-END
}

extern "C" void layernorm_backward(const float *grad, const float *x, const float *weight,
                                   const float *mean, const float *rstd, float *grad_x,
                                   float *grad_weight, float *grad_bias, int64_t rows,
                                   int64_t columns)
{
    // EVOLVE-BLOCK-START
    for (int64_t c = 0; c < columns; c++) {
        grad_weight[c] = 0;
        grad_bias[c] = 0;
    }
    if (streams(grad_x, columns, rows * columns)) {
        backward<true>(grad, x, weight, mean, rstd, grad_x, grad_weight, grad_bias, rows, columns);
    } else {
        backward<false>(grad, x, weight, mean, rstd, grad_x, grad_weight, grad_bias, rows, columns);
    }
    // EVOLVE-BLOCK-END
}
