// Gradients of attention, out[i] = sum over j of p[j] v[j] with p = softmax over j of
// scale * (q[i] . k[j]), from `out`, its gradient, and the logarithms of the sums of exponentials.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

typedef float Element;

static inline float number_of(Element x) { return x; }
static inline Element element_of(float x) { return x; }

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

// logsumexp is contiguous: [batch][heads][queries].
struct Saved {
    const Element *q, *k, *v, *out, *grad_out;
    const float *logsumexp;
};

struct Gradients {
    Element *q, *k, *v;
};

// EVOLVE-BLOCK-START
const int LANES = 1;       // products of a dot product that are added side by side
const int QUERY_BLOCK = 1; // rows of queries that pass over the keys together
const int KEY_BLOCK = 1;   // keys that such a pass takes at a time

static float dot(const Element *a, const Element *b, int64_t width)
{
    float sums[LANES] = {};
    int64_t d = 0;
    for (; d + LANES <= width; d += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += number_of(a[d + lane]) * number_of(b[d + lane]);
        }
    }
    float sum = 0.0f;
    for (; d < width; d++) {
        sum += number_of(a[d]) * number_of(b[d]);
    }
    for (int lane = 0; lane < LANES; lane++) {
        sum += sums[lane];
    }
    return sum;
}

static void add_multiple(float *sums, float factor, const Element *row, int64_t width)
{
    for (int64_t d = 0; d < width; d++) {
        sums[d] += factor * number_of(row[d]);
    }
}

static void write(const std::vector<float> &sums, Element *to, int64_t stride, int64_t width)
{
    for (int64_t n = 0; n < (int64_t)sums.size(); n++) {
        to[n / width * stride + n % width] = element_of(sums[n]);
    }
}

// Adds what queries `begin` to `end` and keys `block` to `stop` have to do with each other.
static void add_block(const Saved &saved, const Strides *strides, const Shape &shape, int64_t begin,
                      int64_t end, int64_t block, int64_t stop, const float *deltas, float *grad_q,
                      float *grad_k, float *grad_v)
{
    float weights[QUERY_BLOCK][KEY_BLOCK], changes[QUERY_BLOCK][KEY_BLOCK];
    for (int64_t i = begin; i < end; i++) {
        const Element *query = saved.q + i * strides[0].row;
        const Element *grad = saved.grad_out + i * strides[4].row;
        for (int64_t j = block; j < stop; j++) {
            float weight = 0.0f;
            if (!shape.causal || j <= i) {
                const float score =
                    shape.scale * dot(query, saved.k + j * strides[1].row, shape.width);
                weight = expf(score - saved.logsumexp[i]);
            }
            const float product = dot(grad, saved.v + j * strides[2].row, shape.width);
            weights[i - begin][j - block] = weight;
            changes[i - begin][j - block] = shape.scale * (weight * (product - deltas[i]));
        }
    }
    for (int64_t i = begin; i < end; i++) {
        for (int64_t j = block; j < stop; j++) {
            const float change = changes[i - begin][j - block];
            add_multiple(grad_v + j * shape.width, weights[i - begin][j - block],
                         saved.grad_out + i * strides[4].row, shape.width);
            add_multiple(grad_q + i * shape.width, change, saved.k + j * strides[1].row,
                         shape.width);
            add_multiple(grad_k + j * shape.width, change, saved.q + i * strides[0].row,
                         shape.width);
        }
    }
}

// One head of queries; what its keys and values get is added up over the heads that share them.
static void differentiate_head(const Saved &saved, const Strides *strides, const Shape &shape,
                               float *grad_q, float *grad_k, float *grad_v)
{
    std::vector<float> deltas(shape.queries);
    for (int64_t i = 0; i < shape.queries; i++) {
        deltas[i] = dot(saved.grad_out + i * strides[4].row, saved.out + i * strides[3].row,
                        shape.width);
    }
    for (int64_t begin = 0; begin < shape.queries; begin += QUERY_BLOCK) {
        const int64_t end =
            begin + QUERY_BLOCK < shape.queries ? begin + QUERY_BLOCK : shape.queries;
        const int64_t keys = shape.causal && end < shape.keys ? end : shape.keys;
        for (int64_t block = 0; block < keys; block += KEY_BLOCK) {
            const int64_t stop = block + KEY_BLOCK < keys ? block + KEY_BLOCK : keys;
            add_block(saved, strides, shape, begin, end, block, stop, deltas.data(), grad_q, grad_k,
                      grad_v);
        }
    }
}

// strides: of q, k, v, out, grad_out and the gradients of q, k and v.
static void differentiate(const Saved &saved, const Gradients &gradients, const Strides *strides,
                          const Shape &shape)
{
    const int64_t group = shape.heads / shape.kv_heads;
    for (int64_t b = 0; b < shape.batch; b++) {
        for (int64_t g = 0; g < shape.kv_heads; g++) {
            const auto place = [&](int n, int64_t h) {
                return b * strides[n].batch + h * strides[n].head;
            };
            std::vector<float> grad_k(shape.keys * shape.width), grad_v(shape.keys * shape.width);
            for (int64_t h = g * group; h < (g + 1) * group; h++) {
                const Saved head = {saved.q + place(0, h),
                                    saved.k + place(1, g),
                                    saved.v + place(2, g),
                                    saved.out + place(3, h),
                                    saved.grad_out + place(4, h),
                                    saved.logsumexp + (b * shape.heads + h) * shape.queries};
                std::vector<float> grad_q(shape.queries * shape.width);
                differentiate_head(head, strides, shape, grad_q.data(), grad_k.data(),
                                   grad_v.data());
                write(grad_q, gradients.q + place(5, h), strides[5].row, shape.width);
            }
            write(grad_k, gradients.k + place(6, g), strides[6].row, shape.width);
            write(grad_v, gradients.v + place(7, g), strides[7].row, shape.width);
        }
    }
}
// EVOLVE-BLOCK-END

extern "C" void flash_attention_backward(const Element *q, const Element *k, const Element *v,
                                         const Element *out, const Element *grad_out,
                                         const float *logsumexp, Element *grad_q, Element *grad_k,
                                         Element *grad_v, const int64_t *strides, int64_t batch,
                                         int64_t heads, int64_t kv_heads, int64_t queries,
                                         int64_t keys, int64_t width, int64_t causal, float scale)
{
    Strides each[8];
    for (int n = 0; n < 8; n++) {
        each[n] = {strides[3 * n], strides[3 * n + 1], strides[3 * n + 2]};
    }
    const Shape shape = {batch, heads, kv_heads, queries, keys, width, causal != 0, scale};
    differentiate({q, k, v, out, grad_out, logsumexp}, {grad_q, grad_k, grad_v}, each, shape);
}
