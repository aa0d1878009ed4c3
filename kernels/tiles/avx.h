/* Tiles on AVX2's registers, two to a line; see avx512vnni.h for what a tile of fours is. */

INLINE void tile_of_fours(const int rows, const int vectors, const void *codes, long code_stride,
                          const void *lines, long panel, int bytes, const int32_t *start,
                          int32_t *sums, long sum_stride, long ahead,
                          void (*add)(__m256i *sum, __m256i codes, __m256i line)) {
  for (int v = 0; v < vectors; v++) {
    vint sum[6];
    UNROLL for (int r = 0; r < rows; r++) sum[r] = start ? i_load(start + 16 * v) : i_all(0);
    for (int k = 0; k < bytes; k += 4) {
      const char *at = (const char *)lines + v * panel + 16 * k;
      if (ahead) fetch(at + ahead);
      const __m256i left = _mm256_loadu_si256((const __m256i *)at);
      const __m256i right = _mm256_loadu_si256((const __m256i *)at + 1);
      UNROLL for (int r = 0; r < rows; r++) {
        int32_t four;
        memcpy(&four, (const char *)codes + r * code_stride + k, 4);
        const __m256i spread = _mm256_set1_epi32(four);
        add(&sum[r].low, spread, left);
        add(&sum[r].high, spread, right);
      }
    }
    UNROLL for (int r = 0; r < rows; r++) i_store(sums + r * sum_stride + 16 * v, sum[r]);
  }
}
/* By the kernel's own add_products_16. */
INLINE void mix_tile(const int rows, const int vectors, const int16_t *shares, long share_stride,
                     const int16_t *values, long panel, int inputs, int32_t *sums,
                     long sum_stride) {
  tile_of_fours(rows, vectors, shares, 2 * share_stride, values, 2 * panel, 2 * inputs, NULL, sums,
                sum_stride, 0, add_products_16);
}
