"""python -m benchmarks.machines: results that people send in, and their page."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import machines
from benchmarks.machines import FOLDER, GRAPHS, main, read, read_all, render, tables
from benchmarks.report import Line
from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.cli import bench
from minilm_onnx.cli import main as command
from minilm_onnx.cli.bench import FORMAT, LENGTHS
from minilm_onnx.measure import ceiling, others

PAGE = "before\n\n<!-- machines -->\nold\n<!-- end -->\n\nafter\n"


def published() -> list[Line]:
    """A run with 20,000 tokens/s, of 25,000."""
    line: Line = {
        "contender": "minilm_onnx",
        "part": 0,
        "dirty": False,
        "cpu": "A server",
        "cpus": 2,
        "threads": 2,
        "time": "2026-01-31T12:00:00Z",
        "versions": {"python": "3.11.7", "minilm-onnx": "0.1.0", "onnxruntime": "1.32.0"},
    }
    return [
        line | {"key": "a", "workload": "corpus", "texts": 60, "tokens": 4000, "seconds": 0.2},
        line | {"key": "b", "workload": "cold", "cold_ms": 200.0, "load_ms": 150.0},
        line | {"key": "c", "workload": "memory", "peak_rss_mib": 160.0},
        line
        | {"key": "d", "contender": "ceiling", "workload": "ceiling"}
        | {"gops": 500.0, "tokens_per_second": 25_000.0},
    ]


def result(**changes: Any) -> dict[str, Any]:
    """What bench writes on a Raspberry Pi 5; a change of "a.b" is of key b in a."""
    facts: dict[str, Any] = {
        "format": FORMAT,
        "date": "2026-02-03",
        "cpu": "Raspberry Pi 5 Model B Rev 1.0 asimd asimddp",
        "runtime": "minilm operators 1",
        "native": {"kernel": "dotprod", "kernels": [], "amx": False},
        "policy": {"threads": 4},
        "cpus": 4,
        "machine": "aarch64",
        "system": "Linux",
        "python": "3.13.5",
        "versions": {"minilm-onnx": "0.2.0", "onnxruntime": "1.33.0"},
        "graph": GRAPHS[-1],
        "load_ms": 412.4,
        "bulk": {"texts_per_second": 123.4, "tokens_per_second": 8_100.0, "seconds": [1.0]},
        "peak_rss_mib": 151.0,
        "latency_ms": {str(length): {"median": length / 4, "p99": 99.0} for length in LENGTHS},
        "ceiling": {"gops": 230.0, "tokens_per_second": 10_800.0, "peak_gops": None},
    }
    for key, value in changes.items():
        *outer, last = key.split(".")
        part = facts
        for word in outer:
            part = part[word]
        part[last] = value
    return facts


def without(key: str) -> dict[str, Any]:
    facts = result()
    *outer, last = key.split(".")
    part = facts
    for word in outer:
        part = part[word]
    del part[last]
    return facts


def save(folder: Path, name: str, facts: object) -> Path:
    path = folder / name
    path.write_text(json.dumps(facts), "utf-8")
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results, with its own page, beside a published run and docs."""
    folder = tmp_path / "machines"
    folder.mkdir()
    (folder / "README.md").write_text("not a result", "utf-8")
    run = "".join(json.dumps(line) + "\n" for line in published())
    (tmp_path / "published.jsonl").write_text(run, "utf-8")
    (tmp_path / "page.md").write_text(PAGE, "utf-8")
    monkeypatch.setattr(machines, "FOLDER", folder)
    monkeypatch.setattr(machines, "PUBLISHED", tmp_path / "published.jsonl")
    monkeypatch.setattr(machines, "DOCUMENT", tmp_path / "page.md")
    return folder


def test_machines_stand_side_by_side_the_fastest_first(project: Path) -> None:
    slow = {"bulk.tokens_per_second": 1_000.0, "peak_rss_mib": None, "native.kernel": None}
    save(project, "an-old-laptop.json", result(**slow, cpu="A <b>|\n CPU"))
    save(project, "raspberry-pi-5.json", result())
    assert main([]) == 0
    page = (project.parent / "page.md").read_text("utf-8")
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert rows[2:5] == [
        "| published run | - | 2 | 300 | 20,000 | 1.00 | - | - | 150 | 160 | 80% |",
        "| raspberry-pi-5 | dotprod | 4 | 123 | 8,100 | 0.41 | 2.00 | 32.00 | 412 | 151 | 75% |",
        "| an-old-laptop | onnxruntime's | 4 | 123 | 1,000 | 0.05 | 2.00 | 32.00 | 412 | - | 9% |",
    ]
    assert rows[7:] == [
        "| published run | A server | 2 | Linux x86_64 | 3.11.7 | 0.1.0 | 1.32.0 | 2026-01-31 |",
        "| raspberry-pi-5 | Raspberry Pi 5 Model B Rev 1.0 asimd asimddp | 4 | Linux aarch64 "
        "| 3.13.5 | 0.2.0 | 1.33.0 | 2026-02-03 |",
        "| an-old-laptop | A \\<b\\>\\| CPU | 4 | Linux aarch64 | 3.13.5 | 0.2.0 | 1.33.0 "
        "| 2026-02-03 |",
    ]
    assert "2 machines, the fastest first" in page
    assert "No other machine" not in page


def test_a_page_without_results_says_so() -> None:
    said = tables({}, published())
    assert said.startswith("**No other machine has been measured yet.**")
    assert "[estimates](#estimates-not-measurements)" in said


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([], "expected what `minilm-onnx bench --json` prints, with its format, got []"),
        ({"cpu": "a"}, "expected what `minilm-onnx bench --json` prints, with its format, got {'c"),
        (result(format=FORMAT + 1), f"expected format {FORMAT}, got {FORMAT + 1}; measure with"),
        (result(graph="0" * 64), "expected a result of the bundled model, whose graph is "),
        (result(graph=None), "expected a result of the bundled model, whose graph is "),
        (result(graph=["a"]), "expected a result of the bundled model, whose graph is "),
        (result(cpu=" "), "cpu: expected text, got ' '; send it unchanged"),
        (result(cpus=True), "cpus: expected a positive number, got True"),
        (result(load_ms=float("nan")), "load_ms: expected a positive number, got nan"),
        (result(peak_rss_mib=-1), "peak_rss_mib: expected a positive number, got -1"),
        (result(bulk=[]), "expected the key bulk.texts_per_second, got none"),
        (result(**{"native.kernel": 1}), "native.kernel: expected text, got 1"),
        (
            result(**{"bulk.tokens_per_second": "fast"}),
            "bulk.tokens_per_second: expected a positive number, got 'fast'",
        ),
    ],
)
def test_a_file_that_is_no_result_is_refused_in_a_line_that_names_it(
    facts: object, said: str, project: Path
) -> None:
    save(project, "a-good-one.json", result())
    path = save(project, "raspberry-pi-4.json", facts)
    with pytest.raises(InputError) as caught:
        main([])
    assert str(caught.value).startswith(f"raspberry-pi-4.json: {said}")
    assert "\n" not in str(caught.value)
    assert (project.parent / "page.md").read_text("utf-8") == PAGE
    path.unlink()
    assert main([]) == 0


@pytest.mark.parametrize(
    "key",
    [
        *("date", "cpu", "cpus", "system", "machine", "python", "load_ms", "peak_rss_mib"),
        *("native.kernel", "policy.threads", "versions.minilm-onnx", "versions.onnxruntime"),
        *("bulk.texts_per_second", "bulk.tokens_per_second", "ceiling.tokens_per_second"),
        *("latency_ms.8.median", "latency_ms.128.median"),
    ],
)
def test_a_result_without_a_key_that_the_page_needs_is_refused(key: str, tmp_path: Path) -> None:
    path = save(tmp_path, "raspberry-pi-4.json", without(key))
    said = rf"^raspberry-pi-4\.json: expected the key {key}, got none; send it unchanged$"
    with pytest.raises(InputError, match=said):
        read(path)


def test_a_result_may_have_keys_that_the_page_does_not_know(tmp_path: Path) -> None:
    assert read(save(tmp_path, "a.json", result(later=1)))["later"] == 1


@pytest.mark.parametrize("name", ["Pi.json", "pi 5.json", "pi_5.json", "pi.jsonl", "-.json", "pi"])
def test_a_name_that_is_not_by_the_convention_is_refused(name: str, tmp_path: Path) -> None:
    save(tmp_path, name, result())
    with pytest.raises(InputError, match=r"expected a name of small letters.*raspberry-pi-5\.json"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"cpu: a CPU\n", b'{"format": 1', b"\xff\xfe\xff", b"[" * 10**5]
)
def test_a_file_that_is_not_json_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "raspberry-pi-4.json"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"^raspberry-pi-4\.json: expected what `minilm-onnx bench"
    ):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_result_that_a_powershell_wrote_is_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a-laptop.json"
    path.write_text(json.dumps(result()), encoding)
    assert read(path) == result()


def test_results_of_the_bundled_model_are_accepted(encoder: SentenceEncoder) -> None:
    assert encoder.manifest
    assert encoder.manifest.files["model.onnx"] in GRAPHS


def test_what_bench_writes_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "LENGTHS", tuple(map(int, machines.LENGTHS)))
    monkeypatch.setattr(bench, "MOST_CALLS", 3)
    monkeypatch.setattr(bench, "LEAST_TEXTS", 8)
    monkeypatch.setattr(ceiling, "SECONDS", 0.01)
    monkeypatch.setattr(others, "read_cpus", lambda: None)  # others may be at work here
    assert command(["bench", "--seconds", "0.05", "--json"]) == 0
    path = tmp_path / "this-machine.json"
    path.write_text(capsys.readouterr().out, "utf-8")
    assert read(path)["format"] == FORMAT


def test_committed_results_are_right_and_on_the_page() -> None:
    found = read_all(FOLDER)
    page = render()
    assert all(f"| {name} |" in page for name in found)


@pytest.mark.parametrize(("share", "accepted"), [(None, True), (0.1, True), (0.34, False)])
def test_a_result_of_a_busy_machine_is_refused(
    share: float | None, accepted: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a-laptop.json"
    path.write_text(json.dumps(result(others={"cpu_share": share, "stopped_share": None})))
    if accepted:
        assert read(path)
        return
    with pytest.raises(InputError, match=r"did nothing else, got 34% of its CPUs at other work"):
        read(path)
