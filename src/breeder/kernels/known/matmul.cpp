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
// Written by hand, not evolved. Blocks of both operands are taken apart into the units of blocks.h
// and stay in the second cache while they are multiplied (Goto and van de Geijn, "Anatomy of
// high-performance matrix multiplication", 2008).
#include "blocks.h"
#include "tiles.h"

// Of A, ROW_BLOCKS by DEPTH_BLOCKS are packed at a time, of B DEPTH_BLOCKS by COLUMN_BLOCKS: with
// three parts 1.7 MiB of the second cache's 2. So A, in the sizes of layers, is read from memory
// once or twice (one of the better of eight settings, tried on a busy Xeon with AMX).
const int DEPTH_BLOCKS = 16, ROW_BLOCKS = 2, COLUMN_BLOCKS = 16;

static inline int64_t blocks_of(int64_t count) { return (count + BLOCK - 1) / BLOCK; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Rows of numbers in memory that will be needed soon.
struct Soon {
    const float *data;
    int64_t step, rows, width;
    // Ask for a share of the rows: that number `part` of `parts`.
    inline void fetch(int64_t part, int64_t parts) const
    {
        for (int64_t r = rows * part / parts; r < rows * (part + 1) / parts; r++) {
            for (int64_t j = 0; j < width; j += LANES) {
                __builtin_prefetch(data + r * step + j, 0, 2);
            }
        }
    }
};

// c (+)= the product of a row of blocks of A and a column of blocks of B, `rows` by `columns` of it.
// What is large in c would cost each of many small terms some digits: `apart` sums these up first.
template <class B>
static void product(const typename B::Unit *a, const typename B::Unit *b, int64_t depth, float *c,
                    int64_t step, int64_t rows, int64_t columns, bool add, bool apart)
{
    if (rows >= BLOCK && columns >= BLOCK && !apart) {
        return B::product(a, b, B::SIZE, B::SIZE, depth, c, step, add);
    }
    alignas(64) float sums[BLOCK * BLOCK];
    B::product(a, b, B::SIZE, B::SIZE, depth, sums, BLOCK, false);
    for (int64_t r = 0; r < least(rows, BLOCK); r++) {
        for (int64_t j = 0; j < least(columns, BLOCK); j++) {
            c[r * step + j] = sums[r * BLOCK + j] + (add ? c[r * step + j] : 0.0f);
        }
    }
}

template <class B> struct Product {
    typedef typename B::Unit Unit;
    Operand a, b;
    Shape shape;
    Unit *a_packed, *b_packed;

    void pack_rows(int64_t row, int64_t rows, int64_t first, int64_t depth) const
    {
        const bool across = a.column_step != 1;
        const Matrix<float> from = {a.data, across ? a.column_step : a.row_step,
                                    across ? shape.k : shape.m, across ? shape.m : shape.k, 1.0f};
        // Along the rows of memory.
        for (int64_t block = 0; block < rows * depth; block++) {
            const int64_t i = across ? block % rows : block / depth;
            const int64_t p = across ? block / rows : block % depth;
            Unit *to = a_packed + (i * depth + p) * B::SIZE;
            const int64_t r = row + i * BLOCK, d = first + p * BLOCK;
            across ? left_across<B>(from, d, r, to) : left_of<B>(from, r, d, to);
        }
    }
    // What `pack_rows` will read.
    Soon rows_of(int64_t row, int64_t rows, int64_t first, int64_t depth) const
    {
        depth = least(depth * BLOCK, shape.k - first);
        rows = least(rows * BLOCK, shape.m - row);
        if (rows <= 0) return {};
        const float *data = a.data + row * a.row_step + first * a.column_step;
        if (a.column_step == 1) return {data, a.row_step, rows, depth};
        return {data, a.column_step, depth, rows};
    }
    void pack_columns(int64_t column, int64_t columns, int64_t first, int64_t depth) const
    {
        const bool across = b.column_step != 1;
        const Matrix<float> from = {b.data, across ? b.column_step : b.row_step,
                                    across ? shape.n : shape.k, across ? shape.k : shape.n, 1.0f};
        for (int64_t block = 0; block < columns * depth; block++) {
            const int64_t j = across ? block / depth : block % columns;
            const int64_t p = across ? block % depth : block / columns;
            Unit *to = b_packed + (j * depth + p) * B::SIZE;
            const int64_t c = column + j * BLOCK, d = first + p * BLOCK;
            across ? right_across<B>(from, c, d, to) : right_of<B>(from, d, c, to);
        }
    }
};

template <class B>
static void multiply_with(const Operand &a, const Operand &b, float *c, int64_t step,
                          const Shape &shape, bool add)
{
    typedef typename B::Unit Unit;
    static thread_local Scratch scratch;
    const int64_t size = DEPTH_BLOCKS * B::SIZE;
    scratch.reset((ROW_BLOCKS + COLUMN_BLOCKS) * size * sizeof(Unit));
    Product<B> work = {a, b, shape, scratch.take<Unit>(ROW_BLOCKS * size),
                       scratch.take<Unit>(COLUMN_BLOCKS * size)};
    B::begin();
    for (int64_t d = 0; d < shape.k; d += DEPTH_BLOCKS * BLOCK) {
        const int64_t depth = blocks_of(least(shape.k - d, DEPTH_BLOCKS * BLOCK));
        for (int64_t n = 0; n < shape.n; n += COLUMN_BLOCKS * BLOCK) {
            const int64_t columns = blocks_of(least(shape.n - n, COLUMN_BLOCKS * BLOCK));
            work.pack_columns(n, columns, d, depth);
            for (int64_t m = 0; m < shape.m; m += ROW_BLOCKS * BLOCK) {
                const int64_t rows = blocks_of(least(shape.m - m, ROW_BLOCKS * BLOCK));
                work.pack_rows(m, rows, d, depth);
                const Soon soon = work.rows_of(m + ROW_BLOCKS * BLOCK, ROW_BLOCKS, d, depth);
                for (int64_t j = 0; j < columns; j++) {
                    for (int64_t i = 0; i < rows; i++) {
                        soon.fetch(j * rows + i, columns * rows);
                        const int64_t row = m + i * BLOCK, column = n + j * BLOCK;
                        product<B>(work.a_packed + i * depth * B::SIZE,
                                   work.b_packed + j * depth * B::SIZE, depth,
                                   c + row * step + column, step, shape.m - row, shape.n - column,
                                   add || d > 0, add);
                    }
                }
            }
        }
    }
    B::end();
}

static void multiply(const Operand &a, const Operand &b, float *c, int64_t step,
                     const Shape &shape, bool add, int64_t parts)
{
    for (int64_t r = 0; !shape.k && !add && r < shape.m; r++) {
        memset(c + r * step, 0, shape.n * sizeof(float));
    }
#ifdef __AMX_BF16__
    if (Tiles<3>::allowed()) {
        if (parts == 1) return multiply_with<Tiles<1>>(a, b, c, step, shape, add);
        if (parts == 2) return multiply_with<Tiles<2>>(a, b, c, step, shape, add);
        return multiply_with<Tiles<3>>(a, b, c, step, shape, add);
    }
#endif
    multiply_with<Plain>(a, b, c, step, shape, add);
}
// EVOLVE-BLOCK-END

extern "C" void matmul(const float *a, const float *b, float *c, const int64_t *steps, int64_t m,
                       int64_t n, int64_t k, int64_t add, int64_t parts)
{
    const Operand left = {a, steps[0], steps[1]}, right = {b, steps[2], steps[3]};
    multiply(left, right, c, steps[4], {m, n, k}, add != 0, parts);
}
