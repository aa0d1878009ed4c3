"""Worker: the vectors of a part, on one of the machines."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minilm_onnx.integrations import shared_encoder
from minilm_onnx.integrations.ray.cluster import answer, part_of
from minilm_onnx.integrations.ray.plan import Job
from minilm_onnx.integrations.workers import check_worker
from minilm_onnx.tables.column import Vectors, embed_column, parquet_options
from minilm_onnx.tables.filesystems import LINES, filesystem, kind_of, whole_on
from minilm_onnx.tables.objects import lines_of, table_of, with_vectors
from minilm_onnx.tables.parts import Part, read_lines, read_rows
from minilm_onnx.text.reports import Tally

if TYPE_CHECKING:
    import pyarrow as pa


class Worker:
    """Embeds parts on one machine; what it cannot do it says in a row, not by raising.

    Ray wraps what is raised in pages of its own frames.
    """

    def __init__(self, job: Job, field: str, schema: "pa.Schema") -> None:
        """Keep what is to be done; the model is loaded with the first part."""
        self.job, self.field, self.schema = job, field, schema

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Write a part."""
        (name,) = (self.job.name(int(number)) for number in batch["number"])
        seen = {"without": 0, "cut": 0, "unreadable": 0}
        said = answer(lambda: seen.update(self.write(part_of(batch), name)))
        return {"name": [name], **said, **{key: [value] for key, value in seen.items()}}

    def write(self, part: Part, name: str) -> dict[str, int]:
        """Write it under its name, once it is whole; give what the model did not see.

        Raises:
            InputError: its rows cannot be read.
            MiniLMError: this machine has another version, model or runtime.
        """
        job = self.job
        encoder = shared_encoder(job.model, job.threads)
        check_worker(encoder, job.made_by)
        of = encoder.fingerprint, encoder.runtime
        added = Vectors(self.schema, job.column, encoder.dimension, job.precision, *of)
        read, _ = filesystem(job.source)
        files, folder = filesystem(job.target)
        lines: list[str] | None = None
        if kind_of(part.path) == LINES:
            lines, rows = read_lines(read, part)
            texts = [row.get(self.field) for row in rows]
            table = None
        else:
            table = read_rows(read, part, self.schema)
            texts = table.column(self.field).to_pylist()
        vectors, reports = embed_column(encoder, texts)
        tally = Tally()
        tally.add(reports)
        with whole_on(files, f"{folder}/{name}") as file:
            if job.format == "parquet":
                if table is None:
                    table = table_of(rows, part.path, self.schema)
                _write_parquet(file, added.beside(table, vectors), job.column)
            else:
                if lines is None:
                    lines = list(lines_of(part.path, table))
                for line in with_vectors(lines, job.column, added, vectors):
                    file.write(line.encode() + b"\n")
        without = len(texts) - tally.texts
        return {"without": without, "cut": tally.cut, "unreadable": tally.unreadable}


def _write_parquet(file: Any, table: "pa.Table", vectors: str) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, file, **parquet_options(table.schema, vectors))
