// Product of a 4-bit integer matrix, with one scale per group of 32 columns, and a vector.
#include <cstdint>
#include <cstdlib>

enum { GROUP = 32, PAIRS = GROUP / 2 };

// EVOLVE-BLOCK-START
// Written by hand, not evolved. Elements of x for low and high halves of bytes lie apart, so that
// 16 bytes meet 16 neighbours; rows side by side.
#ifdef __AVX512F__
#include <immintrin.h>
#endif
typedef float Vec __attribute__((vector_size(PAIRS * 4)));
typedef int32_t Ints __attribute__((vector_size(PAIRS * 4)));
typedef uint8_t Bytes __attribute__((vector_size(PAIRS)));
typedef uint8_t LooseBytes __attribute__((vector_size(PAIRS), aligned(1), may_alias));

static inline Ints numbers(const uint8_t *from)
{
#ifdef __AVX512F__
    // GCC takes a conversion of bytes apart, number by number, unless it is told how.
    return (Ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from));
#else
    return __builtin_convertvector((Bytes) * (const LooseBytes *)from, Ints);
#endif
}

template <int ROWS>
static inline void rows_of(const uint8_t *weight, const float *scales, const Vec *even,
                           const Vec *odd, float *out, int64_t groups)
{
    Vec totals[ROWS] = {};
    for (int64_t g = 0; g < groups; g++) {
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; r++) {
            const int64_t at = r * groups + g;
            const Ints pairs = numbers(weight + at * PAIRS);
            const Vec low = __builtin_convertvector((pairs & 15) - 8, Vec);
            const Vec high = __builtin_convertvector((pairs >> 4) - 8, Vec);
            totals[r] += (low * even[g] + high * odd[g]) * scales[at];
        }
    }
    for (int r = 0; r < ROWS; r++) {
        float sum = 0.0f;
        for (int lane = 0; lane < PAIRS; lane++) sum += totals[r][lane];
        out[r] = sum;
    }
}
// EVOLVE-BLOCK-END

extern "C" void int4_gemv(const uint8_t *weight, const float *scales, const float *x, float *out,
                          int64_t rows, int64_t columns)
{
    // EVOLVE-BLOCK-START
    const int64_t groups = columns / GROUP;
    Vec *even = (Vec *)aligned_alloc(sizeof(Vec), 2 * (groups + 1) * sizeof(Vec));
    if (!even) abort();
    Vec *odd = even + groups;
    for (int64_t c = 0; c < columns / 2; c++) {
        ((float *)even)[c] = x[2 * c];
        ((float *)odd)[c] = x[2 * c + 1];
    }
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        rows_of<4>(weight + r * groups * PAIRS, scales + r * groups, even, odd, out + r, groups);
    }
    for (; r < rows; r++) {
        rows_of<1>(weight + r * groups * PAIRS, scales + r * groups, even, odd, out + r, groups);
    }
    free(even);
    // EVOLVE-BLOCK-END
}
