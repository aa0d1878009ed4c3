"""A model folder: graph, weights, tokenizer, and the manifest.json that vouches for them.

The weights are a file of their own (ONNX calls it external data) because onnxruntime maps such a
file into memory where it would copy an .onnx file twice: half the time to load, and 39 MiB less.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from reprlib import repr as short  # of what may be long
from typing import Any, get_args

from minilm_onnx.errors import ArtifactError

BUNDLED = Path(__file__).parent / "model"
GRAPH = "model.onnx"
WEIGHTS = "model.onnx.data"
TOKENIZER = "tokenizer.json"
MANIFEST = "manifest.json"
# What sentence-transformers says, for `minilm-onnx verify`; nothing else reads it.
GOLDEN = "golden.json"
LOADED = (GRAPH, WEIGHTS, TOKENIZER)
FILES = (*LOADED, GOLDEN)
FORMAT = 3
# [CLS], one token, [SEP]; and the positions that the model has.
MIN_TOKENS, MAX_TOKENS = 3, 512


@dataclass(frozen=True)
class Manifest:
    """What a model folder is.

    Attributes:
        format: version of this layout.
        model_id: the model's name on the hub.
        revision: the hub commit that holds these weights.
        license: SPDX identifier of the model's licence.
        precision: "fp32" or "int8".
        dimension: components of a vector.
        max_seq_length: tokens the model reads of a text, special tokens included.
        pooling: how token vectors become one; "mean".
        normalize: whether vectors are scaled to length 1.
        weights_sha256: sha256 of the checkpoint's model.safetensors.
        vocab_sha256: sha256 of the checkpoint's vocab.txt.
        files: sha256 of every other file in the folder, by name.
        versions: version of each library that took part in the export.
        parity: agreement with sentence-transformers fp32, as measured by the export.
    """

    format: int
    model_id: str
    revision: str
    license: str
    precision: str
    dimension: int
    max_seq_length: int
    pooling: str
    normalize: bool
    weights_sha256: str
    vocab_sha256: str
    files: dict[str, str]
    versions: dict[str, str]
    parity: dict[str, float]

    def to_json(self) -> str:
        """Give the text of manifest.json."""
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class Artifact:
    """A model folder.

    Attributes:
        folder: where it lies.
        manifest: what it is; None for a folder written by optimum, which has none.
        sha256: of each file, by name; without a manifest, of what it was when first looked at.
        max_seq_length: tokens the model reads of a text.
    """

    folder: Path
    manifest: Manifest | None
    sha256: dict[str, str]
    max_seq_length: int

    @property
    def graph(self) -> Path:
        """The file that onnxruntime loads, and through which it finds the weights."""
        return self.folder / GRAPH

    def verify(self, *names: str) -> None:
        """Check files against their sha256.

        Raises:
            ArtifactError: one is missing, unreadable or altered.
        """
        for name in names:
            path = self.folder / name
            found = sha256_of(path)
            expected = self.sha256.setdefault(name, found)
            if found != expected:
                raise ArtifactError(
                    f"{path}: expected sha256 {expected}, got {found} "
                    f"({path.stat().st_size} bytes); "
                    "the file was altered or cut short: export the folder again, or reinstall "
                    "minilm-onnx if it is the bundled one"
                )

    def verify_graph(self) -> None:
        """Check what onnxruntime loads: graph and weights.

        Raises:
            ArtifactError: one is missing, unreadable or altered.
        """
        if self.manifest:
            self.verify(GRAPH, WEIGHTS)
        else:  # the weights may have another name, as in optimum's folders
            self.verify(GRAPH, *sorted(path.name for path in self.folder.glob(f"{GRAPH}*data")))


def sha256_of(path: Path) -> str:
    """Give the hexadecimal sha256 of a file.

    Raises:
        ArtifactError: it is missing or unreadable.
    """
    with _reading(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_artifact(folder: Path) -> Artifact:
    """Find out what a model folder holds; its files are verified as they are read.

    With a manifest.json they must match it to the byte. A folder that optimum wrote has
    a config.json instead; it is taken as it is, read as mean pooling over 256 tokens.

    Raises:
        ArtifactError: the folder or its manifest is missing, unreadable or unfamiliar.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except (OSError, ValueError) as error:  # ValueError: of a NUL in its name
        raise ArtifactError(
            f"{folder}: expected a model folder, got {getattr(error, 'strerror', error)}; "
            "give a folder written by `python -m export`, or leave it out for the bundled model"
        ) from error
    if MANIFEST not in names and "config.json" in names:
        return Artifact(folder, None, {}, _max_seq_length(folder))
    manifest = parse_manifest(folder)
    return Artifact(folder, manifest, dict(manifest.files), manifest.max_seq_length)


def read(folder: Path, name: str) -> bytes:
    """Read one file of a model folder.

    Raises:
        ArtifactError: it is missing or unreadable.
    """
    with _reading(folder / name) as file:
        return file.read()


@contextmanager
def _reading(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise ArtifactError(
            f"{path}: expected a readable file, got {error.strerror}; export the model folder again"
        ) from error


def parse_manifest(folder: Path) -> Manifest:
    """Read manifest.json.

    Raises:
        ArtifactError: it is missing, not JSON, or not of the form this version knows.
    """
    path = folder / MANIFEST
    try:
        fields: Any = json.loads(read(folder, MANIFEST))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: expected JSON, got {error}; export the model folder again"
        ) from error
    found = fields.get("format") if isinstance(fields, dict) else type(fields).__name__
    if type(found) is not int or found != FORMAT:
        raise ArtifactError(
            f"{path}: expected format {FORMAT}, got {short(found)}; "
            "export the model folder with this version of minilm-onnx"
        )
    types = dict(Manifest.__annotations__)
    wrong = [name for name, hint in types.items() if not _fits(fields.get(name), hint)]
    others = sorted(set(fields) - set(types))
    if wrong or others:
        raise ArtifactError(
            f"{path}: expected the fields {', '.join(types)} with their types, "
            f"got {', '.join(wrong) or 'others: ' + short(others)}; export the model folder again"
        )
    manifest = Manifest(**fields)
    if set(manifest.files) != set(FILES):
        raise ArtifactError(
            f"{path}: expected the sha256 of {', '.join(FILES)}, got those of "
            f"{short(list(manifest.files))}; export the model folder again"
        )
    in_range = MIN_TOKENS <= manifest.max_seq_length <= MAX_TOKENS
    if manifest.pooling != "mean" or not manifest.normalize or not in_range:
        raise ArtifactError(
            f"{path}: expected mean pooling, normalised, of {MIN_TOKENS} to {MAX_TOKENS} tokens, "
            f"got pooling={manifest.pooling!r}, normalize={manifest.normalize}, "
            f"max_seq_length={manifest.max_seq_length}; this version runs no other"
        )
    return manifest


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON has a field's type, and can be shown on a terminal."""
    if hint is str:
        return type(value) is str and value.isprintable()
    if hint is int:
        return type(value) is int and abs(value) < 2**31
    if hint is float:
        return type(value) in (int, float) and abs(value) < 2**31
    if hint is bool:
        return type(value) is bool
    _, inner = get_args(hint)  # of a dict
    return type(value) is dict and all(
        _fits(name, str) and _fits(one, inner) for name, one in value.items()
    )


def _max_seq_length(folder: Path) -> int:
    """Read sentence_bert_config.json where there is one; else the model's own 256."""
    path = folder / "sentence_bert_config.json"
    if not path.exists():
        return 256
    try:
        limit = json.loads(path.read_text("utf-8"))["max_seq_length"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path}: expected a max_seq_length, got {error!r}; copy it from the checkpoint"
        ) from error
    if type(limit) is not int or not MIN_TOKENS <= limit <= MAX_TOKENS:
        raise ArtifactError(
            f"{path}: expected a max_seq_length of {MIN_TOKENS} to {MAX_TOKENS}, "
            f"got {short(limit)}; copy it from the checkpoint"
        )
    return limit
