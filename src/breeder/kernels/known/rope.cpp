// Rotary position embedding: element c of a head and element half + c turn by the token's angle c.
#include <cstdint>

// EVOLVE-BLOCK-START
// Written by hand, not evolved.
#include "streams.h"

typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

template <bool PAST>
static void turn(const float *from, const float *cosine, const float *sine, float *to, int64_t half)
{
    const int64_t whole = half / LANES * LANES;
    for (int64_t c = 0; c < whole; c += LANES) {
        const Vec a = *(const Loose *)(from + c), b = *(const Loose *)(from + half + c);
        const Vec u = *(const Loose *)(cosine + c), v = *(const Loose *)(sine + c);
        put<PAST>(to + c, a * u - b * v);
        put<PAST>(to + half + c, b * u + a * v);
    }
    for (int64_t c = whole; c < half; c++) {
        const float a = from[c], b = from[half + c];
        to[c] = a * cosine[c] - b * sine[c];
        to[half + c] = b * cosine[c] + a * sine[c];
    }
}

template <bool PAST>
static void turn_all(const float *x, const float *cosines, const float *sines, float *out,
                     int64_t batch, int64_t tokens, int64_t heads, int64_t half)
{
    for (int64_t row = 0; row < batch * tokens; row++) {
        const int64_t angle = row % tokens * half;
        for (int64_t h = 0; h < heads; h++) {
            const int64_t at = (row * heads + h) * 2 * half;
            turn<PAST>(x + at, cosines + angle, sines + angle, out + at, half);
        }
    }
    finish<PAST>();
}
// EVOLVE-BLOCK-END

extern "C" void rope(const float *x, const float *cosines, const float *sines, float *out,
                     int64_t batch, int64_t tokens, int64_t heads, int64_t half)
{
    const int64_t width = 2 * half;
    // EVOLVE-BLOCK-START
    if (streams(out, half, batch * tokens * heads * width)) {
        turn_all<true>(x, cosines, sines, out, batch, tokens, heads, half);
    } else {
        turn_all<false>(x, cosines, sines, out, batch, tokens, heads, half);
    }
    // EVOLVE-BLOCK-END
}
