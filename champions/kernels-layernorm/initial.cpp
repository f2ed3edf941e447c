// Layer normalisation of rows, forward and backward.
#include <cmath>
#include <cstdint>

extern "C" void layernorm_forward(const float *x, const float *weight, const float *bias, float *out,
                                  float *mean, float *rstd, int64_t rows, int64_t columns,
                                  float epsilon)
{
    // EVOLVE-BLOCK-START
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * columns;
        float *target = out + r * columns;
        float sum = 0.0f;
        {
            const int lanes1 = 16;
            decltype(0 + sum) sum_of1[lanes1];
            #pragma omp simd simdlen(16)
            for (int lane1 = 0; lane1 < lanes1; lane1++) {
                sum_of1[lane1] = 0;
            }
            int64_t c = 0;
            for (; c + lanes1 <= columns; c += lanes1) {
#pragma omp simd simdlen(16)
                for (int lane1 = 0; lane1 < lanes1; lane1++) {
                    sum_of1[lane1] += row[(c + lane1)];
                }
            }
            for (; c < columns; c++) {
                sum += row[c];
            }
            #pragma omp simd reduction(+:sum) simdlen(16)
            for (int lane1 = 0; lane1 < lanes1; lane1++) {
                sum += sum_of1[lane1];
            }
        }
        const float centre = sum / columns;
        float square = 0.0f;
        {
            const int lanes1 = 16;
            decltype(0 + square) square_of1[lanes1];
            #pragma omp simd simdlen(16)
            for (int lane1 = 0; lane1 < lanes1; lane1++) {
                square_of1[lane1] = 0;
            }
            int64_t c = 0;
            for (; c + lanes1 <= columns; c += lanes1) {
#pragma omp simd simdlen(16)
                for (int lane1 = 0; lane1 < lanes1; lane1++) {
                    square_of1[lane1] += (row[(c + lane1)] - centre) * (row[(c + lane1)] - centre);
                }
            }
            for (; c < columns; c++) {
                square += (row[c] - centre) * (row[c] - centre);
            }
            {
                const int lanes3 = 64;
                decltype(0 + square) square_of3[lanes3];
                for (int lane3 = 0; lane3 < lanes3; lane3++) {
                    square_of3[lane3] = 0;
                }
                int lane1 = 0;
                for (; lane1 + lanes3 <= lanes1; lane1 += lanes3) {
#pragma omp simd simdlen(16)
                    for (int lane3 = 0; lane3 < lanes3; lane3++) {
                        square_of3[lane3] += square_of1[(lane1 + lane3)];
                    }
                }
                for (; lane1 < lanes1; lane1++) {
                    square += square_of1[lane1];
                }
                for (int lane3 = 0; lane3 < lanes3; lane3++) {
                    square += square_of3[lane3];
                }
            }
        }
        const float factor = 1 / sqrtf(square / columns + epsilon);
        mean[r] = centre;
        rstd[r] = factor;
        #pragma omp simd simdlen(16)
        for (int64_t c = 0; c < columns; c++) {
            target[c] = (row[c] - centre) * factor * weight[c] + bias[c];
        }
    }
    // EVOLVE-BLOCK-END
}

extern "C" void layernorm_backward(const float *grad, const float *x, const float *weight,
                                   const float *mean, const float *rstd, float *grad_x,
                                   float *grad_weight, float *grad_bias, int64_t rows,
                                   int64_t columns)
{
    // EVOLVE-BLOCK-START
    #pragma omp simd simdlen(16)
    for (int64_t c = 0; c < columns; c++) {
        grad_weight[c] = 0;
        grad_bias[c] = 0;
    }
    for (int64_t r = 0; r < rows; r++) {
        const float *above = grad + r * columns;
        const float *row = x + r * columns;
        float *target = grad_x + r * columns;
        const float centre = mean[r];
        const float factor = rstd[r];
        float sum = 0.0f;
        float product = 0.0f;
        {
            const int lanes2 = 64;
            decltype(0 + sum) sum_of2[lanes2];
            decltype(0 + product) product_of2[lanes2];
            #pragma omp simd simdlen(16)
            for (int lane2 = 0; lane2 < lanes2; lane2++) {
                sum_of2[lane2] = 0;
                product_of2[lane2] = 0;
            }
            int64_t c = 0;
            for (; c + lanes2 <= columns; c += lanes2) {
#pragma omp simd simdlen(32)
                for (int lane2 = 0; lane2 < lanes2; lane2++) {
                    sum_of2[lane2] += above[(c + lane2)] * weight[(c + lane2)];
                    product_of2[lane2] += above[(c + lane2)] * weight[(c + lane2)] * ((row[(c + lane2)] - centre) * factor);
                }
            }
            for (; c < columns; c++) {
                sum += above[c] * weight[c];
                product += above[c] * weight[c] * ((row[c] - centre) * factor);
            }
            #pragma omp simd reduction(+:product) reduction(+:sum) simdlen(16)
            for (int lane2 = 0; lane2 < lanes2; lane2++) {
                sum += sum_of2[lane2];
                product += product_of2[lane2];
            }
        }
        sum = sum / columns;
        product = product / columns;
        #pragma omp simd simdlen(16)
        for (int64_t c = 0; c < columns; c++) {
            const float normed = (row[c] - centre) * factor;
            target[c] = factor * (above[c] * weight[c] - sum - normed * product);
            grad_weight[c] += above[c] * ((row[c] - centre) * factor);
            grad_bias[c] += above[c];
        }
    }
    // EVOLVE-BLOCK-END
}
