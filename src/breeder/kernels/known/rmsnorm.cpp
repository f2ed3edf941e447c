// Root mean square normalisation of rows:
// out[r, c] = x[r, c] / sqrt(mean(x[r, :]^2) + epsilon) * weight[c]
#include <cmath>
#include <cstdint>
#include <cstring>

extern "C" void rmsnorm(const float *x, const float *weight, float *out, int64_t rows,
                        int64_t columns, float epsilon)
{
    // EVOLVE-BLOCK-START
    // Written by hand, not evolved.
#ifdef __AVX512F__
    const int lanes = 16;
#else
    const int lanes = 8;
#endif
    const int side = 4; // vectors that are summed side by side
    typedef float Vec __attribute__((vector_size(lanes * 4)));
    typedef float Loose __attribute__((vector_size(lanes * 4), aligned(4), may_alias));
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        Vec sums[side] = {};
        int64_t c = 0;
        for (; c + side * lanes <= columns; c += side * lanes) {
#pragma GCC unroll 4
            for (int i = 0; i < side; i++) {
                const Vec part = *(const Loose *)(row + c + i * lanes);
                sums[i] += part * part;
            }
        }
        const Vec all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        float sum = 0.0f;
        for (; c < columns; c++) sum += row[c] * row[c];
        for (int lane = 0; lane < lanes; lane++) sum += all[lane];
        const float factor = 1 / sqrtf(sum / columns + epsilon);
        for (c = 0; c + lanes <= columns; c += lanes) {
            const Vec part = *(const Loose *)(row + c), scale = *(const Loose *)(weight + c);
            *(Loose *)(target + c) = part * factor * scale;
        }
        for (; c < columns; c++) target[c] = row[c] * factor * weight[c];
    }
    // EVOLVE-BLOCK-END
}
