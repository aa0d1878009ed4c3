"""embed_files: files of rows to files of rows and vectors, on all machines of a cluster.

A job is cut into parts whose results are files of their own, named by the part: one that is
there is whole, since it took its name when it was, and has the bits it would have again. So a job
that was killed goes on with the parts that are missing, whatever killed it.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal

import ray
from ray.data import ActorPoolStrategy

from minilm_onnx.arrays import Matrix
from minilm_onnx.errors import InputError, MiniLMError, shorten
from minilm_onnx.integrations import absolute, shared_encoder
from minilm_onnx.tables.arrow import first_line
from minilm_onnx.tables.column import Precision, Vectors, embed_column, parquet_options
from minilm_onnx.tables.parts import (
    LINES,
    Part,
    absolute_name,
    cut,
    filesystem,
    find_inputs,
    kind_of,
    read_lines,
    read_rows,
    table_of,
    whole_on,
)
from minilm_onnx.tables.schema import check_field, only_text_column
from minilm_onnx.text.reports import Tally

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileInfo, FileSystem

Format = Literal["parquet", "jsonl"]
# Of the folder that is written.
JOURNAL = "_embedding.json"


class Embed:
    """Adds vectors to batches: `dataset.map_batches(Embed, batch_format="pyarrow")`."""

    def __init__(
        self,
        field: str = "text",
        column: str = "embedding",
        *,
        model: str | None = None,
        threads: int = 1,
    ) -> None:
        """Load the model, once an actor.

        Args:
            field: the column of texts.
            column: the one to add.
            model: see `SentenceEncoder`.
            threads: as many as the actor's `num_cpus`.
        """
        self.field, self.column = field, column
        self.encoder = shared_encoder(model, threads)

    def __call__(self, batch: Any) -> Any:
        """Give the batch with vectors.

        Args:
            batch: a pyarrow Table, to which a FixedSizeList of float32 is added, null where the
                text is; or a dict of arrays, Ray's other form, to which (N, 384) float32 is.

        Raises:
            InputError: there is no such column of texts, the other one is there already, or a
                text of a dict is None.
        """
        if not isinstance(batch, dict):
            check_field(self.field, batch.schema, "the dataset")
            dimension, fingerprint = self.encoder.dimension, self.encoder.fingerprint
            added = Vectors(batch.schema, self.column, dimension, "float32", fingerprint)
            vectors, _ = embed_column(self.encoder, batch.column(self.field).to_pylist())
            return added.beside(batch, vectors)
        if self.field not in batch or self.column in batch:
            raise InputError(
                f"{self.field}, {self.column}: expected the first among the columns, the second "
                f"not, got {', '.join(batch)}; name others"
            )
        vectors, _ = self.encoder.embed_texts(list(batch[self.field]))
        return {**batch, self.column: vectors}


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
        fingerprint: of the encoder.
        model: a folder that every machine has; None for the bundled model.
        threads: of a worker.
    """

    source: str
    target: str
    field: str | None
    column: str
    precision: Precision
    format: Format
    fingerprint: str
    model: str | None
    threads: int

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


@dataclass(frozen=True)
class Summary:
    """What came of a job.

    Attributes:
        rows: that are in the folder now.
        embedded: of them by this call; the rest was there.
        without: of these, rows whose text is null.
        cut: texts of which the model did not read all.
        unreadable: texts that are mostly unknown to it.
    """

    rows: int
    embedded: int
    without: int
    cut: int
    unreadable: int


def embed_files(
    source: str,
    target: str,
    *,
    field: str | None = None,
    column: str = "embedding",
    precision: Precision = "float32",
    format: Format = "parquet",  # noqa: A002  # the field's word
    model: str | None = None,
    threads: int = 1,
    workers: int | None = None,
    progress: Callable[[int, int], object] = lambda done, parts: None,
) -> Summary:
    """Embed files on all machines of a Ray cluster.

    The cluster is the one that this process is connected to, or that RAY_ADDRESS names; without
    either, one is started on this machine for the time of the process.

    Args:
        source: a .parquet or .jsonl file, or a folder of these, as a path or a URI of pyarrow's,
            which all machines can read.
        target: a folder that all machines share; the same call goes on with what an earlier one
            left there.
        field: the column, or field, of texts; null has no vector; None for the only one of texts.
        column: of the vectors.
        precision: see `minilm-onnx embed`.
        format: of the files to write.
        model: a folder that every machine has; None for the bundled model.
        threads: of a worker.
        workers: None for as many as the cluster has CPUs for.
        progress: called with the parts that are done, and how many there are.

    Raises:
        InputError: the input cannot be read, or the folder is another job's.
        MiniLMError: a worker could not go on, or a part is missing in the end.
    """
    fingerprint = shared_encoder(model, threads).fingerprint
    # The same for every worker, wherever it runs, and however they are named here.
    source, target = absolute_name(source), absolute_name(target)
    model = absolute(model)
    job = Job(source, target, field, column, precision, format, fingerprint, model, threads)
    files, folder = filesystem(target)
    plan = _begin(files, folder, job)
    there = _names(files, folder)
    left = [number for number in range(len(plan.parts)) if job.name(number) not in there]
    count = len(plan.parts)
    progress(count - len(left), count)
    rows = sum(plan.parts[number].rows for number in left)
    without = cut = unreadable = 0
    if left:
        _connect()
        most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        done = _map(
            Worker,
            [{"number": number, **asdict(plan.parts[number])} for number in left],
            num_cpus=threads,
            compute=ActorPoolStrategy(min_size=1, max_size=min(most, len(left))),
            fn_constructor_args=(job, plan.field, plan.schema),
        )
        for number, row in enumerate(done, 1):
            if number == 1 and row["name"] not in _names(files, folder):
                raise MiniLMError(
                    f"{target}: expected a folder that all machines share, got one where what a "
                    "worker wrote is not seen; name a shared one"
                )
            without += int(row["without"])
            cut += int(row["cut"])
            unreadable += int(row["unreadable"])
            progress(count - len(left) + number, count)
    missing = {job.name(number) for number in range(count)} - _names(files, folder)
    if missing:
        raise MiniLMError(
            f"{target}: expected {count} files, got {len(missing)} too few, {min(missing)} "
            "among them; run the same again"
        )
    _sweep(files, folder)
    return Summary(sum(part.rows for part in plan.parts), rows, without, cut, unreadable)


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
        said = _answer(lambda: seen.update(self.write(_part(batch), name)))
        return {"name": [name], **said, **{key: [value] for key, value in seen.items()}}

    def write(self, part: Part, name: str) -> dict[str, int]:
        """Write it under its name, once it is whole; give what the model did not see.

        Raises:
            InputError: its rows cannot be read.
            MiniLMError: this machine's model makes other vectors.
        """
        job = self.job
        encoder = shared_encoder(job.model, job.threads)
        if encoder.fingerprint != job.fingerprint:
            raise MiniLMError(
                f"worker: expected the encoder {job.fingerprint}, got {encoder.fingerprint}; "
                "install the same version on every machine"
            )
        dimension, fingerprint = encoder.dimension, job.fingerprint
        added = Vectors(self.schema, job.column, dimension, job.precision, fingerprint)
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
                _write_parquet(file, added.beside(table, vectors))
            else:
                if lines is None:
                    lines = list(_json_lines(part.path, table))
                for line in _with_vectors(lines, job.column, added, vectors):
                    file.write(line.encode() + b"\n")
        without = len(texts) - tally.texts
        return {"without": without, "cut": tally.cut, "unreadable": tally.unreadable}


def scan(batch: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Look at a part of JSON lines: its columns, and how many rows it has."""
    part, files = _part(batch), filesystem(source)[0]
    found: dict[str, Any] = {"number": batch["number"], "schema": [""], "rows": [0]}

    def look() -> None:
        _, rows = read_lines(files, part)
        found["schema"] = [_as_text(table_of(rows, part.path).schema)]
        found["rows"] = [len(rows)]

    return {**_answer(look), **found}


def _answer(work: Callable[[], object]) -> dict[str, Any]:
    """Do it; give what went wrong as a row's columns."""
    try:
        work()
    except InputError as error:
        return {"error": [str(error)], "of": ["input"]}
    except (MiniLMError, OSError) as error:
        return {"error": [str(error)], "of": ["worker"]}
    return {"error": [""], "of": [""]}


def _connect() -> None:
    """Connect to the cluster that is meant, and no other that runs on this machine.

    Raises:
        MiniLMError: it does not answer.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS") or "local"
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise MiniLMError(
            f"RAY_ADDRESS: expected a cluster at {address}, got: {first_line(error)}; start it, or "
            "leave the variable out for this machine alone"
        ) from error


def _map(work: Any, rows: Sequence[Mapping[str, Any]], **options: Any) -> Iterator[dict[str, Any]]:
    """Have Ray do work for each row, and give the answers as they come.

    Raises:
        InputError: a worker says that of the input.
        MiniLMError: a worker could not go on, or Ray could not.
    """
    _connect()
    context = ray.data.DataContext.get_current()
    bars, context.enable_progress_bars = context.enable_progress_bars, False
    try:
        dataset = ray.data.from_items(list(rows), override_num_blocks=len(rows))
        for row in dataset.map_batches(work, batch_size=1, **options).iter_rows():
            if row["of"]:
                raise (InputError if row["of"] == "input" else MiniLMError)(row["error"])
            yield row
    except ray.exceptions.RayError as error:
        raise MiniLMError(
            f"ray: expected its workers to go on, got {type(error).__name__}: "
            f"{shorten(str(error))}; run the same again"
        ) from error
    finally:
        context.enable_progress_bars = bars


def _part(batch: Mapping[str, Any]) -> Part:
    """Give the part of a batch of one row."""
    (path,), (first,), (last,), (rows,) = (batch[name] for name in Part.__dataclass_fields__)
    return Part(str(path), int(first), int(last), int(rows))


def _make_plan(job: Job, inputs: "Sequence[FileInfo]") -> Plan:
    """Cut the input into parts, and look at the columns of all of it.

    Raises:
        InputError: it cannot be read, or has not what the job needs.
    """
    import pyarrow as pa

    parts, schema = cut(job.source, inputs)
    if schema is None:
        seen: dict[int, tuple[int, pa.Schema]] = {}
        rows = [{"number": number, **asdict(part)} for number, part in enumerate(parts)]
        if not rows:
            raise InputError(f"{job.source}: expected rows, got empty files alone; check them")
        for row in _map(scan, rows, fn_kwargs={"source": job.source}):
            seen[row["number"]] = (row["rows"], _as_schema(row["schema"]))
        parts = [Part(p.path, p.first, p.last, seen[n][0]) for n, p in enumerate(parts)]
        try:
            schemas = [seen[number][1] for number in sorted(seen)]
            schema = pa.unify_schemas(schemas, promote_options="permissive")
        except pa.ArrowException as error:
            raise InputError(
                f"{job.source}: expected values of one kind under each name, got: "
                f"{first_line(error)}; write them alike"
            ) from error
    field = only_text_column(schema, job.source) if job.field is None else job.field
    check_field(field, schema, job.source)
    # Its name must be new; how many components does not matter here.
    Vectors(schema, job.column, 1, job.precision, job.fingerprint)
    if job.format == "jsonl":
        for one in schema:
            if _holds_bytes(one.type):
                raise InputError(
                    f"{job.source}: expected columns that JSON can hold, got {one.name}, "
                    f"{one.type}; write .parquet"
                )
    return Plan(field, parts, schema)


def _begin(files: "FileSystem", folder: str, job: Job) -> Plan:
    """Write down whose folder this is and what is to be done, or read what was written down.

    Raises:
        InputError: it is another's, or the input cannot be read.
    """
    from pyarrow.fs import FileType

    inputs = find_inputs(job.source, job.target)
    # Neither the number of threads nor where the folder is changes what is in it.
    said = {key: value for key, value in asdict(job).items() if key not in ("threads", "target")}
    said["inputs"] = [[one.path, one.size, one.mtime_ns] for one in inputs]
    journal = f"{folder}/{JOURNAL}"
    if files.get_file_info(journal).type == FileType.File:
        with files.open_input_stream(journal) as file:
            found = json.loads(file.read())
        for key, value in said.items():
            there = found.get(key)
            if there == value or (key == "field" and value is None):
                continue
            expected, got = f"{key} {value}", there
            if key == "inputs":
                written = {tuple(one) for one in there}
                changed = [one[0] for one in value if tuple(one) not in written]
                changed += sorted({one[0] for one in there} - {one[0] for one in value})
                expected, got = "the same input", f"{changed[0]} that was written since, or moved"
            raise InputError(
                f"{job.target}: expected a job of {expected}, got another's, of {got}; choose "
                "another folder"
            )
        parts = [Part(*part) for part in found["parts"]]
        return Plan(found["field"], parts, _as_schema(found["schema"]))
    if _names(files, folder):
        raise InputError(f"{job.target}: expected an empty folder, got files; choose another")
    plan = _make_plan(job, inputs)
    said |= {
        "field": plan.field,
        "parts": [astuple(part) for part in plan.parts],
        "schema": _as_text(plan.schema),
    }
    files.create_dir(folder, recursive=True)
    with whole_on(files, journal) as file:
        file.write(json.dumps(said, indent=1).encode())
    return plan


def _as_text(schema: "pa.Schema") -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _as_schema(text: str) -> "pa.Schema":
    import pyarrow as pa

    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(text)))


def _names(files: "FileSystem", folder: str) -> set[str]:
    return {one.base_name for one in _inside(files, folder) if not one.base_name.startswith(".")}


def _sweep(files: "FileSystem", folder: str) -> None:
    """Delete what workers left that were killed while they wrote."""
    for one in _inside(files, folder):
        if one.base_name.startswith(".part-"):
            files.delete_file(one.path)


def _inside(files: "FileSystem", folder: str) -> "list[FileInfo]":
    from pyarrow.fs import FileSelector

    found: list[FileInfo] = files.get_file_info(FileSelector(folder, allow_not_found=True))
    return found


def _write_parquet(file: Any, table: "pa.Table") -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, file, **parquet_options(table.schema))


def _json_lines(path: str, table: "pa.Table") -> Iterator[str]:
    """Give the rows as JSON, which has no NaN and no infinities: these become null.

    Raises:
        InputError: there is one inside of a list or a struct.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, one in enumerate(table.schema):
        if pa.types.is_floating(one.type):
            column = table.column(place)
            finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, one.type))
            table = table.set_column(place, one, finite)
    for row in table.to_pylist():
        try:
            yield json.dumps(row, default=str, allow_nan=False)
        except ValueError as error:
            raise InputError(
                f"{path}: expected what JSON can hold, got: {error}; write .parquet"
            ) from error


def _with_vectors(
    lines: Sequence[str], column: str, added: Vectors, vectors: Matrix
) -> Iterator[str]:
    """Put vectors into objects whose text stays as it is otherwise."""
    coded, missing = added.codes(vectors)
    # The shortest decimals that read back as the same float32.
    for line, row, gone in zip(lines, coded.astype(str).tolist(), missing, strict=True):
        others = line[:-1].rstrip()
        comma = "" if others == "{" else ", "
        vector = "null" if gone else f"[{', '.join(row)}]"
        yield f"{others}{comma}{json.dumps(column)}: {vector}}}"


def _holds_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_nested(kind):
        return any(_holds_bytes(kind.field(place).type) for place in range(kind.num_fields))
    return "binary" in str(kind)
