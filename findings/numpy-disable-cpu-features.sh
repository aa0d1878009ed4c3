#!/usr/bin/env bash
# numpy 2.4.6 on x86-64: NPY_DISABLE_CPU_FEATURES=AVX2 no longer has any effect, and nothing is printed: the only
# notice is an ImportWarning, which Python hides unless asked. numpy 2.2.6 does disable AVX2. In 2.4.6 features
# are dispatched by the levels of x86-64, so X86_V3 and X86_V4 are the names that work.
# One would expect a documented variable to do what it did, or to fail.
#
# It matters to whoever tests on one machine what others will compute (sums in another order, other last bits):
# after an upgrade such a test still passes, but runs the same kernels twice.
set -euo pipefail
grep --quiet avx2 /proc/cpuinfo || { echo "needs an x86-64 CPU with AVX2"; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
has() { # VERSION FEATURE DISABLED: whether numpy still uses a feature
    venv/bin/pip install --quiet "numpy==$1"
    NPY_DISABLE_CPU_FEATURES=$3 venv/bin/python -c "
from numpy._core._multiarray_umath import __cpu_features__
print(__cpu_features__['$2'])" 2>> said.txt
}
old=$(has 2.2.6 AVX2 AVX2) new=$(has 2.4.6 AVX2 AVX2) level=$(has 2.4.6 X86_V3 X86_V3)
echo "AVX2 disabled by its name: numpy 2.2.6 uses it: $old, numpy 2.4.6: $new; X86_V3 by its name: $level"
[ "$old $new $level" = "False True False" ]
[ ! -s said.txt ] && echo "nothing was said"
