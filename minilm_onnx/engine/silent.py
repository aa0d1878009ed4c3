"""onnxruntime, kept from reporting and from printing: this package imports it from here alone.

From version 1.29 on its builds for Linux and macOS send events to Microsoft unless told not to
before they are loaded (microsoft/onnxruntime#27379), from threads that also keep a forked process
from ending. Whoever wants that sets ORT_DISABLE_TELEMETRY=0.
"""

import os
import sys
from pathlib import Path

from minilm_onnx.errors import SessionError

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def advice(*, bits: int, system: str, machine: str, libc: str) -> str:
    """Say what to do where onnxruntime cannot be imported.

    Args:
        bits: 32 or 64, of this Python; a 64-bit Raspberry Pi may run a 32-bit one.
        system: as `sys.platform` gives it.
        machine: as `platform.machine` gives it.
        libc: as `platform.libc_ver` gives it: "glibc", or else on Linux.
    """
    if bits == 32:
        return "it has no wheels for a 32-bit Python; install a 64-bit system, or a 64-bit Python"
    if system == "linux" and libc != "glibc":
        return "it has no wheels for musl (Alpine); use a system with glibc, such as Debian"
    if system == "darwin" and machine == "x86_64":
        return "its last release for Intel Macs is 1.23.2; pip install onnxruntime==1.23.2"
    return "pip install onnxruntime"


try:
    import onnxruntime
except ImportError as error:
    import platform

    found = {"machine": platform.machine(), "libc": platform.libc_ver()[0]}
    bits = 64 if sys.maxsize > 2**32 else 32
    raise ImportError(
        f"onnxruntime: expected to import it on {sys.platform} {found['machine']}, {bits} bits, "
        f"got {error}; {advice(bits=bits, system=sys.platform, **found)}"
    ) from error

if os.environ["ORT_DISABLE_TELEMETRY"] != "0":
    # Somebody else may have loaded it before; and Windows has no such variable.
    onnxruntime.disable_telemetry_events()

__all__ = ["onnxruntime", "open_session", "remedy"]


def open_session(graph: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Make an onnxruntime session on the CPU.

    Raises:
        SessionError: onnxruntime cannot load the graph.
    """
    options.log_severity_level = 4  # its errors come back as exceptions
    try:
        return onnxruntime.InferenceSession(
            str(graph),
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # or it prints an error to stdout, and fails a second time
        )
    except Exception as error:  # onnxruntime's exceptions share no public base
        raise SessionError(
            f"{graph}: onnxruntime {onnxruntime.__version__} could not load the graph: {error}; "
            + remedy(error, "export the model folder again with this version")
        ) from error


def remedy(error: Exception, otherwise: str) -> str:
    """Say what to do about an error of onnxruntime, which tells a lack of memory by words only.

    So do the native operators (kernels/instance.c).
    """
    lacking = ("bad_alloc", "allocate memory", "pthread_create", "expected memory for")
    return "free some memory" if any(word in str(error) for word in lacking) else otherwise
