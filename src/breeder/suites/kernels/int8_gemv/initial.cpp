// Product of an 8-bit integer matrix, with one scale per row, and a vector.
#include <cstdint>

extern "C" void int8_gemv(const int8_t *weight, const float *scales, const float *x, float *out,
                          int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    const int bytes = 4; // of x that are multiplied and added side by side
    const int lanes = bytes / sizeof(float);
    for (int64_t r = 0; r < rows; r++) {
        const int8_t *row = weight + r * columns;
        float sums[lanes] = {};
        int64_t c = 0;
        for (; c + lanes <= columns; c += lanes) {
            for (int lane = 0; lane < lanes; lane++) {
                sums[lane] += row[c + lane] * x[c + lane];
            }
        }
        float sum = 0.0f;
        for (; c < columns; c++) {
            sum += row[c] * x[c];
        }
        for (int lane = 0; lane < lanes; lane++) {
            sum += sums[lane];
        }
        out[r] = sum * scales[r];
    }
    // EVOLVE-BLOCK-END
}
