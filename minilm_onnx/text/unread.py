"""What stands behind the part of a long text that the model reads."""

from tokenizers import Tokenizer

from minilm_onnx.text.pieces import PIECE


def unread(tokenizer: Tokenizer, text: str, limit: int) -> str:
    """Give the characters of a text behind its first `limit` tokens; "" if there are none.

    Args:
        tokenizer: from `load_tokenizer`.
        text: valid Unicode.
        limit: tokens that are read of it, special tokens included.
    """
    size = PIECE
    while True:
        # The beginning will do, but for its last word, which may go on behind it.
        encoding = tokenizer.encode(text[:size])
        words = encoding.word_ids
        if size >= len(text) or (len(words) > limit and words[limit - 2] != words[-2]):
            break
        size *= 2
    if len(words) <= limit:
        return ""
    return text[encoding.offsets[limit - 2][1] :]
