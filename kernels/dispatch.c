#include "dispatch.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__aarch64__) && defined(_WIN32)
#include <windows.h>
#endif

extern const struct kernel minilm_avx512vnni, minilm_avxvnni, minilm_avx2;
extern const struct kernel minilm_i8mm, minilm_dotprod, minilm_neon, minilm_plain;

enum feature { ANY, AVX2, AVXVNNI, AVX512VNNI, NEON, DOTPROD, I8MM };

static const struct {
  const struct kernel *kernel;
  enum feature needs;
} KERNELS[] = {
#if defined(__x86_64__)
    {&minilm_avx512vnni, AVX512VNNI},
    {&minilm_avxvnni, AVXVNNI},
    {&minilm_avx2, AVX2},
#elif defined(__aarch64__)
    {&minilm_i8mm, I8MM},
    {&minilm_dotprod, DOTPROD},
    {&minilm_neon, NEON},
#endif
    {&minilm_plain, ANY},
};

/* __builtin_cpu_supports would be shorter; under zig cc it always says no. */
#if defined(__x86_64__)
static int cpu_has(enum feature feature) {
  unsigned a, b, c, d, state, high;
  if (feature == ANY) return 1;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  const unsigned osxsave = 1u << 27, fma = 1u << 12;
  if (!(c & osxsave) || !(c & fma)) return 0;
  __asm__("xgetbv" : "=a"(state), "=d"(high) : "c"(0)); /* registers that the system saves */
  const unsigned ymm = 0x06, zmm = 0xe6;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  const int avx2 = (state & ymm) == ymm && b >> 5 & 1;
  const int avx512 = avx2 && (state & zmm) == zmm && b >> 16 & 1 && b >> 17 & 1 && b >> 30 & 1 &&
                     b >> 31 & 1; /* F, DQ, BW, VL */
  const int vnni512 = avx512 && c >> 11 & 1;
  if (feature == AVX2) return avx2;
  if (feature == AVX512VNNI) return vnni512;
#ifdef AVXVNNI_AS_EVEX
  return vnni512;
#endif
  return avx2 && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1;
}
#elif defined(__aarch64__)
static int cpu_has(enum feature feature) {
  if (feature != DOTPROD && feature != I8MM) return 1;
#if defined(__linux__)
  const int dotprod = getauxval(AT_HWCAP) >> 20 & 1, i8mm = getauxval(AT_HWCAP2) >> 13 & 1;
  return feature == DOTPROD ? dotprod : dotprod && i8mm;
#elif defined(_WIN32)
  const int dotprod = IsProcessorFeaturePresent(43); /* PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE */
  return feature == DOTPROD && dotprod;
#elif defined(__APPLE__)
  int has = 0;
  size_t bytes = sizeof has;
  const char *name = feature == I8MM ? "hw.optional.arm.FEAT_I8MM" : "hw.optional.arm.FEAT_DotProd";
  return !sysctlbyname(name, &has, &bytes, NULL, 0) && has;
#else
  return 0;
#endif
}
#else
static int cpu_has(enum feature feature) { return feature == ANY; }
#endif

size_t kernel_count(void) { return sizeof KERNELS / sizeof *KERNELS; }
const struct kernel *kernel_at(size_t place) { return KERNELS[place].kernel; }
int kernel_runs(size_t place) { return cpu_has(KERNELS[place].needs); }

static const struct kernel *choose(void) {
  const char *wanted = getenv("MINILM_ONNX_KERNEL");
  for (size_t place = 0; place < kernel_count(); place++) {
    const struct kernel *kernel = kernel_at(place);
    if (wanted && *wanted && strcmp(wanted, kernel->name)) continue;
    if (kernel_runs(place) && kernel_is_right(kernel)) return kernel;
  }
  return NULL;
}

const struct kernel *chosen_kernel(void) {
  static const struct kernel *_Atomic chosen; /* two threads may find it, and find the same */
  const struct kernel *kernel = atomic_load(&chosen);
  if (!kernel) atomic_store(&chosen, kernel = choose());
  return kernel;
}
