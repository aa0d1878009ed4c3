"""Measurements; never imported by the runtime, never part of the wheel."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
# Of this project's own making: calibration's, and others that it has not seen.
TEXTS = ROOT / "minilm_onnx" / "making" / "texts"
