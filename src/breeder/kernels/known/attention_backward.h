// Written by hand, not evolved. Gradients of attention, with the weights computed anew from the
// logarithms of their sums (Dao and others, "FlashAttention", 2022). All scores lie transposed, keys
// by queries: a block of them is a left operand of the gradients of keys and values as it stands,
// and a right operand of the transposed gradient of queries.
const int CHUNK_BLOCKS = 4; // blocks of keys, and of queries, that are taken together
const int CHUNK = CHUNK_BLOCKS * BLOCK;

// What the gradients of one head are computed from, packed, and what they are summed up in.
template <class B> struct Head {
    typedef typename B::Unit Unit;
    int64_t columns, query_blocks, key_blocks; // of operands; a row has `columns`
    Unit *k, *k_across, *v;                    // left operands
    Unit *q, *q_across, *grad, *grad_across;   // right operands
    float *logsums, *deltas;                   // by query; the former times log2(e)
    float *grad_q, *grad_k, *grad_v; // the first in blocks of [columns][query_blocks], transposed
    Unit *weights, *changes, *changes_right; // of a chunk: [keys][queries]
    float *scores, *products;                // of a block
    float factor;                            // of a score
};

// The weights of a block and the gradients of its scores (but for the scale), as operands.
template <class B, int DEGREE>
static void weigh_block(const Shape &shape, Head<B> &head, int64_t key, int64_t query, int64_t place)
{
    typename B::Unit *weights = head.weights + place * B::SIZE;
    typename B::Unit *changes = head.changes + place * B::SIZE;
    typename B::Unit *right = head.changes_right + place * B::SIZE;
    const bool partial = (shape.causal && key + BLOCK > query) || key + BLOCK > shape.keys;
    Ints lane;
    for (int l = 0; l < LANES; l++) lane[l] = l;
    Vec logsum[2], delta[2];
    for (int half = 0; half < 2; half++) {
        logsum[half] = load(head.logsums + query + half * LANES);
        delta[half] = load(head.deltas + query + half * LANES);
    }
    for (int first = 0; first < LANES; first++) {
        Vec change[2][2];
        for (int pair = 0; pair < 2; pair++) {
            const int r = first + pair * LANES;
            const float *score = head.scores + r * BLOCK, *product = head.products + r * BLOCK;
            Vec weight[2];
            for (int half = 0; half < 2; half++) {
                Vec p = exp2_of<DEGREE>(load(score + half * LANES) * head.factor - logsum[half]);
                if (partial) {
                    const int64_t distance = key + r - query - half * LANES;
                    const int32_t hidden = key + r >= shape.keys           ? LANES
                                           : !shape.causal || distance < 0 ? 0
                                           : distance < LANES              ? distance
                                                                           : LANES;
                    p = lane < hidden ? Vec{} : p;
                }
                weight[half] = p;
                change[pair][half] = p * (load(product + half * LANES) - delta[half]);
            }
            B::left(weights, r, weight[0], weight[1]);
            B::left(changes, r, change[pair][0], change[pair][1]);
        }
        for (int half = 0; half < 2; half++) {
            B::right(right, first, half * LANES, change[0][half], change[1][half]);
        }
    }
}

// Add what the queries from block `i` on and the keys from block `j` on have to do with each other.
template <class B, int DEGREE>
static void add_chunk(const Shape &shape, Head<B> &head, int64_t i, int64_t j)
{
    const int64_t columns = head.columns, size = B::SIZE;
    const int64_t queries = i + CHUNK_BLOCKS < head.query_blocks ? CHUNK_BLOCKS : head.query_blocks - i;
    const int64_t keys = j + CHUNK_BLOCKS < head.key_blocks ? CHUNK_BLOCKS : head.key_blocks - j;
    for (int64_t b = 0; b < keys; b++) {
        // Blocks of queries before `first` see none of these keys.
        const int64_t first = !shape.causal || j + b < i ? 0 : j + b - i;
        if (first >= queries) continue;
        for (int64_t a = first; a < queries; a++) {
            B::product(head.k + (j + b) * columns * size, head.q_across + (i + a) * columns * size,
                       size, size, columns, head.scores, BLOCK, false);
            B::product(head.v + (j + b) * columns * size, head.grad_across + (i + a) * columns * size,
                       size, size, columns, head.products, BLOCK, false);
            weigh_block<B, DEGREE>(shape, head, (j + b) * BLOCK, (i + a) * BLOCK,
                                   b * CHUNK_BLOCKS + a);
        }
        const int64_t place = (b * CHUNK_BLOCKS + first) * size;
        for (int64_t d = 0; d < columns; d++) {
            const int64_t from = ((i + first) * columns + d) * size;
            const int64_t to = ((j + b) * columns * BLOCK + d) * BLOCK;
            B::product(head.weights + place, head.grad + from, size, columns * size, queries - first,
                       head.grad_v + to, columns * BLOCK, true);
            B::product(head.changes + place, head.q + from, size, columns * size, queries - first,
                       head.grad_k + to, columns * BLOCK, true);
        }
    }
    for (int64_t a = 0; a < queries; a++) {
        const int64_t seen = !shape.causal || i + a - j >= keys ? keys : i + a - j + 1;
        if (seen <= 0) continue;
        for (int64_t d = 0; d < columns; d++) {
            B::product(head.k_across + (d * head.key_blocks + j) * size,
                       head.changes_right + a * size, size, CHUNK_BLOCKS * size, seen,
                       head.grad_q + (d * head.query_blocks + i + a) * BLOCK * BLOCK, BLOCK, true);
        }
    }
}

template <class B>
static void pack_keys(Head<B> &head, const Matrix<Element> &k, const Matrix<Element> &v)
{
    for (int64_t j = 0; j < head.key_blocks; j++) {
        for (int64_t d = 0; d < head.columns; d++) {
            const int64_t to = (j * head.columns + d) * B::SIZE;
            left_of<B>(k, j * BLOCK, d * BLOCK, head.k + to);
            left_of<B>(v, j * BLOCK, d * BLOCK, head.v + to);
            left_across<B>(k, j * BLOCK, d * BLOCK,
                           head.k_across + (d * head.key_blocks + j) * B::SIZE);
        }
    }
}

template <class B>
static void pack_queries(Head<B> &head, const Matrix<Element> &q, const Matrix<Element> &grad,
                         const Matrix<Element> &out, const float *logsumexp)
{
    for (int64_t i = 0; i < head.query_blocks; i++) {
        for (int64_t d = 0; d < head.columns; d++) {
            const int64_t to = (i * head.columns + d) * B::SIZE;
            right_of<B>(q, i * BLOCK, d * BLOCK, head.q + to);
            right_across<B>(q, i * BLOCK, d * BLOCK, head.q_across + to);
            right_of<B>(grad, i * BLOCK, d * BLOCK, head.grad + to);
            right_across<B>(grad, i * BLOCK, d * BLOCK, head.grad_across + to);
        }
    }
    for (int64_t r = 0; r < head.query_blocks * BLOCK; r++) {
        head.logsums[r] = r < q.rows ? logsumexp[r] * LOG2_E : 0.0f;
    }
    for (int64_t r = 0; r < head.query_blocks * BLOCK; r += LANES) {
        Vec sum = {}, a[LANES], b[LANES];
        for (int64_t d = 0; d < q.width; d += LANES) {
            grad.across(r, d, a);
            out.across(r, d, b);
            for (int l = 0; l < LANES; l++) sum += a[l] * b[l];
        }
        store(head.deltas + r, sum);
    }
}

static void write_rows(const float *sums, int64_t columns, float factor, Element *to, int64_t stride,
                       int64_t rows, int64_t width)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t d = 0; d < width; d += LANES) {
            store_some(to + r * stride + d, load(sums + r * columns * BLOCK + d) * factor, width - d);
        }
    }
}

// The same of sums that lie transposed in blocks.
template <class B>
static void write_across(const Head<B> &head, float factor, Element *to, int64_t stride, int64_t rows,
                         int64_t width)
{
    for (int64_t r = 0; r < rows; r += LANES) {
        for (int64_t d = 0; d < width; d += LANES) {
            const float *from = head.grad_q + d % BLOCK * BLOCK + r % BLOCK
                                + (d / BLOCK * head.query_blocks + r / BLOCK) * BLOCK * BLOCK;
            Vec lanes[LANES];
            for (int l = 0; l < LANES; l++) lanes[l] = load(from + l * BLOCK) * factor;
            transpose<LANES / 2>(lanes);
            for (int64_t l = 0; l < LANES && r + l < rows; l++) {
                store_some(to + (r + l) * stride + d, lanes[l], width - d);
            }
        }
    }
}

template <class B> static Head<B> laid_out(const Shape &shape)
{
    typedef typename B::Unit Unit;
    static thread_local Scratch scratch;
    Head<B> head;
    head.columns = (shape.width + BLOCK - 1) / BLOCK;
    head.query_blocks = (shape.queries + BLOCK - 1) / BLOCK;
    head.key_blocks = (shape.keys + BLOCK - 1) / BLOCK;
    head.factor = shape.scale * LOG2_E;
    const int64_t queries = head.query_blocks * head.columns, keys = head.key_blocks * head.columns;
    const int64_t chunk = CHUNK_BLOCKS * CHUNK_BLOCKS, area = BLOCK * BLOCK;
    const int64_t units = (4 * queries + 3 * keys + 3 * chunk) * B::SIZE;
    const int64_t floats = (queries + 2 * keys + 2) * area + 2 * head.query_blocks * BLOCK;
    scratch.reset(units * sizeof(Unit) + floats * sizeof(float) + 2048);
    for (Unit **one : {&head.k, &head.k_across, &head.v}) *one = scratch.take<Unit>(keys * B::SIZE);
    for (Unit **one : {&head.q, &head.q_across, &head.grad, &head.grad_across}) {
        *one = scratch.take<Unit>(queries * B::SIZE);
    }
    for (Unit **one : {&head.weights, &head.changes, &head.changes_right}) {
        *one = scratch.take<Unit>(chunk * B::SIZE);
    }
    head.logsums = scratch.take<float>(head.query_blocks * BLOCK);
    head.deltas = scratch.take<float>(head.query_blocks * BLOCK);
    head.grad_q = scratch.take<float>(queries * area);
    head.grad_k = scratch.take<float>(keys * area);
    head.grad_v = scratch.take<float>(keys * area);
    head.scores = scratch.take<float>(area);
    head.products = scratch.take<float>(area);
    return head;
}

template <class B, int DEGREE> static void add_all(const Shape &shape, Head<B> &head)
{
    memset(head.grad_q, 0, head.query_blocks * head.columns * BLOCK * BLOCK * sizeof(float));
    for (int64_t j = 0; j < head.key_blocks; j += CHUNK_BLOCKS) {
        const int64_t first = shape.causal ? j : 0; // earlier queries see none of these keys
        for (int64_t i = first; i < head.query_blocks; i += CHUNK_BLOCKS) {
            add_chunk<B, DEGREE>(shape, head, i, j);
        }
    }
}

// strides: of q, k, v, out, grad_out and the gradients of q, k and v.
template <class B, int DEGREE>
static void differentiate_with(const Saved &in, const Gradients &to, const Strides *strides,
                               const Shape &shape)
{
    Head<B> head = laid_out<B>(shape);
    const int64_t group = shape.heads / shape.kv_heads;
    const size_t bytes = head.key_blocks * head.columns * BLOCK * BLOCK * sizeof(float);
    B::begin();
    for (int64_t pair = 0; pair < shape.batch * shape.kv_heads; pair++) {
        const int64_t b = pair / shape.kv_heads, g = pair % shape.kv_heads;
        const auto place = [&](int n, int64_t h) { return b * strides[n].batch + h * strides[n].head; };
        const auto matrix = [&](int n, int64_t h, const Element *data, int64_t rows) {
            return Matrix<Element>{data + place(n, h), strides[n].row, rows, shape.width, 1.0f};
        };
        pack_keys<B>(head, matrix(1, g, in.k, shape.keys), matrix(2, g, in.v, shape.keys));
        memset(head.grad_k, 0, bytes);
        memset(head.grad_v, 0, bytes);
        for (int64_t h = g * group; h < (g + 1) * group; h++) {
            pack_queries<B>(head, matrix(0, h, in.q, shape.queries),
                         matrix(4, h, in.grad_out, shape.queries),
                         matrix(3, h, in.out, shape.queries),
                         in.logsumexp + (b * shape.heads + h) * shape.queries);
            add_all<B, DEGREE>(shape, head);
            write_across<B>(head, shape.scale, to.q + place(5, h), strides[5].row, shape.queries,
                         shape.width);
        }
        write_rows(head.grad_k, head.columns, shape.scale, to.k + place(6, g), strides[6].row,
                   shape.keys, shape.width);
        write_rows(head.grad_v, head.columns, 1.0f, to.v + place(7, g), strides[7].row, shape.keys,
                   shape.width);
    }
    B::end();
}
