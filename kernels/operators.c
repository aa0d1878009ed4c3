/* The operators of domain "minilm", as onnxruntime calls them: what docs/operators.md says of their
 * inputs is checked here, once a session, and what a run gives them, each time. */
#include "dispatch.h"
#include "map.h"
#include "ort_abi.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define TRY(call) \
  do { \
    OrtStatus *status_ = (call); \
    if (status_) return status_; \
  } while (0)

enum { MOST_AXES = 4, MOST_WIDTH = 16384, MOST_HEAD = 64 };

/* An operator of a session: its constants, and what runs it. */
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
};

struct tensor {
  const void *data;
  unsigned type;
  size_t axes;
  int64_t sizes[MOST_AXES];
};

/* What is wrong, in words that begin with the operator's name. */
static __attribute__((format(printf, 3, 4))) OrtStatus *
wrong(const struct instance *self, enum code code, const char *format, ...) {
  char text[300], all[400];
  va_list words;
  va_start(words, format);
  vsnprintf(text, sizeof text, format, words);
  va_end(words);
  snprintf(all, sizeof all, "minilm.%s: %s", self->name, text);
  return self->api->CreateStatus(code, all);
}
static OrtStatus *no_memory(const struct instance *self) {
  return wrong(self, OF_FAILURE, "expected memory for a run, got none");
}

static OrtStatus *look_at(const struct instance *self, const OrtValue *value, struct tensor *tensor) {
  const struct ort_api *api = self->api;
  OrtTensorTypeAndShapeInfo *info;
  TRY(api->GetTensorTypeAndShape(value, &info));
  OrtStatus *status = api->GetDimensionsCount(info, &tensor->axes);
  if (!status && tensor->axes > MOST_AXES)
    status = wrong(self, OF_ARGUMENT, "expected at most %d axes, got %zu", MOST_AXES, tensor->axes);
  if (!status) status = api->GetDimensions(info, tensor->sizes, tensor->axes);
  if (!status) status = api->GetTensorElementType(info, &tensor->type);
  api->ReleaseTensorTypeAndShapeInfo(info);
  if (status) return status;
  return api->GetTensorMutableData((OrtValue *)value, (void **)&tensor->data);
}

/* ------------------------------------------------------------------- constants, at creation */

/* A constant of a type and of sizes, of which 0 is any from 1 on and is told. */
static OrtStatus *constant(const struct instance *self, const OrtKernelInfo *info, size_t place,
                           enum element type, size_t axes, int64_t *sizes, const void *to) {
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
                 place, type == INT8 ? "int8" : "float32", axes);
  memcpy((void *)(uintptr_t)to, &tensor.data, sizeof tensor.data);
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
  if (sizes[1] % 8 || sizes[0] % 2 || sizes[0] * 16 > MOST_WIDTH || sizes[1] * 4 > MOST_WIDTH)
    return wrong(self, OF_ARGUMENT, "input %zu: expected inputs and outputs in multiples of 32, up to %d, got %lld and %lld",
                 place, MOST_WIDTH, 4 * (long long)sizes[1], 16 * (long long)sizes[0]);
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
  map_sums(first, self->sums);
  map_sums(second, self->sums + first->outputs);
  return NULL;
}

static OrtStatus *read_embeddings(struct instance *self, const OrtKernelInfo *info) {
  struct embeddings *e = &self->embeddings;
  int64_t words[2] = {0}, scale[1], places[2] = {0};
  TRY(constant(self, info, 1, INT8, 2, words, &e->words));
  scale[0] = words[0];
  TRY(constant(self, info, 2, FLOAT32, 1, scale, &e->scale));
  places[1] = words[1];
  TRY(constant(self, info, 3, FLOAT32, 2, places, &e->places));
  if (words[1] % 32 || words[1] > MOST_WIDTH || words[0] > INT32_MAX || places[0] > INT32_MAX)
    return wrong(self, OF_ARGUMENT, "input 1: expected a width in multiples of 32, up to %d, got %lld",
                 MOST_WIDTH, (long long)words[1]);
  e->vocabulary = (int)words[0];
  e->hidden = (int)words[1];
  e->positions = (int)places[0];
  TRY(self->api->KernelInfoGetAttribute_int64(info, "padding", &e->padding));
  if (e->padding < -1 || e->padding >= words[0])
    return wrong(self, OF_ARGUMENT, "padding: expected an id or -1, got %lld", (long long)e->padding);
  return norm_at(self, info, 4, e->hidden, &e->norm);
}

static OrtStatus *read_attention(struct instance *self, const OrtKernelInfo *info) {
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
  TRY(self->api->KernelInfo_GetInputCount(info, &inputs));
  if (inputs > 10) {
    int64_t sizes[2] = {heads, 0};
    TRY(constant(self, info, 10, FLOAT32, 2, sizes, &a->distance));
    if (sizes[1] % 2 == 0 || sizes[1] > 2 * MOST_TOKENS - 1)
      return wrong(self, OF_ARGUMENT, "input 10: expected 2 * positions - 1 distances, got %lld", (long long)sizes[1]);
    a->positions = (int)((sizes[1] + 1) / 2);
  }
  return sum_maps(self, &a->project, &a->output);
}

static OrtStatus *read_feed(struct instance *self, const OrtKernelInfo *info) {
  struct feed_forward *f = &self->feed;
  int hidden = 0, wide = 0;
  TRY(map_at(self, info, 1, &hidden, &wide, &f->up));
  TRY(map_at(self, info, 4, &wide, &hidden, &f->down));
  TRY(row(self, info, 7, hidden, &f->residual));
  TRY(norm_at(self, info, 8, hidden, &f->norm));
  TRY(self->api->KernelInfoGetAttribute_float(info, "steps", &f->steps));
  int power = 0;
  for (float steps = 32.0f; steps <= 4096.0f; steps *= 2.0f) power |= f->steps == steps;
  if (!power)
    return wrong(self, OF_ARGUMENT, "steps: expected a power of two from 32 to 4096, got %g", (double)f->steps);
  return sum_maps(self, &f->up, &f->down);
}

static void destroy(void *kernel) {
  struct instance *self = kernel;
  if (self) free(self->sums);
  free(self);
}
static OrtStatus *create(const char *name, OrtStatus *(*read)(struct instance *, const OrtKernelInfo *),
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

/* ------------------------------------------------------------------------------------- runs */

static OrtStatus *input(const struct instance *self, OrtKernelContext *context, enum element type,
                        size_t axes, struct tensor *tensor) {
  const OrtValue *value;
  TRY(self->api->KernelContext_GetInput(context, 0, &value));
  TRY(look_at(self, value, tensor));
  if (tensor->type != (unsigned)type || tensor->axes != axes)
    return wrong(self, OF_ARGUMENT, "input 0: expected %s of %zu axes, got another type or shape",
                 type == INT64 ? "int64" : "float32", axes);
  return NULL;
}
static OrtStatus *output(const struct instance *self, OrtKernelContext *context, int64_t texts,
                         int64_t tokens, int64_t width, float **data) {
  const int64_t sizes[3] = {texts, tokens, width};
  OrtValue *value;
  TRY(self->api->KernelContext_GetOutput(context, 0, sizes, 3, &value));
  return self->api->GetTensorMutableData(value, (void **)data);
}

/* The session's own threads. */
struct session_pool {
  const struct instance *self;
  OrtKernelContext *context;
  OrtStatus *status;
};
static void run_parts(void *pool, void (*part)(void *, size_t), size_t parts, void *data) {
  struct session_pool *session = pool;
  if (parts == 1) {
    part(data, 0);
    return;
  }
  OrtStatus *status = session->self->api->KernelContext_ParallelFor(session->context, part, parts, 0, data);
  if (session->status && status) session->self->api->ReleaseStatus(status);
  else if (status) session->status = status;
}

static OrtStatus *check_size(const struct instance *self, int64_t texts, int64_t tokens, int64_t most) {
  if (tokens > most)
    return wrong(self, OF_ARGUMENT, "input 0: expected at most %lld tokens a text, got %lld", (long long)most, (long long)tokens);
  if (tokens && texts > (1 << 24) / tokens)
    return wrong(self, OF_ARGUMENT, "input 0: expected at most %d tokens in all, got %lld texts of %lld", 1 << 24, (long long)texts, (long long)tokens);
  return NULL;
}

static OrtStatus *run_embeddings(void *kernel, OrtKernelContext *context) {
  struct instance *self = kernel;
  const struct embeddings *e = &self->embeddings;
  struct tensor ids;
  float *hidden;
  TRY(input(self, context, INT64, 2, &ids));
  TRY(check_size(self, ids.sizes[0], ids.sizes[1], e->positions - (e->padding >= 0)));
  const size_t count = (size_t)(ids.sizes[0] * ids.sizes[1]);
  const int64_t *all = ids.data;
  for (size_t i = 0; i < count; i++)
    if (all[i] < 0 || all[i] >= e->vocabulary)
      return wrong(self, OF_ARGUMENT, "input 0: expected ids from 0 to %d, got %lld", e->vocabulary - 1, (long long)all[i]);
  TRY(output(self, context, ids.sizes[0], ids.sizes[1], e->hidden, &hidden));
  if (!count) return NULL;
  struct session_pool session = {self, context, NULL};
  const struct pool pool = {run_parts, &session};
  self->kernel->embed(e, all, (size_t)ids.sizes[0], (size_t)ids.sizes[1], hidden, &pool);
  return session.status;
}

/* Both other operators: hidden states of a width to as many. */
static OrtStatus *run_layer(struct instance *self, OrtKernelContext *context, int width, int64_t most,
                            int (*layer)(struct instance *, const float *, size_t, size_t, float *, const struct pool *)) {
  struct tensor hidden;
  float *out;
  TRY(input(self, context, FLOAT32, 3, &hidden));
  if (hidden.sizes[2] != width)
    return wrong(self, OF_ARGUMENT, "input 0: expected %d components, got %lld", width, (long long)hidden.sizes[2]);
  TRY(check_size(self, hidden.sizes[0], hidden.sizes[1], most));
  TRY(output(self, context, hidden.sizes[0], hidden.sizes[1], width, &out));
  if (!hidden.sizes[0] || !hidden.sizes[1]) return NULL;
  struct session_pool session = {self, context, NULL};
  const struct pool pool = {run_parts, &session};
  const int short_of_memory = layer(self, hidden.data, (size_t)hidden.sizes[0], (size_t)hidden.sizes[1], out, &pool);
  if (session.status) return session.status;
  return short_of_memory ? no_memory(self) : NULL;
}
static int attend(struct instance *self, const float *hidden, size_t texts, size_t tokens, float *out, const struct pool *pool) {
  return self->kernel->attend(&self->attention, hidden, texts, tokens, out, pool);
}
static int feed(struct instance *self, const float *hidden, size_t texts, size_t tokens, float *out, const struct pool *pool) {
  return self->kernel->feed(&self->feed, hidden, texts * tokens, out, pool);
}
static OrtStatus *run_attention(void *kernel, OrtKernelContext *context) {
  struct instance *self = kernel;
  const struct attention *a = &self->attention;
  return run_layer(self, context, a->output.outputs, a->distance ? a->positions : MOST_TOKENS, attend);
}
static OrtStatus *run_feed(void *kernel, OrtKernelContext *context) {
  struct instance *self = kernel;
  return run_layer(self, context, self->feed.up.inputs, 1 << 24, feed);
}

/* ------------------------------------------------------------------------- what onnxruntime asks */

static const char *on_the_cpu(const struct ort_op *op) { (void)op; return NULL; }
static size_t one(const struct ort_op *op) { (void)op; return 1; }
static unsigned float32(const struct ort_op *op, size_t place) { (void)op, (void)place; return FLOAT32; }
static unsigned required(const struct ort_op *op, size_t place) { (void)op, (void)place; return REQUIRED; }
static int default_memory(const struct ort_op *op, size_t place) { (void)op, (void)place; return 0; }
static int no_arity(const struct ort_op *op) { (void)op; return 0; }
static int first_version(const struct ort_op *op) { (void)op; return 1; }
static int last_version(const struct ort_op *op) { (void)op; return 1; }

static const char *embeddings_name(const struct ort_op *op) { (void)op; return "Embeddings"; }
static size_t embeddings_inputs(const struct ort_op *op) { (void)op; return 6; }
static unsigned embeddings_type(const struct ort_op *op, size_t place) {
  (void)op;
  return place == 0 ? INT64 : place == 1 ? INT8 : FLOAT32;
}
static OrtStatus *create_embeddings(const struct ort_op *op, const struct ort_api *api, const OrtKernelInfo *info, void **kernel) {
  return create(embeddings_name(op), read_embeddings, api, info, kernel);
}

static const char *attention_name(const struct ort_op *op) { (void)op; return "SelfAttention"; }
static size_t attention_inputs(const struct ort_op *op) { (void)op; return 11; }
static unsigned layer_type(const struct ort_op *op, size_t place) {
  (void)op;
  return place == 1 || place == 4 ? INT8 : FLOAT32;
}
static unsigned attention_kind(const struct ort_op *op, size_t place) {
  (void)op;
  return place == 10 ? OPTIONAL : REQUIRED;
}
static OrtStatus *create_attention(const struct ort_op *op, const struct ort_api *api, const OrtKernelInfo *info, void **kernel) {
  return create(attention_name(op), read_attention, api, info, kernel);
}

static const char *feed_name(const struct ort_op *op) { (void)op; return "FeedForward"; }
static size_t feed_inputs(const struct ort_op *op) { (void)op; return 10; }
static OrtStatus *create_feed(const struct ort_op *op, const struct ort_api *api, const OrtKernelInfo *info, void **kernel) {
  return create(feed_name(op), read_feed, api, info, kernel);
}

#define OP(prefix, type, kind, run) \
  { \
    .version = ORT_ABI, .GetName = prefix##_name, .GetExecutionProviderType = on_the_cpu, \
    .GetInputType = type, .GetInputTypeCount = prefix##_inputs, .GetOutputType = float32, \
    .GetOutputTypeCount = one, .KernelDestroy = destroy, .GetInputCharacteristic = kind, \
    .GetOutputCharacteristic = required, .GetInputMemoryType = default_memory, \
    .GetVariadicInputMinArity = no_arity, .GetVariadicInputHomogeneity = no_arity, \
    .GetVariadicOutputMinArity = no_arity, .GetVariadicOutputHomogeneity = no_arity, \
    .CreateKernelV2 = create_##prefix, .KernelComputeV2 = run, .GetStartVersion = first_version, \
    .GetEndVersion = last_version, \
  }
static const struct ort_op OPS[] = {
    OP(embeddings, embeddings_type, required, run_embeddings),
    OP(attention, layer_type, attention_kind, run_attention),
    OP(feed, layer_type, required, run_feed),
};

/* What SessionOptions.register_custom_ops_library calls. */
EXPORT OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const struct ort_api_base *base);
OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const struct ort_api_base *base) {
  const struct ort_api *api = base->GetApi(ORT_ABI);
  if (!api) { /* the oldest table has what is needed to say so */
    api = base->GetApi(1);
    return api ? api->CreateStatus(OF_FAILURE, "minilm: expected onnxruntime 1.18 or newer") : NULL;
  }
  OrtCustomOpDomain *domain; /* as long as any session lives; nothing tells when that ends */
  TRY(api->CreateCustomOpDomain("minilm", &domain));
  for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++)
    TRY(api->CustomOpDomain_Add(domain, (const struct OrtCustomOp *)&OPS[i]));
  return api->AddCustomOpDomain(options, domain);
}

/* The name of the kernel that is used; NULL where MINILM_ONNX_KERNEL names one that cannot be. */
EXPORT const char *minilm_kernel(void);
const char *minilm_kernel(void) {
  const struct kernel *kernel = chosen_kernel();
  return kernel ? kernel->name : NULL;
}

/* Of the kernel at a place, best first: its name, NULL behind the last; whether this CPU has its
 * instructions; and then a hash of its bits, and whether these are right. */
EXPORT const char *minilm_kernel_name(size_t place);
EXPORT int minilm_kernel_runs(size_t place);
EXPORT uint64_t minilm_kernel_hash(size_t place);
EXPORT int minilm_kernel_is_right(size_t place);
const char *minilm_kernel_name(size_t place) {
  return place < kernel_count() ? kernel_at(place)->name : NULL;
}
int minilm_kernel_runs(size_t place) { return place < kernel_count() && kernel_runs(place); }
uint64_t minilm_kernel_hash(size_t place) {
  return minilm_kernel_runs(place) ? kernel_hash(kernel_at(place)) : 0;
}
int minilm_kernel_is_right(size_t place) {
  return minilm_kernel_runs(place) && kernel_is_right(kernel_at(place));
}
