"""The encoder behind HTTP: `create_app` gives an ASGI application; `minilm-onnx serve` runs it.

Needs `pip install '.[server]'`.
"""

from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import importing
from minilm_onnx.server.settings import Settings

if TYPE_CHECKING:
    from minilm_onnx.server.app import create_app

__all__ = ["Settings", "create_app"]


def __getattr__(name: str) -> Any:
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing("create_app", "the packages of a server", "server"):
        from minilm_onnx.server.app import create_app
    return create_app
