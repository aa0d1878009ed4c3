/* The product of int16 with int16 on AVX2's registers, by the kernel's own add_products_16. */

INLINE void mix_tile(const int rows, const int vectors, const int16_t *shares, long share_stride,
                     const int16_t *values, long panel, int inputs, int32_t *sums,
                     long sum_stride) {
  for (int v = 0; v < vectors; v++) {
    vint sum[6];
    UNROLL for (int r = 0; r < rows; r++) sum[r] = i_all(0);
    for (int k = 0; k < inputs; k += 2) {
      const __m256i *line = (const __m256i *)(values + v * panel + 16 * k);
      const __m256i left = _mm256_loadu_si256(line), right = _mm256_loadu_si256(line + 1);
      UNROLL for (int r = 0; r < rows; r++) {
        int32_t two;
        memcpy(&two, shares + r * share_stride + k, 4);
        const __m256i spread = _mm256_set1_epi32(two);
        add_products_16(&sum[r].low, spread, left);
        add_products_16(&sum[r].high, spread, right);
      }
    }
    UNROLL for (int r = 0; r < rows; r++) i_store(sums + r * sum_stride + 16 * v, sum[r]);
  }
}
