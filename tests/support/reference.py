"""docs/reference.md, from the docstrings; needs griffe: python -m tests.support.reference."""

import sys
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reference.md"
HEAD = """# Reference

`python -m tests.support.reference` wrote this page from the docstrings. Shapes: B texts of a batch,
N texts of a call, T tokens, H components. [encode.md](encode.md) compares `encode` with that of
sentence-transformers.
"""
# Beside what the package exports.
FURTHER = (
    "index.textindex.TextIndex",
    "index.ranking.Result",
    "index.ranking.Hybrid",
    "text.reports.TextReport",
    "server.app.create_app",
    "server.settings.Settings",
    "integrations.langchain.MiniLMEmbeddings",
    "integrations.llamaindex.MiniLMEmbedding",
    "integrations.haystack.MiniLMTextEmbedder",
    "integrations.haystack.MiniLMDocumentEmbedder",
    "integrations.chroma.MiniLMEmbeddingFunction",
    "integrations.lancedb.MiniLMFunction",
    "integrations.qdrant.add",
    "integrations.qdrant.search",
    "integrations.sklearn.SentenceVectorizer",
    "integrations.backend.Backend",
    "integrations.bertopic.MiniLMBackend",
    "integrations.keybert.MiniLMBackend",
    "integrations.mteb.MTEBEncoder",
    "integrations.sentence_transformers.sentence_transformer",
    "integrations.txtai.MiniLMVectors",
    "integrations.ray.Embed",
    "integrations.ray.embed_files",
    "integrations.workers.made_by",
    "integrations.workers.check_worker",
    "integrations.pgvector.copy_passages",
    "integrations.pgvector.search_passages",
    "integrations.elasticsearch.mapping",
    "integrations.elasticsearch.documents",
    "integrations.elasticsearch.copy_passages",
    "integrations.elasticsearch.search_passages",
)
# Where what stands elsewhere is imported from.
PUBLIC = {
    "index.textindex.TextIndex": "index.TextIndex",
    "index.ranking.Result": "index.Result",
    "index.ranking.Hybrid": "index.Hybrid",
    "text.reports.TextReport": "text.TextReport",
    "server.app.create_app": "server.create_app",
    "server.settings.Settings": "server.Settings",
}


def render() -> str:
    """The whole page."""
    package = griffe.load("minilm_onnx", search_paths=[ROOT], docstring_parser="google")
    exported = [name for name in package.exports or [] if name != "__version__"]
    parts = [HEAD]
    for name in exported:
        parts += _object(f"minilm_onnx.{name}", package[str(name)])
    for path in FURTHER:
        parts += _object(f"minilm_onnx.{PUBLIC.get(path, path)}", package[path])
    return "\n".join(parts).rstrip() + "\n"


def _object(name: str, found: Any) -> list[str]:
    """A function, or a class with its public methods."""
    found = found.final_target if found.is_alias else found
    lines = [f"## `{name}`", ""]
    if not found.is_class:
        return lines + _signature(found) + _docstring(found)
    # Closing is an inner name: `close`, and a `with` block.
    bases = ", ".join(str(base) for base in found.bases if str(base) != "Closing")
    lines += [f"A subclass of `{bases}`.", ""] if bases else []
    lines += _docstring(found)
    made = found.members.get("__init__")
    if made is not None:
        lines += _signature(made, found.name) + _docstring(made)
    for member, one in found.members.items():
        one = one.final_target if one.is_alias else one
        if member.startswith("_") or not one.docstring:
            continue
        lines += [f"### `{found.name}.{member}`", ""]
        lines += [] if one.is_attribute else _signature(one)
        lines += _docstring(one)
    return lines


def _signature(found: Any, name: str = "") -> list[str]:
    """The parameters, as they are written in the source."""
    words: list[str] = []
    keyword = False
    for one in found.parameters:
        if one.name in ("self", "cls"):
            continue
        if one.kind is griffe.ParameterKind.keyword_only and not keyword:
            words.append("*")
            keyword = True
        star = {"variadic positional": "*", "variadic keyword": "**"}.get(str(one.kind.value), "")
        keyword = keyword or star == "*"
        said = f"{star}{one.name}"
        said += f": {one.annotation}" if one.annotation is not None else ""
        said += f" = {one.default}" if one.default is not None and not star else ""
        words.append(said)
    inside = ", ".join(words)
    line = f"{name or found.name}({inside})"
    if found.returns is not None and not name:
        line += f" -> {found.returns}"
    if len(line) > 96:
        inside = "".join(f"    {word},\n" for word in words)
        line = f"{name or found.name}(\n{inside})"
        line += f" -> {found.returns}" if found.returns is not None and not name else ""
    return ["```text", line, "```", ""]


def _docstring(found: Any) -> list[str]:
    """Its sections."""
    lines: list[str] = []
    for section in found.docstring.parsed if found.docstring else []:
        kind, value = section.kind.value, section.value
        if kind == "text":
            lines += [value, ""]
        elif kind in ("returns", "yields"):
            words = " ".join(" ".join(one.description.split()) for one in value)
            lines += [f"**{kind.title()}** {words}", ""]
        else:
            lines += [f"**{kind.title()}**", ""]
            for one in value:
                named = getattr(one, "name", None) or one.annotation
                lines.append(f"- `{named}`: {' '.join(one.description.split())}")
            lines.append("")
    return lines


if __name__ == "__main__":
    DOCUMENT.write_text(render(), "utf-8")
    sys.exit(0)
