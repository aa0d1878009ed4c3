"""Ids of many texts in one array, padded to the longest: the form that transformers takes."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from minilm_onnx.arrays import IdArray


def pad(tokenizer: Tokenizer, rows: Sequence[IdArray]) -> dict[str, IdArray]:
    """Put the ids of texts side by side.

    Args:
        tokenizer: which knows the padding token; without one the id is 0.
        rows: (T,) int64 a text.

    Returns:
        input_ids, attention_mask and token_type_ids, (N, T) int64, T that of the longest.
    """
    width = max(map(len, rows), default=0)
    known = map(tokenizer.token_to_id, ("[PAD]", "<pad>"))
    padding = next((token for token in known if token is not None), 0)
    ids = np.full((len(rows), width), padding, dtype=np.int64)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    mask = (np.arange(width) < lengths[:, None]).astype(np.int64)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
