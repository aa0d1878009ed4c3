"""The table of a run: Markdown out of the raw lines, nothing typed by hand."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks import ceiling
from benchmarks.contenders import OURS
from benchmarks.environments import Note

Line = dict[str, Any]
BULK = ("short", "corpus", "long")
REQUESTS = ("query", "request_1", "request_8", "request_32")


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


def shares(lines: Sequence[Line], contender: str) -> list[float]:
    """Tokens a second over the corpus as a share of the ceiling of the same round."""
    most = {
        line["part"]: line["tokens_per_second"] for line in of(lines, ceiling.NAME, ceiling.NAME)
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


def report(lines: Sequence[Line], notes: Sequence[Note]) -> str:
    """Write the report of a run.

    Args:
        lines: raw lines; of several runs of one code the later line counts.
        notes: how setting up went.
    """
    lines = list({line["key"]: line for line in lines}.values())
    measured = {line["contender"] for line in lines if line["workload"] in BULK}
    names = sorted(measured, key=lambda name: -fastest(lines, name))
    sizes = {note.contender: note.installed_mib + note.model_mib for note in notes}
    parts = [conditions(lines)]
    parts.append(
        "How many times as fast as minilm_onnx, in the same round: median and range.\n\n"
        + table(
            ["", *BULK, *REQUESTS, "cold start"],
            (
                [name, *(middle(ratios(lines, name, w)) for w in (*BULK, *REQUESTS, "cold"))]
                for name in names
            ),
        )
    )
    parts.append(
        "Bulk, tokens a second: median and range, with the batch setting that was best.\n\n"
        + table(
            ["", *(cell for w in BULK for cell in (w, "batch")), "corpus, texts/s", "of ceiling"],
            (bulk_row(lines, name) for name in names),
        )
    )
    parts.append(
        "Milliseconds a call, median of the rounds' medians; memory and size in MiB.\n\n"
        + table(
            ["", *REQUESTS, "cold start", "loaded", "peak", "installed", "cosine", "least cosine"],
            (call_row(lines, name, sizes) for name in names),
        )
    )
    parts += [*losses(lines, notes)]
    return "\n\n".join(parts)


def fastest(lines: Sequence[Line], name: str) -> float:
    """What the rows are sorted by."""
    return median([speed(line) for line in of(lines, name, "corpus")] or [0.0])


def conditions(lines: Sequence[Line]) -> str:
    """Say what was measured where."""

    def every(key: str) -> str:
        return ", ".join(sorted({str(line[key]) for line in lines}))

    most = of(lines, ceiling.NAME, ceiling.NAME)
    timed = [line for line in lines if line["workload"] in (*BULK, *REQUESTS)]
    dirty = sum(line["dirty"] for line in timed)
    return (
        f"CPU: {every('cpu')}, {every('cpus')} of it; {every('threads')} threads; "
        f"commit {every('commit')}; corpus sha256 {every('corpus_sha256')[:16]}. "
        f"Ceiling of int8 products: {middle([line['gops'] for line in most], '{:.0f}')} GOP/s, "
        f"{middle([line['tokens_per_second'] for line in most], '{:.0f}')} tokens/s. "
        f"{dirty} of {len(timed)} measurements were taken beside other work; they are left out "
        "where there are others."
    )


def bulk_row(lines: Sequence[Line], name: str) -> list[str]:
    """Give a contender's speeds in bulk."""
    cells = []
    for workload in BULK:
        found = of(lines, name, workload)
        cells.append(middle([speed(line) for line in found], "{:.0f}"))
        cells.append(", ".join(sorted({str(line["batch"] or "own") for line in found})) or "-")
    texts = [line["texts"] / line["seconds"] for line in of(lines, name, "corpus")]
    return [name, *cells, middle(texts, "{:.0f}"), middle(shares(lines, name), "{:.0%}")]


def call_row(lines: Sequence[Line], name: str, sizes: dict[str, float]) -> list[str]:
    """Give a contender's latencies, memory and quality."""
    calls = [
        value(of(lines, name, workload), lambda line: 1e3 / speed(line), form)
        for workload, form in ((*((w, "{:.2f}") for w in REQUESTS), ("cold", "{:.0f}")))
    ]
    memory, vectors = of(lines, name, "memory"), of(lines, name, "vectors")
    return [
        name,
        *calls,
        value(memory, lambda line: line["loaded_rss_mib"], "{:.0f}"),
        value(memory, lambda line: line["peak_rss_mib"], "{:.0f}"),
        f"{sizes[name]:.0f}" if name in sizes else "-",
        value(vectors, lambda line: line["cosine_mean"], "{:.4f}"),
        value(vectors, lambda line: line["cosine_min"], "{:.4f}"),
    ]


def value(lines: Sequence[Line], read: Callable[[Line], float], form: str) -> str:
    """Give the median of a figure, "-" where there is none."""
    return form.format(median([read(line) for line in lines])) if lines else "-"


def losses(lines: Sequence[Line], notes: Sequence[Note]) -> list[str]:
    """Say who failed, and who was given a share of the corpus."""
    found = [
        f"{note.contender}: not measured, {note.step} failed: {note.reason.splitlines()[-1]}"
        for note in notes
        if note.step != "ready"
    ]
    failed = [line for line in lines if line["workload"] == "failed"]
    found += [f"{line['contender']}: failed at {line['part']}: {line['reason']}" for line in failed]
    texts = {line["contender"]: line["texts"] for line in lines if line["workload"] == "corpus"}
    found += [
        f"{name}: slow, so measured on {count} of the corpus's {max(texts.values())} texts"
        for name, count in texts.items()
        if count < max(texts.values())
    ]
    return ["\n".join(f"- {line}" for line in found)] if found else []
