"""What a sentence-transformers folder says, asked of sentence-transformers itself.

What cannot be run faithfully is refused by name: modules, architectures, tokenizers.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from tokenizers import Tokenizer

from export.folder import ACTIVATIONS
from export.forward import Padding, Weights, weights_from_tensors
from export.reference import SentenceTransformersReference
from minilm_onnx.engine.dense import Dense
from minilm_onnx.errors import ArtifactError
from minilm_onnx.folder.manifest import MAX_TOKENS, MIN_TOKENS

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Recipe:
    """All that makes a text's vector.

    Attributes:
        architecture: as transformers calls it.
        weights: of the encoder.
        tokenizer: without truncation and padding.
        max_seq_length: tokens read of a text.
        positions: tokens that could be.
        pooling: see `minilm_onnx.vectors.pooling.pool`.
        dense: maps of what pooling gives.
        normalize: whether vectors are scaled to length 1.
        prompts: what is put before texts, by name.
        default_prompt_name: "" for none.
        similarity_fn_name: how vectors are compared.
        unknown_token: "" for none.
    """

    architecture: str
    weights: Weights
    tokenizer: Tokenizer
    max_seq_length: int
    positions: int
    pooling: str
    dense: list[Dense]
    normalize: bool
    prompts: dict[str, str]
    default_prompt_name: str
    similarity_fn_name: str
    unknown_token: str

    @property
    def shape(self) -> tuple[int, int, float]:
        """Layers, heads, and what layer normalisation adds to a variance."""
        weights = self.weights
        return len(weights.layers), weights.heads, weights.embedding_norm.epsilon


def read_recipe(reference: SentenceTransformersReference, name: str) -> Recipe:
    """Ask a loaded model how it works.

    Args:
        reference: the model.
        name: for errors.

    Raises:
        ArtifactError: it has something that the runtime does not know.
    """
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer import modules as known

    model = reference.model
    transformer, pooling, *others = model
    kinds = [type(module) for module in others]
    if (type(transformer), type(pooling)) != (Transformer, known.Pooling) or not (
        set(kinds[:-1]) <= {known.Dense} and set(kinds[-1:]) <= {known.Dense, known.Normalize}
    ):
        raise ArtifactError(
            f"{name}: expected the modules Transformer, Pooling, then Dense or not, then Normalize "
            f"or not, got {', '.join(type(module).__name__ for module in model)}; the runtime "
            "knows no others"
        )
    config, tokenizer = transformer.auto_model.config, transformer.tokenizer
    with safe_open(reference.folder / "model.safetensors", "np") as file:
        weights = _weights(transformer.auto_model, config, name, set(file.keys()))
    if not getattr(tokenizer, "is_fast", False):
        raise ArtifactError(
            f"{name}: expected a tokenizer of the tokenizers library, got "
            f"{type(tokenizer).__name__}, which is Python; save it as tokenizer.json"
        )
    if not pooling.include_prompt:
        raise ArtifactError(
            f"{name}: expected prompts to take part in pooling, got include_prompt=False; the "
            "runtime knows no other way"
        )
    limit = int(min(model.max_seq_length or len(weights.positions), len(weights.positions)))
    if not MIN_TOKENS <= limit <= MAX_TOKENS:
        raise ArtifactError(
            f"{name}: expected a max_seq_length of {MIN_TOKENS} to {MAX_TOKENS}, got {limit}; set "
            "model.max_seq_length and save the model, if it is to read no more"
        )
    # Of more tokens sentence-transformers itself would fail.
    model.max_seq_length = limit
    if tokenizer.backend_tokenizer.get_vocab_size() > len(weights.words):
        raise ArtifactError(
            f"{name}: expected a token a row of the {len(weights.words)} word embeddings at most, "
            f"got {tokenizer.backend_tokenizer.get_vocab_size()} tokens; save the model's own "
            "tokenizer beside it"
        )
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    modes = pooling.pooling_mode
    return Recipe(
        architecture=config.model_type,
        weights=weights,
        tokenizer=backend,
        max_seq_length=limit,
        positions=min(len(weights.positions), MAX_TOKENS),
        pooling=modes if isinstance(modes, str) else "+".join(modes),
        dense=[_dense(module) for module in others if isinstance(module, known.Dense)],
        normalize=kinds[-1:] == [known.Normalize],
        prompts={key: str(prompt) for key, prompt in model.prompts.items()},
        default_prompt_name=model.default_prompt_name or "",
        similarity_fn_name=str(model.similarity_fn_name),
        unknown_token=tokenizer.unk_token or "",
    )


def _dense(module: Any) -> Dense:
    """Take a module's map; what it is was checked in its file."""
    weight = module.linear.weight.detach().numpy().T
    bias = module.linear.bias.detach().numpy() if module.bias else np.zeros(weight.shape[1])
    kind = type(module.activation_function)
    return Dense(
        np.ascontiguousarray(weight, dtype=np.float32),
        bias.astype(np.float32),
        ACTIVATIONS[f"{kind.__module__}.{kind.__qualname__}"],
    )


def _is_among(key: str, model: Any, stored: Collection[str]) -> bool:
    """Whether a file has a tensor, under its name or the one that TensorFlow gave it."""
    old = key.replace("LayerNorm.weight", "LayerNorm.gamma")
    old = old.replace("LayerNorm.bias", "LayerNorm.beta")
    prefix = model.base_model_prefix
    names = {key, f"{prefix}.{key}", old, f"{prefix}.{old}"}
    # The pooler's are not used, and some files have none.
    return key.startswith("pooler.") or not names.isdisjoint(stored)


def _weights(model: Any, config: Any, name: str, stored: Collection[str]) -> Weights:
    """Arrange an encoder's weights, whatever its architecture calls them.

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
    names = {
        "attention.q_lin": "attention.self.query",
        "attention.k_lin": "attention.self.key",
        "attention.v_lin": "attention.self.value",
        "attention.out_lin": "attention.output.dense",
        "sa_layer_norm": "attention.output.LayerNorm",
        "ffn.lin1": "intermediate.dense",
        "ffn.lin2": "output.dense",
        "output_layer_norm": "output.LayerNorm",
    }
    found = _renamed(tensors, "transformer.layer.", names, config.dim)
    # Which is written into transformers' own code.
    return weights_from_tensors(found, heads=config.n_heads, epsilon=1e-12)


def _mpnet(tensors: Tensors, config: Any, model: Any) -> Weights:
    """BERT without token types, with a bias on the scores by the distance of two tokens."""
    import torch

    names = {
        "attention.attn.q": "attention.self.query",
        "attention.attn.k": "attention.self.key",
        "attention.attn.v": "attention.self.value",
        "attention.attn.o": "attention.output.dense",
        "attention.LayerNorm": "attention.output.LayerNorm",
    }
    width = config.hidden_size
    found = _renamed(tensors, "encoder.layer.", names, width)
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
