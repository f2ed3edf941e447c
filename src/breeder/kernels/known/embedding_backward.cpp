// Backward pass of an embedding: each row of the table gets the sum of its tokens' gradients. The
// table may be a part of a larger one: tokens outside of it are of other parts.
#include <cstdint>
#include <cstdlib>
#include <cstring>

// EVOLVE-BLOCK-START
const size_t LARGE = 1 << 23; // bytes that would drive everything else out of the caches
const int64_t AHEAD = 2;      // tokens whose rows, which lie anywhere, are asked for in time
typedef float Vec __attribute__((vector_size(64), may_alias));

// Stores past the caches, where a table is larger than they are, read no line before they write it.
static void clear(float *to, int64_t count, bool past_caches)
{
    int64_t i = 0;
#if defined(__AVX512F__)
    if (past_caches) {
        for (; i < count && (uintptr_t)(to + i) % sizeof(Vec); i++) to[i] = 0.0f;
        for (; i + 16 <= count; i += 16) __builtin_ia32_movntps512(to + i, Vec{});
        __builtin_ia32_sfence();
    }
#endif
    memset(to + i, 0, (count - i) * sizeof(float));
}
// EVOLVE-BLOCK-END

extern "C" void embedding_backward(const float *grad, const int64_t *tokens, float *grad_weight,
                                   int64_t count, int64_t vocabulary, int64_t columns)
{
    // EVOLVE-BLOCK-START
    // Written by hand, not evolved. A row is written once, not cleared first: the first gradient of
    // a token is copied, and only rows without any are cleared, neighbours together.
    const size_t bytes = columns * sizeof(float);
    const bool large = vocabulary * bytes > LARGE;
    uint8_t *met = (uint8_t *)calloc(vocabulary + 1, 1);
    if (!met) abort();
    for (int64_t i = 0; i < count; i++) {
        if ((uint64_t)tokens[i] >= (uint64_t)vocabulary) continue;
        const float *from = grad + i * columns;
        float *to = grad_weight + tokens[i] * columns;
        const int64_t next = i + AHEAD < count ? tokens[i + AHEAD] : tokens[i];
        if ((uint64_t)next < (uint64_t)vocabulary) {
            const float *soon = grad_weight + next * columns;
            for (int64_t c = 0; c < columns; c += 16) __builtin_prefetch(soon + c, 1);
        }
        if (!met[tokens[i]]) {
            met[tokens[i]] = 1;
            memcpy(to, from, bytes);
        } else {
#pragma omp simd
            for (int64_t c = 0; c < columns; c++) to[c] += from[c];
        }
    }
    met[vocabulary] = 1;
    for (int64_t v = 0; v < vocabulary; v++) {
        if (met[v]) continue;
        int64_t end = v + 1;
        while (!met[end]) end++;
        clear(grad_weight + v * columns, (end - v) * columns, large);
        v = end;
    }
    free(met);
    // EVOLVE-BLOCK-END
}
