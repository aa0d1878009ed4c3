/* NEON without dot products: two products of int8 to an int16, which they fit: 2 * 128 * 127. */
#define KERNEL_NAME "neon"
enum { TILE_ROWS = 2 };
#include "neon_mix.h"

INLINE int8x16_t spread_four(const code_t *codes) {
  int32_t four;
  memcpy(&four, codes, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  (void)ahead;
  for (int v = 0; v < vectors; v++) {
    int32x4_t sum[2][4][2];
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int p = 0; p < 4; p++) sum[r][p][0] = sum[r][p][1] = vdupq_n_s32(0);
    for (int k = 0; k < inputs; k += 8) {
      const int8_t *line = weights + v * panel + 16 * k;
      UNROLL for (int p = 0; p < 4; p++) {
        const int8x16_t a = vld1q_s8(line + 16 * p), b = vld1q_s8(line + 64 + 16 * p);
        UNROLL for (int r = 0; r < rows; r++) {
          const int8x16_t x = spread_four(codes + r * code_stride + k);
          const int8x16_t y = spread_four(codes + r * code_stride + k + 4);
          const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(x)),
                                         vget_low_s8(b), vget_low_s8(y));
          const int16x8_t high = vmlal_high_s8(vmull_high_s8(a, x), b, y);
          sum[r][p][0] = vpadalq_s16(sum[r][p][0], low);
          sum[r][p][1] = vpadalq_s16(sum[r][p][1], high);
        }
      }
    }
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int p = 0; p < 4; p++) {
        const int at = 16 * v + 4 * p;
        vst1q_s32(sums + r * sum_stride + at,
                  vaddq_s32(vld1q_s32(start + at), vpaddq_s32(sum[r][p][0], sum[r][p][1])));
      }
  }
}
