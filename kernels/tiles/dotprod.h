/* sdot: four products of int8 a lane. */
#define KERNEL_NAME "dotprod"
enum { TILE_ROWS = 6 };
#include "neon_mix.h"

INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  (void)ahead;
  for (int v = 0; v < vectors; v++) {
    vint sum[TILE_ROWS];
    UNROLL for (int r = 0; r < rows; r++) sum[r] = i_load(start + 16 * v);
    for (long k = 0; k < inputs; k += 16) {
      int8x16_t sixteen[TILE_ROWS];
      UNROLL for (int r = 0; r < rows; r++) sixteen[r] = vld1q_s8(codes + r * code_stride + k);
#define FOUR(lane) \
  { \
    const int8_t *line = weights + v * panel + 16 * (k + 4 * (lane)); \
    UNROLL for (int p = 0; p < 4; p++) { \
      const int8x16_t part = vld1q_s8(line + 16 * p); \
      UNROLL for (int r = 0; r < rows; r++) \
        sum[r].part[p] = vdotq_laneq_s32(sum[r].part[p], part, sixteen[r], lane); \
    } \
  }
      FOUR(0) FOUR(1) FOUR(2) FOUR(3)
#undef FOUR
    }
    UNROLL for (int r = 0; r < rows; r++) i_store(sums + r * sum_stride + 16 * v, sum[r]);
  }
}
