/* The operators of domain "minilm", as onnxruntime calls them: their constants are checked when a
 * session is made (instance.c), and what a run gives them here, each time. */
#include "dispatch.h"
#include "instance.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

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
/* Whether runs of the calling thread leave the session's other threads alone. */
static _Thread_local int alone;

static void run_parts(void *pool, void (*part)(void *, size_t), size_t parts, void *data) {
  struct session_pool *session = pool;
  if (parts == 1 || alone) {
    for (size_t i = 0; i < parts; i++) part(data, i);
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
  return self->kernel->feed(&self->feed, hidden, texts, tokens, out, pool);
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
static size_t attention_inputs(const struct ort_op *op) { (void)op; return 13; }
static unsigned layer_type(const struct ort_op *op, size_t place) {
  (void)op;
  return place == 1 || place == 4 ? INT8 : place == 10 ? INT64 : FLOAT32;
}
static unsigned attention_kind(const struct ort_op *op, size_t place) {
  (void)op;
  return place == 12 ? OPTIONAL : REQUIRED;
}
static OrtStatus *create_attention(const struct ort_op *op, const struct ort_api *api, const OrtKernelInfo *info, void **kernel) {
  return create(attention_name(op), read_attention, api, info, kernel);
}

static const char *feed_name(const struct ort_op *op) { (void)op; return "FeedForward"; }
static size_t feed_inputs(const struct ort_op *op) { (void)op; return 12; }
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

/* The hash that every kernel of this library gives, by which it is known which arithmetic it has. */
EXPORT uint64_t minilm_bits(void);
uint64_t minilm_bits(void) { return expected_hash(); }

/* Its products alone, so many tiles of them, to be timed: gives the operations of a tile. */
EXPORT size_t minilm_multiply(size_t tiles);
size_t minilm_multiply(size_t tiles) {
  const struct kernel *kernel = chosen_kernel();
  return kernel ? kernel->multiply(tiles) : 0;
}

/* From now on runs of the calling thread keep to it, or have all threads of their session again. */
EXPORT void minilm_run_alone(int yes);
void minilm_run_alone(int yes) { alone = yes; }

/* Of the kernel at a place, best first: its name, NULL behind the last; whether this CPU has its
 * instructions; and then whether its bits are right. */
EXPORT const char *minilm_kernel_name(size_t place);
EXPORT int minilm_kernel_runs(size_t place);
EXPORT int minilm_kernel_is_right(size_t place);
const char *minilm_kernel_name(size_t place) {
  return place < kernel_count() ? kernel_at(place)->name : NULL;
}
int minilm_kernel_runs(size_t place) { return place < kernel_count() && kernel_runs(place); }
int minilm_kernel_is_right(size_t place) {
  return minilm_kernel_runs(place) && kernel_is_right(kernel_at(place));
}
