// Written by hand, not evolved. Exponentials of a row below its largest element.
const int SIDE = 4; // vectors that are taken side by side

static inline float largest_of(const float *row, int64_t columns)
{
    const int64_t wide = columns / (SIDE * LANES) * (SIDE * LANES);
    Vec highs[SIDE];
    for (int i = 0; i < SIDE; i++) highs[i] = Vec{} + row[0];
    for (int64_t c = 0; c < wide; c += SIDE * LANES) {
#pragma GCC unroll 4
        for (int i = 0; i < SIDE; i++) highs[i] = larger(load(row + c + i * LANES), highs[i]);
    }
    for (int64_t c = wide; c < columns; c += LANES) {
        highs[0] = larger(load_some(row + c, columns - c, row[0]), highs[0]);
    }
    return highest(larger(larger(highs[0], highs[1]), larger(highs[2], highs[3])));
}

// Writes exp(row - largest), returns their sum. The row after the next is asked for meanwhile, as the
// pass over a row that looks for the largest would wait for memory (5 to 10 % of a softmax whose
// rows come from there, measured on a Xeon).
static inline float exponentials(const float *row, float largest, float *to, int64_t columns)
{
    const int64_t wide = columns / (SIDE * LANES) * (SIDE * LANES);
    Vec sums[SIDE] = {};
    for (int64_t c = 0; c < wide; c += SIDE * LANES) {
#pragma GCC unroll 4
        for (int i = 0; i < SIDE; i++) {
            const Vec weight = exponential(load(row + c + i * LANES) - largest);
            __builtin_prefetch(row + 2 * columns + c + i * LANES, 0, 2);
            store(to + c + i * LANES, weight);
            sums[i] += weight;
        }
    }
    for (int64_t c = wide; c < columns; c += LANES) {
        const Vec weight = exponential(load_some(row + c, columns - c, largest) - largest);
        store_some(to + c, weight, columns - c);
        sums[0] += first_of(weight, columns - c);
    }
    return total((sums[0] + sums[1]) + (sums[2] + sums[3]));
}
