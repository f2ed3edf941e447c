// Written by hand, not evolved. Vectors, and stores that go past the caches: they read no line before
// they write it, and drive nothing out of the caches. They pay for results that would not stay there.
#include <cstdint>
#include <cstring>

#ifdef __AVX512F__
const int LANES = 16;
#else
const int LANES = 8;
#endif
typedef float Vec __attribute__((vector_size(LANES * 4), may_alias));

const int64_t LARGE = 1 << 20; // elements: twice what a second cache of today holds

// Whether rows of `width` elements at `to` are whole vectors, and enough of them.
static inline bool streams(const float *to, int64_t width, int64_t count)
{
#if defined(__AVX512F__) || defined(__AVX__)
    return count >= LARGE && width % LANES == 0 && (uintptr_t)to % sizeof(Vec) == 0;
#else
    return false;
#endif
}

template <bool PAST> static inline void put(float *to, Vec value)
{
#if defined(__AVX512F__)
    if (PAST) return __builtin_ia32_movntps512(to, value);
#elif defined(__AVX__)
    if (PAST) return __builtin_ia32_movntps256(to, value);
#endif
    memcpy(to, &value, sizeof value);
}

// Other threads see what went past the caches.
template <bool PAST> static inline void finish()
{
#if defined(__AVX__)
    if (PAST) __builtin_ia32_sfence();
#endif
}
