// Attention of bfloat16 tensors with the logarithm of each row's sum of exponentials:
// out[i] = sum over j of p[j] v[j], p = softmax over j of scale * (q[i] . k[j])
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

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

// Turns scores into exp(score - largest), returns their sum.
static float exponentials(float *scores, int64_t count, float &largest)
{
    largest = scores[0];
    for (int64_t j = 1; j < count; j++) {
        largest = scores[j] > largest ? scores[j] : largest;
    }
    float sum = 0.0f;
    for (int64_t j = 0; j < count; j++) {
        scores[j] = expf(scores[j] - largest);
        sum += scores[j];
    }
    return sum;
}

static void attend_head(const Element *q, const Element *k, const Element *v, Element *out,
                        float *logsumexp, const Strides *strides, const Shape &shape)
{
    std::vector<float> scores(QUERY_BLOCK * shape.keys), sums(QUERY_BLOCK * shape.width);
    for (int64_t begin = 0; begin < shape.queries; begin += QUERY_BLOCK) {
        const int64_t end =
            begin + QUERY_BLOCK < shape.queries ? begin + QUERY_BLOCK : shape.queries;
        const int64_t keys = shape.causal && end < shape.keys ? end : shape.keys;
        for (int64_t block = 0; block < keys; block += KEY_BLOCK) {
            const int64_t stop = block + KEY_BLOCK < keys ? block + KEY_BLOCK : keys;
            for (int64_t i = begin; i < end; i++) {
                float *row = &scores[(i - begin) * shape.keys];
                for (int64_t j = block; j < stop; j++) {
                    row[j] = shape.scale *
                             dot(q + i * strides[0].row, k + j * strides[1].row, shape.width);
                }
            }
        }
        for (int64_t i = begin; i < end; i++) {
            float *row = &scores[(i - begin) * shape.keys];
            const int64_t seen = shape.causal && i + 1 < keys ? i + 1 : keys;
            float largest;
            const float sum = exponentials(row, seen, largest);
            logsumexp[i] = largest + logf(sum);
            for (int64_t j = 0; j < seen; j++) {
                row[j] /= sum;
            }
            for (int64_t j = seen; j < keys; j++) {
                row[j] = 0.0f;
            }
            for (int64_t d = 0; d < shape.width; d++) {
                sums[(i - begin) * shape.width + d] = 0.0f;
            }
        }
        for (int64_t block = 0; block < keys; block += KEY_BLOCK) {
            const int64_t stop = block + KEY_BLOCK < keys ? block + KEY_BLOCK : keys;
            for (int64_t i = begin; i < end; i++) {
                const float *row = &scores[(i - begin) * shape.keys];
                float *target = &sums[(i - begin) * shape.width];
                for (int64_t j = block; j < stop; j++) {
                    const Element *value = v + j * strides[2].row;
                    for (int64_t d = 0; d < shape.width; d++) {
                        target[d] += row[j] * number_of(value[d]);
                    }
                }
            }
        }
        for (int64_t i = begin; i < end; i++) {
            for (int64_t d = 0; d < shape.width; d++) {
                out[i * strides[3].row + d] = element_of(sums[(i - begin) * shape.width + d]);
            }
        }
    }
}

// strides: of q, k, v and out. logsumexp is contiguous: [batch][heads][queries].
static void attend(const Element *q, const Element *k, const Element *v, Element *out,
                   float *logsumexp, const Strides *strides, const Shape &shape)
{
    const int64_t group = shape.heads / shape.kv_heads;
    for (int64_t b = 0; b < shape.batch; b++) {
        for (int64_t h = 0; h < shape.heads; h++) {
            attend_head(q + b * strides[0].batch + h * strides[0].head,
                        k + b * strides[1].batch + h / group * strides[1].head,
                        v + b * strides[2].batch + h / group * strides[2].head,
                        out + b * strides[3].batch + h * strides[3].head,
                        logsumexp + (b * shape.heads + h) * shape.queries, strides, shape);
        }
    }
}
// EVOLVE-BLOCK-END

extern "C" void flash_attention_forward_bf16(const Element *q, const Element *k, const Element *v,
                                             Element *out, float *logsumexp,
                                             const int64_t *strides, int64_t batch, int64_t heads,
                                             int64_t kv_heads, int64_t queries, int64_t keys,
                                             int64_t width, int64_t causal, float scale)
{
    const Strides each[4] = {{strides[0], strides[1], strides[2]},
                             {strides[3], strides[4], strides[5]},
                             {strides[6], strides[7], strides[8]},
                             {strides[9], strides[10], strides[11]}};
    const Shape shape = {batch, heads, kv_heads, queries, keys, width, causal != 0, scale};
    attend(q, k, v, out, logsumexp, each, shape);
}
