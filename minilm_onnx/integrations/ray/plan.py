"""What is asked for, and what it comes down to: the parts of the input, and its columns."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from minilm_onnx.errors import InputError
from minilm_onnx.integrations.ray.cluster import answer, map_parts, part_of
from minilm_onnx.reading.arrow import first_line
from minilm_onnx.reading.columns import FIELD, choose_column
from minilm_onnx.tables.column import Precision, Vectors
from minilm_onnx.tables.filesystems import filesystem
from minilm_onnx.tables.objects import holds_bytes, table_of
from minilm_onnx.tables.parts import Part, cut, read_lines

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileInfo

Format = Literal["parquet", "jsonl"]


@dataclass(frozen=True)
class Job:
    """What is asked for; the same words, of the same files, mean the same files.

    Attributes:
        source: a file or a folder of .parquet, or of .jsonl, as a path or URI.
        target: a folder.
        field: the column, or field, of texts.
        column: of vectors.
        precision: of them.
        format: of the files to write.
        version: of this package.
        fingerprint: of the encoder.
        runtime: of the encoder, on which bits depend.
        model: a folder that every machine has; None for the bundled model.
        threads: of a worker.
    """

    source: str
    target: str
    field: str | None
    column: str
    precision: Precision
    format: Format
    version: str
    fingerprint: str
    runtime: str
    model: str | None
    threads: int

    @property
    def made_by(self) -> dict[str, str]:
        """What the workers have to be; see `integrations.workers`."""
        return {name: getattr(self, name) for name in ("version", "fingerprint", "runtime")}

    def name(self, number: int) -> str:
        """Give the name of a part's file."""
        return f"part-{number:06d}.{self.format}"


@dataclass(frozen=True)
class Plan:
    """What a job comes down to; it is written down when the job begins.

    Attributes:
        field: the column, or field, of texts.
        parts: in order.
        schema: of the rows that come.
    """

    field: str
    parts: list[Part]
    schema: "pa.Schema"


def make_plan(job: Job, inputs: "Sequence[FileInfo]") -> Plan:
    """Cut the input into parts, and look at the columns of all of it.

    Raises:
        InputError: it cannot be read, or has not what the job needs.
    """
    import pyarrow as pa

    parts, schema = cut(job.source, inputs)
    from_lines = schema is None
    if schema is None:
        seen: dict[int, tuple[int, pa.Schema]] = {}
        if not parts:
            raise InputError(f"{job.source}: expected rows, got only empty files; check them")
        for row in map_parts(scan, dict(enumerate(parts)), fn_kwargs={"source": job.source}):
            seen[row["number"]] = (row["rows"], schema_of_text(row["schema"]))
        parts = [Part(p.path, p.first, p.last, seen[n][0]) for n, p in enumerate(parts)]
        try:
            schemas = [seen[number][1] for number in sorted(seen)]
            schema = pa.unify_schemas(schemas, promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(
                f"{job.source}: expected values of one type in each field, got: "
                f"{first_line(error)}; convert them to one type"
            ) from error
    # JSON lines are no table: of their fields none but "text" is chosen unasked.
    asked = FIELD if job.field is None and from_lines else job.field
    field = choose_column(schema, asked, job.source)
    # Its name must be new; how many components does not matter here.
    Vectors(schema, job.column, 1, job.precision, job.fingerprint, job.runtime)
    if job.format == "jsonl":
        for one in schema:
            if holds_bytes(one.type):
                raise InputError(
                    f"{job.source}: expected columns that JSON can hold, got {one.name}, "
                    f"{one.type}; write .parquet"
                )
    return Plan(field, parts, schema)


def scan(batch: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Look at a part of JSON lines: its columns, and how many rows it has."""
    part, files = part_of(batch), filesystem(source)[0]
    found: dict[str, Any] = {"number": batch["number"], "schema": [""], "rows": [0]}

    def look() -> None:
        _, rows = read_lines(files, part)
        found["schema"] = [schema_as_text(table_of(rows, part.path).schema)]
        found["rows"] = [len(rows)]

    return {**answer(look), **found}


def schema_as_text(schema: "pa.Schema") -> str:
    """Give a schema as a text for a row of Ray's or a journal; see `schema_of_text`."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def schema_of_text(text: str) -> "pa.Schema":
    """Give the schema that `schema_as_text` made a text of."""
    import pyarrow as pa

    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text)))
