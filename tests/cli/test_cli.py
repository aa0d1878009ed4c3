import csv
import gzip
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder, __version__
from minilm_onnx.cli import embed, info, main
from minilm_onnx.engine.native import RUNTIME, native
from tests.support.commands import commands
from tests.support.running import run

TEXTS = ["a cat sat", "", "zwei Hunde", 'commas, and "quotes"', "river " * 400]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", "utf-8")
    return path


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    """Run a command that must fail; give its one line on stderr."""
    assert main([str(argument) for argument in arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def test_embed_writes_an_array_in_the_order_of_the_lines(
    lines: Path, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    out = tmp_path / "vectors.npy"
    assert main(["embed", str(lines), "--out", str(out)]) == 0
    vectors = np.load(out)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, encoder.encode(TEXTS))


def test_embed_says_how_many_it_wrote_and_how_many_it_cut(
    lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["embed", str(lines), "--out", str(tmp_path / "v.npy")])
    assert "5 texts" in (said := capsys.readouterr().err)
    assert "1 were cut at 256 tokens" in said


def test_embed_in_chunks_equals_embed_at_once(
    lines: Path, tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "CHUNK", 2)
    out = tmp_path / "v.npy"
    main(["embed", str(lines), "--out", str(out)])
    assert np.array_equal(np.load(out), encoder.encode(TEXTS))


def test_embed_jsonl_on_stdout_reads_back_exactly(
    lines: Path, capfdbinary: pytest.CaptureFixture[bytes], encoder: SentenceEncoder
) -> None:
    assert main(["embed", str(lines), "--out", "-"]) == 0
    rows = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
    assert np.array_equal(vectors, encoder.encode(TEXTS))


def test_embed_csv_reads_back_exactly(
    lines: Path, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    out = tmp_path / "v.csv"
    assert main(["embed", str(lines), "--out", str(out)]) == 0
    with out.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["text", *(f"e{i}" for i in range(384))]
    assert [row[0] for row in rows] == TEXTS
    vectors = np.array([row[1:] for row in rows]).astype(np.float32)
    assert np.array_equal(vectors, encoder.encode(TEXTS))


def test_embed_reads_a_field_of_packed_json_lines(tmp_path: Path, encoder: SentenceEncoder) -> None:
    path = tmp_path / "texts.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": 1, "body": text}) + "\n" for text in TEXTS)
    out = tmp_path / "v.npy"
    assert main(["embed", str(path), "--field", "body", "--out", str(out)]) == 0
    assert np.array_equal(np.load(out), encoder.encode(TEXTS))


def test_embed_reads_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfa cat\r\nno line end"))
    monkeypatch.setattr(sys, "stdin", stream)
    out = tmp_path / "v.npy"
    assert main(["embed", "-", "--out", str(out)]) == 0
    assert np.array_equal(np.load(out), encoder.encode(["a cat", "no line end"]))


def test_embed_of_an_empty_file_is_an_empty_array(tmp_path: Path) -> None:
    (tmp_path / "none.txt").touch()
    out = tmp_path / "v.npy"
    assert main(["embed", str(tmp_path / "none.txt"), "--out", str(out)]) == 0
    assert np.load(out).shape == (0, 384)


@pytest.mark.parametrize(
    ("content", "field", "named"),
    [
        (b"fine\nnot \xff utf-8\n", None, r"line 2: expected UTF-8, got byte 0xFF at column 5"),
        (b'{"a": "x"}\nplain\n', "a", "line 2: expected a JSON object"),
        (
            b'{"a": "x"}\n',
            "b",
            "line 1: expected a JSON object with the field 'b', got the fields 'a'",
        ),
        (b"[1]\n", "a", "line 1: expected a JSON object with the field 'a', got list"),
        (b"\x1f\x8bpacked", None, "line 1: expected UTF-8, got gzip data; name the file with .gz"),
        (b'{"a": 3}\n', "a", "line 1: expected a string in 'a', got int 3"),
        (b'{"a": "\\ud800"}\n', "a", "line 1: expected valid Unicode in 'a', got the lone surr"),
    ],
)
def test_embed_names_the_line_it_cannot_read_and_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    field: str | None,
    named: str,
) -> None:
    path = tmp_path / "in"
    path.write_bytes(content)
    options = ["--field", field] if field else []
    error = fails(capsys, 2, "embed", path, *options, "--out", tmp_path / "v.npy")
    assert named in error
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_embed_keeps_an_earlier_output_when_it_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_bytes(b"\xff\n")
    (tmp_path / "v.npy").write_bytes(b"earlier")
    fails(capsys, 2, "embed", tmp_path / "in", "--out", tmp_path / "v.npy")
    assert (tmp_path / "v.npy").read_bytes() == b"earlier"


def test_embed_through_a_link_keeps_the_link_and_the_mode(lines: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.npy"
    target.touch(mode=0o600)
    (tmp_path / "link.npy").symlink_to(target)
    main(["embed", str(lines), "--out", str(tmp_path / "link.npy")])
    assert (tmp_path / "link.npy").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert len(np.load(target)) == len(TEXTS)


def test_embed_refuses_wrong_files_and_formats(
    lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "No such file" in fails(capsys, 2, "embed", tmp_path / "absent.txt")
    assert "got a folder" in fails(capsys, 2, "embed", tmp_path)
    assert "expected a suffix" in fails(capsys, 2, "embed", lines, "--out", tmp_path / "v.xls")
    assert "expected the suffix .csv" in fails(
        capsys, 2, "embed", lines, "--format", "csv", "--out", tmp_path / "v.npy"
    )
    lines.rename(tmp_path / "texts.csv")
    assert "expected another file than the input" in fails(
        capsys, 2, "embed", tmp_path / "texts.csv", "--out", tmp_path / "texts.csv"
    )
    (tmp_path / "texts.csv").rename(lines)
    assert "expected --out FILE" in fails(capsys, 2, "embed", lines, "--format", "npy")
    assert "expected a writable place" in fails(
        capsys, 2, "embed", lines, "--out", tmp_path / "no" / "v.npy"
    )
    (tmp_path / "folder.npy").mkdir()
    assert "expected a regular file" in fails(
        capsys, 2, "embed", lines, "--out", tmp_path / "folder.npy"
    )
    assert "expected a regular file" in fails(
        capsys, 2, "embed", lines, "--format", "csv", "--out", "/dev/null"
    )


def test_embed_names_a_broken_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = gzip.compress(b"a text\n" * 9000)
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    assert "expected more after line" in fails(
        capsys, 2, "embed", tmp_path / "cut.gz", "--out", tmp_path / "v.npy"
    )
    (tmp_path / "plain.gz").write_bytes(b"plain\n")
    assert "expected more after line 0" in fails(capsys, 2, "embed", tmp_path / "plain.gz")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_and_not_a_short_file(lines: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "minilm_onnx", "embed", str(lines)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert result.returncode == 1
    assert b"stdout: expected to continue writing, got No space left on device" in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_closed_standard_stream_is_one_line(closed: str) -> None:
    result = subprocess.run(
        f"{shlex.quote(sys.executable)} -m minilm_onnx embed {closed}",
        shell=True,
        input=b"a text\n" if closed == ">&-" else None,
        capture_output=True,
        check=False,
    )
    assert result.returncode in (1, 2)
    assert result.stderr.startswith(b"error: std")
    assert result.stderr.count(b"\n") == 1


def test_embed_holds_long_lines_a_few_at_a_time(
    tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "CHUNK_CHARACTERS", 5000)
    texts = ["river " * 900] * 7 + ["short"] * 3
    (tmp_path / "in").write_text("\n".join(texts), "utf-8")
    sizes: list[int] = []
    embed_texts = SentenceEncoder.embed_texts

    def spy(self: SentenceEncoder, chunk: list[str], **options: Callable[[int], object]) -> object:
        sizes.append(len(chunk))
        return embed_texts(self, chunk, done=options["done"])

    monkeypatch.setattr(SentenceEncoder, "embed_texts", spy)
    assert main(["embed", str(tmp_path / "in"), "--out", str(tmp_path / "v.npy")]) == 0
    assert sizes == [1] * 7 + [3]
    monkeypatch.undo()
    assert np.array_equal(np.load(tmp_path / "v.npy"), encoder.encode(texts))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_folder_without_permission_is_named_and_exits_with_2(lines: Path, tmp_path: Path) -> None:
    """As an ordinary user: root may read and write everywhere."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)
    code = (
        # argparse loads locale late, when this user may not be able to read root's Python.
        "import locale, os, sys\n"
        "from minilm_onnx.cli import main\n"
        "os.geteuid() or os.seteuid(65534)\n"
        "_, file, _, out = sys.argv[1:]\n"
        "print([main(['embed', file, '--out', out]),\n"
        "       main(['embed', file, '--out', out + 'x' * 300]),\n"
        "       main(['info', '--model', os.path.dirname(out)])])"
    )
    lines.chmod(0o644)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    result = subprocess.run(
        [sys.executable, "-c", code, "embed", str(lines), "--out", str(locked / "v.npy")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "[2, 2, 1]\n"
    assert "expected a writable place, got Permission denied" in result.stderr
    assert "stdout" not in result.stderr


def test_a_closed_pipe_ends_quietly(lines: Path) -> None:
    producer = subprocess.Popen(
        [sys.executable, "-m", "minilm_onnx", "embed", str(lines)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert producer.stdout is not None
    producer.stdout.close()
    _, errors = producer.communicate()
    assert b"Traceback" not in errors
    assert b"error" not in errors
    assert producer.returncode == 0


def test_similarity_prints_a_line_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["similarity", "a cat", "a cat", "the stock market"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "1.0000\ta cat"
    score, text = second.split("\t")
    assert -0.2 < float(score) < 0.4
    assert text == "the stock market"


def test_similarity_refuses_an_argument_that_is_not_unicode(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "lone surrogate U+DCFF" in fails(capsys, 2, "similarity", "a", "\udcff")


def test_info_says_what_runs_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)" in text
    assert f"minilm-onnx {__version__}" in text
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"]["precision"] == "int8"
    assert facts["policy"]["threads"] == facts["cpus"]


def test_info_shows_the_policy_and_options_override_it(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--threads",
        "3",
        "--no-spinning",
        "--no-pinning",
        "--exact-products",
        "--token-budget",
        "99",
    ]
    assert main(["info", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["policy"] == {
        "threads": 3,
        "spinning": False,
        "pinned": [],
        "exact_products": True,
        "bf16": False,
        "token_budget": 99,
    }
    assert main(["info", *arguments]) == 0
    text = capsys.readouterr().out
    for said in ("3 of", "by sleeping", "up to 99 tokens"):
        assert said in text
    error = fails(capsys, 2, "info", "--token-budget", "0")
    assert "token_budget: expected a positive int" in error


def test_info_says_that_products_are_in_bf16(
    fp32_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minilm_onnx.engine.policy.multiplies_in_bf16", lambda: True)
    assert main(["info", "--model", str(fp32_folder), "--bf16"]) == 0
    text = capsys.readouterr().out
    assert "kernel     onnxruntime's own in bf16" in text
    assert "products   float32 is rounded to bf16 and multiplied" in text
    assert " in bf16 alone: the graph has no native operators" in text
    assert main(["info", "--model", str(fp32_folder)]) == 0
    assert " in bf16" not in capsys.readouterr().out


def test_bf16_is_refused_for_the_bundled_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert "bf16: expected False with" in fails(capsys, 2, "similarity", "--bf16", "a", "b")


def test_info_names_kernel_and_promise(
    capsys: pytest.CaptureFixture[str], encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if encoder.runtime != RUNTIME:
        pytest.skip("the native library is not built, or not to be used")
    monkeypatch.setattr(info, "cpu_flags", lambda: {"amx_int8"})
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    kernel = native()
    assert kernel is not None
    assert f"kernel     {kernel.kernel} of the native library; MINILM_ONNX_KERNEL takes" in text
    assert "promise    the same bits on every CPU, with any version of onnxruntime" in text
    assert "products   8-bit products of the native operators are exact on every CPU" in text
    assert "amx        this CPU has AMX" in text
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["runtime"] == RUNTIME
    assert facts["promise"].startswith("the same bits on every CPU")
    assert facts["native"]["kernel"] == kernel.kernel
    assert facts["native"]["amx"] is True
    assert {"name": "plain", "runs": True, "right": True} in facts["native"]["kernels"]
    there = {one["name"]: one["right"] for one in facts["native"]["kernels"] if not one["runs"]}
    assert set(there.values()) <= {None}  # nobody knows
    used = {**facts["native"], "kernels": [{"name": "fast", "runs": True, "right": False}]}
    assert "not fast, whose bits are wrong here" in info.kernel_in_words({"native": used})


def test_info_says_why_the_promise_is_the_weaker_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINILM_ONNX_KERNEL", "none")
    native.cache_clear()
    monkeypatch.setattr(info, "cpu_flags", lambda: {"amx_int8"})
    try:
        assert main(["info", "--exact-products"]) == 0
        text = capsys.readouterr().out
        assert main(["info", "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
    finally:
        native.cache_clear()
    assert "kernel     onnxruntime's own" in text
    assert "promise    the same bits on CPUs of one kind, with onnxruntime " in text
    assert "alone: MINILM_ONNX_KERNEL is none" in text
    assert "exact, slower kernels are used" in text
    assert "amx  " not in text
    assert facts["native"]["kernel"] is None
    assert facts["runtime"].startswith("onnxruntime ")


def test_a_wrong_model_folder_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = fails(capsys, 1, "info", "--model", tmp_path / "nowhere")
    assert "expected a model folder" in error


def test_wrong_arguments_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["nonsense"], ["similarity"], ["embed", "--format", "xml"]):
        assert fails(capsys, 2, *arguments).startswith("error: arguments: ")


def test_no_arguments_are_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, said = run(capsys)
    assert (code, said) == (2, "")
    assert out.startswith("usage: minilm-onnx ")
    assert all(name in out for name in commands())


@pytest.mark.parametrize(
    ("arguments", "row"),
    [
        (("embed",), "text"),
        (("embed", "--field", "text"), "JSON object"),
        (("dedupe", "-"), "text"),
        (("cluster", "-"), "text"),
        (("similarity", "-", "--heatmap", "{folder}/map.html"), "text"),
        (("search", "-", "a", "question"), "text"),
    ],
)
def test_a_terminal_is_told_that_its_input_is_waited_for(
    arguments: tuple[str, ...], row: str, tmp_path: Path
) -> None:
    pty = pytest.importorskip("pty", reason="needs POSIX terminals")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "minilm_onnx", *arguments]
    with subprocess.Popen(
        [word.format(folder=tmp_path) for word in command],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        os.write(ours, b'{"text": "a cat"}\n\x04')
        said = process.communicate()[1].decode()
        os.close(ours)
    assert process.returncode == 0
    assert said.startswith(f"waiting for standard input: one {row} per line, Ctrl-D to end; ")


def test_a_pipe_is_not_told_that_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a cat\n")))
    assert run(capsys, "embed")[2] == "1 texts to stdout: 1 x 384 float32\n"


def test_an_interrupt_leaves_nothing_half_written(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SentenceEncoder, "embed_texts", interrupt)
    assert "interrupted" in fails(capsys, 130, "embed", lines, "--out", tmp_path / "v.npy")
    assert list(tmp_path.iterdir()) == [lines]


def test_a_bar_is_shown_on_a_terminal_only(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    arguments = ["embed", str(lines), "--out", str(tmp_path / "v.npy")]
    main(arguments)
    assert "embed" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main(arguments)
    assert "embed   0%|" in capsys.readouterr().err


def test_a_terminal_without_tqdm_is_told(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["embed", str(lines), "--out", str(tmp_path / "v.npy")]) == 0
    assert "pip install '.[progress]'" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_what_the_model_cannot_read_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chinese = "\u732b\u5728\u6905\u5b50\u4e0a"
    assert main(["similarity", "a cat", chinese]) == 0
    assert capsys.readouterr().err == "2 texts; 1 are mostly unknown to the model\n"
    (tmp_path / "in.txt").write_text(f"a cat\n{chinese}\n", "utf-8")
    assert main(["embed", str(tmp_path / "in.txt"), "--out", str(tmp_path / "v.npy")]) == 0
    assert "; 1 are mostly unknown to the model" in capsys.readouterr().err
