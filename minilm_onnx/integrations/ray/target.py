"""The folder that a job writes: its journal, and the parts that are there."""

import json
from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import InputError
from minilm_onnx.integrations.ray.plan import Job, Plan, make_plan, schema_as_text, schema_of_text
from minilm_onnx.tables.filesystems import find_inputs, whole_on
from minilm_onnx.tables.parts import Part

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

JOURNAL = "_embedding.json"


def begin(files: "FileSystem", folder: str, job: Job) -> Plan:
    """Write down whose folder this is and what is to be done, or read what was written down.

    Raises:
        InputError: it is another's, or the input cannot be read.
    """
    from pyarrow.fs import FileType

    inputs = find_inputs(job.source, job.target)
    # Neither the number of threads nor where the folder is changes what is in it; and a later
    # version goes on with a job if its fingerprint and runtime promise the same bits.
    unsaid = ("threads", "target", "version")
    said = {key: value for key, value in asdict(job).items() if key not in unsaid}
    said["inputs"] = [[one.path, one.size, one.mtime_ns] for one in inputs]
    journal = f"{folder}/{JOURNAL}"
    if files.get_file_info(journal).type == FileType.File:
        with files.open_input_stream(journal) as file:
            found = json.loads(file.read())
        _check_same(job, said, found)
        parts = [Part(*part) for part in found["parts"]]
        return Plan(found["field"], parts, schema_of_text(found["schema"]))
    if names(files, folder):
        raise InputError(f"{job.target}: expected an empty folder, got files; choose another")
    plan = make_plan(job, inputs)
    said |= {
        "field": plan.field,
        "parts": [astuple(part) for part in plan.parts],
        "schema": schema_as_text(plan.schema),
    }
    files.create_dir(folder, recursive=True)
    with whole_on(files, journal) as file:
        file.write(json.dumps(said, indent=1).encode())
    return plan


def names(files: "FileSystem", folder: str) -> set[str]:
    """Give the names of the files that are there, but for hidden ones."""
    return {one.base_name for one in _inside(files, folder) if not one.base_name.startswith(".")}


def sweep(files: "FileSystem", folder: str) -> None:
    """Delete what workers left that were killed while they wrote."""
    for one in _inside(files, folder):
        if one.base_name.startswith(".part-"):
            files.delete_file(one.path)


def _check_same(job: Job, said: dict[str, Any], found: Any) -> None:
    """Raise InputError if what a journal says is not what this job says."""
    for key, value in said.items():
        there = found.get(key)
        if there == value or (key == "field" and value is None):
            continue
        expected, got = f"{key} {value}", there
        if key == "inputs":
            written = {tuple(one) for one in there}
            changed = [one[0] for one in value if tuple(one) not in written]
            changed += sorted({one[0] for one in there} - {one[0] for one in value})
            expected, got = "the same input", f"{changed[0]} that was written since, or moved"
        raise InputError(
            f"{job.target}: expected a job of {expected}, got a different job, of {got}; choose "
            "another folder"
        )


def _inside(files: "FileSystem", folder: str) -> "list[FileInfo]":
    from pyarrow.fs import FileSelector

    found: list[FileInfo] = files.get_file_info(FileSelector(folder, allow_not_found=True))
    return found
