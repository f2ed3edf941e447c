/* A family of single-precision matrix products C = op(A) * op(B), row-major, after Goto and van de
 * Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), with the register tile, the
 * cache blocks, packing and the loop order as run-time parameters.
 * Vectors are GCC/Clang vector extensions: 16 lanes where the compiler targets AVX-512, else 8.
 * Every tile of `rows` x `vectors` that fits the register file is instantiated, so that edges in m
 * run an exact tile; edges in n run the narrowest tile that covers them.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
#define MAX_ROWS 14
#define MAX_VECTORS 6
#define MAX_THREADS 16
#define QUAD 4
#define HUGE_PAGE (2ul << 20)
#define FIRST_ROOM (4ul << 20) /* floats: enough for every ordinary tiling, so that it stays put */
#define PACK_STEP 16 /* one cache line of floats: a line of the source is used up at once */

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias)); /* in memory */
typedef float quad __attribute__((vector_size(16)));
typedef float loose_quad __attribute__((vector_size(16), aligned(4), may_alias));
typedef long index_t;

/* Layout of `tiling` in the interface; keep in step with tiling_family.py. */
enum { ROWS, VECTORS, MC, KC, NC, PACK_A, PACK_B, ORDER, THREADS, TILING_FIELDS };

typedef void (*micro_kernel)(index_t depth, const float *a, index_t a_stride, const float *b,
                             index_t b_stride, float *c, index_t ldc, int accumulate);

/* One register tile: c[rows][vectors * LANES] (+)= sum over p of a[., p] * b[p, .].
 * `packed`: a[p * a_stride + i]; otherwise a[i * a_stride + p]. */
static inline __attribute__((always_inline)) void register_tile(
    const int rows, const int vectors, const int packed, index_t depth, const float *a,
    index_t a_stride, const float *b, index_t b_stride, float *c, index_t ldc, int accumulate)
{
    vec sum[MAX_ROWS][MAX_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) sum[i][j] = (vec){0};
    for (index_t p = 0; p < depth; p++) {
        vec right[MAX_VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) right[j] = *(const loose *)(b + p * b_stride + j * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const float left = packed ? a[p * a_stride + i] : a[i * a_stride + p];
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++) sum[i][j] += right[j] * left;
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) {
            loose *out = (loose *)(c + i * ldc + j * LANES);
            if (accumulate) sum[i][j] += *out;
            *out = sum[i][j];
        }
}

#define ONE(NAME, PACKED, R, V)                                                                   \
    static void NAME##_##R##x##V(index_t d, const float *a, index_t sa, const float *b,           \
                                 index_t sb, float *c, index_t ldc, int acc)                      \
    {                                                                                             \
        register_tile(R, V, PACKED, d, a, sa, b, sb, c, ldc, acc);                                \
    }
#define DEFINE(R, V) ONE(strided, 0, R, V) ONE(packed, 1, R, V)
#define ENTER(R, V) [R][V] = {strided_##R##x##V, packed_##R##x##V},

#define UP_TO_1(X, V) X(1, V)
#define UP_TO_2(X, V) UP_TO_1(X, V) X(2, V)
#define UP_TO_4(X, V) UP_TO_2(X, V) X(3, V) X(4, V)
#define UP_TO_5(X, V) UP_TO_4(X, V) X(5, V)
#define UP_TO_6(X, V) UP_TO_5(X, V) X(6, V)
#define UP_TO_9(X, V) UP_TO_6(X, V) X(7, V) X(8, V) X(9, V)
#define UP_TO_14(X, V) UP_TO_9(X, V) X(10, V) X(11, V) X(12, V) X(13, V) X(14, V)

/* rows * vectors accumulators + vectors of b + one of a fit 32 (AVX-512) or 16 registers. */
#ifdef __AVX512F__
#define TILES(X) UP_TO_14(X, 1) UP_TO_14(X, 2) UP_TO_9(X, 3) UP_TO_6(X, 4) UP_TO_5(X, 5) UP_TO_4(X, 6)
#else
#define TILES(X) UP_TO_14(X, 1) UP_TO_6(X, 2) UP_TO_4(X, 3) UP_TO_2(X, 4) UP_TO_2(X, 5) UP_TO_1(X, 6)
#endif

TILES(DEFINE)
static const micro_kernel kernels[MAX_ROWS + 1][MAX_VECTORS + 1][2] = {TILES(ENTER)};

static index_t least(index_t a, index_t b) { return a < b ? a : b; }

/* A block of an operand: element (i, p) lies at data[i * outer + p * inner]. */
struct view {
    const float *data;
    index_t outer, inner;
};

static struct view shifted(struct view v, index_t outer, index_t inner)
{
    v.data += outer * v.outer + inner * v.inner;
    return v;
}

static void transpose_quad(const float *in, index_t stride, float *out, index_t out_stride)
{
    const quad r0 = *(const loose_quad *)in, r1 = *(const loose_quad *)(in + stride);
    const quad r2 = *(const loose_quad *)(in + 2 * stride), r3 = *(const loose_quad *)(in + 3 * stride);
    const quad t0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    const quad t1 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    const quad t2 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    const quad t3 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    *(loose_quad *)out = __builtin_shufflevector(t0, t1, 0, 1, 4, 5);
    *(loose_quad *)(out + out_stride) = __builtin_shufflevector(t0, t1, 2, 3, 6, 7);
    *(loose_quad *)(out + 2 * out_stride) = __builtin_shufflevector(t2, t3, 0, 1, 4, 5);
    *(loose_quad *)(out + 3 * out_stride) = __builtin_shufflevector(t2, t3, 2, 3, 6, 7);
}

static void copy_corner(struct view from, index_t i, index_t i_end, index_t p_begin, index_t p_end,
                        index_t count, index_t width, float *out)
{
    for (; i < i_end; i++)
        for (index_t p = p_begin; p < p_end; p++)
            out[p * width + i] = i < count ? from.data[i * from.outer + p * from.inner] : 0.0f;
}

/* Copies `count` outer x `depth` inner elements to out[p * width + i]; i >= count becomes 0.
 * Either outer or inner is 1. */
static void pack_panel(struct view from, index_t count, index_t depth, index_t width, float *out)
{
    if (from.outer == 1) {
        for (index_t p = 0; p < depth; p++) {
            memcpy(out + p * width, from.data + p * from.inner, (size_t)count * sizeof *out);
            for (index_t i = count; i < width; i++) out[p * width + i] = 0.0f;
        }
        return;
    }
    for (index_t start = 0; start < depth; start += PACK_STEP) {
        const index_t stop = least(start + PACK_STEP, depth);
        for (index_t i = 0; i < width; i += QUAD)
            for (index_t p = start; p < stop; p += QUAD)
                if (i + QUAD <= count && p + QUAD <= stop)
                    transpose_quad(from.data + i * from.outer + p, from.outer, out + p * width + i,
                                   width);
                else
                    copy_corner(from, i, least(i + QUAD, width), p, least(p + QUAD, stop), count,
                                width, out);
    }
}

/* Cuts `count` outer elements into panels of `width`, each packed with the width it needs, which is
 * a multiple of `grain`. The panel that starts at element i lies at out + i * depth. */
static void pack_block(struct view from, index_t count, index_t depth, index_t width, index_t grain,
                       float *out)
{
    for (index_t i = 0; i < count; i += width) {
        const index_t here = least(width, count - i);
        pack_panel(shifted(from, i, 0), here, depth, (here + grain - 1) / grain * grain, out + i * depth);
    }
}

/* What one macro-kernel works on: an mc x kc block of A, a kc x nc block of B, and its C. */
struct block {
    index_t m, n, k;
    struct view a, b;           /* the operands in place */
    const float *pack_a, *pack_b; /* their packed copies, or NULL */
    float *edge;                /* room for the last panel of an unpacked B */
    float *c;
    index_t ldc;
    int accumulate;
};

static void run_tile(const struct block *t, index_t i, index_t j, index_t rows, index_t columns)
{
    const index_t vectors = (columns + LANES - 1) / LANES, width = vectors * LANES;
    const float *a = t->pack_a ? t->pack_a + i * t->k : t->a.data + i * t->a.outer;
    const int packed = t->pack_a || t->a.outer == 1;
    const index_t a_stride = t->pack_a ? rows : packed ? t->a.inner : t->a.outer;
    const float *b = t->b.data + j;
    index_t b_stride = t->b.inner;
    if (t->pack_b) b = t->pack_b + j * t->k, b_stride = width;
    else if (width != columns) b = t->edge, b_stride = width;
    const micro_kernel kernel = kernels[rows][vectors][packed];
    float *c = t->c + i * t->ldc + j;
    if (width == columns) {
        kernel(t->k, a, a_stride, b, b_stride, c, t->ldc, t->accumulate);
        return;
    }
    float tile[MAX_ROWS * MAX_VECTORS * LANES];
    kernel(t->k, a, a_stride, b, b_stride, tile, width, 0);
    for (index_t r = 0; r < rows; r++)
        for (index_t s = 0; s < columns; s++) {
            const float old = t->accumulate ? c[r * t->ldc + s] : 0.0f;
            c[r * t->ldc + s] = old + tile[r * width + s];
        }
}

static void macro_kernel(const struct block *t, const int *tiling)
{
    const index_t mr = tiling[ROWS], nr = tiling[VECTORS] * LANES;
    const index_t last = t->n / nr * nr, rest = t->n - last;
    if (!t->pack_b && rest % LANES)
        pack_panel(shifted(t->b, last, 0), rest, t->k, (rest + LANES - 1) / LANES * LANES, t->edge);
    if (tiling[ORDER] == 0)
        for (index_t j = 0; j < t->n; j += nr)
            for (index_t i = 0; i < t->m; i += mr)
                run_tile(t, i, j, least(mr, t->m - i), least(nr, t->n - j));
    else
        for (index_t i = 0; i < t->m; i += mr)
            for (index_t j = 0; j < t->n; j += nr)
                run_tile(t, i, j, least(mr, t->m - i), least(nr, t->n - j));
}

struct product {
    index_t m, n, k;
    struct view a, b; /* a: outer m, inner k; b: outer n, inner k */
    float *c;
    index_t ldc;
    const int *tiling;
    float *room_a, *room_b, *edge;
};

static void load_a(const struct product *g, struct block *t, index_t i, index_t p)
{
    t->m = least(g->tiling[MC], g->m - i);
    t->a = shifted(g->a, i, p);
    t->pack_a = NULL;
    if (g->tiling[PACK_A]) {
        pack_block(t->a, t->m, t->k, g->tiling[ROWS], 1, g->room_a);
        t->pack_a = g->room_a;
    }
}

static void load_b(const struct product *g, struct block *t, index_t j, index_t p)
{
    t->n = least(g->tiling[NC], g->n - j);
    t->b = shifted(g->b, j, p);
    t->pack_b = NULL;
    if (g->tiling[PACK_B] || g->b.outer != 1) { /* a transposed B cannot be read in place */
        pack_block(t->b, t->n, t->k, g->tiling[VECTORS] * LANES, LANES, g->room_b);
        t->pack_b = g->room_b;
    }
}

/* Order 0: n, k, m outermost to innermost, B's block stays; order 1: m, k, n, A's block stays. */
static void multiply(const struct product *g)
{
    const int *const tiling = g->tiling;
    struct block t = {.ldc = g->ldc, .edge = g->edge};
    const int order = tiling[ORDER];
    const index_t outer_end = order ? g->m : g->n, inner_end = order ? g->n : g->m;
    const index_t outer_step = tiling[order ? MC : NC], inner_step = tiling[order ? NC : MC];
    for (index_t outer = 0; outer < outer_end; outer += outer_step)
        for (index_t p = 0; p < g->k; p += tiling[KC]) {
            t.k = least(tiling[KC], g->k - p);
            t.accumulate = p > 0;
            if (order) load_a(g, &t, outer, p);
            else load_b(g, &t, outer, p);
            for (index_t inner = 0; inner < inner_end; inner += inner_step) {
                if (order) load_b(g, &t, inner, p);
                else load_a(g, &t, inner, p);
                t.c = g->c + (order ? outer : inner) * g->ldc + (order ? inner : outer);
                macro_kernel(&t, tiling);
            }
        }
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct worker {
    struct product product; /* on the first set of operands */
    struct product turn;    /* on the set whose turn it is */
    pthread_t thread;
    double seconds;
};

static void *work(void *argument)
{
    struct worker *self = argument;
    const double begin = cpu_seconds();
    multiply(&self->turn);
    self->seconds = cpu_seconds() - begin;
    return NULL;
}

/* `product` with operands and result of set number `set`; the sets of a matrix lie one after the other. */
static struct product on_set(struct product product, const int *shape, index_t set)
{
    const index_t m = shape[0], n = shape[1], k = shape[2];
    product.a.data += set * m * k;
    product.b.data += set * k * n;
    product.c += set * m * n;
    return product;
}

/* Floats of one thread's packing buffers, A's and B's rounded up to a cache line. */
static size_t room_for(const int *t, size_t *a, size_t *b)
{
    const size_t nr = (size_t)t[VECTORS] * LANES, line = 16;
    *a = ((size_t)t[MC] * (size_t)t[KC] + line - 1) / line * line;
    *b = (((size_t)t[NC] + nr) * (size_t)t[KC] + line - 1) / line * line;
    return *a + *b + nr * (size_t)t[KC];
}

/* Gives each worker a share of the longer side, in whole tiles; returns how many got one. */
static int share_out(const struct product *whole, struct worker *workers, float *room, int by_rows)
{
    const int *const tiling = whole->tiling;
    size_t a, b;
    const size_t each = room_for(tiling, &a, &b);
    const index_t length = by_rows ? whole->m : whole->n;
    const index_t grain = by_rows ? tiling[ROWS] : tiling[VECTORS] * LANES;
    const index_t tiles = (length + grain - 1) / grain;
    const index_t share = (tiles + tiling[THREADS] - 1) / tiling[THREADS] * grain;
    int count = 0;
    for (index_t from = 0; from < length; from += share, count++) {
        struct product part = *whole;
        float *mine = room + (size_t)count * each;
        part.room_a = mine, part.room_b = mine + a, part.edge = mine + a + b;
        if (by_rows) part.m = least(share, length - from), part.a = shifted(part.a, from, 0);
        else part.n = least(share, length - from), part.b = shifted(part.b, from, 0);
        part.c += by_rows ? from * part.ldc : from;
        workers[count] = (struct worker){.product = part};
    }
    return count;
}

/* Room for `need` floats, kept between calls: fresh pages would be timed as well. In huge pages where
 * the system gives them, for else the luck of page placement decides what collides in the L2. */
static float *workspace(size_t need)
{
    static float *room = NULL;
    static size_t capacity = 0;
    if (need <= capacity) return room;
    free(room);
    room = NULL, capacity = 0;
    const size_t wanted = need > FIRST_ROOM ? need : FIRST_ROOM;
    const size_t bytes = (wanted * sizeof *room + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (posix_memalign((void **)&room, HUGE_PAGE, bytes)) return room = NULL;
#ifdef MADV_HUGEPAGE
    madvise(room, bytes, MADV_HUGEPAGE);
#endif
    memset(room, 0, bytes);
    capacity = bytes / sizeof *room;
    return room;
}

/* The interface. `shape` is {m, n, k, A is stored transposed, B is stored transposed}; all matrices
 * are dense. There are `sets` of operands and results; repetition r works on set (first + r) % sets,
 * so that a batch does not run on one warm set only. Returns the CPU seconds of all repetitions
 * together: this thread's, or with several threads those of the slowest in each repetition.
 * Negative: no memory or no thread. The caller keeps `tiling` within the family. */
double gemm(const int *shape, const float *a, const float *b, float *c, const int *tiling, int sets,
            int first, int repetitions)
{
    const index_t m = shape[0], n = shape[1], k = shape[2];
    const struct product whole = {
        .m = m, .n = n, .k = k, .c = c, .ldc = n, .tiling = tiling,
        .a = shape[3] ? (struct view){a, 1, m} : (struct view){a, k, 1},
        .b = shape[4] ? (struct view){b, k, 1} : (struct view){b, 1, n},
    };
    size_t unused_a, unused_b;
    const size_t each = room_for(tiling, &unused_a, &unused_b);
    float *const room = workspace(each * (size_t)tiling[THREADS]);
    if (!room) return -1.0;
    struct worker workers[MAX_THREADS];
    const int count = share_out(&whole, workers, room, m > n);
    double seconds = 0.0;
    if (count == 1) {
        const double begin = cpu_seconds();
        for (int r = 0; r < repetitions; r++) {
            const struct product turn = on_set(workers[0].product, shape, (first + r) % sets);
            multiply(&turn);
        }
        return cpu_seconds() - begin;
    }
    for (int r = 0; r < repetitions; r++) {
        for (int i = 0; i < count; i++)
            workers[i].turn = on_set(workers[i].product, shape, (first + r) % sets);
        int started = 1;
        while (started < count &&
               !pthread_create(&workers[started].thread, NULL, work, &workers[started]))
            started++;
        work(&workers[0]);
        for (int i = 1; i < started; i++) pthread_join(workers[i].thread, NULL);
        double slowest = 0.0;
        for (int i = 0; i < started; i++)
            if (workers[i].seconds > slowest) slowest = workers[i].seconds;
        if (started < count) return -1.0;
        seconds += slowest;
    }
    return seconds;
}

/* Rows of the tallest tile with 1 .. MAX_VECTORS vectors. */
int tallest(int vectors)
{
    int rows = 0;
    while (rows < MAX_ROWS && kernels[rows + 1][vectors][0]) rows++;
    return rows;
}

int lanes(void) { return LANES; }
