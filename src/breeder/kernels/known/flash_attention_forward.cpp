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
// Written by hand, not evolved.
#include "blocks.h"
#include "tiles.h"
#include "attention_forward.h"

static void attend(const float *q, const float *k, const float *v, float *out, float *logsumexp,
                   const Strides *strides, const Shape &shape)
{
#ifdef __AMX_BF16__
    // Below these sizes taking numbers apart costs more than tiles save (measured, Xeon with AMX).
    if ((shape.width > BLOCK || shape.keys >= 1024) && Tiles<3>::allowed()) {
        return attend_with<Tiles<3>, float, 5>(q, k, v, out, logsumexp, strides, shape);
    }
#endif
    attend_with<Plain, float, 5>(q, k, v, out, logsumexp, strides, shape);
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
