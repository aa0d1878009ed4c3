/* smmla: the products of two rows with two columns, eight inputs at a time. */
#define KERNEL_NAME "i8mm"
enum { TILE_ROWS = 8 };
#include "neon_mix.h"

/* Eight columns; four pairs of rows, of which the last may be one row twice. */
INLINE void dot_eight(const int rows, const code_t *codes, long code_stride, const int8_t *weights,
                      int inputs, const int32_t *start, int32_t *sums, long sum_stride) {
  const int pairs = (rows + 1) / 2;
  int32x4_t sum[4][4];
  UNROLL for (int p = 0; p < pairs; p++)
    UNROLL for (int c = 0; c < 4; c++) sum[p][c] = vdupq_n_s32(0);
  for (int k = 0; k < inputs; k += 8) {
    const int8_t *line = weights + 16 * k;
    int32x4_t first[2], second[2];
    UNROLL for (int i = 0; i < 2; i++) {
      first[i] = vreinterpretq_s32_s8(vld1q_s8(line + 16 * i));
      second[i] = vreinterpretq_s32_s8(vld1q_s8(line + 64 + 16 * i));
    }
    int8x16_t columns[4];
    UNROLL for (int i = 0; i < 2; i++) {
      columns[2 * i] = vreinterpretq_s8_s32(vzip1q_s32(first[i], second[i]));
      columns[2 * i + 1] = vreinterpretq_s8_s32(vzip2q_s32(first[i], second[i]));
    }
    UNROLL for (int p = 0; p < pairs; p++) {
      const int other = 2 * p + 1 < rows ? 2 * p + 1 : 2 * p;
      const int8x16_t two = vcombine_s8(vld1_s8(codes + 2 * p * code_stride + k),
                                        vld1_s8(codes + other * code_stride + k));
      UNROLL for (int c = 0; c < 4; c++) sum[p][c] = vmmlaq_s32(sum[p][c], two, columns[c]);
    }
  }
  UNROLL for (int p = 0; p < pairs; p++)
    UNROLL for (int i = 0; i < 2; i++) {
      const int32x4_t from = vld1q_s32(start + 4 * i);
      const int32x4_t even = vcombine_s32(vget_low_s32(sum[p][2 * i]), vget_low_s32(sum[p][2 * i + 1]));
      const int32x4_t odd = vcombine_s32(vget_high_s32(sum[p][2 * i]), vget_high_s32(sum[p][2 * i + 1]));
      vst1q_s32(sums + 2 * p * sum_stride + 4 * i, vaddq_s32(even, from));
      if (2 * p + 1 < rows)
        vst1q_s32(sums + (2 * p + 1) * sum_stride + 4 * i, vaddq_s32(odd, from));
    }
}
INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  (void)ahead;
  for (int half = 0; half < 2 * vectors; half++)
    dot_eight(rows, codes, code_stride, weights + half / 2 * panel + half % 2 * 32, inputs,
              start + 8 * half, sums + 8 * half, sum_stride);
}
