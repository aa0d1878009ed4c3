"""What is checked is what is loaded: files that are replaced or written between the two are found.

onnxruntime opens graph and weights by their paths, so that an open file cannot be handed to it
without a copy of the weights. The state of each path is compared instead, from before its check to
after its load. A rename moves the time of the last change, so a file, or a folder, that was away
for a moment is found too.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from minilm_onnx.errors import ArtifactError

# Device, inode, size, and the times of the last write and the last change.
State = tuple[int, ...]


def states_of(paths: Iterable[Path]) -> dict[Path, State]:
    """Give the state of each path; () for one that is not there."""
    return {path: _state_of(path) for path in paths}


def check_unchanged(before: Mapping[Path, State]) -> None:
    """Compare paths with their states of before.

    Raises:
        ArtifactError: one leads to another file now, or was written.
    """
    for path, state in before.items():
        if _state_of(path) != state:
            raise ArtifactError(
                f"{path}: expected no change while the model is loaded, got one; load it again"
            )


@contextmanager
def unchanged(paths: Iterable[Path]) -> Iterator[None]:
    """Raise ArtifactError behind the block if one of the paths changed in it."""
    before = states_of(paths)
    yield
    check_unchanged(before)


def _state_of(path: Path) -> State:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
