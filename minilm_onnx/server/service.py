"""What every request is answered with, and what is counted of its texts."""

from dataclasses import dataclass

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.server.batching import Batcher, Embedded
from minilm_onnx.server.metrics import Metrics
from minilm_onnx.server.settings import Settings


@dataclass
class Service:
    """What requests are answered with.

    Attributes:
        encoder: makes the vectors.
        batcher: shares runs among requests.
        settings: what the operator decided.
        metrics: what is counted.
        held: bytes of the bodies of all requests that are here.
    """

    encoder: SentenceEncoder
    batcher: Batcher
    settings: Settings
    metrics: Metrics
    held: int = 0

    def headers(self, found: Embedded) -> dict[str, str]:
        """Count what was done, and give TEI's headers for it, in milliseconds."""
        tokens = [report.kept for report in found.reports]
        for count in tokens:
            self.metrics.lengths.observe(count)
        self.metrics.cut.inc(sum(report.cut for report in found.reports))
        self.metrics.unreadable.inc(sum(report.unreadable for report in found.reports))
        self.metrics.queue.observe(found.queue_s)
        self.metrics.inference.observe(found.inference_s)
        total = found.tokenization_s + found.queue_s + found.inference_s
        self.metrics.embed.observe(total)
        return {
            "x-compute-type": "cpu",
            "x-compute-time": f"{1000 * (total - found.queue_s):.0f}",
            "x-compute-tokens": str(sum(tokens)),
            "x-total-time": f"{1000 * total:.0f}",
            "x-tokenization-time": f"{1000 * found.tokenization_s:.0f}",
            "x-queue-time": f"{1000 * found.queue_s:.0f}",
            "x-inference-time": f"{1000 * found.inference_s:.0f}",
        }
