"""The whole model in plain numpy, from token ids to unit vectors: what the graph computes.

    weights = safetensors.numpy.load_file("model.safetensors")
    vectors = embed(weights, np.array([[101, 1037, 4937, 102]]))  # [CLS] a cat [SEP]

B is texts of one batch, T the tokens of each, H = 384 components. Texts of one batch have equal
length, so nothing is padded or masked. `name` is what the checkpoint calls a part's weights.

The architecture is BERT (Devlin et al., 2018, https://arxiv.org/abs/1810.04805), and the pooling
Sentence-BERT's (Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084).
"""

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import erf  # numpy has none

from minilm_onnx.arrays import FloatArray, IdArray

Weights = Mapping[str, FloatArray]
LAYERS = 6
HEADS = 12
EPSILON = 1e-12


def embed(weights: Weights, ids: IdArray) -> FloatArray:
    """Turn token ids, (B, T) int64, into unit vectors, (B, H) float32."""
    return l2_normalize(mean_pool(last_hidden_state(weights, ids)))


def last_hidden_state(weights: Weights, ids: IdArray) -> FloatArray:
    """Turn token ids, (B, T) int64, into one vector per token, (B, T, H) float32."""
    hidden = embeddings(weights, ids)
    for number in range(LAYERS):
        hidden = layer(weights, f"encoder.layer.{number}", hidden)
    return hidden


def embeddings(weights: Weights, ids: IdArray) -> FloatArray:
    """Add the vectors of each token, its position and its type, and normalise: (B, T, H)."""
    tokens = weights["embeddings.word_embeddings.weight"][ids]
    positions = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
    first_type = weights["embeddings.token_type_embeddings.weight"][0]  # the second is for pairs
    return layer_norm(weights, "embeddings.LayerNorm", tokens + positions + first_type)


def layer(weights: Weights, name: str, hidden: FloatArray) -> FloatArray:
    """Add attention and normalise, add two dense maps and normalise: (B, T, H) to same."""
    mixed = attention(weights, f"{name}.attention.self", hidden)
    mixed = linear(weights, f"{name}.attention.output.dense", mixed)
    hidden = layer_norm(weights, f"{name}.attention.output.LayerNorm", hidden + mixed)
    inner = gelu(linear(weights, f"{name}.intermediate.dense", hidden))  # (B, T, 4 H)
    outer = linear(weights, f"{name}.output.dense", inner)
    return layer_norm(weights, f"{name}.output.LayerNorm", hidden + outer)


def attention(weights: Weights, name: str, hidden: FloatArray) -> FloatArray:
    """Give each token a mean of its text's values, weighted by query and key: (B, T, H) to same.

    Scaled dot products in several heads: Vaswani et al., Attention Is All You Need, 2017, section
    3.2, https://arxiv.org/abs/1706.03762.
    """
    query, key, value = (
        split_heads(linear(weights, f"{name}.{part}", hidden)) for part in ("query", "key", "value")
    )
    scores = query @ key.swapaxes(2, 3) / math.sqrt(query.shape[3])  # (B, HEADS, T, T)
    mixed: FloatArray = softmax(scores) @ value  # (B, HEADS, T, H / HEADS)
    return mixed.swapaxes(1, 2).reshape(hidden.shape)


def split_heads(hidden: FloatArray) -> FloatArray:
    """Cut each token's vector into one piece per head: (B, T, H) to (B, HEADS, T, H / HEADS)."""
    batch, tokens, _ = hidden.shape
    return hidden.reshape(batch, tokens, HEADS, -1).swapaxes(1, 2)


def softmax(scores: FloatArray) -> FloatArray:
    """Turn scores into weights that sum to 1 over the last axis, any shape."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))  # at most 1: nothing overflows
    weights: FloatArray = powers / powers.sum(axis=-1, keepdims=True)
    return weights


def linear(weights: Weights, name: str, hidden: FloatArray) -> FloatArray:
    """Apply a dense map, whose weight is (out, in): (B, T, in) to (B, T, out)."""
    mapped: FloatArray = hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return mapped


def layer_norm(weights: Weights, name: str, hidden: FloatArray) -> FloatArray:
    """Give each token mean 0 and variance 1, then scale and shift by component: (B, T, H) to same.

    Ba et al., Layer Normalization, 2016, https://arxiv.org/abs/1607.06450.
    """
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    scaled: FloatArray = centred / np.sqrt(variance + EPSILON)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(hidden: FloatArray) -> FloatArray:
    """Multiply each component by the chance that a standard normal value is less, any shape.

    Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, https://arxiv.org/abs/1606.08415.
    """
    activated: FloatArray = hidden * 0.5 * (1 + erf(hidden / math.sqrt(2)))
    return activated


def mean_pool(hidden: FloatArray) -> FloatArray:
    """Average the tokens of each text: (B, T, H) to (B, H)."""
    pooled: FloatArray = hidden.mean(axis=1)
    return pooled


def l2_normalize(vectors: FloatArray) -> FloatArray:
    """Scale each row to Euclidean length 1: (B, H) to same."""
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
