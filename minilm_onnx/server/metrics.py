"""What is counted, under Text Embeddings Inference's names where it has them."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

# Where workers count together; prometheus_client reads it when it is imported.
COUNTERS = "PROMETHEUS_MULTIPROC_DIR"
LENGTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 4096)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The counters of one application; of all workers, where they share a folder for them."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry, multiprocess_mode="livesum")
        labels = ["method"]
        self.requests = counter("te_request_count", "Requests.", labels)
        self.success = counter("te_request_success", "Requests that were answered.", labels)
        self.failure = counter(
            "te_request_failure", "Requests that were not, by the status.", ["method", "err"]
        )
        self.duration = histogram(
            "te_request_duration", "Seconds a request.", labels, buckets=SECONDS
        )
        self.embed = histogram(
            "te_embed_duration",
            "Seconds to embed a request's texts, tokens and queue included.",
            buckets=SECONDS,
        )
        self.queue = histogram(
            "te_request_queue_duration", "Seconds in the queue.", buckets=SECONDS
        )
        self.inference = histogram(
            "te_request_inference_duration", "Seconds of runs.", buckets=SECONDS
        )
        self.lengths = histogram("te_request_input_length", "Tokens a text.", buckets=LENGTHS)
        self.batch_texts = histogram("te_batch_next_size", "Texts a run.", buckets=COUNTS)
        self.batch_tokens = histogram("te_batch_next_tokens", "Tokens a run.", buckets=LENGTHS)
        self.queue_size = gauge("te_queue_size", "Requests that are here.")
        self.queue_tokens = gauge("minilm_queue_tokens", "Tokens that wait.")
        self.held = gauge("minilm_held_bytes", "Bytes of bodies, texts and answers that are here.")
        self.cut = counter("minilm_texts_cut", "Texts longer than the model reads.")
        self.unreadable = counter("minilm_texts_unreadable", "Texts mostly unknown to the model.")

    def text(self) -> bytes:
        """Give all, in Prometheus' text format."""
        folder = os.environ.get(COUNTERS)
        if folder is None:
            return _named(generate_latest(self.registry))
        for path in Path(folder).glob("gauge_live*.db"):
            pid = int(path.stem.rpartition("_")[2])
            if not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
                # Its queue is gone with it.
                with suppress(FileNotFoundError):  # another worker did it
                    mark_process_dead(pid)  # type: ignore[no-untyped-call]  # it has no types
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # nor has this
        return _named(generate_latest(together))


def _named(text: bytes) -> bytes:
    """Give TEI's counters TEI's names: prometheus_client ends those of counters with _total."""
    for name in (b"te_request_count", b"te_request_success", b"te_request_failure"):
        text = text.replace(name + b"_total", name)
    return text
