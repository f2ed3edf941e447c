// Rotary position embedding: element c of a head and element half + c turn by the token's angle c.
#include <cstdint>

extern "C" void rope(const float *x, const float *cosines, const float *sines, float *out,
                     int64_t batch, int64_t tokens, int64_t heads, int64_t half)
{
    const int64_t width = 2 * half;
    // EVOLVE-BLOCK-START
    // Written by hand, not evolved.
#ifdef __AVX512F__
    const int lanes = 16;
#else
    const int lanes = 8;
#endif
    typedef float Vec __attribute__((vector_size(lanes * 4)));
    typedef float Loose __attribute__((vector_size(lanes * 4), aligned(4), may_alias));
    const int64_t whole = half / lanes * lanes;
    for (int64_t row = 0; row < batch * tokens; row++) {
        const float *cosine = cosines + row % tokens * half, *sine = sines + row % tokens * half;
        for (int64_t h = 0; h < heads; h++) {
            const float *from = x + (row * heads + h) * width;
            float *to = out + (row * heads + h) * width;
            for (int64_t c = 0; c < whole; c += lanes) {
                const Vec a = *(const Loose *)(from + c), b = *(const Loose *)(from + half + c);
                const Vec u = *(const Loose *)(cosine + c), v = *(const Loose *)(sine + c);
                *(Loose *)(to + c) = a * u - b * v;
                *(Loose *)(to + half + c) = b * u + a * v;
            }
            for (int64_t c = whole; c < half; c++) {
                const float a = from[c], b = from[half + c];
                to[c] = a * cosine[c] - b * sine[c];
                to[half + c] = b * cosine[c] + a * sine[c];
            }
        }
    }
    // EVOLVE-BLOCK-END
}
