// Gradients of attention of bfloat16 tensors, out[i] = sum over j of p[j] v[j] with p = softmax over j of
// scale * (q[i] . k[j]), from `out`, its gradient, and the logarithms of the sums of exponentials.
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

// logsumexp is contiguous: [batch][heads][queries].
struct Saved {
    const Element *q, *k, *v, *out, *grad_out;
    const float *logsumexp;
};

struct Gradients {
    Element *q, *k, *v;
};

// EVOLVE-BLOCK-START
// Written by hand, not evolved.
#include "blocks.h"
#include "tiles.h"
#include "attention_backward.h"

static void differentiate(const Saved &saved, const Gradients &gradients, const Strides *strides,
                          const Shape &shape)
{
#if defined(__AMX_BF16__)
    if (Tiles<1>::allowed()) {
        return differentiate_with<Tiles<1>, 3>(saved, gradients, strides, shape);
    }
#elif defined(__AVX512BF16__)
    return differentiate_with<Pairs, 3>(saved, gradients, strides, shape);
#endif
    differentiate_with<Plain, 3>(saved, gradients, strides, shape);
}
// EVOLVE-BLOCK-END

extern "C" void flash_attention_backward_bf16(const Element *q, const Element *k, const Element *v,
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
