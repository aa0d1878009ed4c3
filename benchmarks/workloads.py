"""What is measured: which texts, how many at a time."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minilm_onnx import SentenceEncoder
from minilm_onnx.cli.reading import TextFile, read_texts

SHORT_TOKENS = 64
LONG_TOKENS = 240
MOST_LONG = 200
SWEEP_TOKENS = 12_000
CHECK_TEXTS = 500
SEED = 20240

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
    """

    name: str
    texts: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)

    def digest(self) -> str:
        """Name what is embedded, for the records' keys."""
        data = json.dumps([self.texts, self.requests]).encode()
        return hashlib.sha256(data).hexdigest()[:12]

    def sample(self, tokens: int) -> "Workload":
        """Give texts of about so many tokens together, evenly spread over all."""
        whole = max(1, sum(self.tokens))
        return self.share(max(1, len(self.texts) * tokens // whole))

    def share(self, count: int) -> "Workload":
        """Give so many texts, evenly spread over all."""
        kept = spread(len(self.texts), count)
        texts = [self.texts[i] for i in kept]
        return Workload(self.name, texts, [self.tokens[i] for i in kept], self.requests)


def spread(length: int, count: int) -> list[int]:
    """Give `count` positions evenly spread over `length`, all of them if there are no more."""
    count = min(count, length)
    return [i * length // count for i in range(count)]


def read_corpus(path: Path, limit: int | None) -> list[str]:
    """Read the texts of a file of JSON lines, packed or not.

    Raises:
        InputError: the file is not that.
    """
    with TextFile(str(path)) as source:
        texts = list(read_texts(source, "text"))
    return texts[:limit]


def choose(texts: Sequence[str], *, quick: bool) -> list[Workload]:
    """Make the workloads of a corpus."""
    ids = SentenceEncoder().tokenize_texts(texts).ids
    corpus = Workload("corpus", list(texts), [len(row) for row in ids])
    requests = mixed_requests(texts, quick=quick)
    few = 5 if quick else 50
    return [
        Workload("query", requests=[[query] for query in QUERIES * few]),
        *(Workload(f"request_{size}", requests=found) for size, found in requests.items()),
        where("short", corpus, range(SHORT_TOKENS + 1)),
        where("long", corpus, range(LONG_TOKENS, 257)).share(MOST_LONG),
        corpus,
    ]


def where(name: str, corpus: Workload, tokens: range) -> Workload:
    """Keep the texts of a corpus with so many tokens."""
    kept = [i for i, count in enumerate(corpus.tokens) if count in tokens]
    return Workload(name, [corpus.texts[i] for i in kept], [corpus.tokens[i] for i in kept])


def mixed_requests(texts: Sequence[str], *, quick: bool) -> dict[int, list[list[str]]]:
    """Draw requests of 1, 8 and 32 texts, the same for everyone."""
    draw = random.Random(SEED)
    counts = {1: 20, 8: 5, 32: 3} if quick else {1: 200, 8: 30, 32: 12}
    return {
        size: [draw.sample(list(texts), min(size, len(texts))) for _ in range(count)]
        for size, count in counts.items()
    }
