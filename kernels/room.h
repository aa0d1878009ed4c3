/* Working memory: what is needed is counted first, got at once, and then taken piece by piece. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A build for AddressSanitizer, which knows where all that was got ends, and must be told of pieces. */
#if defined(TELL_ASAN)
#include <sanitizer/asan_interface.h>
enum { GAP = 64 };
#else
#define ASAN_POISON_MEMORY_REGION(from, bytes) ((void)(from), (void)(bytes))
enum { GAP = 0 };
#endif

struct room {
  char *start; /* NULL while it is counted */
  char *got;   /* what free wants */
  size_t used;
};

/* A piece, at a cache line's start; NULL while it is counted. 64 bytes more than are asked for may
 * be written: a vector's end. */
static inline void *take(struct room *room, size_t bytes) {
  char *piece = room->start ? room->start + room->used : NULL;
  room->used += (bytes + 127) / 64 * 64 + GAP;
  if (GAP && piece) ASAN_POISON_MEMORY_REGION(piece + bytes + 64, room->start + room->used - piece - bytes - 64);
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
