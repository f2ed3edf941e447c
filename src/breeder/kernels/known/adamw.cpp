// A step of AdamW (Loshchilov and Hutter, 2019) on every parameter.
#include <cmath>
#include <cstdint>

extern "C" void adamw(float *param, const float *grad, float *m, float *v, int64_t count, double rate,
                      double beta1, double beta2, double epsilon, double decay, int64_t step)
{
    // EVOLVE-BLOCK-START
    // Written by hand, not evolved. One pass, all in registers.
    const float keep1 = (float)beta1, take1 = (float)(1 - beta1);
    const float keep2 = (float)beta2, take2 = (float)(1 - beta2);
    const float shrink = (float)(1 - rate * decay), small = (float)epsilon;
    const float length = (float)(rate / (1 - pow(beta1, (double)step)));
    const float correction = (float)(1 / (1 - pow(beta2, (double)step)));
    const int64_t lines = 4, block = 16 * lines, ahead = 8 * block; // hardware stops at every page
    for (int64_t begin = 0; begin < count; begin += block) {
        const int64_t end = begin + block < count ? begin + block : count;
        for (int64_t i = begin + ahead; i < begin + ahead + block; i += 16) {
            __builtin_prefetch(param + i, 1);
            __builtin_prefetch(grad + i);
            __builtin_prefetch(m + i, 1);
            __builtin_prefetch(v + i, 1);
        }
#pragma omp simd simdlen(16)
        for (int64_t i = begin; i < end; i++) {
            const float g = grad[i];
            const float first = keep1 * m[i] + take1 * g, second = keep2 * v[i] + take2 * (g * g);
            m[i] = first;
            v[i] = second;
            param[i] = param[i] * shrink - length * first / (sqrtf(second * correction) + small);
        }
    }
    // EVOLVE-BLOCK-END
}
