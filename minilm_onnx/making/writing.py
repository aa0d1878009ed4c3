"""A model folder on disk: what is in it, and that it is there whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import onnx

from minilm_onnx import InputError
from minilm_onnx.engine.dense import save_dense
from minilm_onnx.folder.files import sha256_of
from minilm_onnx.folder.layout import DENSE, FILES, GOLDEN, GRAPH, MANIFEST, TOKENIZER, WEIGHTS
from minilm_onnx.folder.manifest import FORMAT, Manifest
from minilm_onnx.making.builder import save_graph
from minilm_onnx.making.checkpoint import Checkpoint
from minilm_onnx.making.recipe import Recipe
from minilm_onnx.verify.golden import GoldenTexts

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


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` that takes its place when the block ends well.

    Raises:
        InputError: `out` is something other than an earlier export, or cannot be written.
    """
    try:
        target = out.resolve()
        if target.exists() and not _is_export(target):
            raise InputError(
                f"--out {out}: expected a new folder or an earlier export, got something else "
                "there; choose another"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(
            f"--out {out}: expected a writable place, got {error.strerror}; choose another"
        ) from error
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
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_export(folder: Path) -> bool:
    """Whether a folder is empty or holds an export and nothing else."""
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    if not names:
        return True
    try:
        fields = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    # Of any format: "export the folder again" is what an old one is answered with.
    ours = isinstance(fields, dict) and {"format", "model_id"} <= set(fields)
    return ours and names <= {*FILES, DENSE, MANIFEST}
