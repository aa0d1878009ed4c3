"""Turn a checkpoint into a model folder: python -m export --out DIR."""

import argparse
import json
import math
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import onnx
from tqdm import tqdm

from export.calibrate import calibrate
from export.checkpoint import DEFAULT_MODEL, Checkpoint, find_checkpoint
from export.gate import check_fp32, check_same, measure
from export.graph import build_fp32, build_int8, save_graph
from export.recipe import Recipe, read_recipe
from export.reference import SentenceTransformersReference, export_standard
from export.tokenizer import build_tokenizer
from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.arrays import IdArray
from minilm_onnx.cli import report_errors
from minilm_onnx.engine.dense import save_dense
from minilm_onnx.folder.files import sha256_of
from minilm_onnx.folder.layout import DENSE, FILES, GOLDEN, GRAPH, MANIFEST, TOKENIZER, WEIGHTS
from minilm_onnx.folder.manifest import FORMAT, Manifest
from minilm_onnx.text.tokens import tokenize
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.verify.golden import GoldenTexts

TEXTS = Path(__file__).parent / "texts"
# Of texts of one's own: how many there must be, and one in how many is held out.
FEWEST_TEXTS, HELD_OUT = 200, 8
# Tokens that calibration looks at, at most, since its memory grows with them; the project's own
# texts have 65,206.
MOST_TOKENS = 80_000
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


def export(
    checkpoint: Checkpoint, out: Path, precision: str, texts: Path | None = None
) -> Manifest:
    """Write a model folder, whole or not at all.

    Args:
        checkpoint: a verified checkpoint.
        out: the folder to make, or an earlier export to replace.
        precision: "fp32" or "int8".
        texts: calibration texts of one's own, one a line; None for the project's.

    Raises:
        InputError: `out` cannot be written or holds something else; int8 of a model of other
            languages without texts in them.
        ArtifactError: the model has something that the runtime does not know.
        ParityError: the graph does not say the same as its references.
    """
    languages = checkpoint.pin.languages
    if precision == "int8" and texts is None and languages not in ("en", "unknown"):
        raise InputError(
            f"--calibration: expected texts in the model's languages ({languages}) for int8, got "
            "none; the project's own are English: give a file, or take --precision fp32"
        )
    calibration, held_out = read_split(texts)
    reference, recipe = read_model(checkpoint)
    weights = recipe.weights
    held_out = with_prompts(held_out, recipe.prompts)
    golden = golden_texts(reference, recipe.normalize)
    with staging(out) as folder, tempfile.TemporaryDirectory() as scratch:
        lean = build_fp32(weights)
        if checkpoint.official or precision == "int8":
            say("the lean fp32 graph, which int8 is made of")
            write_folder(checkpoint, recipe, Path(scratch) / "fp32", golden, "fp32", lean)
            check_fp32(SentenceEncoder(Path(scratch) / "fp32"), golden)
        if checkpoint.official:
            export_standard(checkpoint.folder, Path(scratch) / "standard")
            check_same(
                "the lean fp32 graph against optimum's",
                SentenceEncoder(Path(scratch) / "fp32").encode(held_out),
                SentenceEncoder(Path(scratch) / "standard").encode(held_out),
            )
        if precision == "int8":
            ids = calibration_ids(recipe, calibration)
            count = len(weights.layers)
            with tqdm(total=count, desc="export: calibrating", unit="layer") as bar:
                lean = build_int8(weights, calibrate(weights, ids, lambda _: bar.update()))
        manifest = write_folder(checkpoint, recipe, folder, golden, precision, lean)
        say("parity with sentence-transformers on held-out texts")
        parity = measure(folder, precision, reference, held_out)
        manifest = replace(manifest, parity=parity)
        (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
    return manifest


def read_model(checkpoint: Checkpoint) -> tuple[SentenceTransformersReference, Recipe]:
    """Load a checkpoint, and find out how it makes vectors.

    Raises:
        ArtifactError: the model has something that the runtime does not know, or files beside the
            official weights say what the official ones do not.
    """
    reference = SentenceTransformersReference(checkpoint.folder)
    recipe = read_recipe(reference, checkpoint.model_id)
    expected = checkpoint.pin.says
    found = {name: getattr(recipe, name) for name in expected}
    if found != expected:
        raise ArtifactError(
            f"{checkpoint.folder}: expected {expected} ({checkpoint.model_id}), got {found}; get "
            "the official files, or give a model of your own a --name"
        )
    if not checkpoint.pin.revision or "tokenizer.json" in checkpoint.pin.sha256:
        return reference, recipe
    # From the verified vocabulary, not from a file that nobody vouches for.
    tokenizer = build_tokenizer(checkpoint.folder / "vocab.txt")
    return reference, replace(recipe, tokenizer=tokenizer)


def read_split(texts: Path | None) -> tuple[list[str], list[str]]:
    """Give texts to calibrate on, and others to judge the result by.

    The project's texts are always calibrated on, since others than a user's own will be embedded
    too; without them they were up to 0.08 of a cosine off.

    Args:
        texts: a file of one's own, one a line; None for none.

    Raises:
        InputError: there are too few in the file, or it cannot be read.
    """
    names = ("calibration.txt", "held_out.txt")
    calibration, held_out = ((TEXTS / name).read_text("utf-8").splitlines() for name in names)
    if texts is None:
        return calibration, held_out
    try:
        lines = [line for line in texts.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(
            f"--calibration {texts}: expected UTF-8, a text a line, got: {error}; choose another"
        ) from error
    if len(lines) < FEWEST_TEXTS:
        raise InputError(
            f"--calibration {texts}: expected at least {FEWEST_TEXTS} texts, got {len(lines)}; "
            "add some like those that will be embedded"
        )
    own = [line for place, line in enumerate(lines) if place % HELD_OUT]
    return [*own, *calibration], lines[::HELD_OUT]


def with_prompts(texts: list[str], prompts: Mapping[str, str]) -> list[str]:
    """Put each of a model's prompts before a share of the texts, and none before another."""
    starts = ["", *filter(None, prompts.values())]
    return [starts[place % len(starts)] + text for place, text in enumerate(texts)]


def calibration_ids(recipe: Recipe, texts: list[str]) -> list[IdArray]:
    """Tokenise calibration texts as the model will read them; evenly chosen if they are many."""
    default = recipe.prompts.get(recipe.default_prompt_name, "")
    prompted = [default + text for text in with_prompts(texts, recipe.prompts)]
    ids = tokenize(recipe.tokenizer, prompted, recipe.max_seq_length).ids
    share = math.ceil(sum(map(len, ids)) / MOST_TOKENS)
    if share > 1:
        say(f"calibrating on one in {share} of {len(ids)} texts, which are enough")
    return ids[::share]


def golden_texts(reference: SentenceTransformersReference, normalize: bool) -> GoldenTexts:
    """Ask the reference about texts of many kinds; give its vectors scaled to length 1."""
    lines = (TEXTS / "golden.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line) for line in lines]
    vectors = reference.vectors(texts)
    if not normalize:
        vectors = l2_normalize(vectors)
    return GoldenTexts(texts, reference.ids(texts), vectors)


def write_folder(
    checkpoint: Checkpoint,
    recipe: Recipe,
    folder: Path,
    golden: GoldenTexts,
    precision: str,
    graph: onnx.ModelProto,
) -> Manifest:
    """Write graph, tokenizer, golden values, and a manifest without parity figures."""
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
    return ours and names <= {*FILES, DENSE, MANIFEST}


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
        "--name",
        help="export the folder of --model under a name of your own, whatever its weights are",
    )
    parser.add_argument(
        "--license", default="", help="of that model, as SPDX names it; the manifest says it"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="texts like those that will be embedded, one a line, of which int8 is made, beside "
        "English ones of this project's; an eighth of them judges it",
    )
    parser.add_argument(
        "--precision", choices=("int8", "fp32"), default="int8", help="default %(default)s"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the steps in order."""
    options = parse(arguments)
    checkpoint = find_checkpoint(options.model, options.name, options.license)
    vouched = "verified" if checkpoint.pin.revision else "nobody's official files"
    say(f"{checkpoint.model_id}, {vouched}, from {checkpoint.origin}")
    with warnings.catch_warnings():
        # Of the project's own odd texts.
        warnings.filterwarnings("ignore", ".*mostly unknown to the model")
        manifest = export(checkpoint, options.out, options.precision, options.calibration)
    say(f"{options.out}: {manifest.precision}; {manifest.agreement}")
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
