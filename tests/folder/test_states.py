"""What is checked is what is loaded, also of a folder that is replaced meanwhile."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, SentenceEncoder
from minilm_onnx.engine.graph import load_graph
from minilm_onnx.folder.artifact import Artifact
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import LOADED, MANIFEST, TOKENIZER, WEIGHTS

# Enough for sessions of one thread.
MANY = [f"text {number}" + " and more" * (number % 4) for number in range(400)]


def make_other(folder: Path) -> Path:
    """A model folder that is as right as the bundled one, and makes other vectors."""
    shutil.copytree(BUNDLED, folder)
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[: len(data) // 2 : 97] = bytes(len(range(0, len(data) // 2, 97)))
    (folder / WEIGHTS).write_bytes(data)
    fields = json.loads((folder / MANIFEST).read_text("utf-8"))
    fields["files"][WEIGHTS] = hashlib.sha256(data).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(fields), "utf-8")
    return folder


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders, the first of which is loaded."""
    return Path(shutil.copytree(BUNDLED, tmp_path / "model")), make_other(tmp_path / "other")


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something done when graph and weights are checked, and before they are loaded."""

    def install(act: Callable[[], object], after: Callable[[], object] = lambda: None) -> None:
        checked = threading.Event()
        verify = Artifact.verify

        def seen(self: Artifact, *names: str) -> None:
            verify(self, *names)
            if WEIGHTS in names:
                checked.set()

        def replaced(*arguments: Any) -> Any:
            assert checked.wait(60)
            act()
            loaded = load_graph(*arguments)
            after()
            return loaded

        monkeypatch.setattr(Artifact, "verify", seen)
        monkeypatch.setattr("minilm_onnx.engine.session.load_graph", replaced)

    return install


def swap(one: Path, other: Path) -> None:
    """Let two names change places, by renames."""
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def test_a_folder_replaced_during_a_load_is_refused(
    two: tuple[Path, Path], meanwhile: Callable[..., None]
) -> None:
    meanwhile(lambda: swap(*two))
    with pytest.raises(ArtifactError, match=r"expected no change .* load it again"):
        SentenceEncoder(two[0])


def test_a_folder_that_is_back_after_a_load_is_refused_too(
    two: tuple[Path, Path], meanwhile: Callable[..., None]
) -> None:
    meanwhile(lambda: swap(*two), after=lambda: swap(*two))
    with pytest.raises(ArtifactError, match="expected no change while the model is loaded"):
        SentenceEncoder(two[0])


@pytest.mark.parametrize("name", [*LOADED, MANIFEST])
def test_a_file_replaced_during_a_load_is_refused(
    two: tuple[Path, Path], meanwhile: Callable[..., None], name: str
) -> None:
    (two[0] / "copy").write_bytes((two[0] / name).read_bytes())
    meanwhile(lambda: (two[0] / "copy").replace(two[0] / name))
    with pytest.raises(ArtifactError, match="expected no change while the model is loaded"):
        SentenceEncoder(two[0])


def test_a_file_written_during_a_load_is_refused_whatever_its_time_says(
    two: tuple[Path, Path], meanwhile: Callable[..., None]
) -> None:
    path = two[0] / WEIGHTS

    def write() -> None:
        before = path.stat()
        with path.open("r+b") as file:
            file.write(bytes(64))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    meanwhile(write)
    with pytest.raises(ArtifactError, match="expected no change while the model is loaded"):
        SentenceEncoder(two[0])


def test_a_link_set_to_another_folder_during_a_load_does_not_mix_them(
    two: tuple[Path, Path], tmp_path: Path, meanwhile: Callable[..., None]
) -> None:
    expected = SentenceEncoder(two[0]).encode("a cat")
    assert not np.array_equal(expected, SentenceEncoder(two[1]).encode("a cat"))
    current, following = tmp_path / "current", tmp_path / "following"
    current.symlink_to("model")
    following.symlink_to("other")
    meanwhile(lambda: following.replace(current))
    encoder = SentenceEncoder(current)
    assert current.readlink() == Path("other")
    assert encoder.folder == two[0]
    assert np.array_equal(encoder.encode("a cat"), expected)


def test_further_sessions_are_of_what_was_checked(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[..., None]
) -> None:
    """They are made when enough texts have come, and checked anew."""
    monkeypatch.setattr("minilm_onnx.encoder.native_for", lambda graph: None)  # needs none
    monkeypatch.setattr("minilm_onnx.engine.session.SESSIONS_PAY", 0.0)
    encoder = SentenceEncoder(two[0], threads=2)
    meanwhile(lambda: swap(two[0] / WEIGHTS, two[1] / WEIGHTS))
    with pytest.raises(ArtifactError, match="expected no change while the model is loaded"):
        encoder.encode(MANY)


def test_a_folder_in_place_of_another_with_the_same_files_is_taken_later(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a package is installed again while it runs."""
    monkeypatch.setattr("minilm_onnx.encoder.native_for", lambda graph: None)  # needs no others
    monkeypatch.setattr("minilm_onnx.engine.session.SESSIONS_PAY", 0.0)
    encoder = SentenceEncoder(two[0], threads=2)
    shutil.rmtree(two[1])
    shutil.copytree(two[0], two[1])
    swap(*two)
    (two[0] / TOKENIZER).unlink()
    assert encoder.encode(MANY).shape == (len(MANY), 384)
