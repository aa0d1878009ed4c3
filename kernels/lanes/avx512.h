/* Sixteen lanes in one AVX-512 register. */
#include <immintrin.h>

typedef __m512 vfloat;
typedef __m512i vint;

INLINE vfloat f_load(const float *from) { return _mm512_loadu_ps(from); }
INLINE void f_store(float *to, vfloat a) { _mm512_storeu_ps(to, a); }
INLINE vfloat f_all(float value) { return _mm512_set1_ps(value); }
INLINE vfloat f_add(vfloat a, vfloat b) { return _mm512_add_ps(a, b); }
INLINE vfloat f_sub(vfloat a, vfloat b) { return _mm512_sub_ps(a, b); }
INLINE vfloat f_mul(vfloat a, vfloat b) { return _mm512_mul_ps(a, b); }
INLINE vfloat f_fma(vfloat a, vfloat b, vfloat c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vfloat f_min(vfloat a, vfloat b) { return _mm512_min_ps(a, b); }
INLINE vfloat f_max(vfloat a, vfloat b) { return _mm512_max_ps(a, b); }
INLINE vfloat f_abs(vfloat a) { return _mm512_abs_ps(a); }
INLINE vfloat f_of_bits(vint a) { return _mm512_castsi512_ps(a); }
INLINE vfloat f_of_int(vint a) { return _mm512_cvtepi32_ps(a); }
INLINE vfloat f_pick(vfloat table, vint places) { return _mm512_permutexvar_ps(places, table); }

INLINE vint i_load(const int32_t *from) { return _mm512_loadu_si512(from); }
INLINE void i_store(int32_t *to, vint a) { _mm512_storeu_si512(to, a); }
INLINE vint i_all(int32_t value) { return _mm512_set1_epi32(value); }
INLINE vint i_add(vint a, vint b) { return _mm512_add_epi32(a, b); }
INLINE vint i_sub(vint a, vint b) { return _mm512_sub_epi32(a, b); }
INLINE vint i_mul(vint a, vint b) { return _mm512_mullo_epi32(a, b); }
INLINE vint i_max(vint a, vint b) { return _mm512_max_epi32(a, b); }
INLINE vint i_select(vint mask, vint a, vint b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }
/* The low 16 bits of each, as one int32. */
INLINE vint i_pair(vint low, vint high) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_slli_epi32(high, 16));
}
INLINE vint i_bits(vfloat a) { return _mm512_castps_si512(a); }
INLINE vint i_shift_left_23(vint a) { return _mm512_slli_epi32(a, 23); }
INLINE vint i_round(vfloat a) { return _mm512_cvtps_epi32(a); }
INLINE vint i_truncate(vfloat a) { return _mm512_cvttps_epi32(a); }

INLINE float f_sum(vfloat a) {
  const __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
INLINE float f_largest(vfloat a) { return _mm512_reduce_max_ps(a); }
INLINE int32_t i_sum(vint a) { return _mm512_reduce_add_epi32(a); }
INLINE int32_t i_largest(vint a) { return _mm512_reduce_max_epi32(a); }

INLINE vint load_s8(const int8_t *from) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from));
}
INLINE void store_s8(int8_t *to, vint a) {
  _mm_storeu_si128((__m128i *)to, _mm512_cvtsepi32_epi8(a));
}
INLINE void store_s16(int16_t *to, vint a) {
  _mm256_storeu_si256((__m256i *)to, _mm512_cvtsepi32_epi16(a));
}

/* Thirty-two lanes of int16. */
typedef __m512i vshort;
INLINE vshort s_load(const int16_t *from) { return _mm512_loadu_si512(from); }
INLINE vshort s_all(int16_t value) { return _mm512_set1_epi16(value); }
INLINE vshort s_max(vshort a, vshort b) { return _mm512_max_epi16(a, b); }
INLINE vshort s_add(vshort a, vshort b) { return _mm512_adds_epi16(a, b); }
INLINE vshort s_scale(vshort a, vshort b) { return _mm512_mulhrs_epi16(a, b); }
INLINE int32_t s_largest(vshort a) {
  const __m512i low = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(a));
  const __m512i high = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(a, 1));
  return i_largest(_mm512_max_epi32(low, high));
}
