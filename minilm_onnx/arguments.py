"""What `encode` can be asked for, beyond texts to vectors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, get_args

from minilm_onnx.checks import check_positive
from minilm_onnx.construction import check_device
from minilm_onnx.errors import InputError, describe, shown
from minilm_onnx.text.overflow import Overflow, check_overflow
from minilm_onnx.vectors.quantization import Precision, check_precision

Output: TypeAlias = Literal["sentence_embedding", "token_embeddings"]


# Of an Arrow column that become str at a time.
SLICE = 2048


class _NumpyLike(Protocol):
    def tolist(self) -> Any: ...


class _SeriesLike(Protocol):
    def to_list(self) -> Any: ...


class _ArrowLike(Protocol):
    def to_pylist(self) -> Any: ...


# N texts: a list, an array of numpy or Arrow, a series of pandas or polars.
Texts: TypeAlias = Sequence[str] | _NumpyLike | _SeriesLike | _ArrowLike


class Options(TypedDict, total=False):
    """Arguments of `SentenceEncoder.encode` that leave the type of what it gives alone."""

    prompt_name: str | None
    prompt: str | None
    batch_size: int | None
    show_progress_bar: bool | None
    normalize_embeddings: bool
    truncate_dim: int | None
    overflow: Overflow


class AllOptions(Options, total=False):
    """All arguments of `SentenceEncoder.encode` but the texts."""

    output_value: Output
    precision: Precision
    convert_to_numpy: bool
    convert_to_tensor: bool
    device: str | None
    pool: None
    chunk_size: None


def as_texts(texts: Any) -> Sequence[str]:
    """Take a sequence of texts, also as a column of a table; see `Texts`.

    Raises:
        InputError: it is something else.
    """
    if isinstance(texts, list | tuple):
        return texts
    if isinstance(texts, Sequence) and not isinstance(texts, str | bytes | bytearray):
        return list(texts)  # a deque is a sequence that cannot be sliced
    found = listed(texts)
    if found is None:
        raise InputError(
            f"texts: expected a sequence of str, got {describe(texts)}; "
            "give a list, for one text too, or one column of a table"
        )
    return found


def listed(column: Any) -> list[Any] | None:
    """Give the values of a column in Python's own types; None for what is no column.

    Args:
        column: an array of numpy or Arrow of one axis, a series of pandas or polars, and the like.
    """
    if is_table(column) or getattr(column, "ndim", 1) != 1:
        return None
    # Arrow's; that of pandas and polars; numpy's, which pandas' own arrays have too.
    for name in ("to_pylist", "to_list", "tolist"):
        if not isinstance(column, type) and callable(convert := getattr(column, name, None)):
            found = convert()
            return found if isinstance(found, list) else None
    return None


def as_iterator(texts: Any) -> Iterator[str]:
    """Take an iterable of texts, also as a column of a table.

    Raises:
        InputError: it is none, or one text, or a table or dict, which give names.
    """
    try:
        if isinstance(texts, str | bytes | bytearray | Mapping) or is_table(texts):
            raise TypeError
        if hasattr(texts, "to_pylist") and hasattr(texts, "slice"):  # Arrow's give no str
            return _in_slices(texts)
        return iter(texts)  # an array without axes claims to be iterable
    except TypeError:
        raise InputError(
            f"inputs: expected an iterable of str, got {describe(texts)}; use encode for one, and "
            "give one column of a table"
        ) from None


def _in_slices(column: Any) -> Iterator[str]:
    for first in range(0, len(column), SLICE):
        yield from column.slice(first, SLICE).to_pylist()


def is_table(value: Any) -> bool:
    """Whether it has columns, whose names or values an iteration would take for texts."""
    return hasattr(type(value), "columns")  # those of a lazy one may be expensive to find


def choose_prompt(
    prompts: Mapping[str, str], prompt_name: str | None, prompt: str | None, default: str | None
) -> str:
    """Give what is put before every text: the prompt, or the one of that name, or nothing.

    Raises:
        InputError: there is no prompt of that name, or the prompt is no str.
    """
    if prompt is None:
        name = default if prompt_name is None else prompt_name
        if name is None:
            return ""
        if not isinstance(name, str) or name not in prompts:
            raise InputError(
                f"prompt_name: expected one of {', '.join(prompts) or 'none'}, got {shown(name)}; "
                "add it to encoder.prompts, or give prompt"
            )
        prompt = prompts[name]
    if not isinstance(prompt, str):
        raise InputError(f"prompt: expected a str or None, got {describe(prompt)}")
    return prompt


def put_before(prompt: str, texts: Sequence[str]) -> Sequence[str]:
    """Put a prompt before every text; what is no str is left for `check_texts` to refuse."""
    if not prompt:
        return texts
    return [prompt + text if isinstance(text, str) else text for text in texts]


def check_arguments(
    *,
    batch_size: Any,
    show_progress_bar: Any,
    output_value: Any,
    precision: Any,
    convert_to_numpy: Any,
    convert_to_tensor: Any,
    device: Any,
    normalize_embeddings: Any,
    truncate_dim: Any,
    pool: Any,
    chunk_size: Any,
    overflow: Any,
    dimension: int,
) -> None:
    """Refuse what encode cannot do with vectors of `dimension`, before anything is computed.

    Raises:
        InputError: with what to do instead.
    """
    switches = {
        "show_progress_bar": show_progress_bar,
        "convert_to_numpy": convert_to_numpy,
        "convert_to_tensor": convert_to_tensor,
        "normalize_embeddings": normalize_embeddings,
    }
    for name, switch in switches.items():
        try:
            bool(switch)
        except Exception as error:  # an array is neither true nor false
            raise InputError(
                f"{name}: expected True or False, got {shown(switch)}; leave it out"
            ) from error
    if not isinstance(output_value, str) or output_value not in get_args(Output):
        raise InputError(
            "output_value: expected 'sentence_embedding' or 'token_embeddings', got "
            f"{shown(output_value)}; call encode for each of the two"
        )
    check_precision(precision)
    check_overflow(overflow)
    if output_value != "sentence_embedding":
        if precision != "float32" or truncate_dim is not None:
            raise InputError(
                "output_value: expected 'sentence_embedding' with precision or truncate_dim, got "
                f"{output_value!r}; shorten or quantise the token vectors yourself"
            )
        if overflow == "window":
            raise InputError(
                "overflow: expected 'truncate', 'head_tail' or 'error' with token_embeddings, got "
                "'window', whose windows repeat tokens"
            )
    if batch_size is not None:
        check_positive("batch_size", batch_size)
    if truncate_dim is not None:
        check_positive("truncate_dim", truncate_dim, dimension)
    if convert_to_tensor:
        raise InputError(
            "convert_to_tensor: expected False, since this package has no torch, got "
            f"{shown(convert_to_tensor)}; use torch.from_numpy(encoder.encode(...))"
        )
    if not convert_to_numpy:
        raise InputError(
            "convert_to_numpy: expected True, since this package has no torch, got "
            f"{shown(convert_to_numpy)}; use list(encoder.encode(...)) for a list of vectors"
        )
    check_device(device)
    if pool is not None or chunk_size is not None:
        name, value = ("pool", pool) if pool is not None else ("chunk_size", chunk_size)
        raise InputError(
            f"{name}: expected None, got {describe(value)}; one process uses all CPUs, see threads"
        )
