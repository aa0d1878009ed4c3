"""What a file is, by its suffix: the end of its name."""

from pathlib import Path

# Suffixes in lower case, with .gz removed.
MARKDOWN = frozenset({".md", ".markdown"})
JSON_LINES = frozenset({".jsonl", ".ndjson"})
SEPARATED = frozenset({".csv", ".tsv"})
# Files of Arrow and Parquet, which hold their rows by column.
COLUMNAR = frozenset({".parquet", ".arrow"})
TEXT = frozenset({".txt", ".text", ".rst", ".adoc", ".org", ".tex"})
# Files that always have rows, whatever the options are.
ROWS = JSON_LINES | SEPARATED | COLUMNAR
# Files that are found in folders.
SUFFIXES = MARKDOWN | ROWS | TEXT
PACKED = ".gz"


def suffix_of(name: str) -> str:
    """Give a file's suffix in lower case, with .gz removed."""
    return Path(name.lower().removesuffix(PACKED)).suffix


def is_packed(name: str) -> bool:
    """Whether a file's name says that gzip packed it."""
    return name.lower().endswith(PACKED)


def is_columnar(name: str) -> bool:
    """Whether a file's name says that it is Arrow's or Parquet's."""
    return suffix_of(name) in COLUMNAR
