"""What is measured: which texts, how many at a time."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from minilm_onnx import SentenceEncoder
from minilm_onnx.making.corpus import TEXTS
from minilm_onnx.measure.sample import sample_texts
from minilm_onnx.reading.rows import open_rows

SHORT_TOKENS = 64
LONG_TOKENS = 240
MOST_LONG = 200
SWEEP_TOKENS = 6_000
QUICK_SWEEP_TOKENS = 1_500
CHECK_TEXTS = 500
SAMPLE_TEXTS = 2000
SEED = 20240
HELD_OUT = TEXTS / "held_out.txt"

# Ten words each, of this project's own making.
QUERIES = (
    "how do I keep basil alive through a cold winter",
    "which train goes from the harbour to the old town",
    "why does my bread stay flat after it has risen",
    "what is the fastest way to learn to read music",
    "where can I change the battery of this wall clock",
    "is it safe to run a heater on a boat",
    "how many people live on the island in the summer",
    "who wrote the song that ends with a long silence",
    "can a cracked window pane be mended without new glass",
    "when should I prune the apple tree in our garden",
)


@dataclass(frozen=True)
class Workload:
    """Texts to embed in bulk, or requests of a few texts.

    Attributes:
        name: for the records.
        texts: for bulk work.
        tokens: of each of `texts`, special tokens included, 256 at most.
        requests: for latency; each is embedded by a call of its own.
        pause_ms: to rest before each of these calls, as between people's queries.
    """

    name: str
    texts: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)
    pause_ms: int = 0

    def digest(self) -> str:
        """Name what is embedded, for the records' keys."""
        data = json.dumps([self.texts, self.requests, self.pause_ms]).encode()
        return hashlib.sha256(data).hexdigest()[:12]

    def sample(self, tokens: int) -> "Workload":
        """Give texts of about so many tokens together, evenly spread over all."""
        whole = max(1, sum(self.tokens))
        return self.share(max(1, len(self.texts) * tokens // whole))

    def share(self, count: int) -> "Workload":
        """Give so many texts, evenly spread over all."""
        kept = spread(len(self.texts), count)
        texts = [self.texts[i] for i in kept]
        return replace(self, texts=texts, tokens=[self.tokens[i] for i in kept])


def spread(length: int, count: int) -> list[int]:
    """Give `count` positions evenly spread over `length`, all of them if there are no more."""
    count = min(count, length)
    return [i * length // count for i in range(count)]


@dataclass(frozen=True)
class Corpus:
    """The texts of a run.

    Attributes:
        texts: for speed.
        checks: whose vectors are compared with the reference.
        name: "sample", or the file's name.
        sha256: of all texts.
    """

    texts: list[str]
    checks: list[str]
    name: str
    sha256: str


def read_corpus(path: Path | None, limit: int | None) -> Corpus:
    """Read the texts of a file of JSON lines, packed or not; None for this project's own.

    The sample's texts are as long as real ones but mean nothing, so that the vectors of others,
    which were held out from calibration, are compared.

    Raises:
        InputError: the file is not that.
    """
    if path is None:
        texts = sample_texts(SAMPLE_TEXTS)[:limit]
        checks = HELD_OUT.read_text("utf-8").splitlines()
        name = "sample"
    else:
        with open_rows(str(path), "text") as source:
            texts = [row.text for row in source.rows][:limit]
        checks = [texts[i] for i in spread(len(texts), CHECK_TEXTS)]
        name = path.name
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    return Corpus(texts, checks, name, digest)


def with_tokens(name: str, texts: Sequence[str]) -> Workload:
    """Make a bulk workload: count its tokens."""
    ids = SentenceEncoder().tokenize_texts(texts).ids
    return Workload(name, list(texts), [len(row) for row in ids])


def choose(texts: Sequence[str]) -> list[Workload]:
    """Make the workloads of a corpus."""
    corpus = with_tokens("corpus", texts)
    return [
        Workload("query", requests=[[query] for query in QUERIES * 20]),
        Workload("query_idle", requests=[[query] for query in QUERIES * 4], pause_ms=50),
        *(
            Workload(f"request_{size}", requests=draw_requests(texts, size, count))
            for size, count in ((1, 200), (8, 30), (32, 12))
        ),
        where("short", corpus, range(SHORT_TOKENS + 1)),
        where("long", corpus, range(LONG_TOKENS, 257)).share(MOST_LONG),
        corpus,
    ]


def choose_quick(texts: Sequence[str]) -> list[Workload]:
    """Make the least that says something: one query, eight texts, bulk."""
    return [
        Workload("query", requests=[[query] for query in QUERIES * 5]),
        Workload("request_8", requests=draw_requests(texts, 8, 10)),
        with_tokens("corpus", texts),
    ]


def where(name: str, corpus: Workload, tokens: range) -> Workload:
    """Keep the texts of a corpus with so many tokens."""
    kept = [i for i, count in enumerate(corpus.tokens) if count in tokens]
    return Workload(name, [corpus.texts[i] for i in kept], [corpus.tokens[i] for i in kept])


def draw_requests(texts: Sequence[str], size: int, count: int) -> list[list[str]]:
    """Draw requests of so many texts, the same for everyone."""
    draw = random.Random(SEED + size)
    return [draw.sample(list(texts), min(size, len(texts))) for _ in range(count)]
