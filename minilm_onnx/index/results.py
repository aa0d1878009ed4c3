"""What a search of an index gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Hybrid:
    """The ranks of a passage in a hybrid search.

    Attributes:
        words: rank in the full-text search, counted from 1; None if the passage has none of the
            query's words, or is not among the first 100, or `top_k` if that is more.
        meaning: rank in the search by vectors, counted from 1; None if it is not among as many.
        cosine: cosine of query and passage.
    """

    words: int | None
    meaning: int | None
    cosine: float


@dataclass(frozen=True, slots=True)
class Result:
    """A passage that answers a query.

    Attributes:
        score: cosine of query and passage. In a hybrid search, the sum of reciprocal ranks, which
            is at most 0.033 and is no measure of similarity; `hybrid` has the cosine.
        source: the name of the source that the passage is from.
        first_line: the line of the source in which the passage begins, counted from 1.
        last_line: the line in which it ends.
        headings: the headings above the passage, the outermost first; "" if there are none.
        text: the passage.
        metadata: the metadata of the document, by field; for a file also `modified`, the time of
            its last change.
        hybrid: its ranks in a hybrid search; None for other searches.
    """

    score: float
    source: str
    first_line: int
    last_line: int
    headings: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    hybrid: Hybrid | None = None
