/* The products of 8 bits at their fastest: what they take and give never leaves the first-level cache. */
#pragma once
#include "rows.h"

enum { PEAK_INPUTS = 1024 };

/* So many tiles; gives the multiplications and additions of one. */
static size_t multiply(size_t tiles) {
  static const code_t codes[TILE_ROWS * 16 + PEAK_INPUTS];
  static const int8_t weights[16 * PEAK_INPUTS];
  static const int32_t start[48];
  int32_t sums[TILE_ROWS * 48];
  /* All columns read the same weights, and rows begin sixteen codes apart. */
  for (size_t tile = 0; tile < tiles; tile++) {
    dot_3(TILE_ROWS, codes, 16, weights, 0, PEAK_INPUTS, start, sums, 48, 0);
    __asm__ volatile("" : : "r"(sums) : "memory"); /* or a compiler sees that nobody reads them */
  }
  return 2 * TILE_ROWS * 48 * (size_t)PEAK_INPUTS;
}
