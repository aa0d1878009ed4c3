"""What must hold for inputs that nobody would write; fuzzing.py seeks them, test_fuzz.py has some.

A target is a function of bytes that raises if a promise is broken. The first line chooses what is
tried; the rest is a file, or texts. Vectors are FakeSession's, but for `texts`.
"""

import csv
import functools
import gzip
import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from copy import copy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from minilm_onnx import InputError, MiniLMError, SentenceEncoder
from minilm_onnx.cli import bench, embed, main, verify
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import GOLDEN, MANIFEST
from minilm_onnx.folder.small import MINILM
from minilm_onnx.index.passages import Splitter
from minilm_onnx.index.results import Result
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.reading.documents import read_documents
from minilm_onnx.reading.lines import DATABASE, PDF
from minilm_onnx.text import pieces
from tests.conftest import FakeSession

# What may stand on stderr before an error, or without one.
NOTES = ("warning: ", "resuming after ")
RESUMED = [f"text {number}" for number in range(7)]


@functools.cache
def model() -> SentenceEncoder:
    """The bundled model, reading few tokens."""
    encoder = SentenceEncoder(threads=1)
    encoder.max_seq_length = 8
    return encoder


@contextmanager
def workshop() -> Iterator[SentenceEncoder]:
    """Work in a folder that is deleted at the end, with encoders that load and compute nothing."""
    loaded = model()._embedder

    def quick(artifact: Any, policy: Any, _library: Any, _cache_size: int) -> Any:
        made = copy(loaded)
        made.artifact, made.policy, made.dimension = artifact, policy, 4
        made.session = FakeSession()  # type: ignore[assignment]
        return made

    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
        patch("minilm_onnx.encoder.Embedder", quick),
        patch.object(verify, "measure_speed", lambda encoder: 1.0),  # takes a second
        patch.object(bench, "measure_bulk", side_effect=InputError("takes many")),
    ):
        yield SentenceEncoder(threads=1)


def command(*arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    """Run the command in the current folder, and hold it to what it promises of any use.

    Returns:
        Its exit code, and what it said on stderr.
    """
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    stream = io.TextIOWrapper(io.BytesIO(stdin))
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", stream):
        try:
            code: Any = main(list(arguments))
            said = err.getvalue().splitlines()
        except SystemExit as error:  # argparse has given help, or the version
            code, said = error.code, []
            assert not code
    errors = [line for line in said if line.startswith("error: ")]
    said = [line for line in said if not line.startswith(NOTES)]
    after = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert code in (0, 1, 2)
    assert len(errors) == (code != 0), said
    if code == 0:
        assert len(after.keys() - before.keys()) <= 1, after.keys()
    elif not any(word.startswith(("--r", "index")) for word in arguments):  # they keep what is done
        assert said == errors
        assert after == before, after.keys()
    return code, err.getvalue()


def command_line(data: bytes) -> None:
    """Any words as arguments, with files and a standard input that may hold texts."""
    line, _, body = data.partition(b"\n")
    words = line.replace(b"/", b"_").decode("utf-8", "surrogateescape").split(" ")
    with workshop():
        for name in ("in", "in.gz"):
            Path(name).write_bytes(body)
        command(*words, stdin=body)


def reading(data: bytes) -> None:
    """`embed` gives what a plain reading of the file gives, or refuses what that refuses."""
    how, _, body = data.partition(b"\n")
    out = Path("v.jsonl" if how[:1] == b"j" else "v.csv" if how[:1] == b"c" else "v.npy")
    if how[1:2] == b"p":
        body = gzip.compress(body, 1, mtime=0)
    suffix = {b"p": ".gz", b"z": ".gz", b"C": ".csv", b"L": ".jsonl"}.get(how[1:2], "")
    source = Path(f"in{suffix}")
    field = how[3:].decode("utf-8", "replace") if how[2:3] == b"=" else None
    with workshop() as encoder:
        source.write_bytes(body)
        named = [] if field is None else [f"--field={field}"]
        code, _ = command("embed", str(source), f"--out={out}", *named)
        texts = read_plainly(source, field)
        assert code == (2 if texts is None else 0)
        if texts is not None:
            found, vectors = read_output(out)
            assert found in (texts, None)
            assert np.array_equal(vectors, encoder.encode(texts))


def read_plainly(source: Path, field: str | None) -> list[str] | None:
    """The texts of a file, or None if it is not what it should be."""
    try:
        content = source.read_bytes()
        content = gzip.decompress(content) if source.suffix == ".gz" else content
        if source.read_bytes().startswith((DATABASE, PDF)):
            return None
        lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        lines = lines if lines[-1] else lines[:-1]
        texts: list[Any] = [line.removesuffix(b"\r").decode() for line in lines]
        if source.suffix == ".csv":
            texts = read_columns(texts, field)
        elif field is not None or source.suffix == ".jsonl":
            name = "text" if field is None else field
            texts = [json.loads(text)[name] for text in texts if text.strip()]
        return texts if all(map(is_unicode, texts)) else None
    except Exception:  # of many kinds
        return None


def read_columns(lines: list[str], field: str | None) -> list[str]:
    """The texts of .csv; an error if it is none."""
    while lines and not lines[0]:
        lines = lines[1:]
    delimiters = [",", ";", "\t"]
    if lines and (named := re.fullmatch(r'"?sep=([^\n])"?', lines[0], re.IGNORECASE)):
        if named[1] not in ",;\t|":
            raise ValueError
        delimiters = [named[1]]
        lines = lines[1:]
    tables = []
    for delimiter in delimiters:
        reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
        head: list[str] = []
        rows: list[list[str]] | None = None
        with suppress(csv.Error):  # another one may be between them
            head = next((row for row in reader if row), [])
            rows = [row for row in reader if row]
        tables.append((head, rows))
    name = "text" if field is None else field
    having = [table for table in tables if name in table[0]]
    head, found = having[0] if having else max(tables, key=lambda table: len(table[0]))
    if lines and any(lines) and field is None and name not in head and len(head) == 1:
        (name,) = head
    if found is None or any(len(row) != len(head) for row in found) or head.count(name) > 1:
        raise ValueError
    if not head:  # an empty file
        return []
    place = head.index(name)
    return [row[place] for row in found]


def is_unicode(text: str) -> bool:
    """Whether a str, which anything else is not taken for, has no lone surrogate."""
    return text == str.encode(text, "utf-8", "replace").decode()


def read_output(path: Path) -> tuple[list[str] | None, Any]:
    """What `embed` wrote: the texts, where the format holds them, and the vectors."""
    if path.suffix == ".npy":
        return None, np.load(path)
    with path.open(newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            (*_, last), *rows = csv.reader(file)
            assert last == "e3"
        else:
            rows = [[row["text"], *row["embedding"]] for row in map(json.loads, file)]
    vectors = np.array([row[1:] for row in rows], dtype=np.float32).reshape(-1, 4)
    return [row[0] for row in rows], vectors


def manifest(data: bytes) -> None:
    """A model folder with one file of any content, or with one field of any value."""
    line, _, body = data.partition(b"\n")
    name, field, *_ = [*line.decode("utf-8", "replace").split(" "), ""]
    if name not in (GOLDEN, "config.json", "sentence_bert_config.json"):
        name = MANIFEST
    with workshop():
        folder = Path("model")
        folder.mkdir()
        if name == GOLDEN:
            shutil.copy(BUNDLED / MANIFEST, folder)
        (folder / "config.json").write_text(json.dumps(MINILM))
        if field and name in (MANIFEST, GOLDEN):
            fields = json.loads((BUNDLED / name).read_bytes())
            with suppress(ValueError, RecursionError):
                fields[field] = json.loads(body)
            body = json.dumps(fields).encode()
        (folder / name).write_bytes(body)
        command("verify" if name == GOLDEN else "info", "--model=model")


def partial(data: bytes) -> None:
    """--resume with any journal and any partial output."""
    kind, _, rest = data.partition(b"\n")
    journal, _, body = rest.partition(b"\n")
    out = Path("v.jsonl" if kind == b"j" else "v.csv" if kind == b"c" else "v.npy")
    with workshop() as encoder, patch.object(embed, "CHUNK", 2):
        Path("in").write_text("\n".join(RESUMED), "utf-8")
        command("embed", "in", f"--out={out}")
        whole = out.read_bytes()
        out.unlink()
        Path(f"{out}.partial").write_bytes(body)
        fingerprint = encoder.fingerprint.encode()
        Path(f"{out}.partial.json").write_bytes(journal.replace(b"FINGERPRINT", fingerprint))
        code, said = command("embed", "in", f"--out={out}", "--resume")
        assert out.exists() == (code == 0)
        if code == 0 and "resuming after" not in said:
            assert out.read_bytes() == whole


def texts(data: bytes) -> None:
    """Texts of any characters: the same ids however they are cut, and one text, one vector."""
    how, _, body = data.partition(b"\n")
    overflow: Any = {b"h": "head_tail", b"w": "window", b"e": "error"}.get(how, "truncate")
    given = body.decode("utf-8", "surrogateescape").split("\n")
    wrong = [place for place, text in enumerate(given) if not is_unicode(text)]
    try:
        reports = model().inspect(given, overflow=overflow)
        rows = model().encode(given, overflow=overflow)
    except InputError as error:
        said = str(error)
    else:
        said = ""
    if wrong or said:
        assert said.startswith(f"texts[{wrong[0]}]: " if wrong else "texts["), said
        assert "\n" not in said
        assert wrong or overflow == "error"
        return
    tokenizer = model()._embedder.tokenizer
    whole = [encoding.ids for encoding in tokenizer.encode_batch_fast(given)]
    with patch.object(pieces, "PIECE", 3), patch.object(pieces, "SLICE_CHARACTERS", 9):
        assert [ids.tolist() for ids in pieces.whole_ids(tokenizer, given)] == whole
    assert [report.tokens for report in reports] == [len(ids) for ids in whole]
    assert all(0 <= report.unknown <= 1 for report in reports)
    assert rows.shape == (len(given), 384)
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-5
    for text, row in zip(given[:3], rows, strict=False):
        assert np.array_equal(model().encode(text, overflow=overflow), row)


def documents(data: bytes) -> None:
    """Any file as text, Markdown, rows or a table: read and split without a loss, or refused."""
    how, _, body = data.partition(b"\n")
    names = {b"m": "in.md", b"j": "in.jsonl", b"c": "in.csv", b"t": "in.tsv", b"z": "in.md.gz"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, names.get(how[:1], "in.txt"))
        field = how[3:].decode("utf-8", "replace") if how[2:3] == b"=" else None
        path.write_bytes(body)
        try:
            found = read_documents(path, field, lines=how[1:2] == b"l")
        except InputError as error:
            said = str(error)
            found = []
        else:
            said = path.name
    assert path.name in said
    assert "\n" not in said
    for document in found:
        lines = document.text.split("\n")
        passages = list(splitter().split(document))
        for passage in passages:
            first, last = passage.first_line - document.first_line, passage.last_line
            assert 0 <= first < last <= len(lines) + document.first_line
            assert passage.text in "\n".join(lines[first : last - document.first_line + 1])
            assert passage.text.strip()
        assert not any(report.cut for report in model().inspect([p.embedded for p in passages]))
        if not document.markdown:
            kept = "".join(passage.text for passage in passages)
            assert "".join(kept.split()) == "".join(document.text.split())


@functools.cache
def splitter() -> Splitter:
    """A splitter for few tokens."""
    return Splitter(model().tokenizer, model().max_seq_length)


@functools.cache
def whole_database() -> bytes:
    """An index of some texts."""
    with workshop() as encoder:
        with TextIndex("a.db", encoder) as index:
            for text in RESUMED:
                index.add(text, f"# Head\n\n{text}", markdown=True)
        return Path("a.db").read_bytes()


def database(data: bytes) -> None:
    """An index with some bytes altered: it works, or says that it does not."""
    line, _, body = data.partition(b"\n")
    content = bytearray(whole_database())
    for word in line.split()[:9]:
        with suppress(ValueError):
            start = int(word) % len(content)
            content[start : start + len(body)] = body[: len(content) - start]
    said = ""
    with workshop() as encoder:
        path = Path("a.db")
        path.write_bytes(content)
        try:
            with TextIndex(path, encoder) as index:
                found = index.search("text 3", hybrid=True)
                assert all(isinstance(result, Result) for result in found)
                index.sources()
                list(index.passages())
                index.update("text 1", "other words")
                index.delete("text 2")
        except MiniLMError as error:
            said = str(error)
    assert "\n" not in said


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (reading, command_line, manifest, partial, texts, documents, database)
}
