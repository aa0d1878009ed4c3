"""Embed a text column of a Parquet file with Spark.

    pip install . pyspark pandas pyarrow    # also needs Java 17 or newer
    python examples/spark_embed.py IN.parquet COLUMN OUT.parquet

The output is a folder of Parquet files with the input's columns and `embedding`, an array of 384
float32; a missing text has a null embedding. Install minilm-onnx on every worker. The model is in
the package, so workers download nothing. If a worker would compute other bits than this process,
because it has another version or no native library, its tasks fail.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import ArrayType, FloatType

from minilm_onnx.integrations import shared_encoder
from minilm_onnx.integrations.workers import check_worker, made_by
from minilm_onnx.tables import embed_column


def embedding(expected: Mapping[str, str]) -> Any:
    """Return a pandas_udf that embeds texts, on workers that match `expected` (see `made_by`)."""

    @pandas_udf(ArrayType(FloatType()))
    def embed(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        """Return (384,) float32 per text, or None; one thread, since Spark gives a task one CPU."""
        encoder = shared_encoder(threads=1)
        check_worker(encoder, expected)
        for texts in batches:
            rows = [None if pd.isna(text) else text for text in texts]
            vectors, _ = embed_column(encoder, rows)
            yield pd.Series([None if np.isnan(row[0]) else row for row in vectors])

    return embed


def main(source: str, column: str, target: str) -> None:
    """Read `source`, embed `column`, and write the result to the new folder `target`."""
    embed = embedding(made_by(shared_encoder(threads=1)))
    spark = SparkSession.builder.appName("minilm-onnx").getOrCreate()
    rows = spark.read.parquet(source)
    rows.withColumn("embedding", embed(rows[column])).write.parquet(target)
    print(f"{rows.count()} rows in {target}")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
