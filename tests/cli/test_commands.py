"""The smaller commands, the help of all, their documentation, and shell completion."""

import json
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm_onnx import InputError, SentenceEncoder, near_duplicates
from minilm_onnx.engine.native import KERNEL, NONE, PLAIN
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.vectors.pooling import l2_normalize
from tests.support.commands import commands
from tests.support.running import run

LINES = (
    "How do I reset my password?",
    "Can I get my money back?",
    "How can I reset the password?",
    "When does the train leave?",
    "Is a refund of my money possible?",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(LINES) + "\n", "utf-8")
    return path


@given(st.integers(0, 30), st.integers(1, 9), st.floats(-1, 1), st.integers(0, 5))
def test_near_duplicates_are_those_of_brute_force(
    rows: int, batch: int, threshold: float, seed: int
) -> None:
    vectors = np.random.default_rng(seed).integers(-1, 2, (rows, 3)).astype(np.float32)
    unit = l2_normalize(vectors)
    kept: list[int] = []
    expected = []
    for row in range(rows):
        cosines = unit[kept] @ unit[row] if kept else np.empty(0)
        if len(cosines) and cosines.max() >= threshold:
            expected.append((row, kept[int(cosines.argmax())]))
        else:
            kept.append(row)
    if any(abs(c - threshold) < 1e-5 for c in (unit @ unit.T).ravel()):
        return  # rounding decides
    found = near_duplicates(vectors, threshold, batch)
    assert [row for row, _, _ in found] == [row for row, _ in expected]
    for row, original, score in found:
        assert original < row
        assert original in kept
        assert score == pytest.approx(float(unit[row] @ unit[original]), abs=1e-6)
        assert score >= max(unit[row] @ unit[one] for one in kept if one < row) - 1e-6


@pytest.mark.parametrize("threshold", [None, "0.9", True, float("nan")])
def test_a_threshold_is_a_number(threshold: object) -> None:
    with pytest.raises(InputError, match="threshold"):
        near_duplicates(np.eye(3, dtype=np.float32), threshold)  # type: ignore[arg-type]


def test_dedupe_prints_duplicates_below_their_original(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, said = run(capsys, "dedupe", file, "--threshold", "0.8")
    assert code == 0
    first, second = out.splitlines()
    assert first == f"line 1: {LINES[0]}"
    assert second.endswith(f"line 3: {LINES[2]}")
    assert 0.8 < float(second.split()[0]) < 1
    assert said == "1 near-duplicate in 5 lines (cosine 0.8 or more)\n"
    found = json.loads(run(capsys, "dedupe", file, "--threshold", "0.8", "--json")[1])
    assert [(one["line"], one["of"], one["text"]) for one in found] == [(3, 1, LINES[2])]


def test_dedupe_writes_the_lines_that_are_kept_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f'{{"n":{n},  "body": {json.dumps(line)}}}' for n, line in enumerate(LINES)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(rows) + "\n", "utf-8")
    out = tmp_path / "fewer.jsonl"
    options = ("--field", "body", "--threshold", "0.8", "--out", out)
    code, printed, _ = run(capsys, "dedupe", path, *options)
    assert (code, printed) == (0, "")
    assert out.read_text("utf-8").splitlines() == [rows[0], rows[1], rows[3], rows[4]]


def test_blank_lines_are_nobodys_duplicates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "texts.txt", tmp_path / "fewer.txt"
    path.write_text("\none\n\n\none\n")
    assert "line 5: one" in run(capsys, "dedupe", path)[1]
    run(capsys, "dedupe", path, "--out", out)
    assert out.read_text() == "\none\n\n\n"


def test_words_are_shown_as_they_are_but_for_what_commands_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined = "👩\u200d🚀 na\u00adïve می\u200cخواهم 🏴\U000e0067\U000e007f \u2060 \ue000 א\u200f!"
    path = tmp_path / "texts.txt"
    path.write_text(f"{joined}\n{joined}\nna\x1b[2Jïve \u202eevil\u2066 \x07\n", "utf-8")
    assert run(capsys, "dedupe", path)[1].splitlines()[0] == f"line 1: {joined}"
    out = run(capsys, "search", path, "x", "--top", "3")[1]
    assert f"        {joined}\n" in out
    assert "        na\\x1b[2Jïve \\u202eevil\\u2066 \\x07\n" in out


def test_cluster_prints_groups_with_their_centre_first(
    file: Path, capsys: pytest.CaptureFixture[str], encoder: SentenceEncoder
) -> None:
    code, out, said = run(capsys, "cluster", file, "--threshold", "0.5")
    assert code == 0
    assert out.splitlines() == [
        *("2 lines", f"  line 1: {LINES[0]}", f"  line 3: {LINES[2]}"),
        *("2 lines", f"  line 2: {LINES[1]}", f"  line 5: {LINES[4]}"),
    ]
    assert said == "2 groups of 4 of 5 lines\n"
    options = ("--threshold", "0.5", "--least", "2", "--json")
    found = json.loads(run(capsys, "cluster", file, *options)[1])
    assert [[one["line"] for one in group] for group in found] == [[1, 3], [2, 5]]


class Cells(HTMLParser):
    """The cells of a table, and whatever a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.cells.append(data)


def test_a_heat_map_is_a_page_without_outside_resources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], encoder: SentenceEncoder
) -> None:
    lines = ["a <b>cat</b>", "a dog & a 'cat'", '"猫" {} {columns} {{0}}', "👩\u200d🚀 so\u00adft"]
    path, out = tmp_path / "texts.txt", tmp_path / "map.html"
    path.write_text("\n".join(lines), "utf-8")
    assert run(capsys, "similarity", path, "--heatmap", out)[0] == 0
    page = Cells()
    page.feed(out.read_text("utf-8"))
    names = [cell for cell in page.cells if cell in lines]
    columns, rows = names[:4], names[4:]
    assert columns == rows
    assert sorted(rows) == sorted(lines)
    vectors = encoder.encode(rows)
    figures = [f"{value:.2f}" for value in (vectors @ vectors.T).ravel()]
    assert [cell for cell in page.cells if cell[-3:-2] == "."] == figures
    assert not {"script", "link", "img", "iframe"} & page.tags


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".SVG", b"<?xml")])
def test_a_heat_map_is_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, magic: bytes
) -> None:
    pytest.importorskip("matplotlib", reason="minilm-onnx[plots] is not installed")
    path, out = tmp_path / "texts.txt", tmp_path / f"map{suffix}"
    path.write_text(
        "a $cat$\n猫 and \\alpha\n\n" + "long " * 50 + "\n", "utf-8"
    )  # one line is blank
    code, printed, said = run(capsys, "similarity", path, "--heatmap", out)
    assert (code, printed, said) == (0, "", f"3 texts to {out}\n")
    assert out.read_bytes().startswith(magic)


def test_a_picture_without_matplotlib_says_what_to_install(file: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from minilm_onnx.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "similarity", str(file), "--heatmap", "o.png"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "pip install '.[plots]'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("similarity", "{file}", "--heatmap", "x.pdf"), "expected a suffix .png, .svg, .html"),
        (("similarity", "{file}", "b", "--heatmap", "x.html"), "expected one file"),
        (("similarity", "{many}", "--heatmap", "x.html"), "at most 200, got 201"),
        (("similarity", "{empty}", "--heatmap", "x.html"), "expected lines of text"),
        (
            ("similarity", "{file}", "--heatmap", "/no/such/x.html"),
            "--heatmap /no/such/x.html: expected",
        ),
        (("similarity", "a", "b", "--field", "c"), "--field: expected --heatmap"),
        (("similarity", "a"), "expected two texts"),
        (("dedupe", "{empty}"), "expected lines of text"),
        (("dedupe", "{file}", "--out", "x.gz"), "without .gz"),
        (("dedupe", "{file}", "--out", "x.parquet"), "expected the suffix .txt"),
        (("dedupe", "{file}.arrow", "--out", "x.txt"), "expected the suffix .arrow"),
        (("dedupe",), "the following arguments are required: FILE; see minilm-onnx dedupe --help"),
        (("serach", "x"), "invalid choice: 'serach'"),
        (("dedupe", "{file}", "--threshold", "90"), "--threshold: expected a cosine"),
        (("dedupe", "{absent}"), "expected a readable file"),
        (("cluster", "{file}", "--least", "0"), "--least: expected a whole number"),
        (("cluster", "{file}", "--field", "x"), "expected a JSON object"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    many, empty = file.with_name("many.txt"), file.with_name("empty.txt")
    many.write_text("line\n" * 201)
    empty.touch()
    places = {"file": file, "many": many, "empty": empty, "absent": file.with_name("absent")}
    code, out, said = run(capsys, *(word.format(**places) for word in arguments))
    assert (code, out) == (2, "")
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", commands())
def test_help_has_examples_that_parse(name: str) -> None:
    parser = commands()[name]
    lines = (parser.epilog or "").splitlines()
    assert lines[0] == "examples:"
    for line in lines[1:]:
        for part in line.split("|"):
            words = shlex.split(part.replace('eval "$(', "").replace(')"', ""))
            if words[0] != "minilm-onnx":
                continue
            assert words[1] == name
            arguments = words[2 : words.index(">") if ">" in words else None]
            _, more = parser.parse_known_args(arguments)
            assert not [word for word in more if word.startswith("-")]


def test_help_says_how_a_kernel_is_chosen() -> None:
    for name in ("embed", "serve", "info"):
        said = " ".join(commands()[name].format_help().split())
        assert f"{KERNEL} chooses the kernel" in said
        assert f"{PLAIN} for plain C" in said
        assert f"{NONE} for onnxruntime's own" in said


def test_words_behind_options_are_taken_and_unknown_options_are_not(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = run(capsys, "similarity", "a cat", "a dog", "a car")
    assert run(capsys, "similarity", "a cat", "--threads", "1", "a dog", "a car") == plain
    for arguments in (("similarity", "a", "b", "--no-such"), ("info", "more")):
        code, _, said = run(capsys, *arguments)
        assert code == 2
        assert said.startswith(f"error: arguments: expected no '{arguments[-1]}'; see ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_is_a_script_of_that_shell(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab", reason="minilm-onnx[completion] is not installed")
    code, out, _ = run(capsys, "completion", shell)
    assert code == 0
    assert all(name in out for name in commands())
    program = shutil.which(shell)
    if program is not None:
        script = tmp_path / "script"
        script.write_text(out)
        subprocess.run([program, "-n", script], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        *(("sear", "search"), ("search --hyb", "--hybrid"), ("index --sto", "--storage")),
        *(("search no", "notes.txt"), ("index x --db no", "notes.txt"), ("dedupe no", "notes.txt")),
    ],
)
def test_bash_completes(
    typed: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab", reason="minilm-onnx[completion] is not installed")
    script = tmp_path / "script"
    script.write_text(run(capsys, "completion", "bash")[1])
    (tmp_path / "notes.txt").touch()
    words = ["minilm-onnx", *typed.split()]
    ask = (
        f"cd {tmp_path}; source {script}; "
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
        f"$(complete -p minilm-onnx | sed 's/.*-F \\([^ ]*\\).*/\\1/') minilm-onnx "
        f"{shlex.quote(words[-1])}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    result = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert [word.strip() for word in result.stdout.splitlines()] == [expected]


def test_completion_without_shtab_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['shtab'] = None\n"
        "from minilm_onnx.cli import main; sys.exit(main(['completion', 'bash']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "pip install '.[completion]'" in result.stderr


def test_models_lists_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MINILM_ONNX_HOME", raising=False)
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert out.startswith("the model in the package\n")
    assert "sentence-transformers/all-MiniLM-L6-v2" in out
    assert "23 MiB, int8" in out
    shutil.copytree(BUNDLED, tmp_path / "mine")
    shutil.copytree(BUNDLED, tmp_path / "broken")
    (tmp_path / "broken" / "manifest.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("MINILM_ONNX_HOME", str(tmp_path))
    code, out, _ = run(capsys, "models", "--json")
    found = {one["name"]: one for one in json.loads(out)}
    assert list(found) == ["", "broken", "mine"]
    assert found["mine"]["manifest"]["languages"] == "en"
    assert "expected format" in found["broken"]["error"]
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert "cannot be used" in out
    code, out, _ = run(capsys, "similarity", "a", "b", "--model", "mine")
    assert code == 0
    monkeypatch.setenv("MINILM_ONNX_HOME", str(tmp_path / "mine" / "manifest.json"))
    code, _, error = run(capsys, "models", "--json")
    assert code == 2
    assert "MINILM_ONNX_HOME: expected a folder" in error
    monkeypatch.setenv("MINILM_ONNX_HOME", str(tmp_path / "nowhere"))  # nothing was installed yet
    code, out, _ = run(capsys, "models", "--json")
    assert [one["name"] for one in json.loads(out)] == [""]
    assert run(capsys, "similarity", "a", "b", "--model", "mine")[0] == 1


def test_the_bundled_model_is_found_by_its_names(encoder: SentenceEncoder) -> None:
    for name in ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"):
        assert SentenceEncoder(name).fingerprint == encoder.fingerprint
