"""An encoder's weights in one arrangement, BERT's, whatever its architecture calls them."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from export.forward import Padding, Weights, weights_from_tensors
from minilm_onnx.errors import ArtifactError

Tensors = Mapping[str, npt.NDArray[Any]]

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


def read_weights(model: Any, config: Any, name: str, stored: Collection[str]) -> Weights:
    """Arrange an encoder's weights, whatever its architecture calls them.

    Args:
        model: the encoder, as transformers loaded it.
        config: of the model.
        name: for errors.
        stored: names of the tensors in its file.

    Raises:
        ArtifactError: the lean graph knows no such architecture.
    """
    kind = config.model_type
    if kind not in ARCHITECTURES or getattr(config, "is_decoder", False):
        raise ArtifactError(
            f"{name}: expected an encoder of {', '.join(ARCHITECTURES)}, got {kind}; "
            "no other is exported"
        )
    if kind == "mpnet" and config.pad_token_id != 1:
        raise ArtifactError(
            f"{name}: expected pad_token_id 1, as transformers' MPNet has it in its code, got "
            f"{config.pad_token_id}; it reads another token as padding"
        )
    for key, wanted in {
        "hidden_act": "gelu",
        "activation": "gelu",
        "position_embedding_type": "absolute",
    }.items():
        if getattr(config, key, wanted) != wanted:
            raise ArtifactError(
                f"{name}: expected {key} {wanted!r}, got {getattr(config, key)!r}; "
                "the lean graph knows no other"
            )
    if config.pad_token_id is None or getattr(config, "type_vocab_size", 1) < 1:
        raise ArtifactError(
            f"{name}: expected a pad_token_id and at least one token type, got "
            f"{config.pad_token_id} and {config.type_vocab_size}; complete config.json"
        )
    tensors = {key: value.detach().numpy() for key, value in model.state_dict().items()}
    missing = sorted(key for key in tensors if not _is_among(key, model, stored))
    if missing:
        raise ArtifactError(
            f"{name}: expected all weights in model.safetensors, got none for {missing[0]} and "
            f"{len(missing) - 1} more, which transformers would make up; complete the file"
        )
    return ARCHITECTURES[kind](tensors, config, model)


def _is_among(key: str, model: Any, stored: Collection[str]) -> bool:
    """Whether a file has a tensor, under its name or the one that TensorFlow gave it."""
    old = key.replace("LayerNorm.weight", "LayerNorm.gamma")
    old = old.replace("LayerNorm.bias", "LayerNorm.beta")
    prefix = model.base_model_prefix
    names = {key, f"{prefix}.{key}", old, f"{prefix}.{old}"}
    # The pooler's are not used, and some files have none.
    return key.startswith("pooler.") or not names.isdisjoint(stored)


def _bert(tensors: Tensors, config: Any, model: Any) -> Weights:
    return weights_from_tensors(
        dict(tensors), heads=config.num_attention_heads, epsilon=config.layer_norm_eps
    )


def _roberta(tensors: Tensors, config: Any, model: Any) -> Weights:
    """BERT, whose positions are counted from behind the padding's, which takes none."""
    return _counted(_bert(tensors, config, model), config.pad_token_id)


def _counted(weights: Weights, padding: int) -> Weights:
    """Take the padding's row, and those before it, from the positions."""
    return replace(
        weights,
        positions=weights.positions[padding + 1 :],
        padding=Padding(padding, weights.positions[padding]),
    )


def _distilbert(tensors: Tensors, config: Any, model: Any) -> Weights:
    """BERT without token types, under other names."""
    found = _renamed(tensors, "transformer.layer.", DISTILBERT, config.dim)
    # Which is written into transformers' own code.
    return weights_from_tensors(found, heads=config.n_heads, epsilon=1e-12)


def _mpnet(tensors: Tensors, config: Any, model: Any) -> Weights:
    """BERT without token types, with a bias on the scores by the distance of two tokens."""
    import torch

    width = config.hidden_size
    found = _renamed(tensors, "encoder.layer.", MPNET, width)
    weights = _counted(_bert(found, config, model), config.pad_token_id)
    length = len(weights.positions)
    with torch.no_grad():
        bias = model.encoder.compute_position_bias(torch.zeros(1, length, width))[0]
    return replace(weights, bias=bias.numpy().astype(np.float64))


def _renamed(
    tensors: Tensors, prefix: str, names: Mapping[str, str], width: int
) -> dict[str, npt.NDArray[Any]]:
    """Give tensors by BERT's names, and one token type that adds nothing."""
    found = {"embeddings.token_type_embeddings.weight": np.zeros((1, width), dtype=np.float32)}
    for key, value in tensors.items():
        if key.startswith(prefix):
            number, _, rest = key.removeprefix(prefix).partition(".")
            part, _, last = rest.rpartition(".")
            key = f"encoder.layer.{number}.{names.get(part, part)}.{last}"
        found[key] = value
    return found


ARCHITECTURES = {
    "bert": _bert,
    "roberta": _roberta,
    "xlm-roberta": _roberta,
    "distilbert": _distilbert,
    "mpnet": _mpnet,
}
