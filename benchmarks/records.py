"""The raw results: one JSON line a measurement, never rewritten, so that a run can go on."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import MOST_FOREIGN_CPU, commit
from benchmarks.workloads import Corpus
from minilm_onnx import InputError
from minilm_onnx.engine.cpus import cpu_name


def key_of(contender: str, workload: str, part: object, digest: str, threads: int, at: str) -> str:
    """Name a measurement: who, what, which round or setting, of which texts, and of which code."""
    return "/".join([contender, workload, str(part), digest, f"{threads}t", at])


@dataclass
class Records:
    """The lines of a run.

    Attributes:
        path: the file.
        conditions: what goes into every line: CPU, threads, corpus, commit.
        lines: every line by its key, those of earlier runs too.
    """

    path: Path
    conditions: dict[str, Any]
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)

    def find(self, contender: str, workload: str, part: object, digest: str) -> dict[str, Any]:
        """Give the line of a measurement, {} if it was not taken with this code."""
        return self.lines.get(self._key(contender, workload, part, digest), {})

    def add(
        self,
        contender: str,
        workload: str,
        part: object,
        digest: str,
        measured: dict[str, Any],
    ) -> dict[str, Any]:
        """Write a line and give it."""
        line = {
            "key": self._key(contender, workload, part, digest),
            "contender": contender,
            "workload": workload,
            "part": part,
            **measured,
            "dirty": measured.get("foreign_cpu", 0.0) > MOST_FOREIGN_CPU,
            "load_average": round(os.getloadavg()[0], 2),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **self.conditions,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.lines[line["key"]] = line
        return line

    def _key(self, contender: str, workload: str, part: object, digest: str) -> str:
        at = self.conditions["commit"]
        return key_of(contender, workload, part, digest, self.conditions["threads"], at)


def open_records(path: Path, root: Path, corpus: Corpus, threads: int, *, quick: bool) -> Records:
    """Read what is there, and find out what every further line will say.

    Args:
        path: the file of JSON lines; it may not exist yet.
        root: the repository.
        corpus: what is embedded.
        threads: of every contender.
        quick: whether little is measured.

    Raises:
        InputError: the file holds something else.
    """
    conditions = {
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "corpus": corpus.name,
        "corpus_sha256": corpus.sha256,
        "quick": quick,
        "commit": commit(root),
    }
    lines = read_lines(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():  # a crash may have cut the last line short
        whole = path.read_bytes().rpartition(b"\n")
        path.write_bytes(whole[0] + whole[1])
    return Records(path, conditions, {line["key"]: line for line in lines})


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the lines that end; a crash may have cut the last one short.

    Raises:
        InputError: a line is something else.
    """
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
    except ValueError as error:
        raise InputError(f"{path}: expected JSON lines, got {error}; choose another") from error
