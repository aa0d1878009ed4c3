"""What a sentence-transformers folder says, asked of sentence-transformers itself.

What cannot be run faithfully is refused by name: modules, tokenizers; for the encoder see
`architectures`.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from safetensors import safe_open
from tokenizers import Tokenizer

from export.reference import SentenceTransformersReference
from minilm_onnx.engine.dense import Dense
from minilm_onnx.errors import ArtifactError
from minilm_onnx.folder.manifest import MAX_TOKENS, MIN_TOKENS
from minilm_onnx.making.architectures import of_encoder, read_weights
from minilm_onnx.making.folder import ACTIVATIONS
from minilm_onnx.making.forward import Weights
from minilm_onnx.making.recipe import Recipe


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
        weights = _weights(transformer.auto_model, name, set(file.keys()))
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
            f"{name}: expected at most {len(weights.words)} tokens, one per word embedding, "
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


def _weights(model: Any, name: str, stored: Collection[str]) -> Weights:
    """Take an encoder's weights as transformers loaded them, which makes up what a file lacks."""
    tensors = {key: value.detach().numpy() for key, value in model.state_dict().items()}
    weights = read_weights(tensors, model.config.to_dict(), name)
    found = {of_encoder(one, model.config.model_type) for one in stored}
    # The pooler's are not used, and some files have none.
    missing = sorted(key for key in tensors if key not in found and not key.startswith("pooler."))
    if missing:
        raise ArtifactError(
            f"{name}: expected all weights in model.safetensors, got none for {missing[0]} and "
            f"{len(missing) - 1} more, which transformers would make up; complete the file"
        )
    return weights


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
