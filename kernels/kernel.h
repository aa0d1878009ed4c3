/* What every kernel offers: the three operators, on checked arguments.
 *
 * docs/operators.md has the shapes and the arithmetic to the bit. A kernel is one instruction set's
 * build of encoder.c; all of them give the same bytes.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(size_t) >= 8, "sizes of working memory are not checked against 32 bits");

/* y = x W + b. Weights are packed [outputs/16][inputs/4][16][4]: a line of 64 bytes holds four
 * inputs of sixteen outputs. */
struct map {
  int inputs, outputs;    /* multiples of 32 */
  const int8_t *weights;
  const float *scale, *bias; /* an output each */
  const int32_t *sums;       /* of each output's weights; see map_sums */
};

/* Channels of a map's input that are multiplied in float32, since they outgrow the others: these
 * would have few codes left. */
enum { WIDE = 4 };
struct wide {
  int channel[WIDE];
  const float *weights; /* [WIDE][outputs] */
  const float *others;  /* [inputs]: 1, or 0 of a wide channel */
};

struct norm {
  const float *gain, *shift; /* [hidden] */
  float epsilon;
};

struct embeddings {
  int hidden, vocabulary, positions;
  const int8_t *words; /* [vocabulary][hidden] */
  const float *scale;  /* [vocabulary] */
  const float *places; /* [positions][hidden] */
  int64_t padding; /* a token that has the first place and is not counted; -1 for none */
  struct norm norm;
};

struct attention {
  int heads;
  struct map project; /* hidden to 3 * hidden: queries, keys, values of the first head, ... */
  struct wide wide;   /* of project */
  struct map output;
  const float *residual; /* [hidden], what the input is multiplied by before it is added */
  const float *distance; /* [heads][2 * positions - 1], added to scores in base 2, or NULL */
  int positions;         /* of distance */
  int fine;              /* the most tokens of a text whose codes have two bytes */
  struct norm norm;
};

struct feed_forward {
  struct map up, down;
  struct wide wide; /* of up */
  const float *residual;
  float steps; /* of the int16 activations in 1: a power of two */
  int fine;    /* as of attention */
  struct norm norm;
};

/* Runs part(data, 0), ..., part(data, parts - 1) in any order, some at once, and waits for all. */
struct pool {
  void (*run)(void *self, void (*part)(void *data, size_t place), size_t parts, void *data);
  void *self;
};

struct kernel {
  const char *name;
  void (*embed)(const struct embeddings *, const int64_t *ids, size_t texts, size_t tokens,
                float *hidden, const struct pool *);
  /* These give 0, or 1 where memory is short. */
  int (*attend)(const struct attention *, const float *hidden, size_t texts, size_t tokens,
                float *out, const struct pool *);
  int (*feed)(const struct feed_forward *, const float *hidden, size_t texts, size_t tokens,
              float *out, const struct pool *);
  size_t (*multiply)(size_t tiles); /* to be timed; gives the operations of a tile */
};

/* The most tokens of a text: above, 12 bits of attention would not fit the sums. */
enum { MOST_TOKENS = 8192 };
