"""A model folder: graph, weights, tokenizer, and the manifest.json that vouches for them.

The weights are a file of their own (ONNX calls it external data) because onnxruntime maps such a
file into memory where it would copy an .onnx file twice: half the time to load, and 39 MiB less.
"""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from reprlib import repr as short  # of what may be long
from typing import Any, get_args

from minilm_onnx.errors import ArtifactError
from minilm_onnx.folder.files import check_file, external_files, read_json, sha256_of
from minilm_onnx.vectors.pooling import POOLINGS
from minilm_onnx.vectors.similarity import Measure

BUNDLED = Path(__file__).parents[1] / "model"
BUNDLED_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
# Of the environment: a folder of model folders.
HOME = "MINILM_ONNX_HOME"
GRAPH = "model.onnx"
WEIGHTS = "model.onnx.data"
TOKENIZER = "tokenizer.json"
MANIFEST = "manifest.json"
# What sentence-transformers says, for `minilm-onnx verify`; nothing else reads it.
GOLDEN = "golden.json"
# Of a model with maps after its pooling.
DENSE = "dense.npz"
LOADED = (GRAPH, WEIGHTS, TOKENIZER)
FILES = (*LOADED, GOLDEN)
# Of a checkpoint: the tokens it reads. Optimum's folders may have it.
LIMIT = "sentence_bert_config.json"
# What config.json says of all-MiniLM-L6-v2 in a folder without a manifest. A model of the very
# same shape cannot be told from it.
MINILM = {
    "model_type": "bert",
    "num_hidden_layers": 6,
    "hidden_size": 384,
    "num_attention_heads": 12,
    "vocab_size": 30522,
}
CONFIG = "config.json"
FORMAT = 4
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
        versions: version of each library that took part in the export.
        parity: agreement with sentence-transformers fp32, as measured by the export.
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
    versions: dict[str, str]
    parity: dict[str, float]

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
        """Say how near the vectors are to sentence-transformers', in words."""
        if not {"mean_cosine", "min_cosine", "texts"} <= set(self.parity):
            return "not measured"
        return (
            f"cosine to sentence-transformers fp32: mean {self.parity['mean_cosine']}, "
            f"least {self.parity['min_cosine']} over {self.parity['texts']} texts"
        )


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
    def pooling(self) -> str:
        """How token vectors become one."""
        return self.manifest.pooling if self.manifest else "mean"

    @property
    def normalize(self) -> bool:
        """Whether the model itself scales vectors to length 1."""
        return self.manifest.normalize if self.manifest else True

    @property
    def unknown_token(self) -> str:
        """What stands for words that the vocabulary lacks; "" where it lacks none."""
        return self.manifest.unknown_token if self.manifest else "[UNK]"

    @property
    def positions(self) -> int:
        """Tokens the model could read."""
        return self.manifest.positions if self.manifest else MAX_TOKENS

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

    def check_graph(self) -> list[str]:
        """Check what must hold before onnxruntime opens graph and weights.

        Returns:
            The names of the files that hold the weights.

        Raises:
            ArtifactError: one is missing, not a file, too large or not in the folder, or the graph
                is altered.
        """
        check_file(self.graph)
        if self.manifest:
            self.verify(GRAPH)
        names = external_files(self.graph)
        for name in names:
            check_file(self.folder / name)
        if self.manifest and not set(names) <= {WEIGHTS}:  # optimum's folders have another name
            raise ArtifactError(
                f"{self.graph}: expected weights in {WEIGHTS}, got {short(names)}; "
                "export the folder again"
            )
        return names

    def verify_graph(self) -> None:
        """Check what onnxruntime loads: graph and weights.

        Raises:
            ArtifactError: one is missing, unreadable or altered.
        """
        self.verify(GRAPH, *self.check_graph())


def find_folder(model: str | Path | None) -> Path:
    """Find a model folder.

    Args:
        model: the name of a folder in the one that the environment's MINILM_ONNX_HOME names; or a
            folder; or the bundled model's name on the hub; None for the bundled model.
    """
    if model is None:
        return BUNDLED
    home = os.environ.get(HOME)
    if home and Path(model).name == str(model) not in ("", ".."):
        # Path's own raises for names that are too long.
        found = Path(home) / model
        if os.path.isdir(found):  # noqa: PTH112  # as said
            return found
    if str(model) in BUNDLED_NAMES and not Path(model).exists():
        return BUNDLED
    return Path(model)


def load_artifact(folder: Path) -> Artifact:
    """Find out what a model folder holds; its files are verified as they are read.

    With a manifest.json they must match it to the byte. A folder that optimum wrote has
    a config.json instead, which does not say how to pool: it is taken where it can be of
    all-MiniLM-L6-v2, and read as that, mean pooling over 256 tokens.

    Raises:
        ArtifactError: the folder or its manifest is missing, unreadable or unfamiliar.
    """
    try:
        folder = folder.absolute()  # so that it outlives a change of directory
        names = {path.name for path in folder.iterdir()}
    except (OSError, ValueError) as error:  # ValueError: of a NUL in its name
        raise ArtifactError(
            f"{folder}: expected a model folder, got {getattr(error, 'strerror', error)}; give one "
            f"that `python -m export` wrote, the name of one in {HOME} (`minilm-onnx models` lists "
            "them), or nothing for the bundled model"
        ) from error
    if CONFIG in names and not names & {MANIFEST, GRAPH}:
        raise ArtifactError(
            f"{folder}: expected a model folder, got a checkpoint; make one of it with "
            "`python -m export --model FOLDER --name NAME --out DIR`"
        )
    if MANIFEST not in names and CONFIG in names:
        _check_minilm(folder / CONFIG)
        limit = _max_seq_length(folder / LIMIT) if LIMIT in names else 256
        return Artifact(folder, None, {}, limit)
    manifest = parse_manifest(folder)
    return Artifact(folder, manifest, dict(manifest.files), manifest.max_seq_length)


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


def _check_minilm(path: Path) -> None:
    fields = read_json(path)
    found = {name: fields.get(name) for name in MINILM} if isinstance(fields, dict) else fields
    if found != MINILM:
        raise ArtifactError(
            f"{path}: expected all-MiniLM-L6-v2 ({MINILM}), got {short(found)}; nothing here says "
            "how another model pools: export it with `python -m export`"
        )


def _max_seq_length(path: Path) -> int:
    fields = read_json(path)
    limit = fields.get("max_seq_length") if isinstance(fields, dict) else None
    if type(limit) is not int or not MIN_TOKENS <= limit <= MAX_TOKENS:
        raise ArtifactError(
            f"{path}: expected a max_seq_length of {MIN_TOKENS} to {MAX_TOKENS}, "
            f"got {short(limit)}; copy it from the checkpoint"
        )
    return limit
