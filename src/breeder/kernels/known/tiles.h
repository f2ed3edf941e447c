// Written by hand, not evolved. Products of blocks of bfloat16 numbers, see blocks.h.
#if defined(__AMX_BF16__) || defined(__AVX512BF16__)
// Operands as sums of PARTS bfloat16 numbers: 1 rounds them, 2 leave 2^-16 of them out, 3 keep
// float32 exactly. Depths p and p + 16 make a pair, which lies in 32 bits.
template <int PARTS> struct Paired {
    typedef uint32_t Unit;
    static const int64_t HALF = LANES * LANES, PART = 2 * HALF, SIZE = PARTS * PART;
    static inline void split(Unit *to, Vec a, Vec b)
    {
        const Ints upper = Ints{} - 65536;
#pragma GCC unroll 3
        for (int part = 0; part < PARTS; part++) {
            // Half a unit of the last place, added before the rest is cut off, rounds. Where parts
            // add up to the number, nothing need be rounded; NaN must not be.
            const Ints half = Ints{} + (PARTS == 3 ? 0 : 0x8000);
            const Ints low = (Ints)a + (a == a ? half : Ints{});
            const Ints high = ((Ints)b + (b == b ? half : Ints{})) & upper;
            store((float *)(to + part * PART), (Vec)((Ints)((Uints)low >> 16) | high));
            a -= (Vec)(low & upper);
            b -= (Vec)high;
        }
    }
    static inline void left(Unit *block, int row, Vec a, Vec b)
    {
        split(block + row * LANES, a, b);
    }
    static inline void right(Unit *block, int depth, int column, Vec a, Vec b)
    {
        split(block + column * LANES + depth * LANES, a, b);
    }
};
#endif

#ifdef __AMX_BF16__
// Tiles of 16 x 16 float32 sums, fed with 16 x 32 bfloat16 numbers at a time.
template <int PARTS> struct Tiles : Paired<PARTS> {
    typedef uint32_t Unit;
    using Paired<PARTS>::PART;
    using Paired<PARTS>::HALF;
    // The kernel gives a process the tiles' registers on request only.
    static bool allowed()
    {
        static const bool granted = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18) == 0;
        return granted;
    }
    static void begin()
    {
        // Not on the stack: GCC takes the instruction to read eight bytes, and might not write others.
        static const struct {
            uint8_t palette, start, reserved[14];
            uint16_t bytes[16];
            uint8_t rows[16];
        } shape = {1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
        _tile_loadconfig(&shape);
    }
    static void end() { _tile_release(); }
    static inline void take_left(const Unit *a)
    {
        _tile_loadd(4, a, 64);
        _tile_loadd(5, a + LANES * LANES, 64);
    }
    static inline void take_right(const Unit *b)
    {
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + LANES * LANES, 64);
    }
    static inline void multiply()
    {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    // The smallest products come first. Those of 2 of 2 parts, and of parts 2 and 3, and 3 and 3,
    // are left out.
    static inline void multiply_parts(const Unit *a, const Unit *b)
    {
        if constexpr (PARTS == 3) {
            take_left(a);
            take_right(b + 2 * PART);
            multiply();
            take_right(b + PART);
            multiply();
            take_left(a + PART);
            multiply();
            take_right(b);
            multiply();
            take_left(a + 2 * PART);
            multiply();
        } else if constexpr (PARTS == 2) {
            take_left(a);
            take_right(b + PART);
            multiply();
            take_right(b);
            take_left(a + PART);
            multiply();
        } else {
            take_right(b);
        }
        take_left(a);
        multiply();
    }
    static void product(const Unit *a, const Unit *b, int64_t a_step, int64_t b_step, int64_t count,
                        float *c, int64_t stride, bool add)
    {
        const int64_t bytes = stride * 4;
        if (add) {
            _tile_loadd(0, c, bytes);
            _tile_loadd(1, c + LANES, bytes);
            _tile_loadd(2, c + LANES * stride, bytes);
            _tile_loadd(3, c + LANES * stride + LANES, bytes);
        } else {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
        }
        for (int64_t n = 0; n < count; n++) multiply_parts(a + n * a_step, b + n * b_step);
        _tile_stored(0, c, bytes);
        _tile_stored(1, c + LANES, bytes);
        _tile_stored(2, c + LANES * stride, bytes);
        _tile_stored(3, c + LANES * stride + LANES, bytes);
    }
};
#elif defined(__AVX512BF16__)
// The same with one vdpbf16ps for 16 columns: twice as fast as float32 where there are no tiles.
struct Pairs : Paired<1> {
    static void begin() {}
    static void end() {}
    static void product(const Unit *a, const Unit *b, int64_t a_step, int64_t b_step, int64_t count,
                        float *c, int64_t stride, bool add)
    {
        for (int first = 0; first < BLOCK; first += TILE_ROWS) {
            Vec sums[TILE_ROWS][2] = {};
            for (int r = 0; add && r < TILE_ROWS; r++) {
                sums[r][0] = load(c + (first + r) * stride);
                sums[r][1] = load(c + (first + r) * stride + LANES);
            }
            for (int64_t n = 0; n < count; n++) {
                const Unit *rows = a + n * a_step + first * LANES, *columns = b + n * b_step;
                for (int p = 0; p < LANES; p++) {
                    const __m512bh some = (__m512bh)load((const float *)columns + p * LANES);
                    const __m512bh others =
                        (__m512bh)load((const float *)columns + HALF + p * LANES);
#pragma GCC unroll 8
                    for (int r = 0; r < TILE_ROWS; r++) {
                        const __m512bh pair = (__m512bh)_mm512_set1_epi32(rows[r * LANES + p]);
                        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], pair, some);
                        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], pair, others);
                    }
                }
            }
            for (int r = 0; r < TILE_ROWS; r++) {
                store(c + (first + r) * stride, sums[r][0]);
                store(c + (first + r) * stride + LANES, sums[r][1]);
            }
        }
    }
};
#endif
