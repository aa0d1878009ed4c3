"""pyarrow itself: whether it is installed, and what it says when it fails."""

from minilm_onnx.errors import importing


def needed() -> None:
    """Raise InputError where pyarrow is not there."""
    with importing("Arrow and Parquet", "pyarrow", "arrow"):
        import pyarrow.parquet  # noqa: F401  # to say at once that it is missing


def first_line(error: Exception) -> str:
    """Give the first line of what pyarrow says."""
    return str(error).strip().splitlines()[0][:200]
