// Product of a 4-bit integer matrix, with one scale per group of 32 columns, and a vector.
#include <cstdint>
#include <vector>

enum { GROUP = 32, PAIRS = GROUP / 2 };

// The numbers of an even column and of the odd one after it, which share a byte.
static inline int even(uint8_t pair)
{
    return (pair & 15) - 8;
}
static inline int odd(uint8_t pair)
{
    return (pair >> 4) - 8;
}

extern "C" void int4_gemv(const uint8_t *weight, const float *scales, const float *x, float *out,
                          int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    const int64_t groups = columns / GROUP;
    std::vector<int8_t> row(columns);
    int8_t *numbers = row.data();
    for (int64_t r = 0; r < rows; r++) {
        const uint8_t *pairs = weight + r * groups * PAIRS;
        for (int64_t i = 0; i < groups * PAIRS; i++) {
            numbers[i + i] = even(pairs[i]);
            numbers[i + i + 1] = odd(pairs[i]);
        }
        float total = 0.0f;
        for (int64_t g = 0; g < groups; g++) {
            const int8_t *group = numbers + g * GROUP;
            const float *part = x + g * GROUP;
            float sum = 0.0f;
            for (int c = 0; c < GROUP; c++) {
                sum += group[c] * part[c];
            }
            total += sum * scales[r * groups + g];
        }
        out[r] = total;
    }
    // EVOLVE-BLOCK-END
}
