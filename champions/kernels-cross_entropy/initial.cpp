// Cross-entropy of rows of logits, forward and backward: losses[r] = -log(softmax(row)[target]), and
// the logits become their gradient, scale * (softmax(row) - one-hot(target)).
#include <cmath>
#include <cstdint>
#include <cstring>

// exp(x) for x up to 88, after Cephes (Moshier): x = n log 2 + r, exp(x) = 2^n exp(r), and a
// polynomial for exp(r), |r| <= log(2) / 2. Below -87 it stays at exp(-87) = 1.6e-38.
static inline float exponential(float x)
{
    const float bounded = x < -87.0f ? -87.0f : x;
    const float n = floorf(bounded * 1.44269504f + 0.5f);
    const float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return (p * r * r + r + 1.0f) * power;
}

extern "C" void cross_entropy(float *logits, const int64_t *targets, float *losses, int64_t rows,
                              int64_t vocabulary, float scale)
{
    // EVOLVE-BLOCK-START
    for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * vocabulary;
        const int64_t target = targets[r];
        if (target < 0) {
            losses[r] = 0;
            #pragma omp simd simdlen(16)
            for (int64_t c = 0; c < vocabulary; c++) {
                row[c] = 0;
            }
            continue;
        }
        const float right = row[target];
        float largest = row[0];
        {
            const int lanes1 = 64;
            decltype(0 + largest) largest_of1[lanes1];
            #pragma omp simd simdlen(16)
            for (int lane1 = 0; lane1 < lanes1; lane1++) {
                largest_of1[lane1] = largest;
            }
            int64_t c = 1;
            for (; c + lanes1 <= vocabulary; c += lanes1) {
#pragma omp simd simdlen(16)
                for (int lane1 = 0; lane1 < lanes1; lane1++) {
                    largest_of1[lane1] = row[(c + lane1)] > largest_of1[lane1] ? row[(c + lane1)] : largest_of1[lane1];
                }
            }
            for (; c < vocabulary; c++) {
                largest = row[c] > largest ? row[c] : largest;
            }
            #pragma omp simd reduction(max:largest) simdlen(16)
            for (int lane1 = 0; lane1 < lanes1; lane1++) {
                largest = largest_of1[lane1] > largest ? largest_of1[lane1] : largest;
            }
        }
        #pragma omp simd simdlen(16)
        for (int64_t c = 0; c < vocabulary; c++) {
            row[c] = exponential(row[c] - largest);
        }
        // In double: one chain of floats would lose many terms that are small beside the sum.
        double sum = 0.0;
        {
            const int lanes1 = 16;
            decltype(0 + sum) sum_of1[lanes1];
            #pragma omp simd simdlen(16)
            for (int lane1 = 0; lane1 < lanes1; lane1++) {
                sum_of1[lane1] = 0;
            }
            int64_t c = 0;
            for (; c + lanes1 <= vocabulary; c += lanes1) {
#pragma omp simd simdlen(16)
                for (int lane1 = 0; lane1 < lanes1; lane1++) {
                    sum_of1[lane1] += row[(c + lane1)];
                }
            }
            for (; c < vocabulary; c++) {
                sum += row[c];
            }
            #pragma omp simd reduction(+:sum) simdlen(16)
            for (int lane1 = 0; lane1 < lanes1; lane1++) {
                sum += sum_of1[lane1];
            }
        }
        const float total = (float)sum;
        losses[r] = logf(total) + (largest - right);
        const auto inverse1 = 1 / total;
        #pragma omp simd simdlen(16)
        for (int64_t c = 0; c < vocabulary; c++) {
            row[c] = row[c] * inverse1 * scale;
        }
        row[target] -= scale;
    }
    // EVOLVE-BLOCK-END
}
