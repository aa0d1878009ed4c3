"""Texts to ids."""

from minilm_onnx.text.reports import TextReport

__all__ = ["TextReport"]
