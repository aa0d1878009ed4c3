/* One kernel: the encoder's operators for the instruction set that the compiler is told. */
#include "attention.h"
#include "embed.h"
#include "feed_forward.h"
#include "peak.h"

#ifndef KERNEL
#define KERNEL minilm_plain
#endif

const struct kernel KERNEL = {KERNEL_NAME, embed, attend, feed, multiply};
