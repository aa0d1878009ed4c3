"""embed_files: files of rows to files of rows and vectors, on all machines of a cluster.

A job is cut into parts whose results are files of their own, named by the part: one that is
there is whole, since it took its name when it was, and has the bits it would have again. So a job
that was killed goes on with the parts that are missing, whatever killed it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import ray
from ray.data import ActorPoolStrategy

from minilm_onnx.errors import MiniLMError
from minilm_onnx.integrations import absolute, shared_encoder
from minilm_onnx.integrations.ray.cluster import connect, map_parts
from minilm_onnx.integrations.ray.plan import Format, Job
from minilm_onnx.integrations.ray.target import begin, names, sweep
from minilm_onnx.integrations.ray.worker import Worker
from minilm_onnx.integrations.workers import made_by
from minilm_onnx.tables.column import Precision
from minilm_onnx.tables.filesystems import absolute_name, filesystem


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

    It uses the cluster that this process is connected to, or the one in RAY_ADDRESS. Without
    either, it starts one on this machine, which ends with the process.

    Args:
        source: a .parquet or .jsonl file, or a folder of such files, as a path or a pyarrow URI
            that all machines can read.
        target: a folder that all machines share. The same call resumes what an earlier one left
            there.
        field: the column or field with the texts; null gets no vector. None for "text" or, if a
            .parquet file has no such column, its only column of texts.
        column: the name of the column of vectors.
        precision: see `minilm-onnx embed`.
        format: the format of the files to write.
        model: a folder that exists on every machine; None for the bundled model.
        threads: the number of threads per worker.
        workers: the number of workers; None for as many as the cluster has CPUs for.
        progress: called with the number of finished parts and the number of all parts.

    Raises:
        InputError: the input cannot be read, or the target folder belongs to another job.
        MiniLMError: a worker failed, or a part is missing at the end.
    """
    encoder = shared_encoder(model, threads)
    # The same for every worker, wherever it runs, and however they are named here.
    source, target = absolute_name(source), absolute_name(target)
    model = absolute(model)
    made = made_by(encoder)
    job = Job(
        source, target, field, column, precision, format, **made, model=model, threads=threads
    )
    files, folder = filesystem(target)
    plan = begin(files, folder, job)
    there = names(files, folder)
    left = [number for number in range(len(plan.parts)) if job.name(number) not in there]
    count = len(plan.parts)
    progress(count - len(left), count)
    rows = sum(plan.parts[number].rows for number in left)
    without = cut = unreadable = 0
    if left:
        connect()
        most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        done = map_parts(
            Worker,
            {number: plan.parts[number] for number in left},
            num_cpus=threads,
            compute=ActorPoolStrategy(min_size=1, max_size=min(most, len(left))),
            fn_constructor_args=(job, plan.field, plan.schema),
        )
        for number, row in enumerate(done, 1):
            if number == 1 and row["name"] not in names(files, folder):
                raise MiniLMError(
                    f"{target}: expected a folder that all machines share, got one that does "
                    "not show what a worker wrote; name a shared one"
                )
            without += int(row["without"])
            cut += int(row["cut"])
            unreadable += int(row["unreadable"])
            progress(count - len(left) + number, count)
    missing = {job.name(number) for number in range(count)} - names(files, folder)
    if missing:
        raise MiniLMError(
            f"{target}: expected {count} files, got {len(missing)} missing, such as "
            f"{min(missing)}; run it again to resume"
        )
    sweep(files, folder)
    return Summary(sum(part.rows for part in plan.parts), rows, without, cut, unreadable)
