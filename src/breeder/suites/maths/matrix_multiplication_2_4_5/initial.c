// Matrix multiplication: a walk on the flip graph over F2, column by column of B, lifted to integers.
//
// Flips, and lifting: M. Kauers and J. Moosbauer, "Flip graphs for matrix multiplication" (2022). Plus
// transitions, and one column after the other: Y. Arai, Y. Ichikawa and K. Hukushima, "Adaptive flip
// graph algorithm" (2024).
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// EVOLVE-BLOCK-START
#define MOST_PRODUCTS 128
#define MOST_ENTRIES 32   // of a factor
#define LOOK 1000         // flips between looks at the clock
#define RENEW 200         // looks between trials to go on from where the walk is, at the lowest rank
#define PATIENCE 20000    // flips without a new lowest rank after which a product more is made
#define ABOVE 2           // products above the lowest rank that may be
#define RETURN 300000     // flips after which a walk that stayed above it goes back
#define CALM 10000000     // flips without a lower rank after which the next column comes
#define SHARE 0.15        // of the time left, after which it comes anyway
#define AFRESH 100000000  // after the last one, until all begins again
#define KNOWN 0.5         // chance to go on from the algorithm that is known
#define SOLUTIONS 4       // random solutions of a lift that are tried

typedef struct {
    uint32_t factor[3][MOST_PRODUCTS]; // which entries are 1; no product has a factor without any
    int rank;
} Scheme;

static int rows, inner, columns; // of the formats rows x inner, inner x columns
static int formed;               // columns that the scheme at hand is for
static int entries[3];
static Scheme now, kept;
static int8_t value[MOST_PRODUCTS][3][MOST_ENTRIES]; // a scheme with signs
static uint64_t random_state;

static double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static uint64_t drawn(void) { // S. Vigna's SplitMix64
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(int limit) { return (int)(((drawn() >> 32) * (uint64_t)limit) >> 32); }

static void definition(int j) { // append the products for a column
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < inner; k++) {
            now.factor[0][now.rank] = 1u << (i * inner + k);
            now.factor[1][now.rank] = 1u << (k * columns + j);
            now.factor[2][now.rank++] = 1u << (j * rows + i);
        }
}

static void drop(int i) {
    now.rank--;
    for (int x = 0; x < 3; x++) now.factor[x][i] = now.factor[x][now.rank];
}

// Join the i-th product with another that has two factors in common with it, where there is one.
static int merged(int i) {
    for (int x = 0; x < 3; x++) {
        int y = (x + 1) % 3, z = (x + 2) % 3;
        for (int j = 0; j < now.rank; j++)
            if (j != i && now.factor[x][j] == now.factor[x][i] &&
                now.factor[y][j] == now.factor[y][i]) {
                uint32_t both = now.factor[z][i] ^ now.factor[z][j];
                now.factor[z][i] = both;
                if (both == 0 && i > j) drop(i), drop(j);
                else if (both == 0) drop(j), drop(i);
                else drop(j);
                return 1;
            }
    }
    return 0;
}

// a b c + a b' c' = a (b + b') c + a b' (c' + c), for a random pair that has a factor in common.
static void flip(void) {
    uint64_t r = drawn(), equal[2] = {0, 0};
    int i = (int)((r & 0xffff) * (uint64_t)now.rank >> 16);
    int x = (int)((r >> 16 & 0xffff) * 3 >> 16);
    int y = (x + 1 + (int)(r >> 32 & 1)) % 3, z = 3 - x - y;
    for (int j = 0; j < now.rank; j++)
        equal[j >> 6] |= (uint64_t)(now.factor[x][j] == now.factor[x][i]) << (j & 63);
    equal[i >> 6] &= ~((uint64_t)1 << (i & 63));
    int low = __builtin_popcountll(equal[0]), all = low + __builtin_popcountll(equal[1]);
    if (all == 0) return;
    int pick = (int)((r >> 40 & 0xffff) * (uint64_t)all >> 16), part = pick >= low;
    uint64_t word = equal[part];
    for (int t = part ? pick - low : pick; t; t--) word &= word - 1;
    int j = __builtin_ctzll(word) + 64 * part;
    uint32_t b = now.factor[y][i] ^ now.factor[y][j], c = now.factor[z][j] ^ now.factor[z][i];
    now.factor[y][i] = b, now.factor[z][j] = c;
    if (b == 0 && c == 0) drop(i > j ? i : j), drop(i > j ? j : i);
    else if (b == 0 || c == 0) drop(b == 0 ? i : j);
    else if (!merged(i)) merged(j);
}

// a b c + a' b' c' = a (b + b') c + a b' (c + c') + (a + a') b' c'.
static void split(void) {
    int i = below(now.rank), j = below(now.rank), x = below(3);
    int y = (x + 1 + below(2)) % 3, z = 3 - x - y, k = now.rank;
    for (int f = 0; f < 3; f++)
        if (now.factor[f][i] == now.factor[f][j]) return;
    uint32_t a = now.factor[x][i], b = now.factor[y][j], c = now.factor[z][j];
    now.factor[x][k] = a ^ now.factor[x][j], now.factor[y][k] = b, now.factor[z][k] = c;
    now.factor[x][j] = a, now.factor[z][j] = c ^ now.factor[z][i];
    now.factor[y][i] ^= b;
    now.rank++;
}

static int64_t at(int a, int b, int c) { return ((int64_t)a * entries[1] + b) * entries[2] + c; }

static int wanted(int a, int b, int c) {
    return b % columns < formed && a % inner == b / columns && b % columns == c / rows &&
           c % rows == a / inner;
}

// Whether the factors with signs multiply matrices of integers.
static int correct(void) {
    for (int a = 0; a < entries[0]; a++)
        for (int b = 0; b < entries[1]; b++)
            for (int c = 0; c < entries[2]; c++) {
                int total = 0;
                for (int r = 0; r < now.rank; r++)
                    total += value[r][0][a] * value[r][1][b] * value[r][2][c];
                if (total != wanted(a, b, c)) return 0;
            }
    return 1;
}

// The equations for the signs: an odd entry is 1 + 2 s, so modulo 4 they are linear over F2. Each
// row has a bit for every odd entry, and at last the right side.
static int equations(uint64_t *table, int words) {
    int unknowns = 0;
    for (int r = 0; r < now.rank; r++)
        for (int x = 0; x < 3; x++)
            for (int e = 0; e < entries[x]; e++)
                if (value[r][x][e]) {
                    int y = (x + 1) % 3, z = (x + 2) % 3, place[3];
                    place[x] = e;
                    for (place[y] = 0; place[y] < entries[y]; place[y]++)
                        for (place[z] = 0; place[z] < entries[z]; place[z]++)
                            if (value[r][y][place[y]] && value[r][z][place[z]])
                                table[at(place[0], place[1], place[2]) * words + unknowns / 64] |=
                                    (uint64_t)1 << unknowns % 64;
                    unknowns++;
                }
    for (int a = 0; a < entries[0]; a++)
        for (int b = 0; b < entries[1]; b++)
            for (int c = 0; c < entries[2]; c++) {
                int total = -wanted(a, b, c);
                for (int r = 0; r < now.rank; r++)
                    total += value[r][0][a] * value[r][1][b] * value[r][2][c];
                uint64_t right = (uint64_t)(total / 2 & 1);
                table[at(a, b, c) * words + unknowns / 64] |= right << unknowns % 64;
            }
    return unknowns;
}

// Reduce the equations to pivots, `pivot[r]` of row r; return how many, or -1 without a solution.
static int eliminated(uint64_t *table, int64_t count, int words, int unknowns, int *pivot) {
    int rank = 0;
    for (int u = 0; u <= unknowns && rank < count; u++) {
        int64_t r = rank;
        while (r < count && !(table[r * words + u / 64] >> u % 64 & 1)) r++;
        if (r == count) continue;
        if (u == unknowns) return -1;
        for (int w = 0; w < words; w++) {
            uint64_t other = table[r * words + w];
            table[r * words + w] = table[(int64_t)rank * words + w];
            table[(int64_t)rank * words + w] = other;
        }
        for (r = 0; r < count; r++)
            if (r != rank && table[r * words + u / 64] >> u % 64 & 1)
                for (int w = u / 64; w < words; w++)
                    table[r * words + w] ^= table[(int64_t)rank * words + w];
        pivot[rank++] = u;
    }
    return rank;
}

// Give the entries of a scheme signs such that it multiplies integer matrices, if it can be done.
static int lifted(void) {
    memset(value, 0, sizeof value);
    int odd = 0;
    for (int r = 0; r < now.rank; r++)
        for (int x = 0; x < 3; x++)
            for (int e = 0; e < entries[x]; e++)
                odd += value[r][x][e] = now.factor[x][r] >> e & 1;
    int64_t count = (int64_t)entries[0] * entries[1] * entries[2];
    int words = odd / 64 + 1, done = 0;
    uint64_t *table = calloc((size_t)(count * words), sizeof(uint64_t));
    int *pivot = malloc(sizeof(int) * (size_t)count);
    uint8_t *sign = malloc((size_t)odd + 1);
    if (!table || !pivot || !sign) exit(1);
    int unknowns = equations(table, words);
    int rank = eliminated(table, count, words, unknowns, pivot);
    for (int t = 0; t < SOLUTIONS && rank >= 0 && !done; t++) {
        for (int u = 0; u < unknowns; u++) sign[u] = (uint8_t)below(2);
        for (int r = 0; r < rank; r++) sign[pivot[r]] = 0;
        for (int r = 0; r < rank; r++) {
            uint64_t *row = table + (int64_t)r * words;
            int total = (int)(row[unknowns / 64] >> unknowns % 64 & 1);
            for (int u = 0; u < unknowns; u++)
                if (u != pivot[r] && row[u / 64] >> u % 64 & 1) total ^= sign[u];
            sign[pivot[r]] = (uint8_t)total;
        }
        int u = 0;
        for (int r = 0; r < now.rank; r++)
            for (int x = 0; x < 3; x++)
                for (int e = 0; e < entries[x]; e++)
                    if (value[r][x][e]) value[r][x][e] = sign[u++] ? -1 : 1;
        done = correct();
    }
    free(table), free(pivot), free(sign);
    return done;
}

static void write_to(int64_t *found) {
    for (int r = 0; r < now.rank; r++)
        for (int x = 0; x < 3; x++)
            for (int e = 0; e < entries[x]; e++) *found++ = value[r][x][e];
}

// Walk from the scheme at hand until so many flips brought no lower rank; keep the lowest, and write
// it where it has fewer than `count` products of the whole format. Flips and splits of a scheme that
// can be lifted give others; where two products became one it is tried, and the walk goes back if not.
static int64_t walked(int64_t calm, int64_t count, int64_t *found, double end) {
    int64_t since_low = 0, since_kept = 0, quiet = 0;
    int low = now.rank;
    if (formed == columns && now.rank < count && lifted()) count = now.rank, write_to(found);
    for (kept = now; quiet < calm && seconds() < end; quiet += LOOK) {
        for (int t = 0; t < LOOK; t++) {
            int before = now.rank;
            flip();
            since_low++, since_kept++;
            if (now.rank < before && now.rank <= kept.rank) {
                if (!lifted()) now = kept, since_low = 0;
                else if (now.rank < kept.rank) {
                    quiet = 0;
                    if (formed == columns && now.rank < count) count = now.rank, write_to(found);
                }
                kept = now, since_kept = 0;
            }
            if (now.rank < low) low = now.rank, since_low = 0;
            if (since_low > PATIENCE) {
                if (now.rank < kept.rank + ABOVE && now.rank + 1 < MOST_PRODUCTS) split();
                low = now.rank, since_low = 0;
            }
        }
        if (now.rank == kept.rank) since_kept = 0;
        if (now.rank == kept.rank && quiet / LOOK % RENEW == RENEW - 1 && lifted()) kept = now;
        if (since_kept > RETURN) now = kept, low = now.rank, since_low = since_kept = 0;
    }
    now = kept;
    return count;
}

// Write the algorithm with the fewest products to `found`, of `best` with `count` products (0: none is
// known) and what the search finds; return how many. A product is the entries of its three factors,
// each to be divided by a scale.
int64_t search(int64_t n, int64_t m, int64_t p, const int64_t *best, int64_t count,
               int64_t best_scale, int64_t seed, double cpu_seconds, int64_t *found,
               int64_t *scale) {
    double end = seconds() + cpu_seconds - 0.1;
    rows = (int)n, inner = (int)m, columns = (int)p, random_state = (uint64_t)seed;
    entries[0] = rows * inner, entries[1] = inner * columns, entries[2] = columns * rows;
    int all = entries[0] + entries[1] + entries[2], build = 1;
    int64_t before = count;
    *scale = best_scale;
    memcpy(found, best, sizeof(int64_t) * (size_t)(count * all));
    if (n * m * p >= MOST_PRODUCTS || n * m > MOST_ENTRIES || m * p > MOST_ENTRIES ||
        p * n > MOST_ENTRIES)
        return count;
    now.rank = 0;
    if (count == 0) {
        for (formed = 0; formed < columns; formed++) definition(formed);
        lifted(), write_to(found), count = now.rank;
    } else if (best_scale == 1 && below(1000) < 1000 * KNOWN) {
        build = 0;
        for (; now.rank < count; now.rank++)
            for (int x = 0; x < 3; x++) {
                now.factor[x][now.rank] = 0;
                for (int e = 0; e < entries[x]; e++)
                    now.factor[x][now.rank] |= (uint32_t)(*best++ & 1) << e;
                if (!now.factor[x][now.rank]) return count; // it has no counterpart over F2
            }
    }
    for (formed = columns; seconds() < end; build = 1) {
        if (build) now.rank = formed = 0;
        do {
            if (build) definition(formed++);
            double until = seconds() + SHARE * (end - seconds());
            if (formed == columns) count = walked(AFRESH, count, found, end);
            else walked(CALM, count, found, until);
        } while (formed < columns);
    }
    if (count != before) *scale = 1;
    return count;
}
// EVOLVE-BLOCK-END
