// A step of AdamW (Loshchilov and Hutter, 2019) on every parameter.
#include <cmath>
#include <cstdint>

extern "C" void adamw(float *param, const float *grad, float *m, float *v, int64_t count, double rate,
                      double beta1, double beta2, double epsilon, double decay, int64_t step)
{
    // EVOLVE-BLOCK-START
    const int64_t block = 1048576; // elements that go through all steps together
    const float keep1 = (float)beta1;
    const float take1 = (float)(1 - beta1);
    const float keep2 = (float)beta2;
    const float take2 = (float)(1 - beta2);
    const float shrink = (float)(1 - rate * decay);
    const float length = (float)(rate / (1 - pow(beta1, (double)step)));
    const float correction = (float)(1 - pow(beta2, (double)step));
    const float small = (float)epsilon;
    for (int64_t begin = 0; begin < count; begin += block) {
        const int64_t end = begin + block < count ? begin + block : count;
        for (int64_t i = begin; i < end; i++) {
            m[i] = keep1 * m[i] + take1 * grad[i];
        }
        for (int64_t i = begin; i < end; i++) {
            v[i] = keep2 * v[i] + take2 * (grad[i] * grad[i]);
        }
        for (int64_t i = begin; i < end; i++) {
            const float root = sqrtf(v[i] / correction) + small;
            param[i] = param[i] * shrink - length * m[i] / root;
        }
    }
    // EVOLVE-BLOCK-END
}
