"""The files of a folder."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from minilm_onnx.errors import InputError
from minilm_onnx.reading.kinds import SUFFIXES, suffix_of


@dataclass
class Found:
    """What is in a folder.

    Attributes:
        files: those that can be indexed, in order of their names.
        others: how many files are of another kind.
        links: those to folders, which are not followed.
        closed: folders that cannot be read, and why.
    """

    files: list[Path] = field(default_factory=list)
    others: int = 0
    links: list[str] = field(default_factory=list)
    closed: dict[str, InputError] = field(default_factory=dict)


def find_files(folder: Path) -> Found:
    """Find the files of a folder and those below it whose names end in one of SUFFIXES.

    Hidden ones are left out, and links to folders are not followed.
    """
    found = Found()

    def refuse(error: OSError) -> None:
        found.closed[error.filename] = InputError(
            f"{error.filename}: expected a readable folder, got {error.strerror}; "
            "check the permissions"
        )

    for name, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        paths = (Path(name, inner) for inner in folders)
        found.links += [str(path) for path in paths if path.is_symlink()]
        for file in sorted(files):
            if file.startswith("."):
                continue
            if suffix_of(file) in SUFFIXES:
                found.files.append(Path(name, file))
            else:
                found.others += 1
    return found
