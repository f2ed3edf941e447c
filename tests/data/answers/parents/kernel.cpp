// Root mean square normalisation of rows.
#include <cmath>
#include <cstdint>

extern "C" void rmsnorm(const float *x, const float *weight, float *out, int64_t rows,
                        int64_t columns, float epsilon)
{
    // EVOLVE-BLOCK-START
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float sum = 0.0f;
        for (int64_t c = 0; c < columns; c++) {
            sum += row[c] * row[c];
        }
        const float factor = 1.0f / sqrtf(sum / columns + epsilon);
        for (int64_t c = 0; c < columns; c++) {
            out[r * columns + c] = row[c] * factor * weight[c];
        }
    }
    // EVOLVE-BLOCK-END
}
