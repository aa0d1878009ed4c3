"""Ray's cluster: how parts of files get to its workers, and their answers back."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import ray
import ray.data

from minilm_onnx.errors import InputError, MiniLMError, shorten
from minilm_onnx.reading.arrow import first_line
from minilm_onnx.tables.parts import Part


def connect() -> None:
    """Connect to the cluster that is meant, and no other that runs on this machine.

    Raises:
        MiniLMError: it does not answer.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS") or "local"
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise MiniLMError(
            f"RAY_ADDRESS: expected a cluster at {address}, got: {first_line(error)}; start it, or "
            "unset the variable to use only this machine"
        ) from error


def map_parts(work: Any, parts: Mapping[int, Part], **options: Any) -> Iterator[dict[str, Any]]:
    """Have workers do work for each part, and give the answers as they come.

    Args:
        work: takes a row of Ray's, see `part_of`, and gives one, see `answer`.
        parts: by their numbers, which the rows have too.
        options: of `Dataset.map_batches`.

    Raises:
        InputError: a worker says that of the input.
        MiniLMError: a worker could not go on, or Ray could not.
    """
    connect()
    context = ray.data.DataContext.get_current()
    bars, context.enable_progress_bars = context.enable_progress_bars, False
    try:
        rows = [{"number": number, **asdict(part)} for number, part in parts.items()]
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        for row in dataset.map_batches(work, batch_size=1, **options).iter_rows():
            if row["of"]:
                raise (InputError if row["of"] == "input" else MiniLMError)(row["error"])
            yield row
    except ray.exceptions.RayError as error:
        raise MiniLMError(
            f"ray: expected its workers to finish, got {type(error).__name__}: "
            f"{shorten(str(error))}; run it again to resume"
        ) from error
    finally:
        context.enable_progress_bars = bars


def part_of(batch: Mapping[str, Any]) -> Part:
    """Give the part of a batch of one row."""
    (path,), (first,), (last,), (rows,) = (batch[name] for name in Part.__dataclass_fields__)
    return Part(str(path), int(first), int(last), int(rows))


def answer(work: Callable[[], object]) -> dict[str, Any]:
    """Do work; give what went wrong with it as columns of a row."""
    try:
        work()
    except InputError as error:
        return {"error": [str(error)], "of": ["input"]}
    except (MiniLMError, OSError) as error:
        return {"error": [str(error)], "of": ["worker"]}
    return {"error": [""], "of": [""]}
