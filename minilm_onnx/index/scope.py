"""Which passages of an index a search looks at: those of some sources, with some metadata."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minilm_onnx.index.filters import Filter
from minilm_onnx.index.filtersql import passages_that_match
from minilm_onnx.index.patterns import fitting

if TYPE_CHECKING:
    import apsw


@dataclass(frozen=True, slots=True)
class Scope:
    """SQL that is true of a row of `passages` that is searched, "" for all; and its parameters."""

    sql: str = ""
    parameters: Mapping[str, str | float | int] = field(default_factory=dict)

    @property
    def unindexed(self) -> str:
        """The same, without its own way to the rows, for a statement that has another."""
        return self.sql.replace("passages.", "+passages.")


EVERYTHING = Scope()


def scope_of(
    connection: "apsw.Connection", patterns: Sequence[str], wanted: Filter | None
) -> Scope:
    """Give the passages whose source fits one of some patterns and whose metadata matches.

    Args:
        connection: to the database, in the transaction of the search.
        patterns: see `fitting`; none for any source.
        wanted: a filter; None for none.

    Raises:
        InputError: a pattern leads out of the current folder, which is gone.
    """
    conditions, parameters = [], {}
    fits, named = fitting(patterns)
    if fits:
        # Once, since several statements ask for them and each comparison calls Python.
        found = connection.execute(f"SELECT id FROM sources WHERE {fits}", named)
        conditions.append("passages.source IN (SELECT value FROM json_each(:sources))")
        parameters["sources"] = json.dumps([source for (source,) in found])
    matching, values = passages_that_match(wanted)
    if matching:
        conditions.append(matching)
    return Scope(" AND ".join(conditions), {**parameters, **values})
