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
// Written by hand, not evolved. For the few rows that decoding has, when the terms of a sum lie
// together on both sides: C^T = B^T A^T, so that the weights, which are most of what is read, go into
// matrix tiles as they lie in memory, and the few rows of A are laid out for them once.
const int64_t FEW = 16, DEPTH = 32; // rows and terms of a tile

#ifdef __AMX_BF16__
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

// The system gives a process the tiles' registers on request only.
static bool has_tiles()
{
    static const bool granted = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18) == 0;
    return granted;
}

static void configure()
{
    // Not on the stack: GCC takes the instruction to read eight bytes, and might not write others.
    static const struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&shape);
}

// Rows of A by pairs of terms, blocks of DEPTH terms one after the other, zeros where there are none.
static void pack(const Operand &a, int64_t m, int64_t k, Element *to)
{
    memset(to, 0, (k + DEPTH - 1) / DEPTH * DEPTH * FEW * sizeof(Element));
    for (int64_t i = 0; i < m; i++) {
        const Element *from = a.data + i * a.row_step;
        for (int64_t p = 0; p < k; p++) to[p / 2 * 2 * FEW + 2 * i + p % 2] = from[p];
    }
}

// Some rows of weights and terms as a tile, zeros for the rest: a tile would reach beyond them.
static void copy(const Element *from, int64_t step, int64_t rows, int64_t terms, Element *to)
{
    memset(to, 0, FEW * DEPTH * sizeof(Element));
    for (int64_t r = 0; r < rows; r++) {
        memcpy(to + r * DEPTH, from + r * step, terms * sizeof(Element));
    }
}

static void rounded(const float *sums, int64_t m, int64_t count, Element *c, int64_t step)
{
    for (int64_t i = 0; i < m; i++) {
        for (int64_t r = 0; r < count; r++) c[i * step + r] = element_of(sums[r * FEW + i]);
    }
}

// Ask for as much of what comes next as a tile takes.
static inline void ask(const Element *next, int64_t p)
{
    for (int64_t r = 0; r < FEW; r++) __builtin_prefetch(next + p * FEW + r * DEPTH, 0, 2);
}

// 16 rows of weights, k a multiple of DEPTH. Four sums side by side, each of every fourth block of
// terms, so that none waits for the one before. The rows behind, which lie on from these where there
// are no gaps, are brought into the second cache: rows that are a power of two apart share few
// places of the first.
static void sixteen(const Element *w, int64_t row, const Element *a, int64_t k, float *sums)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const Element *next = w + FEW * row;
    int64_t p = 0;
    while (p + 4 * DEPTH <= k) {
        ask(next, p);
        _tile_loadd(5, a + p * FEW, 64);
        _tile_loadd(4, w + p, 2 * row);
        _tile_dpbf16ps(0, 4, 5);
        p += DEPTH;
        ask(next, p);
        _tile_loadd(7, a + p * FEW, 64);
        _tile_loadd(6, w + p, 2 * row);
        _tile_dpbf16ps(1, 6, 7);
        p += DEPTH;
        ask(next, p);
        _tile_loadd(5, a + p * FEW, 64);
        _tile_loadd(4, w + p, 2 * row);
        _tile_dpbf16ps(2, 4, 5);
        p += DEPTH;
        ask(next, p);
        _tile_loadd(7, a + p * FEW, 64);
        _tile_loadd(6, w + p, 2 * row);
        _tile_dpbf16ps(3, 6, 7);
        p += DEPTH;
    }
    while (p < k) {
        ask(next, p);
        _tile_loadd(5, a + p * FEW, 64);
        _tile_loadd(4, w + p, 2 * row);
        _tile_dpbf16ps(0, 4, 5);
        p += DEPTH;
    }
    alignas(64) float others[3 * FEW * FEW];
    _tile_stored(0, sums, 64);
    _tile_stored(1, others, 64);
    _tile_stored(2, others + FEW * FEW, 64);
    _tile_stored(3, others + 2 * FEW * FEW, 64);
    for (int64_t i = 0; i < FEW * FEW; i++) {
        sums[i] += others[i] + others[FEW * FEW + i] + others[2 * FEW * FEW + i];
    }
}

// Up to 16 rows of weights, any k.
static void some(const Element *w, int64_t row, int64_t rows, const Element *a, int64_t k, float *sums)
{
    alignas(64) Element tile[FEW * DEPTH];
    _tile_zero(0);
    for (int64_t p = 0; p < k; p += DEPTH) {
        copy(w + p, row, rows, k - p < DEPTH ? k - p : DEPTH, tile);
        _tile_loadd(4, a + p * FEW, 64);
        _tile_loadd(5, tile, 64);
        _tile_dpbf16ps(0, 5, 4);
    }
    _tile_stored(0, sums, 64);
}

static void few_rows(const Operand &a, const Operand &b, Element *c, int64_t step, const Shape &shape)
{
    const int64_t k = shape.k, row = b.column_step;
    Element *packed = (Element *)aligned_alloc(64, (k / DEPTH + 1) * DEPTH * FEW * sizeof(Element));
    if (!packed) abort();
    alignas(64) float sums[FEW * FEW];
    pack(a, shape.m, k, packed);
    configure();
    for (int64_t j = 0; j < shape.n; j += FEW) {
        const int64_t rows = shape.n - j < FEW ? shape.n - j : FEW;
        if (rows == FEW && k % DEPTH == 0) {
            sixteen(b.data + j * row, row, packed, k, sums);
        } else {
            some(b.data + j * row, row, rows, packed, k, sums);
        }
        rounded(sums, shape.m, rows, c + j, step);
    }
    _tile_release();
    free(packed);
}
#endif

static void multiply(const Operand &a, const Operand &b, Element *c, int64_t step,
                     const Shape &shape)
{
#ifdef __AMX_BF16__
    if (shape.m <= FEW && a.column_step == 1 && b.row_step == 1 && has_tiles()) {
        return few_rows(a, b, c, step, shape);
    }
#endif
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
