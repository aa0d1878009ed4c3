/* The part of onnxruntime's C API that is called here, at its places in the table of functions.
 *
 * The table and OrtCustomOp only ever grow at their ends, so what is here serves every onnxruntime
 * from 1.18 on, and building needs no header of it. tests/kernels/abi_check.c holds each place and
 * type to the real header.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { ORT_ABI = 18 };
enum code { OF_FAILURE = 1, OF_ARGUMENT = 2 };       /* of a status */
enum kind { REQUIRED = 0, OPTIONAL = 1 };           /* of an input */
enum element { FLOAT32 = 1, INT8 = 3, INT64 = 7 }; /* of a tensor */

typedef struct OrtStatus OrtStatus;
typedef struct OrtValue OrtValue;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtShapeInferContext OrtShapeInferContext;
struct OrtCustomOp;

#define UNUSED_ENTRIES(from, to) void *unused_##from[(to) - (from)]

/* Numbers are places in OrtApi. */
struct ort_api {
  OrtStatus *(*CreateStatus)(unsigned code, const char *message); /* 0 */
  UNUSED_ENTRIES(1, 26);
  OrtStatus *(*CreateCustomOpDomain)(const char *domain, OrtCustomOpDomain **out); /* 26 */
  OrtStatus *(*CustomOpDomain_Add)(OrtCustomOpDomain *domain, const struct OrtCustomOp *op);
  OrtStatus *(*AddCustomOpDomain)(OrtSessionOptions *options, OrtCustomOpDomain *domain);
  UNUSED_ENTRIES(29, 51);
  OrtStatus *(*GetTensorMutableData)(OrtValue *value, void **out); /* 51 */
  UNUSED_ENTRIES(52, 60);
  OrtStatus *(*GetTensorElementType)(const OrtTensorTypeAndShapeInfo *info, unsigned *out); /* 60 */
  OrtStatus *(*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *info, size_t *out);
  OrtStatus *(*GetDimensions)(const OrtTensorTypeAndShapeInfo *info, int64_t *sizes, size_t count);
  UNUSED_ENTRIES(63, 65);
  OrtStatus *(*GetTensorTypeAndShape)(const OrtValue *value, OrtTensorTypeAndShapeInfo **out); /* 65 */
  UNUSED_ENTRIES(66, 85);
  OrtStatus *(*KernelInfoGetAttribute_float)(const OrtKernelInfo *info, const char *name, float *out); /* 85 */
  OrtStatus *(*KernelInfoGetAttribute_int64)(const OrtKernelInfo *info, const char *name, int64_t *out);
  UNUSED_ENTRIES(87, 90);
  OrtStatus *(*KernelContext_GetInput)(const OrtKernelContext *context, size_t place, const OrtValue **out); /* 90 */
  OrtStatus *(*KernelContext_GetOutput)(OrtKernelContext *context, size_t place, const int64_t *sizes, size_t count, OrtValue **out);
  UNUSED_ENTRIES(92, 93);
  void (*ReleaseStatus)(OrtStatus *status); /* 93 */
  UNUSED_ENTRIES(94, 99);
  void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *info); /* 99 */
  UNUSED_ENTRIES(100, 230);
  OrtStatus *(*KernelInfo_GetInputCount)(const OrtKernelInfo *info, size_t *out); /* 230 */
  UNUSED_ENTRIES(231, 249);
  OrtStatus *(*KernelInfoGetConstantInput_tensor)(const OrtKernelInfo *info, size_t place, int *constant, const OrtValue **out); /* 249 */
  UNUSED_ENTRIES(250, 274);
  OrtStatus *(*KernelContext_ParallelFor)(const OrtKernelContext *context, void (*part)(void *data, size_t place), size_t parts, size_t batches, void *data); /* 274 */
};

struct ort_api_base {
  const struct ort_api *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
};

struct ort_op {
  uint32_t version;
  void *(*CreateKernel)(const struct ort_op *, const struct ort_api *, const OrtKernelInfo *);
  const char *(*GetName)(const struct ort_op *);
  const char *(*GetExecutionProviderType)(const struct ort_op *);
  unsigned (*GetInputType)(const struct ort_op *, size_t place);
  size_t (*GetInputTypeCount)(const struct ort_op *);
  unsigned (*GetOutputType)(const struct ort_op *, size_t place);
  size_t (*GetOutputTypeCount)(const struct ort_op *);
  void (*KernelCompute)(void *kernel, OrtKernelContext *context);
  void (*KernelDestroy)(void *kernel);
  unsigned (*GetInputCharacteristic)(const struct ort_op *, size_t place);
  unsigned (*GetOutputCharacteristic)(const struct ort_op *, size_t place);
  int (*GetInputMemoryType)(const struct ort_op *, size_t place);
  int (*GetVariadicInputMinArity)(const struct ort_op *);
  int (*GetVariadicInputHomogeneity)(const struct ort_op *);
  int (*GetVariadicOutputMinArity)(const struct ort_op *);
  int (*GetVariadicOutputHomogeneity)(const struct ort_op *);
  OrtStatus *(*CreateKernelV2)(const struct ort_op *, const struct ort_api *, const OrtKernelInfo *, void **kernel);
  OrtStatus *(*KernelComputeV2)(void *kernel, OrtKernelContext *context);
  OrtStatus *(*InferOutputShapeFn)(const struct ort_op *, OrtShapeInferContext *);
  int (*GetStartVersion)(const struct ort_op *);
  int (*GetEndVersion)(const struct ort_op *);
  size_t (*GetMayInplace)(int **, int **);
  void (*ReleaseMayInplace)(int *, int *);
  size_t (*GetAliasMap)(int **, int **);
  void (*ReleaseAliasMap)(int *, int *);
};
