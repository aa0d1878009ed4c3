/* Which kernels this CPU can run, and which of them is used. */
#pragma once
#include "kernel.h"

/* Kernels that were built, best first; the last runs on every CPU. */
size_t kernel_count(void);
const struct kernel *kernel_at(size_t place);
int kernel_runs(size_t place); /* whether this CPU has its instructions */

/* The first that this CPU has and that is right, or the one that the environment variable
 * MINILM_ONNX_KERNEL names; NULL where there is none, or it is not right. */
const struct kernel *chosen_kernel(void);

/* The hash that every kernel gives on every CPU, of made-up weights of a small shape, and whether a
 * kernel gives it. */
uint64_t expected_hash(void);
int kernel_is_right(const struct kernel *kernel);
