/* One head of one text: its queries, keys and values to codes, and the mixture for each token. */
#pragma once
#include "curves.h"
#include "rows.h"

struct head {
  size_t tokens, padded, size;
  code_t *queries;     /* [tokens][size] */
  float *query_scale;  /* [tokens], into base 2 */
  int8_t *keys;        /* [padded/16][size/4][16][4] */
  int32_t *key_start;  /* [padded] */
  int16_t *values;     /* [size/16][padded/2][16][2] */
  float value_scale;
  int32_t *scores;     /* [TILE_ROWS][padded] */
  int16_t *shares;     /* [TILE_ROWS][padded] */
  const float *distance; /* [2 * positions - 1], or NULL */
  size_t positions;
  float *projected;    /* [group * tokens][3 * size] */
};

/* Log2 of the largest share of a row: 4095 for texts of up to 256 tokens, and half as much for
 * each doubling, so that the sums of shares times values stay in 31 bits. */
INLINE float most_of_share(size_t tokens) {
  float most = 11.999648f;
  for (size_t length = 256; length < tokens; length *= 2) most -= 1.0f;
  return most;
}

INLINE float largest_of_part(const float *part, size_t rows, size_t size, size_t stride) {
  float largest = 0.0f;
  for (size_t r = 0; r < rows; r++) largest = larger(largest_of(part + r * stride, size, NULL), largest);
  return largest;
}

/* Keys: codes on one scale, in the order of a map's weights. */
static float pack_keys(struct head *head, const float *keys, size_t stride) {
  const size_t size = head->size, fours = size / 4;
  const float largest = largest_of_part(keys, head->tokens, size, stride);
  const vfloat factor = f_all(code_factor(largest));
  memset(head->keys, 0, head->padded * size);
  for (size_t t = 0; t < head->tokens; t++) {
    int32_t row[64];
    for (size_t i = 0; i < size; i += 16)
      store_s8((int8_t *)row + i, i_round(f_mul(f_load(keys + t * stride + i), factor)));
    int8_t *to = head->keys + t / 16 * size * 16 + t % 16 * 4;
    for (size_t i = 0; i < fours; i++) memcpy(to + 64 * i, row + i, 4);
  }
  memset(head->key_start, 0, 4 * head->padded);
  if (CODE_OFFSET) { /* what a row of offsets alone would give, taken off */
    code_t offsets[256];
    for (size_t i = 0; i < size; i++) offsets[i] = CODE_OFFSET;
    int32_t *start = head->key_start;
    const int32_t none[16] = {0};
    for (size_t t = 0; t < head->padded; t += 16) {
      dot_1(1, offsets, (long)size, head->keys + t * size, 0, (int)size, none, start + t, 0, 0);
      i_store(start + t, i_sub(i_all(0), i_load(start + t)));
    }
  }
  return code_scale(largest);
}

/* Values: int16 of 12 bits on one scale, in pairs of tokens. */
static float pack_values(struct head *head, const float *values, size_t stride) {
  const float largest = larger(largest_of_part(values, head->tokens, head->size, stride), 1e-6f);
  const vfloat factor = f_all(2047.0f / largest);
  for (size_t part = 0; part < head->size / 16; part++) {
    int16_t *to = head->values + part * head->padded * 16;
    const float *from = values + 16 * part;
    for (size_t t = 0; t < head->padded; t += 2) {
      vint pair[2];
      for (size_t i = 0; i < 2; i++)
        pair[i] = t + i < head->tokens
                      ? i_round(f_mul(f_load(from + (t + i) * stride), factor))
                      : i_all(0);
      i_store((int32_t *)(to + 16 * t), i_pair(pair[0], pair[1]));
    }
  }
  return largest * (1.0f / 2047.0f);
}

static void code_queries(struct head *head, const float *queries, size_t stride, float key_scale) {
  const float base = (float)(1.4426950408889634 / __builtin_sqrt((double)head->size));
  for (size_t t = 0; t < head->tokens; t++) {
    const float *query = queries + t * stride;
    const float largest = largest_of(query, head->size, NULL);
    const vfloat factor = f_all(code_factor(largest));
    for (size_t i = 0; i < head->size; i += 16)
      store_codes(head->queries + t * head->size + i, i_round(f_mul(f_load(query + i), factor)));
    head->query_scale[t] = code_scale(largest) * key_scale * base;
  }
}

/* Scores of some rows to shares of the largest, and each row's sum of shares. */
INLINE void share_out(const struct head *head, size_t first, size_t rows, int32_t *totals) {
  const size_t padded = head->padded, last = padded - 16;
  const float most = most_of_share(head->tokens);
  int32_t inside[16];
  for (size_t i = 0; i < 16; i++) inside[i] = last + i < head->tokens ? -1 : 0;
  const vint keep = i_load(inside);
  vfloat scale[8], offset[8];
  for (size_t r = 0; r < rows; r++) {
    const int32_t *scores = head->scores + r * padded;
    vint top = i_select(keep, i_load(scores + last), i_all(-(1 << 30)));
    for (size_t i = 0; i < last; i += 16) top = i_max(i_load(scores + i), top);
    scale[r] = f_all(head->query_scale[first + r]);
    const vfloat down = f_sub(f_all(0.0f), scale[r]);
    offset[r] = f_fma(down, f_of_int(i_all(i_largest(top))), f_all(most));
  }
  vint total[8];
  for (size_t r = 0; r < rows; r++) {
    const int32_t *scores = head->scores + r * padded;
    int16_t *shares = head->shares + r * padded;
    vint sum = i_all(0);
    for (size_t i = 0; i < last; i += 16) {
      const vint share = i_round(exp2_lanes(f_fma(f_of_int(i_load(scores + i)), scale[r], offset[r])));
      sum = i_add(sum, share);
      store_s16(shares + i, share);
    }
    vint share = i_round(exp2_lanes(f_fma(f_of_int(i_load(scores + last)), scale[r], offset[r])));
    share = i_select(keep, share, i_all(0));
    total[r] = i_add(sum, share);
    store_s16(shares + last, share);
  }
  for (size_t r = 0; r < rows; r++) totals[r] = i_sum(total[r]);
}

/* The same where a distance between tokens adds to their score. */
static void share_out_by_distance(const struct head *head, size_t first, size_t rows,
                                  int32_t *totals) {
  const size_t padded = head->padded;
  const float most = most_of_share(head->tokens);
  for (size_t r = 0; r < rows; r++) {
    int32_t *scores = head->scores + r * padded;
    int16_t *shares = head->shares + r * padded;
    const float *distance = head->distance + head->positions - 1 - (first + r);
    const vfloat scale = f_all(head->query_scale[first + r]);
    float row[16], top = -3.0e38f;
    for (size_t i = 0; i < padded; i += 16) {
      const size_t inside = fewer(16, head->tokens - i);
      for (size_t j = 0; j < 16; j++) row[j] = j < inside ? distance[i + j] : -3.0e38f;
      const vfloat score = f_fma(f_of_int(i_load(scores + i)), scale, f_load(row));
      top = larger(f_largest(score), top);
      i_store(scores + i, i_bits(score));
    }
    const vfloat offset = f_all(most - top);
    vint total = i_all(0);
    for (size_t i = 0; i < padded; i += 16) {
      const vint share = i_round(exp2_lanes(f_add(f_of_bits(i_load(scores + i)), offset)));
      total = i_add(total, share);
      store_s16(shares + i, share);
    }
    totals[r] = i_sum(total);
  }
}

#define DEFINE_MIX(VECTORS) \
  static __attribute__((noinline)) void mix_##VECTORS(int rows, const int16_t *shares, \
                                                      const int16_t *values, int inputs, \
                                                      int32_t *sums, long sum_stride) { \
    ROW_CASES(MIX_##VECTORS) \
  }
#define MIX_1(R) mix_tile(AT_MOST(R, TILE_ROWS), 1, shares, inputs, values, 16L * inputs, inputs, sums, sum_stride)
#define MIX_2(R) mix_tile(AT_MOST(R, TILE_ROWS), 2, shares, inputs, values, 16L * inputs, inputs, sums, sum_stride)
DEFINE_MIX(1)
DEFINE_MIX(2)

/* The mixture of a text's values for each of its tokens, to rows of `width`. */
static void mix_values(const struct head *head, float *out, size_t width) {
  const size_t size = head->size, padded = head->padded;
  int32_t totals[8], sums[8 * 64];
  for (size_t first = 0; first < head->tokens; first += TILE_ROWS) {
    const size_t rows = fewer(TILE_ROWS, head->tokens - first);
    dot((int)rows, (int)(padded / 16), head->queries + first * size, (long)size, head->keys,
        16 * (long)size, (int)size, head->key_start, head->scores, (long)padded, 0);
    if (head->distance) share_out_by_distance(head, first, rows, totals);
    else share_out(head, first, rows, totals);
    for (size_t part = 0; part < size; part += 32) {
      const int16_t *values = head->values + part * padded;
      if (part + 32 <= size) mix_2((int)rows, head->shares, values, (int)padded, sums + part, (long)size);
      else mix_1((int)rows, head->shares, values, (int)padded, sums + part, (long)size);
    }
    for (size_t r = 0; r < rows; r++) {
      const vfloat scale = f_all(head->value_scale / (float)totals[r]);
      for (size_t i = 0; i < size; i += 16)
        f_store(out + (first + r) * width + i,
                f_mul(f_of_int(i_load(sums + r * size + i)), scale));
    }
  }
}
