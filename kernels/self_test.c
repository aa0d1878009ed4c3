/* Whether a kernel gives the bits that every kernel gives on every CPU. */
#include "dispatch.h"
#include "map.h"
#include <stdlib.h>
#include <string.h>

/* What plain C gives, on x86-64 and aarch64. */
#define EXPECTED_HASH 0x693e9074e4b09ed3u

enum { TEXTS = 1, TOKENS = 18, HIDDEN = 64, HEADS = 2, BROAD = 96, WORDS = 11, STATES = 5 };

/* Numerical Recipes' linear congruential generator: the high bits will do here. */
struct numbers {
  uint32_t seed;
};
static uint32_t next(struct numbers *numbers) {
  return (numbers->seed = numbers->seed * 1664525u + 1013904223u) >> 8;
}
static void fill_floats(struct numbers *numbers, float *to, size_t count, float low, float high) {
  for (size_t i = 0; i < count; i++)
    to[i] = low + (high - low) * (float)next(numbers) / (float)(1 << 24);
}
static void fill_bytes(struct numbers *numbers, int8_t *to, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = (int8_t)(next(numbers) % 255 - 127);
}

struct test {
  int8_t words[WORDS * HIDDEN], weights[4][3 * HIDDEN * HIDDEN];
  float scale[4][3 * HIDDEN], bias[4][3 * HIDDEN], vectors[4][HIDDEN], places[TOKENS * HIDDEN];
  float distance[HEADS * (2 * TOKENS - 1)], others[HIDDEN], wide[WIDE * 3 * HIDDEN];
  int32_t sums[4][3 * HIDDEN];
};

static struct map made_map(struct test *test, struct numbers *numbers, int place, int inputs, int outputs) {
  fill_bytes(numbers, test->weights[place], (size_t)inputs * (size_t)outputs);
  /* Every eighth output has the weights of the largest sums. */
  for (int i = 0; i < inputs * outputs; i++)
    if (i / 4 % 8 == 0) test->weights[place][i] = -127;
  fill_floats(numbers, test->scale[place], (size_t)outputs, 0.0005f, 0.002f);
  fill_floats(numbers, test->bias[place], (size_t)outputs, -0.5f, 0.5f);
  const struct map map = {inputs, outputs, test->weights[place], test->scale[place],
                          test->bias[place], test->sums[place]};
  map_sums(&map, test->sums[place]);
  return map;
}

static void in_turn(void *self, void (*part)(void *, size_t), size_t parts, void *data) {
  (void)self;
  for (size_t place = 0; place < parts; place++) part(data, place);
}

/* Ids to hidden states, with and without distances, of codes of a byte and of two; 0 where memory
 * is short. */
static int run(const struct kernel *kernel, struct test *test, float *out) {
  struct numbers numbers = {1};
  const struct pool pool = {in_turn, NULL};
  const size_t rows = TEXTS * TOKENS, all = rows * HIDDEN;
  fill_bytes(&numbers, test->words, sizeof test->words);
  fill_floats(&numbers, test->places, TOKENS * HIDDEN, -1.0f, 1.0f);
  fill_floats(&numbers, test->distance, HEADS * (2 * TOKENS - 1), -2.0f, 2.0f);
  for (int i = 0; i < 4; i++) fill_floats(&numbers, test->vectors[i], HIDDEN, 0.5f, 1.5f);
  fill_floats(&numbers, test->scale[0], WORDS, 0.001f, 0.02f);
  const struct norm norm = {test->vectors[0], test->vectors[1], 1e-12f};
  const struct embeddings embeddings = {HIDDEN, WORDS, TOKENS, test->words, test->scale[0], test->places, -1, norm};
  int64_t ids[TEXTS * TOKENS];
  for (size_t i = 0; i < rows; i++) ids[i] = next(&numbers) % WORDS;
  float *first = out, *second = out + all, *third = second + all, *fourth = third + all;
  kernel->embed(&embeddings, ids, TEXTS, TOKENS, first, &pool);
  fill_floats(&numbers, test->wide, WIDE * 3 * HIDDEN, -0.1f, 0.1f);
  struct wide wide = {{1, 18, 40, 63}, test->wide, test->others};
  for (int i = 0; i < HIDDEN; i++) test->others[i] = 1.0f;
  for (int c = 0; c < WIDE; c++) test->others[wide.channel[c]] = 0.0f;
  struct attention attention = {
      .heads = HEADS,
      .project = made_map(test, &numbers, 0, HIDDEN, 3 * HIDDEN),
      .wide = wide,
      .output = made_map(test, &numbers, 1, HIDDEN, HIDDEN),
      .residual = test->vectors[2],
      .positions = TOKENS,
      .norm = norm,
  };
  struct feed_forward feed = {made_map(test, &numbers, 2, HIDDEN, BROAD),
                              made_map(test, &numbers, 3, BROAD, HIDDEN), wide, test->vectors[3],
                              512.0f, 0, norm};
  if (kernel->attend(&attention, first, TEXTS, TOKENS, second, &pool)) return 0;
  attention.distance = test->distance;
  if (kernel->attend(&attention, second, TEXTS, TOKENS, third, &pool)) return 0;
  if (kernel->feed(&feed, third, TEXTS, TOKENS, first, &pool)) return 0;
  attention.fine = feed.fine = TOKENS;
  if (kernel->attend(&attention, first, TEXTS, TOKENS, fourth, &pool)) return 0;
  return !kernel->feed(&feed, fourth, TEXTS, TOKENS, fourth + all, &pool);
}

/* FNV-1a, of the bytes of floats. */
static uint64_t hash_of(const float *values, size_t count) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    for (int byte = 0; byte < 4; byte++)
      hash = (hash ^ (bits >> 8 * byte & 255)) * 0x100000001b3u;
  }
  return hash;
}

static uint64_t kernel_hash(const struct kernel *kernel) {
  const size_t count = STATES * TEXTS * TOKENS * HIDDEN;
  struct test *test = malloc(sizeof *test);
  float *found = malloc(count * sizeof *found);
  const uint64_t hash = test && found && run(kernel, test, found) ? hash_of(found, count) : 0;
  free(test);
  free(found);
  return hash;
}

uint64_t expected_hash(void) { return EXPECTED_HASH; }
int kernel_is_right(const struct kernel *kernel) { return kernel_hash(kernel) == EXPECTED_HASH; }
