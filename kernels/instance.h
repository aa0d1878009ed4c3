/* An operator of a session: its constants, which are checked once, and what runs it. */
#pragma once
#include "kernel.h"
#include "ort_abi.h"

#define TRY(call) \
  do { \
    OrtStatus *status_ = (call); \
    if (status_) return status_; \
  } while (0)

enum { MOST_AXES = 4 };

struct instance {
  const struct ort_api *api;
  const struct kernel *kernel;
  const char *name;
  union {
    struct embeddings embeddings;
    struct attention attention;
    struct feed_forward feed;
  };
  int32_t *sums; /* of the weights of both maps */
  float *others; /* of wide channels */
};

struct tensor {
  const void *data;
  unsigned type;
  size_t axes;
  int64_t sizes[MOST_AXES];
};

/* What is wrong, in words that begin with the operator's name. */
OrtStatus *wrong(const struct instance *self, enum code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
OrtStatus *no_memory(const struct instance *self);
OrtStatus *look_at(const struct instance *self, const OrtValue *value, struct tensor *tensor);

/* Make one, of the constants that docs/operators.md names; and end it. */
OrtStatus *create(const char *name, OrtStatus *(*read)(struct instance *, const OrtKernelInfo *),
                  const struct ort_api *api, const OrtKernelInfo *info, void **kernel);
OrtStatus *read_embeddings(struct instance *self, const OrtKernelInfo *info);
OrtStatus *read_attention(struct instance *self, const OrtKernelInfo *info);
OrtStatus *read_feed(struct instance *self, const OrtKernelInfo *info);
void destroy(void *kernel);
