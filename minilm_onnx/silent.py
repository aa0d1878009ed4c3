"""onnxruntime, kept from reporting and from printing: this package imports it from here alone.

From version 1.29 on its builds for Linux and macOS send events to Microsoft unless told not to
before they are loaded (microsoft/onnxruntime#27379), from threads that also keep a forked process
from ending. Whoever wants that sets ORT_DISABLE_TELEMETRY=0.
"""

import os
from pathlib import Path

from minilm_onnx.errors import SessionError

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

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
    """Say what to do about an error of onnxruntime, which tells a lack of memory by words only."""
    lacking = ("bad_alloc", "allocate memory", "pthread_create")
    return "free some memory" if any(word in str(error) for word in lacking) else otherwise
