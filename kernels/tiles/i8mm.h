/* smmla: the products of two rows with two columns, eight inputs at a time. */
#define KERNEL_NAME "i8mm"
enum { TILE_ROWS = 8 };
#include "neon_mix.h"

/* Two or three times four columns; four pairs of rows, of which the last may be one row twice. */
INLINE void dot_fours(const int rows, const int fours, const code_t *codes, long code_stride,
                      const int8_t *const *weights, int inputs, const int32_t *start,
                      int32_t *sums, long sum_stride) {
  const int pairs = (rows + 1) / 2;
  int32x4_t sum[4][3][2];
  UNROLL for (int p = 0; p < pairs; p++)
    UNROLL for (int i = 0; i < fours; i++) sum[p][i][0] = sum[p][i][1] = vdupq_n_s32(0);
  for (long k = 0; k < inputs; k += 8) {
    int8x16_t two[4];
    UNROLL for (int p = 0; p < pairs; p++) {
      const int other = 2 * p + 1 < rows ? 2 * p + 1 : 2 * p;
      two[p] = vcombine_s8(vld1_s8(codes + 2 * p * code_stride + k),
                           vld1_s8(codes + other * code_stride + k));
      __asm__ volatile("" : "+w"(two[p]) : : "memory");
    }
    UNROLL for (int i = 0; i < fours; i++) {
      const int32x4_t first = vreinterpretq_s32_s8(vld1q_s8(weights[i] + 16 * k));
      const int32x4_t second = vreinterpretq_s32_s8(vld1q_s8(weights[i] + 16 * k + 64));
      const int8x16_t left = vreinterpretq_s8_s32(vzip1q_s32(first, second));
      const int8x16_t right = vreinterpretq_s8_s32(vzip2q_s32(first, second));
      UNROLL for (int p = 0; p < pairs; p++) {
        sum[p][i][0] = vmmlaq_s32(sum[p][i][0], two[p], left);
        sum[p][i][1] = vmmlaq_s32(sum[p][i][1], two[p], right);
        /* Else clang loads ahead what it has no registers for. */
        __asm__ volatile("" : : "w"(sum[p][i][0]), "w"(sum[p][i][1]) : "memory");
      }
    }
  }
  UNROLL for (int p = 0; p < pairs; p++)
    UNROLL for (int i = 0; i < fours; i++) {
      const int32x4_t from = vld1q_s32(start + 4 * i), *both = sum[p][i];
      const int32x4_t even = vcombine_s32(vget_low_s32(both[0]), vget_low_s32(both[1]));
      const int32x4_t odd = vcombine_s32(vget_high_s32(both[0]), vget_high_s32(both[1]));
      vst1q_s32(sums + 2 * p * sum_stride + 4 * i, vaddq_s32(even, from));
      if (2 * p + 1 < rows)
        vst1q_s32(sums + (2 * p + 1) * sum_stride + 4 * i, vaddq_s32(odd, from));
    }
}
INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  (void)ahead;
  const int fours = vectors == 3 ? 3 : 2;
  for (int first = 0; first < 4 * vectors; first += fours) {
    const int8_t *lines[3];
    UNROLL for (int i = 0; i < fours; i++)
      lines[i] = weights + (first + i) / 4 * panel + (first + i) % 4 * 16;
    dot_fours(rows, fours, codes, code_stride, lines, inputs, start + 4 * first, sums + 4 * first,
              sum_stride);
  }
}
