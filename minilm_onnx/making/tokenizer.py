"""A checkpoint's tokenizer: its tokenizer.json, or built from a verified vocabulary."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from minilm_onnx.errors import ArtifactError, shorten
from minilm_onnx.folder.files import MOST_TOKENIZER, check_file
from minilm_onnx.making.checkpoint import Checkpoint

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# transformers replaces the normalizer of these tokenizers if tokenizer_config.json differs from it
# in one of these fields.
REMADE = ("BertTokenizer", "DistilBertTokenizer", "MPNetTokenizer")
BERT_FIELDS = {
    "lowercase": ("do_lower_case", True),
    "strip_accents": ("strip_accents", None),
    "handle_chinese_chars": ("tokenize_chinese_chars", True),
}
# The usual unknown token of each kind of tokenizer.
UNKNOWN = {"WordPiece": "[UNK]", "Unigram": "<unk>", "BPE": "<unk>"}


def build_tokenizer(vocab: Path) -> Tokenizer:
    """Build uncased BERT's tokenizer, without truncation and padding.

    Args:
        vocab: vocab.txt, one token a line; a token's id is its line.
    """
    tokens = vocab.read_text("utf-8").removesuffix("\n").split("\n")
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def read_tokenizer(checkpoint: Checkpoint, architecture: str, said: Mapping[str, Any]) -> Tokenizer:
    """Read tokenizer.json, without truncation and padding, or build it from a pinned vocabulary.

    Args:
        checkpoint: whose tokenizer it is.
        architecture: of the model, as transformers calls it.
        said: what tokenizer_config.json says.

    Raises:
        ArtifactError: the file is missing or damaged, or transformers would make another tokenizer.
    """
    pin, path = checkpoint.pin, checkpoint.folder / TOKENIZER
    if pin.revision and TOKENIZER not in pin.sha256:
        return build_tokenizer(checkpoint.folder / "vocab.txt")  # which is verified
    if not path.is_file():
        raise ArtifactError(
            f"{path}: expected the tokenizers library's file, got nothing there; save the model's "
            "fast tokenizer"
        )
    check_file(path, MOST_TOKENIZER)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ArtifactError(
            f"{path}: expected a tokenizer, got {shorten(str(error))}; save the model's fast "
            "tokenizer"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    _check_normalizer(path, tokenizer, architecture, said)
    _check_added(path, tokenizer, said)
    if not tokenizer.encode("").ids:
        raise ArtifactError(
            f"{path}: expected a post_processor that puts special tokens around a text, got no "
            "token for an empty one; save the model's fast tokenizer"
        )
    return tokenizer


def _check_normalizer(
    path: Path, tokenizer: Tokenizer, architecture: str, said: Mapping[str, Any]
) -> None:
    """Refuse a normalizer that transformers would make another one of, as some versions do."""
    names = {"bert": REMADE[0], "distilbert": REMADE[1], "mpnet": REMADE[2]}
    kind = str(said.get("tokenizer_class") or names.get(architecture, ""))
    if kind.removesuffix("Fast") not in REMADE or tokenizer.normalizer is None:
        return
    state = json.loads(tokenizer.normalizer.__getstate__())
    for field, (key, usual) in BERT_FIELDS.items():
        wanted = said.get(key, usual)
        if state.get(field, wanted) != wanted:
            raise ArtifactError(
                f"{path}: expected a normalizer with {field} = {wanted}, as {TOKENIZER_CONFIG} has "
                f"{key}, got {state[field]}; save the tokenizer again, so that they agree"
            )


def _check_added(path: Path, tokenizer: Tokenizer, said: Mapping[str, Any]) -> None:
    """Refuse tokens that only tokenizer_config.json has; transformers would add them."""
    added = said.get("added_tokens_decoder")
    for number, token in added.items() if isinstance(added, dict) else ():
        content = token.get("content") if isinstance(token, dict) else token
        found = tokenizer.token_to_id(str(content))
        if str(found) != number:
            raise ArtifactError(
                f"{path}: expected {shorten(str(content))} to be token {number}, as in "
                f"{TOKENIZER_CONFIG}, got {found}; save the tokenizer again, so that they agree"
            )


def lower(tokenizer: Tokenizer) -> None:
    """Convert texts to lower case first, unless the normalizer does."""
    given = tokenizer.normalizer
    parts = [] if given is None else list(given) if _is_sequence(given) else [given]
    states = [json.loads(part.__getstate__()) for part in parts]
    if not any(state["type"] == "Lowercase" or state.get("lowercase") for state in states):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *parts])


def _is_sequence(normalizer: Any) -> bool:
    return isinstance(normalizer, normalizers.Sequence)


def unknown_token(files: Sequence[Mapping[str, Any]], tokenizer: Tokenizer) -> str:
    """Give the token that stands for what the vocabulary lacks; "" for none.

    Args:
        files: what the tokenizer's JSON files say; the first that names the token counts.
        tokenizer: asked for the usual token of its kind where they do not.
    """
    for fields in files:
        found = fields.get("unk_token")
        if isinstance(found, Mapping):
            found = found.get("content")
        if isinstance(found, str):
            return found
    usual = UNKNOWN.get(type(tokenizer.model).__name__, "")
    return usual if tokenizer.token_to_id(usual) is not None else ""
