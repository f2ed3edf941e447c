// Backward pass of root mean square normalisation: with f = 1 / sqrt(mean(x[r, :]^2) + epsilon),
// n = x * f and g = grad * weight: grad_x = f * (g - n * mean(g * n)), grad_weight = sum(grad * n)
#include <cmath>
#include <cstdint>

extern "C" void rmsnorm_backward(const float *grad, const float *x, const float *weight,
                                 float *grad_x, float *grad_weight, int64_t rows, int64_t columns,
                                 float epsilon)
{
    // EVOLVE-BLOCK-START
    // Written by hand, not evolved. Two passes over a row that stays in the first cache.
#ifdef __AVX512F__
    const int lanes = 16;
#else
    const int lanes = 8;
#endif
    typedef float Vec __attribute__((vector_size(lanes * 4)));
    typedef float Loose __attribute__((vector_size(lanes * 4), aligned(4), may_alias));
    const int64_t pairs = columns / (2 * lanes) * (2 * lanes), whole = columns / lanes * lanes;
    for (int64_t c = 0; c < columns; c++) grad_weight[c] = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float *above = grad + r * columns, *row = x + r * columns;
        float *target = grad_x + r * columns;
        Vec squares[2] = {}, products[2] = {};
        for (int64_t c = 0; c < pairs; c += 2 * lanes) {
            for (int i = 0; i < 2; i++) {
                const int64_t at = c + i * lanes;
                const Vec part = *(const Loose *)(row + at);
                const Vec scaled = *(const Loose *)(above + at) * *(const Loose *)(weight + at);
                squares[i] += part * part;
                products[i] += scaled * part;
            }
        }
        const Vec all_squares = squares[0] + squares[1], all = products[0] + products[1];
        float square = 0.0f, product = 0.0f;
        for (int64_t c = pairs; c < columns; c++) {
            square += row[c] * row[c];
            product += above[c] * weight[c] * row[c];
        }
        for (int lane = 0; lane < lanes; lane++) {
            square += all_squares[lane];
            product += all[lane];
        }
        const float factor = 1 / sqrtf(square / columns + epsilon);
        const float mean = product * factor / columns;
        for (int64_t c = 0; c < whole; c += lanes) {
            const Vec normed = *(const Loose *)(row + c) * factor, g = *(const Loose *)(above + c);
            *(Loose *)(target + c) = factor * (g * *(const Loose *)(weight + c) - normed * mean);
            *(Loose *)(grad_weight + c) += g * normed;
        }
        for (int64_t c = whole; c < columns; c++) {
            const float normed = row[c] * factor;
            target[c] = factor * (above[c] * weight[c] - normed * mean);
            grad_weight[c] += above[c] * normed;
        }
    }
    // EVOLVE-BLOCK-END
}
