"""Which passages of an index a search looks at: those of some sources, with some metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from minilm_onnx.index.filters import Filter
from minilm_onnx.index.filtersql import passages_that_match
from minilm_onnx.index.patterns import fitting


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


def scope_of(patterns: Sequence[str], wanted: Filter | None) -> Scope:
    """Give the passages whose source fits one of some patterns and whose metadata matches.

    Args:
        patterns: see `fitting`; none for any source.
        wanted: a filter; None for none.

    Raises:
        InputError: a pattern leads out of the current folder, which is gone.
    """
    fits, named = fitting(patterns)
    matching, values = passages_that_match(wanted)
    of_sources = f"passages.source IN (SELECT id FROM sources WHERE {fits})" if fits else ""
    both = " AND ".join(one for one in (of_sources, matching) if one)
    return Scope(both, {**named, **values})
