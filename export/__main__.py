"""Turn a checkpoint into a model folder: python -m export --out DIR."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import onnx
from tokenizers import Tokenizer
from tqdm import tqdm

from export.calibrate import calibrate
from export.checkpoint import DEFAULT_MODEL, Checkpoint, find_checkpoint
from export.forward import Weights, weights_from_tensors
from export.gate import check_same, measure
from export.graph import build_fp32, build_int8, save_graph
from export.reference import SentenceTransformersReference, export_standard
from export.tokenizer import build_tokenizer
from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.artifact import (
    FILES,
    FORMAT,
    GOLDEN,
    GRAPH,
    MANIFEST,
    TOKENIZER,
    WEIGHTS,
    Manifest,
)
from minilm_onnx.cli import report_errors
from minilm_onnx.files import sha256_of
from minilm_onnx.golden import GoldenTexts
from minilm_onnx.tokens import tokenize

TEXTS = Path(__file__).parent / "texts"
LIBRARIES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "optimum",
    "optimum-onnx",
    "safetensors",
    "scipy",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "transformers",
)


def say(line: str) -> None:
    """Tell the operator how far it is."""
    print(f"export: {line}", file=sys.stderr, flush=True)


def export(checkpoint: Checkpoint, out: Path, precision: str) -> Manifest:
    """Write a model folder, whole or not at all.

    Args:
        checkpoint: a verified checkpoint.
        out: the folder to make, or an earlier export to replace.
        precision: "fp32" or "int8".

    Raises:
        InputError: `out` cannot be written or holds something else.
        ParityError: the graph does not say the same as its references.
    """
    calibration, held_out = (
        (TEXTS / name).read_text("utf-8").splitlines()
        for name in ("calibration.txt", "held_out.txt")
    )
    reference = SentenceTransformersReference(checkpoint.folder)
    golden = golden_texts(reference)
    with staging(out) as folder, tempfile.TemporaryDirectory() as scratch:
        tokenizer = build_tokenizer(checkpoint.folder / "vocab.txt")
        weights = weights_of(checkpoint)
        say("standard graph, by optimum")
        standard = Path(scratch) / "standard"
        export_standard(checkpoint.folder, standard)
        lean = build_fp32(weights)
        say("the lean fp32 graph against optimum's")
        write_folder(checkpoint, Path(scratch) / "fp32", tokenizer, golden, "fp32", lean)
        check_same(
            "the lean fp32 graph against optimum's",
            SentenceEncoder(Path(scratch) / "fp32").encode(held_out),
            SentenceEncoder(standard).encode(held_out),
        )
        if precision == "int8":
            ids = tokenize(tokenizer, calibration, checkpoint.max_seq_length).ids
            count = len(weights.layers)
            with tqdm(total=count, desc="export: calibrating", unit="layer") as bar:
                lean = build_int8(weights, calibrate(weights, ids, lambda _: bar.update()))
        manifest = write_folder(checkpoint, folder, tokenizer, golden, precision, lean)
        say("parity with sentence-transformers on held-out texts")
        parity = measure(folder, precision, reference, standard, held_out)
        manifest = replace(manifest, parity=parity)
        (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    return manifest


def weights_of(checkpoint: Checkpoint) -> Weights:
    """Read the encoder's weights."""
    return weights_from_tensors(
        checkpoint.tensors(),
        heads=checkpoint.config["num_attention_heads"],
        epsilon=checkpoint.config["layer_norm_eps"],
    )


def golden_texts(reference: SentenceTransformersReference) -> GoldenTexts:
    """Ask the reference about texts of many kinds."""
    lines = (TEXTS / "golden.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line) for line in lines]
    return GoldenTexts(texts, reference.ids(texts), reference.vectors(texts))


def write_folder(
    checkpoint: Checkpoint,
    folder: Path,
    tokenizer: Tokenizer,
    golden: GoldenTexts,
    precision: str,
    graph: onnx.ModelProto,
) -> Manifest:
    """Write graph, tokenizer, golden values, and a manifest without parity figures."""
    folder.mkdir(exist_ok=True)
    save_graph(graph, folder / GRAPH, WEIGHTS)
    (folder / TOKENIZER).write_bytes(tokenizer.to_str().encode())
    (folder / GOLDEN).write_text(golden.to_json(), "utf-8")
    manifest = Manifest(
        format=FORMAT,
        model_id=checkpoint.model_id,
        revision=checkpoint.pin.revision,
        license=checkpoint.pin.license,
        precision=precision,
        dimension=checkpoint.config["hidden_size"],
        max_seq_length=checkpoint.max_seq_length,
        pooling="mean",
        normalize=True,
        weights_sha256=checkpoint.pin.sha256["model.safetensors"],
        vocab_sha256=checkpoint.pin.sha256["vocab.txt"],
        files={name: sha256_of(folder / name) for name in FILES},
        versions={name: version(name).split("+")[0] for name in LIBRARIES},
        parity={},
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
    return ours and names <= {*FILES, MANIFEST}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Turn a checkpoint into a model folder: model.onnx and its weights, "
        "tokenizer.json, manifest.json.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="ID_OR_FOLDER",
        help="checkpoint: a folder, or a hub name (looked for in its data package, then on the "
        "hub); default %(default)s",
    )
    parser.add_argument(
        "--precision", choices=("int8", "fp32"), default="int8", help="default %(default)s"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the steps in order."""
    options = parse(arguments)
    checkpoint = find_checkpoint(options.model)
    say(f"{checkpoint.model_id}, verified, from {checkpoint.origin}")
    manifest = export(checkpoint, options.out, options.precision)
    say(f"{options.out}: {manifest.precision}, parity {manifest.parity}")
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
