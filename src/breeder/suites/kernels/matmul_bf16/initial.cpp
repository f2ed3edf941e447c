// Products of bfloat16 matrices: C[m, n] = A[m, k] B[k, n], wherever rows and columns lie.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

typedef uint16_t Element; // bfloat16: the upper half of a float

static inline float number_of(Element x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float number;
    memcpy(&number, &bits, 4);
    return number;
}

// Rounds to the nearest, ties to even.
static inline Element element_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return x == x ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : 0x7fc0;
}

// Element (row, column) lies at data[row * row_step + column * column_step]; one step is 1.
struct Operand {
    const Element *data;
    int64_t row_step, column_step;
};

struct Shape {
    int64_t m, n, k;
};

// EVOLVE-BLOCK-START
static void multiply(const Operand &a, const Operand &b, Element *c, int64_t step,
                     const Shape &shape)
{
    for (int64_t i = 0; i < shape.m; i++) {
        for (int64_t j = 0; j < shape.n; j++) {
            float sum = 0;
            for (int64_t p = 0; p < shape.k; p++) {
                sum += number_of(a.data[i * a.row_step + p * a.column_step]) *
                       number_of(b.data[p * b.row_step + j * b.column_step]);
            }
            c[i * step + j] = element_of(sum);
        }
    }
}
// EVOLVE-BLOCK-END

extern "C" void matmul_bf16(const Element *a, const Element *b, Element *c, const int64_t *steps,
                            int64_t m, int64_t n, int64_t k)
{
    const Operand left = {a, steps[0], steps[1]}, right = {b, steps[2], steps[3]};
    multiply(left, right, c, steps[4], {m, n, k});
}
