/* libFuzzer's target: an operator is made of any constants and run on any input, as onnxruntime
 * would, through a table of functions that is made here. tests/kernels/test_fuzzing.py builds it.
 *
 * What must hold: nothing is read or written out of bounds, and nothing is left behind; what is as
 * docs/operators.md has it is taken, and what is refused is refused in words; and every kernel of
 * this CPU gives plain C's bits where the page defines them, of a text alone as in company.
 */
#include "dispatch.h"
#include "instance.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(holds) \
  do { \
    if (!(holds)) { \
      fprintf(stderr, "line %d: expected %s\n", __LINE__, #holds); \
      abort(); \
    } \
  } while (0)

enum { MOST_INPUTS = 13, CHANNELS = 10, APART = 11, DISTANCE = 12, BIG = 1 << 18 };

/* ------------------------------------------------------------------------------------- numbers */

static const uint8_t *bytes, *end;
static uint32_t state;
static int tame; /* whether floats are such that the bits are mostly defined */
static unsigned byte(void) { return bytes < end ? *bytes++ : 0; }
static uint32_t word(void) { /* Marsaglia's xorshift */
  state ^= state << 13, state ^= state >> 17, state ^= state << 5;
  return state;
}
static float of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

/* ------------------------------------------------------------------------------------ onnxruntime */

struct OrtStatus {
  char words[400];
};
struct OrtValue {
  unsigned type;
  size_t axes, count;
  int64_t sizes[8];
  char *start, *data; /* unaligned values lie behind their start; NULL for too many */
};
struct OrtTensorTypeAndShapeInfo {
  const OrtValue *value;
};
struct OrtKernelInfo {
  size_t inputs;
  OrtValue value[MOST_INPUTS];
  int kind[MOST_INPUTS]; /* 0 of the graph, 1 a constant, 2 a constant that is NULL */
  float epsilon, steps;
  int64_t padding, heads, fine;
  int64_t stray; /* in place of a channel; 0 for none */
  int twice;     /* whether a channel is there twice */
};
struct OrtKernelContext {
  OrtValue in, out;
  int backwards;
};

static long alive;                /* statuses and shapes that nobody has released */
static unsigned calls, failing;   /* the call that fails; 0 for none */
static const char PLANTED[] = "planted";

static OrtStatus *new_status(unsigned code, const char *words) {
  OrtStatus *status = malloc(sizeof *status);
  MUST(code == OF_FAILURE || code == OF_ARGUMENT);
  snprintf(status->words, sizeof status->words, "%s", words);
  alive++;
  return status;
}
static void release_status(OrtStatus *status) { alive--, free(status); }
#define MAY_FAIL \
  if (++calls == failing) return new_status(OF_FAILURE, PLANTED)

static OrtStatus *data_of(OrtValue *value, void **out) { MAY_FAIL; *out = value->data; return NULL; }
static OrtStatus *shape_of(const OrtValue *value, OrtTensorTypeAndShapeInfo **out) {
  MAY_FAIL;
  *out = malloc(sizeof **out);
  (*out)->value = value;
  alive++;
  return NULL;
}
static void release_shape(OrtTensorTypeAndShapeInfo *shape) { alive--, free(shape); }
static OrtStatus *type_of(const OrtTensorTypeAndShapeInfo *shape, unsigned *out) { MAY_FAIL; *out = shape->value->type; return NULL; }
static OrtStatus *axes_of(const OrtTensorTypeAndShapeInfo *shape, size_t *out) { MAY_FAIL; *out = shape->value->axes; return NULL; }
static OrtStatus *sizes_of(const OrtTensorTypeAndShapeInfo *shape, int64_t *out, size_t count) {
  MAY_FAIL;
  memcpy(out, shape->value->sizes, count * sizeof *out);
  return NULL;
}
static OrtStatus *float_of(const OrtKernelInfo *info, const char *name, float *out) {
  MAY_FAIL;
  *out = strcmp(name, "steps") ? info->epsilon : info->steps;
  return NULL;
}
static OrtStatus *int_of(const OrtKernelInfo *info, const char *name, int64_t *out) {
  MAY_FAIL;
  if (!strcmp(name, "heads")) *out = info->heads;
  else if (!strcmp(name, "fine")) *out = info->fine;
  else *out = info->padding;
  return NULL;
}
static OrtStatus *inputs_of(const OrtKernelInfo *info, size_t *out) { MAY_FAIL; *out = info->inputs; return NULL; }
static OrtStatus *constant_of(const OrtKernelInfo *info, size_t place, int *constant, const OrtValue **out) {
  MAY_FAIL;
  MUST(place && place < info->inputs);
  *constant = info->kind[place] != 0;
  *out = info->kind[place] == 1 ? &info->value[place] : NULL;
  return NULL;
}
static OrtStatus *input_of(const OrtKernelContext *context, size_t place, const OrtValue **out) {
  MAY_FAIL;
  MUST(place == 0);
  *out = &context->in;
  return NULL;
}
static OrtStatus *output_of(OrtKernelContext *context, size_t place, const int64_t *sizes, size_t count, OrtValue **out) {
  MAY_FAIL;
  MUST(place == 0 && count == 3 && !context->out.data);
  size_t all = 1;
  for (size_t axis = 0; axis < 3; axis++) all = sizes[axis] ? all * (size_t)sizes[axis] : 0;
  context->out.count = all;
  context->out.data = malloc(4 * all);
  *out = &context->out;
  return NULL;
}
static OrtStatus *run_all(const OrtKernelContext *context, void (*part)(void *, size_t), size_t parts, size_t batches, void *data) {
  MAY_FAIL;
  (void)batches;
  for (size_t i = 0; i < parts; i++) part(data, context->backwards ? parts - 1 - i : i);
  return NULL;
}

static const struct ort_op *ops[3];
static OrtStatus *new_domain(const char *name, OrtCustomOpDomain **out) { (void)name, *out = NULL; return NULL; }
static OrtStatus *keep_op(OrtCustomOpDomain *domain, const struct OrtCustomOp *op) {
  (void)domain;
  for (int i = 0; i < 3; i++)
    if (!ops[i]) { ops[i] = (const struct ort_op *)op; break; }
  return NULL;
}
static OrtStatus *add_domain(OrtSessionOptions *options, OrtCustomOpDomain *domain) { (void)options, (void)domain; return NULL; }
static const struct ort_api API = {
    .CreateStatus = new_status, .CreateCustomOpDomain = new_domain, .CustomOpDomain_Add = keep_op,
    .AddCustomOpDomain = add_domain, .GetTensorMutableData = data_of, .GetTensorElementType = type_of,
    .GetDimensionsCount = axes_of, .GetDimensions = sizes_of, .GetTensorTypeAndShape = shape_of,
    .KernelInfoGetAttribute_float = float_of, .KernelInfoGetAttribute_int64 = int_of,
    .KernelContext_GetInput = input_of, .KernelContext_GetOutput = output_of,
    .ReleaseStatus = release_status, .ReleaseTensorTypeAndShapeInfo = release_shape,
    .KernelInfo_GetInputCount = inputs_of, .KernelInfoGetConstantInput_tensor = constant_of,
    .KernelContext_ParallelFor = run_all,
};
static const struct ort_api *get_api(uint32_t version) { return version == ORT_ABI ? &API : NULL; }

/* ------------------------------------------------------------------------------------- values */

static void shape(OrtValue *value, unsigned type, size_t axes, int64_t a, int64_t b, int64_t c, int64_t d) {
  *value = (OrtValue){.type = type, .axes = axes, .sizes = {a, b, c, d}};
}

/* Memory for as many values as the sizes say, to the byte; NULL where they are absurd. */
static void furnish_value(OrtValue *value, size_t unaligned) {
  const size_t size = value->type == FLOAT32 ? 4 : value->type == INT64 ? 8 : 1;
  value->count = 1;
  for (size_t axis = 0; axis < value->axes; axis++) {
    if (value->sizes[axis] < 0 || value->sizes[axis] > BIG) value->count = BIG + 1;
    else if (value->count <= BIG || !value->sizes[axis]) value->count *= (size_t)value->sizes[axis];
  }
  if (value->count > BIG) return;
  value->start = malloc(value->count * size + unaligned);
  value->data = value->start + unaligned;
}

/* Floats around a power of two, of any bits, or peculiar ones. */
static void fill_floats(float *to, size_t count) {
  static const float PECULIAR[] = {0.0f, -0.0f, 1e-45f, -1e-38f, 1e-6f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN, 4096.0f, 65504.0f};
  const unsigned any = byte(), size = byte(), kind = tame ? any % 8 < 3 ? 0 : any % 8 : any;
  const int power = kind < 128 ? (int)(size % (tame ? 8 : 12)) - 9 : (int)size - 150;
  for (size_t i = 0; i < count; i++)
    switch (kind % 8) {
      case 1: to[i] = of_bits(word()); break;
      case 2: to[i] = PECULIAR[word() % (sizeof PECULIAR / sizeof *PECULIAR)]; break;
      case 3: to[i] = 0.0f; break;
      case 4: to[i] = word() % 16 ? 0.0f : ldexpf(1.0f, power); break;
      default: to[i] = ldexpf((float)(int32_t)word() / 2147483648.0f, power);
    }
}
static void fill_codes(int8_t *to, size_t count) {
  const unsigned kind = byte() % 4;
  for (size_t i = 0; i < count; i++)
    to[i] = (int8_t)(kind == 0 ? (int)(word() % 255) - 127 : kind == 1 ? 127 : kind == 2 ? -127 : word() % 2 ? 127 : -127);
}
static void fill(OrtValue *value) {
  memset(value->data, 0, value->count * (value->type == FLOAT32 ? 4 : value->type == INT64 ? 8 : 1));
  if ((uintptr_t)value->data % 8) return;
  if (value->type == FLOAT32) fill_floats((float *)value->data, value->count);
  else if (value->type == INT8) fill_codes((int8_t *)value->data, value->count);
}

/* Different channels of so many, unless the graph is hostile. */
static void fill_channels(const struct OrtKernelInfo *info, OrtValue *value, int64_t width) {
  if (value->type != INT64 || !value->count || (uintptr_t)value->data % 8) return;
  int64_t *channels = (int64_t *)value->data;
  const size_t all = (size_t)width, first = word() % all, apart = 1 + word() % (all / WIDE);
  for (size_t i = 0; i < value->count; i++) channels[i] = (int64_t)((first + i * apart) % all);
  if (info->twice) channels[0] = channels[value->count - 1];
  if (info->stray) channels[word() % value->count] = info->stray;
}
/* Whether they may be taken: each is one of so many, and none is there twice. */
static int are_channels(const OrtValue *value, int64_t width) {
  if (!value->data || value->type != INT64 || value->count != WIDE || (uintptr_t)value->data % 8) return 0;
  const int64_t *channels = (const int64_t *)value->data;
  for (int i = 0; i < WIDE; i++) {
    if (channels[i] < 0 || channels[i] >= width) return 0;
    for (int j = 0; j < i; j++)
      if (channels[i] == channels[j]) return 0;
  }
  return 1;
}

/* ---------------------------------------------------------------------------- what is defined */

/* The largest magnitude; infinite where one is no number. */
static double largest(const OrtValue *value) {
  double most = 0.0;
  for (size_t i = 0; i < value->count; i++) {
    const float one = fabsf(((const float *)value->data)[i]);
    if (!(one <= 3.4e38f)) return INFINITY;
    most = one > most ? one : most;
  }
  return most;
}
/* The most that a map, from input `place` on, can make of rows of so much. What a code of two bytes
 * stands for is no further from its value than what one of one byte does. */
static double mapped(const struct OrtKernelInfo *info, size_t place, double most) {
  const double inputs = 4.0 * (double)info->value[place].sizes[1];
  return fmax(most, 1e-6) * 130.0 * inputs * largest(&info->value[place + 1]) + largest(&info->value[place + 2]);
}
/* Whether docs/operators.md defines the bits: no overflow, and scores of up to 4,096. */
static int is_defined(unsigned kind, const struct OrtKernelInfo *info, const OrtValue *in) {
  const double safe = 1e15;
  if (kind == 0)
    return 127.0 * largest(&info->value[2]) + largest(&info->value[3]) < safe &&
           largest(&info->value[4]) < safe && largest(&info->value[5]) < safe;
  const double hidden = largest(in);
  const double first = mapped(info, 1, hidden) + WIDE * hidden * largest(&info->value[APART]);
  const double second = mapped(info, 4, kind == 1 ? first : 2.0 * 4096.0);
  int all = first < safe && second < safe && hidden * largest(&info->value[7]) < safe &&
            largest(&info->value[8]) < safe && largest(&info->value[9]) < safe;
  if (kind == 1) {
    const double size = 4.0 * (double)info->value[1].sizes[1] / (double)info->heads;
    const double distance = info->inputs > DISTANCE ? largest(&info->value[DISTANCE]) : 0.0;
    all = all && first * first * sqrt(size) * 1.4427 + distance < 4000.0;
  }
  return all;
}

/* --------------------------------------------------------------------------------- operators */

/* Constants of an operator that fits, and how many tokens a text may have. */
static size_t shape_constants(unsigned kind, struct OrtKernelInfo *info, int64_t *width) {
  const int64_t hidden = 32 * (1 + byte() % 3), wide = 32 * (1 + byte() % 4);
  OrtValue *value = info->value;
  size_t most = 272;
  *width = hidden;
  info->epsilon = byte() % 2 ? 1e-12f : byte() % 2 ? 0.0f : 0.5f;
  info->steps = (float)(32 << byte() % 8);
  info->padding = -1;
  if (kind == 0) {
    const int64_t words = 1 + byte() % 16, places = 2 + byte() % 40;
    info->inputs = 6;
    if (byte() % 2) info->padding = byte() % words;
    shape(value + 1, INT8, 2, words, hidden, 0, 0);
    shape(value + 2, FLOAT32, 1, words, 0, 0, 0);
    shape(value + 3, FLOAT32, 2, places, hidden, 0, 0);
    most = (size_t)(places - (info->padding >= 0));
  } else {
    const int64_t up = kind == 1 ? 3 * hidden : wide, down = kind == 1 ? hidden : wide;
    const int64_t size = hidden % 48 || byte() % 2 ? (byte() % 2 ? 16 : 32) : 48;
    info->inputs = DISTANCE;
    info->fine = byte() % 2 ? byte() % 24 : byte() % 2 ? MOST_TOKENS : 0;
    info->heads = hidden / (hidden == 64 && byte() % 2 ? 64 : size);
    shape(value + 1, INT8, 4, up / 16, hidden / 4, 16, 4);
    shape(value + 2, FLOAT32, 1, up, 0, 0, 0);
    shape(value + 3, FLOAT32, 1, up, 0, 0, 0);
    shape(value + 4, INT8, 4, hidden / 16, down / 4, 16, 4);
    for (int i = 5; i < 8; i++) shape(value + i, FLOAT32, 1, hidden, 0, 0, 0);
    shape(value + CHANNELS, INT64, 1, WIDE, 0, 0, 0);
    shape(value + APART, FLOAT32, 2, WIDE, up, 0, 0);
    if (kind == 1 && byte() % 2) {
      most = 1 + byte() % 48;
      info->inputs = DISTANCE + 1;
      shape(value + DISTANCE, FLOAT32, 2, info->heads, 2 * (int64_t)most - 1, 0, 0);
    }
  }
  for (int i = 0; i < 2; i++) shape(value + (kind ? 8 : 4) + i, FLOAT32, 1, hidden, 0, 0, 0);
  for (size_t i = 1; i < info->inputs; i++) info->kind[i] = 1;
  return most;
}

/* One thing that a hostile graph may have. */
static void spoil(OrtValue *value) {
  static const unsigned TYPES[] = {FLOAT32, INT8, INT64, 2, 11};
  static const int64_t SIZES[] = {0, 1, 2, 3, 17, -1, 16384, 16416, INT32_MAX, 1LL << 32, 1LL << 60, INT64_MAX, INT64_MIN};
  const unsigned how = byte() % 8;
  int64_t *size = value->sizes + byte() % 4;
  if (how == 0) value->type = TYPES[byte() % 5];
  else if (how == 1) value->axes = byte() % 7;
  else if (how == 2) *size = SIZES[byte() % 13];
  else if (how == 3) *size = (int64_t)((uint64_t)*size + byte() % 3 - 1);
  else if (how == 4) *size = (int64_t)(2 * (uint64_t)*size);
  else if (how == 5) *size /= 2;
  else *size = byte();
}
static void spoil_info(struct OrtKernelInfo *info, size_t *unaligned) {
  static const int64_t NUMBERS[] = {-1, MOST_TOKENS, MOST_TOKENS + 1, INT32_MIN, (1LL << 32) + 5, INT64_MIN, INT64_MIN + 5, INT64_MAX};
  const size_t place = 1 + byte() % (info->inputs - 1);
  const unsigned how = byte() % 16;
  if (how == 0) info->kind[place] = byte() % 3;
  else if (how == 1) unaligned[place] = byte() % 4;
  else if (how == 2) info->heads = byte() % 2 ? (int64_t)byte() - 8 : INT64_MIN + byte();
  else if (how == 3) info->padding = byte() % 2 ? (int64_t)byte() - 8 : INT64_MAX;
  else if (how == 4) info->steps = of_bits((uint32_t)byte() << 24 | byte() << 16);
  else if (how == 5) info->epsilon = of_bits((uint32_t)byte() << 24 | byte() << 16);
  else if (how == 6) info->inputs = info->inputs > 6 ? DISTANCE + byte() % 2 : 6;
  else if (how == 7) info->fine = NUMBERS[byte() % 8];
  else if (how == 8) info->stray = byte() % 2 ? NUMBERS[byte() % 8] : (int64_t)byte() - 8;
  else if (how == 9) info->twice = 1;
  else spoil(&info->value[place]);
}

/* Whether a status came; what is in it must be words. */
static int refused(OrtStatus *status) {
  if (!status) return 0;
  MUST((!strncmp(status->words, "minilm.", 7) && strstr(status->words, "expected")) || !strcmp(status->words, PLANTED));
  release_status(status);
  return 1;
}

static void same(const float *found, const float *expected, size_t count) {
  for (size_t i = 0; i < count; i++)
    MUST(!memcmp(found + i, expected + i, 4) || (isnan(found[i]) && isnan(expected[i])));
}

static void run_kernels(unsigned kind, struct instance *self, const struct OrtKernelInfo *info, const OrtValue *in, int right) {
  struct OrtKernelContext context[16], alone = {0};
  const int planted = failing != 0, defined = right && !planted && is_defined(kind, info, in);
  size_t count = 0;
  for (size_t place = kernel_count(); place-- > 0;) { /* plain C is the last */
    if (!kernel_runs(place)) continue;
    self->kernel = kernel_at(place);
    struct OrtKernelContext *here = context + count++;
    *here = (struct OrtKernelContext){.in = *in, .backwards = byte() % 2};
    const int no = refused(ops[kind]->KernelComputeV2(self, here));
    MUST(planted || !right || !no);
    if (defined) same((float *)here->out.data, (float *)context[0].out.data, here->out.count);
  }
  /* The last text by itself, by the best kernel. */
  if (defined && in->sizes[0] > 1) {
    const size_t texts = (size_t)in->sizes[0], share = context[0].out.count / texts;
    alone.in = *in;
    alone.in.sizes[0] = 1;
    alone.in.data += in->count / texts * (texts - 1) * (kind ? 4 : 8);
    MUST(!refused(ops[kind]->KernelComputeV2(self, &alone)));
    same((float *)alone.out.data, (float *)context[0].out.data + share * (texts - 1), share);
  }
  free(alone.out.data);
  while (count) free(context[--count].out.data);
}

/* What libFuzzer found once is tried each time: weights of so many rows or columns that 16 or 4 times
 * as many are 2^63 or 2^64. onnxruntime holds no such tensor. */
static void refuse_wide_maps(void) {
  int8_t none = 0;
  void *kernel = NULL;
  for (int i = 0; i < 4; i++) {
    struct OrtKernelInfo info = {.inputs = 10, .kind = {[1] = 1}};
    shape(info.value + 1, INT8, 4, i < 2 ? 1LL << (59 + i) : 2, i < 2 ? 8 : 1LL << (59 + i), 16, 4);
    info.value[1].data = (char *)&none;
    OrtStatus *status = ops[2]->CreateKernelV2(ops[2], &API, &info, &kernel);
    MUST(status && strstr(status->words, "in multiples of 32, up to 16384"));
    release_status(status);
  }
  MUST(!kernel && alive == 0);
}

OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const struct ort_api_base *base);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  const struct ort_api_base base = {get_api, NULL};
  MUST(!RegisterCustomOps(NULL, &base) && ops[2]);
  for (size_t place = 0; place < kernel_count(); place++) /* in the log: which were compared */
    if (kernel_runs(place)) fprintf(stderr, "kernel %s\n", kernel_at(place)->name);
  refuse_wide_maps();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  bytes = data, end = data + size, calls = failing = 0, state = 1 + byte() + 256 * byte();
  const unsigned kind = byte() % 3, spoiled = byte() % 4, bad_input = byte() % 8 == 1;
  tame = byte() % 4 != 1;
  struct OrtKernelInfo info = {0};
  size_t unaligned[MOST_INPUTS] = {0};
  int64_t width;
  const size_t most = shape_constants(kind, &info, &width);
  for (unsigned i = 0; i + 1 < spoiled; i++) spoil_info(&info, unaligned);
  int sound = 1; /* as many values as the sizes say */
  for (size_t i = 1; i < MOST_INPUTS; i++) {
    furnish_value(&info.value[i], unaligned[i]);
    if (info.value[i].data) fill(&info.value[i]);
    else sound = 0;
  }
  if (kind && info.value[CHANNELS].data) fill_channels(&info, &info.value[CHANNELS], width);
  OrtValue in;
  /* A few short texts; a long one now and then, of a narrow model, or it takes seconds. */
  const unsigned is_long = width == 32 && byte() % 32 == 1;
  const int64_t texts = is_long ? 1 : byte() % 4, tokens = (int64_t)((is_long ? byte() + 17 : byte() % 20) % (most + 1));
  if (kind) shape(&in, FLOAT32, 3, texts, tokens, width, 0);
  else shape(&in, INT64, 2, texts, tokens, 0, 0);
  if (bad_input) spoil(&in);
  furnish_value(&in, 0);
  if (in.data) fill(&in);
  const int64_t rows = info.value[1].sizes[0];
  const uint32_t words = rows > 0 && rows <= BIG ? (uint32_t)rows : 1;
  if (in.data && in.type == INT64)
    for (size_t i = 0; i < in.count; i++) {
      const int64_t id = bad_input && !(word() % 64) ? (int64_t)(word() - 100ull * word()) : word() % words;
      memcpy(in.data + 8 * i, &id, 8);
    }
  if (byte() % 8 == 1) failing = 1 + byte() % 100;
  void *kernel = NULL;
  const int no = refused(ops[kind]->CreateKernelV2(ops[kind], &API, &info, &kernel));
  MUST(no == !kernel);
  MUST(spoiled > 1 || failing || !no);
  MUST(no || !kind || (info.fine >= 0 && info.fine <= MOST_TOKENS && are_channels(&info.value[CHANNELS], width)));
  if (kernel && sound && in.data) run_kernels(kind, kernel, &info, &in, spoiled < 2 && !bad_input);
  ops[kind]->KernelDestroy(kernel);
  for (size_t i = 1; i < MOST_INPUTS; i++) free(info.value[i].start);
  free(in.start);
  MUST(alive == 0);
  return 0;
}
