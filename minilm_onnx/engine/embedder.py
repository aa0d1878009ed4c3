"""One loaded model: texts to unit rows."""

import os
import threading
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from minilm_onnx.arrays import FloatArray, IdArray, IndexArray, Matrix
from minilm_onnx.checks import check_positive
from minilm_onnx.engine.asynchronous import CANCELLED, CancelledCallError
from minilm_onnx.engine.batches import equal_length_batches
from minilm_onnx.engine.cache import VectorCache
from minilm_onnx.engine.dense import read_dense
from minilm_onnx.engine.native import Native
from minilm_onnx.engine.policy import Policy
from minilm_onnx.engine.session import Session, start_thread
from minilm_onnx.errors import ArtifactError, MiniLMError
from minilm_onnx.folder.artifact import Artifact
from minilm_onnx.folder.layout import DENSE, GRAPH, TOKENIZER
from minilm_onnx.folder.states import check_unchanged, states_of
from minilm_onnx.text.overflow import Overflow
from minilm_onnx.text.reports import TextReport, refuse_long
from minilm_onnx.text.tokens import (
    TokenizedTexts,
    check_texts,
    load_tokenizer,
    to_ids,
    tokenize,
    unknown_characters,
)
from minilm_onnx.vectors.pooling import add_up, l2_normalize, pool

Done = Callable[[int], object]

_ALIVE: "weakref.WeakSet[Embedder]" = weakref.WeakSet()


class Embedder:
    """A model folder's tokenizer and graph, and a cache of vectors.

    Attributes:
        artifact: the folder.
        tokenizer: of the folder; not to be changed.
        policy: how the CPU is used.
        library: that computes the graph's native operators, or None.
        dimension: components of a vector.
    """

    def __init__(
        self, artifact: Artifact, policy: Policy, library: Native | None, cache_size: int
    ) -> None:
        """Load, and verify meanwhile.

        Raises:
            ArtifactError: a file is missing or altered.
            SessionError: onnxruntime cannot load the graph.
        """
        self.artifact, self.policy, self.library = artifact, policy, library
        self._cache = VectorCache(cache_size) if cache_size else None
        # The sums are computed while the graph loads: 15 ms less to the first vector. A plain
        # thread, because an executor refuses to start once the main thread has ended.
        altered: list[MiniLMError] = []
        weights = artifact.check_graph()
        states = states_of(artifact.folder / name for name in weights) | artifact.states

        def verify() -> None:
            try:
                artifact.verify(GRAPH, *weights)
            except MiniLMError as error:
                altered.append(error)

        verifier = start_thread(verify)
        try:
            artifact.verify(TOKENIZER)
            self.tokenizer = load_tokenizer(artifact.folder / TOKENIZER)
            self.session = Session(artifact.graph, policy, library, artifact.verified_graph)
        finally:
            verifier.join()
            if altered:
                raise altered[0]  # says more than an error in loading: why it did not load
        self._pooled = self.session.interface.dimension * len(artifact.pooling.split("+"))
        self._dense = []
        if DENSE in artifact.sha256:
            artifact.verify(DENSE)
            self._dense = read_dense(artifact.folder / DENSE, self._pooled)
        self.dimension: int = len(self._dense[-1].bias) if self._dense else self._pooled
        if artifact.manifest is not None and artifact.manifest.dimension != self.dimension:
            raise ArtifactError(
                f"{artifact.folder}: expected {artifact.manifest.dimension} components as its "
                f"manifest says, got {self.dimension} of its graph; export the folder again"
            )
        check_unchanged(states)
        _ALIVE.add(self)

    def leave_behind(self) -> None:
        """Start anew in a forked process: the parent's threads and locks are of no use there."""
        self.session.leave_behind()
        if self._cache is not None:
            self._cache.forget()

    def tokenize(
        self, texts: Sequence[str], max_seq_length: int, overflow: Overflow
    ) -> TokenizedTexts:
        """Turn texts into what the model will read of them; see `tokens.tokenize`."""
        unknown = self.artifact.unknown_token
        return tokenize(self.tokenizer, texts, max_seq_length, overflow, unknown)

    def unknown_characters(self, text: str) -> float:
        """Give the share of a text's characters that are unknown; see `tokens`."""
        return unknown_characters(self.tokenizer, text, self.artifact.unknown_token)

    def embed(
        self,
        texts: Sequence[str],
        max_seq_length: int,
        overflow: Overflow,
        batch_size: int | None,
        done: Done = lambda count: None,
        first: int = 0,
    ) -> tuple[Matrix, list[TextReport]]:
        """Embed each different text once, and those in the cache not at all.

        Args:
            texts: what to embed.
            max_seq_length: see `minilm_onnx.text.tokens.tokenize`.
            overflow: likewise.
            batch_size: texts a run may hold; None for as many as the policy says.
            done: called after each batch with the number of texts done since, in proportion to
                the tokens that were read; by one thread at a time.
            first: position of the first text, for errors.

        Returns:
            (N, H) float32, as `embed_tokens` gives them, and what the model saw of each text.

        Raises:
            InputError: a text is too long where that is an error; its position is named.
            SessionError: onnxruntime failed.
        """
        check_texts(texts, first)
        places: dict[str, int] = {}  # where each text comes first
        for place, text in enumerate(texts):
            places.setdefault(text, place)
        how = (max_seq_length, overflow)
        known = self._cache.find(places, how) if self._cache is not None else {}
        missing = [text for text in places if text not in known]
        unknown = self.artifact.unknown_token
        tokens = to_ids(self.tokenizer, missing, max_seq_length, overflow, unknown)
        reports = {text: report for text, (_, report) in known.items()}
        reports |= zip(missing, tokens.reports, strict=True)
        seen = [reports[text] for text in texts]
        if overflow == "error":
            refuse_long(seen, max_seq_length, first)
        if not missing:
            done(len(texts))
        vectors: Matrix = np.empty((len(texts), self.dimension), dtype=np.float32)
        rows = np.array([places[text] for text in missing], dtype=np.intp)
        self._fill(vectors, rows, tokens, batch_size, done, len(texts))
        if self._cache is not None:
            entries = {text: (vectors[places[text]], reports[text]) for text in missing}
            self._cache.keep(entries, how)
        for text, (row, _) in known.items():
            vectors[places[text]] = row
        again = [place for place, text in enumerate(texts) if places[text] != place]
        vectors[again] = vectors[[places[texts[place]] for place in again]]
        return vectors, seen

    def embed_tokens(self, tokens: TokenizedTexts, batch_size: int | None, done: Done) -> Matrix:
        """Run the graph on tokenised texts: equal lengths together, then pool, normalise, reorder.

        Returns:
            (N, H) float32, unit rows where the model normalises.

        Raises:
            InputError: batch_size is not a positive integer.
            SessionError: onnxruntime failed.
        """
        count = len(tokens.spans)
        vectors: Matrix = np.empty((count, self.dimension), dtype=np.float32)
        self._fill(vectors, np.arange(count), tokens, batch_size, done, count)
        return vectors

    def _fill(
        self,
        vectors: Matrix,
        rows: IndexArray,
        tokens: TokenizedTexts,
        batch_size: int | None,
        done: Done,
        count: int,
    ) -> None:
        """Put the vector of each text into its row of the array that the caller gets."""
        if len(tokens.ids) == len(tokens.windows):

            def take(batch: IndexArray, hidden: FloatArray) -> None:
                # Batch by batch, since copies of all vectors would be dear.
                vectors[rows[batch]] = self._finish(pool(hidden, self.artifact.pooling))

            self._run(tokens, batch_size, take, done, count)
            return
        pooled: Matrix = np.empty((len(tokens.ids), self._pooled), dtype=np.float32)

        def keep(batch: IndexArray, hidden: FloatArray) -> None:
            pooled[batch] = pool(hidden, self.artifact.pooling)

        self._run(tokens, batch_size, keep, done, count)
        texts = [_average(pooled[span], tokens.ids[span]) for span in tokens.spans]
        vectors[rows] = self._finish(np.stack(texts))

    def _finish(self, vectors: FloatArray) -> FloatArray:
        for dense in self._dense:
            vectors = dense(vectors)
        return l2_normalize(vectors) if self.artifact.normalize else vectors

    def hidden_states(
        self, tokens: TokenizedTexts, batch_size: int | None, done: Done
    ) -> list[FloatArray]:
        """Give the last hidden state of every row of ids, (T, H) float32 each."""
        states: list[FloatArray] = [np.empty((0, 0), dtype=np.float32)] * len(tokens.ids)

        def take(batch: IndexArray, hidden: FloatArray) -> None:
            for place, rows in zip(batch, hidden, strict=True):
                states[place] = rows

        self._run(tokens, batch_size, take, done, len(tokens.spans))
        return states

    def _run(
        self,
        tokens: TokenizedTexts,
        batch_size: int | None,
        take: Callable[[IndexArray, FloatArray], object],
        done: Done,
        count: int,
    ) -> None:
        """Compute every row of ids, and hand over the places of a batch and its hidden state.

        Of `count` texts as many are said to be done as the share of tokens that was read: the long
        ones come first, so that by a count of texts the time left would look several times longer.
        """
        if batch_size is not None:
            batch_size = check_positive("batch_size", batch_size)
        cancelled = CANCELLED.get()
        whole = sum(len(ids) for ids in tokens.ids)
        read = told = 0
        telling = threading.Lock()  # batches end on several threads

        batches = list(
            equal_length_batches(
                [len(ids) for ids in tokens.ids],
                token_budget=self.policy.token_budget,
                max_texts=batch_size,
            )
        )
        ids = [[tokens.ids[i] for i in batch] for batch in batches]

        def ready(place: int, hidden: FloatArray) -> None:
            nonlocal read, told
            if cancelled is not None and cancelled.is_set():
                raise CancelledCallError("the call was cancelled")
            take(batches[place], hidden)
            with telling:
                read += ids[place][0].size * len(ids[place])
                now = count * read // whole
                done(now - told)
                told = now

        self.session.run_each(ids, ready)


def _average(rows: FloatArray, ids: Sequence[IdArray]) -> FloatArray:
    """Average the windows of a text by their tokens; a single one is left as it is."""
    mean: FloatArray = rows[0]
    if len(rows) > 1:
        weights = np.array([len(row) for row in ids], dtype=np.float32)
        shares = weights / weights.sum()
        mean = add_up((shares[:, None] * rows)[None])[0]
    return mean


def _after_fork() -> None:
    for embedder in list(_ALIVE):
        embedder.leave_behind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
