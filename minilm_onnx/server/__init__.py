"""The encoder behind HTTP: `create_app` gives an ASGI application; `minilm-onnx serve` runs it.

Needs `pip install '.[server]'`.
"""

from minilm_onnx.server.app import create_app
from minilm_onnx.server.settings import Settings

__all__ = ["Settings", "create_app"]
