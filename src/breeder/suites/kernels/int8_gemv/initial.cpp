// Product of an 8-bit integer matrix, with one scale per row, and a vector.
#include <cstdint>

extern "C" void int8_gemv(const int8_t *weight, const float *scales, const float *x, float *out,
                          int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    for (int64_t r = 0; r < rows; r++) {
        const int8_t *row = weight + r * columns;
        float sum = 0.0f;
        for (int64_t c = 0; c < columns; c++) {
            sum += row[c] * x[c];
        }
        out[r] = sum * scales[r];
    }
    // EVOLVE-BLOCK-END
}
