/* Sixteen lanes in two AVX2 registers. */
#include <immintrin.h>

typedef struct { __m256 low, high; } vfloat;
typedef struct { __m256i low, high; } vint;

INLINE vfloat f_load(const float *from) {
  return (vfloat){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
INLINE void f_store(float *to, vfloat a) {
  _mm256_storeu_ps(to, a.low);
  _mm256_storeu_ps(to + 8, a.high);
}
INLINE vfloat f_all(float value) { return (vfloat){_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
#define FLOATS(name, operation) \
  INLINE vfloat name(vfloat a, vfloat b) { \
    return (vfloat){operation(a.low, b.low), operation(a.high, b.high)}; \
  }
FLOATS(f_add, _mm256_add_ps)
FLOATS(f_sub, _mm256_sub_ps)
FLOATS(f_mul, _mm256_mul_ps)
FLOATS(f_min, _mm256_min_ps)
FLOATS(f_max, _mm256_max_ps)
INLINE vfloat f_fma(vfloat a, vfloat b, vfloat c) {
  return (vfloat){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
INLINE vfloat f_abs(vfloat a) {
  const __m256 rest = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  return (vfloat){_mm256_and_ps(a.low, rest), _mm256_and_ps(a.high, rest)};
}
INLINE vfloat f_of_bits(vint a) {
  return (vfloat){_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)};
}
INLINE vfloat f_of_int(vint a) {
  return (vfloat){_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)};
}
/* vpermps sees three bits of a place; the fourth, moved to the sign, chooses the half. */
INLINE __m256 pick_half(vfloat table, __m256i places) {
  return _mm256_blendv_ps(_mm256_permutevar8x32_ps(table.low, places),
                          _mm256_permutevar8x32_ps(table.high, places),
                          _mm256_castsi256_ps(_mm256_slli_epi32(places, 28)));
}
INLINE vfloat f_pick(vfloat table, vint places) {
  return (vfloat){pick_half(table, places.low), pick_half(table, places.high)};
}

INLINE vint i_load(const int32_t *from) {
  return (vint){_mm256_loadu_si256((const __m256i *)from),
                _mm256_loadu_si256((const __m256i *)(from + 8))};
}
INLINE void i_store(int32_t *to, vint a) {
  _mm256_storeu_si256((__m256i *)to, a.low);
  _mm256_storeu_si256((__m256i *)(to + 8), a.high);
}
INLINE vint i_all(int32_t value) {
  return (vint){_mm256_set1_epi32(value), _mm256_set1_epi32(value)};
}
#define INTS(name, operation) \
  INLINE vint name(vint a, vint b) { \
    return (vint){operation(a.low, b.low), operation(a.high, b.high)}; \
  }
INTS(i_add, _mm256_add_epi32)
INTS(i_sub, _mm256_sub_epi32)
INTS(i_mul, _mm256_mullo_epi32)
INTS(i_max, _mm256_max_epi32)
INLINE vint i_select(vint mask, vint a, vint b) {
  return (vint){_mm256_blendv_epi8(b.low, a.low, mask.low),
                _mm256_blendv_epi8(b.high, a.high, mask.high)};
}
/* The low 16 bits of each, as one int32. */
INLINE vint i_pair(vint low, vint high) {
  return (vint){_mm256_blend_epi16(low.low, _mm256_slli_epi32(high.low, 16), 0xaa),
                _mm256_blend_epi16(low.high, _mm256_slli_epi32(high.high, 16), 0xaa)};
}
INLINE vint i_bits(vfloat a) {
  return (vint){_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)};
}
INLINE vint i_shift_left_23(vint a) {
  return (vint){_mm256_slli_epi32(a.low, 23), _mm256_slli_epi32(a.high, 23)};
}
INLINE vint i_round(vfloat a) {
  return (vint){_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)};
}
INLINE vint i_truncate(vfloat a) {
  return (vint){_mm256_cvttps_epi32(a.low), _mm256_cvttps_epi32(a.high)};
}

INLINE float f_sum(vfloat a) {
  const __m256 b = _mm256_add_ps(a.low, a.high);
  __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
INLINE float f_largest(vfloat a) {
  const __m256 b = _mm256_max_ps(a.low, a.high);
  __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_max_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
INLINE int32_t i_sum(vint a) {
  const __m256i b = _mm256_add_epi32(a.low, a.high);
  __m128i c = _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  c = _mm_add_epi32(c, _mm_shuffle_epi32(c, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(c, _mm_shuffle_epi32(c, 0xb1)));
}
INLINE int32_t i_largest(vint a) {
  const __m256i b = _mm256_max_epi32(a.low, a.high);
  __m128i c = _mm_max_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  c = _mm_max_epi32(c, _mm_shuffle_epi32(c, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(c, _mm_shuffle_epi32(c, 0xb1)));
}

INLINE __m256i to_s16(vint a) { /* vpackssdw takes turns between the halves */
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(a.low, a.high), 0xd8);
}
INLINE vint load_s8(const int8_t *from) {
  return (vint){_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)from)),
                _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(from + 8)))};
}
INLINE void store_s8(int8_t *to, vint a) {
  const __m256i b = to_s16(a);
  _mm_storeu_si128((__m128i *)to,
                   _mm_packs_epi16(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1)));
}
INLINE void store_s16(int16_t *to, vint a) { _mm256_storeu_si256((__m256i *)to, to_s16(a)); }

/* Thirty-two lanes of int16. */
typedef vint vshort;
INLINE vshort s_load(const int16_t *from) {
  return (vshort){_mm256_loadu_si256((const __m256i *)from),
                  _mm256_loadu_si256((const __m256i *)(from + 16))};
}
INLINE vshort s_all(int16_t value) {
  return (vshort){_mm256_set1_epi16(value), _mm256_set1_epi16(value)};
}
INTS(s_max, _mm256_max_epi16)
INTS(s_add, _mm256_adds_epi16)
INTS(s_scale, _mm256_mulhrs_epi16)
INLINE int32_t s_largest(vshort a) {
  const __m256i b = _mm256_max_epi16(a.low, a.high);
  return i_largest((vint){_mm256_cvtepi16_epi32(_mm256_castsi256_si128(b)),
                          _mm256_cvtepi16_epi32(_mm256_extracti128_si256(b, 1))});
}
#undef FLOATS
#undef INTS
