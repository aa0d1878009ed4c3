"""minilm-onnx bench: how fast this machine embeds, beside what is published."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minilm_onnx import __version__
from minilm_onnx.cli.info import kernel_in_words, surroundings
from minilm_onnx.cli.options import Subparsers, add_command, load_encoder
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.engine.cpus import cpu_name
from minilm_onnx.errors import InputError
from minilm_onnx.folder.finding import packaged
from minilm_onnx.measure.memory import peak_rss_mib
from minilm_onnx.measure.sample import sample_texts

# `python -m benchmarks report --publish` writes it.
PUBLISHED = Path(__file__).parent.parent / "published.json"
# Of what --json prints: a higher number where a key has another name or meaning, not for a new key.
FORMAT = 1
TEXTS = 2000
LEAST_TEXTS = 100
LENGTHS = (8, 16, 32, 64, 128, 256)
# One token in the vocabulary, so that a text has as many tokens as wished.
WORD = "window "
MOST_CALLS = 50


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "bench",
        summary="how fast this machine is",
        description="Measure texts and tokens per second, latency by length, memory, and the "
        "machine's maximum speed of int8 products, on generated texts as long as real ones. "
        "Compare them with the published results. Close other programs first. On Linux, bench "
        "reports how much CPU time they took.",
        examples=(
            "minilm-onnx bench",
            "minilm-onnx bench --seconds 20 --threads 1 --json",
        ),
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        metavar="S",
        help="seconds for the bulk measurement; default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, to keep or to send in")


def run(options: argparse.Namespace) -> int:
    """Measure, then print as text or as JSON."""
    if not 0 < options.seconds < float("inf"):
        raise InputError(f"--seconds: expected a positive number, got {options.seconds}")
    # Not needed by the other commands.
    from minilm_onnx.measure.ceiling import measure_ceiling
    from minilm_onnx.measure.others import others_between, read_cpus

    start = time.perf_counter()
    encoder = load_encoder(options)
    load_ms = (time.perf_counter() - start) * 1e3
    threads = encoder.policy.threads
    before = read_cpus()
    bulk = measure_bulk(encoder, options.seconds)
    facts: dict[str, Any] = {
        "format": FORMAT,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": cpu_name(),
        **anonymous(surroundings(encoder)),
        "graph": encoder.manifest.files["model.onnx"] if encoder.manifest else None,
        "load_ms": load_ms,
        "bulk": bulk,
        # Before the ceiling, whose sessions would count.
        "peak_rss_mib": peak_rss_mib(),
        "latency_ms": {str(length): latency_ms(encoder, length) for length in LENGTHS},
        "ceiling": asdict(measure_ceiling(threads)),
        "others": asdict(others := others_between(before, read_cpus())),
        "published": json.loads(packaged(PUBLISHED).read_text("utf-8")),
    }
    if options.json:
        print(json.dumps(facts, indent=2))
        if others.said:
            print(others.said, file=sys.stderr)
        return 0
    for name, value in rows(facts):
        print(f"{name:<10} {value}")
    if others.said:
        print(f"{'meanwhile':<10} {others.said}")
    return 0


def anonymous(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what can hold paths: where the library is, and why there is none.

    Args:
        found: what `surroundings` gives.
    """
    native = {key: value for key, value in found["native"].items() if key != "library"}
    return {key: value for key, value in found.items() if key != "promise"} | {"native": native}


def measure_bulk(encoder: SentenceEncoder, seconds: float) -> dict[str, Any]:
    """Embed the sample again and again for so long, or a part of it once on a slow machine."""
    texts = sample_texts(TEXTS)
    encoder.encode(texts[:LEAST_TEXTS])
    spent = timed(encoder, texts[:LEAST_TEXTS])
    count = min(TEXTS, max(LEAST_TEXTS, int(LEAST_TEXTS * seconds / spent)))
    passes: list[float] = []
    while not passes or sum(passes) + passes[-1] <= seconds:
        passes.append(timed(encoder, texts[:count]))
    tokens = sum(len(ids) for ids in encoder.tokenize_texts(texts[:count]).ids)
    return {
        "texts": count,
        "tokens": tokens,
        "seconds": passes,
        "texts_per_second": count / float(np.median(passes)),
        "tokens_per_second": tokens / float(np.median(passes)),
    }


def timed(encoder: SentenceEncoder, texts: list[str]) -> float:
    """Give the seconds of one call."""
    start = time.perf_counter()
    encoder.encode(texts)
    return time.perf_counter() - start


def latency_ms(encoder: SentenceEncoder, length: int) -> dict[str, float]:
    """Time calls with one text of so many tokens, for a second at most; the first are warm-up."""
    text = [WORD * (length - 2)]
    calls: list[float] = []
    end = time.perf_counter() + 1.0
    while len(calls) < 3 or (len(calls) < MOST_CALLS and time.perf_counter() < end):
        calls.append(timed(encoder, text) * 1e3)
    counted = sorted(calls[len(calls) // 5 :])
    return {"median": float(np.median(counted)), "p99": counted[int(0.99 * (len(counted) - 1))]}


def peak_row(ceiling: dict[str, Any], speed: float) -> list[tuple[str, str]]:
    """Say what the CPU's instructions could do, where the native library can tell."""
    peak = ceiling["peak_gops"]
    if peak is None:
        return []
    reached = speed / ceiling["tokens_per_second"] * ceiling["gops"] / peak
    return [
        (
            "peak",
            f"{peak:,.0f} GOP/s with nothing to move, by the native kernel's own products; "
            f"{reached:.0%} of it reached",
        )
    ]


def rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Say it in words."""
    bulk, ceiling, published = facts["bulk"], facts["ceiling"], facts["published"]
    speed, most = bulk["tokens_per_second"], ceiling["tokens_per_second"]
    theirs = published["tokens_per_second"]
    others = ", ".join(
        f"{name} {figure:,.0f}" for name, figure in theirs.items() if name != "minilm_onnx"
    )
    peak = facts["peak_rss_mib"]
    return [
        ("cpu", f"{facts['cpu']}; {facts['policy']['threads']} threads of {facts['cpus']} CPUs"),
        (
            "versions",
            f"minilm-onnx {__version__}, onnxruntime {facts['versions']['onnxruntime']}, "
            f"Python {facts['python']}, {facts['system']} {facts['machine']}",
        ),
        ("kernel", kernel_in_words(facts)),
        (
            "bulk",
            f"{bulk['texts_per_second']:,.0f} texts/s, {speed:,.0f} tokens/s "
            f"(median of {len(bulk['seconds'])} over {bulk['texts']} made-up texts)",
        ),
        (
            "one text",
            ", ".join(
                f"{length} tokens {found['median']:.2f} ms"
                for length, found in facts["latency_ms"].items()
            ),
        ),
        ("load", f"{facts['load_ms']:.0f} ms"),
        ("memory", "not known here" if peak is None else f"{peak:.0f} MiB at the peak"),
        (
            "ceiling",
            f"{ceiling['gops']:,.0f} GOP/s of int8 products, which is {most:,.0f} tokens/s; "
            f"{speed / most:.0%} of it reached",
        ),
        *peak_row(ceiling, speed),
        (
            "published",
            f"{theirs['minilm_onnx']:,.0f} tokens/s on {published['cpu']}, "
            f"{published['threads']} threads; here {speed / theirs['minilm_onnx']:.2f} of it",
        ),
        ("others", f"there: {others}"),
    ]
