/* Codes are kept as uint8, 128 more than they are: vpdpbusd wants one side without a sign. */
#define KERNEL_NAME "avx512vnni"
typedef uint8_t code_t;
enum { CODE_OFFSET = 128, TILE_ROWS = 8 };

INLINE void store_codes(code_t *to, vint codes) {
  _mm_storeu_si128((__m128i *)to, _mm512_cvtusepi32_epi8(_mm512_add_epi32(codes, i_all(128))));
}
INLINE void store_unsigned_codes(code_t *to, vshort codes) {
  _mm256_storeu_si256((__m256i *)to,
                      _mm512_cvtusepi16_epi8(_mm512_max_epi16(codes, _mm512_setzero_si512())));
}

/* Not the intrinsics: gcc 12 copies their accumulators about and spills them. */
INLINE void add_products_8(vint *sum, vint codes, vint weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(codes), "v"(weights));
}
INLINE void add_products_16(vint *sum, vint codes, vint weights) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(*sum) : "v"(codes), "v"(weights));
}

/* Rows times lines, four bytes at a time: four codes of 8 bits, or two of 16, as `add` takes them.
 * Strides and `bytes` are in bytes; start is NULL for 0. */
INLINE void tile_of_fours(const int rows, const int vectors, const void *codes, long code_stride,
                          const void *lines, long panel, int bytes, const int32_t *start,
                          int32_t *sums, long sum_stride, long ahead,
                          void (*add)(vint *sum, vint codes, vint line)) {
  vint sum[8][3];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = start ? i_load(start + 16 * v) : i_all(0);
  for (int k = 0; k < bytes; k += 4) {
    const char *at = (const char *)lines + 16 * k;
    vint line[3];
    UNROLL for (int v = 0; v < vectors; v++) line[v] = _mm512_loadu_si512(at + v * panel);
    if (ahead)
      UNROLL for (int v = 0; v < vectors; v++) fetch(at + ahead + v * panel);
    UNROLL for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, (const char *)codes + r * code_stride + k, 4);
      const vint spread = i_all(four);
      UNROLL for (int v = 0; v < vectors; v++) add(&sum[r][v], spread, line[v]);
    }
  }
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int v = 0; v < vectors; v++) i_store(sums + r * sum_stride + 16 * v, sum[r][v]);
}
INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  tile_of_fours(rows, vectors, codes, code_stride, weights, panel, inputs, start, sums, sum_stride,
                ahead, add_products_8);
}
INLINE void mix_tile(const int rows, const int vectors, const int16_t *shares, long share_stride,
                     const int16_t *values, long panel, int inputs, int32_t *sums,
                     long sum_stride) {
  tile_of_fours(rows, vectors, shares, 2 * share_stride, values, 2 * panel, 2 * inputs, NULL, sums,
                sum_stride, 0, add_products_16);
}
