"""Progress: every command that takes long says what it does, how fast, and for how long still."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder, progress
from minilm_onnx.cli import embed, inputs
from minilm_onnx.progress import Pace, Update, named_bar
from minilm_onnx.vectors import grouping
from minilm_onnx.vectors.grouping import community_detection, near_duplicates
from tests.support.running import run

TEXTS = [f"This text is about {topic}." for topic in ("cats", "dogs", "trains", "cats", "tea")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return path


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make stderr a terminal, in the test itself: before it, stderr is another."""
    return lambda: monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


@pytest.mark.parametrize(
    ("total", "steps", "seconds", "said"),
    [
        (100, [], 3.0, ""),
        (100, [(20, None)], 4.0, "5.0 texts/s, 0:16 left"),
        (None, [(20, None), (2000, None)], 2.0, "2,020 texts, 1,010 texts/s"),
        # Bytes: a text has 50 on average, and 4,000 are left.
        (5000, [(1000, 20)], 2.0, "10 texts/s, 0:08 left"),
        (90_000, [(1000, 20)], 2.0, "10 texts/s, 2:58 left"),
        (9_000_000, [(1000, 20)], 2.0, "10 texts/s, 4:59:58 left"),
        # What an earlier run did takes no time, and is not to be done.
        (5000, [(3000, 0), (1000, 20)], 2.0, "10 texts/s, 0:02 left"),
        (5000, [(3000, 0)], 2.0, ""),
        # Many texts of no bytes, such as blank lines that were read before.
        (5000, [(0, 20)], 2.0, "10 texts/s"),
        (100, [(100, None)], 2.0, "50 texts/s, 0:00 left"),
    ],
)
def test_the_pace_is_said_in_words(
    total: int | None, steps: list[tuple[int, int | None]], seconds: float, said: str
) -> None:
    pace = Pace(total)
    for step in steps:
        pace.add(*step)
    assert pace.said(seconds) == said


@pytest.mark.parametrize(
    ("command", "bars"),
    [
        (("embed", "{file}", "--out", "{out}"), ["embed"]),
        (("dedupe", "{file}"), ["embed", "compare"]),
        (("cluster", "{file}"), ["embed", "compare"]),
        (("similarity", "{file}", "--heatmap", "{out}.html"), ["embed"]),
        (("search", "{file}", "cats"), ["embed"]),
    ],
)
def test_a_terminal_sees_what_is_done(
    file: Path,
    tmp_path: Path,
    terminal: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    bars: list[str],
) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    arguments = [one.format(file=file, out=tmp_path / "v.npy") for one in command]
    code, out, said = run(capsys, *arguments)
    assert code == 0
    assert "%|" not in said
    terminal()
    assert run(capsys, *arguments)[:2] == (0, out)
    shown = run(capsys, *arguments)[2]
    assert [name for name in ("embed", "compare", "index") if f"{name}   0%|" in shown] == bars


@pytest.mark.usefixtures("needs_search")
def test_an_index_shows_what_is_done(
    file: Path, tmp_path: Path, terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    db = tmp_path / "texts.db"
    terminal()
    assert "index   0%|" in run(capsys, "index", file, "--db", db)[2]
    said = run(capsys, "index", "--db", db, "--storage", "int8", "--rebuild")[2]
    assert "rebuild   0%|" in said


@pytest.fixture
def needs_search() -> None:
    for name in ("apsw", "sqlite_vec", "semantic_text_splitter", "markdown_it", "yaml"):
        pytest.importorskip(name, reason="minilm-onnx[search] is not installed")


def test_a_terminal_without_tqdm_is_told_how_to_get_a_bar(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    terminal: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Once a run, and not where all is done in a moment."""
    hint = "no progress bar; for one, "
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(inputs, "MANY", len(TEXTS))
    assert hint not in run(capsys, "dedupe", file)[2]
    terminal()
    assert run(capsys, "dedupe", file)[2].count(hint) == 1
    monkeypatch.setattr(inputs, "MANY", len(TEXTS) + 1)
    assert hint not in run(capsys, "dedupe", file)[2]
    assert hint not in run(capsys, "search", file, "cats")[2]
    with file.open("a") as more:
        more.write("\n" * 2**17)
    assert run(capsys, "search", file, "cats")[2].count(hint) == 1


def test_a_bar_over_a_pipe_moves_with_the_texts(
    monkeypatch: pytest.MonkeyPatch,
    terminal: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a pipe nothing is known that tqdm could count."""
    tqdm = pytest.importorskip("tqdm.auto", reason="tqdm is not installed").tqdm

    class Eager(tqdm):  # type: ignore[misc, valid-type]  # chosen as the test runs
        def __init__(self, **options: object) -> None:
            super().__init__(mininterval=0, **options)

    monkeypatch.setattr(progress, "_tqdm", lambda: Eager)
    terminal()
    with named_bar("embed", None, show=True) as done:
        for _ in range(2):
            done(0, 5)
    said = capsys.readouterr().err
    assert "embed 5 texts, " in said
    assert "embed 10 texts, " in said


def test_a_terminal_that_says_0_columns_has_a_bar(
    monkeypatch: pytest.MonkeyPatch,
    terminal: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    terminal()
    monkeypatch.setattr(sys.stderr, "fileno", lambda: 2, raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    with named_bar("embed", 10, show=True):
        pass
    assert "embed   0%|" in capsys.readouterr().err


class Recorder:
    """In the place of `named_bar`: keeps what the bars were told."""

    def __init__(self) -> None:
        self.bars: list[tuple[str, int | None, bool]] = []
        self.steps: list[tuple[float, int | None]] = []

    @contextmanager
    def __call__(self, name: str, total: int | None, *, show: bool) -> Iterator[Update]:
        self.bars.append((name, total, show))
        yield lambda count, texts=None: self.steps.append((count, texts))

    @property
    def told(self) -> tuple[float, int]:
        return sum(count for count, _ in self.steps), sum(texts or 0 for _, texts in self.steps)


def test_embed_counts_bytes_and_texts_batch_by_batch(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = Recorder()
    monkeypatch.setattr(embed, "named_bar", bar)
    size = file.stat().st_size
    assert run(capsys, "embed", file, "--out", tmp_path / "v.npy", "--token-budget", "8")[0] == 0
    assert bar.bars == [("embed", size, False)]
    assert bar.told[0] == pytest.approx(size)
    assert bar.told[1] == len(TEXTS)
    assert len(bar.steps) > 3  # not only at the end of a chunk of 2,048


def test_embed_that_resumes_does_not_count_what_was_done_as_work(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "v.jsonl"
    monkeypatch.setattr(embed, "CHUNK", 2)
    file.write_text("\n".join(TEXTS[:4]) + "\n{broken\n" * 2**12)
    with monkeypatch.context() as patch:
        first = iter([True, False])
        real = SentenceEncoder.embed_texts

        def once(self: object, *arguments: object, **options: object) -> object:
            if not next(first):
                raise KeyboardInterrupt
            return real(self, *arguments, **options)  # type: ignore[arg-type]

        patch.setattr(SentenceEncoder, "embed_texts", once)
        assert run(capsys, "embed", file, "--out", out, "--resume")[0] == 130
    bar = Recorder()
    monkeypatch.setattr(embed, "named_bar", bar)
    assert run(capsys, "embed", file, "--out", out, "--resume")[0] == 0
    assert bar.steps[0][0] > 0
    assert bar.steps[0][1] == 0
    assert bar.told[1] == file.read_text().count("\n") - 2


def test_vectors_on_a_terminal_have_no_bar_among_them(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    terminal: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = Recorder()
    monkeypatch.setattr(embed, "named_bar", bar)
    terminal()
    assert run(capsys, "embed", file)[0] == 0
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(capsys, "embed", file)[0] == 0
    assert [show for *_, show in bar.bars] == [True, False]


@pytest.mark.usefixtures("needs_search")
def test_an_index_counts_passages_as_they_are_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from minilm_onnx.index import changes, indexing, rebuilding

    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(TEXTS[:3]) + "\n")
    size = notes.stat().st_size
    monkeypatch.setattr(changes, "CHUNK", 2)
    arguments = ("index", notes, "--db", tmp_path / "n.db", "--token-budget", "8")
    for embedded in (3, 0):
        bar = Recorder()
        monkeypatch.setattr(indexing, "named_bar", bar)
        assert run(capsys, *arguments, "--lines")[0] == 0
        assert bar.bars == [("index", size, False)]
        assert bar.told == (size, embedded)
        assert sum(bool(texts) for _, texts in bar.steps) == embedded  # one at a time
    # One line is new: the others are known.
    notes.write_text("\n".join(TEXTS) + "\n")
    bar = Recorder()
    monkeypatch.setattr(indexing, "named_bar", bar)
    assert run(capsys, *arguments, "--lines")[0] == 0
    assert bar.told == (notes.stat().st_size, 1)
    bar = Recorder()
    monkeypatch.setattr(rebuilding, "named_bar", bar)
    assert run(capsys, "index", *arguments[2:], "--rebuild", "--storage", "int8")[0] == 0
    assert bar.bars == [("rebuild", 5, False)]
    assert sum(count for count, _ in bar.steps) == 5


def test_comparing_counts_what_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = Recorder()
    monkeypatch.setattr(grouping, "named_bar", bar)
    rows = np.eye(7, dtype=np.float32)
    near_duplicates(rows, batch_size=2, show_progress_bar=True)
    community_detection(rows, batch_size=3)
    assert bar.bars == [("compare", 49, True), ("compare", 49, False)]
    assert bar.told == (2 * 49, 2 * 7)
    assert [count for count, _ in bar.steps] == [4, 12, 20, 13, 21, 21, 7]


def test_rows_of_a_table_without_a_text_count_as_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pa = pytest.importorskip("pyarrow", reason="minilm-onnx[arrow] is not installed")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"text": ["a", None, "b", None, None]}), tmp_path / "t.parquet")
    bar = Recorder()
    monkeypatch.setattr(embed, "named_bar", bar)
    code, *_ = run(capsys, "embed", tmp_path / "t.parquet", "--out", tmp_path / "v.parquet")
    assert code == 0
    assert bar.bars == [("embed", 5, False)]
    assert sum(count for count, _ in bar.steps) == 5
    assert bar.steps[-1] == (3, 0)


def test_the_bar_of_a_file_that_is_read_whole_counts_texts(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = Recorder()
    monkeypatch.setattr(inputs, "named_bar", bar)
    assert run(capsys, "cluster", file)[0] == 0
    assert bar.bars == [("embed", 5, False)]
    assert bar.told[0] == 5
