"""Embedding on many machines with Ray Data: `pip install 'minilm-onnx[ray]'`.

`Embed` is a class for `Dataset.map_batches`; `embed_files` is `minilm-onnx embed --engine ray`. The
model is inside the package, so that a machine that has it installed downloads nothing.
https://docs.ray.io/en/latest/data/data.html

A job is cut into pieces whose results are files of their own, named by the piece: one that is
there is whole, since it took its name when it was, and has the bits it would have again. So a job
that was killed goes on with the pieces that are missing, whatever killed it.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from minilm_onnx.errors import InputError, MiniLMError
from minilm_onnx.integrations import needing, shared_encoder
from minilm_onnx.tables import (
    Precision,
    Vectors,
    check_field,
    embed_column,
    first_line,
    parquet_options,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileSystem

Format = Literal["parquet", "jsonl"]
# A piece: half a minute of one core, for texts of fifty tokens.
ROWS = 10_000
BYTES = 4 * 2**20
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
        return {**batch, self.column: self.encoder.encode(list(batch[self.field]))}


@dataclass(frozen=True)
class Job:
    """What is asked for; the same words mean the same files.

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
    field: str
    column: str
    precision: Precision
    format: Format
    fingerprint: str
    model: str | None
    threads: int


@dataclass(frozen=True)
class Piece:
    """A part of an input file, and the file its rows go to.

    Attributes:
        path: the input.
        first: its first row group, or byte.
        last: the one after its last.
        name: of the output, in the job's folder.
    """

    path: str
    first: int
    last: int
    name: str


def embed_files(
    source: str,
    target: str,
    *,
    field: str = "text",
    column: str = "embedding",
    precision: Precision = "float32",
    format: Format = "parquet",  # noqa: A002  # the field's word
    model: str | None = None,
    threads: int = 1,
    workers: int | None = None,
    progress: Callable[[int, int], object] = lambda done, pieces: None,
) -> int:
    """Embed files on all machines of a Ray cluster, and give how many rows were written in all.

    Args:
        source: a .parquet or .jsonl file, or a folder of these, as a path or a URI of pyarrow's.
        target: a folder; the same call goes on with what an earlier one left there.
        field: the column, or field, of texts; null has no vector.
        column: of the vectors.
        precision: see `minilm-onnx embed`.
        format: of the files to write.
        model: a folder that every machine has; None for the bundled model.
        threads: of a worker.
        workers: None for as many as the cluster has CPUs for.
        progress: called with the pieces that are done, and how many there are.

    Raises:
        InputError: the input cannot be read, or the folder is another job's.
        MiniLMError: a piece is missing in the end.
    """
    with needing("ray"):
        import ray
        from ray.data import ActorPoolStrategy
    job = Job(
        source,
        target,
        field,
        column,
        precision,
        format,
        shared_encoder(model, threads).fingerprint,
        model,
        threads,
    )
    files, folder = _filesystem(target)
    pieces, schema = _plan(job)
    _begin(files, folder, job, pieces)
    there = _names(files, folder)
    left = [piece for piece in pieces if piece.name not in there]
    progress(len(pieces) - len(left), len(pieces))
    if left:
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        dataset = ray.data.from_items(
            [asdict(piece) for piece in left], override_num_blocks=len(left)
        )
        done = dataset.map_batches(
            Worker,
            batch_size=1,
            num_cpus=threads,
            compute=ActorPoolStrategy(min_size=1, max_size=min(most, len(left))),
            fn_constructor_args=(job, schema),
        )
        for number, _ in enumerate(done.iter_rows(), len(pieces) - len(left) + 1):
            progress(number, len(pieces))
    missing = {piece.name for piece in pieces} - _names(files, folder)
    if missing:
        raise MiniLMError(
            f"{target}: expected {len(pieces)} files, got {len(missing)} too few, {min(missing)} "
            "among them; run the same again"
        )
    return sum(_rows(files, f"{folder}/{piece.name}", format) for piece in pieces)


class Worker:
    """Embeds pieces on one machine."""

    def __init__(self, job: Job, schema: "pa.Schema") -> None:
        """Load the model.

        Raises:
            MiniLMError: this machine's model makes other vectors.
        """
        self.job, self.schema = job, schema
        self.added = _added(job, schema)
        self.encoder = shared_encoder(job.model, job.threads)
        if self.encoder.fingerprint != job.fingerprint:
            raise MiniLMError(
                f"worker: expected the encoder {job.fingerprint}, got "
                f"{self.encoder.fingerprint}; install the same version on every machine"
            )

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Write the pieces of a batch."""
        names = []
        for path, first, last, name in zip(
            *(batch[key] for key in ("path", "first", "last", "name")), strict=True
        ):
            self.write(Piece(str(path), int(first), int(last), str(name)))
            names.append(str(name))
        return {"name": np.array(names)}

    def write(self, piece: Piece) -> None:
        """Write one, under its name once it is whole."""
        files, folder = _filesystem(self.job.target)
        table = _read(self.job, piece, self.schema)
        vectors, _ = embed_column(self.encoder, table.column(self.job.field).to_pylist())
        whole = self.added.beside(table, vectors)
        with _whole(files, f"{folder}/{piece.name}") as file:
            _write(file, whole, self.job.format)


def _plan(job: Job) -> "tuple[list[Piece], pa.Schema]":
    """Cut the input into pieces, in order; and give its columns."""
    files, root = _filesystem(job.source)
    paths = _inputs(files, root, job.source)
    kind = PurePosixPath(paths[0]).suffix
    pieces: list[Piece] = []
    for path in paths:
        cuts = _row_groups(files, path) if kind == ".parquet" else _byte_ranges(files, path)
        for first, last in cuts:
            name = f"part-{len(pieces):06d}.{job.format}"
            pieces.append(Piece(path, first, last, name))
    schema = _schema(files, paths[0], job.source)
    check_field(job.field, schema, job.source)
    _added(job, schema)  # its name must be new
    return pieces, schema


def _added(job: Job, schema: "pa.Schema") -> Vectors:
    """Give the column that is added."""
    dimension = shared_encoder(job.model, job.threads).dimension
    return Vectors(schema, job.column, dimension, job.precision, job.fingerprint)


def _inputs(files: "FileSystem", root: str, source: str) -> list[str]:
    from pyarrow.fs import FileSelector, FileType

    info = files.get_file_info(root)
    if info.type == FileType.File:
        found = [root]
    elif info.type == FileType.Directory:
        inside = files.get_file_info(FileSelector(root, recursive=True))
        paths = sorted(one.path for one in inside if one.type == FileType.File)
        found = [path for path in paths if PurePosixPath(path).suffix in (".parquet", ".jsonl")]
    else:
        raise InputError(f"{source}: expected a file or a folder, got none; check the path")
    kinds = {PurePosixPath(path).suffix for path in found}
    if len(kinds) != 1 or not kinds <= {".parquet", ".jsonl"}:
        raise InputError(
            f"{source}: expected .parquet or .jsonl files, got "
            f"{' and '.join(sorted(kinds)) or 'none'}; name one kind"
        )
    return found


def _row_groups(files: "FileSystem", path: str) -> Iterator[tuple[int, int]]:
    """Cut a Parquet file where ROWS are together."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path, filesystem=files)
    first = rows = 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= ROWS:
            yield first, group + 1
            first, rows = group + 1, 0
    if rows or not metadata.num_row_groups:
        yield first, metadata.num_row_groups


def _byte_ranges(files: "FileSystem", path: str) -> Iterator[tuple[int, int]]:
    """Cut lines where BYTES are together; a line is in the range that it begins in."""
    size = files.get_file_info(path).size
    for first in range(0, max(1, size), BYTES):
        yield first, min(first + BYTES, size)


def _schema(files: "FileSystem", path: str, source: str) -> "pa.Schema":
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet as pq

    try:
        if path.endswith(".parquet"):
            return pq.read_schema(path, filesystem=files)
        with files.open_input_file(path) as file:
            lines = file.read(BYTES)
        whole = lines[: lines.rfind(b"\n") + 1] or lines
        return pyarrow.json.read_json(pa.BufferReader(whole)).schema
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{source}: expected rows in {path}, got: {first_line(error)}; check the file"
        ) from error


def _read(job: Job, piece: Piece, schema: "pa.Schema") -> "pa.Table":
    """Read the rows of a piece."""
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet as pq

    files, _ = _filesystem(job.source)
    try:
        with files.open_input_file(piece.path) as file:
            if piece.path.endswith(".parquet"):
                groups = list(range(piece.first, piece.last))
                return pq.ParquetFile(file).read_row_groups(groups).cast(schema)
            lines = _lines(file, piece)
            if not lines.strip():
                return schema.empty_table()
            return pyarrow.json.read_json(
                pa.BufferReader(lines),
                read_options=pyarrow.json.ReadOptions(block_size=max(len(lines), 1)),
                parse_options=pyarrow.json.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="error"
                ),
            )
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{piece.path} from {piece.first}: expected rows like the first ones, got: "
            f"{first_line(error)}; check the file"
        ) from error


def _lines(file: Any, piece: Piece) -> bytes:
    """Give the lines that begin within a range of bytes."""
    start = piece.first
    if start:
        file.seek(start - 1)
        start += len(_rest_of_line(file)) - 1
    if start >= piece.last:
        return b""
    file.seek(start)
    found: bytes = file.read(piece.last - start)
    if not found.endswith(b"\n"):
        found += _rest_of_line(file)
    return found


def _rest_of_line(file: Any) -> bytes:
    """Read up to the end of a line; pyarrow's files cannot."""
    found = b""
    while part := file.read(2**14):
        line, end, _ = part.partition(b"\n")
        found += line + end
        if end:
            break
    return found


def _write(file: Any, table: "pa.Table", kind: Format) -> None:
    if kind == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, file, **parquet_options(table.schema))
        return
    for row in table.to_pylist():
        file.write(json.dumps(row, default=str).encode() + b"\n")


def _rows(files: "FileSystem", path: str, kind: Format) -> int:
    if kind == "parquet":
        import pyarrow.parquet as pq

        count: int = pq.read_metadata(path, filesystem=files).num_rows
        return count
    with files.open_input_stream(path) as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(2**20), b""))


def _begin(files: "FileSystem", folder: str, job: Job, pieces: list[Piece]) -> None:
    """Write down whose folder this is, or check that it is this job's.

    Raises:
        InputError: it is another's.
    """
    from pyarrow.fs import FileType

    # Neither the number of threads nor where the folder is changes what is in it.
    said = {key: value for key, value in asdict(job).items() if key not in ("threads", "target")}
    said["pieces"] = [asdict(piece) for piece in pieces]
    journal = f"{folder}/{JOURNAL}"
    if files.get_file_info(journal).type == FileType.File:
        with files.open_input_stream(journal) as file:
            found = json.loads(file.read())
        for key, value in said.items():
            if found.get(key) != value:
                what = "the same input" if key == "pieces" else f"{key} {value}"
                raise InputError(
                    f"{job.target}: expected a job of {what}, got another's; choose another folder"
                )
        return
    if _names(files, folder):
        raise InputError(f"{job.target}: expected an empty folder, got files; choose another")
    files.create_dir(folder, recursive=True)
    with _whole(files, journal) as file:
        file.write(json.dumps(said, indent=1).encode())


def _names(files: "FileSystem", folder: str) -> set[str]:
    from pyarrow.fs import FileSelector

    inside = files.get_file_info(FileSelector(folder, allow_not_found=True))
    return {one.base_name for one in inside if not one.base_name.startswith(".")}


@contextmanager
def _whole(files: "FileSystem", path: str) -> Iterator[Any]:
    """Open a file that takes its name when the block ends well."""
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
    with files.open_output_stream(temporary) as file:
        yield file
    files.move(temporary, path)


def _filesystem(name: str) -> "tuple[FileSystem, str]":
    """Give the file system of a path or URI, and the path in it."""
    from pyarrow.fs import FileSystem, LocalFileSystem

    if "://" in name:
        found: tuple[FileSystem, str] = FileSystem.from_uri(name)
        return found
    return LocalFileSystem(), Path(name).resolve().as_posix()
