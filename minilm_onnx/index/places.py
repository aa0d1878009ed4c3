"""Passages by where they stand in their source, and not by what they say."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minilm_onnx.arrays import Vector
from minilm_onnx.checks import check_positive
from minilm_onnx.errors import InputError, shorten
from minilm_onnx.index.contents import StoredPassage, passages_where
from minilm_onnx.index.schema import Facts
from minilm_onnx.vectors.pooling import l2_normalize

if TYPE_CHECKING:
    import apsw

# SQLite's greatest number.
MOST_LINES = 2**63 - 1


def passages_at(
    connection: "apsw.Connection", facts: Facts, source: str, first_line: int, last_line: int
) -> list[StoredPassage]:
    """Give the passages that stand at these lines of a source, in order.

    There are several where a long row of a table, or line of JSON, was split.

    Args:
        connection: to the database.
        facts: of it.
        source: its name.
        first_line: where they begin.
        last_line: where they end.

    Raises:
        InputError: there are none, or a number is out of range.
        DatabaseError: one is damaged.
    """
    for name, line in (("first_line", first_line), ("last_line", last_line)):
        check_positive(name, line, MOST_LINES)
    place = source, first_line, last_line
    condition = "sources.name = ? AND first_line = ? AND last_line = ?"
    found = passages_where(connection, facts, condition, place)
    if not found:
        raise InputError(
            f"{shorten(source)}: expected a passage at lines {first_line}-{last_line}, got none; "
            "the source may have changed: search again"
        )
    return found


def mean_vector(passages: Sequence[StoredPassage]) -> Vector:
    """Give the unit vector in the middle of some passages', (H,) float32."""
    total = np.sum([passage.vector for passage in passages], axis=0, keepdims=True)
    unit: Vector = l2_normalize(total)[0]
    return unit
