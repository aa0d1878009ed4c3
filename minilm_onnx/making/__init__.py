"""Checkpoint to model folder, without torch: what `minilm-onnx get` and `export` run.

Nothing else of the package imports it; it needs the packages of the extra `models`.
"""
