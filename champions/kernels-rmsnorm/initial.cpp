// Root mean square normalisation of rows:
// out[r, c] = x[r, c] / sqrt(mean(x[r, :]^2) + epsilon) * weight[c]
#include <cmath>
#include <cstdint>
#include <cstring>

extern "C" void rmsnorm(const float *x, const float *weight, float *out, int64_t rows,
                        int64_t columns, float epsilon)
{
    // EVOLVE-BLOCK-START
    const int bytes = 66; // of a row that are squared and added side by side
    const int lanes = bytes / sizeof(float);
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        float sums[lanes] = {};
        int64_t c = 0;
        for (; c + lanes <= columns; c += lanes) {
            for (int lane = 0; lane < lanes; lane++) {
                sums[lane] += row[c + lane] * row[c + lane];
            }
        }
        float sum = 0.0f;
        for (; c < columns; c++) {
            sum += row[c] * row[c];
        }
        for (int lane = 0; lane < lanes; lane++) {
            sum += sums[lane];
        }
        const float factor = 1 / sqrtf(sum / columns + epsilon);
        for (c = 0; c < columns; c++) {
            target[c] = row[c] * factor * weight[c];
        }
    }
    // EVOLVE-BLOCK-END
}
