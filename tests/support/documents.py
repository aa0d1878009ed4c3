"""The code of README.md, CONTRIBUTING.md and docs/: found, and run as a reader would run it."""

import contextlib
import gzip
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from minilm_onnx.folder.finding import BUNDLED
from tests.support.servers import free_port, start, stop

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[\w -]+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$"
    r"(?:\n\n```text\n(?P<said>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"-?\d+\.\d+")
# Of a score: machines differ in the third decimal.
TOLERANCE = 0.02
QUESTIONS = (
    "How do I reset my password?",
    "How can I reset the password?",
    "How do I get my money back?",
    "When does the train leave?",
    "What does error XK9931 mean?",
)


@dataclass(frozen=True)
class Block:
    """Code of a page, what stands in a comment before it, and what it is said to print."""

    page: str
    mark: str
    language: str
    code: str
    said: str

    def __str__(self) -> str:
        return f"{self.page}: {self.code.splitlines()[0]}"


def pages() -> list[str]:
    """All that people wrote; the reference shows signatures."""
    beside = (ROOT / "README.md", ROOT / "CONTRIBUTING.md")
    found = [*beside, *sorted((ROOT / "docs").glob("*.md"))]
    return [str(p.relative_to(ROOT)) for p in found if p.name != "reference.md"]


def blocks(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    found = BLOCK.finditer((ROOT / page).read_text("utf-8"))
    return [Block(page, *(m[name] or "" for name in BLOCK.groupindex)) for m in found]


def run_python(block: Block, namespace: dict[str, Any]) -> None:
    """Run it, and compare what it prints with what the page says, numbers within a tolerance."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(block.code, str(block), "exec"), namespace)  # the project's own page
    except ImportError as error:
        if (error.name or "minilm_onnx").startswith("minilm_onnx"):
            raise
        pytest.skip(f"{error.name} is not installed")
    if block.said:
        check_printed(printed.getvalue(), block.said)


def check_printed(found: str, said: str) -> None:
    """Compare what code prints with what the page says, numbers within a tolerance."""
    assert NUMBER.sub("#", found) == NUMBER.sub("#", said)
    scores, expected = ([float(n) for n in NUMBER.findall(text)] for text in (found, said))
    assert scores == pytest.approx(expected, abs=TOLERANCE)


def lines(block: Block) -> list[str]:
    """The commands of a shell's block, without comments."""
    joined = block.code.replace("\\\n", " ")
    found = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in found if line]


def furnish(folder: Path) -> dict[str, str]:
    """Make the files that the pages name; give the environment of a reader's shell."""
    rows = "".join(f'{{"body": "{text}"}}\n' for text in QUESTIONS)
    for name in ("texts.txt", "faq.txt", "questions.txt", "feedback.txt"):
        (folder / name).write_text("\n".join(QUESTIONS) + "\n", "utf-8")
    (folder / "rows.jsonl").write_text(rows, "utf-8")
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    (folder / "log.gz").write_bytes(gzip.compress("\n".join(QUESTIONS).encode()))
    (folder / "faq.csv").write_text("\n".join(("question", *QUESTIONS)) + "\n", "utf-8")
    (folder / "notes").mkdir()
    (folder / "notes" / "shop.md").write_text("# Returns\n\n" + "\n\n".join(QUESTIONS), "utf-8")
    (folder / "manual.md").write_text("# Manual\n\nXK9931: no paper.\n", "utf-8")
    (folder / "keys.txt").write_text("a-key-of-some-length\n", "utf-8")
    (folder / ".zfunc").mkdir()
    (folder / "model-fp32").symlink_to(BUNDLED)
    with contextlib.suppress(ImportError):
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"body": list(QUESTIONS)})
        (folder / "rows").mkdir()
        pq.write_table(table, folder / "rows.parquet")
        pq.write_table(table, folder / "rows" / "one.parquet")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**os.environ, "HOME": str(folder), "PATH": path}


class Shell:
    """Runs the commands of a page one after the other, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = furnish(folder)
        self.server: subprocess.Popen[str] | None = None
        self.port = 8080

    def run(self, block: Block) -> str:
        """Run a block, and give what it prints; what it installs is only looked up."""
        printed = ""
        for line in lines(block):
            if line.startswith("pip install"):
                check_extras(line)
            elif line.startswith("minilm-onnx serve"):
                self.serve(shlex.split(line)[2:])
            elif line.startswith("minilm-onnx mcp") and "--http" in line:
                self.serve(shlex.split(line)[2:], "mcp")
            elif line.startswith("minilm-onnx mcp"):
                printed += self.command(f"{line} < /dev/null")  # a client that leaves at once
            elif line.startswith("minilm-onnx bench"):
                printed += self.command(f"{line} --seconds 1")  # the last one counts
            else:
                printed += self.command(line.replace(":8080", f":{self.port}"))
        self.end()
        return printed

    def command(self, line: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}{done.stdout}"
        return done.stdout

    def serve(self, arguments: list[str], command: str = "serve") -> None:
        """Start a server on a free port, or on a socket in the folder."""
        self.end()
        if "--unix-socket" in arguments:
            where = str(self.folder / "socket")
            arguments[arguments.index("--unix-socket") + 1] = where
        else:
            self.port = free_port()
            where = f"http://127.0.0.1:{self.port}"
            if "--port" in arguments:
                arguments[arguments.index("--port") + 1] = str(self.port)
            else:
                arguments += ["--port", str(self.port)]
        self.server = start(
            *arguments, where=where, command=command, cwd=self.folder, env=self.environment
        )

    def end(self) -> None:
        """Stop the server that runs, if one does."""
        if self.server:
            server, self.server = self.server, None
            stop(server)


@contextlib.contextmanager
def shell(folder: Path) -> Iterator[Shell]:
    """A shell whose server is stopped at last."""
    made = Shell(folder)
    try:
        yield made
    finally:
        made.end()


def check_extras(line: str) -> None:
    """What is installed must be this project, with extras that it has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for wanted in shlex.split(line)[2:]:
        found = re.fullmatch(r"(?:\.|minilm-onnx)(?:\[([\w,-]+)\])?", wanted)
        assert found, line
        extras = set((found[1] or "").split(",")) - {""}
        assert extras <= set(project["optional-dependencies"]), line
