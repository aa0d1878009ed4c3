"""What a run holds: workers, records, a place for files, and who dropped out."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.engine import Engine, EngineError
from benchmarks.machine import hold
from benchmarks.records import Records
from benchmarks.workloads import Workload

if TYPE_CHECKING:
    from tqdm import tqdm


@dataclass
class Bench:
    """A run's means.

    Attributes:
        home: where the environments are.
        records: where the results go.
        threads: of every contender.
        workloads: what is measured.
        most_seconds: of a measurement; a slower contender gets a share of the texts.
        quick: whether to leave out sweeps, cold starts and fresh processes for memory.
        lock: file to hold while something computes; None for none.
        scratch: folder for texts and vectors.
        engines: the workers that are alive.
        lost: contenders that failed in this run.
    """

    home: Path
    records: Records
    threads: int
    workloads: Sequence[Workload]
    most_seconds: float
    quick: bool
    lock: Path | None
    scratch: Path
    bar: "tqdm[Any]"
    engines: dict[str, Engine] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def quiet(self) -> AbstractContextManager[None]:
        """Keep other jobs from the machine."""
        return hold(self.lock)

    def engine(self, name: str) -> Engine:
        """Give a contender's worker, started if need be."""
        if name not in self.engines:
            self.engines[name] = Engine(name, self.home, self.threads)
        return self.engines[name]

    def close_engines(self) -> None:
        """End the workers; those needed again are started anew."""
        while self.engines:
            self.engines.popitem()[1].close()

    def file_of(self, texts: Sequence[Any]) -> str:
        """Write texts or requests where a worker can read them."""
        data = json.dumps(texts)
        path = self.scratch / f"{abs(hash(data)):x}.json"
        if not path.exists():
            path.write_text(data, "utf-8")
        return str(path)

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Show a measurement, and take a contender that fails out of the run."""
        self.bar.set_postfix_str(f"{name} {what}")
        try:
            yield
        except EngineError as error:
            self.lost.add(name)
            self.engines.pop(name, None)
            self.records.add(name, "failed", what, "-", {"reason": str(error)})
            self.bar.write(f"failed: {error}")
        self.bar.update()
