#!/usr/bin/env bash
# ziglang 0.17.1 (PyPI), `zig cc`: -march=armv8.2-a+dotprod, which gcc and clang take for aarch64, is refused as
# an unknown CPU, since zig reads -march as the name of one. -mcpu=generic+v8_2a+dotprod is what it wants.
# One would expect a compiler that is called as clang is, and built on it, to take clang's flag.
#
# It matters to whoever builds wheels for Arm by zig from a build script that gcc or clang runs too:
# the flags for a kernel with dot products have to be chosen by compiler.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ziglang==0.17.1
cat > dot.c << 'C'
#include <arm_neon.h>
int32x4_t dot(int32x4_t sum, int8x16_t a, int8x16_t b) { return vdotq_s32(sum, a, b); }
C
compile() {
    ZIG_GLOBAL_CACHE_DIR=$folder/cache venv/bin/python -m ziglang cc -target aarch64-linux-gnu \
        "$1" -O2 -c dot.c -o dot.o 2> said.txt
}
if compile -march=armv8.2-a+dotprod; then
    echo "-march is taken now"
    exit 1
fi
grep --max-count=1 "unknown CPU" said.txt
compile -mcpu=generic+v8_2a+dotprod
echo "-mcpu=generic+v8_2a+dotprod compiles"
