/* ids -> hidden: word and place, normalised. */
#pragma once
#include "rows.h"

struct embedding_rows {
  const struct embeddings *embeddings;
  const int64_t *ids;
  size_t rows, tokens, step;
  float *hidden;
};

/* The place of a row's token in its text. */
static size_t place_of(const struct embeddings *e, const int64_t *ids, size_t row, size_t tokens) {
  const size_t first = row - row % tokens;
  if (e->padding < 0) return row - first;
  size_t place = 0;
  for (size_t i = first; i <= row; i++) place += ids[i] != e->padding;
  return ids[row] == e->padding ? 0 : place;
}

static void embed_some(void *data, size_t place) {
  const struct embedding_rows *all = data;
  const struct embeddings *e = all->embeddings;
  const size_t width = (size_t)e->hidden, first = place * all->step;
  for (size_t row = first; row < fewer(first + all->step, all->rows); row++) {
    const int8_t *word = e->words + (size_t)all->ids[row] * width;
    const float *where = e->places + place_of(e, all->ids, row, all->tokens) * width;
    float *out = all->hidden + row * width;
    const vfloat scale = f_all(e->scale[all->ids[row]]);
    if (row + 4 < all->rows) /* words lie all over the table */
      for (size_t i = 0; i < width; i += 64)
        __builtin_prefetch(e->words + (size_t)all->ids[row + 4] * width + i);
    for (size_t i = 0; i < width; i += 16)
      f_store(out + i, f_fma(f_of_int(load_s8(word + i)), scale, f_load(where + i)));
    struct row one = {.out = out};
    norm_rows(&one, 1, width, &e->norm, add_value);
  }
}

static void embed(const struct embeddings *embeddings, const int64_t *ids, size_t texts,
                  size_t tokens, float *hidden, const struct pool *pool) {
  struct embedding_rows all = {embeddings, ids, texts * tokens, tokens, 64, hidden};
  pool->run(pool->self, embed_some, (all.rows + all.step - 1) / all.step, &all);
}
