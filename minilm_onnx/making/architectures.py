"""An encoder's weights in one arrangement, BERT's, whatever its architecture calls them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minilm_onnx.errors import ArtifactError
from minilm_onnx.making.forward import Padding, Weights, weights_from_tensors

Tensors: TypeAlias = Mapping[str, npt.NDArray[Any]]
Config: TypeAlias = Mapping[str, Any]
# Tensors and the hidden size to tensors.
Rename: TypeAlias = Callable[[Tensors, int], Tensors]

# What transformers takes of BERT where config.json says nothing.
DEFAULTS = {"pad_token_id": 0, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
SIZES = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("vocab_size", "max_position_embeddings"),
)
# What the names of an encoder's tensors begin with in a file of more than the encoder.
PREFIXES = {"xlm-roberta": "roberta"}
# Rows of MPNet's bias, half of them for tokens that are ahead.
BUCKETS = 32
BIAS = "encoder.relative_attention_bias.weight"
# Those whose first position is the one behind the padding's.
COUNTED = ("roberta", "xlm-roberta", "mpnet")

# Parts of a layer, and what BERT calls them.
DISTILBERT = {
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}
MPNET = {
    "attention.attn.q": "attention.self.query",
    "attention.attn.k": "attention.self.key",
    "attention.attn.v": "attention.self.value",
    "attention.attn.o": "attention.output.dense",
    "attention.LayerNorm": "attention.output.LayerNorm",
}


def read_weights(tensors: Tensors, config: Config, name: str) -> Weights:
    """Arrange an encoder's weights, whatever its architecture calls them.

    Args:
        tensors: float32, by the names that transformers gives them in the encoder alone.
        config: what config.json says of it.
        name: for errors.

    Raises:
        ArtifactError: the lean graph knows no such architecture, or the tensors are not what the
            config says.
    """
    kind = config.get("model_type")
    if kind not in ARCHITECTURES or config.get("is_decoder"):
        raise ArtifactError(
            f"{name}: expected an encoder of {', '.join(ARCHITECTURES)}, got {kind}; "
            "no other is exported"
        )
    said = {**DEFAULTS, **ARCHITECTURES[kind].defaults, **config}
    padding, types = said["pad_token_id"], said["type_vocab_size"]
    if kind == "mpnet" and (padding, said["relative_attention_num_buckets"]) != (1, BUCKETS):
        raise ArtifactError(
            f"{name}: expected pad_token_id 1 and {BUCKETS} relative_attention_num_buckets, as "
            f"transformers' MPNet has them in its code, got {padding} and "
            f"{said['relative_attention_num_buckets']}; it ignores other values"
        )
    for key, wanted in {
        "hidden_act": "gelu",
        "activation": "gelu",
        "position_embedding_type": "absolute",
    }.items():
        if said.get(key, wanted) != wanted:
            raise ArtifactError(
                f"{name}: expected {key} {wanted!r}, got {said[key]!r}; no other is supported"
            )
    if type(padding) is not int or type(types) is not int or padding < 0 or types < 1:
        raise ArtifactError(
            f"{name}: expected a pad_token_id and at least one token type, got "
            f"{padding} and {types}; complete config.json"
        )
    sizes: dict[str, Any] = {
        key: said.get(ARCHITECTURES[kind].sizes.get(key, key)) for key in SIZES
    }
    wrong = {key: size for key, size in sizes.items() if type(size) is not int or size < 1}
    if wrong:
        raise ArtifactError(f"{name}: expected whole numbers in config.json, got {wrong}; fix it")
    hidden, heads, positions = (
        sizes[key] for key in ("hidden_size", "num_attention_heads", "max_position_embeddings")
    )
    if hidden % heads:
        raise ArtifactError(
            f"{name}: expected num_attention_heads that divide hidden_size, got {heads} and "
            f"{hidden}; fix config.json"
        )
    epsilon = said["layer_norm_eps"]
    if type(epsilon) not in (int, float) or not 0 <= epsilon < 1:
        raise ArtifactError(
            f"{name}: expected a layer_norm_eps from 0 to 1, got {epsilon}; fix config.json"
        )
    if kind in COUNTED and padding + 1 >= positions:
        raise ArtifactError(
            f"{name}: expected a pad_token_id with positions after it, below {positions - 1}, "
            f"got {padding}; fix config.json"
        )
    found = ARCHITECTURES[kind].rename(tensors, hidden)
    bias = {BIAS: (BUCKETS, heads)} if kind == "mpnet" else {}
    _check_shapes(found, sizes, types, name, bias)
    return ARCHITECTURES[kind].arrange(found, heads, said)


def of_encoder(stored: str, kind: str) -> str:
    """Give the name of a tensor in the encoder alone, from its name in a file of weights."""
    name = stored.removeprefix(f"{PREFIXES.get(kind, kind)}.")
    # As TensorFlow called them.
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
    return name.replace("LayerNorm.beta", "LayerNorm.bias")


def _check_shapes(
    tensors: Tensors,
    sizes: Mapping[str, int],
    types: int,
    name: str,
    more: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise ArtifactError unless every tensor that is needed has its shape, and those of `more`."""
    hidden, wide = sizes["hidden_size"], sizes["intermediate_size"]
    expected: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (sizes["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (sizes["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (types, hidden),
        **more,
    }
    norms = ["embeddings.LayerNorm"]
    maps: dict[str, tuple[int, ...]] = {}
    for layer in range(sizes["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            maps[f"{at}.attention.{part}"] = (hidden, hidden)
        maps[f"{at}.intermediate.dense"] = (wide, hidden)
        maps[f"{at}.output.dense"] = (hidden, wide)
    for norm in norms:
        expected |= {f"{norm}.weight": (hidden,), f"{norm}.bias": (hidden,)}
    for one, shape in maps.items():
        expected |= {f"{one}.weight": shape, f"{one}.bias": shape[:1]}
    for key, shape in expected.items():
        found = tensors[key].shape if key in tensors else None
        if found != shape:
            raise ArtifactError(
                f"{name}: expected {key} of shape {shape} in model.safetensors, as config.json "
                f"says, got {found or 'none'}; complete the folder"
            )


def _bert(tensors: Tensors, heads: int, config: Config) -> Weights:
    return weights_from_tensors(dict(tensors), heads=heads, epsilon=config["layer_norm_eps"])


def _roberta(tensors: Tensors, heads: int, config: Config) -> Weights:
    """BERT, whose positions are counted from behind the padding's, which takes none."""
    return _counted(_bert(tensors, heads, config), config["pad_token_id"])


def _counted(weights: Weights, padding: int) -> Weights:
    """Take the padding's row, and those before it, from the positions."""
    return replace(
        weights,
        positions=weights.positions[padding + 1 :],
        padding=Padding(padding, weights.positions[padding]),
    )


def _mpnet(tensors: Tensors, heads: int, config: Config) -> Weights:
    """BERT without token types, with a bias on the scores by the distance of two tokens."""
    weights = _counted(_bert(tensors, heads, config), config["pad_token_id"])
    table = tensors[BIAS].astype(np.float64)
    places = np.arange(len(weights.positions))
    bias = table[buckets(places[None] - places[:, None])].transpose(2, 0, 1)
    return replace(weights, bias=np.ascontiguousarray(bias))


def buckets(ahead: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give MPNet's row of the bias for how far a token is ahead of another.

    Near ones have a row each; further ones share rows whose widths grow as T5's do (Raffel et al.,
    2020), 8 * 16 ** (k / 8) being where the k-th of them begins.
    """
    half = BUCKETS // 2
    far = np.minimum(np.abs(ahead), 128)  # further ones are as far as that
    # In whole numbers: eighth powers, of which none is rounded.
    begins = np.array([(half // 2) ** 8 * 16**step for step in range(1, 8)])
    shared = half // 2 + np.searchsorted(begins, far**8, "right")
    rows: npt.NDArray[np.int64] = np.where(far < half // 2, far, shared) + half * (ahead > 0)
    return rows


def _renamed(prefix: str, names: Mapping[str, str]) -> Rename:
    """Give tensors by BERT's names, and one token type that adds nothing."""

    def rename(tensors: Tensors, width: int) -> Tensors:
        found = {"embeddings.token_type_embeddings.weight": np.zeros((1, width), dtype=np.float32)}
        for key, value in tensors.items():
            if key.startswith(prefix):
                number, _, rest = key.removeprefix(prefix).partition(".")
                part, _, last = rest.rpartition(".")
                key = f"encoder.layer.{number}.{names.get(part, part)}.{last}"
            found[key] = value
        return found

    return rename


@dataclass(frozen=True)
class Architecture:
    """How an encoder differs from BERT in its files.

    Attributes:
        arrange: makes weights of tensors with BERT's names, the number of heads, and the config.
        rename: gives tensors BERT's names.
        sizes: what config.json calls a size, where it is another name than BERT's.
        defaults: what transformers takes where config.json says nothing.
    """

    arrange: Callable[[Tensors, int, Config], Weights]
    rename: Rename = lambda tensors, _: tensors
    sizes: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURES = {
    "bert": Architecture(_bert),
    "roberta": Architecture(_roberta, defaults={"pad_token_id": 1}),
    "xlm-roberta": Architecture(_roberta, defaults={"pad_token_id": 1}),
    "distilbert": Architecture(
        # The epsilon is written into transformers' own code.
        lambda tensors, heads, config: _bert(tensors, heads, {"layer_norm_eps": 1e-12}),
        _renamed("transformer.layer.", DISTILBERT),
        {
            "hidden_size": "dim",
            "intermediate_size": "hidden_dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
        },
        {"type_vocab_size": 1},
    ),
    "mpnet": Architecture(
        _mpnet,
        _renamed("encoder.layer.", MPNET),
        defaults={
            "pad_token_id": 1,
            "type_vocab_size": 1,
            "relative_attention_num_buckets": BUCKETS,
        },
    ),
}
