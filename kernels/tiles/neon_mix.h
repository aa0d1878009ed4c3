/* What all NEON kernels share: codes kept as int8, and the product of int16 with int16. */
typedef int8_t code_t;
enum { CODE_OFFSET = 0 };

INLINE void store_codes(code_t *to, vint codes) { store_s8(to, codes); }
INLINE void store_unsigned_codes(code_t *to, vshort codes) {
  const uint8x16_t middle = vdupq_n_u8(128);
  UNROLL for (int half = 0; half < 2; half++) {
    const uint8x16_t bytes = vcombine_u8(vqmovun_s16(codes.part[2 * half]),
                                         vqmovun_s16(codes.part[2 * half + 1]));
    vst1q_s8(to + 16 * half, vreinterpretq_s8_u8(veorq_u8(bytes, middle)));
  }
}

INLINE void mix_tile(const int rows, const int vectors, const int16_t *shares, long share_stride,
                     const int16_t *values, long panel, int inputs, int32_t *sums,
                     long sum_stride) {
  for (int v = 0; v < vectors; v++) {
    vint sum[TILE_ROWS];
    UNROLL for (int r = 0; r < rows; r++) sum[r] = i_all(0);
    for (int k = 0; k < inputs; k += 2) {
      const int16x8x2_t low = vld2q_s16(values + v * panel + 16 * k);
      const int16x8x2_t high = vld2q_s16(values + v * panel + 16 * k + 16);
      UNROLL for (int r = 0; r < rows; r++) {
        const int16_t *two = shares + r * share_stride + k;
        int32x4_t *s = sum[r].part;
        UNROLL for (int i = 0; i < 2; i++) {
          s[0] = vmlal_n_s16(s[0], vget_low_s16(low.val[i]), two[i]);
          s[1] = vmlal_n_s16(s[1], vget_high_s16(low.val[i]), two[i]);
          s[2] = vmlal_n_s16(s[2], vget_low_s16(high.val[i]), two[i]);
          s[3] = vmlal_n_s16(s[3], vget_high_s16(high.val[i]), two[i]);
        }
      }
    }
    UNROLL for (int r = 0; r < rows; r++) i_store(sums + r * sum_stride + 16 * v, sum[r]);
  }
}
