"""Forms of letters that are for the eye alone, such as the ligature ﬁ, made plain.

The text of a PDF has them, and nobody types them. Most are unknown to the model: "oﬃce" has
nothing in common with "office". `encode` takes texts as they are, as sentence-transformers does;
what goes into an index, and what is asked of it, is made plain for words and vectors.
"""

import re
import unicodedata

from tokenizers import Regex, Tokenizer, normalizers

# What loses by it: "Acme™" would become "AcmeTM", "2½" 21 over 2, and the model knows these signs.
KEPT = "([…™℠¼-¾⅐-⅟↉]+)"
_KEPT = re.compile(KEPT)


def folded(text: str) -> str:
    """Give a text in Unicode's form NFKC, with ™, ℠, … and fractions as they are."""
    if text.isascii():
        return text
    parts = _KEPT.split(text)
    parts[::2] = (unicodedata.normalize("NFKC", part) for part in parts[::2])
    return "".join(parts)


def folding(tokenizer: Tokenizer) -> Tokenizer:
    """Give a tokenizer that counts at least the tokens that a text has when it is folded."""
    made = Tokenizer.from_str(tokenizer.to_str())
    first = [normalizers.Replace(Regex(KEPT.replace("+", "")), " 1/2 "), normalizers.NFKC()]
    then = [] if made.normalizer is None else [made.normalizer]
    made.normalizer = normalizers.Sequence([*first, *then])
    return made
