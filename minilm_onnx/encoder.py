"""The product: texts in, unit vectors out.

`SentenceEncoder.encode` is the data flow. `arguments` refuses what cannot be done and puts a prompt
before each text. `text` makes ids of the texts. `engine` runs the graph on texts of equal length
together, pools, and gives unit rows in the order of the texts. `vectors` makes them smaller.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack, overload

from tokenizers import Tokenizer

from minilm_onnx.arguments import (
    AllOptions,
    Options,
    Output,
    Texts,
    as_iterator,
    as_texts,
    check_arguments,
    choose_prompt,
    put_before,
)
from minilm_onnx.arrays import CodeArray, FloatArray, IdArray, Matrix, Vector
from minilm_onnx.checks import check_positive
from minilm_onnx.closing import Closing
from minilm_onnx.construction import TheirOptions, load_asked, settings_asked
from minilm_onnx.engine.asynchronous import OwnThread
from minilm_onnx.engine.embedder import Done, Embedder
from minilm_onnx.engine.native import RUNTIME, native_for
from minilm_onnx.engine.policy import Policy, choose_policy
from minilm_onnx.engine.silent import onnxruntime
from minilm_onnx.errors import InputError
from minilm_onnx.folder.artifact import Artifact
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.fingerprint import check_same, fingerprint_of, name_and_precision
from minilm_onnx.folder.manifest import Manifest
from minilm_onnx.progress import progress_bar
from minilm_onnx.settings import (
    MAY_BE_SET,
    Setting,
    components_kept,
    measure_named,
    prompts_named,
    tokens_read,
)
from minilm_onnx.stream import stream
from minilm_onnx.text.overflow import Overflow, check_overflow
from minilm_onnx.text.padding import pad
from minilm_onnx.text.reports import Tally, TextReport
from minilm_onnx.text.tokens import TokenizedTexts, check_texts
from minilm_onnx.text.unread import unread
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.vectors.quantization import Precision, quantize_embeddings, truncate_embeddings
from minilm_onnx.vectors.similarity import similarity, similarity_pairwise

# Names that sentence-transformers looks for, in its order.
DOCUMENT_PROMPTS = ("document", "passage", "corpus")


# Over 300 lines and yet one thing: the public methods, most of them docstrings and overloads.
class SentenceEncoder(Closing):
    """Sentence embeddings of all-MiniLM-L6-v2, without torch and without a network.

    The vector of a text does not depend on other texts in the call: nothing is padded, and no
    quantisation scale is shared between texts. An encoder may be shared between threads, used after
    a fork, and pickled.

    Attributes:
        folder: the model folder in use.
        manifest: the folder's description of itself; None for a graph that optimum wrote.
        dimension: the number of components of a vector.
        truncate_dim: how many components of every vector are kept, or None for all; may be set.
        max_seq_length: the maximum number of tokens read from a text, special tokens included;
            may be set.
        policy: how the CPU is used.
        prompts: the texts that can be put before inputs, by name; this model needs none.
        default_prompt_name: the name of the prompt that is used where a call names none.
        similarity_fn_name: how `similarity` compares: cosine, dot, euclidean or manhattan.
        device: "cpu".
    """

    device = "cpu"
    max_seq_length = Setting(tokens_read)
    truncate_dim = Setting(components_kept)
    similarity_fn_name = Setting(measure_named)
    prompts = Setting(prompts_named)

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threads: int | None = None,
        spinning: bool | None = None,
        pinning: bool | None = None,
        exact_products: bool | None = None,
        bf16: bool = False,
        token_budget: int | None = None,
        cache_size: int = 0,
        **theirs: Unpack[TheirOptions],
    ) -> None:
        """Load a model folder. No argument is required: None chooses the best value for this CPU.

        Args:
            model: a folder written by `minilm-onnx export` or by optimum, or the name of a model;
                see `minilm_onnx.folder.finding.find_folder`. None for the bundled int8 model.
                To replace a folder in use, rename the new one into its place: weights are mapped,
                not copied, so writing into their file changes a running encoder.
            threads: how many threads work at the same time; None for all CPUs that the affinity
                of this process and the quota of its cgroup allow.
            spinning: False to let threads that share a batch sleep instead of spin while they
                wait for each other.
            pinning: whether each thread stays on its own CPU while it works; None to do so
                if there are as many threads as CPUs.
            exact_products: whether onnxruntime computes int8 products with kernels that cannot
                saturate, which are slower; None to use them only if the fast kernels of this CPU
                saturate. Products of the native operators are exact on every CPU.
            bf16: True to let onnxruntime multiply in bf16, which is faster and less exact. It
                needs an fp32 folder, Linux or macOS, and an Arm CPU with bf16 (docs/speed.md),
                and is refused where it would have no effect.
            token_budget: maximum number of tokens in a batch. A smaller budget needs less memory:
                about 10 KiB per token and thread, or 50 KiB without the native library. A single
                text may be longer.
            cache_size: how many texts to keep with their vectors, in case they come again; each
                takes 1.6 KiB and its text. 0 for none.
            theirs: arguments of `SentenceTransformer`. `prompts`, `default_prompt_name`,
                `similarity_fn_name` and `truncate_dim` have the same meaning here; docs/encode.md
                says which of the others have no effect, and which are refused.

        Raises:
            ArtifactError: the folder is missing, altered or unfamiliar.
            SessionError: onnxruntime cannot load the graph.
            InputError: an argument cannot be honoured, such as a number that is not positive,
                more threads to pin than there are CPUs, or bf16 where it would have no effect.
        """
        artifact: Artifact = load_asked(model, theirs)
        if type(cache_size) is not int or cache_size != 0:
            cache_size = check_positive("cache_size", cache_size)
        cpu: dict[str, Any] = {
            "threads": threads,
            "spinning": spinning,
            "pinning": pinning,
            "exact_products": exact_products,
            "bf16": bf16,
            "token_budget": token_budget,
        }
        self.folder: Path = artifact.folder
        self.manifest: Manifest | None = artifact.manifest
        library = native_for(artifact.graph)
        precision = name_and_precision(self.manifest)[1]
        policy = choose_policy(**cpu, native=library is not None, precision=precision)
        self._embedder = Embedder(artifact, policy, library, cache_size)
        self._thread = OwnThread()
        self.prompts = {"query": "", "document": "", **artifact.prompts}
        self.default_prompt_name: str | None = artifact.default_prompt_name or None
        self.max_seq_length = artifact.max_seq_length
        self.similarity_fn_name = artifact.similarity_fn_name
        self.truncate_dim = None
        for name, value in settings_asked(theirs, self.prompts).items():
            setattr(self, name, value)
        folder = None if self.folder == BUNDLED.resolve() else str(self.folder)
        self._made_with = {"model": folder, "cache_size": cache_size, **cpu}

    @overload
    def encode(  # type: ignore[overload-overlap]  # a str is a Sequence of str too
        self, inputs: str, **options: Unpack[Options]
    ) -> Vector: ...

    @overload
    def encode(self, inputs: Texts, **options: Unpack[Options]) -> Matrix: ...

    @overload
    def encode(
        self,
        inputs: str | Texts | None = ...,
        *,
        sentences: str | Texts | None = ...,
        **options: Unpack[AllOptions],
    ) -> Any: ...

    def encode(
        self,
        inputs: str | Texts | None = None,
        *,
        sentences: str | Texts | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        output_value: Output = "sentence_embedding",
        precision: Precision = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: None = None,
        chunk_size: None = None,
        overflow: Overflow = "truncate",
    ) -> FloatArray | CodeArray | list[FloatArray]:
        """Embed texts, as `SentenceTransformer.encode` does; docs/encode.md compares the two.

        Args:
            inputs: one text, or a sequence of N texts.
            sentences: the older name of `inputs`.
            prompt_name: the name of the prompt in `prompts` to put before every text.
            prompt: the prompt itself, instead of a name.
            batch_size: maximum number of texts in a batch; None for the fastest. Vectors are
                bit-identical for every batch size.
            show_progress_bar: whether to show a progress bar, on a terminal or in a notebook.
            output_value: "token_embeddings" for the last hidden state of every token.
            precision: see `quantize_embeddings`. For int8 and uint8 the ranges are taken from the
                vectors of this call, as in sentence-transformers. To compare vectors of several
                calls, keep float32 and quantise with your own ranges.
            convert_to_numpy: only True is accepted.
            convert_to_tensor: only False is accepted.
            device: only None or "cpu" is accepted.
            normalize_embeddings: whether to scale vectors that `truncate_dim` shortened to length
                1 again; all others have length 1 anyway.
            truncate_dim: how many components to keep; see `truncate_embeddings`.
            pool: only None is accepted.
            chunk_size: only None is accepted.
            overflow: how to treat texts of more than `max_seq_length` tokens. "truncate" reads
                the first tokens; "warn" does the same with a warning; "error" refuses such texts;
                "head_tail" reads the first and the last tokens, half of the limit each;
                "window" reads the whole text in windows that overlap by a quarter, and averages
                their vectors, weighted by tokens.

        Returns:
            Unit vectors in the order of the texts: (384,) float32 for a str, (N, 384) for a
            sequence. `truncate_dim` and `precision` change shape and type. With
            "token_embeddings", a (T, 384) float32 array for a str, or a list of such arrays for
            a sequence.

        Raises:
            InputError: a text is not a str or not valid Unicode, or an argument cannot be
                honoured.
            SessionError: onnxruntime failed.

        Warns:
            UserWarning: most tokens of some texts are unknown to the model.
        """
        check_arguments(
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            output_value=output_value,
            precision=precision,
            convert_to_numpy=convert_to_numpy,
            convert_to_tensor=convert_to_tensor,
            device=device,
            normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim,
            pool=pool,
            chunk_size=chunk_size,
            overflow=overflow,
            dimension=self._embedder.dimension,
        )
        if inputs is not None and sentences is not None:
            raise InputError("inputs: expected texts as inputs or as sentences, got both")
        given = sentences if inputs is None else inputs
        texts = [given] if isinstance(given, str) else as_texts(given)
        texts = put_before(self._prompt(prompt_name, prompt), texts)
        tally = Tally()
        with progress_bar(len(texts), show=bool(show_progress_bar)) as done:
            if output_value == "token_embeddings":
                tokens = self.tokenize_texts(texts, overflow=overflow)
                tally.add(tokens.reports)
                tally.warn(self.max_seq_length, overflow)
                states = self._embedder.hidden_states(tokens, batch_size, done)
                return states[0] if isinstance(given, str) else states
            vectors, reports = self._embedder.embed(
                texts, self.max_seq_length, overflow, batch_size, done
            )
        tally.add(reports)
        tally.warn(self.max_seq_length, overflow)
        vectors = self._shortened(vectors, truncate_dim, normalize_embeddings)
        finished: FloatArray | CodeArray = vectors
        if precision != "float32":
            finished = quantize_embeddings(vectors, precision)
        return finished[0] if isinstance(given, str) else finished

    @overload
    def encode_query(  # type: ignore[overload-overlap]  # as above
        self, inputs: str, **options: Unpack[Options]
    ) -> Vector: ...

    @overload
    def encode_query(self, inputs: Texts, **options: Unpack[Options]) -> Matrix: ...

    @overload
    def encode_query(self, inputs: str | Texts, **options: Unpack[AllOptions]) -> Any: ...

    def encode_query(self, inputs: str | Texts, **options: Unpack[AllOptions]) -> Any:
        """Embed queries: `encode` with the prompt named "query", which is empty for this model."""
        return self.encode(inputs, **self._with_prompt(options, "query"))

    @overload
    def encode_document(  # type: ignore[overload-overlap]  # as above
        self, inputs: str, **options: Unpack[Options]
    ) -> Vector: ...

    @overload
    def encode_document(self, inputs: Texts, **options: Unpack[Options]) -> Matrix: ...

    @overload
    def encode_document(self, inputs: str | Texts, **options: Unpack[AllOptions]) -> Any: ...

    def encode_document(self, inputs: str | Texts, **options: Unpack[AllOptions]) -> Any:
        """Embed documents: `encode` with the prompt named "document", "passage" or "corpus"."""
        return self.encode(inputs, **self._with_prompt(options, *DOCUMENT_PROMPTS))

    def encode_stream(
        self,
        inputs: Iterable[str] | Texts,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        overflow: Overflow = "truncate",
    ) -> Iterator[Vector]:
        """Embed texts one after another; memory use does not grow with their number.

        Args:
            inputs: the texts; up to 2,048 are read ahead.
            prompt_name: as in `encode`.
            prompt: as in `encode`.
            batch_size: as in `encode`.
            overflow: as in `encode`.

        Returns:
            An iterator of (384,) float32 unit vectors, in the order of the texts.

        Raises:
            InputError: as in `encode`; positions are counted from the first text of the stream.
            SessionError: onnxruntime failed.

        Warns:
            UserWarning: as in `encode`, once, when the stream ends or is closed.
        """
        texts = as_iterator(inputs)
        if batch_size is not None:
            check_positive("batch_size", batch_size)
        check_overflow(overflow)
        before = self._prompt(prompt_name, prompt)
        limit, keep = self.max_seq_length, self.truncate_dim
        return stream(self._embedder, texts, before, limit, keep, overflow, batch_size)

    @overload
    async def aencode(  # type: ignore[overload-overlap]  # as above
        self, inputs: str, **options: Unpack[Options]
    ) -> Vector: ...

    @overload
    async def aencode(self, inputs: Texts, **options: Unpack[Options]) -> Matrix: ...

    @overload
    async def aencode(self, inputs: str | Texts, **options: Unpack[AllOptions]) -> Any: ...

    async def aencode(self, inputs: str | Texts, **options: Unpack[AllOptions]) -> Any:
        """Embed texts without blocking the event loop.

        Calls run one at a time, on a separate thread that uses all CPUs; the others wait. A
        cancelled call stops after the batch that is running.

        Args:
            inputs: as in `encode`.
            options: as in `encode`, except `show_progress_bar`.

        Returns:
            The same as `encode`.

        Raises:
            InputError, SessionError: as in `encode`.
        """
        self._embedder.session.check_open()
        return await self._thread.run(lambda: self.encode(inputs, **options))

    async def aencode_query(self, inputs: str | Texts, **options: Unpack[AllOptions]) -> Any:
        """Embed queries like `encode_query`, without blocking the event loop: `aencode`."""
        return await self.aencode(inputs, **self._with_prompt(options, "query"))

    async def aencode_document(self, inputs: str | Texts, **options: Unpack[AllOptions]) -> Any:
        """Embed documents like `encode_document`, without blocking the event loop: `aencode`."""
        return await self.aencode(inputs, **self._with_prompt(options, *DOCUMENT_PROMPTS))

    def inspect(self, texts: Texts, *, overflow: Overflow = "truncate") -> list[TextReport]:
        """Report for each text its tokens, how many of them are read, and the share unknown.

        Raises:
            InputError: as in `encode`.
        """
        return self.tokenize_texts(texts, overflow=overflow).reports

    def unknown_characters(self, text: str) -> float:
        """Return the share of a text's characters, without spaces, that are in unknown tokens.

        `inspect` counts tokens instead, where a key of hundreds of characters is a single one.

        Raises:
            InputError: the text is not a str, or not valid Unicode.
        """
        check_texts([text])
        return self._embedder.unknown_characters(text)

    def unread(self, texts: Texts) -> list[str]:
        """Return the rest of each text that `encode` truncates: all after `max_seq_length` tokens.

        Returns:
            One str per text; "" for a text that is read completely.

        Raises:
            InputError: as in `encode`.
        """
        given = self.with_default_prompt(as_texts(texts))
        limit = self.max_seq_length
        reports = self.inspect(given)
        return [
            unread(self.tokenizer, text, limit) if report.cut else ""
            for text, report in zip(given, reports, strict=True)
        ]

    def tokenize(self, texts: Texts) -> dict[str, IdArray]:
        """Return the same as sentence-transformers' `tokenize`, as numpy arrays.

        Returns:
            input_ids, attention_mask and token_type_ids, each (N, T) int64, padded to the longest
            text.

        Raises:
            InputError: as in `encode`.
        """
        return pad(self.tokenizer, self.tokenize_texts(texts).ids)

    def embed_texts(
        self,
        texts: Texts,
        *,
        prompt_names: Sequence[str] = (),
        done: Done = lambda count: None,
    ) -> tuple[Matrix, list[TextReport]]:
        """Embed texts, equal ones only once, and report what the model read of each.

        Args:
            texts: the texts to embed.
            prompt_names: the first of these names that the model has chooses the prompt to put
                before each text; if it has none of them, the default prompt is used.
            done: called after each batch with the number of texts done since, in proportion to
                the tokens that were read. Calls come from several threads, one at a time.

        Returns:
            (N, 384) float32 unit rows, even if the model does not normalise; and one report per
            text.

        Raises:
            InputError: `texts` is not a sequence of str of valid Unicode.
            SessionError: onnxruntime failed.
        """
        limit = self.max_seq_length
        name = next((name for name in prompt_names if name in self.prompts), None)
        given = put_before(self._prompt(name, None), as_texts(texts))
        vectors, reports = self._embedder.embed(given, limit, "truncate", None, done)
        return self._unit(vectors), reports

    def with_default_prompt(self, texts: Sequence[str]) -> Sequence[str]:
        """Put the default prompt before each text; the bundled model has none."""
        return put_before(self._prompt(None, None), texts)

    def tokenize_texts(self, texts: Texts, *, overflow: Overflow = "truncate") -> TokenizedTexts:
        """Turn texts into the token ids that the model reads.

        Raises:
            InputError: `texts` is not a sequence of str of valid Unicode.
        """
        return self._embedder.tokenize(as_texts(texts), self.max_seq_length, overflow)

    def embed_tokens(
        self,
        tokens: TokenizedTexts,
        *,
        batch_size: int | None = None,
        done: Done = lambda count: None,
    ) -> Matrix:
        """Embed tokenised texts: batch equal lengths, then pool, normalise and restore the order.

        Args:
            tokens: from `tokenize_texts`.
            batch_size: as in `encode`.
            done: as in `embed_texts`.

        Returns:
            (N, 384) float32 unit rows.

        Raises:
            InputError: batch_size is not a positive integer.
            SessionError: onnxruntime failed.
        """
        return self._unit(self._embedder.embed_tokens(tokens, batch_size, done))

    def hidden_states(self, tokens: TokenizedTexts) -> list[FloatArray]:
        """Run the graph on tokenised texts, and return the last hidden state of every token.

        Args:
            tokens: from `tokenize_texts`.

        Returns:
            One (T, 384) float32 array per text, where T is its number of tokens.

        Raises:
            SessionError: onnxruntime failed.
        """
        return self._embedder.hidden_states(tokens, None, lambda count: None)

    def _shortened(self, vectors: Matrix, truncate_dim: int | None, normalize: bool) -> Matrix:
        """Keep some components, of the encoder's own number where the call says none."""
        keep = self.truncate_dim if truncate_dim is None else truncate_dim
        if keep is not None:
            return truncate_embeddings(vectors, keep, normalize=normalize)
        # Most models make unit vectors themselves.
        return (
            l2_normalize(vectors)
            if normalize and not self._embedder.artifact.normalize
            else vectors
        )

    def _unit(self, vectors: Matrix) -> Matrix:
        """Keep the encoder's own number of components, and scale them to length 1."""
        return self._shortened(vectors, None, True)

    def similarity(self, a: FloatArray, b: FloatArray) -> Matrix:
        """Compare every row of `a` with every row of `b`, by `similarity_fn_name`.

        See `minilm_onnx.similarity`.
        """
        return similarity(a, b, self.similarity_fn_name)

    def similarity_pairwise(self, a: FloatArray, b: FloatArray) -> Vector:
        """Compare each row of `a` with the same row of `b`, by `similarity_fn_name`.

        See `minilm_onnx.similarity_pairwise`.
        """
        return similarity_pairwise(a, b, self.similarity_fn_name)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the tokenizers library. All threads share it: do not change it."""
        return self._embedder.tokenizer

    @property
    def policy(self) -> Policy:
        """How the CPU is used."""
        return self._embedder.policy

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return self.truncate_dim or self._embedder.dimension

    @property
    def fingerprint(self) -> str:
        """Name what vectors depend on: weights, recipe, precision, maximum tokens, pooling.

        Do not compare vectors of encoders with different fingerprints. Store the fingerprint with
        the vectors, and call `check_fingerprint` before using them. `runtime` is not part of it.
        """
        return fingerprint_of(
            self._embedder.artifact,
            self.max_seq_length,
            self.prompts,
            self.default_prompt_name,
            self.truncate_dim,
        )

    @property
    def runtime(self) -> str:
        """Name the software that computes, on which the last bits of vectors depend.

        "minilm operators 1" if the native library computes: vectors are bit-identical on every
        CPU, and with every version of onnxruntime and numpy. Otherwise onnxruntime with its
        version, such as "onnxruntime 1.32.0": vectors are bit-identical on the same kind of CPU.
        "onnxruntime 1.32.0 in bf16" if it multiplies in bf16.
        """
        if self._embedder.library:
            return RUNTIME
        return f"onnxruntime {onnxruntime.__version__}" + (" in bf16" if self.policy.bf16 else "")

    def check_fingerprint(self, fingerprint: str) -> None:
        """Refuse vectors that were made with another model, precision or token limit.

        Raises:
            InputError: the fingerprint is not this encoder's.
        """
        check_same(fingerprint, self.fingerprint)

    def get_embedding_dimension(self) -> int:
        """Return the number of components of a vector."""
        return self.dimension

    def get_sentence_embedding_dimension(self) -> int:
        """Return the number of components of a vector. Older name."""
        return self.dimension

    def __repr__(self) -> str:
        """Say which model this is, and what it gives."""
        name, precision = name_and_precision(self.manifest)
        return (
            f"{type(self).__name__}({name}, {precision}, {self.dimension} dimensions, "
            f"max_seq_length={self.max_seq_length}, threads={self.policy.threads})"
        )

    def close(self) -> None:
        """End the threads; the encoder cannot be used afterwards.

        Garbage collection does the same.
        """
        self._embedder.session.close()
        self._thread.close()

    def __getstate__(self) -> dict[str, Any]:
        """Keep what the encoder was made with, not the model."""
        return {
            "made_with": self._made_with,
            "set": {key: getattr(self, key) for key in MAY_BE_SET},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the model again."""
        SentenceEncoder.__init__(self, **state["made_with"])
        for key, value in state["set"].items():
            setattr(self, key, value)

    def _prompt(self, prompt_name: str | None, prompt: str | None) -> str:
        """Choose what is put before texts."""
        return choose_prompt(self.prompts, prompt_name, prompt, self.default_prompt_name)

    def _with_prompt(self, options: AllOptions, *names: str) -> AllOptions:
        """Add the first prompt there is, unless the caller chose one."""
        if options.get("prompt") is None and options.get("prompt_name") is None:
            name = next((name for name in names if name in self.prompts), None)
            return {**options, "prompt_name": name}
        return options
