"""Texts to ids."""

from minilm_onnx.text.tokens import TextReport

__all__ = ["TextReport"]
