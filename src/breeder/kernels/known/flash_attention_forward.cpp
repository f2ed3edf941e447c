// Attention of float32 tensors with the logarithm of each row's sum of exponentials:
// out[i] = sum over j of p[j] v[j], p = softmax over j of scale * (q[i] . k[j])
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

// Where row r of head h of batch b begins: b * batch + h * head + r * row. Rows are contiguous.
struct Strides {
    int64_t batch, head, row;
};

// Query heads h with h / (heads / kv_heads) == g share head g of keys and values.
struct Shape {
    int64_t batch, heads, kv_heads, queries, keys, width;
    bool causal; // query i sees keys 0 to i
    float scale;
};

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Online softmax over blocks of keys (Dao and others,
// "FlashAttention", 2022); register tiles and packing as for matrix products (Goto and van de Geijn,
// "Anatomy of high-performance matrix multiplication", 2008).
#ifdef __AVX512F__
const int LANES = 16; // floats of a vector
const int ROWS = 12;  // of a register tile
#else
const int LANES = 8;
const int ROWS = 6;
#endif
const int WIDE = 2; // vectors of a row of a register tile
const int PANEL = LANES * WIDE;
const int QUERY_BLOCK = 48;
const int KEY_BLOCK = 512;
const int VALUE_BLOCK = 64; // rows of values that stay in the first cache
const int SCORE_STRIDE = KEY_BLOCK + 16;
const float LOG2_E = 1.44269504088896341f;

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline Vec load(const float *from) { return *(const Loose *)from; }
static inline void store(float *to, Vec value) { *(Loose *)to = value; }

// 2^x for x <= 0, by a polynomial of degree 5 for the fraction (relative error 7.5e-8).
// Below -126 it is 2^-126.
static inline Vec exp2_of(Vec x)
{
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
    x = x > -126.0f ? x : Vec{} - 126.0f;
    const Vec shifted = x + magic;
    const Vec f = x - (shifted - magic);
    Vec p = f * 1.327647174e-3f + 9.675541540e-3f;
    p = p * f + 5.550713276e-2f;
    p = p * f + 2.402211972e-1f;
    p = p * f + 6.931469671e-1f;
    p = p * f + 1.000000072f;
    return (Vec)((Ints)p + ((Ints)shifted << 23));
}

static inline float largest_of(Vec x)
{
    float best = x[0];
    for (int lane = 1; lane < LANES; lane++) best = x[lane] > best ? x[lane] : best;
    return best;
}

static inline float sum_of(Vec x)
{
    float sum = 0.0f;
    for (int lane = 0; lane < LANES; lane++) sum += x[lane];
    return sum;
}

// Memory that is kept from call to call, lest the system clear it every time.
struct Scratch {
    float *data = nullptr;
    size_t count = 0;
    ~Scratch() { free(data); }
    float *of(size_t wanted)
    {
        if (wanted > count) {
            free(data);
            count = (wanted + 1023) / 1024 * 1024;
            data = (float *)aligned_alloc(64, count * sizeof(float));
            if (!data) abort();
        }
        return data;
    }
};

// Swaps, in each block of 2 * STEP rows and lanes, the two quarters off the diagonal, and goes on.
template <int STEP> static inline void swap_blocks(Vec (&rows)[LANES])
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
    if constexpr (STEP > 1) swap_blocks<STEP / 2>(rows);
}

// to[d][l] = scale * from[l][d] for LANES x LANES elements.
static inline void transpose(const float *from, int64_t from_stride, float scale, float *to,
                             int64_t to_stride)
{
    Vec rows[LANES];
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) rows[l] = load(from + l * from_stride) * scale;
    swap_blocks<LANES / 2>(rows);
#pragma GCC unroll 16
    for (int l = 0; l < LANES; l++) store(to + l * to_stride, rows[l]);
}

// to[d][row] = scale * from[row][d] for `count` columns; zeros behind the last row.
static void pack_columns(const float *from, int64_t stride, int64_t rows, int64_t width, float scale,
                         float *to, int64_t count)
{
    for (int64_t first = 0; first < count; first += LANES) {
        int64_t d = 0;
        if (first + LANES <= rows) {
            for (; d + LANES <= width; d += LANES) {
                transpose(from + first * stride + d, stride, scale, to + d * count + first, count);
            }
        }
        for (; d < width; d++) {
            for (int64_t r = first; r < first + LANES; r++) {
                to[d * count + r] = r < rows ? from[r * stride + d] * scale : 0.0f;
            }
        }
    }
}

// Panels of PANEL keys, element by element: to[panel][d][key]; zeros behind the last key.
static void pack_keys(const float *k, int64_t stride, int64_t keys, int64_t width, float *to)
{
    for (int64_t begin = 0; begin < keys; begin += PANEL, to += width * PANEL) {
        pack_columns(k + begin * stride, stride, keys - begin, width, 1.0f, to, PANEL);
    }
}

// Rows of values one after the other, zeros behind each.
static void pack_values(const float *v, int64_t stride, int64_t keys, int64_t width, int64_t padded,
                        float *to)
{
    for (int64_t j = 0; j < keys; j++, to += padded) {
        memcpy(to, v + j * stride, width * sizeof(float));
        for (int64_t d = width; d < padded; d++) to[d] = 0.0f;
    }
}

static void score_tile(const float *q, const float *panel, int64_t width, float *scores)
{
    Vec sums[ROWS][WIDE] = {};
    for (int64_t d = 0; d < width; d++) {
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 2
            for (int c = 0; c < WIDE; c++) {
                sums[r][c] += q[d * QUERY_BLOCK + r] * load(panel + d * PANEL + c * LANES);
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 2
        for (int c = 0; c < WIDE; c++) store(scores + r * SCORE_STRIDE + c * LANES, sums[r][c]);
    }
}

template <int C>
static void value_tile(const float *weights, const float *v, int64_t keys, int64_t padded,
                       float *out)
{
    Vec sums[ROWS][C];
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 2
        for (int c = 0; c < C; c++) sums[r][c] = load(out + r * padded + c * LANES);
    }
    for (int64_t j = 0; j < keys; j++) {
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 2
            for (int c = 0; c < C; c++) {
                sums[r][c] += weights[r * SCORE_STRIDE + j] * load(v + j * padded + c * LANES);
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 2
        for (int c = 0; c < C; c++) store(out + r * padded + c * LANES, sums[r][c]);
    }
}

// A block of queries with what is known of its rows so far.
struct Block {
    const float *q;
    float *scores, *out;
    float largest[QUERY_BLOCK], sum[QUERY_BLOCK];
    int64_t first, rows; // the first query, and how many
};

// Keys from `begin` on that row r sees, of `count`.
static inline int64_t seen_by(const Shape &shape, const Block &block, int64_t r, int64_t begin,
                              int64_t count)
{
    if (!shape.causal) return count;
    const int64_t seen = block.first + r + 1 - begin;
    return seen < 0 ? 0 : seen < count ? seen : count;
}

static void weigh_row(Block &block, int64_t r, int64_t seen, int64_t count, int64_t padded)
{
    float *row = block.scores + r * SCORE_STRIDE;
    const int64_t whole = (seen + LANES - 1) / LANES * LANES;
    for (int64_t j = seen; j < whole; j++) row[j] = -INFINITY;
    Vec top = Vec{} + block.largest[r];
    for (int64_t j = 0; j < whole; j += LANES) {
        const Vec x = load(row + j);
        top = x > top ? x : top;
    }
    const float largest = largest_of(top);
    Vec sum = {};
    for (int64_t j = 0; j < whole; j += LANES) {
        const Vec weight = exp2_of(load(row + j) - largest);
        store(row + j, weight);
        sum += weight;
    }
    for (int64_t j = seen; j < count; j++) row[j] = 0.0f;
    const float before = block.largest[r];
    block.largest[r] = largest;
    if (largest != before && before != -INFINITY) {
        const float factor = exp2f(before - largest);
        block.sum[r] *= factor;
        for (int64_t d = 0; d < padded; d += LANES) {
            store(block.out + r * padded + d, load(block.out + r * padded + d) * factor);
        }
    }
    block.sum[r] += sum_of(sum);
}

template <int C>
static void add_values(const Shape &shape, Block &block, const float *v, int64_t begin,
                       int64_t count, int64_t padded, int64_t column)
{
    for (int64_t from = 0; from < count; from += VALUE_BLOCK) {
        for (int64_t r = 0; r < block.rows; r += ROWS) {
            int64_t keys = seen_by(shape, block, r + ROWS - 1, begin, count) - from;
            keys = keys < VALUE_BLOCK ? keys : VALUE_BLOCK;
            if (keys <= 0) continue;
            value_tile<C>(block.scores + r * SCORE_STRIDE + from,
                             v + (begin + from) * padded + column, keys, padded,
                             block.out + r * padded + column);
        }
    }
}

// Take `count` keys from `begin` on into the block.
static void take_keys(const Shape &shape, Block &block, const float *k, const float *v,
                      int64_t begin, int64_t count, int64_t padded)
{
    for (int64_t j = 0; j < count; j += PANEL) {
        for (int64_t r = 0; r < block.rows; r += ROWS) {
            if (seen_by(shape, block, r + ROWS - 1, begin, count) <= j) continue;
            score_tile(block.q + r, k + (begin + j) * shape.width, shape.width,
                       block.scores + r * SCORE_STRIDE + j);
        }
    }
    for (int64_t r = 0; r < block.rows; r++) {
        const int64_t seen = seen_by(shape, block, r, begin, count);
        if (seen > 0) {
            weigh_row(block, r, seen, count, padded);
        } else {
            memset(block.scores + r * SCORE_STRIDE, 0, count * sizeof(float));
        }
    }
    int64_t column = 0;
    for (; column + WIDE * LANES <= padded; column += WIDE * LANES) {
        add_values<WIDE>(shape, block, v, begin, count, padded, column);
    }
    for (; column < padded; column += LANES) {
        add_values<1>(shape, block, v, begin, count, padded, column);
    }
}

static void attend_block(const Shape &shape, Block &block, const float *k, const float *v,
                         int64_t padded)
{
    const int64_t end = block.first + block.rows;
    const int64_t keys = shape.causal && end < shape.keys ? end : shape.keys;
    memset(block.out, 0, QUERY_BLOCK * padded * sizeof(float));
    for (int r = 0; r < QUERY_BLOCK; r++) {
        block.largest[r] = -INFINITY;
        block.sum[r] = 0.0f;
    }
    for (int64_t begin = 0; begin < keys; begin += KEY_BLOCK) {
        const int64_t count = begin + KEY_BLOCK < keys ? KEY_BLOCK : keys - begin;
        take_keys(shape, block, k, v, begin, count, padded);
    }
}

// strides: of q, k, v and out. logsumexp is contiguous: [batch][heads][queries].
static void attend(const float *q, const float *k, const float *v, float *out, float *logsumexp,
                   const Strides *strides, const Shape &shape)
{
    static thread_local Scratch scratch;
    const int64_t width = shape.width, padded = (width + LANES - 1) / LANES * LANES;
    const int64_t panels = (shape.keys + PANEL - 1) / PANEL;
    const int64_t sizes[4] = {panels * PANEL * width, shape.keys * padded, QUERY_BLOCK * padded,
                              QUERY_BLOCK * SCORE_STRIDE};
    float *k_packed = scratch.of(sizes[0] + sizes[1] + 2 * sizes[2] + sizes[3] + 64);
    float *v_packed = k_packed + sizes[0];
    float *q_packed = v_packed + sizes[1];
    Block block;
    block.q = q_packed;
    block.out = q_packed + sizes[2];
    block.scores = block.out + sizes[2];
    const int64_t group = shape.heads / shape.kv_heads;
    for (int64_t pair = 0; pair < shape.batch * shape.kv_heads; pair++) {
        const int64_t b = pair / shape.kv_heads, g = pair % shape.kv_heads;
        pack_keys(k + b * strides[1].batch + g * strides[1].head, strides[1].row, shape.keys, width,
                  k_packed);
        pack_values(v + b * strides[2].batch + g * strides[2].head, strides[2].row, shape.keys,
                    width, padded, v_packed);
        for (int64_t h = g * group; h < (g + 1) * group; h++) {
            const float *queries = q + b * strides[0].batch + h * strides[0].head;
            float *target = out + b * strides[3].batch + h * strides[3].head;
            float *sums = logsumexp + (b * shape.heads + h) * shape.queries;
            for (int64_t first = 0; first < shape.queries; first += QUERY_BLOCK) {
                const int64_t left = shape.queries - first;
                block.first = first;
                block.rows = left < QUERY_BLOCK ? left : QUERY_BLOCK;
                pack_columns(queries + first * strides[0].row, strides[0].row, block.rows, width,
                             shape.scale * LOG2_E, q_packed, QUERY_BLOCK);
                attend_block(shape, block, k_packed, v_packed, padded);
                for (int64_t r = 0; r < block.rows; r++) {
                    float *row = target + (first + r) * strides[3].row;
                    for (int64_t d = 0; d < width; d++) {
                        row[d] = block.out[r * padded + d] / block.sum[r];
                    }
                    sums[first + r] = (block.largest[r] + log2f(block.sum[r])) / LOG2_E;
                }
            }
        }
    }
}
// EVOLVE-BLOCK-END

extern "C" void flash_attention_forward(const float *q, const float *k, const float *v, float *out,
                                        float *logsumexp, const int64_t *strides, int64_t batch,
                                        int64_t heads, int64_t kv_heads, int64_t queries,
                                        int64_t keys, int64_t width, int64_t causal, float scale)
{
    const Strides each[4] = {{strides[0], strides[1], strides[2]},
                             {strides[3], strides[4], strides[5]},
                             {strides[6], strides[7], strides[8]},
                             {strides[9], strides[10], strides[11]}};
    const Shape shape = {batch, heads, kv_heads, queries, keys, width, causal != 0, scale};
    attend(q, k, v, out, logsumexp, each, shape);
}
