// Backward pass of an embedding: each row of the table gets the sum of its tokens' gradients.
#include <cstdint>
#include <cstdlib>
#include <cstring>

extern "C" void embedding_backward(const float *grad, const int64_t *tokens, float *grad_weight,
                                   int64_t count, int64_t vocabulary, int64_t columns)
{
    // EVOLVE-BLOCK-START
    // Written by hand, not evolved. A row is written once, not cleared first: the first gradient of
    // a token is copied, and only rows without any are cleared, neighbours together.
    const size_t bytes = columns * sizeof(float);
    uint8_t *met = (uint8_t *)calloc(vocabulary + 1, 1);
    if (!met) abort();
    for (int64_t i = 0; i < count; i++) {
        const float *from = grad + i * columns;
        float *to = grad_weight + tokens[i] * columns;
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
        memset(grad_weight + v * columns, 0, (end - v) * bytes);
        v = end;
    }
    free(met);
    // EVOLVE-BLOCK-END
}
