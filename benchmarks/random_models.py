"""Random models of the shapes that are compared: weights that nothing was learnt with.

Speed depends on a model's shape, not on what it has learnt.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minilm_onnx.folder.files import sha256_of
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import FILES, GOLDEN, GRAPH, MANIFEST, TOKENIZER, WEIGHTS
from minilm_onnx.folder.manifest import parse_manifest
from minilm_onnx.making.builder import save_graph
from minilm_onnx.making.calibrate import QuantizedLayer, fine_tokens
from minilm_onnx.making.folding import WIDE_CHANNELS, Fold
from minilm_onnx.making.forward import Dense, Layer, Norm, Weights
from minilm_onnx.making.graph import build_fp32, build_int8
from minilm_onnx.making.limits import of_distance
from minilm_onnx.making.rounding import QuantizedDense

WORDS = 30_522
POSITIONS = 512


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
    positions = draw.normal(0, 0.1, (POSITIONS, width))
    bias = of_distance(draw.normal(0, 1, (shape.heads, 2 * POSITIONS - 1))) if shape.bias else None
    return Weights(words, positions, norm(), layers, shape.heads, bias)


def quantize(weights: Weights) -> list[QuantizedLayer]:
    """Round every layer to the nearest codes, for their speed alone."""
    width = weights.words.shape[1]
    fold = Fold(np.zeros(width), np.ones(width))
    channels = list(range(WIDE_CHANNELS))

    def rounded(dense: Dense) -> QuantizedDense:
        scales = np.abs(dense.weight).max(axis=0) / 127
        codes = np.rint(dense.weight / scales).astype(np.int8)
        codes[channels] = 0
        return QuantizedDense(codes, scales, dense.bias, channels, dense.weight[channels])

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
            fine=fine_tokens(number, len(weights.layers)),
        )
        for number, layer in enumerate(weights.layers)
    ]


def write_folder(folder: Path, shape: Shape, precision: str) -> None:
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
        kinds={},
    )
    (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")


def write_checkpoint(folder: Path, shape: Shape) -> None:
    """Write a random model of a shape as sentence-transformers does: what others convert."""
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer

    sizes = {
        "vocab_size": WORDS,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": 4 * shape.width,
        "pad_token_id": 0,
    }
    if shape.bias:
        # Its positions count from 2.
        config = transformers.MPNetConfig(**sizes, max_position_embeddings=POSITIONS + 2)
        model = transformers.MPNetModel(config)
    else:
        model = transformers.BertModel(transformers.BertConfig(**sizes))
    tokens = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(BUNDLED / TOKENIZER),
        model_input_names=["input_ids", "attention_mask"],
        **tokens,
    )
    base = folder / "base"
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    transformer = Transformer(str(base), max_seq_length=shape.tokens)
    SentenceTransformer(
        modules=[transformer, Pooling(shape.width), Normalize()], device="cpu"
    ).save(str(folder))
    shutil.rmtree(base)
