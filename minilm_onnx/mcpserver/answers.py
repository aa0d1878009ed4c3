"""What the tools give; the SDK makes the schemas of these, and clients show their descriptions."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

Notes = Annotated[
    list[str], Field(description="what was truncated or left out, or is unknown to the model")
]


@dataclass(frozen=True)
class Passage:
    """A passage of the index."""

    uri: Annotated[str, Field(description="of the passage as a resource; similar takes it")]
    score: Annotated[
        float,
        Field(description="cosine of question and passage, where the search was hybrid too"),
    ]
    source: Annotated[str, Field(description="the file, or another name, that the passage is of")]
    first_line: int
    last_line: int
    headings: Annotated[str, Field(description="those above it, the outermost first")]
    text: str
    metadata: Annotated[
        dict[str, Any],
        Field(description="fields of its file or row, which where compares; modified is its time"),
    ]


@dataclass(frozen=True)
class Found:
    """Passages, the best first."""

    passages: list[Passage]
    notes: Notes


@dataclass(frozen=True)
class Indexed:
    """What became of files."""

    files_indexed: Annotated[int, Field(description="new or changed ones")]
    files_unchanged: int
    passages: Annotated[int, Field(description="of the files that were indexed")]
    embedded: Annotated[int, Field(description="passages that were not known before")]
    removed: Annotated[list[str], Field(description="sources that are gone")]
    refused: Annotated[list[str], Field(description="files that were not read, and why")]
    notes: Notes


@dataclass(frozen=True)
class Status:
    """What the index is."""

    database: str
    passages: int
    sources: Annotated[int, Field(description="how many there are")]
    source_names: Annotated[list[str], Field(description="the first of them in order")]
    fields: Annotated[list[str], Field(description="of metadata, for the filter where")]
    storage: Annotated[str, Field(description="how vectors are kept")]
    model: str
    max_tokens: Annotated[int, Field(description="tokens that the model reads of a text")]
    made_by: Annotated[list[str], Field(description="runtimes that computed the vectors")]
    may_index: Annotated[
        list[str], Field(description="folders that the tool index may read; none if it is off")
    ]
    notes: Notes
