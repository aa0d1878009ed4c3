#include "instance.h"
#include "dispatch.h"
#include "map.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WIDTH = 16384, MOST_HEAD = 64 };

OrtStatus *wrong(const struct instance *self, enum code code, const char *format, ...) {
  char text[300], all[400];
  va_list words;
  va_start(words, format);
  vsnprintf(text, sizeof text, format, words);
  va_end(words);
  snprintf(all, sizeof all, "minilm.%s: %s", self->name, text);
  return self->api->CreateStatus(code, all);
}
OrtStatus *no_memory(const struct instance *self) {
  return wrong(self, OF_FAILURE, "expected memory for a run, got none");
}

OrtStatus *look_at(const struct instance *self, const OrtValue *value, struct tensor *tensor) {
  const struct ort_api *api = self->api;
  OrtTensorTypeAndShapeInfo *info;
  TRY(api->GetTensorTypeAndShape(value, &info));
  OrtStatus *status = api->GetDimensionsCount(info, &tensor->axes);
  if (!status && tensor->axes > MOST_AXES)
    status = wrong(self, OF_ARGUMENT, "expected at most %d axes, got %zu", MOST_AXES, tensor->axes);
  if (!status) status = api->GetDimensions(info, tensor->sizes, tensor->axes);
  if (!status) status = api->GetTensorElementType(info, &tensor->type);
  api->ReleaseTensorTypeAndShapeInfo(info);
  if (!status) status = api->GetTensorMutableData((OrtValue *)value, (void **)&tensor->data);
  if (status) return status;
  /* A file of weights may be mapped, and then they lie as they lie in the file. */
  const size_t bytes = tensor->type == FLOAT32 ? 4 : tensor->type == INT64 ? 8 : 1;
  if ((uintptr_t)tensor->data % bytes)
    return wrong(self, OF_ARGUMENT, "expected values that begin at a multiple of their %zu bytes, got others", bytes);
  return NULL;
}

/* A constant of a type and of sizes, of which 0 is any from 1 on and is told. */
static OrtStatus *constant(const struct instance *self, const OrtKernelInfo *info, size_t place,
                           enum element type, size_t axes, int64_t *sizes, void *to) {
  int is_constant = 0;
  const OrtValue *value = NULL;
  struct tensor tensor;
  TRY(self->api->KernelInfoGetConstantInput_tensor(info, place, &is_constant, &value));
  if (!is_constant || !value)
    return wrong(self, OF_ARGUMENT, "input %zu: expected an initializer, got a value of the graph", place);
  TRY(look_at(self, value, &tensor));
  int fits = tensor.type == (unsigned)type && tensor.axes == axes;
  for (size_t axis = 0; fits && axis < axes; axis++) {
    if (!sizes[axis] && tensor.sizes[axis] > 0) sizes[axis] = tensor.sizes[axis];
    fits = tensor.sizes[axis] == sizes[axis] && sizes[axis] > 0;
  }
  if (!fits)
    return wrong(self, OF_ARGUMENT, "input %zu: expected %s of %zu axes that fit the others, got another type or shape; see docs/operators.md",
                 place, type == INT8 ? "int8" : type == INT64 ? "int64" : "float32", axes);
  memcpy(to, &tensor.data, sizeof tensor.data);
  return NULL;
}
static OrtStatus *row(const struct instance *self, const OrtKernelInfo *info, size_t place,
                      int64_t width, const float **to) {
  int64_t sizes[1] = {width};
  return constant(self, info, place, FLOAT32, 1, sizes, to);
}

/* Weights, scales and biases, from input `place` on; a width of 0 is any and is told. */
static OrtStatus *map_at(const struct instance *self, const OrtKernelInfo *info, size_t place,
                         int *inputs, int *outputs, struct map *map) {
  int64_t sizes[4] = {*outputs / 16, *inputs / 4, 16, 4};
  TRY(constant(self, info, place, INT8, 4, sizes, &map->weights));
  if (sizes[1] % 8 || sizes[0] % 2 || sizes[0] > MOST_WIDTH / 16 || sizes[1] > MOST_WIDTH / 4)
    return wrong(self, OF_ARGUMENT, "input %zu: expected inputs and outputs in multiples of 32, up to %d, got %llu and %llu",
                 place, MOST_WIDTH, 4 * (unsigned long long)sizes[1], 16 * (unsigned long long)sizes[0]);
  map->inputs = *inputs = (int)(4 * sizes[1]);
  map->outputs = *outputs = (int)(16 * sizes[0]);
  TRY(row(self, info, place + 1, *outputs, &map->scale));
  return row(self, info, place + 2, *outputs, &map->bias);
}
static OrtStatus *norm_at(const struct instance *self, const OrtKernelInfo *info, size_t place,
                          int width, struct norm *norm) {
  TRY(row(self, info, place, width, &norm->gain));
  TRY(row(self, info, place + 1, width, &norm->shift));
  TRY(self->api->KernelInfoGetAttribute_float(info, "epsilon", &norm->epsilon));
  if (!(norm->epsilon >= 0.0f && norm->epsilon < 1.0f))
    return wrong(self, OF_ARGUMENT, "epsilon: expected 0 to 1, got %g", (double)norm->epsilon);
  return NULL;
}
static OrtStatus *sum_maps(struct instance *self, struct map *first, struct map *second) {
  self->sums = malloc(sizeof *self->sums * (size_t)(first->outputs + second->outputs));
  if (!self->sums) return no_memory(self);
  first->sums = self->sums;
  second->sums = self->sums + first->outputs;
  const int one = map_sums(first, self->sums), other = map_sums(second, self->sums + first->outputs);
  if (one < -127 || other < -127) /* two products with a code of -128 would not fit the int16 of tiles/neon.h */
    return wrong(self, OF_ARGUMENT, "expected weights from -127 to 127, got -128");
  return NULL;
}

/* Wide channels, and their weights, from input `place` on. */
static OrtStatus *wide_at(struct instance *self, const OrtKernelInfo *info, size_t place,
                          const struct map *map, struct wide *wide) {
  int64_t count[1] = {WIDE}, sizes[2] = {WIDE, map->outputs};
  const int64_t *channels = NULL;
  TRY(constant(self, info, place, INT64, 1, count, &channels));
  TRY(constant(self, info, place + 1, FLOAT32, 2, sizes, &wide->weights));
  self->others = malloc(sizeof *self->others * (size_t)map->inputs);
  if (!self->others) return no_memory(self);
  for (int input = 0; input < map->inputs; input++) self->others[input] = 1.0f;
  for (int c = 0; c < WIDE; c++) {
    if (channels[c] < 0 || channels[c] >= map->inputs || !(self->others[channels[c]] > 0.0f))
      return wrong(self, OF_ARGUMENT, "input %zu: expected channels from 0 to %d, none of them twice, got %lld", place, map->inputs - 1, (long long)channels[c]);
    wide->channel[c] = (int)channels[c];
    self->others[channels[c]] = 0.0f;
  }
  wide->others = self->others;
  return NULL;
}
static OrtStatus *fine_at(const struct instance *self, const OrtKernelInfo *info, int *fine) {
  int64_t tokens;
  TRY(self->api->KernelInfoGetAttribute_int64(info, "fine", &tokens));
  if (tokens < 0 || tokens > MOST_TOKENS)
    return wrong(self, OF_ARGUMENT, "fine: expected 0 to %d tokens, got %lld", MOST_TOKENS, (long long)tokens);
  *fine = (int)tokens;
  return NULL;
}

OrtStatus *read_embeddings(struct instance *self, const OrtKernelInfo *info) {
  struct embeddings *e = &self->embeddings;
  int64_t words[2] = {0}, scale[1], places[2] = {0};
  TRY(constant(self, info, 1, INT8, 2, words, &e->words));
  scale[0] = words[0];
  TRY(constant(self, info, 2, FLOAT32, 1, scale, &e->scale));
  places[1] = words[1];
  TRY(constant(self, info, 3, FLOAT32, 2, places, &e->places));
  if (words[1] % 32 || words[1] > MOST_WIDTH)
    return wrong(self, OF_ARGUMENT, "input 1: expected a width in multiples of 32, up to %d, got %lld",
                 MOST_WIDTH, (long long)words[1]);
  if (words[0] > INT32_MAX || places[0] > INT32_MAX)
    return wrong(self, OF_ARGUMENT, "inputs 1 and 3: expected fewer than 2^31 rows, got %lld and %lld",
                 (long long)words[0], (long long)places[0]);
  e->vocabulary = (int)words[0];
  e->hidden = (int)words[1];
  e->positions = (int)places[0];
  TRY(self->api->KernelInfoGetAttribute_int64(info, "padding", &e->padding));
  if (e->padding < -1 || e->padding >= words[0])
    return wrong(self, OF_ARGUMENT, "padding: expected an id or -1, got %lld", (long long)e->padding);
  return norm_at(self, info, 4, e->hidden, &e->norm);
}

OrtStatus *read_attention(struct instance *self, const OrtKernelInfo *info) {
  struct attention *a = &self->attention;
  int hidden = 0, project = 0;
  int64_t heads;
  size_t inputs;
  TRY(map_at(self, info, 1, &hidden, &project, &a->project));
  if (project != 3 * hidden)
    return wrong(self, OF_ARGUMENT, "input 1: expected three outputs an input, got %d for %d", project, hidden);
  TRY(map_at(self, info, 4, &hidden, &hidden, &a->output));
  TRY(row(self, info, 7, hidden, &a->residual));
  TRY(norm_at(self, info, 8, hidden, &a->norm));
  TRY(self->api->KernelInfoGetAttribute_int64(info, "heads", &heads));
  if (heads < 1 || heads > hidden / 16 || hidden % heads || hidden / heads % 16 || hidden / heads > MOST_HEAD)
    return wrong(self, OF_ARGUMENT, "heads: expected such that each has 16, 32, 48 or 64 of %d components, got %lld",
                 hidden, (long long)heads);
  a->heads = (int)heads;
  TRY(fine_at(self, info, &a->fine));
  TRY(wide_at(self, info, 10, &a->project, &a->wide));
  TRY(self->api->KernelInfo_GetInputCount(info, &inputs));
  if (inputs > 12) {
    int64_t sizes[2] = {heads, 0};
    TRY(constant(self, info, 12, FLOAT32, 2, sizes, &a->distance));
    if (sizes[1] % 2 == 0 || sizes[1] > 2 * MOST_TOKENS - 1)
      return wrong(self, OF_ARGUMENT, "input 12: expected 2 * positions - 1 distances, got %lld", (long long)sizes[1]);
    a->positions = (int)((sizes[1] + 1) / 2);
  }
  return sum_maps(self, &a->project, &a->output);
}

OrtStatus *read_feed(struct instance *self, const OrtKernelInfo *info) {
  struct feed_forward *f = &self->feed;
  int hidden = 0, wide = 0;
  TRY(map_at(self, info, 1, &hidden, &wide, &f->up));
  TRY(map_at(self, info, 4, &wide, &hidden, &f->down));
  TRY(row(self, info, 7, hidden, &f->residual));
  TRY(norm_at(self, info, 8, hidden, &f->norm));
  TRY(fine_at(self, info, &f->fine));
  TRY(wide_at(self, info, 10, &f->up, &f->wide));
  TRY(self->api->KernelInfoGetAttribute_float(info, "steps", &f->steps));
  int power = 0;
  for (float steps = 32.0f; steps <= 4096.0f; steps *= 2.0f) power |= f->steps == steps;
  if (!power)
    return wrong(self, OF_ARGUMENT, "steps: expected a power of two from 32 to 4096, got %g", (double)f->steps);
  return sum_maps(self, &f->up, &f->down);
}

void destroy(void *kernel) {
  struct instance *self = kernel;
  if (self) free(self->sums), free(self->others);
  free(self);
}
OrtStatus *create(const char *name, OrtStatus *(*read)(struct instance *, const OrtKernelInfo *),
                  const struct ort_api *api, const OrtKernelInfo *info, void **kernel) {
  struct instance *self = calloc(1, sizeof *self);
  if (!self) return api->CreateStatus(OF_FAILURE, "minilm: expected memory for an operator, got none");
  self->api = api;
  self->name = name;
  self->kernel = chosen_kernel();
  OrtStatus *status = self->kernel ? read(self, info) : wrong(self, OF_FAILURE, "expected a kernel that this CPU can run");
  if (status) destroy(self);
  else *kernel = self;
  return status;
}
