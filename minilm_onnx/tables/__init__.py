"""Arrow and Parquet: texts of a column, and vectors beside the columns they belong to."""

from minilm_onnx.tables.column import embed_column

__all__ = ["embed_column"]
