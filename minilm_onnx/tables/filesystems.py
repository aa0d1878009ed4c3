"""File systems that pyarrow knows: the files of rows there, and how one is written whole."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from minilm_onnx.errors import InputError
from minilm_onnx.reading.arrow import first_line

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

PARQUET, LINES = ".parquet", ".jsonl"


def absolute_name(name: str) -> str:
    """Give a path as every process finds it; a URI is that already."""
    return name if "://" in name else Path(name).resolve().as_posix()


def filesystem(name: str) -> "tuple[FileSystem, str]":
    """Give the file system of a path or URI, and the path in it.

    Raises:
        InputError: pyarrow knows no such file system.
    """
    import pyarrow as pa
    from pyarrow.fs import FileSystem, LocalFileSystem

    if "://" not in name:
        return LocalFileSystem(), absolute_name(name)
    try:
        found: tuple[FileSystem, str] = FileSystem.from_uri(name)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{name}: expected a path or URI that pyarrow knows, got: {first_line(error)}; check it"
        ) from error
    return found


def find_inputs(source: str, target: str) -> "list[FileInfo]":
    """Give the files of a job, in order.

    Args:
        source: a file, or a folder that is looked through. What begins with a dot or an
            underscore is left out, as Spark's and Ray's own notes do, and so is the target.
        target: the folder to write.

    Raises:
        InputError: there are none, or others among them.
    """
    from pyarrow.fs import FileSelector, FileType

    files, root = filesystem(source)
    _, written = filesystem(target)
    if root == written:
        raise InputError(f"{target}: expected another folder than the input; choose another")
    info = files.get_file_info(root)
    if info.type == FileType.File:
        found = [info]
    elif info.type == FileType.Directory:
        inside = files.get_file_info(FileSelector(root, recursive=True))
        found = [one for one in inside if one.type == FileType.File and _is_seen(one.path, root)]
        found = [one for one in found if not one.path.startswith(f"{written}/")]
        found.sort(key=lambda one: str(one.path))
    else:
        raise InputError(f"{source}: expected a file or a folder, got none; check the path")
    kinds = {kind_of(one.path) for one in found}
    if kinds not in ({PARQUET}, {LINES}):
        odd = next((one.path for one in found if kind_of(one.path) not in (PARQUET, LINES)), None)
        raise InputError(
            f"{source}: expected {PARQUET} or {LINES} files, got "
            f"{odd or ' and '.join(sorted(kinds)) or 'none'}; convert or unpack others, and give "
            "one kind at a time"
        )
    for one in found:
        if any("=" in part for part in PurePosixPath(one.path).relative_to(root).parts[:-1]):
            raise InputError(
                f"{one.path}: expected no folders such as year=2026, whose column is in no file; "
                "write the files with that column"
            )
    return found


def kind_of(path: str) -> str:
    """Give a path's suffix in small letters."""
    return PurePosixPath(path).suffix.lower()


@contextmanager
def whole_on(files: "FileSystem", path: str) -> Iterator[Any]:
    """Open a file that takes its name when the block ends well."""
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
    try:
        with files.open_output_stream(temporary) as file:
            yield file
        if files.type_name == "local":  # a name must not outlive a power cut that the bytes do not
            with Path(temporary).open("rb") as written:
                os.fsync(written.fileno())
        files.move(temporary, path)
    except BaseException:
        with suppress(OSError):  # it may never have come to be
            files.delete_file(temporary)
        raise


def _is_seen(path: str, root: str) -> bool:
    parts = PurePosixPath(path).relative_to(root).parts
    return not any(part.startswith((".", "_")) for part in parts)
