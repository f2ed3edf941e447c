// Rotary position embedding: elements c and half + c of a head turn by the token's angles of these numbers.
#include <cstdint>

extern "C" void rope(const float *x, const float *cosines, const float *sines, float *out,
                     int64_t batch, int64_t tokens, int64_t heads, int64_t half)
{
    const int64_t width = 2 * half;
    // EVOLVE-BLOCK-START
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t b = 0; b < batch; b++) {
            const float *cosine = cosines + t * width;
            const float *sine = sines + t * width;
            for (int64_t h = 0; h < heads; h++) {
                const int64_t begin = ((b * tokens + t) * heads + h) * width;
                #pragma omp simd simdlen(8)
                for (int64_t c = 0; c < half; c++) {
                    const float first = x[begin + c];
                    const float second = x[begin + half + c];
                    out[begin + c] = first * cosine[c] - second * sine[c];
                    out[begin + half + c] =
                        second * cosine[half + c] + first * sine[half + c];
                }
            }
        }
    }
    // EVOLVE-BLOCK-END
}
