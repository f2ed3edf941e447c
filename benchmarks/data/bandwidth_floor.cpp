// Moves the bytes that an operation cannot avoid moving: through the caches, or past them.
#include <cstdint>
#include <cstring>
typedef float Vec __attribute__((vector_size(64), aligned(4), may_alias));
typedef float Whole __attribute__((vector_size(64), may_alias));

static Vec sum_of(const float *from, int64_t reads)
{
    Vec sums[4] = {};
    for (int64_t i = 0; i + 64 <= reads; i += 64)
        for (int j = 0; j < 4; j++) sums[j] += *(const Vec *)(from + i + 16 * j);
    return sums[0] + sums[1] + sums[2] + sums[3];
}

extern "C" void move(const float *from, float *to, int64_t reads, int64_t writes)
{
    const Vec sum = sum_of(from, reads);
    for (int64_t i = 0; i + 16 <= writes; i += 16) *(Vec *)(to + i) = sum;
}

// Stores that read no line before they write it, where the processor has them.
extern "C" void move_past(const float *from, float *to, int64_t reads, int64_t writes)
{
#if defined(__AVX512F__)
    const Whole sum = sum_of(from, reads);
    int64_t i = 0;
    for (; i < writes && (uintptr_t)(to + i) % sizeof(Whole); i++) to[i] = sum[0];
    for (; i + 16 <= writes; i += 16) __builtin_ia32_movntps512(to + i, sum);
    __builtin_ia32_sfence();
#else
    move(from, to, reads, writes);
#endif
}
