"""How fast this machine could be: its int8 matrix products alone, and its instructions for them.

Times onnxruntime's MatMulIntegerToFloat (uint8 rows, int8 weights with a scale a column) on the
kinds of product that this model consists of, one-thread sessions on as many threads, with weights
that stay in the cache because nothing else runs. What an engine loses against this goes to
attention, normalisation, activation functions, quantising and moving weights. Beside it, what the
native library's own products reach where nothing has to be moved at all: the hardware's peak.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilm_onnx.engine.native import load, native
from minilm_onnx.engine.policy import PROBES
from minilm_onnx.engine.silent import onnxruntime, open_session

LAYERS = 6
ROWS = (128, 256, 512)
SECONDS = 0.4
# A call of the library's products: long enough that Python costs nothing.
TILES = 1000


@dataclass(frozen=True)
class Product:
    """A matrix product: so many of it a layer, from `inner` to `outer` columns."""

    inner: int
    outer: int
    count: int


# Q, K, V and the attention's output; the two of the feed-forward network.
PRODUCTS = (Product(384, 384, 4), Product(384, 1536, 1), Product(1536, 384, 1))
OPERATIONS_A_TOKEN = LAYERS * sum(2 * p.count * p.inner * p.outer for p in PRODUCTS)


@dataclass(frozen=True)
class Ceiling:
    """What all threads together could do.

    Attributes:
        gops: thousand million 8-bit operations a second.
        tokens_per_second: tokens whose int8 products that is.
        peak_gops: what the native library's dot product instructions could do; None without it.
    """

    gops: float
    tokens_per_second: float
    peak_gops: float | None


def product_graph(product: Product) -> Path:
    """Where a product's graph is; `python -m export.probes` writes it."""
    return PROBES / f"product_{product.inner}_{product.outer}.onnx"


def measure_ceiling(threads: int) -> Ceiling:
    """Time the products at the best number of rows of each; takes about 2 seconds."""
    seconds_a_token = LAYERS * sum(
        product.count * min(_seconds_a_row(product, rows, threads) for rows in ROWS)
        for product in PRODUCTS
    )
    gops = OPERATIONS_A_TOKEN / seconds_a_token / 1e9
    return Ceiling(gops, 1.0 / seconds_a_token, _peak_gops(threads))


def _peak_gops(threads: int) -> float | None:
    """Time the native library's products on all threads at once."""
    found = native()
    if found is None:
        return None
    multiply = load(found.path).minilm_multiply  # which runs without the interpreter's lock
    return _rate(lambda _: TILES * int(multiply(TILES)), threads, SECONDS) / 1e9


def _seconds_a_row(product: Product, rows: int, threads: int) -> float:
    """Time a product on all threads at once: seconds of the machine for one row."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    data = np.random.default_rng(1).integers(0, 256, (rows, product.inner), dtype=np.uint8)
    sessions, bindings = [], []
    for _ in range(threads):
        session = open_session(product_graph(product), options)
        binding = session.io_binding()
        binding.bind_cpu_input("rows", data)
        binding.bind_output("product", "cpu")
        session.run_with_iobinding(binding)
        sessions.append(session)
        bindings.append(binding)

    def run(number: int) -> int:
        sessions[number].run_with_iobinding(bindings[number])
        return rows

    return 1.0 / _rate(run, threads, SECONDS / len(ROWS))


def _rate(work: Callable[[int], int], threads: int, seconds: float) -> float:
    """Have all threads work at once, and give how much they do a second together.

    Args:
        work: called again and again with a thread's number; gives how much it has done.
        threads: how many.
        seconds: how long they begin anew; each works at least once.
    """
    end = time.perf_counter() + seconds

    def again(number: int) -> float:
        done, start = 0, time.perf_counter()
        while not done or time.perf_counter() < end:
            done += work(number)
        return done / (time.perf_counter() - start)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(again, range(threads)))
