// Product of an 8-bit integer matrix, with one scale per row, and a vector.
#include <cstdint>

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Rows side by side, so that the vector is loaded once for all.
#ifdef __AVX2__
#include <immintrin.h>
#endif
#ifdef __AVX512F__
const int LANES = 16;
#else
const int LANES = 8;
#endif
typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));
typedef int8_t Bytes __attribute__((vector_size(LANES)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int8_t LooseBytes __attribute__((vector_size(LANES), aligned(1), may_alias));

static inline Vec floats(const int8_t *from)
{
    // GCC takes a conversion of bytes apart, number by number, unless it is told how.
#if defined(__AVX512F__)
    const Ints numbers = (Ints)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from));
#elif defined(__AVX2__)
    const Ints numbers = (Ints)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)from));
#else
    const Ints numbers = __builtin_convertvector((Bytes) * (const LooseBytes *)from, Ints);
#endif
    return __builtin_convertvector(numbers, Vec);
}

template <int ROWS>
static inline void rows_of(const int8_t *weight, const float *scales, const float *x, float *out,
                           int64_t columns)
{
    Vec sums[ROWS][2] = {};
    int64_t c = 0;
    for (; c + 2 * LANES <= columns; c += 2 * LANES) {
        const Vec first = *(const Loose *)(x + c), second = *(const Loose *)(x + c + LANES);
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; r++) {
            sums[r][0] += floats(weight + r * columns + c) * first;
            sums[r][1] += floats(weight + r * columns + c + LANES) * second;
        }
    }
    for (int r = 0; r < ROWS; r++) {
        const Vec all = sums[r][0] + sums[r][1];
        float sum = 0.0f;
        for (int64_t rest = c; rest < columns; rest++) sum += weight[r * columns + rest] * x[rest];
        for (int lane = 0; lane < LANES; lane++) sum += all[lane];
        out[r] = sum * scales[r];
    }
}
// EVOLVE-BLOCK-END

extern "C" void int8_gemv(const int8_t *weight, const float *scales, const float *x, float *out,
                          int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) rows_of<4>(weight + r * columns, scales + r, x, out + r, columns);
    for (; r < rows; r++) rows_of<1>(weight + r * columns, scales + r, x, out + r, columns);
    // EVOLVE-BLOCK-END
}
