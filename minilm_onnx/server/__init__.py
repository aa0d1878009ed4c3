"""The encoder behind HTTP: `create_app` gives an ASGI application; `minilm-onnx serve` runs it.

Needs `pip install '.[server]'`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import importing

if TYPE_CHECKING:
    from minilm_onnx.server.app import create_app
    from minilm_onnx.server.settings import Settings

__all__ = ["Settings", "create_app"]

# Loaded when asked for, so that what is not installed can be said in words.
MODULES = {"Settings": "settings", "create_app": "app"}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing(name, "the packages of a server", "server"):
        return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
