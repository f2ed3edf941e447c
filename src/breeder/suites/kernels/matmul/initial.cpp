// Products of float32 matrices: C[m, n] (+)= A[m, k] B[k, n], wherever rows and columns lie.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

// Element (row, column) lies at data[row * row_step + column * column_step]; one step is 1.
struct Operand {
    const float *data;
    int64_t row_step, column_step;
};

struct Shape {
    int64_t m, n, k;
};

// EVOLVE-BLOCK-START
static void multiply(const Operand &a, const Operand &b, float *c, int64_t step,
                     const Shape &shape, bool add, int64_t parts)
{
    for (int64_t i = 0; i < shape.m; i++) {
        for (int64_t j = 0; j < shape.n; j++) {
            float sum = 0;
            for (int64_t p = 0; p < shape.k; p++) {
                sum += a.data[i * a.row_step + p * a.column_step] *
                       b.data[p * b.row_step + j * b.column_step];
            }
            c[i * step + j] = sum + (add ? c[i * step + j] : 0);
        }
    }
}
// EVOLVE-BLOCK-END

extern "C" void matmul(const float *a, const float *b, float *c, const int64_t *steps, int64_t m,
                       int64_t n, int64_t k, int64_t add, int64_t parts)
{
    const Operand left = {a, steps[0], steps[1]}, right = {b, steps[2], steps[3]};
    multiply(left, right, c, steps[4], {m, n, k}, add != 0, parts);
}
