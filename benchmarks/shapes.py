"""How fast models of other shapes are: python -m benchmarks.shapes --out FILE.

Speed depends on a model's shape, not on what it has learnt, so random weights of each shape are put
into the graphs that export builds, and run by the runtime as any model is. Needs
export/requirements.txt. --publish writes the figures into docs/models.md.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.publish import filled
from export.builder import save_graph
from export.calibrate import QuantizedLayer
from export.folding import Fold
from export.forward import Dense, Layer, Norm, Weights
from export.graph import build_fp32, build_int8
from export.limits import of_distance
from export.rounding import QuantizedDense
from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.cpus import cpu_name
from minilm_onnx.folder.files import sha256_of
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import FILES, GOLDEN, GRAPH, MANIFEST, TOKENIZER, WEIGHTS
from minilm_onnx.folder.manifest import parse_manifest
from minilm_onnx.measure.sample import sample_texts

QUERY = "how do I get my money back for a broken bicycle?"
# That a measurement takes of the smallest shape; larger ones get fewer.
TEXTS = 1200
WORDS = 30_522


@dataclass(frozen=True)
class Shape:
    """A model's measures.

    Attributes:
        model: whose they are.
        layers: how many.
        width: H.
        heads: of attention.
        tokens: read of a text.
        bias: whether scores have a bias by distance, as MPNet's.
    """

    model: str
    layers: int
    width: int
    heads: int
    tokens: int
    bias: bool = False

    @property
    def parameters(self) -> int:
        """Of the layers' matrices."""
        return self.layers * 12 * self.width**2


SHAPES = (
    Shape("all-MiniLM-L6-v2", 6, 384, 12, 256),
    Shape("paraphrase-multilingual-MiniLM-L12-v2", 12, 384, 12, 128),
    Shape("bge-small-zh-v1.5", 4, 512, 8, 512),
    Shape("all-mpnet-base-v2", 12, 768, 12, 384, bias=True),
    Shape("mxbai-embed-large-v1", 24, 1024, 16, 512),
)


def random_weights(shape: Shape) -> Weights:
    """Make an encoder whose values stay of ordinary size."""
    draw = np.random.default_rng(0)
    width = shape.width

    def dense(inner: int, outer: int) -> Dense:
        return Dense(draw.normal(0, inner**-0.5, (inner, outer)), draw.normal(0, 0.1, outer))

    def norm() -> Norm:
        return Norm(np.ones(width), np.zeros(width), 1e-12)

    layers = [
        Layer(
            query=dense(width, width),
            key=dense(width, width),
            value=dense(width, width),
            attention_output=dense(width, width),
            attention_norm=norm(),
            intermediate=dense(width, 4 * width),
            output=dense(4 * width, width),
            output_norm=norm(),
        )
        for _ in range(shape.layers)
    ]
    words = draw.normal(0, 1, (WORDS, width))
    positions = draw.normal(0, 0.1, (512, width))
    bias = of_distance(draw.normal(0, 1, (shape.heads, 2 * 512 - 1))) if shape.bias else None
    return Weights(words, positions, norm(), layers, shape.heads, bias)


def quantize(weights: Weights) -> list[QuantizedLayer]:
    """Round every layer to the nearest codes, for their speed alone."""
    width = weights.words.shape[1]
    fold = Fold(np.zeros(width), np.ones(width))

    def rounded(dense: Dense) -> QuantizedDense:
        scales = np.abs(dense.weight).max(axis=0) / 127
        return QuantizedDense(np.rint(dense.weight / scales).astype(np.int8), scales, dense.bias)

    return [
        QuantizedLayer(
            qkv_fold=fold,
            query=rounded(layer.query),
            key=rounded(layer.key),
            value=rounded(layer.value),
            attention_output=rounded(layer.attention_output),
            ffn_fold=fold,
            intermediate=rounded(layer.intermediate),
            steps=512,
            output=rounded(layer.output),
        )
        for layer in weights.layers
    ]


def write(folder: Path, shape: Shape, precision: str) -> None:
    """Write a model folder of a shape."""
    folder.mkdir()
    weights = random_weights(shape)
    graph = build_fp32(weights) if precision == "fp32" else build_int8(weights, quantize(weights))
    save_graph(graph, folder / GRAPH, WEIGHTS)
    for name in (TOKENIZER, GOLDEN):
        shutil.copy(BUNDLED / name, folder / name)
    manifest = replace(
        parse_manifest(BUNDLED),
        model_id=f"random/{shape.model}",
        precision=precision,
        dimension=shape.width,
        max_seq_length=shape.tokens,
        files={name: sha256_of(folder / name) for name in FILES},
        parity={},
    )
    (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")


def measure(encoder: SentenceEncoder, texts: Sequence[str]) -> dict[str, float]:
    """Time texts in bulk, and one question after the other."""
    start = time.perf_counter()
    encoder.encode(texts)
    bulk = len(texts) / (time.perf_counter() - start)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        encoder.encode(QUERY)
        times.append(time.perf_counter() - start)
    return {"texts_per_second": bulk, "query_ms": 1000 * median(times)}


def run(rounds: int, threads: int) -> dict[str, Any]:
    """Measure all shapes in turns; give medians."""
    found: dict[tuple[int, str], list[dict[str, float]]] = {}
    sizes: dict[tuple[int, str], float] = {}
    texts = sample_texts(TEXTS)
    with tempfile.TemporaryDirectory() as scratch:
        encoders = {}
        for place, shape in enumerate(SHAPES):
            for precision in ("int8", "fp32"):
                folder = Path(scratch) / f"{place}-{precision}"
                write(folder, shape, precision)
                sizes[place, precision] = (folder / WEIGHTS).stat().st_size / 2**20
                encoders[place, precision] = SentenceEncoder(folder, threads=threads)
        for number in range(rounds + 1):
            for key, encoder in encoders.items():
                share = SHAPES[0].parameters / SHAPES[key[0]].parameters
                some = texts[: max(60, int(TEXTS * min(1.0, share)))]
                figures = measure(encoder, some if number else some[:60])
                if number:  # the first round warms up
                    found.setdefault(key, []).append(figures)
    rows = []
    for (place, precision), every in found.items():
        row = {name: median(one[name] for one in every) for name in every[0]}
        rows.append(
            asdict(SHAPES[place])
            | {"precision": precision, "parameters": SHAPES[place].parameters}
            | {"weights_mib": round(sizes[place, precision])}
            | {name: round(value, 2) for name, value in row.items()}
        )
    return {"cpu": cpu_name(), "threads": threads, "rounds": rounds, "rows": rows}


def table(found: dict[str, Any]) -> str:
    """Give the figures as Markdown."""
    lines = [
        f"{found['cpu']}, {found['threads']} threads, medians of {found['rounds']} rounds in "
        "turns; random weights of each shape, 30,522 words:",
        "",
        "| shape | int8 texts/s | query ms | MiB | fp32 texts/s | query ms | MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for shape in SHAPES:
        cells = [shape.model]
        for precision in ("int8", "fp32"):
            (row,) = (
                one
                for one in found["rows"]
                if (one["model"], one["precision"]) == (shape.model, precision)
            )
            cells += [
                f"{row['texts_per_second']:.0f}",
                f"{row['query_ms']:.1f}",
                str(row["weights_mib"]),
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shapes", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="results, as JSON")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--publish", action="store_true", help="write docs/models.md")
    options = parser.parse_args(arguments)
    found = run(options.rounds, options.threads)
    options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(table(found))
    if options.publish:
        page = Path("docs/models.md")
        page.write_text(filled(page.read_text("utf-8"), "shapes", table(found)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
