// Backward pass of root mean square normalisation: with f = 1 / sqrt(mean(x[r, :]^2) + epsilon),
// n = x * f and g = grad * weight: grad_x = f * (g - n * mean(g * n)), grad_weight = sum(grad * n)
#include <cmath>
#include <cstdint>

extern "C" void rmsnorm_backward(const float *grad, const float *x, const float *weight,
                                 float *grad_x, float *grad_weight, int64_t rows, int64_t columns,
                                 float epsilon)
{
    // EVOLVE-BLOCK-START
    const int bytes = 4; // of a row that are added side by side
    const int lanes = bytes / sizeof(float);
    for (int64_t c = 0; c < columns; c++) {
        grad_weight[c] = 0;
    }
    for (int64_t r = 0; r < rows; r++) {
        const float *above = grad + r * columns;
        const float *row = x + r * columns;
        float *target = grad_x + r * columns;
        float squares[lanes] = {};
        int64_t c = 0;
        for (; c + lanes <= columns; c += lanes) {
            for (int lane = 0; lane < lanes; lane++) {
                squares[lane] += row[c + lane] * row[c + lane];
            }
        }
        float square = 0.0f;
        for (; c < columns; c++) {
            square += row[c] * row[c];
        }
        for (int lane = 0; lane < lanes; lane++) {
            square += squares[lane];
        }
        const float factor = 1 / sqrtf(square / columns + epsilon);
        float products[lanes] = {};
        for (c = 0; c + lanes <= columns; c += lanes) {
            for (int lane = 0; lane < lanes; lane++) {
                products[lane] += above[c + lane] * weight[c + lane] * (row[c + lane] * factor);
            }
        }
        float product = 0.0f;
        for (; c < columns; c++) {
            product += above[c] * weight[c] * (row[c] * factor);
        }
        for (int lane = 0; lane < lanes; lane++) {
            product += products[lane];
        }
        product = product / columns;
        for (c = 0; c < columns; c++) {
            target[c] = factor * (above[c] * weight[c] - row[c] * factor * product);
        }
        for (c = 0; c < columns; c++) {
            grad_weight[c] += above[c] * (row[c] * factor);
        }
    }
    // EVOLVE-BLOCK-END
}
