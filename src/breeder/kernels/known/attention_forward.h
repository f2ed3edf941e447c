// Written by hand, not evolved. Attention by online softmax over chunks of keys (Dao and others,
// "FlashAttention", 2022), with the products of blocks.h.
const int QUERY_BLOCKS = 2; // blocks of queries that pass over the keys together
const int KEY_BLOCKS = 8;   // blocks of keys that such a pass takes at a time
const int QUERY_CHUNK = QUERY_BLOCKS * BLOCK, KEY_CHUNK = KEY_BLOCKS * BLOCK;
const int SCORE_STRIDE = KEY_CHUNK + LANES;

// A chunk of queries with what is known of its rows so far.
template <class B> struct Chunk {
    typedef typename B::Unit Unit;
    Unit *q, *weights;
    float *scores, *out;
    float largest[QUERY_CHUNK], sum[QUERY_CHUNK]; // of the scores, times log2(e)
    int64_t first, rows;                          // the first query, and how many
    int64_t columns;                              // blocks of a row
    float factor;                                 // of a score

    // Keys from `begin` on that row r sees, of `count`.
    inline int64_t seen_by(const Shape &shape, int64_t r, int64_t begin, int64_t count) const
    {
        if (!shape.causal) return count;
        const int64_t seen = first + r + 1 - begin;
        return seen < 0 ? 0 : seen < count ? seen : count;
    }
};

// Of the last block of a row's scores, those from `seen` on count for nothing.
static inline void hide_from(float *row, int64_t seen)
{
    const int32_t in_block = seen % BLOCK;
    float *last = row + seen - in_block;
    for (int half = 0; half < BLOCK; half += LANES) {
        Ints lane;
        for (int l = 0; l < LANES; l++) lane[l] = half + l;
        const Vec score = load(last + half);
        store(last + half, lane < in_block ? score : Vec{} - INFINITY);
    }
}

// The scores of 16 rows from `first` on become weights, `whole` of each; those behind what a row
// sees are zero.
template <class B, int DEGREE>
static void weigh_rows(const Shape &shape, Chunk<B> &chunk, int64_t first, int64_t begin,
                       int64_t count, int64_t whole)
{
    Vec tops[LANES], sums[LANES];
    int64_t used[LANES];
    for (int r = 0; r < LANES; r++) {
        float *row = chunk.scores + (first + r) * SCORE_STRIDE;
        const int64_t seen = chunk.seen_by(shape, first + r, begin, count);
        used[r] = first + r < chunk.rows ? (seen + BLOCK - 1) / BLOCK * BLOCK : 0;
        if (seen < used[r]) hide_from(row, seen);
        Vec top = Vec{} - INFINITY, second = top;
        for (int64_t j = 0; j < used[r]; j += BLOCK) {
            const Vec a = load(row + j), b = load(row + j + LANES);
            top = top > a ? top : a;
            second = second > b ? second : b;
        }
        tops[r] = top > second ? top : second;
    }
    transpose<LANES / 2>(tops);
    const Vec before = load(chunk.largest + first);
    Vec largest = before;
    for (int l = 0; l < LANES; l++) {
        const Vec top = tops[l] * chunk.factor;
        largest = largest > top ? largest : top;
    }
    for (int r = 0; r < LANES; r++) {
        typename B::Unit *to = chunk.weights + (first + r) / BLOCK * KEY_BLOCKS * B::SIZE;
        const float *row = chunk.scores + (first + r) * SCORE_STRIDE;
        Vec sum = {}, second = {};
        for (int64_t j = 0; j < used[r]; j += BLOCK, to += B::SIZE) {
            const Vec a = exp2_of<DEGREE>(load(row + j) * chunk.factor - largest[r]);
            const Vec b = exp2_of<DEGREE>(load(row + j + LANES) * chunk.factor - largest[r]);
            B::left(to, (first + r) % BLOCK, a, b);
            sum += a;
            second += b;
        }
        sums[r] = sum + second;
        for (int64_t j = used[r]; j < whole; j += BLOCK, to += B::SIZE) {
            B::left(to, (first + r) % BLOCK, Vec{}, Vec{});
        }
    }
    transpose<LANES / 2>(sums);
    const Vec factor = exp2_of<5>(before - largest);
    Vec sum = load(chunk.sum + first) * factor;
    for (int l = 0; l < LANES; l++) sum += sums[l];
    store(chunk.largest + first, largest);
    store(chunk.sum + first, sum);
    for (int r = 0; r < LANES; r++) {
        if (!used[r] || largest[r] == before[r] || before[r] == -INFINITY) continue;
        float *out = chunk.out + (first + r) * chunk.columns * BLOCK;
        for (int64_t d = 0; d < chunk.columns * BLOCK; d += LANES) {
            store(out + d, load(out + d) * factor[r]);
        }
    }
}

// Take the keys from `begin` on, `count` of them, into the chunk.
template <class B, int DEGREE>
static void take_keys(const Shape &shape, Chunk<B> &chunk, const typename B::Unit *k,
                      const typename B::Unit *v, int64_t begin, int64_t count)
{
    const int64_t columns = chunk.columns;
    k += begin / BLOCK * columns * B::SIZE;
    v += begin / BLOCK * columns * B::SIZE;
    int64_t blocks[QUERY_BLOCKS]; // of keys that a block of queries sees
    for (int n = 0; n < QUERY_BLOCKS; n++) {
        const int64_t seen = chunk.seen_by(shape, (n + 1) * BLOCK - 1, begin, count);
        blocks[n] = n * BLOCK < chunk.rows ? (seen + BLOCK - 1) / BLOCK : 0;
    }
    for (int64_t j = 0; j < KEY_BLOCKS; j++) {
        for (int n = 0; n < QUERY_BLOCKS; n++) {
            if (j >= blocks[n]) continue;
            B::product(chunk.q + n * columns * B::SIZE, k + j * columns * B::SIZE, B::SIZE, B::SIZE,
                       columns, chunk.scores + n * BLOCK * SCORE_STRIDE + j * BLOCK, SCORE_STRIDE,
                       false);
        }
    }
    for (int64_t r = 0; r < chunk.rows; r += LANES) {
        weigh_rows<B, DEGREE>(shape, chunk, r, begin, count, blocks[r / BLOCK] * BLOCK);
    }
    for (int64_t d = 0; d < columns; d++) {
        for (int n = 0; n < QUERY_BLOCKS; n++) {
            if (!blocks[n]) continue;
            B::product(chunk.weights + n * KEY_BLOCKS * B::SIZE, v + d * B::SIZE, B::SIZE,
                       columns * B::SIZE, blocks[n],
                       chunk.out + (n * columns * BLOCK + d) * BLOCK, columns * BLOCK, true);
        }
    }
}

template <class B, class Element, int DEGREE>
static void attend_chunk(const Shape &shape, Chunk<B> &chunk, const Matrix<Element> &q,
                         const typename B::Unit *k, const typename B::Unit *v)
{
    for (int n = 0; n < QUERY_BLOCKS; n++) {
        for (int64_t d = 0; d < chunk.columns; d++) {
            left_of<B>(q, chunk.first + n * BLOCK, d * BLOCK,
                       chunk.q + (n * chunk.columns + d) * B::SIZE);
        }
    }
    const int64_t end = chunk.first + chunk.rows;
    const int64_t keys = shape.causal && end < shape.keys ? end : shape.keys;
    memset(chunk.out, 0, QUERY_CHUNK * chunk.columns * BLOCK * sizeof(float));
    for (int r = 0; r < QUERY_CHUNK; r++) {
        chunk.largest[r] = -INFINITY;
        chunk.sum[r] = 0.0f;
    }
    for (int64_t begin = 0; begin < keys; begin += KEY_CHUNK) {
        const int64_t count = begin + KEY_CHUNK < keys ? KEY_CHUNK : keys - begin;
        take_keys<B, DEGREE>(shape, chunk, k, v, begin, count);
    }
}

template <class Element>
static void write_row(Element *to, const float *sums, float sum, int64_t width)
{
    for (int64_t d = 0; d < width; d += LANES) {
        store_some(to + d, load(sums + d) / (Vec{} + sum), width - d);
    }
}

// strides: of q, k, v and out. logsumexp is contiguous: [batch][heads][queries].
template <class B, class Element, int DEGREE>
static void attend_with(const Element *q, const Element *k, const Element *v, Element *out,
                        float *logsumexp, const Strides *strides, const Shape &shape)
{
    typedef typename B::Unit Unit;
    static thread_local Scratch scratch;
    const int64_t columns = (shape.width + BLOCK - 1) / BLOCK;
    const int64_t key_blocks = (shape.keys + BLOCK - 1) / BLOCK;
    const int64_t units = (2 * key_blocks * columns + QUERY_BLOCKS * (columns + KEY_BLOCKS)) * B::SIZE;
    const int64_t floats = QUERY_CHUNK * (SCORE_STRIDE + columns * BLOCK);
    scratch.reset(units * sizeof(Unit) + floats * sizeof(float) + 1024);
    Unit *k_packed = scratch.take<Unit>(key_blocks * columns * B::SIZE);
    Unit *v_packed = scratch.take<Unit>(key_blocks * columns * B::SIZE);
    Chunk<B> chunk;
    chunk.q = scratch.take<Unit>(QUERY_BLOCKS * columns * B::SIZE);
    chunk.weights = scratch.take<Unit>(QUERY_BLOCKS * KEY_BLOCKS * B::SIZE);
    chunk.scores = scratch.take<float>(QUERY_CHUNK * SCORE_STRIDE);
    chunk.out = scratch.take<float>(QUERY_CHUNK * columns * BLOCK);
    chunk.columns = columns;
    // A negative scale goes into the queries, so that the largest score has the largest weight.
    chunk.factor = fabsf(shape.scale) * LOG2_E;
    const float sign = shape.scale < 0.0f ? -1.0f : 1.0f;
    const int64_t group = shape.heads / shape.kv_heads;
    B::begin();
    for (int64_t pair = 0; pair < shape.batch * shape.kv_heads; pair++) {
        const int64_t b = pair / shape.kv_heads, g = pair % shape.kv_heads;
        const Matrix<Element> keys = {k + b * strides[1].batch + g * strides[1].head,
                                      strides[1].row, shape.keys, shape.width, 1.0f};
        const Matrix<Element> values = {v + b * strides[2].batch + g * strides[2].head,
                                        strides[2].row, shape.keys, shape.width, 1.0f};
        for (int64_t n = 0; n < key_blocks * columns; n++) {
            const int64_t row = n / columns * BLOCK, column = n % columns * BLOCK;
            right_across<B>(keys, row, column, k_packed + n * B::SIZE);
            right_of<B>(values, row, column, v_packed + n * B::SIZE);
        }
        for (int64_t h = g * group; h < (g + 1) * group; h++) {
            const Matrix<Element> queries = {q + b * strides[0].batch + h * strides[0].head,
                                             strides[0].row, shape.queries, shape.width, sign};
            Element *target = out + b * strides[3].batch + h * strides[3].head;
            float *sums = logsumexp + (b * shape.heads + h) * shape.queries;
            for (chunk.first = 0; chunk.first < shape.queries; chunk.first += QUERY_CHUNK) {
                const int64_t left = shape.queries - chunk.first;
                chunk.rows = left < QUERY_CHUNK ? left : QUERY_CHUNK;
                attend_chunk<B, Element, DEGREE>(shape, chunk, queries, k_packed, v_packed);
                for (int64_t r = 0; r < chunk.rows; r++) {
                    write_row(target + (chunk.first + r) * strides[3].row,
                              chunk.out + r * columns * BLOCK, chunk.sum[r], shape.width);
                    sums[chunk.first + r] = (chunk.largest[r] + log2f(chunk.sum[r])) / LOG2_E;
                }
            }
        }
    }
    B::end();
}
