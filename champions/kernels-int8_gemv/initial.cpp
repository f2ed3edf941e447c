// Product of an 8-bit integer matrix, with one scale per row, and a vector.
#include <cstdint>

extern "C" void int8_gemv(const int8_t *weight, const float *scales, const float *x, float *out,
                          int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    {
        const int rows1 = 2;
        const int lanes1 = 32;
        int64_t r = 0;
        for (; r + rows1 <= rows; r += rows1) {
            float tile1[rows1][lanes1] = {};
            int64_t c = 0;
            for (; c + lanes1 <= columns; c += lanes1) {
#pragma GCC unroll 16
                for (int row1 = 0; row1 < rows1; row1++) {
#pragma omp simd
                    for (int lane1 = 0; lane1 < lanes1; lane1++) {
                        tile1[row1][lane1] += (weight + (r + row1) * columns)[(c + lane1)] * x[(c + lane1)];
                    }
                }
            }
            for (int row1 = 0; row1 < rows1; row1++) {
                float sum = 0.0f;
                #pragma omp simd reduction(+:sum) simdlen(8)
                for (int lane1 = 0; lane1 < lanes1; lane1++) {
                    sum += tile1[row1][lane1];
                }
                #pragma omp simd reduction(+:sum) simdlen(8)
                for (int64_t rest1 = c; rest1 < columns; rest1++) {
                    sum += (weight + (r + row1) * columns)[rest1] * x[rest1];
                }
                out[(r + row1)] = sum * scales[(r + row1)];
            }
        }
        const int block1 = 369;
        for (; r < rows;) {
            const auto end1 = rows - r > block1 ? r + block1 : rows;
            for (; r < end1; r++) {
                const int8_t *row = weight + r * columns;
                float sum = 0.0f;
                #pragma omp simd reduction(+:sum) simdlen(8)
                for (int64_t c = 0; c < columns; c++) {
                    sum += row[c] * x[c];
                }
                out[r] = sum * scales[r];
            }
        }
    }
    // EVOLVE-BLOCK-END
}
