"""Errors of the system: each names its file, and only what stdout did is said of stdout."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minilm_onnx import InputError, MiniLMError
from minilm_onnx.cli.oserrors import explained
from tests.support.files import write
from tests.support.running import run


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.EACCES, "Permission denied", "a/b"), InputError, "a/b: .*Permission denied"),
        (OSError(errno.ENOSPC, "No space left", b"\xff"), MiniLMError, "No space left"),
        (OSError(errno.EIO, "Input/output error", 3), MiniLMError, "3: .*Input/output error"),
        (OSError(errno.EMFILE, "Too many open files"), MiniLMError, "Too many open files"),
        (OSError("AF_UNIX path too long"), MiniLMError, "AF_UNIX path too long"),
        (OSError(errno.EIO, "Input/output error", "stdout"), MiniLMError, "stdout: .*--out"),
        (OSError(errno.ENAMETOOLONG, "Too long", "x" * 999), InputError, r"^x{200}\.\.\.: "),
    ],
)
def test_an_error_of_the_system_names_its_file_and_the_cause(
    error: OSError, kind: type[MiniLMError], words: str
) -> None:
    with pytest.raises(kind, match=words) as found:
        raise explained(error)
    assert type(found.value) is kind
    assert ("stdout" in str(found.value)) == (error.filename == "stdout")


@pytest.mark.parametrize("command", [("embed",), ("dedupe",), ("cluster",)])
def test_a_text_in_place_of_a_file_is_said_to_be_one(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, said = run(capsys, *command, "The customer asked for a refund. " * 12)
    assert (code, out) == (2, "")
    assert said.count("\n") == 1
    assert len(said) < 400
    assert "put it in a file" in said


def in_a_process(code: str, *arguments: str | Path, folder: Path) -> list[str]:
    """Give the lines that a command prints on stderr, after some code."""
    start = f"import locale, os, sys\n{code}\nfrom minilm_onnx.cli import main\n"
    command = [sys.executable, "-c", start + "sys.exit(main(sys.argv[1:]))", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    return [str(done.returncode), *done.stderr.splitlines()]


def test_a_folder_that_is_gone_is_not_blamed_on_stdout(tmp_path: Path) -> None:
    texts = write(tmp_path, "texts.txt", "a cat\n")
    gone = "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')"
    # Python's own search path holds the folder that is gone, too.
    assert in_a_process(gone, "search", texts, "cat", folder=tmp_path) == ["0"]
    commands: list[tuple[str | Path, ...]] = [
        ("embed", "texts.txt"),
        ("embed", texts, "--out", "v.npy"),
        ("index", texts, "--db", "x.db"),
    ]
    for command in commands:
        code, line = in_a_process(gone, *command, folder=tmp_path)
        assert code in "12"
        assert line.startswith("error: ")
        assert "stdout" not in line


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
@pytest.mark.parametrize(
    "command",
    [
        ("embed", "closed/x.txt"),
        ("dedupe", "closed/x.txt"),
        ("cluster", "closed/x.txt"),
        ("similarity", "closed/x.txt", "--heatmap", "x.html"),
        ("search", "closed/x.txt", "a", "question"),
        ("search", "--db", "closed/x.db", "a", "question"),
        ("index", "closed/x.txt", "--db", "x.db"),
        ("index", "x.txt", "--db", "closed/x.db"),
        ("embed", "x.txt", "--out", "closed/x.npy"),
        ("embed", "x.txt", "--out", "closed/x.npy", "--resume"),
        ("info", "--model", "closed/model"),
        ("serve", "--api-keys", "closed/keys"),
        ("serve", "--unix-socket", "closed/s"),
    ],
)
def test_a_folder_that_may_not_be_entered_is_named(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    """As an ordinary user: root may enter every folder."""
    if command[0] == "serve":
        pytest.importorskip("uvicorn", reason="minilm-onnx[server] is not installed")
    write(tmp_path, "x.txt", "a text\n").chmod(0o644)
    (tmp_path / "closed").mkdir(mode=0o000)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    # Who may not read root's Python has to have imported all by then.
    other = (
        "import minilm_onnx.cli, minilm_onnx.index.textindex, minilm_onnx.index.filesearch\n"
        "import minilm_onnx.index.indexing\n"
        "if 'serve' in sys.argv: import uvicorn.supervisors, minilm_onnx.server.connections\n"
        "if 'serve' in sys.argv: import minilm_onnx.server.running, minilm_onnx.server.app\n"
        "import multiprocessing.resource_tracker\n"
        "os.geteuid() or os.seteuid(65534)"
    )
    code, line = in_a_process(other, *command, folder=tmp_path)
    assert code in "12"
    assert line.startswith("error: ")
    assert "closed" in line
    assert "ermission" in line or "readable" in line or "cannot be" in line
    assert "stdout" not in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("command", "options"),
    [
        (("models",), []),
        (("models",), ["-u"]),
        (("embed", "x.txt"), []),
        (("embed", "x.txt"), ["-u"]),
        (("embed", "--help"), []),
        (("--version",), ["-u"]),
    ],
)
def test_a_full_stdout_is_named(
    command: tuple[str, ...], options: list[str], tmp_path: Path
) -> None:
    write(tmp_path, "x.txt", "a text\n" * 99)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, *options, "-m", "minilm_onnx", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            text=True,
            check=False,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: stdout: expected to continue writing, got No space left on"
    )
    assert done.stderr.count("\n") == 1
