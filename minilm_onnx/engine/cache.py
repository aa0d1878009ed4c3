"""Vectors of texts that come again."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable

from minilm_onnx.arrays import FloatArray
from minilm_onnx.text.reports import TextReport

Entry = tuple[FloatArray, TextReport]


class VectorCache:
    """Vectors and reports of the last texts asked for; safe to share between threads."""

    def __init__(self, size: int) -> None:
        """Keep `size` vectors at most, (H,) float32 each."""
        self.size = size
        self._vectors: OrderedDict[tuple[str, Hashable], Entry] = OrderedDict()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Start anew, as in a forked process: who held the lock may not be there."""
        self._vectors = OrderedDict()
        self._lock = threading.Lock()

    def find(self, texts: Iterable[str], how: Hashable) -> dict[str, Entry]:
        """Give, by text, those that are there of texts read in one way."""
        found = {}
        with self._lock:
            for text in texts:
                if (text, how) in self._vectors:
                    found[text] = self._vectors[text, how]
                    self._vectors.move_to_end((text, how))
        return found

    def keep(self, entries: dict[str, Entry], how: Hashable) -> None:
        """Add vectors, and forget those that were asked for longest ago."""
        with self._lock:
            for text, (vector, report) in entries.items():
                # A copy, not the whole array that it is a row of.
                self._vectors[text, how] = vector.copy(), report
                self._vectors.move_to_end((text, how))
            while len(self._vectors) > self.size:
                self._vectors.popitem(last=False)
