"""The tables of what int8 costs, and their places in docs/quality.md."""

from collections.abc import Sequence
from typing import Any

from benchmarks import ROOT
from benchmarks.kinds import LIMITS
from benchmarks.publish import fill_page
from benchmarks.ranking import STEPS, bytes_of
from minilm_onnx import InputError

DOCUMENT = ROOT / "docs" / "quality.md"
# Of the model in fp32, by MTEB and its model card.
PUBLISHED = {
    "STS-B test, Spearman": 82.03,
    "STS13, Spearman": 80.60,
    "STS15, Spearman": 85.39,
    "SciFact, nDCG@10": 64.51,
}
WIDTH = 384
RANKED = ("SciFact", "mixed texts")


def tables(found: dict[str, Any], before: dict[str, Any]) -> dict[str, str]:
    """Give the table of each part that was measured, as Markdown.

    Args:
        found: results of `benchmarks.quality`.
        before: results of another model to show beside them; {} for none.
    """
    makers = {"kinds": kinds_table, "benchmarks": benchmarks_table}
    given = {
        part: make(found[part], before.get(part, []))
        for part, make in makers.items()
        if part in found
    }
    return given | ({"ranking": ranking_table(found["ranking"])} if "ranking" in found else {})


def kinds_table(rows: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]) -> str:
    """Give cosines by kind of text, and the text that has the lowest."""
    earlier = {row["kind"]: f"{row['mean']:.5f} / {row['min']:.5f}" for row in before}
    title = ["kind of text", "texts", "mean cosine", "minimum", "worst text", "tests refuse below"]
    cells = [
        [
            row["kind"],
            str(row["texts"]),
            f"{row['mean']:.5f}",
            f"{row['min']:.5f}",
            quoted(row["worst"]),
            "{} / {}".format(*LIMITS[row["kind"]]),
            earlier.get(row["kind"], ""),
        ]
        for row in rows
    ]
    return table([*title, "before"], cells, with_last=bool(before))


def benchmarks_table(rows: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]) -> str:
    """Give scores on published benchmarks, times 100, and cosines."""
    earlier = {row["name"]: row for row in before}
    cells = []
    for row in rows:
        scores = ["", "", "", ""]
        then = earlier.get(row["name"])
        said = f"{then['mean']:.5f} / {then['min']:.5f}" if then else ""
        if row["scores"]:
            exact, found = row["scores"]
            published = PUBLISHED[row["name"]]
            scores = [f"{published:.2f}", f"{exact:.2f}", f"{found:.2f}", f"{found - exact:+z.2f}"]
            said = f"{then['scores'][1]:.2f}, {said}" if then else ""
        cells.append([row["name"], *scores, f"{row['mean']:z.5f}", f"{row['min']:z.5f}", said])
    title = ["", "published", "fp32 here", "int8", "delta", "mean cosine", "minimum", "before"]
    return table(title, cells, with_last=bool(before))


def ranking_table(rows: Sequence[dict[str, Any]]) -> str:
    """Give what is left of the ten nearest texts after each step."""
    title = ["model", "`precision=`", "bytes a vector"]
    for row in rows:
        title += [f"{row['name']}, nDCG@10"] if row["ndcg"] else []
        title += [f"{row['name']}, top-10 overlap"]
    cells = []
    for place, (model, stored) in enumerate(STEPS):
        cells.append([model, f'`"{stored}"`', f"{bytes_of(WIDTH, stored):,}"])
        for row in rows:
            cells[-1] += [f"{row['ndcg'][place]:.2f}"] if row["ndcg"] else []
            cells[-1] += [f"{row['overlap'][place]:.3f}"]
    sizes = [f"{row['name']}: {row['queries']:,} queries, {row['texts']:,} texts" for row in rows]
    return f"{table(title, cells)}\n\n{'; '.join(sizes)}."


def table(title: Sequence[str], rows: Sequence[Sequence[str]], *, with_last: bool = True) -> str:
    """Give Markdown, with or without the last column."""
    end = None if with_last else -1
    lines = [title[:end], ["---"] * len(title[:end]), *(row[:end] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def quoted(text: str) -> str:
    """Give a text as code in a table's cell."""
    code = f"`` {text} ``" if "`" in text else f"`{text}`"
    return code.replace("|", "\\|")


def publish(found: dict[str, Any], before: dict[str, Any]) -> None:
    """Write the tables of what was measured into docs/quality.md.

    Raises:
        InputError: a table would have fewer rows than it should.
    """
    missing = set(PUBLISHED) - {row["name"] for row in found.get("benchmarks", ())}
    if "benchmarks" in found and (missing or len(found["ranking"]) < len(RANKED)):
        raise InputError("--publish: expected all of the data; see what is missing above")
    fill_page(DOCUMENT, tables(found, before))
