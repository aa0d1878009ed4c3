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

INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  vint sum[8][3];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = i_load(start + 16 * v);
  for (int k = 0; k < inputs; k += 4) {
    if (ahead)
      UNROLL for (int v = 0; v < vectors; v++) fetch(weights + ahead + v * panel + 16 * k);
    vint line[3];
    UNROLL for (int v = 0; v < vectors; v++)
      line[v] = _mm512_loadu_si512(weights + v * panel + 16 * k);
    UNROLL for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, codes + r * code_stride + k, 4);
      const vint spread = i_all(four);
      UNROLL for (int v = 0; v < vectors; v++) add_products_8(&sum[r][v], spread, line[v]);
    }
  }
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int v = 0; v < vectors; v++) i_store(sums + r * sum_stride + 16 * v, sum[r][v]);
}

INLINE void mix_tile(const int rows, const int vectors, const int16_t *shares, long share_stride,
                     const int16_t *values, long panel, int inputs, int32_t *sums,
                     long sum_stride) {
  vint sum[8][3];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = i_all(0);
  for (int k = 0; k < inputs; k += 2) {
    vint line[3];
    UNROLL for (int v = 0; v < vectors; v++)
      line[v] = _mm512_loadu_si512(values + v * panel + 16 * k);
    UNROLL for (int r = 0; r < rows; r++) {
      int32_t two;
      memcpy(&two, shares + r * share_stride + k, 4);
      const vint spread = i_all(two);
      UNROLL for (int v = 0; v < vectors; v++) add_products_16(&sum[r][v], spread, line[v]);
    }
  }
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int v = 0; v < vectors; v++) i_store(sums + r * sum_stride + 16 * v, sum[r][v]);
}
