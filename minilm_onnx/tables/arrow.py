"""pyarrow itself: whether it is installed, and what it says when it fails."""

from minilm_onnx.errors import InputError


def needed() -> None:
    """Raise InputError where pyarrow is not there."""
    try:
        import pyarrow.parquet  # noqa: F401  # to say at once that it is missing
    except ImportError as error:
        raise InputError(
            f"Arrow and Parquet: expected pyarrow, got {error}; pip install 'minilm-onnx[arrow]'"
        ) from error


def first_line(error: Exception) -> str:
    """Give the first line of what pyarrow says."""
    return str(error).strip().splitlines()[0][:200]
