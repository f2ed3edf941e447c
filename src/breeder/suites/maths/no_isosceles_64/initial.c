// No isosceles triangles: tabu search over sets of grid points that are symmetric in one axis or both.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// EVOLVE-BLOCK-START
#define LARGEST_SIDE 64
#define MOST_GROUPS 2048 // of points: with 64 x 64, 992 of four or 2048 of two
#define MOST_CHOSEN 96
#define BOTH 0.6        // share of the time for sets symmetric in both axes, where nothing is known
#define TENURE 4        // swaps for which a group that left the set stays out
#define STAY 2          // swaps for which a group that entered the set stays in
#define JITTER 6        // most swaps more, at random
#define PATIENCE 20000  // swaps without fewer clashes after which the set is shaken
#define SHAKE 0.3       // share of the groups that are exchanged then
#define ALONE 3         // clashes that two groups count which do not fit together in any set
#define FAR 16000       // more than any number of clashes

static int side, groups, order; // a group has so many points
static int place[MOST_GROUPS][2];
static int32_t apart[MOST_GROUPS][MOST_GROUPS][4]; // squared distances of one point to a group
static uint8_t unfit[MOST_GROUPS][MOST_GROUPS];    // whether two groups do not fit together
static uint32_t *first;                            // where the list of a pair begins in `listed`
static uint16_t *listed;                           // the groups that clash with a pair
static int16_t with[MOST_CHOSEN][MOST_GROUPS]; // clashes of each group in which a chosen one is
static int16_t load[MOST_GROUPS], held[MOST_GROUPS]; // clashes of each group with the set
static int chosen[MOST_CHOSEN], size;
static uint8_t inside[MOST_GROUPS];
static int64_t barred_in[MOST_GROUPS], barred_out[MOST_CHOSEN];
static uint64_t random_state;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static uint64_t drawn(void) { // S. Vigna's SplitMix64
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(int limit) { return (int)(((drawn() >> 32) * (uint64_t)limit) >> 32); }

// Of a group: its q-th point, mirrored in x for odd q and in y for q above 1; of two, in y alone.
static void point(int g, int q, int64_t *xy) {
    int x = place[g][0], y = place[g][1];
    int over = order == 4 && (q & 1), up = order == 4 ? q > 1 : q;
    xy[0] = over ? side - 1 - x : x, xy[1] = up ? side - 1 - y : y;
}

static int meet(const int32_t *one, int m, const int32_t *other, int k) {
    for (int a = 0; a < m; a++)
        for (int b = 0; b < k; b++)
            if (one[a] == other[b]) return 1;
    return 0;
}

// The distances from a point of one group to another group are the same whichever point it is.
static void distances(int points) {
    groups = 0, order = points;
    for (int x = 0; x < (order == 4 ? side / 2 : side); x++)
        for (int y = 0; y < side / 2; y++)
            if (order == 2 || x != y) place[groups][0] = x, place[groups][1] = y, groups++;
    for (int i = 0; i < groups; i++)
        for (int j = 0; j < groups; j++)
            for (int q = 0; q < order; q++) {
                int64_t xy[2];
                point(j, q, xy);
                int64_t dx = place[i][0] - xy[0], dy = place[i][1] - xy[1];
                apart[i][j][q] = (int32_t)(dx * dx + dy * dy);
            }
    for (int i = 0; i < groups; i++)
        for (int j = 0; j < groups; j++) {
            const int32_t *d = apart[i][j];
            int twice = meet(d, order, apart[i][i] + 1, order - 1) ||
                        meet(d, order, apart[j][j] + 1, order - 1);
            for (int a = 1; a < order; a++) twice |= meet(d, a, d + a, 1);
            unfit[i][j] = i != j && twice;
        }
}

static int64_t pair(int i, int j) {
    return i < j ? (int64_t)j * (j - 1) / 2 + i : (int64_t)i * (i - 1) / 2 + j;
}

// Three groups that fit in pairs clash where two of them are equally far from the third; if so in
// several ways, they count as often. The first pass counts, the second fills the lists.
static int triples(void) {
    int64_t count = (int64_t)groups * (groups - 1) / 2;
    int most = 2 * side * side + 1, *head = malloc(sizeof(int) * most);
    int *next = malloc(sizeof(int) * order * groups);
    first = calloc(count + 2, sizeof(uint32_t)), listed = NULL;
    if (!head || !next || !first) return 0;
    for (int filling = 0; filling < 2; filling++) {
        for (int c = 0; c < groups; c++) {
            memset(head, 255, sizeof(int) * most);
            for (int j = 0; j < groups; j++) {
                if (j == c || unfit[c][j]) continue;
                for (int q = 0; q < order; q++)
                    for (int e = head[apart[c][j][q]]; e >= 0; e = next[e]) {
                        int k = e / order, three[3] = {c, j, k};
                        for (int t = 0; t < 3 && !unfit[j][k]; t++) {
                            int64_t p = pair(three[(t + 1) % 3], three[(t + 2) % 3]);
                            if (filling) listed[first[p + 1]++] = (uint16_t)three[t];
                            else first[p + 2]++;
                        }
                    }
                for (int q = 0; q < order; q++) {
                    int e = order * j + q;
                    next[e] = head[apart[c][j][q]], head[apart[c][j][q]] = e;
                }
            }
        }
        if (filling) break;
        for (int64_t p = 2; p < count + 2; p++) first[p] += first[p - 1];
        listed = malloc(sizeof(uint16_t) * (first[count + 1] + 1));
        if (!listed) return 0;
    }
    free(head), free(next);
    return 1;
}

// Count the clashes of the a-th and the b-th of the set.
static void counted(int a, int b, int sign) {
    int64_t p = pair(chosen[a], chosen[b]);
    int16_t *one = with[a], *two = with[b];
    for (uint32_t e = first[p]; e < first[p + 1]; e++) {
        int k = listed[e];
        one[k] += sign, two[k] += sign, load[k] += sign;
    }
}

static void enter(int a, int k) {
    chosen[a] = k, inside[k] = 1;
    for (int g = 0; g < groups; g++) {
        int16_t alone = ALONE * unfit[k][g];
        with[a][g] = alone, load[g] += alone;
    }
    for (int b = 0; b < size; b++)
        if (b != a && chosen[b] >= 0) counted(a, b, 1);
}

static void leave(int a) {
    for (int b = 0; b < size; b++)
        if (b != a && chosen[b] >= 0) counted(a, b, -1);
    for (int g = 0; g < groups; g++) load[g] -= ALONE * unfit[chosen[a]][g];
    inside[chosen[a]] = 0, chosen[a] = -1;
}

static int clashes(void) {
    int total = 0;
    for (int a = 0; a < size; a++) total += load[chosen[a]];
    return total;
}

static int outsider(void) {
    int k;
    do k = below(groups);
    while (inside[k]);
    return k;
}

// Take so many groups and one more.
static void begin(const int *members, int count) {
    memset(load, 0, sizeof load), memset(inside, 0, sizeof inside);
    size = count + 1;
    for (int a = 0; a < size; a++) chosen[a] = -1;
    for (int a = 0; a < count; a++) enter(a, members[a]);
    enter(count, outsider());
}

static void shake(void) {
    for (int a = 0; a < size; a++)
        if ((double)(drawn() >> 11) * 0x1p-53 < SHAKE) {
            int k = outsider();
            leave(a), enter(a, k);
        }
}

// The swap that leaves the fewest clashes, one of the best at random: who leaves, and `in` enters.
static int swap(int64_t round, int *in) {
    int lowest[MOST_CHOSEN], best = FAR / 2, at = -1, ties = 0;
    for (int g = 0; g < groups; g++)
        held[g] = load[g] + (inside[g] || barred_in[g] > round ? FAR : 0);
    for (int a = 0; a < size; a++) {
        lowest[a] = FAR;
        if (load[chosen[a]] == 0 || barred_out[a] > round) continue;
        int16_t least = FAR;
        for (int g = 0; g < groups; g++) {
            int16_t left = held[g] - with[a][g];
            least = left < least ? left : least;
        }
        lowest[a] = least - load[chosen[a]];
        best = lowest[a] < best ? lowest[a] : best;
    }
    for (int a = 0; a < size; a++)
        for (int g = 0; g < groups && lowest[a] == best; g++)
            if (held[g] - with[a][g] - load[chosen[a]] == best && below(++ties) == 0)
                at = a, *in = g;
    return at;
}

// Swap groups until none clash; return whether they came so far before the end.
static int solved(double end) {
    memset(barred_in, 0, sizeof barred_in), memset(barred_out, 0, sizeof barred_out);
    int least = clashes(), stale = 0, in = 0;
    for (int64_t round = 1; clashes() > 0; round++) {
        if ((round & 255) == 0 && seconds() > end) return 0;
        int at = swap(round, &in);
        if (at < 0) continue;
        barred_in[chosen[at]] = round + TENURE + below(JITTER + 1);
        barred_out[at] = round + STAY + below(JITTER + 1);
        leave(at), enter(at, in);
        int now = clashes();
        if (now < least) least = now, stale = 0;
        else if (++stale > PATIENCE) shake(), least = clashes(), stale = 0;
    }
    return 1;
}

// Whether all points of a group are among those found.
static int held_whole(int g, const int64_t *found, int64_t count) {
    int seen = 0;
    for (int q = 0; q < order; q++) {
        int64_t xy[2];
        point(g, q, xy);
        for (int64_t p = 0; p < count; p++)
            seen += found[2 * p] == xy[0] && found[2 * p + 1] == xy[1];
    }
    return seen == order;
}

// Enlarge the points found by groups of so many until the end; return how many there are. Points
// that are not made up of such groups stay as they are.
static int64_t grown(int points, int64_t *found, int64_t count, double end) {
    int top[MOST_CHOSEN], known = 0;
    distances(points);
    for (int g = 0; g < groups && known < MOST_CHOSEN; g++)
        if (held_whole(g, found, count)) top[known++] = g;
    if ((int64_t)known * order != count || !triples()) return count;
    while (known + 1 < MOST_CHOSEN && known < groups) {
        begin(top, known);
        if (!solved(end)) break;
        memcpy(top, chosen, sizeof(int) * ++known);
    }
    for (int a = 0; a < known; a++)
        for (int q = 0; q < order; q++) point(top[a], q, found + 2 * (order * a + q));
    free(first), free(listed);
    return (int64_t)order * known;
}

// Write the largest set of points found to `found`, x, y by turns, and return how many there are;
// `best` holds `count` points that are known.
int64_t search(int64_t n, const int64_t *best, int64_t count, int64_t seed, double cpu_seconds,
               int64_t *found) {
    double start = seconds(), end = start + cpu_seconds - 0.1;
    memcpy(found, best, sizeof(int64_t) * 2 * count);
    if (n < 4 || n > LARGEST_SIDE) return count;
    side = (int)n, random_state = (uint64_t)seed;
    if (count == 0) count = grown(4, found, 0, start + BOTH * cpu_seconds);
    else if (below(4)) count = grown(4, found, count, end);
    return seconds() < end ? grown(2, found, count, end) : count;
}
// EVOLVE-BLOCK-END
