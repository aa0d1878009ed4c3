"""An index behind the Model Context Protocol, for assistants: `minilm-onnx mcp` runs it.

Needs `pip install '.[mcp]'`. Not named mcp, which is the SDK.
"""
