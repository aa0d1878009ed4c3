/* Codes are kept as int16, since vpmaddwd sums pairs exactly where vpmaddubsw would saturate. */
#define KERNEL_NAME "avx2"
typedef int16_t code_t;
enum { CODE_OFFSET = 0, TILE_ROWS = 6 };

INLINE void store_codes(code_t *to, vint codes) {
  const __m256i a = to_s16(codes);
  const __m256i low = _mm256_set1_epi16(-128), high = _mm256_set1_epi16(127);
  _mm256_storeu_si256((__m256i *)to, _mm256_min_epi16(_mm256_max_epi16(a, low), high));
}
INLINE __m256i unsigned_to_code(__m256i a) {
  const __m256i most = _mm256_set1_epi16(255), middle = _mm256_set1_epi16(128);
  return _mm256_sub_epi16(_mm256_min_epi16(_mm256_max_epi16(a, _mm256_setzero_si256()), most),
                          middle);
}
INLINE void store_unsigned_codes(code_t *to, vshort codes) {
  _mm256_storeu_si256((__m256i *)to, unsigned_to_code(codes.low));
  _mm256_storeu_si256((__m256i *)(to + 16), unsigned_to_code(codes.high));
}

/* The addition as an instruction: gcc 12 copies the intrinsic's accumulators about. */
INLINE void add_products_16(__m256i *sum, __m256i a, __m256i b) {
  const __m256i products = _mm256_madd_epi16(a, b);
  __asm__("vpaddd %1, %0, %0" : "+x"(*sum) : "x"(products));
}

/* Eight columns: their pairs of inputs lie in two registers, added together at the end. */
INLINE void dot_eight(const int rows, const code_t *codes, long code_stride, const int8_t *weights,
                      int inputs, const int32_t *start, int32_t *sums, long sum_stride,
                      long ahead) {
  __m256i sum[6][2];
  UNROLL for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
  for (int k = 0; k < inputs; k += 4) {
    if (ahead) fetch(weights + ahead + 16 * k);
    const __m128i *line = (const __m128i *)(weights + 16 * k);
    const __m256i left = _mm256_cvtepi8_epi16(_mm_loadu_si128(line));
    const __m256i right = _mm256_cvtepi8_epi16(_mm_loadu_si128(line + 1));
    UNROLL for (int r = 0; r < rows; r++) {
      int64_t four;
      memcpy(&four, codes + r * code_stride + k, 8);
      const __m256i spread = _mm256_set1_epi64x(four);
      add_products_16(&sum[r][0], spread, left);
      add_products_16(&sum[r][1], spread, right);
    }
  }
  const __m256i first = _mm256_loadu_si256((const __m256i *)start);
  UNROLL for (int r = 0; r < rows; r++) {
    const __m256i pairs = _mm256_hadd_epi32(sum[r][0], sum[r][1]);
    _mm256_storeu_si256((__m256i *)(sums + r * sum_stride),
                        _mm256_add_epi32(_mm256_permute4x64_epi64(pairs, 0xd8), first));
  }
}
INLINE void dot_tile(const int rows, const int vectors, const code_t *codes, long code_stride,
                     const int8_t *weights, long panel, int inputs, const int32_t *start,
                     int32_t *sums, long sum_stride, long ahead) {
  for (int half = 0; half < 2 * vectors; half++)
    dot_eight(rows, codes, code_stride, weights + half / 2 * panel + half % 2 * 32, inputs,
              start + 8 * half, sums + 8 * half, sum_stride, half % 2 ? 0 : ahead);
}

#include "avx.h"
