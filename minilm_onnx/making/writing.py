"""A model folder on disk: what is in it, and that it is there whole or not at all."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import onnx

from minilm_onnx.engine.dense import save_dense
from minilm_onnx.errors import InputError, MiniLMError, shown
from minilm_onnx.folder.files import sha256_of
from minilm_onnx.folder.layout import DENSE, FILES, GOLDEN, GRAPH, MANIFEST, TOKENIZER, WEIGHTS
from minilm_onnx.folder.manifest import FORMAT, Manifest
from minilm_onnx.making.builder import save_graph
from minilm_onnx.making.checkpoint import Checkpoint
from minilm_onnx.making.recipe import Recipe
from minilm_onnx.verify.golden import GoldenTexts

# What the system says of a disk, or a user's share of one, that is full.
FULL = (errno.ENOSPC, errno.EDQUOT)
# Whose versions the manifest states, beside those of what judged it.
LIBRARIES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "safetensors",
    "tokenizers",
)


def write_folder(
    checkpoint: Checkpoint,
    recipe: Recipe,
    folder: Path,
    golden: GoldenTexts,
    precision: str,
    graph: onnx.ModelProto,
    libraries: Sequence[str],
) -> Manifest:
    """Write graph, tokenizer, golden values, and a manifest without bits and parity figures."""
    folder.mkdir(exist_ok=True)
    save_graph(graph, folder / GRAPH, WEIGHTS)
    (folder / TOKENIZER).write_bytes(recipe.tokenizer.to_str().encode())
    (folder / GOLDEN).write_text(golden.to_json(), "utf-8")
    dimension = recipe.weights.words.shape[1] * len(recipe.pooling.split("+"))
    names = list(FILES)
    if recipe.dense:
        save_dense(folder / DENSE, recipe.dense)
        dimension = len(recipe.dense[-1].bias)
        names.append(DENSE)
    manifest = Manifest(
        format=FORMAT,
        model_id=checkpoint.model_id,
        revision=checkpoint.pin.revision,
        license=checkpoint.pin.license,
        languages=checkpoint.pin.languages,
        precision=precision,
        architecture=recipe.architecture,
        dimension=dimension,
        max_seq_length=recipe.max_seq_length,
        positions=recipe.positions,
        pooling=recipe.pooling,
        normalize=recipe.normalize,
        prompts=recipe.prompts,
        default_prompt_name=recipe.default_prompt_name,
        similarity_fn_name=recipe.similarity_fn_name,
        unknown_token=recipe.unknown_token,
        weights_sha256=checkpoint.pin.sha256["model.safetensors"],
        vocab_sha256=checkpoint.pin.sha256[checkpoint.vocabulary],
        files={name: sha256_of(folder / name) for name in names},
        bits="",
        versions={name: version(name).split("+")[0] for name in sorted({*LIBRARIES, *libraries})},
        parity={},
        kinds={},
    )
    (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    return manifest


def check_place(out: Path, model_id: str) -> None:
    """Refuse a place that a model folder cannot take, before anything is made for it.

    Args:
        out: the folder to be.
        model_id: of the model that it is for.

    Raises:
        InputError: `out` holds something else or another model, or cannot be written.
    """
    try:
        target = out.resolve()
        if target.exists():
            found = _model_in(target)
            if found is None:
                raise InputError(
                    f"{out}: expected a new folder or an earlier export, got something else "
                    "there; remove it or choose another folder with --out"
                )
            if found not in ("", model_id):
                raise InputError(
                    f"{out}: expected {shown(model_id)} in this folder, got {shown(found)}, which "
                    "would be replaced; remove it or choose another folder with --out"
                )
        parent = next(folder for folder in target.parents if folder.exists())
        if not parent.is_dir():
            raise _unwritable(out, f"no folder at {parent}")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise _unwritable(out, f"no permission to write in {parent}")
    except OSError as error:
        raise _unwritable(out, str(error.strerror)) from error


def _unwritable(out: Path, got: str) -> InputError:
    return InputError(
        f"{out}: expected a writable place, got {got}; choose another folder with --out"
    )


@contextmanager
def staging(out: Path, model_id: str) -> Iterator[Path]:
    """Give a folder beside `out` that takes its place when the block ends well.

    What the block writes beside the given folder is removed behind the block.

    Args:
        out: the folder to be.
        model_id: of the model that it is for.

    Raises:
        InputError: see `check_place`.
        MiniLMError: the disk is full.
    """
    check_place(out, model_id)
    target = out.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _unwritable(out, str(error.strerror)) from error
    try:
        folder, earlier = scratch / "new", scratch / "earlier"
        folder.mkdir()
        yield folder
        for file in folder.rglob("*"):  # the name must not outlive a power cut that they do not
            if file.is_file():
                with file.open("rb+") as written:
                    os.fsync(written.fileno())
        if target.exists():
            target.rename(earlier)
        try:
            folder.rename(target)
        except OSError:
            if earlier.exists():
                earlier.rename(target)
            raise
    except OSError as error:
        # One in writing names no file.
        if error.filename is not None and error.errno not in FULL:
            raise
        raise MiniLMError(
            f"{target.parent}: expected room for a model folder, got {error.strerror or error}; "
            "free some space, or choose another disk with --out"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _model_in(folder: Path) -> str | None:
    """Give the model_id of an export; "" for an empty folder, None where there is anything else."""
    if not folder.is_dir():
        return None
    names = {path.name for path in folder.iterdir()}
    if not names:
        return ""
    try:
        fields = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    # Of any format: "export the folder again" is what an old one is answered with.
    ours = isinstance(fields, dict) and {"format", "model_id"} <= set(fields)
    return str(fields["model_id"]) if ours and names <= {*FILES, DENSE, MANIFEST} else None
