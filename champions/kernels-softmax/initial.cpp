// Softmax of rows: out[r, c] = exp(x[r, c] - m[r]) / sum(exp(x[r, :] - m[r])), m[r] = max(x[r, :])
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

extern "C" void softmax(const float *x, float *out, int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        float largest = row[0];
        #pragma omp simd reduction(max:largest)
        for (int64_t c = 1; c < columns; c++) {
            largest = row[c] > largest ? row[c] : largest;
        }
        #pragma omp simd
        for (int64_t c = 0; c < columns; c++) {
            target[c] = exponential(row[c] - largest);
        }
        // In double: one chain of floats would lose many terms that are small beside the sum.
        double sum = 0.0;
        #pragma omp simd reduction(+:sum)
        for (int64_t c = 0; c < columns; c++) {
            sum += target[c];
        }
        const float total = (float)sum;
        #pragma GCC ivdep
        for (int64_t c = 0; c < columns; c++) {
            target[c] = target[c] / total;
        }
    }
    // EVOLVE-BLOCK-END
}
