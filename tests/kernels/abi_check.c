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
#define OP(name) SAME_PLACE(ort_op, OrtCustomOp, name)

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

OP(version);
OP(CreateKernel);
OP(GetName);
OP(GetExecutionProviderType);
OP(GetInputType);
OP(GetInputTypeCount);
OP(GetOutputType);
OP(GetOutputTypeCount);
OP(KernelCompute);
OP(KernelDestroy);
OP(GetInputCharacteristic);
OP(GetOutputCharacteristic);
OP(GetInputMemoryType);
OP(GetVariadicInputMinArity);
OP(GetVariadicInputHomogeneity);
OP(GetVariadicOutputMinArity);
OP(GetVariadicOutputHomogeneity);
OP(CreateKernelV2);
OP(KernelComputeV2);
OP(InferOutputShapeFn);
OP(GetStartVersion);
OP(GetEndVersion);
OP(GetMayInplace);
OP(ReleaseMayInplace);
OP(GetAliasMap);
OP(ReleaseAliasMap);
