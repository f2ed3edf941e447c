// Layer normalisation of rows, forward and backward.
#include <cmath>
#include <cstdint>

extern "C" void layernorm_forward(const float *x, const float *weight, const float *bias, float *out,
                                  float *mean, float *rstd, int64_t rows, int64_t columns,
                                  float epsilon)
{
    // EVOLVE-BLOCK-START
    const int bytes = 4; // of a row that are added side by side
    const int lanes = bytes / sizeof(float);
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        float sums[lanes] = {};
        int64_t c = 0;
        for (; c + lanes <= columns; c += lanes) {
            for (int lane = 0; lane < lanes; lane++) {
                sums[lane] += row[c + lane];
            }
        }
        float sum = 0.0f;
        for (; c < columns; c++) {
            sum += row[c];
        }
        for (int lane = 0; lane < lanes; lane++) {
            sum += sums[lane];
        }
        const float centre = sum / columns;
        float squares[lanes] = {};
        for (c = 0; c + lanes <= columns; c += lanes) {
            for (int lane = 0; lane < lanes; lane++) {
                squares[lane] += (row[c + lane] - centre) * (row[c + lane] - centre);
            }
        }
        float square = 0.0f;
        for (; c < columns; c++) {
            square += (row[c] - centre) * (row[c] - centre);
        }
        for (int lane = 0; lane < lanes; lane++) {
            square += squares[lane];
        }
        const float factor = 1 / sqrtf(square / columns + epsilon);
        mean[r] = centre;
        rstd[r] = factor;
        for (c = 0; c < columns; c++) {
            target[c] = (row[c] - centre) * factor * weight[c] + bias[c];
        }
    }
    // EVOLVE-BLOCK-END
}

extern "C" void layernorm_backward(const float *grad, const float *x, const float *weight,
                                   const float *mean, const float *rstd, float *grad_x,
                                   float *grad_weight, float *grad_bias, int64_t rows,
                                   int64_t columns)
{
    // EVOLVE-BLOCK-START
    const int bytes = 4; // of a row that are added side by side
    const int lanes = bytes / sizeof(float);
    for (int64_t c = 0; c < columns; c++) {
        grad_weight[c] = 0;
        grad_bias[c] = 0;
    }
    for (int64_t r = 0; r < rows; r++) {
        const float *above = grad + r * columns;
        const float *row = x + r * columns;
        float *target = grad_x + r * columns;
        const float centre = mean[r];
        const float factor = rstd[r];
        float sums[lanes] = {};
        float products[lanes] = {};
        int64_t c = 0;
        for (; c + lanes <= columns; c += lanes) {
            for (int lane = 0; lane < lanes; lane++) {
                const float g = above[c + lane] * weight[c + lane];
                sums[lane] += g;
                products[lane] += g * ((row[c + lane] - centre) * factor);
            }
        }
        float sum = 0.0f;
        float product = 0.0f;
        for (; c < columns; c++) {
            sum += above[c] * weight[c];
            product += above[c] * weight[c] * ((row[c] - centre) * factor);
        }
        for (int lane = 0; lane < lanes; lane++) {
            sum += sums[lane];
            product += products[lane];
        }
        sum = sum / columns;
        product = product / columns;
        for (c = 0; c < columns; c++) {
            const float normed = (row[c] - centre) * factor;
            target[c] = factor * (above[c] * weight[c] - sum - normed * product);
        }
        for (c = 0; c < columns; c++) {
            grad_weight[c] += above[c] * ((row[c] - centre) * factor);
            grad_bias[c] += above[c];
        }
    }
    // EVOLVE-BLOCK-END
}
