"""An interrupted `embed`: whole or absent, and with --resume nothing lost and nothing doubled."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.cli import main
from tests.cli.test_cli import fails

# A process that sends itself a signal at its Nth chunk of four texts.
DYING = """
import os, signal, sys
from minilm_onnx.cli import embed, main
from minilm_onnx.encoder import SentenceEncoder
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
embed.CHUNK, chunks, real = 4, 0, SentenceEncoder.embed_texts
def embed_texts(self, texts, **options):
    global chunks
    chunks += 1
    if chunks == int(sys.argv[2]):
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    return real(self, texts, **options)
SentenceEncoder.embed_texts = embed_texts
sys.exit(main(sys.argv[3:]))
"""
TEXTS = [f"a text with the number {number}" for number in range(30)] + ["word " * 300]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", "utf-8")
    return path


@pytest.fixture
def whole(source: Path) -> dict[str, bytes]:
    """What an undisturbed run writes, by format."""
    found = {}
    for kind in ("npy", "jsonl", "csv"):
        out = source.with_name(f"whole.{kind}")
        assert main(["embed", str(source), "--out", str(out)]) == 0
        found[kind] = out.read_bytes()
        out.unlink()
    return found


def die(signal: str, chunk: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DYING, signal, str(chunk), "embed", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_leaves_what_was_there(source: Path, signal: str, code: int) -> None:
    out = source.with_name("v.npy")
    out.write_bytes(b"before")
    found = die(signal, 3, source, "--out", out)
    assert found.returncode == code
    assert found.stderr == "error: interrupted; nothing was left half-written\n"
    assert names(source.parent) == ["texts.txt", "v.npy"]
    assert out.read_bytes() == b"before"


@pytest.mark.parametrize("kind", ["npy", "jsonl", "csv"])
@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_resume_goes_on_after_any_end(
    source: Path, whole: dict[str, bytes], signal: str, kind: str
) -> None:
    out = source.with_name(f"v.{kind}")
    first = die(signal, 3, source, "--out", out, "--resume")
    assert first.returncode != 0
    assert not out.exists()
    second = die(signal, 2, source, "--out", out, "--resume")  # again, further on
    assert second.returncode != 0
    assert "resuming after 8 texts" in second.stderr
    assert not out.exists()
    third = die(signal, 99, source, "--out", out, "--resume")
    assert third.returncode == 0
    assert "resuming after 12 texts" in third.stderr
    assert "31 texts" in third.stderr
    assert "1 were cut at 256 tokens" in third.stderr
    assert out.read_bytes() == whole[kind]
    assert names(source.parent) == ["texts.txt", f"v.{kind}"]


def test_resume_with_nothing_to_go_on_with_starts(source: Path, whole: dict[str, bytes]) -> None:
    out = source.with_name("v.npy")
    for _ in range(2):  # the second replaces the first
        assert main(["embed", str(source), "--out", str(out), "--resume"]) == 0
        assert out.read_bytes() == whole["npy"]
        assert names(source.parent) == ["texts.txt", "v.npy"]


def test_a_torn_end_is_written_again(source: Path, whole: dict[str, bytes]) -> None:
    out = source.with_name("v.jsonl")
    die("SIGKILL", 3, source, "--out", out, "--resume")
    with source.with_name("v.jsonl.partial").open("ab") as file:
        file.write(b'{"text": "half a li')
    assert main(["embed", str(source), "--out", str(out), "--resume"]) == 0
    assert out.read_bytes() == whole["jsonl"]


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"kind": 3}', b"\xff"])
def test_a_journal_of_no_use_is_not_used(
    source: Path, whole: dict[str, bytes], left: bytes
) -> None:
    out = source.with_name("v.npy")
    die("SIGKILL", 3, source, "--out", out, "--resume")
    source.with_name("v.npy.partial.json").write_bytes(left)
    assert main(["embed", str(source), "--out", str(out), "--resume"]) == 0
    assert out.read_bytes() == whole["npy"]


def test_resume_refuses_what_does_not_fit(
    source: Path, capsys: pytest.CaptureFixture[str], encoder: SentenceEncoder
) -> None:
    out = source.with_name("v.npy")
    assert "expected --out FILE" in fails(capsys, 2, "embed", source, "--resume")
    die("SIGTERM", 3, source, "--out", out, "--resume")
    source.write_text("another\n" * 40, "utf-8")
    said = fails(capsys, 2, "embed", source, "--out", out, "--resume")
    assert "expected the input's first 8 texts to be those" in said
    source.write_text("too few\n", "utf-8")
    assert "first 8 texts" in fails(capsys, 2, "embed", source, "--out", out, "--resume")
    journal = source.with_name("v.npy.partial.json")
    left = journal.read_text()
    # Another model, and another arithmetic, whose bits are others.
    for before, after in ((":int8:", ":fp32:"), (f" by {encoder.runtime}", " by onnxruntime 0.9")):
        assert before in left
        journal.write_text(left.replace(before, after), "utf-8")
        said = fails(capsys, 2, "embed", source, "--out", out, "--resume")
        assert "of the fingerprint all-MiniLM-L6-v2:int8" in said
        assert "delete it to start again" in said


def test_resume_refuses_an_output_that_another_process_writes(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="this system has no flock")
    with source.with_name("v.npy.partial").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        out = source.with_name("v.npy")
        said = fails(capsys, 2, "embed", source, "--out", out, "--resume")
    assert "another process is writing" in said


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads open files in /proc")
@pytest.mark.parametrize(
    ("kind", "more"),
    [("npy", ()), ("npy", ("--resume",)), ("csv", ("--resume",)), ("parquet", ())],
)
def test_a_file_is_on_the_disk_before_it_has_its_name(
    source: Path, monkeypatch: pytest.MonkeyPatch, kind: str, more: tuple[str, ...]
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    on_disk: dict[int, bytes] = {}
    happened: list[str] = []
    fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

    def spy_fsync(handle: int) -> None:
        fsync(handle)
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            happened.append("folder")
        else:
            data = Path(f"/proc/self/fd/{handle}").read_bytes()
            on_disk[os.fstat(handle).st_ino] = data

    def spy_replace(self: Path, target: Path) -> Path:
        assert on_disk[self.stat().st_ino] == self.read_bytes()
        happened.append(target.name)
        return replace(self, target)

    def spy_unlink(self: Path, missing_ok: bool = False) -> None:
        happened.append(f"no {self.name}")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    monkeypatch.setattr(Path, "unlink", spy_unlink)
    out = source.with_name(f"v.{kind}")
    assert main(["embed", str(source), "--out", str(out), *more]) == 0
    assert happened[happened.index(out.name) :][:2] == [out.name, "folder"]
    if more:
        assert happened == [f"{out.name}.partial.json", out.name, "folder", happened[-1]]
        assert happened[-1] == f"no {out.name}.partial.json"
