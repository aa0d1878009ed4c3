/* Rows of floats: to codes and a scale, through a map, and normalised. */
#pragma once
#include "kernel.h"
#include "lanes.h"

INLINE float larger(float a, float b) { return a > b ? a : b; }
INLINE size_t fewer(size_t a, size_t b) { return a < b ? a : b; }
INLINE size_t up_to(size_t count, size_t multiple) { return (count + multiple - 1) / multiple * multiple; }
INLINE size_t larger_size(size_t a, size_t b) { return a > b ? a : b; }
/* Rows that go through a map together: weights are read once for each block. `bytes` are those of a
 * code: two of them are two rows of a tile. */
INLINE size_t block_of(size_t rows, size_t bytes) {
  return rows > 64 ? 64 : up_to((bytes * rows + 1) / 2, TILE_ROWS) / bytes;
}

/* What codes are multiplied by, and what they stand for: a largest magnitude has the code 127. */
INLINE float code_factor(float largest) { return 127.0f / larger(largest, 1e-6f); }
INLINE float code_scale(float largest) { return larger(largest, 1e-6f) * (1.0f / 127.0f); }

/* Sixteen values, from place `at` of a row on; 0 in place of those of wide channels, if there are any. */
INLINE vfloat ordinary(const float *values, size_t at, const struct wide *wide) {
  return wide ? f_mul(f_load(values), f_load(wide->others + at)) : f_load(values);
}
INLINE float largest_of(const float *row, size_t width, const struct wide *wide) {
  vfloat largest = f_abs(ordinary(row, 0, wide));
  for (size_t i = 16; i < width; i += 16) largest = f_max(f_abs(ordinary(row + i, i, wide)), largest);
  return f_largest(largest);
}

/* Rows that go through each pass together: what one row waits for hides behind the next ones. */
enum { TOGETHER = 8 };

/* Codes of rows, each on its own scale. A row whose codes have two bytes is two rows: the second
 * holds what the first leaves, in parts of it. */
struct coded {
  code_t *codes; /* [count][bytes][width] */
  float *scale;
  int32_t *zero; /* what stands for 0, or NULL where 0 does; with one byte alone */
  size_t count, bytes;
  float parts;             /* of 1, that a second byte counts */
  const struct wide *wide; /* NULL for none */
  float *apart;            /* [count][WIDE]: values of the wide channels */
};
/* Bytes of a code: two in texts of so few tokens that rounding errors do not average out. */
INLINE size_t code_bytes(size_t tokens, int fine) { return tokens <= (size_t)fine ? 2 : 1; }
/* Half of a code is the most that rounding leaves. */
static const float ROUNDED_PARTS = 128.0f;

/* code_rows, where `bytes` and `wide` being NULL or not are constants to the compiler. */
INLINE void code_rows_of(const size_t bytes, const struct wide *wide, const float *rows,
                         size_t width, const struct coded *to) {
  for (size_t first = 0; first < to->count; first += TOGETHER) {
    const size_t end = fewer(first + TOGETHER, to->count);
    float factor[TOGETHER];
    for (size_t r = first; r < end; r++) {
      const float *row = rows + r * width, largest = largest_of(row, width, wide);
      factor[r - first] = code_factor(largest);
      to->scale[r] = code_scale(largest);
      if (wide)
        for (size_t c = 0; c < WIDE; c++) to->apart[r * WIDE + c] = row[wide->channel[c]];
    }
    for (size_t r = first; r < end; r++) {
      const vfloat all = f_all(factor[r - first]);
      code_t *codes = to->codes + bytes * r * width;
      for (size_t i = 0; i < width; i += 16) {
        const vfloat value = f_mul(ordinary(rows + r * width + i, i, wide), all);
        const vint whole = i_round(value);
        store_codes(codes + i, whole);
        if (bytes == 2)
          store_codes(codes + width + i,
                      i_round(f_mul(f_sub(value, f_of_int(whole)), f_all(ROUNDED_PARTS))));
      }
    }
  }
}
static void code_rows(const float *rows, size_t width, const struct coded *to) {
  if (to->bytes == 2) code_rows_of(2, to->wide, rows, width, to);
  else if (to->wide) code_rows_of(1, to->wide, rows, width, to);
  else code_rows_of(1, NULL, rows, width, to);
}

/* Sums of products of up to TILE_ROWS rows with up to 48 columns. Rows are a constant to the
 * compiler in each case, without which it keeps the sums in memory. */
#define ROW_CASES(call) \
  switch (rows) { \
    case 1: call(1); break; \
    case 2: call(2); break; \
    case 3: call(3); break; \
    case 4: call(4); break; \
    case 5: call(5); break; \
    case 6: call(6); break; \
    case 7: call(7); break; \
    default: call(8); \
  }
#define AT_MOST(count, most) ((count) < (most) ? (count) : (most))
#define DEFINE_DOT(VECTORS) \
  static __attribute__((noinline)) void dot_##VECTORS( \
      int rows, const code_t *codes, long code_stride, const int8_t *weights, long panel, \
      int inputs, const int32_t *start, int32_t *sums, long sum_stride, long ahead) { \
    ROW_CASES(DOT_##VECTORS) \
  }
#define DOT_1(R) dot_tile(AT_MOST(R, TILE_ROWS), 1, codes, code_stride, weights, panel, inputs, start, sums, sum_stride, ahead)
#define DOT_2(R) dot_tile(AT_MOST(R, TILE_ROWS), 2, codes, code_stride, weights, panel, inputs, start, sums, sum_stride, ahead)
#define DOT_3(R) dot_tile(AT_MOST(R, TILE_ROWS), 3, codes, code_stride, weights, panel, inputs, start, sums, sum_stride, ahead)
DEFINE_DOT(1)
DEFINE_DOT(2)
DEFINE_DOT(3)

static void dot(int rows, int vectors, const code_t *codes, long code_stride, const int8_t *weights,
                long panel, int inputs, const int32_t *start, int32_t *sums, long sum_stride,
                long ahead) {
  for (; vectors >= 3; vectors -= 3, weights += 3 * panel, start += 48, sums += 48)
    dot_3(rows, codes, code_stride, weights, panel, inputs, start, sums, sum_stride, ahead);
  if (vectors == 2) dot_2(rows, codes, code_stride, weights, panel, inputs, start, sums, sum_stride, ahead);
  if (vectors == 1) dot_1(rows, codes, code_stride, weights, panel, inputs, start, sums, sum_stride, ahead);
}

/* The columns of a map that a tile has: its weights, and what its sums begin with. */
struct columns {
  int vectors; /* of 16 columns: 3, or what is left */
  const int8_t *weights;
  int32_t start[48];
};
static struct columns columns_of(const struct map *map, size_t first, size_t last) {
  struct columns columns = {.vectors = (int)fewer(3, (last - first) / 16)};
  const size_t inputs = (size_t)map->inputs;
  columns.weights = map->weights + first * inputs;
  for (int v = 0; v < columns.vectors; v++)
    i_store(columns.start + 16 * v,
            i_mul(i_load(map->sums + first + 16 * v), i_all(-CODE_OFFSET)));
  return columns;
}

/* A tile's sums, [TILE_ROWS][48], from row `row` of `count`. The first rows fetch the weights of the
 * next columns, or of the map that lies behind this one. */
INLINE void sums_of(const struct map *map, const struct columns *columns, const code_t *codes,
                    size_t row, size_t count, int32_t *sums) {
  const long inputs = map->inputs, panel = 16 * inputs;
  dot((int)fewer(TILE_ROWS, count - row), columns->vectors, codes + row * (size_t)inputs, inputs,
      columns->weights, panel, map->inputs, columns->start, sums, 48,
      row ? 0 : columns->vectors * panel);
}

/* through_map, where `bytes` of a code are a constant to the compiler. */
_Static_assert(TILE_ROWS % 2 == 0, "a tile has both bytes of a row");
INLINE void through_tiles(const size_t bytes, const struct map *map, size_t from, size_t to,
                          const struct coded *rows, void (*keep)(void *out, size_t at, vfloat values),
                          void *out) {
  int32_t sums[TILE_ROWS * 48];
  const size_t count = bytes * rows->count;
  const float part = 1.0f / rows->parts;
  for (size_t first = from; first < to; first += 48) {
    const struct columns columns = columns_of(map, first, to);
    for (size_t row = 0; row < count; row += TILE_ROWS) {
      sums_of(map, &columns, rows->codes, row, count, sums);
      for (int v = 0; v < columns.vectors; v++) {
        const size_t column = first + 16 * (size_t)v;
        const vfloat step = f_load(map->scale + column), bias = f_load(map->bias + column);
        const vint all = i_load(map->sums + column);
        vfloat wide[WIDE];
        UNROLL for (size_t c = 0; c < WIDE; c++) wide[c] = step; /* of no row: for the compiler */
        if (rows->wide)
          UNROLL for (size_t c = 0; c < WIDE; c++)
            wide[c] = f_load(rows->wide->weights + c * (size_t)map->outputs + column);
        for (size_t r = 0; r < fewer(TILE_ROWS, count - row); r += bytes) {
          const size_t place = (row + r) / bytes;
          vint sum = i_load(sums + 48 * r + 16 * (size_t)v);
          if (bytes == 1 && rows->zero) sum = i_sub(sum, i_mul(all, i_all(rows->zero[place])));
          vfloat value = f_of_int(sum);
          if (bytes == 2)
            value = f_fma(f_of_int(i_load(sums + 48 * (r + 1) + 16 * (size_t)v)), f_all(part), value);
          value = f_fma(f_mul(value, f_all(rows->scale[place])), step, bias);
          if (rows->wide)
            UNROLL for (size_t c = 0; c < WIDE; c++)
              value = f_fma(f_all(rows->apart[place * WIDE + c]), wide[c], value);
          keep(out, place * (to - from) + column - from, value);
        }
      }
    }
  }
}

/* x W + b for columns `from` to `to` of rows of codes. `keep` gets sixteen values at a time, and
 * their place in rows of so many columns. */
INLINE void through_map(const struct map *map, size_t from, size_t to, const struct coded *rows,
                        void (*keep)(void *out, size_t at, vfloat values), void *out) {
  if (rows->bytes == 2) through_tiles(2, map, from, to, rows, keep, out);
  else through_tiles(1, map, from, to, rows, keep, out);
}

INLINE void keep_floats(void *out, size_t at, vfloat values) { f_store((float *)out + at, values); }
static void map_rows(const struct map *map, size_t from, size_t to, const struct coded *rows,
                     float *out) {
  through_map(map, from, to, rows, keep_floats, out);
}

/* The sum of what `add` gives of a row's columns, sixteen at a time, which four sums take in turns. */
INLINE float sum_of_row(size_t width, vfloat (*add)(const void *row, size_t at, vfloat sum),
                        const void *row) {
  vfloat sum[4] = {f_all(0.0f), f_all(0.0f), f_all(0.0f), f_all(0.0f)};
  const size_t most = width / 64 * 64;
  for (size_t i = 0; i < most; i += 64)
    UNROLL for (size_t v = 0; v < 4; v++) sum[v] = add(row, i + 16 * v, sum[v]);
  UNROLL for (size_t v = 0; v < 3; v++)
    if (most + 16 * v < width) sum[v] = add(row, most + 16 * v, sum[v]);
  return f_sum(f_add(f_add(sum[0], sum[1]), f_add(sum[2], sum[3])));
}

/* A row to be normalised, and what is added to it first. */
struct row {
  const float *from, *residual;
  float *out, mean, scale;
};
INLINE vfloat add_value(const void *data, size_t at, vfloat sum) {
  const struct row *row = data;
  return f_add(sum, f_load(row->out + at));
}
INLINE vfloat add_residual(const void *data, size_t at, vfloat sum) {
  const struct row *row = data;
  const vfloat value = f_fma(f_load(row->from + at), f_load(row->residual + at), f_load(row->out + at));
  f_store(row->out + at, value);
  return f_add(sum, value);
}
INLINE vfloat add_square(const void *data, size_t at, vfloat sum) {
  const struct row *row = data;
  const vfloat apart = f_sub(f_load(row->out + at), f_all(row->mean));
  return f_fma(apart, apart, sum);
}

/* Give rows mean 0 and variance 1, then a gain and a shift each column (Ba et al., 2016). */
INLINE void norm_rows(struct row *rows, size_t count, size_t width, const struct norm *norm,
                      vfloat (*add)(const void *, size_t, vfloat)) {
  const float share = 1.0f / (float)width;
  for (size_t r = 0; r < count; r++) rows[r].mean = sum_of_row(width, add, rows + r) * share;
  for (size_t r = 0; r < count; r++) {
    const float variance = sum_of_row(width, add_square, rows + r) * share;
    rows[r].scale = 1.0f / __builtin_sqrtf(variance + norm->epsilon);
  }
  for (size_t r = 0; r < count; r++) {
    float *out = rows[r].out;
    const vfloat mean = f_all(rows[r].mean), scale = f_all(rows[r].scale);
    for (size_t i = 0; i < width; i += 16)
      f_store(out + i, f_fma(f_mul(f_sub(f_load(out + i), mean), scale), f_load(norm->gain + i),
                             f_load(norm->shift + i)));
  }
}

/* out = norm(out + x * residual) */
static void add_and_norm(const float *rows, const float *residual, const struct norm *norm,
                         size_t count, size_t width, float *out) {
  for (size_t first = 0; first < count; first += TOGETHER) {
    struct row some[TOGETHER];
    const size_t end = fewer(first + TOGETHER, count);
    for (size_t r = first; r < end; r++)
      some[r - first] = (struct row){.from = rows + r * width, .residual = residual, .out = out + r * width};
    norm_rows(some, end - first, width, norm, add_residual);
  }
}
