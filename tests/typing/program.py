"""A user's program as mypy and pyright read it: the types that are promised, and the calls that
are refused. A refusal is marked for both, and a mark that is not needed is an error. It is run,
too, but for what is refused."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np
import numpy.typing as npt

from minilm_onnx import (
    InputError,
    MiniLMError,
    SentenceEncoder,
    community_detection,
    near_duplicates,
    paraphrase_mining,
    quantize_embeddings,
    semantic_search,
    similarity,
    truncate_embeddings,
)
from minilm_onnx.index import Result, TextIndex
from minilm_onnx.text import TextReport

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Floats = npt.NDArray[np.float32]
TEXTS = ["a cat", "a dog"]


def embed(encoder: SentenceEncoder) -> None:
    """One text gives a vector, several give a matrix."""
    assert_type(encoder.encode("a cat"), Vector)
    assert_type(encoder.encode(TEXTS), Matrix)
    assert_type(encoder.encode(("a cat", "a dog"), batch_size=1, truncate_dim=64), Matrix)
    assert_type(encoder.encode_query("a cat"), Vector)
    assert_type(encoder.encode_query(TEXTS), Matrix)
    assert_type(encoder.encode_document("a cat"), Vector)
    assert_type(encoder.encode_document(TEXTS, overflow="window"), Matrix)
    assert_type(encoder.encode_stream(iter(TEXTS)), Iterator[Vector])
    # What these give depends on their values.
    assert_type(encoder.encode("a cat", precision="ubinary"), Any)
    assert_type(encoder.encode(sentences=TEXTS), Any)
    assert_type(encoder.inspect(TEXTS), list[TextReport])
    assert_type(encoder.dimension, int)
    assert_type(encoder.fingerprint, str)


async def embed_later(encoder: SentenceEncoder) -> None:
    """The same for asyncio."""
    assert_type(await encoder.aencode("a cat"), Vector)
    assert_type(await encoder.aencode(TEXTS), Matrix)


def compare(encoder: SentenceEncoder) -> None:
    """What is done with vectors."""
    vectors = encoder.encode(TEXTS)
    assert_type(encoder.similarity(vectors, vectors), Matrix)
    assert_type(encoder.similarity_pairwise(vectors, vectors), Vector)
    assert_type(similarity(vectors, [[0.0] * 384], "dot"), Floats)
    assert_type(truncate_embeddings(vectors, 64), Floats)
    hits = semantic_search(vectors, vectors, top_k=1)
    assert_type(hits[0][0]["corpus_id"], int)
    assert_type(hits[0][0]["score"], float)
    assert_type(community_detection(vectors), list[list[int]])
    assert_type(near_duplicates(vectors), list[tuple[int, int, float]])
    assert_type(paraphrase_mining(encoder, TEXTS), list[list[float | int]])


def search(encoder: SentenceEncoder, database: Path) -> None:
    """Search texts of one's own."""
    with TextIndex(database, encoder) as index:
        assert_type(index.add("pets", "a cat").passages, int)
        assert_type(index.search("a dog"), list[Result])
        assert_type(len(index), int)


def handle(encoder: SentenceEncoder) -> str:
    """Errors are those of the package, and a wrong value is a ValueError as well."""
    try:
        encoder.encode([])
    except InputError as error:
        wrong: ValueError = error
        return str(wrong)
    except MiniLMError as error:
        return str(error)
    return ""


if TYPE_CHECKING:

    def refused(encoder: SentenceEncoder, vectors: Matrix) -> None:
        """Calls that no checker lets through."""
        encoder.encode(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
        encoder.encode(b"a cat")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
        encoder.encode(TEXTS, 32)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        encoder.encode(TEXTS, normalize=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        encoder.encode(TEXTS, precision="int4")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
        encoder.encode(TEXTS, overflow="cut")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
        encoder.encode_stream(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        encoder.inspect("a cat", "window")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        SentenceEncoder(threads="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        SentenceEncoder("model", 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        similarity("a cat", "a dog")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        similarity(vectors, vectors, "cos")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        quantize_embeddings(vectors, "int4")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        semantic_search(vectors, vectors, top_k="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        TextIndex("notes.db", storage="int4")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def run(encoder: SentenceEncoder, folder: Path) -> None:
    """Run all that is not refused."""
    embed(encoder)
    asyncio.run(embed_later(encoder))
    compare(encoder)
    search(encoder, folder / "notes.db")
    handle(encoder)
