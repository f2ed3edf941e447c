// Layer normalisation of rows, forward and backward.
#include <cmath>
#include <cstdint>

extern "C" void layernorm_forward(const float *x, const float *weight, const float *bias, float *out,
                                  float *mean, float *rstd, int64_t rows, int64_t columns,
                                  float epsilon)
{
    // EVOLVE-BLOCK-START
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        float sum = 0.0f;
        for (int64_t c = 0; c < columns; c++) {
            sum += row[c];
        }
        const float centre = sum / columns;
        float square = 0.0f;
        for (int64_t c = 0; c < columns; c++) {
            square += (row[c] - centre) * (row[c] - centre);
        }
        const float factor = 1 / sqrtf(square / columns + epsilon);
        mean[r] = centre;
        rstd[r] = factor;
        for (int64_t c = 0; c < columns; c++) {
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
        float sum = 0.0f;
        float product = 0.0f;
        for (int64_t c = 0; c < columns; c++) {
            sum += above[c] * weight[c];
            product += above[c] * weight[c] * ((row[c] - centre) * factor);
        }
        sum = sum / columns;
        product = product / columns;
        for (int64_t c = 0; c < columns; c++) {
            const float normed = (row[c] - centre) * factor;
            target[c] = factor * (above[c] * weight[c] - sum - normed * product);
        }
        for (int64_t c = 0; c < columns; c++) {
            grad_weight[c] += above[c] * ((row[c] - centre) * factor);
            grad_bias[c] += above[c];
        }
    }
    // EVOLVE-BLOCK-END
}
