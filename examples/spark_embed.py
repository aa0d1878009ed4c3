"""Embed a column of Parquet on Spark.

    pip install . pyspark pandas pyarrow    # and a Java of version 17 or newer
    python examples/spark_embed.py IN.parquet COLUMN OUT.parquet

Every worker has the model inside the package, and downloads nothing. One that would compute other
bits than this process, since it has another version or no native library, fails its tasks.
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
    """Give a function of a column of texts, for workers that are as `made_by` expects."""

    @pandas_udf(ArrayType(FloatType()))
    def embed(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        """Give (384,) float32 for each text, null for null; one thread a task, as Spark counts."""
        encoder = shared_encoder(threads=1)
        check_worker(encoder, expected)
        for texts in batches:
            rows = [None if pd.isna(text) else text for text in texts]
            vectors, _ = embed_column(encoder, rows)
            yield pd.Series([None if np.isnan(row[0]) else row for row in vectors])

    return embed


def main(source: str, column: str, target: str) -> None:
    """Read, embed, write."""
    embed = embedding(made_by(shared_encoder(threads=1)))
    spark = SparkSession.builder.appName("minilm-onnx").getOrCreate()
    rows = spark.read.parquet(source)
    rows.withColumn("embedding", embed(rows[column])).write.parquet(target)
    print(f"{rows.count()} rows in {target}")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
