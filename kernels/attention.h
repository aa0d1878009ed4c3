/* hidden -> hidden: self-attention, its output map, the residual and the norm. */
#pragma once
#include "head.h"
#include "room.h"
#include <stdatomic.h>

struct attention_run {
  const struct attention *attention;
  const float *hidden;
  size_t texts, tokens, width, head; /* head: components of one */
  size_t group, span;                /* texts and heads that go together */
  size_t block;                      /* rows that the output map takes together */
  size_t bytes;                      /* of a code */
  code_t *codes;                     /* of hidden, then of mixed */
  float *scale, *apart, *mixed, *out;
  atomic_int short_of_memory; /* parts run at once */
};

static struct coded coded(const struct attention_run *run, size_t first, size_t count,
                          const struct wide *wide) {
  return (struct coded){
      .codes = run->codes + run->bytes * first * run->width,
      .scale = run->scale + first,
      .count = count,
      .bytes = run->bytes,
      .parts = ROUNDED_PARTS,
      .wide = wide,
      .apart = run->apart + WIDE * first,
  };
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
  const struct coded rows = coded(run, row, texts * tokens, &attention->wide);
  for (size_t h = first; h < fewer(first + run->span, (size_t)attention->heads); h++) {
    map_rows(&attention->project, h * width, (h + 1) * width, &rows, head.projected);
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
  const struct coded rows = coded(run, first, count, &run->attention->wide);
  code_rows(run->hidden + first * width, width, &rows);
}

static void output_block(void *data, size_t place) {
  struct attention_run *run = data;
  const struct attention *attention = run->attention;
  const size_t first = place * run->block, width = run->width, at = first * width;
  const size_t count = fewer(run->block, run->texts * run->tokens - first);
  const struct coded rows = coded(run, first, count, NULL);
  code_rows(run->mixed + at, width, &rows);
  map_rows(&attention->output, 0, width, &rows, run->out + at);
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
      .block = block_of(rows, code_bytes(tokens, attention->fine)),
      .bytes = code_bytes(tokens, attention->fine),
      .out = out,
  };
  struct room room = {0};
  for (int twice = 0; twice < 2; twice++) {
    run.codes = take(&room, (run.bytes * rows * width + 64) * sizeof(code_t));
    run.scale = take(&room, 4 * rows);
    run.apart = take(&room, 4 * WIDE * rows);
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
