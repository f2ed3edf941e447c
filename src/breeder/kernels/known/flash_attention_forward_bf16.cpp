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
// Written by hand, not evolved.
#include "blocks.h"
#include "tiles.h"
#include "attention_forward.h"

static void attend(const Element *q, const Element *k, const Element *v, Element *out,
                   float *logsumexp, const Strides *strides, const Shape &shape)
{
#if defined(__AMX_BF16__)
    if (Tiles<1>::allowed()) {
        return attend_with<Tiles<1>, Element, 3>(q, k, v, out, logsumexp, strides, shape);
    }
#elif defined(__AVX512BF16__)
    return attend_with<Pairs, Element, 3>(q, k, v, out, logsumexp, strides, shape);
#endif
    attend_with<Plain, Element, 3>(q, k, v, out, logsumexp, strides, shape);
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
