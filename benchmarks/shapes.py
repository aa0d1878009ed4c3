"""How fast models of other shapes are: python -m benchmarks.shapes --out FILE.

Random weights of each shape are put into the graphs that export builds, and run by the runtime as
any model is, in turns with sentence-transformers on torch and with OpenVINO's int8 by NNCF, each at
the better of two batch settings. Needs what benchmarks/convert.py names. --publish writes the
figures into docs/models.md.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contenders import Batch, openvino_int8
from benchmarks.contenders.sentence_transformers_torch import load_backend
from benchmarks.publish import fill_page
from benchmarks.random_models import Shape, write_checkpoint, write_folder
from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.cpus import cpu_name
from minilm_onnx.folder.layout import WEIGHTS
from minilm_onnx.measure.sample import sample_texts

QUERY = "how do I get my money back for a broken bicycle?"
# That a measurement takes of the smallest shape; larger ones get fewer.
TEXTS = 600
FEWEST = 40
# That NNCF looks at: enough for a speed.
SAMPLES = 16
MPNET = Shape("all-mpnet-base-v2", 12, 768, 12, 384, bias=True)
SHAPES = (
    Shape("all-MiniLM-L6-v2", 6, 384, 12, 256),
    Shape("paraphrase-multilingual-MiniLM-L12-v2", 12, 384, 12, 128),
    Shape("bge-small-zh-v1.5", 4, 512, 8, 512),
    MPNET,
    Shape("mxbai-embed-large-v1", 24, 1024, 16, 512),
)
BATCHES: dict[str, tuple[Batch, ...]] = {
    "int8": (None,),
    "fp32": (None,),
    "torch": (8, 16),
    "openvino_int8": (512, 1024),
}


@dataclass(frozen=True)
class Folders:
    """What the engines load of one model: this project's folders, and a checkpoint."""

    int8: Path
    fp32: Path
    checkpoint: Path


def random_folders(scratch: Path, shape: Shape) -> Folders:
    """Write a random model for every engine."""
    made = Folders(scratch / "int8", scratch / "fp32", scratch / "checkpoint")
    write_folder(made.int8, shape, "int8")
    write_folder(made.fp32, shape, "fp32")
    write_checkpoint(made.checkpoint, shape)
    return made


def engines(folders: Folders, shape: Shape, threads: int, scratch: Path) -> dict[str, Any]:
    """Load a model into every engine: name to embed(texts, batch)."""
    converted = scratch / "openvino"
    converted.mkdir()
    openvino_int8.prepare(folders.checkpoint, converted, SAMPLES)
    return {
        "int8": own(folders.int8, threads),
        "fp32": own(folders.fp32, threads),
        "torch": load_backend(folders.checkpoint, threads, tokens=shape.tokens),
        "openvino_int8": openvino_int8.load(converted, threads, shape.tokens),
    }


def own(folder: Path, threads: int) -> Callable[[Sequence[str], Batch], Any]:
    """Load a folder of this project's."""
    encoder = SentenceEncoder(folder, threads=threads)
    return lambda texts, batch: encoder.encode(texts)


def measure(embed: Any, batch: Batch, texts: Sequence[str]) -> dict[str, float]:
    """Time texts in bulk, and one question after the other."""
    start = time.perf_counter()
    embed(texts, batch)
    bulk = len(texts) / (time.perf_counter() - start)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        embed([QUERY], batch)
        times.append(time.perf_counter() - start)
    return {"texts_per_second": bulk, "query_ms": 1000 * median(times)}


def compare(shape: Shape, folders: Folders, rounds: int, threads: int) -> list[dict[str, Any]]:
    """Measure a model with all engines, in turns; give a row of medians for each."""
    share = SHAPES[0].parameters / shape.parameters
    texts = sample_texts(TEXTS)[: max(FEWEST, int(TEXTS * min(1.0, share)))]
    found: dict[str, dict[Batch, list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        loaded = engines(folders, shape, threads, Path(scratch))
        for number in range(rounds + 1):
            for name, embed in loaded.items():
                for batch in BATCHES[name]:
                    figures = measure(embed, batch, texts if number else texts[:FEWEST])
                    if number:  # the first round warms up
                        found.setdefault(name, {}).setdefault(batch, []).append(figures)
    rows = []
    for name, settings in found.items():
        speeds = {b: median(one["texts_per_second"] for one in settings[b]) for b in settings}
        best = max(speeds, key=lambda batch: speeds[batch])
        query = median(one["query_ms"] for one in settings[best])
        row = {"engine": name, "batch": best, "texts_per_second": round(speeds[best], 2)}
        rows.append(asdict(shape) | row | {"query_ms": round(query, 2)})
        if name in ("int8", "fp32"):
            size = (getattr(folders, name) / WEIGHTS).stat().st_size
            rows[-1]["weights_mib"] = round(size / 2**20)
    return rows


def run(rounds: int, threads: int, mpnet: Folders | None) -> dict[str, Any]:
    """Measure all shapes, one after the other, and all-mpnet-base-v2 itself where it is given."""
    rows = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as scratch:
            rows += compare(shape, random_folders(Path(scratch), shape), rounds, threads)
    if mpnet is not None:
        real = replace(MPNET, model=f"{MPNET.model}, its own weights")
        rows += compare(real, mpnet, rounds, threads)
    return {"cpu": cpu_name(), "threads": threads, "rounds": rounds, "rows": rows}


def table(found: dict[str, Any]) -> str:
    """Give the figures as Markdown."""
    lines = [
        f"{found['cpu']}, {found['threads']} threads, medians of {found['rounds']} rounds in "
        "turns; random weights of each shape, 30,522 words. Texts a second, and milliseconds of "
        "one question:",
        "",
        "| shape | int8 | ms | MiB | fp32 | ms | MiB | torch | ms | OpenVINO int8 | ms |",
        f"| ---{' | ---:' * 10} |",
    ]
    for model in dict.fromkeys(row["model"] for row in found["rows"]):
        cells = [model]
        for row in (one for one in found["rows"] if one["model"] == model):
            speed = row["texts_per_second"]
            cells += [f"{speed:.{0 if speed >= 20 else 1}f}", f"{row['query_ms']:.1f}"]
            cells += [str(row["weights_mib"])] if "weights_mib" in row else []
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shapes", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results, as JSON")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument(
        "--mpnet",
        type=Path,
        nargs=3,
        metavar=("INT8", "FP32", "CHECKPOINT"),
        help="all-mpnet-base-v2 itself too: its exported folders, and where they came from",
    )
    parser.add_argument("--publish", action="store_true", help="write docs/models.md")
    options = parser.parse_args(arguments)
    found = run(options.rounds, options.threads, options.mpnet and Folders(*options.mpnet))
    options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(table(found))
    if options.publish:
        fill_page(Path("docs/models.md"), {"shapes": table(found)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
