#!/usr/bin/env bash
# CPython 3.11.7 on Linux, numpy 2.4.6 (PyPI): a program that subprocess starts reports its parent's memory as its
# own peak. resource.getrusage(RUSAGE_SELF).ru_maxrss of a fresh interpreter of some 15 MB says more than 800 MB where the
# process that started it once held an array of that size, even if the array is gone by then. exec(2) makes the memory
# anew, so one would expect the peak to begin anew too; it is kept with the process, which exec does not replace. VmHWM in
# /proc/self/status belongs to the memory, and begins at zero.
#
# It matters to whoever measures engines side by side: a harness that holds a corpus or torch, and starts a worker for
# each engine, finds one peak for all of them, its own, and an engine that takes little looks like one that takes much. A
# test that asks "how much did the peak grow" cannot fail there. libFuzzer's -rss_limit_mb asks the same counter.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6
cat > harness.py << 'PYTHON'
import resource
import subprocess
import sys

import numpy as np

WORKER = """
import resource
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, int(status["VmHWM"].split()[0]) // 1024)
"""


def peaks_of_a_worker():
    """Give the worker's peak in MiB, by getrusage and by /proc."""
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=True)
    return tuple(map(int, done.stdout.split()))


small = peaks_of_a_worker()
corpus = np.ones((800, 2**18), dtype=np.float32)  # 800 MiB
beside = peaks_of_a_worker()
del corpus
after = peaks_of_a_worker()
for when, (usage, proc) in {"before": small, "beside 800 MiB": beside, "when they are gone": after}.items():
    print(f"a worker started {when}: ru_maxrss {usage} MiB, VmHWM {proc} MiB")
assert beside[0] > 800 and after[0] > 800
assert max(small[1], beside[1], after[1]) < 100
assert small[0] < 200
PYTHON
venv/bin/python harness.py
