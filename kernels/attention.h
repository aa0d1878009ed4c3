/* hidden -> hidden: self-attention, its output map, the residual and the norm. */
#pragma once
#include "curves.h"
#include "room.h"
#include "rows.h"

struct attention_run {
  const struct attention *attention;
  const float *hidden;
  size_t texts, tokens, width, head; /* head: components of one */
  size_t group, span;                /* texts and heads that go together */
  size_t block;                      /* rows that the output map takes together */
  code_t *codes;                     /* of hidden, then of mixed */
  float *scale, *mixed, *out;
  int short_of_memory;
};

/* One head of one text: what its scores and mixtures are made of. */
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
  for (size_t r = 0; r < rows; r++) largest = larger(largest_of(part + r * stride, size), largest);
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
      dot_1(1, offsets, (long)size, head->keys + t * size, 0, (int)size, none, start + t, 0);
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
    const float largest = largest_of(query, head->size);
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
        16 * (long)size, (int)size, head->key_start, head->scores, (long)padded);
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

/* Queries, keys and values of one head, for rows of codes. */
static void project_head(const struct map *map, size_t head, size_t size, const code_t *codes,
                         const float *scale, size_t count, float *projected) {
  int32_t sums[TILE_ROWS * 48];
  const size_t from = 3 * size * head, width = 3 * size;
  for (size_t first = from; first < from + width; first += 48) {
    const struct columns columns = columns_of(map, first, from + width);
    for (size_t row = 0; row < count; row += TILE_ROWS) {
      sums_of(map, &columns, codes, row, count, sums);
      for (int v = 0; v < columns.vectors; v++) {
        const size_t column = first + 16 * (size_t)v;
        const vfloat step = f_load(map->scale + column), bias = f_load(map->bias + column);
        float *to = projected + row * width + column - from;
        for (size_t r = 0; r < fewer(TILE_ROWS, count - row); r++) {
          const vint sum = i_load(sums + 48 * r + 16 * (size_t)v);
          const vfloat value = f_mul(f_of_int(sum), f_all(scale[row + r]));
          f_store(to + r * width, f_fma(value, step, bias));
        }
      }
    }
  }
}

static struct head head_in(struct room *room, const struct attention_run *run) {
  const size_t size = run->head, padded = up_to(run->tokens, 16);
  const struct attention *attention = run->attention;
  return (struct head){
      .tokens = run->tokens,
      .padded = padded,
      .size = size,
      .queries = take(room, run->tokens * size * sizeof(code_t)),
      .query_scale = take(room, 4 * run->tokens),
      .keys = take(room, padded * size),
      .key_start = take(room, 4 * padded),
      .values = take(room, 2 * padded * size),
      .scores = take(room, 4 * TILE_ROWS * padded),
      .shares = take(room, 2 * TILE_ROWS * padded),
      .positions = (size_t)attention->positions,
      .projected = take(room, 4 * fewer(run->group, run->texts) * run->tokens * 3 * size),
  };
}

/* Some heads of some texts: part `place` of them. */
static void attend_some(void *data, size_t place) {
  struct attention_run *run = data;
  const struct attention *attention = run->attention;
  const size_t spans = ((size_t)attention->heads + run->span - 1) / run->span;
  const size_t from = place / spans * run->group, first = place % spans * run->span;
  const size_t texts = fewer(run->group, run->texts - from), tokens = run->tokens;
  const size_t row = from * tokens, size = run->head, width = 3 * size;
  struct room room = {0};
  head_in(&room, run);
  if (!furnish(&room)) {
    run->short_of_memory = 1;
    return;
  }
  struct head head = head_in(&room, run);
  for (size_t h = first; h < fewer(first + run->span, (size_t)attention->heads); h++) {
    project_head(&attention->project, h, size, run->codes + row * run->width, run->scale + row,
                 texts * tokens, head.projected);
    if (attention->distance)
      head.distance = attention->distance + h * (2 * head.positions - 1);
    for (size_t text = 0; text < texts; text++) {
      const float *projected = head.projected + text * tokens * width;
      const float key_scale = pack_keys(&head, projected + size, width);
      head.value_scale = pack_values(&head, projected + 2 * size, width);
      code_queries(&head, projected, width, key_scale);
      mix_values(&head, run->mixed + (row + text * tokens) * run->width + h * size, run->width);
    }
  }
  leave(&room);
}

static void code_block(void *data, size_t place) {
  struct attention_run *run = data;
  const size_t first = place * run->block, width = run->width;
  const size_t count = fewer(run->block, run->texts * run->tokens - first);
  code_rows(run->hidden + first * width, count, width, run->codes + first * width,
            run->scale + first);
}

static void output_block(void *data, size_t place) {
  struct attention_run *run = data;
  const struct attention *attention = run->attention;
  const size_t first = place * run->block, width = run->width, at = first * width;
  const size_t count = fewer(run->block, run->texts * run->tokens - first);
  code_rows(run->mixed + at, count, width, run->codes + at, run->scale + first);
  map_rows(&attention->output, run->codes + at, run->scale + first, NULL, count, run->out + at);
  add_and_norm(run->hidden + at, attention->residual, &attention->norm, count, width,
               run->out + at);
}

static int attend(const struct attention *attention, const float *hidden, size_t texts,
                  size_t tokens, float *out, const struct pool *pool) {
  const size_t width = (size_t)attention->output.outputs, heads = (size_t)attention->heads;
  const size_t rows = texts * tokens;
  struct attention_run run = {
      .attention = attention,
      .hidden = hidden,
      .texts = texts,
      .tokens = tokens,
      .width = width,
      .head = width / heads,
      .group = fewer(texts, larger_size(1, 256 / tokens)),
      .span = (heads + 3) / 4,
      .block = block_of(rows),
      .out = out,
  };
  struct room room = {0};
  for (int twice = 0; twice < 2; twice++) {
    run.codes = take(&room, (rows * width + 64) * sizeof(code_t));
    run.scale = take(&room, 4 * rows);
    run.mixed = take(&room, 4 * rows * width);
    if (!twice && !furnish(&room)) return 1;
  }
  const size_t blocks = (rows + run.block - 1) / run.block;
  const size_t groups = (texts + run.group - 1) / run.group;
  pool->run(pool->self, code_block, blocks, &run);
  pool->run(pool->self, attend_some, groups * ((heads + run.span - 1) / run.span), &run);
  if (!run.short_of_memory) pool->run(pool->self, output_block, blocks, &run);
  leave(&room);
  return run.short_of_memory;
}
