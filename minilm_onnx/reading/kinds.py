"""What a file is, by what its name ends with."""

from pathlib import Path

# Of names in small letters, after .gz is taken off.
MARKDOWN = frozenset({".md", ".markdown"})
JSON_LINES = frozenset({".jsonl", ".ndjson"})
SEPARATED = frozenset({".csv", ".tsv"})
TABLES = frozenset({".parquet", ".arrow"})
TEXT = frozenset({".txt", ".text", ".rst", ".adoc", ".org", ".tex"})
# Files of these are found in folders.
SUFFIXES = MARKDOWN | JSON_LINES | SEPARATED | TEXT
# Files of these have rows with fields, whatever is asked for.
ROWS = JSON_LINES | SEPARATED | TABLES
PACKED = ".gz"


def suffix_of(name: str) -> str:
    """Give what a file's name ends with, in small letters, .gz taken off."""
    return Path(name.lower().removesuffix(PACKED)).suffix


def is_packed(name: str) -> bool:
    """Whether a file's name says that gzip packed it."""
    return name.lower().endswith(PACKED)


def is_table(name: str) -> bool:
    """Whether a file's name says that it is Arrow's or Parquet's."""
    return suffix_of(name) in TABLES
