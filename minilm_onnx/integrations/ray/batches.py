"""Embed: vectors beside the batches of a Ray dataset."""

from collections.abc import Mapping
from typing import Any

from minilm_onnx.errors import InputError
from minilm_onnx.integrations import shared_encoder
from minilm_onnx.integrations.workers import check_worker
from minilm_onnx.reading.columns import check_field
from minilm_onnx.tables.column import Vectors, embed_column


class Embed:
    """Adds vectors to batches: `dataset.map_batches(Embed, batch_format="pyarrow", ...)`.

    Pass its arguments as `fn_constructor_args` and `fn_constructor_kwargs` of `map_batches`.
    """

    def __init__(
        self,
        field: str = "text",
        column: str = "embedding",
        *,
        expected: Mapping[str, str],
        model: str | None = None,
        threads: int = 1,
    ) -> None:
        """Load the model, once per actor, and check that it computes the same bits as the driver.

        Args:
            field: the column with the texts.
            column: the column to add.
            expected: the result of `workers.made_by` for the driver's encoder with this model.
            model: see `SentenceEncoder`.
            threads: the same number as the actor's `num_cpus`.

        Raises:
            MiniLMError: this machine has another version, model or runtime.
        """
        self.field, self.column = field, column
        self.encoder = shared_encoder(model, threads)
        check_worker(self.encoder, expected)

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
            encoder, dimension = self.encoder, self.encoder.dimension
            made_by = encoder.fingerprint, encoder.runtime
            added = Vectors(batch.schema, self.column, dimension, "float32", *made_by)
            vectors, _ = embed_column(self.encoder, batch.column(self.field).to_pylist())
            return added.beside(batch, vectors)
        if self.field not in batch or self.column in batch:
            raise InputError(
                f"columns: expected {self.field}, and no {self.column}, got "
                f"{', '.join(batch)}; name other columns"
            )
        vectors, _ = self.encoder.embed_texts(list(batch[self.field]))
        return {**batch, self.column: vectors}
