"""How Ray's workers add up: python -m benchmarks.cluster.

A cluster of one node a CPU is made on this machine; one Parquet file is embedded by one worker,
by two, and so on up to as many as there are CPUs, in turns. Needs `pip install '.[ray]'`. On a
cluster of your own: `minilm-onnx embed --engine ray` says the rows, and `time` how long.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from minilm_onnx.engine.cpus import available_cpus
from minilm_onnx.measure.sample import sample_texts


def measure(source: Path, workers: int) -> float:
    """Embed, and give the seconds from the first part that is done to the last.

    Starting Ray's processes takes seconds, whatever the job; a long one does not feel them.
    """
    from minilm_onnx.integrations.ray import embed_files

    seen: list[float] = []
    with tempfile.TemporaryDirectory() as target:
        embed_files(
            str(source),
            f"{target}/out",
            workers=workers,
            progress=lambda done, parts: seen.append(time.perf_counter()),
        )
    # What the first of each worker took is in the time before; what they did after is compared.
    return (seen[-1] - seen[workers]) / (len(seen) - 1 - workers)


def main(arguments: Sequence[str]) -> int:
    """Measure in turns, and print a line of JSON for each number of workers."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import ray
    from ray.cluster_utils import Cluster

    from minilm_onnx.tables import parts

    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--texts", type=int, default=8000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args(arguments)
    cpus = available_cpus()
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(cpus):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    parts.ROWS = 250
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= cpus]
    found: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.parquet"
        pq.write_table(pa.table({"text": sample_texts(options.texts)}), source)
        for _ in range(options.rounds):
            for count in counts:
                found[count].append(parts.ROWS / measure(source, count))
    ray.shutdown()
    cluster.shutdown()
    for count in counts:
        ratios = [many / one for many, one in zip(found[count], found[1], strict=True)]
        line = {
            "workers": count,
            "texts_per_second": round(median(found[count]), 1),
            "times_one": round(median(ratios), 2),
            "range": [round(min(ratios), 2), round(max(ratios), 2)],
        }
        print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
