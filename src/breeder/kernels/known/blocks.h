// Written by hand, not evolved. Products of blocks of 32 x 32 numbers, which attention is made of,
// on three kinds of hardware: vector units, vdpbf16ps, and the tiles of AMX.
//
// float32 runs on bfloat16 tiles without loss: a number is the exact sum of three bfloat16 numbers,
// and of the nine products of two such sums the three smallest vanish in float32 (Henry, Tang and
// Heinecke, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision
// computations", 2019).
#ifdef __AMX_BF16__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__AMX_BF16__) || defined(__AVX512BF16__)
#include <immintrin.h>
#endif

const int LANES = 16;
const int BLOCK = 2 * LANES;
#ifdef __AVX512F__
const int TILE_ROWS = 8, TILE_VECTORS = 2; // of sums that vector registers hold
#else
const int TILE_ROWS = 4, TILE_VECTORS = 1;
#endif
const float LOG2_E = 1.44269504088896341f;

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));
typedef uint32_t Uints __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

static inline Vec load(const float *from) { return *(const Loose *)from; }
static inline void store(float *to, Vec value) { *(Loose *)to = value; }

// bfloat16 numbers are the upper halves of float32 numbers.
static inline Vec load(const uint16_t *from)
{
    return (Vec)(__builtin_convertvector(*(const Halves *)from, Ints) << 16);
}
static inline void store(uint16_t *to, Vec value)
{
    const Ints bits = (Ints)value, even = bits + 0x7fff + (bits >> 16 & 1);
    const Ints rounded = value == value ? even : bits;
    *(Halves *)to = __builtin_convertvector(rounded >> 16 & 0xffff, Halves);
}
// Of a vector that reaches beyond the end of a row, the first `count` elements; zeros behind them.
template <class Element> static inline Vec load_some(const Element *from, int64_t count)
{
    if (count >= LANES) return load(from);
    Element some[LANES] = {};
    for (int64_t l = 0; l < count; l++) some[l] = from[l];
    return load(some);
}
template <class Element> static inline void store_some(Element *to, Vec value, int64_t count)
{
    if (count >= LANES) return store(to, value);
    Element some[LANES];
    store(some, value);
    for (int64_t l = 0; l < count; l++) to[l] = some[l];
}

// 2^x by a polynomial for the fraction; below 2^-126 it is 2^-126. Degree 5 has a relative error of
// 7.5e-8, degree 3 one of 1e-4: a twentieth of what rounding to bfloat16 makes.
template <int DEGREE> static inline Vec exp2_of(Vec x)
{
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
    const Vec least = Vec{} - 126.0f;
    x = least > x ? least : x; // in this order one instruction, which lets NaN through
    const Vec shifted = x + magic;
    const Vec f = x - (shifted - magic);
    Vec p;
    if constexpr (DEGREE == 5) {
        p = f * 1.327647174e-3f + 9.675541540e-3f;
        p = p * f + 5.550713276e-2f;
        p = p * f + 2.402211972e-1f;
        p = p * f + 6.931469671e-1f;
        p = p * f + 1.000000072f;
    } else {
        p = f * 5.517166904e-2f + 2.426111222e-1f;
        p = p * f + 6.932609855e-1f;
        p = p * f + 9.999280735e-1f;
    }
    return (Vec)((Ints)p + ((Ints)shifted << 23));
}

// Swaps, in each block of 2 * STEP rows and lanes, the two quarters off the diagonal, and goes on.
template <int STEP> static inline void transpose(Vec (&rows)[LANES])
{
    Ints low, high;
    for (int l = 0; l < LANES; l++) {
        low[l] = l & STEP ? l - STEP + LANES : l;
        high[l] = l & STEP ? l + LANES : l + STEP;
    }
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) {
        if (l & STEP) continue;
        const Vec a = rows[l], b = rows[l + STEP];
        rows[l] = __builtin_shuffle(a, b, low);
        rows[l + STEP] = __builtin_shuffle(a, b, high);
    }
    if constexpr (STEP > 1) transpose<STEP / 2>(rows);
}

// A matrix in memory, its numbers multiplied by `factor`; what lies outside of it is zero.
template <class Element> struct Matrix {
    const Element *data;
    int64_t stride, rows, width;
    float factor;
    bool inside(int64_t row, int64_t column) const
    {
        return row + LANES <= rows && column + LANES <= width;
    }
    inline Vec whole(int64_t row, int64_t column) const
    {
        return load(data + row * stride + column) * factor;
    }
    __attribute__((noinline)) Vec some(int64_t row, int64_t column) const
    {
        if (row >= rows || column >= width) return Vec{};
        return load_some(data + row * stride + column, width - column) * factor;
    }
    inline Vec at(int64_t row, int64_t column) const
    {
        return inside(row, column) ? whole(row, column) : some(row, column);
    }
    // lanes[d]: column `column` + d of 16 rows.
    __attribute__((noinline)) void across(int64_t row, int64_t column, Vec (&lanes)[LANES]) const
    {
        if (inside(row, column)) {
#pragma GCC unroll 16
            for (int r = 0; r < LANES; r++) lanes[r] = whole(row + r, column);
        } else {
            for (int r = 0; r < LANES; r++) lanes[r] = some(row + r, column);
        }
        transpose<LANES / 2>(lanes);
    }
};

// Memory that is kept from call to call, lest the system clear it every time.
struct Scratch {
    char *data = nullptr;
    size_t bytes = 0, used = 0;
    ~Scratch() { free(data); }
    void reset(size_t wanted)
    {
        used = 0;
        if (wanted <= bytes) return;
        free(data);
        bytes = (wanted + 4095) / 4096 * 4096;
        data = (char *)aligned_alloc(64, bytes);
        if (!data) abort();
    }
    template <class Unit> Unit *take(int64_t count)
    {
        Unit *taken = (Unit *)(data + used);
        used += (count * sizeof(Unit) + 63) / 64 * 64;
        return taken;
    }
};

// A left operand has rows of 32 numbers that are summed over ("depth"), a right one 32 columns.
// Plain arithmetic of float32 vectors.
struct Plain {
    typedef float Unit;
    static const int64_t SIZE = BLOCK * BLOCK; // units of a block
    static void begin() {}
    static void end() {}
    // Row `row`: the first half of its depth in a, the second in b.
    static inline void left(Unit *block, int row, Vec a, Vec b)
    {
        store(block + row * BLOCK, a);
        store(block + row * BLOCK + LANES, b);
    }
    // Depths `depth` (in a) and `depth` + 16 (in b) of the columns from `column` (0 or 16) on.
    static inline void right(Unit *block, int depth, int column, Vec a, Vec b)
    {
        store(block + depth * BLOCK + column, a);
        store(block + (depth + LANES) * BLOCK + column, b);
    }
    static void tile(const Unit *a, const Unit *b, int64_t a_step, int64_t b_step, int64_t count,
                     float *c, int64_t stride, bool add)
    {
        Vec sums[TILE_ROWS][TILE_VECTORS] = {};
        if (add) {
#pragma GCC unroll 8
            for (int r = 0; r < TILE_ROWS; r++) {
#pragma GCC unroll 2
                for (int v = 0; v < TILE_VECTORS; v++) {
                    sums[r][v] = load(c + r * stride + v * LANES);
                }
            }
        }
        for (int64_t n = 0; n < count; n++, a += a_step, b += b_step) {
            for (int d = 0; d < BLOCK; d++) {
#pragma GCC unroll 8
                for (int r = 0; r < TILE_ROWS; r++) {
#pragma GCC unroll 2
                    for (int v = 0; v < TILE_VECTORS; v++) {
                        sums[r][v] += a[r * BLOCK + d] * load(b + d * BLOCK + v * LANES);
                    }
                }
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < TILE_ROWS; r++) {
#pragma GCC unroll 2
            for (int v = 0; v < TILE_VECTORS; v++) {
                store(c + r * stride + v * LANES, sums[r][v]);
            }
        }
    }
    // c (+)= the sum over `count` blocks of left * right; operands are a_step and b_step units apart.
    static void product(const Unit *a, const Unit *b, int64_t a_step, int64_t b_step, int64_t count,
                        float *c, int64_t stride, bool add)
    {
        for (int r = 0; r < BLOCK; r += TILE_ROWS) {
            for (int k = 0; k < BLOCK; k += TILE_VECTORS * LANES) {
                tile(a + r * BLOCK, b + k, a_step, b_step, count, c + r * stride + k, stride, add);
            }
        }
    }
};

// Operands made of the block of a matrix that begins at (row, column).
// The rows are those of a left operand, columns are summed over.
template <class B, class Element>
static void left_of(const Matrix<Element> &from, int64_t row, int64_t column, typename B::Unit *to)
{
    for (int r = 0; r < BLOCK; r++) {
        B::left(to, r, from.at(row + r, column), from.at(row + r, column + LANES));
    }
}
// The columns are those of a right operand, rows are summed over.
template <class B, class Element>
static void right_of(const Matrix<Element> &from, int64_t row, int64_t column, typename B::Unit *to)
{
    for (int r = 0; r < LANES; r++) {
        for (int half = 0; half < BLOCK; half += LANES) {
            B::right(to, r, half, from.at(row + r, column + half),
                     from.at(row + r + LANES, column + half));
        }
    }
}
// The rows are the columns of a right operand.
template <class B, class Element>
static void right_across(const Matrix<Element> &from, int64_t row, int64_t column,
                         typename B::Unit *to)
{
    Vec a[LANES], b[LANES];
    for (int half = 0; half < BLOCK; half += LANES) {
        from.across(row + half, column, a);
        from.across(row + half, column + LANES, b);
        for (int d = 0; d < LANES; d++) B::right(to, d, half, a[d], b[d]);
    }
}
// The columns are the rows of a left operand.
template <class B, class Element>
static void left_across(const Matrix<Element> &from, int64_t row, int64_t column,
                        typename B::Unit *to)
{
    Vec a[LANES], b[LANES];
    for (int half = 0; half < BLOCK; half += LANES) {
        from.across(row, column + half, a);
        from.across(row + LANES, column + half, b);
        for (int d = 0; d < LANES; d++) B::left(to, half + d, a[d], b[d]);
    }
}
