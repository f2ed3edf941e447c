// SwiGLU, forward and backward: out = gate * s * up with s = 1 / (1 + exp(-gate)).
#include <cmath>
#include <cstdint>
#include <cstring>

// exp(x) for any x, after Cephes (Moshier): x = n log 2 + r, exp(x) = 2^n exp(r), and a
// polynomial for exp(r), |r| <= log(2) / 2. Infinity above 88.
static inline float exponential(float x)
{
    const float low = x < -87.0f ? -87.0f : x;
    const float bounded = low > 88.0f ? 88.0f : low;
    const float n = floorf(bounded * 1.44269504f + 0.5f);
    const float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return x > 88.0f ? INFINITY : (p * r * r + r + 1.0f) * power;
}

extern "C" void swiglu_forward(const float *gate, const float *up, float *out, int64_t count)
{
    // EVOLVE-BLOCK-START
    #pragma omp simd simdlen(16)
    for (int64_t i = 0; i < count; i++) {
        out[i] = gate[i] / (1 + exponential(-gate[i])) * up[i];
    }
    // EVOLVE-BLOCK-END
}

extern "C" void swiglu_backward(const float *grad, const float *gate, const float *up,
                                float *grad_gate, float *grad_up, int64_t count)
{
    // EVOLVE-BLOCK-START
    const int64_t block = 247413; // elements that go through all steps together
    for (int64_t begin = 0; begin < count; begin += block) {
        const int64_t end = begin + block < count ? begin + block : count;
        #pragma omp simd simdlen(32)
        for (int64_t i = begin; i < end; i++) {
            grad_gate[i] = 1 / (1 + exponential(-gate[i]));
            grad_up[i] = grad[i] * (gate[i] * grad_gate[i]);
            const float s = grad_gate[i];
            grad_gate[i] = grad[i] * up[i] * (s * (1 + gate[i] * (1 - s)));
        }
    }
    // EVOLVE-BLOCK-END
}
