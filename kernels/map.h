/* What a map needs beside its tensors. */
#pragma once
#include "kernel.h"

/* The sum of each output's weights, which makes up for zero points. */
static inline void map_sums(const struct map *map, int32_t *sums) {
  for (int output = 0; output < map->outputs; output++) {
    const int8_t *panel = map->weights + (size_t)(output / 16) * 16 * (size_t)map->inputs;
    int32_t sum = 0;
    for (int input = 0; input < map->inputs; input++)
      sum += panel[input / 4 * 64 + output % 16 * 4 + input % 4];
    sums[output] = sum;
  }
}
