"""Ray: a local cluster of several nodes, one of which is killed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.cli import main
from minilm_onnx.sample import sample_texts

ray = pytest.importorskip("ray", reason="ray is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

import pyarrow.parquet as pq
from ray.cluster_utils import Cluster

from minilm_onnx.integrations import ray as bridge
from minilm_onnx.integrations.ray import Embed, embed_files
from minilm_onnx.tables import FINGERPRINT

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
    monkeypatch.setattr(bridge, "ROWS", 100)
    monkeypatch.setattr(bridge, "BYTES", 20_000)


def read_all(folder: Path) -> Any:
    parts = sorted(folder.glob("part-*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts])


def vectors_of(table: Any) -> Any:
    return np.array(table["embedding"].to_pylist(), dtype=np.float32)


def write(folder: Path, texts: list[Any]) -> Path:
    source = folder / "in"
    source.mkdir()
    half = len(texts) // 2
    for number, some in enumerate((texts[:half], texts[half:])):
        rows = pa.table({"id": range(number * half, number * half + len(some)), "body": some})
        pq.write_table(rows, source / f"{number}.parquet", row_group_size=50)
    return source


def test_the_bits_are_those_of_one_process(
    cluster: Any, tmp_path: Path, texts: list[str], encoder: SentenceEncoder
) -> None:
    source, target = write(tmp_path, texts), tmp_path / "out"
    seen: list[tuple[int, int]] = []
    rows = embed_files(
        str(source), str(target), field="body", progress=lambda *step: seen.append(step)
    )
    assert rows == COUNT
    found = read_all(target)
    assert found["id"].to_pylist() == list(range(COUNT))
    assert found["body"].to_pylist() == texts
    assert np.array_equal(vectors_of(found), encoder.encode(texts))
    assert found.schema.metadata[b"minilm_onnx.fingerprint"] == encoder.fingerprint.encode()
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
            parts = sorted(target.glob("part-*.jsonl"))
            found = [json.loads(line) for part in parts for line in part.open()]
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

    assert embed_files(str(source), str(target), field="body", progress=kill) == COUNT
    assert killed
    found = read_all(target)
    assert found["id"].to_pylist() == list(range(COUNT))
    assert np.array_equal(vectors_of(found), encoder.encode(texts))


def test_a_killed_job_goes_on_without_computing_twice(
    cluster: Any, tmp_path: Path, texts: list[str], encoder: SentenceEncoder
) -> None:
    source, target = write(tmp_path, texts), tmp_path / "out"

    def stop(done: int, pieces: int) -> None:
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_files(str(source), str(target), field="body", progress=stop)
    before = {path.name: path.stat().st_mtime_ns for path in target.glob("part-*")}
    assert len(before) >= 5
    seen: list[int] = []
    embed_files(str(source), str(target), field="body", progress=lambda done, _: seen.append(done))
    assert seen[0] >= 5
    after = {path.name: path.stat().st_mtime_ns for path in target.glob("part-*")}
    assert len(after) == 20
    # What was there when it went on was left alone.
    assert sum(after[name] == before[name] for name in before) == len(before)
    assert np.array_equal(vectors_of(read_all(target)), encoder.encode(texts))
    with pytest.raises(InputError, match="another's"):
        embed_files(str(source), str(target), field="body", precision="int8")


def test_batches_of_a_dataset(cluster: Any, encoder: SentenceEncoder) -> None:
    words = ["a cat", "a dog", "a car"]
    rows = ray.data.from_items([{"body": word} for word in words])
    made = rows.map_batches(Embed, fn_constructor_args=("body", "v"), concurrency=1)
    found = {row["body"]: row["v"] for row in made.take_all()}
    for word in words:
        assert np.array_equal(np.float32(found[word]), encoder.encode(word))


def test_tables_keep_null_and_the_fingerprint(encoder: SentenceEncoder) -> None:
    table = pa.table({"body": ["a cat", None, "a dog"]})
    made = Embed("body")(table)
    assert made["embedding"].type == pa.list_(pa.float32(), 384)
    assert made["embedding"].to_pylist()[1] is None
    vectors = np.array([made["embedding"][place].as_py() for place in (0, 2)], np.float32)
    assert np.array_equal(vectors, encoder.encode(["a cat", "a dog"]))
    assert made.schema.metadata[FINGERPRINT] == encoder.fingerprint.encode()
    for batch in (table, {"body": np.array(["a cat"])}):
        for field, column in (("no", "embedding"), ("body", "body")):
            with pytest.raises(InputError, match=column if field == "body" else "no"):
                Embed(field, column)(batch)
    with pytest.raises(InputError, match="None"):
        Embed("body")({"body": np.array(["a cat", None])})


def test_what_cannot_be_is_said(cluster: Any, tmp_path: Path) -> None:
    source = write(tmp_path, ["a", "b"])
    target = str(tmp_path / "out")
    with pytest.raises(InputError, match="columns of texts, body"):
        embed_files(str(source), target)
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
        "print(embed_files(sys.argv[1], sys.argv[2], field='body'))"
    )
    shell = f'ip link set lo up 2>/dev/null || true; exec "{sys.executable}" -c "$CODE" "$@"'
    result = subprocess.run(
        [*offline, "sh", "-c", shell, "sh", str(source), str(tmp_path / "out")],
        env=os.environ | {"CODE": code},
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip().splitlines()[-1:] == ["200"], result.stderr[-2000:]
