"""Servers under load, side by side: python -m benchmarks.serving setup, run, report.

`setup` installs this project, compiles llama.cpp's server and installs FastAPI with
sentence-transformers; `run` asks each in turns, with wrk; `report` gives the tables. Needs Linux
and wrk (Debian's package of that name).
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import ROOT
from benchmarks.environments import HOME
from benchmarks.machine import commit, hold, limit_cpus
from benchmarks.serving.report import publish, report
from benchmarks.serving.servers import SERVERS, answers, ask, memory_mib, running
from minilm_onnx import InputError, SentenceEncoder
from minilm_onnx.arrays import FloatArray
from minilm_onnx.cli import report_errors
from minilm_onnx.engine.cpus import cpu_name
from minilm_onnx.measure.sample import sample_texts
from minilm_onnx.verify.golden import read_golden

LOAD = Path(__file__).parent / "load.lua"
WORDS = (10, 200)
TEXTS = (1, 32)
CONNECTIONS = (1, 8, 64, 256)
BODIES = 64
# Texts that these are drawn from.
DISTINCT = 500
# A wave, in which every connection is answered once, and half another.
WAVES = 1.5
PORT = 8341
SEED = 20240


def texts_of(encoder: SentenceEncoder, words: int) -> list[str]:
    """Make texts of so many words, none longer than the model reads."""
    plain = [word for text in sample_texts(20_000) for word in text.split() if word.isalpha()]
    texts = [" ".join(plain[i : i + words]) for i in range(0, len(plain) - words, words)]
    texts = texts[: 4 * DISTINCT]
    reports = encoder.inspect(texts)
    whole = [text for text, report in zip(texts, reports, strict=True) if not report.cut]
    return whole[:DISTINCT]


def write_bodies(path: Path, texts: Sequence[str], size: int) -> None:
    """Write the requests that wrk repeats, one a line."""
    draw = random.Random(SEED)
    bodies = (
        json.dumps({"model": "all-MiniLM-L6-v2", "input": draw.sample(texts, size)})
        for _ in range(BODIES)
    )
    path.write_text("\n".join(bodies) + "\n", "utf-8")


def load(bodies: Path, connections: int, seconds: float) -> dict[str, Any]:
    """Let wrk ask from so many connections, each of which waits for its answer."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "600s"]
    command += ["--script", str(LOAD), f"http://127.0.0.1:{PORT}/v1/embeddings", "--", str(bodies)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def cosines(texts: Sequence[str], expected: FloatArray) -> dict[str, float]:
    """Compare a server's vectors with those of sentence-transformers in fp32."""
    found = [ask(PORT, text, 60.0) for text in texts]
    cosine = np.sum(np.array(found, dtype=np.float32) * expected, axis=1)
    return {"mean": round(float(cosine.mean()), 5), "min": round(float(cosine.min()), 5)}


def measure(options: argparse.Namespace) -> None:
    """Ask every server, round by round."""
    if shutil.which("wrk") is None:
        raise InputError("wrk: expected it on the PATH, got none; apt install wrk")
    limit_cpus(options.threads)
    encoder = SentenceEncoder()
    golden = read_golden(encoder.folder, encoder.dimension)
    reports = encoder.inspect(golden.texts)
    kept = [i for i, one in enumerate(reports) if not one.cut and golden.texts[i].strip()]
    conditions = {
        "cpu": cpu_name(),
        "threads": options.threads,
        "commit": commit(ROOT),
        "python": sys.version.split()[0],
    }
    names = options.only or list(SERVERS)
    cells = [(words, size) for words in WORDS for size in TEXTS]
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=options.rounds * len(names) * len(cells) * len(CONNECTIONS)) as bar,
        options.out.open("a", encoding="utf-8") as file,
        hold(options.lock),
    ):
        for words in WORDS:
            texts = texts_of(encoder, words)
            for size in TEXTS:
                write_bodies(Path(folder) / f"{words}-{size}", texts, size)
        for number in range(options.rounds):
            # Who comes first, and who last, changes.
            for name in names[number % len(names) :] + names[: number % len(names)]:
                bar.set_description(name)
                server = Fresh(name, options)
                quality = cosines([golden.texts[i] for i in kept], golden.vectors[kept])
                for words, size in cells:
                    bodies = Path(folder) / f"{words}-{size}"
                    alone_s = 0.0
                    for connections in CONNECTIONS:
                        server.be_idle()
                        load(bodies, connections, 1)  # to warm up
                        wave = WAVES * connections * alone_s
                        seconds = min(max(options.seconds, wave), options.most_seconds)
                        found = load(bodies, connections, seconds)
                        alone_s = alone_s or found["p50_ms"] / 1000
                        line = {
                            "server": name,
                            "words": words,
                            "texts": size,
                            "connections": connections,
                            "round": number,
                            **found,
                            "memory_mib": memory_mib(server.process),
                            "cosine": quality,
                            **conditions,
                        }
                        file.write(json.dumps(line) + "\n")
                        file.flush()
                        bar.update()
                server.stop()


class Fresh:
    """A server that is started anew where it still works for those who have left."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        """Start it."""
        self.name, self.options = name, options
        self.start()

    def start(self) -> None:
        """Start one."""
        options = self.options
        self.stack = ExitStack()
        self.process = self.stack.enter_context(
            running(self.name, options.home, options.checkpoint, options.threads, PORT)
        )

    def stop(self) -> None:
        """End it."""
        self.stack.close()

    def be_idle(self) -> None:
        """See that nothing is left to do from before."""
        if not answers(PORT, 0.5):
            self.stop()
            self.start()


def main(arguments: Sequence[str]) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    setting = commands.add_parser("setup", help="make what the servers need")
    running_ = commands.add_parser("run", help="ask them")
    for command in (setting, running_):
        command.add_argument("--checkpoint", type=Path, required=True, metavar="DIR")
        command.add_argument("--home", type=Path, default=HOME, metavar="DIR")
        command.add_argument("--only", nargs="+", choices=SERVERS, help="servers; default: all")
    running_.add_argument("--out", type=Path, required=True, help="raw results, JSON lines")
    running_.add_argument("--rounds", type=int, default=3, metavar="N", help="default %(default)s")
    running_.add_argument("--threads", type=int, default=2, metavar="N", help="default %(default)s")
    running_.add_argument(
        "--seconds", type=float, default=5.0, metavar="S", help="a measurement; default %(default)s"
    )
    running_.add_argument(
        "--most-seconds",
        type=float,
        default=20.0,
        metavar="S",
        help="where many requests take longer; default %(default)s",
    )
    running_.add_argument("--lock", type=Path, metavar="FILE", help="hold this lock meanwhile")
    reporting = commands.add_parser("report", help="print the tables")
    reporting.add_argument("file", type=Path, metavar="FILE", help="raw results")
    reporting.add_argument("--publish", action="store_true", help="write them into docs/server.md")
    options = parser.parse_args(arguments)
    if options.command == "report":
        lines = [json.loads(line) for line in options.file.read_text("utf-8").splitlines()]
        if options.publish:
            publish(lines)
        else:
            print(report(lines))
        return 0
    options.home, options.checkpoint = options.home.resolve(), options.checkpoint.resolve()
    if options.command == "setup":
        for name in options.only or SERVERS:
            print(f"{SERVERS[name].title} ...", flush=True)
            SERVERS[name].set_up(options.home, options.checkpoint)
        return 0
    measure(options)
    return 0


if __name__ == "__main__":
    sys.exit(report_errors(main, sys.argv[1:]))
