"""One engine in a process of its own: python -m benchmarks.worker NAME FOLDER THREADS.

Reads a JSON command a line and answers each with a JSON line; `benchmarks.engine` is the other
end, and worker.mjs the same for node. Imports the standard library and its contender.
"""

import gc
import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from benchmarks.contenders import Embed, distributions, module

WARM_UP = 8


def main(arguments: list[str]) -> int:
    """Load the contender, then answer until stdin ends."""
    name, folder, threads = arguments[0], Path(arguments[1]), int(arguments[2])
    answers = private_stdout()
    start = time.perf_counter()
    contender = module(name)
    embed: Embed = contender.load(folder, threads)
    load_ms = (time.perf_counter() - start) * 1e3
    ready = {"load_ms": load_ms, "versions": versions(contender.REQUIREMENTS), **memory()}
    print(json.dumps(ready), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = obey(embed, json.loads(line))
        except Exception as error:  # an engine may raise anything: the parent decides
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def private_stdout() -> TextIO:
    """Keep stdout for answers; what libraries print there goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def versions(requirements: tuple[str, ...]) -> dict[str, str]:
    """Give the versions of what a contender asked for."""
    found = {"python": sys.version.split()[0]}
    for name in distributions(requirements):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def obey(embed: Embed, command: dict[str, Any]) -> dict[str, Any]:
    """Do one command and give what was measured."""
    what, batch = command["do"], command.get("batch")
    if what == "memory":
        return memory()
    texts = json.loads(Path(command["texts"]).read_text("utf-8"))
    if what == "embed":
        import numpy as np

        np.asarray(embed(texts, batch), dtype=np.float32).tofile(command["out"])
        return {}
    gc.collect()
    if what == "bulk":
        embed(texts[:WARM_UP], batch)
        return {"seconds": timed(embed, texts, batch)}
    if what == "requests":
        for request in texts[: command["warm_up"]]:
            embed(request, batch)
        latencies = []
        for request in texts:
            time.sleep(command["pause_ms"] / 1e3)
            latencies.append(timed(embed, request, batch) * 1e3)
        return {"latencies_ms": latencies}
    raise ValueError(f"do: expected memory, embed, bulk or requests, got {what!r}")


def timed(embed: Embed, texts: list[str], batch: int | None) -> float:
    """Give the seconds of one call."""
    start = time.perf_counter()
    embed(texts, batch)
    return time.perf_counter() - start


def memory() -> dict[str, float]:
    """Read resident memory, now and at its peak."""
    fields = dict(
        line.split(":", 1)
        for line in Path("/proc/self/status").read_text().splitlines()
        if ":" in line
    )
    return {
        "rss_mib": int(fields["VmRSS"].split()[0]) / 1024,
        "peak_rss_mib": int(fields["VmHWM"].split()[0]) / 1024,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
