// Attention of float32 tensors with the logarithm of each row's sum of exponentials:
// out[i] = sum over j of p[j] v[j], p = softmax over j of scale * (q[i] . k[j])
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

// Where row r of head h of batch b begins: b * batch + h * head + r * row. Rows are contiguous.
struct Strides {
    int64_t batch, head, row;
};

// Query heads h with h / (heads / kv_heads) == g share head g of keys and values.
struct Shape {
    int64_t batch, heads, kv_heads, queries, keys, width;
    bool causal; // query i sees keys 0 to i
    float scale;
};

// EVOLVE-BLOCK-START
const int QUERY_BLOCK = 128; // rows of queries that pass over the keys together
const int KEY_BLOCK = 64;   // keys that such a pass takes at a time

// Turns scores into exp(score - largest), returns their sum.
// exp(x) without a call or a branch: x = n log 2 + r, |r| <= log(2) / 2, a polynomial of r
// (Cephes, Moshier), and n added to its exponent. At least exp(-87), infinite above 88.7.
static inline float exponential1(float x)
{
    const float low = x < -0x1.5cp+6f ? -0x1.5cp+6f : x;
    const float bounded = low > 0x1.62cccccp+6f ? 0x1.62cccccp+6f : low;
    const float shifted = bounded * 1.44269504f + 0x1.8p+23f; // rounds to a whole number
    const float n = shifted - 0x1.8p+23f;
    const float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 0x1p+0f;
    unsigned exponent, bits;
    __builtin_memcpy(&exponent, &shifted, sizeof exponent);
    __builtin_memcpy(&bits, &p, sizeof bits);
    bits += exponent << 23;
    __builtin_memcpy(&p, &bits, sizeof p);
    return QUERY_BLOCK < n ? __builtin_inff() : p;
}

static float exponentials(float *scores, int64_t count, float &largest)
{
    largest = scores[0];
    #pragma omp simd reduction(max:largest) simdlen(16)
    for (int64_t j = 1; j < count; j++) {
        largest = scores[j] > largest ? scores[j] : largest;
    }
    float sum = 0.0f;
    #pragma omp simd reduction(+:sum) simdlen(16)
    for (int64_t j = 0; j < count; j++) {
        scores[j] = exponential1(scores[j] - largest);
        sum += scores[j];
    }
    return sum;
}

static void attend_head(const float *__restrict__ q, const float *__restrict__ k, const float *__restrict__ v, float *__restrict__ out,
                        float *__restrict__ logsumexp, const Strides *__restrict__ strides, const Shape &shape)
{
    std::vector<float> scores(QUERY_BLOCK * shape.keys);
    for (int64_t begin = 0; begin < shape.queries; begin += QUERY_BLOCK) {
        const int64_t end =
            begin + QUERY_BLOCK < shape.queries ? begin + QUERY_BLOCK : shape.queries;
        const int64_t keys = shape.causal && end < shape.keys ? end : shape.keys;
        for (int64_t block = 0; block < keys; block += KEY_BLOCK) {
            const int64_t stop = block + KEY_BLOCK < keys ? block + KEY_BLOCK : keys;
            {
                const int rows1 = 6;
                const int columns1 = 32;
                decltype(0 + (k + block * strides[1].row)[0]) packed1a[((stop - block) + 1) * (shape.width + 1)];
                for (int64_t j = block; j + columns1 <= stop; j += columns1) {
                    for (int64_t d = 0; d < shape.width; d++) {
                        #pragma omp simd simdlen(16)
                        for (int column1 = 0; column1 < columns1; column1++) {
                            packed1a[(j - block) * shape.width + d * columns1 + column1] = (k + (j + column1) * strides[1].row)[d];
                        }
                    }
                }
                int64_t i = begin;
                for (; i + rows1 <= end; i += rows1) {
                    int64_t j = block;
                    for (; j + columns1 <= stop; j += columns1) {
                        float tile1[rows1][columns1];
#pragma GCC unroll 16
                        for (int row1 = 0; row1 < rows1; row1++) {
#pragma omp simd simdlen(16)
                            for (int column1 = 0; column1 < columns1; column1++) {
                                tile1[row1][column1] = 0.0f;
                            }
                        }
                        for (int64_t d = 0; d < shape.width; d++) {
#pragma GCC unroll 16
                            for (int row1 = 0; row1 < rows1; row1++) {
#pragma omp simd simdlen(16)
                                for (int column1 = 0; column1 < columns1; column1++) {
                                    tile1[row1][column1] += (q + (i + row1) * strides[0].row)[d] * packed1a[(j - block) * shape.width + d * columns1 + column1];
                                }
                            }
                        }
#pragma GCC unroll 16
                        for (int row1 = 0; row1 < rows1; row1++) {
#pragma omp simd simdlen(16)
                            for (int column1 = 0; column1 < columns1; column1++) {
                                (&scores[((i + row1) - begin) * shape.keys])[(j + column1)] = shape.scale * tile1[row1][column1];
                            }
                        }
                    }
                    for (; j < stop; j++) {
                        for (int row1 = 0; row1 < rows1; row1++) {
                            const float *__restrict__ key = k + j * strides[1].row;
                            float sum = 0.0f;
                            #pragma omp simd reduction(+:sum) simdlen(16)
                            for (int64_t d = 0; d < shape.width; d++) {
                                sum += (q + (i + row1) * strides[0].row)[d] * key[d];
                            }
                            (&scores[((i + row1) - begin) * shape.keys])[j] = shape.scale * sum;
                        }
                    }
                }
                for (; i < end; i++) {
                    const float *__restrict__ query = q + i * strides[0].row;
                    float *__restrict__ row = &scores[(i - begin) * shape.keys];
                    for (int64_t j = block; j < stop; j++) {
                        const float *__restrict__ key = k + j * strides[1].row;
                        float sum = 0.0f;
                        #pragma omp simd reduction(+:sum) simdlen(16)
                        for (int64_t d = 0; d < shape.width; d++) {
                            sum += query[d] * key[d];
                        }
                        row[j] = shape.scale * sum;
                    }
                }
            }
        }
        for (int64_t i = begin; i < end; i++) {
            float *__restrict__ row = &scores[(i - begin) * shape.keys];
            const int64_t seen = shape.causal && i + 1 < keys ? i + 1 : keys;
            float largest;
            const float sum = exponentials(row, seen, largest);
            logsumexp[i] = largest + logf(sum);
            const auto inverse1 = 1 / sum;
            #pragma omp simd simdlen(16)
            for (int64_t j = 0; j < seen; j++) {
                row[j] *= inverse1;
            }
            #pragma omp simd simdlen(16)
            for (int64_t j = seen; j < keys; j++) {
                row[j] = 0.0f;
            }
            float *__restrict__ target = out + i * strides[3].row;
            #pragma omp simd simdlen(16)
            for (int64_t d = 0; d < shape.width; d++) {
                target[d] = 0.0f;
            }
        }
        for (int64_t block = 0; block < keys; block += KEY_BLOCK) {
            const int64_t stop = block + KEY_BLOCK < keys ? block + KEY_BLOCK : keys;
            {
                const int rows2 = 4;
                const int columns2 = 32;
                decltype(0 + (v + block * strides[2].row)[0]) packed2a[(shape.width + 1) * ((stop - block) + 1)];
                for (int64_t d = 0; d + columns2 <= shape.width; d += columns2) {
                    for (int64_t j = block; j < stop; j++) {
                        #pragma omp simd simdlen(16)
                        for (int column2 = 0; column2 < columns2; column2++) {
                            packed2a[d * (stop - block) + (j - block) * columns2 + column2] = (v + j * strides[2].row)[(d + column2)];
                        }
                    }
                }
                int64_t i = begin;
                for (; i + rows2 <= end; i += rows2) {
                    int64_t d = 0;
                    for (; d + columns2 <= shape.width; d += columns2) {
                        decltype(0 + (out + i * strides[3].row)[d]) tile2[rows2][columns2];
#pragma GCC unroll 16
                        for (int row2 = 0; row2 < rows2; row2++) {
#pragma omp simd simdlen(16)
                            for (int column2 = 0; column2 < columns2; column2++) {
                                tile2[row2][column2] = (out + (i + row2) * strides[3].row)[(d + column2)];
                            }
                        }
                        for (int64_t j = block; j < stop; j++) {
#pragma GCC unroll 16
                            for (int row2 = 0; row2 < rows2; row2++) {
#pragma omp simd simdlen(16)
                                for (int column2 = 0; column2 < columns2; column2++) {
                                    tile2[row2][column2] += (&scores[((i + row2) - begin) * shape.keys])[j] * packed2a[d * (stop - block) + (j - block) * columns2 + column2];
                                }
                            }
                        }
#pragma GCC unroll 16
                        for (int row2 = 0; row2 < rows2; row2++) {
#pragma omp simd simdlen(16)
                            for (int column2 = 0; column2 < columns2; column2++) {
                                (out + (i + row2) * strides[3].row)[(d + column2)] = tile2[row2][column2];
                            }
                        }
                    }
                    for (; d < shape.width; d++) {
                        for (int64_t j = block; j < stop; j++) {
                            #pragma omp simd simdlen(16)
                            for (int row2 = 0; row2 < rows2; row2++) {
                                (out + (i + row2) * strides[3].row)[d] += (&scores[((i + row2) - begin) * shape.keys])[j] * (v + j * strides[2].row)[d];
                            }
                        }
                    }
                }
                for (; i < end; i++) {
                    for (int64_t j = block; j < stop; j++) {
                        #pragma omp simd simdlen(16)
                        for (int64_t d = 0; d < shape.width; d++) {
                            (out + i * strides[3].row)[d] += (&scores[(i - begin) * shape.keys])[j] * (v + j * strides[2].row)[d];
                        }
                    }
                }
            }
        }
    }
}

// strides: of q, k, v and out. logsumexp is contiguous: [batch][heads][queries].
static void attend(const float *q, const float *k, const float *v, float *out, float *logsumexp,
                   const Strides *strides, const Shape &shape)
{
    const int64_t group = shape.heads / shape.kv_heads;
    for (int64_t h = 0; h < shape.heads; h++) {
        #pragma omp simd simdlen(32)
        for (int64_t b = 0; b < shape.batch; b++) {
            attend_head(q + b * strides[0].batch + h * strides[0].head,
                        k + b * strides[1].batch + h / group * strides[1].head,
                        v + b * strides[2].batch + h / group * strides[2].head,
                        out + b * strides[3].batch + h * strides[3].head,
                        logsumexp + (b * shape.heads + h) * shape.queries, strides, shape);
        }
    }
}
// EVOLVE-BLOCK-END

extern "C" void flash_attention_forward(const float *q, const float *k, const float *v, float *out,
                                        float *logsumexp, const int64_t *strides, int64_t batch,
                                        int64_t heads, int64_t kv_heads, int64_t queries,
                                        int64_t keys, int64_t width, int64_t causal, float scale)
{
    const Strides each[4] = {{strides[0], strides[1], strides[2]},
                             {strides[3], strides[4], strides[5]},
                             {strides[6], strides[7], strides[8]},
                             {strides[9], strides[10], strides[11]}};
    const Shape shape = {batch, heads, kv_heads, queries, keys, width, causal != 0, scale};
    attend(q, k, v, out, logsumexp, each, shape);
}
