/* NEON without dot products: two products of int8 to an int16, which they fit: 2 * 128 * 127. */
#define KERNEL_NAME "neon"
enum { TILE_ROWS = 2 };
#include "neon_mix.h"

INLINE int8x16_t in_each_lane(int32x4_t four) {
  /* Seeing that both halves are the same, clang would not use the instructions for high halves. */
  __asm__ volatile("" : "+w"(four));
  return vreinterpretq_s8_s32(four);
}
INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  (void)ahead;
  for (int v = 0; v < vectors; v++) {
    int32x4_t sum[2][4][2];
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int p = 0; p < 4; p++) sum[r][p][0] = sum[r][p][1] = vdupq_n_s32(0);
    for (long k = 0; k < inputs; k += 16) {
      int32x4_t sixteen[2];
      UNROLL for (int r = 0; r < rows; r++)
        sixteen[r] = vreinterpretq_s32_s8(vld1q_s8(codes + r * code_stride + k));
#define EIGHT(lane) \
  { \
    const int8_t *line = weights + v * panel + 16 * (k + 4 * (lane)); \
    int8x16_t x[2], y[2]; \
    UNROLL for (int r = 0; r < rows; r++) { \
      x[r] = in_each_lane(vdupq_laneq_s32(sixteen[r], lane)); \
      y[r] = in_each_lane(vdupq_laneq_s32(sixteen[r], (lane) + 1)); \
    } \
    UNROLL for (int p = 0; p < 4; p++) { \
      /* Else clang loads ahead what it has no registers for. */ \
      if (p % 2 == 0) __asm__ volatile("" ::: "memory"); \
      const int8x16_t a = vld1q_s8(line + 16 * p), b = vld1q_s8(line + 64 + 16 * p); \
      UNROLL for (int r = 0; r < rows; r++) { \
        const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(x[r])), \
                                       vget_low_s8(b), vget_low_s8(y[r])); \
        const int16x8_t high = vmlal_high_s8(vmull_high_s8(a, x[r]), b, y[r]); \
        sum[r][p][0] = vpadalq_s16(sum[r][p][0], low); \
        sum[r][p][1] = vpadalq_s16(sum[r][p][1], high); \
      } \
    } \
  }
      EIGHT(0) EIGHT(2)
#undef EIGHT
    }
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int p = 0; p < 4; p++) {
        const int at = 16 * v + 4 * p;
        vst1q_s32(sums + r * sum_stride + at,
                  vaddq_s32(vld1q_s32(start + at), vpaddq_s32(sum[r][p][0], sum[r][p][1])));
      }
  }
}
