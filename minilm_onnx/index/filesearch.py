"""Search in a file as it is, without a database."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilm_onnx.checks import check_positive
from minilm_onnx.encoder import DOCUMENT_PROMPTS, SentenceEncoder
from minilm_onnx.index.filterparsing import parse_filter
from minilm_onnx.index.filters import matches
from minilm_onnx.index.folding import folded
from minilm_onnx.index.metadata import with_time
from minilm_onnx.index.passages import Passage, Splitter
from minilm_onnx.index.ranking import check_query
from minilm_onnx.index.results import Result
from minilm_onnx.index.sums import changed_at
from minilm_onnx.progress import named_bar
from minilm_onnx.reading.documents import Document, pages, read_documents
from minilm_onnx.reading.guesses import seems_to_be
from minilm_onnx.reading.kinds import MARKDOWN, ROWS, suffix_of
from minilm_onnx.reading.metadata import MODIFIED, values_of
from minilm_onnx.text.reports import Tally, tallied
from minilm_onnx.vectors.search import semantic_search


@dataclass(frozen=True)
class Found:
    """What was found in a file.

    Attributes:
        results: the best, as `TextIndex.search` gives them.
        cut: whether the model did not read one whole, a bool a result.
        tally: what the model did not see of all texts.
        seems: what its lines seem to be rather than texts; see `guesses.seems_to_be`.
    """

    results: list[Result]
    cut: list[bool]
    tally: Tally
    seems: str = ""


def search_file(
    encoder: SentenceEncoder,
    file: str | Path,
    query: str,
    top_k: int = 5,
    *,
    field: str | None = None,
    where: str | None = None,
    show_bar: bool = False,
) -> Found:
    """Find the texts of a file that are nearest to a query.

    Args:
        encoder: makes the vectors.
        file: its name; "-" is standard input. Each line of text is one, each row of JSON lines or a
            table, and each passage of Markdown.
        query: any text.
        top_k: texts to give.
        field: see `read_documents`.
        where: a filter of metadata, as of `TextIndex.search`; only texts that match are embedded.
        show_bar: whether to show a progress bar.

    Raises:
        InputError: the query is empty, or the file or the filter cannot be read.
    """
    check_query(query)
    top_k = check_positive("top_k", top_k)
    wanted = None if where is None else parse_filter(where)
    documents = read_documents(Path(file), field, lines=True)
    modified = None if str(file) == "-" else changed_at(Path(file))
    suffix = suffix_of(str(file))
    first = documents[0].text if documents else ""
    if wanted is not None:
        documents = [one for one in documents if matches(wanted, _values(one, modified))]
    passages = _passages(encoder, documents)
    if not passages:
        return Found([], [], Tally())
    texts = [passage.embedded for passage, _ in passages]
    with named_bar("embed", len(texts), show=show_bar) as done:
        vectors, reports = encoder.embed_texts(texts, prompt_names=DOCUMENT_PROMPTS, done=done)
    (hits,) = semantic_search(encoder.encode_query(folded(query)), vectors, top_k=top_k)
    return Found(
        [_result(hit["score"], str(file), *passages[hit["corpus_id"]], modified) for hit in hits],
        [reports[hit["corpus_id"]].cut for hit in hits],
        tallied(reports),
        "" if field is not None or suffix in ROWS | MARKDOWN else seems_to_be(first),
    )


def _values(document: Document, modified: str | None) -> dict[str, list[str]]:
    """Give the values of a document's metadata, and of its file's time if it has no other."""
    values = values_of(document.metadata)
    if modified is not None:
        values.setdefault(MODIFIED, [modified])
    return values


def _passages(
    encoder: SentenceEncoder, documents: list[Document]
) -> list[tuple[Passage, Mapping[str, Any]]]:
    """Give the passages of documents, with their metadata."""
    if not any(document.markdown for document in documents):
        return [
            (
                Passage("\n".join(pages(one.text)).strip(), one.first_line, one.first_line),
                one.metadata,
            )
            for one in documents
        ]
    splitter = Splitter(encoder.tokenizer, encoder.max_seq_length)
    return [
        (passage, document.metadata)
        for document in documents
        for passage in splitter.split(document)
    ]


def _result(
    score: float,
    source: str,
    passage: Passage,
    metadata: Mapping[str, Any],
    modified: str | None,
) -> Result:
    return Result(
        score,
        source,
        passage.first_line,
        passage.last_line,
        passage.headings,
        passage.text,
        with_time(metadata, modified),
    )
