// Moves the bytes that an operation cannot avoid moving.
#include <cstdint>
#include <cstring>
typedef float Vec __attribute__((vector_size(64), aligned(4), may_alias));
extern "C" void move(const float *from, float *to, int64_t reads, int64_t writes)
{
    Vec sums[4] = {};
    for (int64_t i = 0; i + 64 <= reads; i += 64)
        for (int j = 0; j < 4; j++) sums[j] += *(const Vec *)(from + i + 16 * j);
    const Vec sum = sums[0] + sums[1] + sums[2] + sums[3];
    for (int64_t i = 0; i + 16 <= writes; i += 16) *(Vec *)(to + i) = sum;
}
