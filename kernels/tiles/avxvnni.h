/* vpdpbusd on AVX2's registers, two to a line of weights; see avx512vnni.h. */
#define KERNEL_NAME "avxvnni"
typedef uint8_t code_t;
enum { CODE_OFFSET = 128, TILE_ROWS = 6 };

INLINE __m128i bytes_of(__m256i shorts) {
  return _mm_packus_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1));
}
INLINE void store_codes(code_t *to, vint codes) {
  const __m256i moved = _mm256_adds_epi16(to_s16(codes), _mm256_set1_epi16(128));
  _mm_storeu_si128((__m128i *)to, bytes_of(moved));
}
INLINE void store_unsigned_codes(code_t *to, vshort codes) {
  _mm_storeu_si128((__m128i *)to, bytes_of(codes.low));
  _mm_storeu_si128((__m128i *)(to + 16), bytes_of(codes.high));
}

/* CPUs with AVX-512 know these under another encoding, by which the tests can run this file. */
#ifdef AVXVNNI_AS_EVEX
#define VNNI "%{evex%} "
#else
#define VNNI "%{vex%} "
#endif
INLINE void add_products_8(__m256i *sum, __m256i codes, __m256i weights) {
  __asm__(VNNI "vpdpbusd %2, %1, %0" : "+x"(*sum) : "x"(codes), "x"(weights));
}
INLINE void add_products_16(__m256i *sum, __m256i codes, __m256i weights) {
  __asm__(VNNI "vpdpwssd %2, %1, %0" : "+x"(*sum) : "x"(codes), "x"(weights));
}

#include "avx.h"

INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  tile_of_fours(rows, vectors, codes, code_stride, weights, panel, inputs, start, sums, sum_stride,
                ahead, add_products_8);
}
