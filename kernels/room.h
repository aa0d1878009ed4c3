/* Working memory: what is needed is counted first, got at once, and then taken piece by piece. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct room {
  char *start; /* NULL while it is counted */
  char *got;   /* what free wants */
  size_t used;
};

/* A piece, at a cache line's start; NULL while it is counted. 64 bytes more than are asked for may
 * be written: a vector's end. */
static inline void *take(struct room *room, size_t bytes) {
  char *piece = room->start ? room->start + room->used : NULL;
  room->used += (bytes + 127) / 64 * 64;
  return piece;
}

/* Get what was counted; 0 where memory is short. */
static inline int furnish(struct room *room) {
  room->got = malloc(room->used + 63);
  if (!room->got) return 0;
  room->start = room->got + (64 - (uintptr_t)room->got % 64) % 64;
  room->used = 0;
  return 1;
}

static inline void leave(struct room *room) { free(room->got); }
