// Backward pass of an embedding: each row of the table gets the sum of its tokens' gradients. The
// table may be a part of a larger one: tokens outside of it are of other parts.
#include <cstdint>

extern "C" void embedding_backward(const float *grad, const int64_t *tokens, float *grad_weight,
                                   int64_t count, int64_t vocabulary, int64_t columns)
{
    // EVOLVE-BLOCK-START
    for (int64_t v = 0; v < vocabulary; v++) {
        for (int64_t c = 0; c < columns; c++) {
            grad_weight[v * columns + c] = 0;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || tokens[i] >= vocabulary) continue;
        for (int64_t c = 0; c < columns; c++) {
            grad_weight[tokens[i] * columns + c] += grad[i * columns + c];
        }
    }
    // EVOLVE-BLOCK-END
}
