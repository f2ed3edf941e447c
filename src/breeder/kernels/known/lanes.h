// Written by hand, not evolved. Rows of any length in vectors, and the exponential.
#ifdef __AVX512F__
#include <immintrin.h>
#endif
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline Vec load(const float *from) { return *(const Loose *)from; }
static inline void store(float *to, Vec value) { *(Loose *)to = value; }

#ifdef __AVX512F__
static inline __mmask16 mask_of(int64_t count)
{
    return count < LANES ? (1u << count) - 1 : 0xffff;
}
static inline Vec larger(Vec a, Vec b) { return (Vec)_mm512_max_ps((__m512)a, (__m512)b); }
static inline float highest(Vec a) { return _mm512_reduce_max_ps((__m512)a); }
static inline float total(Vec a) { return _mm512_reduce_add_ps((__m512)a); }
static inline Vec load_some(const float *from, int64_t count, float rest)
{
    return (Vec)_mm512_mask_loadu_ps(_mm512_set1_ps(rest), mask_of(count), from);
}
static inline void store_some(float *to, Vec value, int64_t count)
{
    _mm512_mask_storeu_ps(to, mask_of(count), (__m512)value);
}
static inline Vec first_of(Vec value, int64_t count)
{
    return (Vec)_mm512_maskz_mov_ps(mask_of(count), (__m512)value);
}
#else
static inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }
static inline float highest(Vec a)
{
    float high = a[0];
    for (int lane = 1; lane < LANES; lane++) high = a[lane] > high ? a[lane] : high;
    return high;
}
static inline float total(Vec a)
{
    float sum = 0.0f;
    for (int lane = 0; lane < LANES; lane++) sum += a[lane];
    return sum;
}
static inline Vec load_some(const float *from, int64_t count, float rest)
{
    if (count >= LANES) return load(from);
    Vec some = Vec{} + rest;
    memcpy(&some, from, count * sizeof(float));
    return some;
}
static inline void store_some(float *to, Vec value, int64_t count)
{
    memcpy(to, &value, (count < LANES ? count : LANES) * sizeof(float));
}
static inline Vec first_of(Vec value, int64_t count)
{
    for (int lane = 0; lane < LANES; lane++) value[lane] = lane < count ? value[lane] : 0.0f;
    return value;
}
#endif

// e^x for x <= 0 by a polynomial of degree 5 for the fraction of the power of two (relative error
// 7.5e-8). It ends at 2^-126; NaN stays NaN.
static inline Vec exponential(Vec x)
{
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
    const Vec power = x * 1.44269504088896341f;
    const Vec bounded = power < -126.0f ? Vec{} - 126.0f : power;
    const Vec shifted = bounded + magic;
    const Vec f = bounded - (shifted - magic);
    Vec p = f * 1.327647174e-3f + 9.675541540e-3f;
    p = p * f + 5.550713276e-2f;
    p = p * f + 2.402211972e-1f;
    p = p * f + 6.931469671e-1f;
    p = p * f + 1.000000072f;
    return p * (Vec)(((Ints)shifted + 127) << 23);
}
