"""What every request is answered with, and what is counted of its texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.server.batching import Batcher, Embedded
from minilm_onnx.server.budget import Budget
from minilm_onnx.server.metrics import Metrics
from minilm_onnx.server.names import Names
from minilm_onnx.server.origins import Origins
from minilm_onnx.server.settings import Settings
from minilm_onnx.text.reports import TextReport


@dataclass
class Service:
    """What requests are answered with.

    Attributes:
        encoder: makes the vectors.
        batcher: shares runs among requests.
        settings: what the operator decided.
        metrics: what is counted.
        budget: what all requests together may hold.
        names: what the model answers to.
        origins: whose web pages may ask.
    """

    encoder: SentenceEncoder
    batcher: Batcher
    settings: Settings
    metrics: Metrics
    budget: Budget
    names: Names
    origins: Origins

    @property
    def ready(self) -> bool:
        """Whether a small request would be taken."""
        return self.batcher.has_room and not self.budget.full

    def see(self) -> None:
        """Note how much is waiting and held."""
        self.metrics.queue_size.set(self.batcher.waiting)
        self.metrics.queue_tokens.set(self.batcher.waiting_tokens)
        self.metrics.held.set(self.budget.held)

    def headers(self, found: Embedded) -> dict[str, str]:
        """Count what was done; give TEI's headers for it, in milliseconds, and `seen`."""
        for report in found.reports:
            self.metrics.lengths.observe(report.kept)
        self.metrics.queue.observe(found.queue_s)
        self.metrics.inference.observe(found.inference_s)
        total = found.tokenization_s + found.queue_s + found.inference_s
        self.metrics.embed.observe(total)
        return {
            "x-compute-type": "cpu",
            "x-compute-time": f"{1000 * (total - found.queue_s):.0f}",
            "x-total-time": f"{1000 * total:.0f}",
            "x-tokenization-time": f"{1000 * found.tokenization_s:.0f}",
            "x-queue-time": f"{1000 * found.queue_s:.0f}",
            "x-inference-time": f"{1000 * found.inference_s:.0f}",
        } | self.seen(found.reports)

    def seen(self, reports: Sequence[TextReport]) -> dict[str, str]:
        """Count what the model sees of texts, and give the headers that say it."""
        cut = sum(report.cut for report in reports)
        unreadable = sum(report.unreadable for report in reports)
        self.metrics.cut.inc(cut)
        self.metrics.unreadable.inc(unreadable)
        return {
            "x-compute-tokens": str(sum(report.kept for report in reports)),
            "x-truncated-texts": str(cut),
            "x-unknown-texts": str(unreadable),
        }
