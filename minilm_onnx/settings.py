"""What may be set of an encoder that is made; each value is checked when it is set."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from minilm_onnx.checks import check_positive
from minilm_onnx.construction import checked_prompts
from minilm_onnx.errors import InputError
from minilm_onnx.folder.manifest import MIN_TOKENS
from minilm_onnx.vectors.similarity import Measure, check_measure

if TYPE_CHECKING:
    from minilm_onnx.encoder import SentenceEncoder

T = TypeVar("T")
# What a pickled encoder keeps beside what it was made with.
MAY_BE_SET = (
    "max_seq_length",
    "truncate_dim",
    "similarity_fn_name",
    "prompts",
    "default_prompt_name",
)


class Setting(Generic[T]):
    """An attribute whose value is checked."""

    def __init__(self, check: Callable[["SentenceEncoder", Any], T]) -> None:
        """Take what gives the value to keep, or raises InputError."""
        self._check = check

    def __set_name__(self, owner: type, name: str) -> None:
        """Remember the attribute's name."""
        self._name = name

    @overload
    def __get__(self, encoder: None, owner: type) -> "Setting[T]": ...

    @overload
    def __get__(self, encoder: "SentenceEncoder", owner: type) -> T: ...

    def __get__(self, encoder: "SentenceEncoder | None", owner: type) -> "T | Setting[T]":
        """Give what was set."""
        if encoder is None:
            return self
        value: T = vars(encoder)[self._name]
        return value

    def __set__(self, encoder: "SentenceEncoder", value: T) -> None:
        """Check a value, and keep it."""
        vars(encoder)[self._name] = self._check(encoder, value)


def tokens_read(encoder: "SentenceEncoder", value: int) -> int:
    """Check `max_seq_length`: as many positions as the model has, and a token beside the two."""
    value = check_positive("max_seq_length", value, encoder._embedder.artifact.positions)
    if value < MIN_TOKENS:
        raise InputError(f"max_seq_length: expected at least {MIN_TOKENS}, got {value}")
    return value


def components_kept(encoder: "SentenceEncoder", value: int | None) -> int | None:
    """Check `truncate_dim`: as many components as the model gives; None for all."""
    full = encoder._embedder.dimension
    return None if value is None else check_positive("truncate_dim", value, full)


def measure_named(encoder: "SentenceEncoder", value: Any) -> Measure:
    """Check `similarity_fn_name`, which sentence-transformers also has as an Enum."""
    measure: Measure = getattr(value, "value", value)
    check_measure(measure, "similarity_fn_name")
    return measure


def prompts_named(encoder: "SentenceEncoder", value: Mapping[str, str]) -> dict[str, str]:
    """Check `prompts`; to a dict, others may be added later."""
    checked = checked_prompts(value)
    return checked if isinstance(checked, dict) else dict(checked)
