"""manifest.json: what a model folder says of itself, and whether this version runs that."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from reprlib import repr as short  # of what may be long
from typing import Any, get_args

from minilm_onnx.errors import ArtifactError
from minilm_onnx.folder.files import read_json
from minilm_onnx.folder.layout import DENSE, FILES, MANIFEST
from minilm_onnx.vectors.pooling import POOLINGS
from minilm_onnx.vectors.similarity import Measure

FORMAT = 6
PRECISIONS = ("fp32", "int8")
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
        languages: that it reads, as its card says, "en" or "de, en"; "unknown" where it does not.
        precision: "fp32" or "int8".
        architecture: as transformers calls it, as "bert".
        dimension: components of a vector.
        max_seq_length: tokens the model reads of a text, special tokens included.
        positions: tokens it could read.
        pooling: how token vectors become one; see `minilm_onnx.vectors.pooling.pool`.
        normalize: whether vectors are scaled to length 1.
        prompts: what is put before texts, by name.
        default_prompt_name: the prompt of texts that are given none; "" for none.
        similarity_fn_name: how vectors are compared.
        unknown_token: what stands for words that the vocabulary lacks; "" where it lacks none.
        weights_sha256: sha256 of the checkpoint's model.safetensors.
        vocab_sha256: sha256 of the checkpoint's vocab.txt, or tokenizer.json.
        files: sha256 of every other file in the folder, by name.
        bits: sha256 of the vectors that native operators give of golden.json's texts, in their
            order, as float32, little-endian; "" where the graph has no native operators.
        versions: version of each library that took part in the export.
        parity: agreement with what judged the export: sentence-transformers in fp32 where
            `versions` has it, a forward pass in numpy elsewhere.
        kinds: the same by hard kind of text, of int8: short replies, runs of a word, bytes, ...
    """

    format: int
    model_id: str
    revision: str
    license: str
    languages: str
    precision: str
    architecture: str
    dimension: int
    max_seq_length: int
    positions: int
    pooling: str
    normalize: bool
    prompts: dict[str, str]
    default_prompt_name: str
    similarity_fn_name: str
    unknown_token: str
    weights_sha256: str
    vocab_sha256: str
    files: dict[str, str]
    bits: str
    versions: dict[str, str]
    parity: dict[str, float]
    kinds: dict[str, dict[str, float]]

    def to_json(self) -> str:
        """Give the text of manifest.json."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @property
    def made_of(self) -> str:
        """Say what makes a vector, in words."""
        dense = ", then linear maps" if DENSE in self.files else ""
        return f"{self.architecture}, pooled by {self.pooling}{dense}"

    @property
    def agreement(self) -> str:
        """Say how near the vectors are to what judged the export, in words."""
        if not {"mean_cosine", "min_cosine", "texts"} <= set(self.parity):
            return "not measured"
        return (
            f"cosine to {self.judge}: mean {self.parity['mean_cosine']}, "
            f"least {self.parity['min_cosine']} over {self.parity['texts']} texts"
        ) + self._hardest

    @property
    def judge(self) -> str:
        """Name what the vectors were compared with."""
        if "sentence-transformers" in self.versions:
            return "sentence-transformers fp32"
        return "a forward pass in numpy"

    @property
    def _hardest(self) -> str:
        """Say which kind of text is furthest off, in words."""
        means = {kind: one.get("mean_cosine", 1.0) for kind, one in self.kinds.items()}
        if not means:
            return ""
        kind = min(means, key=means.__getitem__)
        return f"; worst kind of text: {kind}, mean {means[kind]}"


def parse_manifest(folder: Path) -> Manifest:
    """Read manifest.json.

    Raises:
        ArtifactError: it is missing, not JSON, or not of the form this version knows.
    """
    path = folder / MANIFEST
    fields = read_json(path)
    found = fields.get("format") if isinstance(fields, dict) else type(fields).__name__
    if type(found) is not int or found != FORMAT:
        raise ArtifactError(
            f"{path}: expected format {FORMAT}, got {short(found)}; "
            "export the model folder with this version of minilm-onnx"
        )
    types = dict(Manifest.__annotations__)
    # Prompts alone may have lines and spaces of any kind.
    flat = {name: _flat(value) if name == "prompts" else value for name, value in fields.items()}
    wrong = [name for name, hint in types.items() if not _fits(flat.get(name), hint)]
    others = sorted(set(fields) - set(types))
    if wrong or others:
        raise ArtifactError(
            f"{path}: expected the fields {', '.join(types)} with their types, "
            f"got {', '.join(wrong) or 'others: ' + short(others)}; export the model folder again"
        )
    manifest = Manifest(**fields)
    if set(manifest.files) - {DENSE} != set(FILES):
        raise ArtifactError(
            f"{path}: expected the sha256 of {', '.join(FILES)} and at most {DENSE}, got those of "
            f"{short(list(manifest.files))}; export the model folder again"
        )
    if not re.fullmatch("([0-9a-f]{64})?", manifest.bits):
        raise ArtifactError(
            f"{path}: expected bits of 64 hexadecimal digits or none, got {short(manifest.bits)}; "
            "export the model folder again"
        )
    in_range = MIN_TOKENS <= manifest.max_seq_length <= manifest.positions <= MAX_TOKENS
    pooled = set(manifest.pooling.split("+")) <= set(POOLINGS)
    measured = manifest.similarity_fn_name in get_args(Measure)
    named = manifest.default_prompt_name in {"", *manifest.prompts}
    precise = manifest.precision in PRECISIONS
    if not (in_range and pooled and measured and named and precise):
        raise ArtifactError(
            f"{path}: expected pooling by {', '.join(POOLINGS)}, {MIN_TOKENS} to {MAX_TOKENS} "
            f"tokens, {' or '.join(PRECISIONS)}, got pooling={short(manifest.pooling)}, "
            f"max_seq_length={manifest.max_seq_length}, positions={manifest.positions}, "
            f"precision={short(manifest.precision)}, "
            f"similarity_fn_name={short(manifest.similarity_fn_name)}, "
            f"default_prompt_name={short(manifest.default_prompt_name)}; this version runs no other"
        )
    return manifest


def _flat(value: Any) -> Any:
    if type(value) is not dict:
        return value
    return {key: re.sub(r"\s", " ", one) if type(one) is str else one for key, one in value.items()}


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
