"""Which versions of other software the bridges are tested with: the pinned ones, and the newest.

python -m tests.support.versions            draws the table in docs/integrations.md
python -m tests.support.versions --tests    names the tests of what is installed here in another
                                            version than the pinned one
python -m tests.support.versions --since    names what is installed here in another version than
                                            .ci/newest.txt says
python -m tests.support.versions --write    makes .ci/newest.txt say what is installed here, today
"""

import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.publish import filled

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "integrations.md"
NEWEST = ROOT / ".ci" / "newest.txt"
PINNED = (
    ".ci/ecosystem.txt",
    ".ci/requirements.txt",
    ".ci/without-torch.txt",
    "export/requirements.txt",
    "pyproject.toml",
)
PIN = re.compile(r'^[ "]*([\w.-]+)(?:\[[\w,-]+\])?==([\w.+]+)"?,?$', re.MULTILINE)

APART = "tests/integrations/ecosystem/test_"
CLIENTS = "tests/server/test_clients.py"
TABLES = "tests/tables/test_tables.py"
PAGE = "docs.py::test_the_block_says_what_it_should"
REAL = "tests/integrations/test_sentence_transformers.py"
MTEB = "tests/integrations/test_mteb.py"
# What tests each package.
TESTS: dict[str, tuple[str, ...]] = {
    "bertopic": (f"{APART}topics.py",),
    "chromadb": (f"{APART}chroma.py", f"{APART}{PAGE}[chroma]"),
    "duckdb": (TABLES,),
    "elasticsearch": ("tests/integrations/test_elasticsearch.py",),
    "fastapi": ("tests/package/test_examples.py",),
    "haystack-ai": (f"{APART}haystack.py", f"{APART}{PAGE}[haystack]"),
    "huggingface-hub": (CLIENTS,),
    "keybert": (f"{APART}topics.py", f"{APART}{PAGE}[keybert]"),
    "lancedb": (f"{APART}lancedb.py", f"{APART}{PAGE}[lancedb]", TABLES),
    "langchain-core": (f"{APART}langchain.py", f"{APART}{PAGE}[langchain]"),
    "langchain-ollama": (CLIENTS,),
    "langchain-openai": (CLIENTS,),
    "llama-index-core": (f"{APART}llamaindex.py", f"{APART}{PAGE}[llamaindex]"),
    "llama-index-embeddings-openai": (CLIENTS,),
    "llm": (f"{APART}llm.py",),
    "mteb": (MTEB, REAL),
    "ollama": (CLIENTS,),
    "openai": (CLIENTS,),
    "pandas": (TABLES,),
    "pgvector": ("tests/integrations/test_pgvector.py",),
    "psycopg": ("tests/integrations/test_pgvector.py",),
    "pyarrow": (TABLES, f"{APART}ray.py"),
    "pyspark": (f"{APART}spark.py",),
    "qdrant-client": (f"{APART}qdrant.py", f"{APART}{PAGE}[qdrant]"),
    "ray": (f"{APART}ray.py",),
    "scikit-learn": (f"{APART}sklearn.py", f"{APART}{PAGE}[sklearn]"),
    "sentence-transformers": (REAL, MTEB, f"{APART}topics.py"),
    "starlette": (CLIENTS,),
    "transformers": (REAL,),
    "txtai-minimal": (f"{APART}txtai.py", f"{APART}{PAGE}[txtai]"),
    "uvicorn": (CLIENTS,),
}


def pins(path: Path) -> dict[str, str]:
    """The versions that a file of requirements names, by package."""
    return dict(PIN.findall(path.read_text("utf-8")))


def pinned() -> dict[str, str]:
    """The versions that the gate installs to test with."""
    found: dict[str, str] = {}
    for path in PINNED:
        found = {**pins(ROOT / path), **found}
    return {name: found[name] for name in TESTS}


def tests_of_others() -> list[str]:
    """Those of what is installed here in another version than the pinned one."""
    other = [name for name, wanted in pinned().items() if version(name) != wanted]
    return list(dict.fromkeys(test for name in other for test in TESTS[name]))


def released_since() -> list[str]:
    """What is installed here in another version than .ci/newest.txt says."""
    return [
        f"{name} {version(name)} (tried: {tried})"
        for name, tried in pins(NEWEST).items()
        if version(name) != tried
    ]


def write() -> None:
    """Make .ci/newest.txt say what is installed here."""
    today = datetime.now(UTC).date().isoformat()
    text = re.sub(r"\d{4}-\d\d-\d\d", today, NEWEST.read_text("utf-8"), count=1)
    text = re.sub(
        r"^([\w.-]+)(.*)==.*$",
        lambda found: f"{found[1]}{found[2]}=={version(found[1])}",
        text,
        flags=re.MULTILINE,
    )
    NEWEST.write_text(text, "utf-8")


def table() -> str:
    """The table of versions."""
    newest = pins(NEWEST)
    day = re.search(r"\d{4}-\d\d-\d\d", NEWEST.read_text("utf-8"))
    assert day, f"{NEWEST}: expected a date"
    rows = [f"| package | pinned | newest, {day[0]} |", "| --- | --- | --- |"]
    rows += [f"| {name} | {wanted} | {newest[name]} |" for name, wanted in pinned().items()]
    return "\n".join(rows)


def render() -> str:
    """The page, with the table drawn anew."""
    return filled(DOCUMENT.read_text("utf-8"), "versions", table())


def main() -> None:
    """See above."""
    match sys.argv[1:]:
        case []:
            DOCUMENT.write_text(render(), "utf-8")
        case ["--tests"]:
            print("\n".join(tests_of_others()))
        case ["--since"]:
            print(", ".join(released_since()))
        case ["--write"]:
            write()
        case others:
            sys.exit(f"expected --tests, --since, --write or nothing, got {' '.join(others)}")


if __name__ == "__main__":
    main()
