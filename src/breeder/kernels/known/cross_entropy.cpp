// Cross-entropy of rows of logits, forward and backward: losses[r] = -log(softmax(row)[target]), and
// the logits become their gradient, scale * (softmax(row) - one-hot(target)).
#include <cmath>
#include <cstdint>
#include <cstring>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Three passes over a row that stays in the second cache.
#include "streams.h"
#include "lanes.h"
#include "exponentials.h"
// EVOLVE-BLOCK-END

extern "C" void cross_entropy(float *logits, const int64_t *targets, float *losses, int64_t rows,
                              int64_t vocabulary, float scale)
{
    // EVOLVE-BLOCK-START
    for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * vocabulary;
        const int64_t target = targets[r];
        if (target < 0) {
            losses[r] = 0;
            memset(row, 0, vocabulary * sizeof(float));
            continue;
        }
        const float right = row[target], largest = largest_of(row, vocabulary);
        const float sum = exponentials(row, largest, row, vocabulary), factor = scale / sum;
        losses[r] = logf(sum) + (largest - right);
        int64_t c = 0;
        for (; c + LANES <= vocabulary; c += LANES) store(row + c, load(row + c) * factor);
        for (; c < vocabulary; c++) row[c] *= factor;
        row[target] -= scale;
    }
    // EVOLVE-BLOCK-END
}
