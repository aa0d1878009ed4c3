/* Codes are kept as int8; the sums as the formula has them. */
#define KERNEL_NAME "plain"
typedef int8_t code_t;
enum { CODE_OFFSET = 0, TILE_ROWS = 4 };

INLINE void store_codes(code_t *to, vint codes) { store_s8(to, codes); }
INLINE void store_unsigned_codes(code_t *to, vshort codes) {
  for (int i = 0; i < 32; i++) to[i] = (code_t)(clip(codes.at[i], 0, 255) - 128);
}
INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  (void)ahead;
  for (int r = 0; r < rows; r++)
    for (int column = 0; column < 16 * vectors; column++) {
      const int8_t *weight = weights + column / 16 * panel + column % 16 * 4;
      int32_t sum = start[column];
      for (int k = 0; k < inputs; k++)
        sum += codes[r * code_stride + k] * weight[k / 4 * 64 + k % 4];
      sums[r * sum_stride + column] = sum;
    }
}
INLINE void mix_tile(const int rows, const int vectors, const int16_t *shares, long share_stride,
                     const int16_t *values, long panel, int inputs, int32_t *sums,
                     long sum_stride) {
  for (int r = 0; r < rows; r++)
    for (int column = 0; column < 16 * vectors; column++) {
      const int16_t *value = values + column / 16 * panel + column % 16 * 2;
      uint32_t sum = 0; /* wraps as on every CPU, should scores be beyond what is defined */
      for (int k = 0; k < inputs; k++)
        sum += (uint32_t)(shares[r * share_stride + k] * value[k / 2 * 32 + k % 2]);
      sums[r * sum_stride + column] = wrapped(sum);
    }
}
