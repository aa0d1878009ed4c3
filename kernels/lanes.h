/* Sixteen lanes of float32 or int32, the same on every CPU.
 *
 * Each primitive is one IEEE 754 operation a lane, rounded once, or exact. f_sum adds lanes i and
 * i + 8, then i + 4, i + 2, i + 1. f_min and f_max give their second argument where one is no
 * number. So what is built of these alone gives the same bits everywhere; it must be compiled
 * without contraction of products and sums (-ffp-contract=off).
 *
 * A tile, of which each instruction set has its own, multiplies a few rows of codes by up to 48
 * columns of weights, exactly in int32. It may keep codes with an offset, for which `start` makes
 * up: CODE_OFFSET and store_codes say how. Weights that are wanted next lie `ahead` bytes from its own;
 * where that is not 0 it may fetch them into the cache.
 */
#pragma once
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#if defined(UNROLL) /* by a build with sanitizers, where unrolling takes the compiler a minute */
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE void fetch(const void *from) { __builtin_prefetch(from, 0, 2); }

#if defined(KERNEL_AVX512VNNI)
#include "lanes/avx512.h"
#include "tiles/avx512vnni.h"
#elif defined(KERNEL_AVXVNNI)
#include "lanes/avx2.h"
#include "tiles/avxvnni.h"
#elif defined(KERNEL_AVX2)
#include "lanes/avx2.h"
#include "tiles/avx2.h"
#elif defined(KERNEL_I8MM)
#include "lanes/neon.h"
#include "tiles/i8mm.h"
#elif defined(KERNEL_DOTPROD)
#include "lanes/neon.h"
#include "tiles/dotprod.h"
#elif defined(KERNEL_NEON)
#include "lanes/neon.h"
#include "tiles/neon.h"
#else
#include "lanes/plain.h"
#include "tiles/plain.h"
#endif
