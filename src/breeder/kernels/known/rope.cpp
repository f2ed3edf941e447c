// Rotary position embedding: elements c and half + c of a head turn by the token's angles of these numbers.
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
        const int64_t d = half + c;
        const Vec a = *(const Loose *)(from + c), b = *(const Loose *)(from + d);
        put<PAST>(to + c, a * *(const Loose *)(cosine + c) - b * *(const Loose *)(sine + c));
        put<PAST>(to + d, b * *(const Loose *)(cosine + d) + a * *(const Loose *)(sine + d));
    }
    for (int64_t c = whole; c < half; c++) {
        const int64_t d = half + c;
        const float a = from[c], b = from[d];
        to[c] = a * cosine[c] - b * sine[c];
        to[d] = b * cosine[d] + a * sine[d];
    }
}

template <bool PAST>
static void turn_all(const float *x, const float *cosines, const float *sines, float *out,
                     int64_t batch, int64_t tokens, int64_t heads, int64_t half)
{
    for (int64_t row = 0; row < batch * tokens; row++) {
        const int64_t angle = row % tokens * 2 * half;
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
