"""How vectors are kept: as floats, as bytes, or as bits with bytes beside them."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from minilm_onnx.arrays import FloatArray, Vector
from minilm_onnx.index.sqlite import damaged
from minilm_onnx.vectors.quantization import int8_codes

Storage: TypeAlias = Literal["float32", "int8", "binary"]

# Vectors are unit rows, so cosine distance orders bytes of any scale as it does floats.
COLUMNS: dict[Storage, str] = {
    "float32": "vector float[{}] distance_metric=cosine",
    "int8": "vector int8[{}] distance_metric=cosine",
    # sqlite-vec's time grows with what it finds in each chunk, and here that is always much.
    "binary": "vector bit[{}], chunk_size=128",
}


def stored(vectors: FloatArray, storage: Storage) -> list[tuple[bytes, bytes | None]]:
    """Give what is kept of vectors: what is searched, and for bits the bytes that score again.

    Args:
        vectors: (N, H) float32 unit rows.
        storage: "float32", "int8" (see `int8_codes`) or "binary" (the signs, and int8 beside
            them).
    """
    if storage == "float32":
        return [(row.astype("<f4").tobytes(), None) for row in vectors]
    codes = int8_codes(vectors)
    if storage == "int8":
        return [(row.tobytes(), None) for row in codes]
    bits = np.packbits(vectors > 0, axis=1)
    return [(signs.tobytes(), row.tobytes()) for signs, row in zip(bits, codes, strict=True)]


def unstored(vector: bytes, codes: bytes | None, storage: Storage, dimension: int) -> Vector:
    """Give back the unit vector that bytes stand for, (H,) float32.

    Raises:
        DatabaseError: they stand for none of that dimension.
    """
    kept = vector if codes is None else codes
    size = dimension * (4 if storage == "float32" else 1)
    if not isinstance(kept, bytes) or len(kept) != size:
        raise damaged("a vector")
    if storage == "float32":
        return np.frombuffer(vector, "<f4").astype(np.float32)
    values = np.frombuffer(kept, np.int8).astype(np.float32)
    unit: Vector = values / np.maximum(np.linalg.norm(values), np.float32(1e-12))
    return unit


def rescored(codes: Sequence[bytes | None], query: Vector) -> FloatArray:
    """Compare the bytes kept beside bits with a query, (N,) float32 cosines.

    Raises:
        DatabaseError: some stand for no vector.
    """
    whole = [one for one in codes if isinstance(one, bytes) and len(one) == len(query)]
    if len(whole) != len(codes):
        raise damaged("a vector")
    values = np.frombuffer(b"".join(whole), np.int8).reshape(-1, len(query)).astype(np.float32)
    lengths = np.sqrt((values * values).sum(axis=1)).clip(min=1e-12)
    # Row by row: a matrix product may give equal rows scores that differ in the last bit.
    cosines: FloatArray = (values * query).sum(axis=1) / lengths
    return cosines


def typed(value: str, storage: Storage) -> str:
    """Give the SQL that says of what a value's bytes are."""
    return {"float32": value, "int8": f"vec_int8({value})", "binary": f"vec_bit({value})"}[storage]
