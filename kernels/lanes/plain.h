/* Sixteen lanes in an array, in C that any CPU can run: what the other kernels are held to. */

typedef struct { float at[16]; } vfloat;
typedef struct { int32_t at[16]; } vint;

#define LANES(type, expression) \
  ({ \
    type lanes; \
    for (int i = 0; i < 16; i++) lanes.at[i] = (expression); \
    lanes; \
  })

/* a * b + c, rounded once, on CPUs and C libraries that lack it.
 *
 * The product of two floats is exact in a double. Their sum with c is rounded to odd there, so that
 * rounding it again to a float gives what one rounding gives (Boldo and Melquiond, "Emulation of
 * FMA and correctly rounded sums", 2008). */
INLINE float fma_once(float a, float b, float c) {
  const double product = (double)a * b, third = c, sum = product + third;
  const double other = sum - product;
  const double error = (product - (sum - other)) + (third - other);
  uint64_t bits;
  memcpy(&bits, &sum, 8);
  if ((error > 0.0 || error < 0.0) && !(bits & 1)) bits += (error > 0.0) == (sum > 0.0) ? 1 : -1;
  double odd;
  memcpy(&odd, &bits, 8);
  return (float)odd;
}
/* To the nearest whole number, ties to even; out of range as x86 has it. */
INLINE int32_t round_once(float a) {
  if (!(a >= -2147483648.0f && a < 2147483648.0f)) return INT32_MIN;
  const float whole = 12582912.0f; /* from here on floats have no fraction */
  return a > -4194304.0f && a < 4194304.0f ? (int32_t)((a + whole) - whole) : (int32_t)a;
}
INLINE int32_t truncate_once(float a) {
  return a >= -2147483648.0f && a < 2147483648.0f ? (int32_t)a : INT32_MIN;
}
INLINE int32_t clip(int32_t a, int32_t low, int32_t high) {
  return a < low ? low : a > high ? high : a;
}
INLINE int32_t wrapped(uint32_t a) { return (int32_t)a; }

INLINE vfloat f_load(const float *from) { return LANES(vfloat, from[i]); }
INLINE void f_store(float *to, vfloat a) { memcpy(to, a.at, sizeof a.at); }
INLINE vfloat f_all(float value) { return LANES(vfloat, value); }
INLINE vfloat f_add(vfloat a, vfloat b) { return LANES(vfloat, a.at[i] + b.at[i]); }
INLINE vfloat f_sub(vfloat a, vfloat b) { return LANES(vfloat, a.at[i] - b.at[i]); }
INLINE vfloat f_mul(vfloat a, vfloat b) { return LANES(vfloat, a.at[i] * b.at[i]); }
INLINE vfloat f_fma(vfloat a, vfloat b, vfloat c) {
  return LANES(vfloat, fma_once(a.at[i], b.at[i], c.at[i]));
}
INLINE vfloat f_min(vfloat a, vfloat b) {
  return LANES(vfloat, a.at[i] < b.at[i] ? a.at[i] : b.at[i]);
}
INLINE vfloat f_max(vfloat a, vfloat b) {
  return LANES(vfloat, a.at[i] > b.at[i] ? a.at[i] : b.at[i]);
}
INLINE vfloat f_of_bits(vint a) {
  vfloat b;
  memcpy(&b, &a, sizeof b);
  return b;
}
INLINE vint i_bits(vfloat a) {
  vint b;
  memcpy(&b, &a, sizeof b);
  return b;
}
INLINE vfloat f_of_int(vint a) { return LANES(vfloat, (float)a.at[i]); }
INLINE vfloat f_pick(vfloat table, vint places) { return LANES(vfloat, table.at[places.at[i] & 15]); }

INLINE vint i_load(const int32_t *from) { return LANES(vint, from[i]); }
INLINE void i_store(int32_t *to, vint a) { memcpy(to, a.at, sizeof a.at); }
INLINE vint i_all(int32_t value) { return LANES(vint, value); }
INLINE vint i_add(vint a, vint b) {
  return LANES(vint, wrapped((uint32_t)a.at[i] + (uint32_t)b.at[i]));
}
INLINE vint i_sub(vint a, vint b) {
  return LANES(vint, wrapped((uint32_t)a.at[i] - (uint32_t)b.at[i]));
}
INLINE vint i_mul(vint a, vint b) {
  return LANES(vint, wrapped((uint32_t)a.at[i] * (uint32_t)b.at[i]));
}
INLINE vint i_max(vint a, vint b) { return LANES(vint, a.at[i] > b.at[i] ? a.at[i] : b.at[i]); }
INLINE vint i_select(vint mask, vint a, vint b) {
  return LANES(vint, (mask.at[i] & a.at[i]) | (~mask.at[i] & b.at[i]));
}
/* The low 16 bits of each, as one int32. */
INLINE vint i_pair(vint low, vint high) {
  return LANES(vint, wrapped(((uint32_t)low.at[i] & 65535) | (uint32_t)high.at[i] << 16));
}
INLINE vint i_shift_left_23(vint a) { return LANES(vint, wrapped((uint32_t)a.at[i] << 23)); }
INLINE vint i_round(vfloat a) { return LANES(vint, round_once(a.at[i])); }
INLINE vint i_truncate(vfloat a) { return LANES(vint, truncate_once(a.at[i])); }
INLINE vfloat f_abs(vfloat a) {
  const vint bits = i_bits(a);
  return f_of_bits(LANES(vint, bits.at[i] & 0x7fffffff));
}

INLINE float f_sum(vfloat a) {
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; i++) a.at[i] += a.at[i + half];
  return a.at[0];
}
INLINE float f_largest(vfloat a) {
  for (int i = 1; i < 16; i++) a.at[0] = a.at[0] > a.at[i] ? a.at[0] : a.at[i];
  return a.at[0];
}
INLINE int32_t i_sum(vint a) {
  for (int i = 1; i < 16; i++) a.at[0] = wrapped((uint32_t)a.at[0] + (uint32_t)a.at[i]);
  return a.at[0];
}
INLINE int32_t i_largest(vint a) {
  for (int i = 1; i < 16; i++) a.at[0] = a.at[0] > a.at[i] ? a.at[0] : a.at[i];
  return a.at[0];
}

INLINE vint load_s8(const int8_t *from) { return LANES(vint, from[i]); }
INLINE void store_s8(int8_t *to, vint a) {
  for (int i = 0; i < 16; i++) to[i] = (int8_t)clip(a.at[i], -128, 127);
}
INLINE void store_s16(int16_t *to, vint a) {
  for (int i = 0; i < 16; i++) to[i] = (int16_t)clip(a.at[i], -32768, 32767);
}

/* Thirty-two lanes of int16. */
typedef struct { int16_t at[32]; } vshort;
#define SHORTS(expression) \
  ({ \
    vshort lanes; \
    for (int i = 0; i < 32; i++) lanes.at[i] = (int16_t)(expression); \
    lanes; \
  })
INLINE vshort s_load(const int16_t *from) { return SHORTS(from[i]); }
INLINE vshort s_all(int16_t value) { return SHORTS(value); }
INLINE vshort s_max(vshort a, vshort b) { return SHORTS(a.at[i] > b.at[i] ? a.at[i] : b.at[i]); }
INLINE vshort s_add(vshort a, vshort b) { return SHORTS(clip(a.at[i] + b.at[i], -32768, 32767)); }
INLINE vshort s_scale(vshort a, vshort b) {
  return SHORTS((a.at[i] * b.at[i] + 16384) >> 15);
}
INLINE int32_t s_largest(vshort a) {
  int32_t largest = a.at[0];
  for (int i = 1; i < 32; i++) largest = largest > a.at[i] ? largest : a.at[i];
  return largest;
}
