"""What is counted, under Text Embeddings Inference's names where it has them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LENGTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 4096)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        labels = ["method"]
        # Counters that are gauges, since a counter's name would have to end in _total.
        self.requests = Gauge("te_request_count", "Requests.", labels, registry=self.registry)
        self.success = Gauge(
            "te_request_success", "Requests that were answered.", labels, registry=self.registry
        )
        self.failure = Gauge(
            "te_request_failure",
            "Requests that were not, by the status.",
            ["method", "err"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "te_request_duration",
            "Seconds a request.",
            labels,
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queue = Histogram(
            "te_request_queue_duration",
            "Seconds in the queue.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.inference = Histogram(
            "te_request_inference_duration",
            "Seconds of runs.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.lengths = Histogram(
            "te_request_input_length", "Tokens a text.", buckets=LENGTHS, registry=self.registry
        )
        self.batch_texts = Histogram(
            "te_batch_next_size", "Texts a run.", buckets=COUNTS, registry=self.registry
        )
        self.batch_tokens = Histogram(
            "te_batch_next_tokens", "Tokens a run.", buckets=LENGTHS, registry=self.registry
        )
        self.queue_size = Gauge("te_queue_size", "Requests that are here.", registry=self.registry)
        self.queue_tokens = Gauge(
            "minilm_queue_tokens", "Tokens that wait.", registry=self.registry
        )
        self.cut = Counter(
            "minilm_texts_cut", "Texts longer than the model reads.", registry=self.registry
        )
        self.unreadable = Counter(
            "minilm_texts_unreadable", "Texts mostly unknown to the model.", registry=self.registry
        )

    def text(self) -> bytes:
        """Give all, in Prometheus' text format."""
        return generate_latest(self.registry)
