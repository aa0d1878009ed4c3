/* To be compiled only, beside onnxruntime's own header: every place, type and number in ort_abi.h
 * is the header's. */
#include "onnxruntime_c_api.h"
#include "ort_abi.h"

#define SAME_PLACE(ours, theirs, name) \
  _Static_assert(offsetof(struct ours, name) == offsetof(theirs, name), #name ": place"); \
  _Static_assert(sizeof(((struct ours *)0)->name) == sizeof(((theirs *)0)->name), #name ": size")
#define SAME_TYPE(ours, theirs, name) \
  SAME_PLACE(ours, theirs, name); \
  _Static_assert(__builtin_types_compatible_p(__typeof__(((struct ours *)0)->name), \
                                              __typeof__(((theirs *)0)->name)), \
                 #name ": type")
#define CALL(name) SAME_TYPE(ort_api, OrtApi, name)
/* A function that gets the struct it stands in, which has another name here and there. */
#define IS(of, name, ...) \
  _Static_assert(__builtin_types_compatible_p(__typeof__(((of *)0)->name), __VA_ARGS__), #name ": type")
#define OP(result, name, ...) \
  SAME_PLACE(ort_op, OrtCustomOp, name); \
  IS(struct ort_op, name, result (*)(const struct ort_op *, ##__VA_ARGS__)); \
  IS(OrtCustomOp, name, result (*)(const OrtCustomOp *, ##__VA_ARGS__))
#define OF_OP(name) SAME_TYPE(ort_op, OrtCustomOp, name)

_Static_assert(ORT_API_VERSION >= ORT_ABI, "an older header");
_Static_assert(FLOAT32 == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, "float32");
_Static_assert(INT8 == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, "int8");
_Static_assert(INT64 == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, "int64");
_Static_assert((int)OF_FAILURE == ORT_FAIL && (int)OF_ARGUMENT == ORT_INVALID_ARGUMENT, "codes");
_Static_assert((int)REQUIRED == INPUT_OUTPUT_REQUIRED && (int)OPTIONAL == INPUT_OUTPUT_OPTIONAL, "kinds");

CALL(CreateStatus);
CALL(CreateCustomOpDomain);
CALL(CustomOpDomain_Add);
CALL(AddCustomOpDomain);
CALL(GetTensorMutableData);
CALL(GetTensorElementType);
CALL(GetDimensionsCount);
CALL(GetDimensions);
CALL(GetTensorTypeAndShape);
CALL(KernelInfoGetAttribute_float);
CALL(KernelInfoGetAttribute_int64);
CALL(KernelInfo_GetInputCount);
CALL(KernelContext_GetInput);
CALL(KernelContext_GetOutput);
CALL(ReleaseStatus);
CALL(ReleaseTensorTypeAndShapeInfo);
CALL(KernelInfoGetConstantInput_tensor);
CALL(KernelContext_ParallelFor);

SAME_PLACE(ort_api_base, OrtApiBase, GetApi);
IS(struct ort_api_base, GetApi, const struct ort_api *(*)(uint32_t));
IS(OrtApiBase, GetApi, const OrtApi *(*)(uint32_t));
SAME_TYPE(ort_api_base, OrtApiBase, GetVersionString);

OF_OP(version);
SAME_PLACE(ort_op, OrtCustomOp, CreateKernel);
IS(struct ort_op, CreateKernel, void *(*)(const struct ort_op *, const struct ort_api *, const OrtKernelInfo *));
IS(OrtCustomOp, CreateKernel, void *(*)(const OrtCustomOp *, const OrtApi *, const OrtKernelInfo *));
OP(const char *, GetName);
OP(const char *, GetExecutionProviderType);
OP(unsigned, GetInputType, size_t);
OP(size_t, GetInputTypeCount);
OP(unsigned, GetOutputType, size_t);
OP(size_t, GetOutputTypeCount);
OF_OP(KernelCompute);
OF_OP(KernelDestroy);
OP(unsigned, GetInputCharacteristic, size_t);
OP(unsigned, GetOutputCharacteristic, size_t);
OP(int, GetInputMemoryType, size_t);
OP(int, GetVariadicInputMinArity);
OP(int, GetVariadicInputHomogeneity);
OP(int, GetVariadicOutputMinArity);
OP(int, GetVariadicOutputHomogeneity);
SAME_PLACE(ort_op, OrtCustomOp, CreateKernelV2);
IS(struct ort_op, CreateKernelV2, OrtStatus *(*)(const struct ort_op *, const struct ort_api *, const OrtKernelInfo *, void **));
IS(OrtCustomOp, CreateKernelV2, OrtStatus *(*)(const OrtCustomOp *, const OrtApi *, const OrtKernelInfo *, void **));
OF_OP(KernelComputeV2);
OP(OrtStatus *, InferOutputShapeFn, OrtShapeInferContext *);
OP(int, GetStartVersion);
OP(int, GetEndVersion);
OF_OP(GetMayInplace);
OF_OP(ReleaseMayInplace);
OF_OP(GetAliasMap);
OF_OP(ReleaseAliasMap);
