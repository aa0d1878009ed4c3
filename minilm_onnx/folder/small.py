"""What a folder without a manifest says of itself, in small files.

Those of transformers and sentence-transformers, whose versions 5 and 6 say the same thing in
different places: a module is known by its name, whatever its path is.
https://sbert.net/docs/package_reference/sentence_transformer/modules.html
"""

import re
from collections.abc import Set
from pathlib import Path
from reprlib import repr as short  # of what may be long
from typing import Any

from minilm_onnx.errors import ArtifactError
from minilm_onnx.folder.files import read_json
from minilm_onnx.folder.manifest import MAX_TOKENS, MIN_TOKENS
from minilm_onnx.vectors.pooling import POOLINGS

# What the model is, which modules it has, and the tokens it reads.
CONFIG, MODULES = "config.json", "modules.json"
LIMIT, TOKENIZER = "sentence_bert_config.json", "tokenizer_config.json"
SMALL = {CONFIG, MODULES, LIMIT, TOKENIZER}
# What config.json says of all-MiniLM-L6-v2. A model of the very same shape cannot be told from it.
MINILM = {
    "model_type": "bert",
    "num_hidden_layers": 6,
    "hidden_size": 384,
    "num_attention_heads": 12,
    "vocab_size": 30522,
}
# What all-MiniLM-L6-v2 reads; optimum copies no file that says so.
OWN_LIMIT = 256
# Names of modules, in their order, each with a space behind it.
KNOWN = re.compile(r"Transformer Pooling (Normalize )?")
# Fields of which the older of them have one true for each way to pool, in their order.
OLDER = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def read_small_files(folder: Path, names: Set[str]) -> tuple[int, str, bool]:
    """Give the tokens that a model reads, how it pools, and whether it normalises.

    Args:
        folder: of the model.
        names: of the files in it.

    Raises:
        ArtifactError: it is no all-MiniLM-L6-v2, or its files are not as they usually are.
    """
    fields = read_json(folder / CONFIG)
    found = {name: fields.get(name) for name in MINILM} if isinstance(fields, dict) else fields
    if found != MINILM:
        raise ArtifactError(
            f"{folder / CONFIG}: expected all-MiniLM-L6-v2 ({MINILM}), got {short(found)}; the "
            "folder does not say how another model pools: export it with `minilm-onnx export`"
        )
    pooling, normalize = _read_modules(folder) if MODULES in names else ("mean", True)
    return _read_limit(folder, names), pooling, normalize


def is_plain(name: Any) -> bool:
    """Whether a folder's name leads to one that lies beside the file that names it."""
    return isinstance(name, str) and name not in ("", "..") and Path(name).name == name


def _read_limit(folder: Path, names: Set[str]) -> int:
    """Give the tokens that are read: sentence-transformers 6 leaves that to the tokenizer."""
    if not names & {LIMIT, MODULES}:
        return OWN_LIMIT
    path, limit = folder / LIMIT, None
    if LIMIT in names:
        limit = _fields(path).get("max_seq_length")
    if limit is None and TOKENIZER in names:
        said = _fields(folder / TOKENIZER).get("model_max_length")
        # Transformers writes a number of 31 digits where there is no limit.
        limit = min(said, MAX_TOKENS) if type(said) is int else said
    if type(limit) is not int or not MIN_TOKENS <= limit <= MAX_TOKENS:
        raise ArtifactError(
            f"{path}: expected a max_seq_length of {MIN_TOKENS} to {MAX_TOKENS}, here or as "
            f"model_max_length of {TOKENIZER}, got {short(limit)}; copy both from the checkpoint"
        )
    return limit


def _read_modules(folder: Path) -> tuple[str, bool]:
    path = folder / MODULES
    fields = read_json(path)
    entries = [one for one in fields if isinstance(one, dict)] if isinstance(fields, list) else []
    names = [str(one.get("type")).rpartition(".")[2] for one in entries]
    if not KNOWN.fullmatch("".join(f"{name} " for name in names)):
        raise ArtifactError(
            f"{path}: expected the modules Transformer, Pooling, then Normalize or not, got "
            f"{short(names)}; export the model with `minilm-onnx export`"
        )
    inner = entries[1].get("path")
    if not is_plain(inner):
        raise ArtifactError(
            f"{path}: expected the Pooling in a folder beside it, got {short(inner)}; "
            "copy it from the checkpoint"
        )
    return read_pooling(folder / str(inner) / "config.json"), len(names) == 3


def read_pooling(path: Path) -> str:
    """Give how a Pooling module's config.json says that it pools; several are joined by a plus.

    Raises:
        ArtifactError: it is in a way that the runtime does not know.
    """
    fields = _fields(path)
    modes: Any = fields.get("pooling_mode")
    if modes is None:
        modes = [mode for name, mode in OLDER.items() if fields.get(name) is True]
    modes = [modes] if isinstance(modes, str) else modes
    known = isinstance(modes, list) and modes and {*map(str, modes)} <= {*POOLINGS}
    if not known or fields.get("include_prompt", True) is not True:
        raise ArtifactError(
            f"{path}: expected a pooling_mode of {', '.join(POOLINGS)}, prompts included, got "
            f"{short(fields)}; copy it from the checkpoint, or export that"
        )
    return "+".join(modes)


def _fields(path: Path) -> dict[str, Any]:
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise ArtifactError(
            f"{path}: expected a JSON object, got {type(fields).__name__}; copy it from the "
            "checkpoint"
        )
    return fields
