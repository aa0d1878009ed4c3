/* What a map needs beside its tensors. */
#pragma once
#include "kernel.h"

/* The sum of each output's weights, which makes up for zero points; gives the least weight. */
static inline int map_sums(const struct map *map, int32_t *sums) {
  const int8_t *weight = map->weights; /* in the order in which they lie */
  int8_t least = 0;
  for (int first = 0; first < map->outputs; first += 16, sums += 16) {
    for (int output = 0; output < 16; output++) sums[output] = 0;
    for (int input = 0; input < map->inputs; input += 4)
      for (int output = 0; output < 16; output++)
        for (int i = 0; i < 4; i++, weight++) {
          sums[output] += *weight;
          least = *weight < least ? *weight : least;
        }
  }
  return least;
}
