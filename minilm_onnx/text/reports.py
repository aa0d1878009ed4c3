"""What the model does not see of texts, and how it is said."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from minilm_onnx.errors import InputError
from minilm_onnx.text.overflow import Overflow

# A text of which more than this share is unknown says little to the model.
MOST_UNKNOWN = 0.5


@dataclass(frozen=True, slots=True)
class TextReport:
    """How much of a text the model reads and knows.

    Attributes:
        tokens: the number of tokens in the text, special tokens included.
        kept: how many of them the model reads.
        unknown: the share of tokens, without special ones, that are not in the vocabulary; they
            all look the same to the model.
    """

    tokens: int
    kept: int
    unknown: float

    @property
    def cut(self) -> bool:
        """Whether a part of the text is not read."""
        return self.kept < self.tokens

    @property
    def unreadable(self) -> bool:
        """Whether most of the text is unknown."""
        return self.unknown > MOST_UNKNOWN


@dataclass
class Tally:
    """What the model did not see of many texts.

    Attributes:
        texts: how many there were.
        cut: those that it did not read whole.
        unreadable: those that are mostly unknown to it.
    """

    texts: int = 0
    cut: int = 0
    unreadable: int = 0

    def add(self, reports: Sequence[TextReport]) -> None:
        """Count more texts."""
        self.texts += len(reports)
        self.cut += sum(report.cut for report in reports)
        self.unreadable += sum(report.unreadable for report in reports)

    def said(self, limit: object) -> str:
        """Say it behind the summary of a command; "" where there is nothing to say.

        Args:
            limit: where texts were cut: tokens, or words for them.
        """
        at = f"{limit} tokens" if isinstance(limit, int) else limit
        said = f"; {self.cut} were cut at {at}" if self.cut else ""
        return said + (
            f"; {self.unreadable} are mostly unknown to the model" if self.unreadable else ""
        )

    def warn(self, max_seq_length: int, overflow: Overflow) -> None:
        """Say it to the caller's caller."""
        if overflow == "warn" and self.cut:
            warnings.warn(
                f"{self.cut} of {self.texts} texts are longer than {max_seq_length} tokens and "
                'were cut; see SentenceEncoder.inspect, or overflow="window"',
                stacklevel=3,
            )
        if self.unreadable:
            warnings.warn(
                f"{self.unreadable} of {self.texts} texts are mostly unknown to the model: "
                "their vectors mean little; SentenceEncoder.inspect says which",
                stacklevel=3,
            )


def tallied(reports: Sequence[TextReport]) -> Tally:
    """Count texts that are all there."""
    tally = Tally()
    tally.add(reports)
    return tally


def refuse_long(reports: Sequence[TextReport], max_seq_length: int, first: int = 0) -> None:
    """Raise InputError at the first text that the model does not read whole.

    Args:
        reports: of each text.
        max_seq_length: tokens that the model reads of a text.
        first: position of the first of them, for the error.
    """
    for position, report in enumerate(reports, first):
        if report.cut:
            raise InputError(
                f"texts[{position}]: expected at most {max_seq_length} tokens, "
                f"got {report.tokens}; shorten it, or choose another overflow"
            )
