/* hidden -> hidden: up, GELU, down, the residual and the norm. */
#pragma once
#include "curves.h"
#include "room.h"
#include "rows.h"
#include <stdatomic.h>

struct feed_run {
  const struct feed_forward *feed;
  const float *hidden;
  size_t rows, width, block, bytes; /* bytes: of a code */
  float *out;
  atomic_int short_of_memory; /* parts run at once */
};

/* GELU's least value is -0.17. */
INLINE int32_t steps_below(float steps) {
  const float below = 0.17f * steps;
  const int32_t whole = (int32_t)below;
  return whole + ((float)whole < below);
}

struct activations {
  struct gelu gelu;
  int16_t *steps;
};
INLINE void keep_gelu(void *out, size_t at, vfloat values) {
  const struct activations *active = out;
  store_s16(active->steps + at, gelu_steps(&active->gelu, values));
}
static void up_and_gelu(const struct feed_forward *feed, const struct coded *rows, int16_t *out) {
  struct activations active = {gelu_of(feed->steps), out};
  through_map(&feed->up, 0, (size_t)feed->up.outputs, rows, keep_gelu, &active);
}

/* Activations in steps are codes of two bytes already: the second counts steps. */
enum { STEP_PARTS = 256 };
static void split_steps(const int16_t *rows, float steps, size_t count, size_t width, code_t *codes,
                        float *scale) {
  const int most = 127 * STEP_PARTS + 127;
  for (size_t r = 0; r < count; r++, rows += width, codes += 2 * width) {
    for (size_t i = 0; i < width; i++) {
      const int value = rows[i] < most ? rows[i] : most;
      const int high = (value + STEP_PARTS / 2) >> 8; /* down, where / goes towards 0 */
      codes[i] = (code_t)(high + CODE_OFFSET);
      codes[width + i] = (code_t)(value - STEP_PARTS * high + CODE_OFFSET);
    }
    scale[r] = (float)STEP_PARTS / steps;
  }
}

/* Activations in steps to codes from 0 to 255, of which zero[r] stands for 0. */
static void code_steps(const int16_t *rows, float steps, size_t count, size_t width, code_t *codes,
                       float *scale, int32_t *zero) {
  const int32_t low = steps_below(steps);
  for (size_t r = 0; r < count; r++, rows += width, codes += width) {
    vshort top = s_all(0);
    for (size_t i = 0; i < width; i += 32) top = s_max(s_load(rows + i), top);
    const int32_t reach = s_largest(top) + low;
    const int32_t exact = 255 * 32768 / reach, factor = exact < 32767 ? exact : 32767;
    const int32_t middle = (low * factor + 16384) >> 15;
    const vshort times = s_all((int16_t)factor), offset = s_all((int16_t)middle);
    for (size_t i = 0; i < width; i += 32)
      store_unsigned_codes(codes + i, s_add(s_scale(s_load(rows + i), times), offset));
    zero[r] = middle - 128;
    scale[r] = 32768.0f / ((float)factor * steps);
  }
}

static void feed_some(void *data, size_t place) {
  struct feed_run *run = data;
  const struct feed_forward *feed = run->feed;
  const size_t width = run->width, wide = (size_t)feed->up.outputs, first = place * run->block;
  const size_t count = fewer(run->block, run->rows - first);
  const float *hidden = run->hidden + first * width;
  float *out = run->out + first * width;
  struct room room = {0};
  code_t *codes = NULL, *many = NULL;
  float *scale = NULL, *apart = NULL;
  int32_t *zero = NULL;
  int16_t *activations = NULL;
  for (int twice = 0; twice < 2; twice++) {
    codes = take(&room, (run->bytes * count * width + 64) * sizeof(code_t));
    many = take(&room, (run->bytes * count * wide + 64) * sizeof(code_t));
    scale = take(&room, 4 * count);
    apart = take(&room, 4 * WIDE * count);
    zero = take(&room, 4 * count);
    activations = take(&room, 2 * count * wide);
    if (!twice && !furnish(&room)) {
      run->short_of_memory = 1;
      return;
    }
  }
  const struct coded rows = {.codes = codes,
                             .scale = scale,
                             .count = count,
                             .bytes = run->bytes,
                             .parts = ROUNDED_PARTS,
                             .wide = &feed->wide,
                             .apart = apart};
  code_rows(hidden, width, &rows);
  up_and_gelu(feed, &rows, activations);
  struct coded active = {
      .codes = many, .scale = scale, .count = count, .bytes = run->bytes, .parts = STEP_PARTS};
  if (run->bytes == 2) {
    split_steps(activations, feed->steps, count, wide, many, scale);
  } else {
    active.zero = zero;
    code_steps(activations, feed->steps, count, wide, many, scale, zero);
  }
  map_rows(&feed->down, 0, width, &active, out);
  add_and_norm(hidden, feed->residual, &feed->norm, count, width, out);
  leave(&room);
}

static int feed(const struct feed_forward *feed, const float *hidden, size_t texts, size_t tokens,
                float *out, const struct pool *pool) {
  const size_t rows = texts * tokens;
  struct feed_run run = {
      .feed = feed,
      .hidden = hidden,
      .rows = rows,
      .width = (size_t)feed->up.inputs,
      .block = block_of(rows, code_bytes(tokens, feed->fine)),
      .bytes = code_bytes(tokens, feed->fine),
      .out = out,
  };
  pool->run(pool->self, feed_some, (rows + run.block - 1) / run.block, &run);
  return run.short_of_memory;
}
