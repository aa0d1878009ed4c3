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

/* Up to four rows: the shares of more, eight a register, would not fit beside the sums. */
INLINE void mix_four(const int rows, const int16_t *shares, long share_stride,
                     const int16_t *values, int inputs, int32_t *sums, long sum_stride) {
  vint sum[4];
  UNROLL for (int r = 0; r < rows; r++) sum[r] = i_all(0);
  for (long k = 0; k < inputs; k += 8) {
    int16x8_t eight[4];
    UNROLL for (int r = 0; r < rows; r++) eight[r] = vld1q_s16(shares + r * share_stride + k);
#define TWO(lane) \
  UNROLL for (int half = 0; half < 2; half++) { \
    const int16x8x2_t two = vld2q_s16(values + 16 * (k + (lane)) + 16 * half); \
    UNROLL for (int r = 0; r < rows; r++) { \
      int32x4_t *s = sum[r].part + 2 * half; \
      s[0] = vmlal_laneq_s16(s[0], vget_low_s16(two.val[0]), eight[r], lane); \
      s[1] = vmlal_high_laneq_s16(s[1], two.val[0], eight[r], lane); \
      s[0] = vmlal_laneq_s16(s[0], vget_low_s16(two.val[1]), eight[r], (lane) + 1); \
      s[1] = vmlal_high_laneq_s16(s[1], two.val[1], eight[r], (lane) + 1); \
    } \
  }
    TWO(0) TWO(2) TWO(4) TWO(6)
#undef TWO
  }
  UNROLL for (int r = 0; r < rows; r++) i_store(sums + r * sum_stride, sum[r]);
}
INLINE void mix_tile(const int rows, const int vectors, const int16_t *shares, long share_stride,
                     const int16_t *values, long panel, int inputs, int32_t *sums,
                     long sum_stride) {
  for (int v = 0; v < vectors; v++, values += panel, sums += 16) {
    mix_four(rows < 4 ? rows : 4, shares, share_stride, values, inputs, sums, sum_stride);
    if (rows > 4)
      mix_four(rows - 4, shares + 4 * share_stride, share_stride, values, inputs,
               sums + 4 * sum_stride, sum_stride);
  }
}
