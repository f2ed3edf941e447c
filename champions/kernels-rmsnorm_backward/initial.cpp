// Backward pass of root mean square normalisation: with f = 1 / sqrt(mean(x[r, :]^2) + epsilon),
// n = x * f and g = grad * weight: grad_x = f * (g - n * mean(g * n)), grad_weight = sum(grad * n)
#include <cmath>
#include <cstdint>

extern "C" void rmsnorm_backward(const float *grad, const float *x, const float *weight,
                                 float *grad_x, float *grad_weight, int64_t rows, int64_t columns,
                                 float epsilon)
{
    // EVOLVE-BLOCK-START
    #pragma omp simd simdlen(32)
    for (int64_t c = 0; c < columns; c++) {
        grad_weight[c] = 0;
    }
    const int64_t block1 = 256;
    for (int64_t begin1 = 0; begin1 < rows; begin1 += block1) {
        const int64_t end1 = rows - begin1 > block1 ? begin1 + block1 : rows;
        for (int64_t r = begin1; r < end1; r++) {
            const float *above = grad + r * columns;
            const float *row = x + r * columns;
            float *target = grad_x + r * columns;
            float square = 0.0f;
            #pragma omp simd reduction(+:square) simdlen(32)
            for (int64_t c = 0; c < columns; c++) {
                square += row[c] * row[c];
            }
            const float factor = 1 / sqrtf(square / columns + epsilon);
            float product = 0.0f;
            #pragma omp simd reduction(+:product) simdlen(32)
            for (int64_t c = 0; c < columns; c++) {
                product += above[c] * weight[c] * (row[c] * factor);
            }
            product = product / columns;
            for (int64_t c = 0; c < columns; c++) {
                target[c] = factor * (above[c] * weight[c] - row[c] * factor * product);
                grad_weight[c] += above[c] * (row[c] * factor);
            }
        }
    }
    // EVOLVE-BLOCK-END
}
