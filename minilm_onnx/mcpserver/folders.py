"""Which files a client may have indexed: those below folders that the command line names."""

import os
from collections.abc import Sequence
from pathlib import Path

from minilm_onnx.errors import InputError, shorten, shown


class Folders:
    """Folders that may be read, and nothing beside them.

    Attributes:
        allowed: their absolute paths, as they were given; a link among them is followed.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Look them up.

        Raises:
            InputError: one is no folder.
        """
        for folder in folders:
            if not folder.is_dir():
                raise InputError(
                    f"--allow-index {shorten(str(folder))}: expected a folder, got none; "
                    "check the path"
                )
        self.allowed = tuple(folder.absolute() for folder in folders)
        self._real = tuple(folder.resolve() for folder in folders)

    def named(self, name: str) -> Path:
        """Give the path that a client names; a relative one begins at the only folder.

        Raises:
            InputError: it lies outside, or is hidden, or is no path.
        """
        if not name or "\0" in name:
            raise InputError(f"paths: expected files or folders, got {shown(name)}; leave it out")
        path = Path(name)
        if not path.is_absolute():
            if len(self.allowed) > 1:
                raise InputError(
                    f"{shorten(name)}: expected an absolute path, since several folders are "
                    f"allowed; they are {self}"
                )
            path = self.allowed[0] / path
        # Sources are named without "..", and what is checked is what is read.
        path = Path(os.path.abspath(path))  # noqa: PTH100  a link keeps its own name
        self.check(path)
        return path

    def check(self, path: Path) -> None:
        """Raise InputError if a path is hidden or leads outside, by "..", by a link, or at all."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError) as error:  # a loop of links; a name that is too long
            raise InputError(
                f"{shorten(str(path))}: expected a readable path, got {error}; check it"
            ) from error
        inside = [folder for folder in self._real if real.is_relative_to(folder)]
        if not inside:
            raise InputError(
                f"{shorten(str(path))}: expected a path in the folders that may be indexed, got "
                f"one outside; they are {self}"
            )
        if all(_is_hidden(real, folder) for folder in inside):
            raise InputError(
                f"{shorten(str(path))}: expected a path that is not hidden, got one with a name "
                "that begins with a dot; only the command line indexes those"
            )

    def __str__(self) -> str:
        """Name them."""
        return ", ".join(map(str, self.allowed))


def _is_hidden(real: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in real.relative_to(folder).parts)
