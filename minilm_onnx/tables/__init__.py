"""Arrow and Parquet with a column of vectors, and the parts that a cluster works on."""

from minilm_onnx.tables.column import embed_column

__all__ = ["embed_column"]
