/* 2^x and GELU, of operations that every CPU rounds alike. */
#pragma once
#include "lanes.h"
#include "tables.h"

/* 2^x within 1.1e-4 of it, for x at most 16; what is below -40 counts as -40. */
INLINE vfloat exp2_lanes(vfloat x) {
  const vfloat whole = f_all(12582912.0f); /* 1.5 * 2^23: floats from here on have no fraction */
  x = f_max(x, f_all(-40.0f));
  const vfloat moved = f_add(x, whole);
  const vfloat rest = f_sub(x, f_sub(moved, whole)); /* -0.5 to 0.5 */
  vfloat power = f_fma(rest, f_all(EXP2[3]), f_all(EXP2[2]));
  power = f_fma(power, rest, f_all(EXP2[1]));
  power = f_fma(power, rest, f_all(EXP2[0]));
  return f_of_bits(i_add(i_bits(power), i_shift_left_23(i_bits(moved))));
}

/* GELU in steps: max(x, 0) less a bump, which is a parabola in each sixteenth of 0 to 4 and stays
 * what it is at 4 (1.3e-4) from there on. It is within 2e-4 of GELU everywhere. */
struct gelu {
  vfloat steps, bump[3];
};
INLINE struct gelu gelu_of(float steps) {
  struct gelu gelu = {f_all(steps), {f_load(BUMP[0]), f_load(BUMP[1]), f_load(BUMP[2])}};
  UNROLL for (int i = 0; i < 3; i++) gelu.bump[i] = f_mul(gelu.bump[i], gelu.steps);
  return gelu;
}
INLINE vint gelu_steps(const struct gelu *gelu, vfloat x) {
  const vfloat size = f_min(f_abs(x), f_all(3.9999998f));
  const vint piece = i_truncate(f_mul(size, f_all(4.0f)));
  vfloat bump = f_fma(f_pick(gelu->bump[2], piece), size, f_pick(gelu->bump[1], piece));
  bump = f_fma(bump, size, f_pick(gelu->bump[0], piece));
  const vfloat value = f_sub(f_mul(f_max(x, f_all(0.0f)), gelu->steps), bump);
  return i_round(f_min(value, f_all(32767.0f)));
}
