"""Files and folders that cannot be used: each is named, and stdout is not blamed."""

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.cli import main
from tests.cli.test_cli import fails
from tests.support.files import write
from tests.support.running import run
from tests.support.users import NOBODY, as_user, open_to_all


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder that is deleted."""
    if os.name != "posix":
        pytest.skip("this system keeps the current folder")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()


@pytest.mark.parametrize("command", ["embed", "dedupe", "cluster"])
def test_a_text_in_place_of_a_file_is_named(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    said = fails(capsys, 2, command, "The customer asked for a refund of the kettle. " * 8)
    assert said.startswith("error: The customer asked")
    assert "File name too long" in said


@pytest.mark.usefixtures("nowhere")
def test_a_file_is_searched_from_a_folder_that_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = write(tmp_path, "t.txt", "a cat\n")
    code, out, said = run(capsys, "search", texts, "cat")
    assert (code, said) == (0, "")
    assert f"{texts}:1" in out


@pytest.mark.usefixtures("nowhere")
def test_a_current_folder_that_is_gone_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")
    said = fails(capsys, 2, "index", "--db", "new.db", "--rebuild")
    assert said.startswith("error: the current folder: expected one that exists")


def test_an_error_of_the_system_that_names_nothing_is_not_stdouts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    texts = write(tmp_path, "t.txt", "a cat\n")

    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("minilm_onnx.cli.dedupe.load_encoder", fail)
    said = fails(capsys, 1, "dedupe", texts)
    assert said == "error: the system: expected it to do as asked, got Too many open files\n"


@pytest.fixture
def closed(encoder: SentenceEncoder) -> Iterator[Path]:
    """A folder with a file in it, that only root may enter."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork, to run as another user")
    encoder.encode("loaded before its files may not be read")
    with open_to_all() as folder:
        inner = folder / "closed"
        inner.mkdir()
        write(inner, "x.txt", "a cat\n")
        inner.chmod(0)
        yield inner


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    "arguments",
    [
        ("embed", "{closed}/x.txt"),
        ("dedupe", "{closed}/x.txt"),
        ("search", "{closed}/x.txt", "cat"),
        ("embed", "{folder}/t.txt", "--out", "{closed}/o.npy"),
        ("embed", "{folder}/t.txt", "--out", "{closed}/o.npy", "--resume"),
    ],
)
def test_a_folder_that_may_not_be_entered_is_named(
    closed: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    write(closed.parent, "t.txt", "a cat\n")
    for name in ("embed", "dedupe", "search"):  # which loads files that others may not read
        monkeypatch.setattr(f"minilm_onnx.cli.{name}.load_encoder", lambda _: encoder)

    def call() -> str:
        said = io.StringIO()
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            code = main([word.format(closed=closed, folder=closed.parent) for word in arguments])
        return f"{code} {said.getvalue()}"

    said = as_user(NOBODY, call)
    assert said.startswith("2 error: ")
    assert str(closed) in said
    assert "Permission denied" in said
    assert "stdout" not in said


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_model_folders_that_may_not_be_looked_into_are_named(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call() -> str:
        said = io.StringIO()
        with redirect_stderr(said), redirect_stdout(said):
            code = main(["models"])
        return f"{code} {said.getvalue()}"

    monkeypatch.setenv("MINILM_ONNX_HOME", str(closed.parent))
    said = as_user(NOBODY, call)
    assert said.startswith("0 the model in the package")
    assert f"--model closed\n  cannot be used: {closed}: expected a model folder, got Perm" in said
    monkeypatch.setenv("MINILM_ONNX_HOME", str(closed))
    assert as_user(NOBODY, call).startswith(
        f"2 error: {closed}: expected to use it, got Permission"
    )
