/* Sixteen lanes in four NEON registers. */
#include <arm_neon.h>

typedef struct { float32x4_t part[4]; } vfloat;
typedef struct { int32x4_t part[4]; } vint;

#define PARTS(type, expression) \
  ({ \
    type parts; \
    UNROLL for (int p = 0; p < 4; p++) parts.part[p] = (expression); \
    parts; \
  })

INLINE vfloat f_load(const float *from) { return PARTS(vfloat, vld1q_f32(from + 4 * p)); }
INLINE void f_store(float *to, vfloat a) {
  UNROLL for (int p = 0; p < 4; p++) vst1q_f32(to + 4 * p, a.part[p]);
}
INLINE vfloat f_all(float value) { return PARTS(vfloat, vdupq_n_f32(value)); }
INLINE vfloat f_add(vfloat a, vfloat b) { return PARTS(vfloat, vaddq_f32(a.part[p], b.part[p])); }
INLINE vfloat f_sub(vfloat a, vfloat b) { return PARTS(vfloat, vsubq_f32(a.part[p], b.part[p])); }
INLINE vfloat f_mul(vfloat a, vfloat b) { return PARTS(vfloat, vmulq_f32(a.part[p], b.part[p])); }
INLINE vfloat f_fma(vfloat a, vfloat b, vfloat c) {
  return PARTS(vfloat, vfmaq_f32(c.part[p], a.part[p], b.part[p]));
}
/* Not vminq_f32 and vmaxq_f32, which give another answer than x86 where a lane is no number. */
INLINE vfloat f_min(vfloat a, vfloat b) {
  return PARTS(vfloat, vbslq_f32(vcltq_f32(a.part[p], b.part[p]), a.part[p], b.part[p]));
}
INLINE vfloat f_max(vfloat a, vfloat b) {
  return PARTS(vfloat, vbslq_f32(vcgtq_f32(a.part[p], b.part[p]), a.part[p], b.part[p]));
}
INLINE vfloat f_abs(vfloat a) { return PARTS(vfloat, vabsq_f32(a.part[p])); }
INLINE vfloat f_of_bits(vint a) { return PARTS(vfloat, vreinterpretq_f32_s32(a.part[p])); }
INLINE vfloat f_of_int(vint a) { return PARTS(vfloat, vcvtq_f32_s32(a.part[p])); }
INLINE vfloat f_pick(vfloat table, vint places) { /* the four bytes of each place */
  uint8x16x4_t bytes;
  UNROLL for (int p = 0; p < 4; p++) bytes.val[p] = vreinterpretq_u8_f32(table.part[p]);
  return PARTS(vfloat, vreinterpretq_f32_u8(vqtbl4q_u8(
                           bytes, vreinterpretq_u8_s32(vmlaq_n_s32(
                                      vdupq_n_s32(0x03020100), places.part[p], 0x04040404)))));
}

INLINE vint i_load(const int32_t *from) { return PARTS(vint, vld1q_s32(from + 4 * p)); }
INLINE void i_store(int32_t *to, vint a) {
  UNROLL for (int p = 0; p < 4; p++) vst1q_s32(to + 4 * p, a.part[p]);
}
INLINE vint i_all(int32_t value) { return PARTS(vint, vdupq_n_s32(value)); }
INLINE vint i_add(vint a, vint b) { return PARTS(vint, vaddq_s32(a.part[p], b.part[p])); }
INLINE vint i_sub(vint a, vint b) { return PARTS(vint, vsubq_s32(a.part[p], b.part[p])); }
INLINE vint i_mul(vint a, vint b) { return PARTS(vint, vmulq_s32(a.part[p], b.part[p])); }
INLINE vint i_max(vint a, vint b) { return PARTS(vint, vmaxq_s32(a.part[p], b.part[p])); }
INLINE vint i_select(vint mask, vint a, vint b) {
  return PARTS(vint, vbslq_s32(vreinterpretq_u32_s32(mask.part[p]), a.part[p], b.part[p]));
}
/* The low 16 bits of each, as one int32. */
INLINE vint i_pair(vint low, vint high) {
  return PARTS(vint, vsliq_n_s32(low.part[p], high.part[p], 16));
}
INLINE vint i_bits(vfloat a) { return PARTS(vint, vreinterpretq_s32_f32(a.part[p])); }
INLINE vint i_shift_left_23(vint a) { return PARTS(vint, vshlq_n_s32(a.part[p], 23)); }
INLINE vint i_round(vfloat a) { return PARTS(vint, vcvtnq_s32_f32(a.part[p])); }
INLINE vint i_truncate(vfloat a) { return PARTS(vint, vcvtq_s32_f32(a.part[p])); }

INLINE float f_sum(vfloat a) {
  const float32x4_t b = vaddq_f32(vaddq_f32(a.part[0], a.part[2]), vaddq_f32(a.part[1], a.part[3]));
  const float32x2_t c = vadd_f32(vget_low_f32(b), vget_high_f32(b));
  return vget_lane_f32(c, 0) + vget_lane_f32(c, 1);
}
INLINE float f_largest(vfloat a) {
  return vmaxvq_f32(
      vmaxq_f32(vmaxq_f32(a.part[0], a.part[1]), vmaxq_f32(a.part[2], a.part[3])));
}
INLINE int32_t i_sum(vint a) {
  return vaddvq_s32(
      vaddq_s32(vaddq_s32(a.part[0], a.part[1]), vaddq_s32(a.part[2], a.part[3])));
}
INLINE int32_t i_largest(vint a) {
  return vmaxvq_s32(
      vmaxq_s32(vmaxq_s32(a.part[0], a.part[1]), vmaxq_s32(a.part[2], a.part[3])));
}

INLINE int16x8_t to_s16(int32x4_t a, int32x4_t b) {
  return vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
}
INLINE vint load_s8(const int8_t *from) {
  const int8x16_t bytes = vld1q_s8(from);
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
  return (vint){{vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)),
                 vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))}};
}
INLINE void store_s8(int8_t *to, vint a) {
  vst1q_s8(to, vcombine_s8(vqmovn_s16(to_s16(a.part[0], a.part[1])),
                           vqmovn_s16(to_s16(a.part[2], a.part[3]))));
}
INLINE void store_s16(int16_t *to, vint a) {
  vst1q_s16(to, to_s16(a.part[0], a.part[1]));
  vst1q_s16(to + 8, to_s16(a.part[2], a.part[3]));
}

/* Thirty-two lanes of int16. */
typedef struct { int16x8_t part[4]; } vshort;
INLINE vshort s_load(const int16_t *from) { return PARTS(vshort, vld1q_s16(from + 8 * p)); }
INLINE vshort s_all(int16_t value) { return PARTS(vshort, vdupq_n_s16(value)); }
INLINE vshort s_max(vshort a, vshort b) { return PARTS(vshort, vmaxq_s16(a.part[p], b.part[p])); }
INLINE vshort s_add(vshort a, vshort b) { return PARTS(vshort, vqaddq_s16(a.part[p], b.part[p])); }
INLINE vshort s_scale(vshort a, vshort b) {
  return PARTS(vshort, vqrdmulhq_s16(a.part[p], b.part[p]));
}
INLINE int32_t s_largest(vshort a) {
  return vmaxvq_s16(
      vmaxq_s16(vmaxq_s16(a.part[0], a.part[1]), vmaxq_s16(a.part[2], a.part[3])));
}
