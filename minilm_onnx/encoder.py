"""The product: texts in, unit vectors out."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.artifact import BUNDLED, TOKENIZER, Artifact, Manifest, load_artifact
from minilm_onnx.batches import equal_length_batches
from minilm_onnx.errors import ArtifactError, InputError, MiniLMError
from minilm_onnx.policy import Policy, check_positive, choose_policy
from minilm_onnx.pooling import l2_normalize, mean_pool
from minilm_onnx.session import Session
from minilm_onnx.tokens import TokenizedTexts, describe, load_tokenizer, tokenize
from minilm_onnx.vectors import similarity


class SentenceEncoder:
    """Sentence embeddings of all-MiniLM-L6-v2, without torch and without a network.

    A text's vector does not depend on the texts beside it: nothing is padded, and every
    quantisation scale is fixed when the graph is made.

    Attributes:
        folder: the model folder in use.
        manifest: what that folder says it is; None for a graph that optimum wrote.
        dimension: components of a vector.
        max_seq_length: tokens read of a text, special tokens included; the rest is cut.
        policy: how the CPU is used.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int | None = None,
        spinning: bool | None = None,
        pinning: bool | None = None,
        exact_products: bool | None = None,
        token_budget: int | None = None,
    ) -> None:
        """Load a model folder. Nothing needs to be set: None is what is best for this CPU.

        Args:
            model: folder that `python -m export`, or optimum, wrote; None for the bundled int8
                model. Replace a folder in use by a rename: its weights are mapped, not
                copied, so what is written into them changes a running encoder.
            threads: threads that work at a time; None for all CPUs this process may use, by its
                affinity and its cgroup's quota.
            spinning: False to have threads that share a batch sleep, not spin, while they wait
                for each other.
            pinning: whether each thread keeps to a CPU of its own while it works; None for yes
                where there are as many threads as CPUs.
            exact_products: whether to leave int8 products to kernels that cannot saturate; None
                to use those, which are slower, where this CPU's fast ones do.
            token_budget: tokens a run may hold. Less is less memory, about 50 KiB a token and
                thread; a single longer text still gets its run.

        Raises:
            ArtifactError: the folder is missing, altered or unfamiliar.
            SessionError: onnxruntime cannot load the graph.
            InputError: threads or token_budget is not a positive integer, or there are too few
                CPUs to pin so many threads.
        """
        if model is not None and not isinstance(model, str | Path):
            raise InputError(f"model: expected a folder's path or None, got {describe(model)}")
        artifact: Artifact = load_artifact(BUNDLED if model is None else Path(model).absolute())
        self.folder: Path = artifact.folder
        self.manifest: Manifest | None = artifact.manifest
        self.max_seq_length: int = artifact.max_seq_length
        self.policy: Policy = choose_policy(
            threads=threads,
            spinning=spinning,
            pinning=pinning,
            exact_products=exact_products,
            token_budget=token_budget,
        )
        # The sums are computed while the graph loads: 15 ms less to the first vector. A plain
        # thread, because an executor refuses to start once the main thread has ended.
        altered: list[MiniLMError] = []

        def verify() -> None:
            try:
                artifact.verify_graph()
            except MiniLMError as error:
                altered.append(error)

        verifier = threading.Thread(target=verify, name="minilm-onnx")
        verifier.start()
        try:
            artifact.verify(TOKENIZER)
            self._tokenizer = load_tokenizer(artifact.folder / TOKENIZER)
            self._session = Session(artifact.graph, self.policy, artifact.verify_graph)
        finally:
            verifier.join()
            if altered:
                raise altered[0]  # says more than an error in loading: why it did not load
        self.dimension: int = self._session.dimension
        if artifact.manifest is not None and artifact.manifest.dimension != self.dimension:
            raise ArtifactError(
                f"{artifact.folder}: expected {artifact.manifest.dimension} components as its "
                f"manifest says, got a graph of {self.dimension}; export the folder again"
            )

    def encode(
        self, sentences: str | Sequence[str], *, batch_size: int | None = None
    ) -> FloatArray:
        """Embed texts.

        Args:
            sentences: one text, or a sequence of N texts.
            batch_size: texts a run may hold at most; None for as many as is fastest.
                The vectors are the same bits whatever it is.

        Returns:
            Unit vectors, (384,) float32 for a str and (N, 384) for a sequence, in its order.

        Raises:
            InputError: a text is not a str or not valid Unicode, or batch_size is not positive.
            SessionError: onnxruntime failed.
        """
        if isinstance(sentences, str):
            vector: FloatArray = self.encode([sentences], batch_size=batch_size)[0]
            return vector
        return self.embed_tokens(self.tokenize_texts(sentences), batch_size=batch_size)

    def tokenize_texts(self, texts: Sequence[str]) -> TokenizedTexts:
        """Turn texts into what the model will read of them.

        Raises:
            InputError: `texts` is not a sequence of str of valid Unicode.
        """
        if isinstance(texts, np.ndarray) and texts.ndim == 1:
            texts = texts.tolist()
        if isinstance(texts, str | bytes | bytearray) or not isinstance(texts, Sequence):
            raise InputError(
                f"texts: expected a sequence of str, got {describe(texts)}; "
                "give a list, for one text too"
            )
        return tokenize(self._tokenizer, texts, self.max_seq_length)

    def embed_tokens(self, tokens: TokenizedTexts, *, batch_size: int | None = None) -> FloatArray:
        """Run the graph on tokenised texts: equal lengths together, then pool, normalise, reorder.

        Returns:
            (N, 384) float32 unit rows.

        Raises:
            InputError: batch_size is not a positive integer.
            SessionError: onnxruntime failed.
        """
        if batch_size is not None:
            check_positive("batch_size", batch_size)
        vectors: FloatArray = np.empty((len(tokens.ids), self.dimension), dtype=np.float32)
        lengths = [len(ids) for ids in tokens.ids]
        batches = list(
            equal_length_batches(
                lengths, token_budget=self.policy.token_budget, max_texts=batch_size
            )
        )
        ids = [[tokens.ids[i] for i in batch] for batch in batches]
        rows = self._session.run_each(ids, lambda hidden: l2_normalize(mean_pool(hidden)))
        for batch, unit in zip(batches, rows, strict=True):
            vectors[batch] = unit
        return vectors

    def similarity(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Compute the cosine similarity of every row of `a` with every row of `b`.

        See minilm_onnx.similarity.
        """
        return similarity(a, b)
