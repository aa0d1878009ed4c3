"""Texts that say the same."""

import re


def bare(text: str) -> str:
    """A text without case, signs and spaces, which change little; of signs alone without spaces."""
    letters = " ".join(re.findall(r"[^\W_]+", text.casefold()))
    return letters or "".join(text.split())
