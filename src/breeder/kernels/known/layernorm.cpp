// Layer normalisation of rows, forward and backward.
#include <cmath>
#include <cstdint>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Passes over a row that stays in the first cache.
#ifdef __AVX512F__
const int LANES = 16;
#else
const int LANES = 8;
#endif
typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline Vec load(const float *from) { return *(const Loose *)from; }
static inline void store(float *to, Vec value) { *(Loose *)to = value; }

static inline float sum_of(Vec x)
{
    float sum = 0.0f;
    for (int lane = 0; lane < LANES; lane++) sum += x[lane];
    return sum;
}
// EVOLVE-BLOCK-END

extern "C" void layernorm_forward(const float *x, const float *weight, const float *bias, float *out,
                                  float *mean, float *rstd, int64_t rows, int64_t columns,
                                  float epsilon)
{
    // EVOLVE-BLOCK-START
    const int64_t pairs = columns / (2 * LANES) * (2 * LANES), whole = columns / LANES * LANES;
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        Vec sums[2] = {}, squares[2] = {};
        for (int64_t c = 0; c < pairs; c += 2 * LANES) {
            for (int i = 0; i < 2; i++) sums[i] += load(row + c + i * LANES);
        }
        float sum = sum_of(sums[0] + sums[1]);
        for (int64_t c = pairs; c < columns; c++) sum += row[c];
        const float centre = sum / columns;
        for (int64_t c = 0; c < pairs; c += 2 * LANES) {
            for (int i = 0; i < 2; i++) {
                const Vec away = load(row + c + i * LANES) - centre;
                squares[i] += away * away;
            }
        }
        float square = sum_of(squares[0] + squares[1]);
        for (int64_t c = pairs; c < columns; c++) square += (row[c] - centre) * (row[c] - centre);
        const float factor = 1 / sqrtf(square / columns + epsilon);
        mean[r] = centre;
        rstd[r] = factor;
        for (int64_t c = 0; c < whole; c += LANES) {
            const Vec normed = (load(row + c) - centre) * factor;
            store(target + c, normed * load(weight + c) + load(bias + c));
        }
        for (int64_t c = whole; c < columns; c++) {
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
    const int64_t whole = columns / LANES * LANES;
    for (int64_t c = 0; c < columns; c++) {
        grad_weight[c] = 0;
        grad_bias[c] = 0;
    }
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
        float sum = sum_of(sums), product = sum_of(products);
        for (int64_t c = whole; c < columns; c++) {
            sum += above[c] * weight[c];
            product += above[c] * weight[c] * (row[c] - centre);
        }
        sum /= columns;
        product = product * factor / columns;
        for (int64_t c = 0; c < whole; c += LANES) {
            const Vec normed = (load(row + c) - centre) * factor, g = load(above + c);
            store(target + c, factor * (g * load(weight + c) - sum - normed * product));
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
    // EVOLVE-BLOCK-END
}
