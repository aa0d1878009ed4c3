"""Ray: a local cluster of several nodes, one of which is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, MiniLMError, SentenceEncoder
from minilm_onnx.cli import main
from minilm_onnx.engine.native import KERNEL, NONE, RUNTIME
from minilm_onnx.measure.sample import sample_texts
from minilm_onnx.tables import parts

ray = pytest.importorskip("ray", reason="ray is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

import pyarrow.parquet as pq
from ray.cluster_utils import Cluster

from minilm_onnx.integrations.ray import Embed, Summary, embed_files
from minilm_onnx.integrations.ray.plan import Job
from minilm_onnx.integrations.ray.target import begin
from minilm_onnx.integrations.ray.worker import Worker
from minilm_onnx.integrations.workers import made_by
from minilm_onnx.tables.column import FINGERPRINT
from minilm_onnx.tables.filesystems import filesystem, whole_on

pytestmark = [
    pytest.mark.slow,
    # Ray's own, on the way down.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
COUNT = 2000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs for work, and two nodes of one each."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [text[:300] for text in sample_texts(COUNT)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS", 100)
    monkeypatch.setattr(parts, "BYTES", 20_000)


def read_all(folder: Path) -> Any:
    found = sorted(folder.glob("part-*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in found])


def vectors_of(table: Any) -> Any:
    return np.array(table["embedding"].to_pylist(), dtype=np.float32)


def write(folder: Path, texts: list[Any]) -> Path:
    source = folder / "in"
    source.mkdir()
    half = len(texts) // 2
    for number, some in enumerate((texts[:half], texts[half:])):
        rows = pa.table({"id": range(number * half, number * half + len(some)), "body": some})
        # Groups of pieces' size, and one that holds several.
        pq.write_table(rows, source / f"{number}.parquet", row_group_size=[130, 10**6][number])
    return source


def test_the_bits_are_those_of_one_process(
    cluster: Any, tmp_path: Path, texts: list[str], encoder: SentenceEncoder
) -> None:
    source, target = write(tmp_path, texts), tmp_path / "out"
    seen: list[tuple[int, int]] = []
    done = embed_files(
        str(source), str(target), field="body", progress=lambda *step: seen.append(step)
    )
    assert done == Summary(COUNT, COUNT, 0, 0, 0)
    found = read_all(target)
    assert found["id"].to_pylist() == list(range(COUNT))
    assert found["body"].to_pylist() == texts
    assert np.array_equal(vectors_of(found), encoder.encode(texts))
    assert found.schema.metadata[b"minilm_onnx.fingerprint"] == encoder.fingerprint.encode()
    assert found.schema.metadata[b"minilm_onnx.runtime"] == encoder.runtime.encode()
    assert seen[0] == (0, 20)
    assert seen[-1] == (20, 20)


def test_lines_of_json_are_cut_between_lines(
    cluster: Any, tmp_path: Path, texts: list[str], encoder: SentenceEncoder
) -> None:
    rows = [{"n": number, "text": text} for number, text in enumerate(texts[:500])]
    rows[7]["text"] = None
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows)[:-1], "utf-8")
    for kind in ("parquet", "jsonl"):
        target = tmp_path / kind
        arguments = ["embed", "--engine", "ray", str(source), str(target), "--format", kind]
        assert main(arguments) == 0
        if kind == "parquet":
            found = read_all(target).to_pylist()
        else:
            paths = sorted(target.glob("part-*.jsonl"))
            found = [json.loads(line) for path in paths for line in path.open()]
        assert len(list(target.glob("part-*"))) > 3
        assert [(row["n"], row["text"]) for row in found] == [(r["n"], r["text"]) for r in rows]
        assert found[7]["embedding"] is None
        there = [row for row in found if row["text"] is not None]
        kept = np.array([row["embedding"] for row in there], dtype=np.float32)
        assert np.array_equal(kept, encoder.encode([row["text"] for row in there]))


def test_a_killed_node_loses_nothing(
    cluster: Any, tmp_path: Path, texts: list[str], encoder: SentenceEncoder
) -> None:
    source, target = write(tmp_path, texts), tmp_path / "out"
    extra = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    killed: list[int] = []

    def kill(done: int, pieces: int) -> None:
        if done >= 3 and not killed:
            killed.append(done)
            cluster.remove_node(extra, allow_graceful=False)

    assert embed_files(str(source), str(target), field="body", progress=kill).rows == COUNT
    assert killed
    found = read_all(target)
    assert found["id"].to_pylist() == list(range(COUNT))
    assert np.array_equal(vectors_of(found), encoder.encode(texts))


DYING = """
import os, signal, sys
import ray
from minilm_onnx.tables import parts
from minilm_onnx.integrations.ray import embed_files

def die(done, count):
    if done >= 5:
        os.kill(os.getpid(), signal.SIGKILL)

parts.ROWS = 100
ray.init(address=sys.argv[3], log_to_driver=False)
embed_files(sys.argv[1], sys.argv[2], field="body", progress=die)
"""


def test_a_killed_job_goes_on_without_computing_twice(
    cluster: Any, tmp_path: Path, texts: list[str], encoder: SentenceEncoder
) -> None:
    source, target = write(tmp_path, texts), tmp_path / "out"
    ended = subprocess.run(
        [sys.executable, "-c", DYING, str(source), str(target), cluster.address],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    before = {path.name: path.stat().st_mtime_ns for path in target.glob("part-*")}
    assert 5 <= len(before) < 20
    left = target / ".part-000003.parquet.0123"
    left.write_bytes(b"half")
    seen: list[int] = []
    embed_files(str(source), str(target), field="body", progress=lambda done, _: seen.append(done))
    assert seen[0] >= 5
    after = {path.name: path.stat().st_mtime_ns for path in target.glob("part-*")}
    assert len(after) == 20
    # What was there when it went on was left alone.
    assert sum(after[name] == before[name] for name in before) == len(before)
    assert not left.exists()
    assert np.array_equal(vectors_of(read_all(target)), encoder.encode(texts))
    assert embed_files(str(source), str(target)).rows == COUNT
    with pytest.raises(InputError, match="got a different job"):
        embed_files(str(source), str(target), field="body", precision="int8")
    rewritten = pa.table({"id": range(COUNT), "body": ["new"] * COUNT})
    pq.write_table(rewritten, source / "1.parquet")
    with pytest.raises(InputError, match="the same input"):
        embed_files(str(source), str(target))


def test_lines_stay_as_they_are(cluster: Any, tmp_path: Path, encoder: SentenceEncoder) -> None:
    lines = [
        '{"text": "a cat", "when": "2024-01-02T03:04:05Z", "n": 123456789012345678901234}',
        "",
        '  {"when": "2024-01-02", "text":null}',
        '{"text": "a \\u00e9t\\u00e9", "x": 1.10}',
        "{}",
    ]
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(lines), "utf-8")
    target = tmp_path / "out"
    arguments = ["embed", "--engine", "ray", str(source), "--out", str(target), "--resume"]
    assert main([*arguments, "--field", "text", "--format", "jsonl"]) == 2  # no integer of Arrow's
    source.write_text("\n".join(lines).replace("901234}", "}"), "utf-8")
    assert main([*arguments, "--field", "text", "--format", "jsonl"]) == 0
    (written,) = target.glob("part-*")
    found = written.read_text("utf-8").splitlines()
    kept = [line.strip().replace("901234}", "}")[:-1] for line in lines if line]
    for line, before in zip(found, kept, strict=True):
        assert line.startswith(before)
    vectors = [json.loads(line)["embedding"] for line in found]
    assert vectors[1] is vectors[3] is None
    assert np.array_equal(np.float32(vectors[2]), encoder.encode("a \u00e9t\u00e9"))
    # The shortest decimals.
    assert len(found[0]) < 384 * 14
    with pytest.raises(InputError, match="got a different job"):
        embed_files(str(source), str(target), format="parquet")


def test_fields_may_come_late(cluster: Any, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": "word " * 20, "n": None} for _ in range(400)]
    rows[300] |= {"n": 1}
    rows[350] |= {"n": 2.5, "late": "2024-01-02"}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.jsonl").touch()
    (tmp_path / "in" / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    target = tmp_path / "out"
    assert embed_files(str(tmp_path / "in"), str(target), field="text").rows == 400
    found = read_all(target)
    assert found["n"].to_pylist()[300] == 1.0
    assert found["n"].to_pylist()[350] == 2.5
    assert found["late"].to_pylist()[350] == "2024-01-02"
    assert found["late"].null_count == 399


def test_parquet_becomes_lines_of_json(cluster: Any, tmp_path: Path) -> None:
    rows = {"t": ["a cat", "a dog"], "x": [float("nan"), 1.5], "when": [None, date(2024, 1, 2)]}
    source, target = tmp_path / "in.PARQUET", tmp_path / "out"
    pq.write_table(pa.table(rows), source)
    assert embed_files(str(source), str(target), format="jsonl").rows == 2
    (written,) = target.glob("part-*")
    found = [json.loads(line) for line in written.open()]
    assert [row["x"] for row in found] == [None, 1.5]
    assert [row["when"] for row in found] == [None, "2024-01-02"]
    pq.write_table(pa.table({**rows, "b": [[b"x"], []]}), source)
    with pytest.raises(InputError, match="JSON can hold, got b"):
        embed_files(str(source), str(tmp_path / "other"), format="jsonl")


def test_what_is_read_of_a_folder(cluster: Any, tmp_path: Path) -> None:
    source = write(tmp_path, ["a", "b", "c", "d"])
    (source / "more").mkdir()
    pq.write_table(pa.table({"body": ["e"], "id": [9]}), source / "more" / "X.PARQUET")
    for name in ("._0.parquet", "_temporary/0.parquet", ".hidden/0.parquet", "_SUCCESS"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"no Parquet")
    target = source / "vectors"
    assert embed_files(str(source), str(target), field="body").rows == 5
    assert embed_files(str(source), str(target), field="body").rows == 5
    found = read_all(target)
    assert found["body"].to_pylist() == ["a", "b", "c", "d", "e"]
    assert found["id"].to_pylist() == [0, 1, 2, 3, 9]
    shutil.rmtree(target)
    elsewhere = str(tmp_path / "out")
    for name, words in {
        "x.jsonl.gz": "x.jsonl.gz",
        "year=2026/0.parquet": "year=2026",
        "empty.parquet": "empty.parquet",
    }.items():
        odd = source / name
        odd.parent.mkdir(exist_ok=True)
        odd.write_bytes(b"")
        with pytest.raises(InputError, match=words):
            embed_files(str(source), elsewhere, field="body")
        odd.unlink()
    pq.write_table(pa.table({"body": ["x"], "other": [1]}), source / "z.parquet")
    with pytest.raises(InputError, match=r"z\.parquet: expected the columns of .*, each once"):
        embed_files(str(source), elsewhere, field="body")


def test_what_a_worker_cannot_do_is_said_in_a_line(
    cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path, [f"text {number}" for number in range(400)])
    data = bytearray((source / "1.parquet").read_bytes())
    data[4:1000] = b"\xff" * 996
    (source / "1.parquet").write_bytes(data)
    target = tmp_path / "out"
    assert main(["embed", "--engine", "ray", str(source), str(target), "--field", "body"]) == 2
    error = capsys.readouterr().err
    assert "1.parquet: expected rows in it" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("other", ["version", "fingerprint", "runtime"])
def test_a_worker_that_makes_other_bits_refuses(encoder: SentenceEncoder, other: str) -> None:
    """Its model is another, or its arithmetic, which the fingerprint does not name."""
    own = made_by(encoder)
    expected = {**own, other: "another 1.0"}
    job = Job("in", "out", "t", "v", "float32", "parquet", **expected, model=None, threads=1)
    row = {"number": [0], "path": ["in"], "first": [0], "last": [1], "rows": [1]}
    answer = Worker(job, "t", pa.schema([("t", pa.string())]))(row)
    assert answer["of"] == ["worker"]
    (said,) = answer["error"]
    assert f"expected {other} another 1.0, as the driver has, got {other} {own[other]}" in said
    with pytest.raises(MiniLMError, match=f"expected {other} another"):
        Embed("t", expected=expected)


def test_workers_without_the_library_end_the_job(
    cluster: Any, tmp_path: Path, encoder: SentenceEncoder
) -> None:
    if encoder.runtime != RUNTIME:
        pytest.skip("the native library is not built, or not to be used")
    rows = ray.data.from_items([{"body": "a cat"}])
    made = rows.map_batches(
        Embed,
        fn_constructor_kwargs={"field": "body", "expected": made_by(encoder)},
        concurrency=1,
        runtime_env={"env_vars": {KERNEL: NONE}},
    )
    with pytest.raises(ray.exceptions.RayError, match=f"{RUNTIME}, as .* got runtime onnxruntime"):
        made.take_all()


def test_a_job_of_another_onnxruntime_is_not_resumed(tmp_path: Path) -> None:
    source = write(tmp_path, ["a cat"] * 400)
    target = tmp_path / "out"
    files, folder = filesystem(str(target))
    of = {"version": "1", "fingerprint": "f", "runtime": "one"}
    made = Job(
        str(source), str(target), "body", "v", "float32", "parquet", **of, model=None, threads=1
    )
    begin(files, folder, made)
    begin(files, folder, replace(made, version="2"))  # which promises the same bits
    with pytest.raises(InputError, match=r"expected a job of runtime another, got .* of one"):
        begin(files, folder, replace(made, runtime="another"))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    files, folder = filesystem(str(tmp_path))

    def write_half() -> None:
        with whole_on(files, f"{folder}/a") as file:
            file.write(b"x")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "expected OUTPUT"),
        (["out", "--threads", "0"], "threads"),
        (["out", "--token-budget", "5"], "--token-budget: expected none"),
        (["out", "--no-pinning"], "--pinning: expected none"),
        (["out", "--bf16"], "--bf16: expected none"),
        (["-"], "expected OUTPUT"),
        (["nowhere://x/y"], "nowhere"),
        (["--out", "nowhere://x/y"], "nowhere://x/y"),
        (["in"], "another folder than the input"),
    ],
)
def test_options_that_do_not_go_with_ray(
    cluster: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ["a", "b"])
    assert main(["embed", "--engine", "ray", "in", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_batches_of_a_dataset(cluster: Any, encoder: SentenceEncoder) -> None:
    words = ["a cat", "a dog", "a car"]
    rows = ray.data.from_items([{"body": word} for word in words])
    made = rows.map_batches(
        Embed,
        fn_constructor_args=("body", "v"),
        fn_constructor_kwargs={"expected": made_by(encoder)},
        concurrency=1,
    )
    found = {row["body"]: row["v"] for row in made.take_all()}
    for word in words:
        assert np.array_equal(np.float32(found[word]), encoder.encode(word))


def test_tables_keep_null_and_the_fingerprint(encoder: SentenceEncoder) -> None:
    table = pa.table({"body": ["a cat", None, "a dog"]})
    expected = made_by(encoder)
    made = Embed("body", expected=expected)(table)
    assert made["embedding"].type == pa.list_(pa.float32(), 384)
    assert made["embedding"].to_pylist()[1] is None
    vectors = np.array([made["embedding"][place].as_py() for place in (0, 2)], np.float32)
    assert np.array_equal(vectors, encoder.encode(["a cat", "a dog"]))
    assert made.schema.metadata[FINGERPRINT] == encoder.fingerprint.encode()
    for batch in (table, {"body": np.array(["a cat"])}):
        for field, column in (("no", "embedding"), ("body", "body")):
            with pytest.raises(InputError, match=column if field == "body" else "no"):
                Embed(field, column, expected=expected)(batch)
    with pytest.raises(InputError, match="None"):
        Embed("body", expected=expected)({"body": np.array(["a cat", None])})


def test_without_field_it_is_text_else_the_only_column(cluster: Any, tmp_path: Path) -> None:
    for name, rows, column in (
        ("both", {"title": ["a"], "text": ["b"]}, "text"),
        ("only", {"id": [1], "body": ["b"]}, "body"),
    ):
        source, target = tmp_path / f"{name}.parquet", tmp_path / name
        pq.write_table(pa.table(rows), source)
        embed_files(str(source), str(target))
        chosen, vectors = read_all(target)[column].to_pylist(), vectors_of(read_all(target))
        assert np.array_equal(vectors, SentenceEncoder().encode(chosen))
    lines = tmp_path / "only.jsonl"
    lines.write_text('{"body": "b"}\n')
    with pytest.raises(InputError, match="--field text"):
        embed_files(str(lines), str(tmp_path / "lines"))


def test_what_cannot_be_is_said(cluster: Any, tmp_path: Path) -> None:
    source = write(tmp_path, ["a", "b"])
    target = str(tmp_path / "out")
    with pytest.raises(InputError, match="columns of texts, 'body'"):
        embed_files(str(source), target, field="no")
    with pytest.raises(InputError, match="new name"):
        embed_files(str(source), target, field="body", column="id")
    with pytest.raises(InputError, match="got none"):
        embed_files(str(tmp_path / "no"), target)
    with pytest.raises(InputError, match=r"expected \.parquet or"):
        embed_files(__file__, target)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(InputError, match="empty folder"):
        embed_files(str(source), str(tmp_path / "full"), field="body")
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{not json\n")
    with pytest.raises(InputError, match="broken"):
        embed_files(str(broken), target)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a network namespace")
def test_a_worker_needs_no_network(tmp_path: Path, texts: list[str]) -> None:
    """Of the machine's interfaces only loopback is left."""
    offline = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*offline, "true"], capture_output=True).returncode:
        pytest.skip("no network namespace can be had here")
    source = write(tmp_path, texts[:200])
    code = (
        "import sys, ray\n"
        "ray.init('local', num_cpus=2, log_to_driver=False, include_dashboard=False, "
        "_node_ip_address='127.0.0.1')\n"
        "from minilm_onnx.integrations.ray import embed_files\n"
        "print(embed_files(sys.argv[1], sys.argv[2], field='body').rows)"
    )
    shell = f'ip link set lo up 2>/dev/null || true; exec "{sys.executable}" -c "$CODE" "$@"'
    result = subprocess.run(
        [*offline, "sh", "-c", shell, "sh", str(source), str(tmp_path / "out")],
        env=os.environ | {"CODE": code},
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip().splitlines()[-1:] == ["200"], result.stderr[-2000:]
