"""onnxruntime, kept from reporting: this package imports it from here alone.

From version 1.29 on its builds for Linux and macOS send events to Microsoft unless told not to
before they are loaded (microsoft/onnxruntime#27379), from threads that also keep a forked process
from ending. Whoever wants that sets ORT_DISABLE_TELEMETRY=0.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

if os.environ["ORT_DISABLE_TELEMETRY"] != "0":
    # Somebody else may have loaded it before; and Windows has no such variable.
    onnxruntime.disable_telemetry_events()

__all__ = ["onnxruntime"]
