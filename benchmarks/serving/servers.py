"""The servers that are compared: how each is set up, started, watched and ended."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT
from benchmarks.contenders.llama_cpp_q8_0 import unpack_source
from benchmarks.environments import (
    call,
    convert,
    install,
    model_folder,
    worker_environment,
)
from benchmarks.environments import python as interpreter
from minilm_onnx import MiniLMError

LLAMA = "llama_cpp_q8_0"
CMAKE = "cmake==4.4.5"
# Texts that llama.cpp runs together: 4, 16 and 64 were tried, 4 is the fastest for long texts and
# as fast as any for short ones. With its usual threads most connections are not looked at.
SLOTS, HTTP_THREADS = 4, 320
PLAIN = (
    "torch==2.13.0",
    "sentence-transformers==6.2.0",
    "fastapi==0.165.0",
    "uvicorn[standard]==0.54.0",
)
START_S = 120.0


@dataclass(frozen=True)
class Server:
    """A server that answers OpenAI's /v1/embeddings.

    Attributes:
        title: for tables.
        set_up: makes what it needs, of a home and a checkpoint's folder.
        command: starts it, of home, checkpoint, threads and port.
    """

    title: str
    set_up: Callable[[Path, Path], None]
    command: Callable[[Path, Path, int, int], list[str]]


def _set_up_own(home: Path, checkpoint: Path) -> None:
    install(home / "minilm_onnx_server" / "venv", [".[server]"])


def _own_command(home: Path, checkpoint: Path, threads: int, port: int) -> list[str]:
    program = interpreter(home, "minilm_onnx_server").with_name("minilm-onnx")
    return [str(program), "serve", "--threads", str(threads), "--port", str(port)]


def _set_up_llama(home: Path, checkpoint: Path) -> None:
    """Compile the server of the release that llama-cpp-python brings; it has no wheel."""
    convert(LLAMA, home, checkpoint, None)
    target = home / "llama_server"
    shutil.rmtree(target, ignore_errors=True)
    install(target / "venv", [CMAKE])
    cmake = str(target.resolve() / "venv" / "bin" / "cmake")
    with tempfile.TemporaryDirectory() as scratch:
        source = unpack_source(Path(scratch))
        options = {
            "CMAKE_BUILD_TYPE": "Release",
            "BUILD_SHARED_LIBS": "OFF",
            "GGML_NATIVE": "ON",
            "LLAMA_OPENSSL": "OFF",
            "LLAMA_USE_PREBUILT_UI": "OFF",
        }
        build = str(Path(scratch) / "build")
        given = [f"-D{name}={value}" for name, value in options.items()]
        call([cmake, "-S", str(source), "-B", build, *given])
        jobs = str(os.cpu_count() or 1)
        call([cmake, "--build", build, "--target", "llama-server", "-j", jobs])
        shutil.copy2(Path(build) / "bin" / "llama-server", target / "llama-server")


def _llama_command(home: Path, checkpoint: Path, threads: int, port: int) -> list[str]:
    model = model_folder(home, LLAMA) / "model.gguf"
    # 512 tokens a place, the most that BERT reads.
    context = str(512 * SLOTS)
    return [
        str(home / "llama_server" / "llama-server"),
        *(
            "--model",
            str(model),
            "--embeddings",
            "--pooling",
            "mean",
            "--alias",
            "all-MiniLM-L6-v2",
        ),
        *("--threads", str(threads), "--threads-batch", str(threads), "--parallel", str(SLOTS)),
        *("--ctx-size", context, "--batch-size", context, "--ubatch-size", context),
        *("--threads-http", str(HTTP_THREADS), "--port", str(port), "--log-disable"),
    ]


def _set_up_plain(home: Path, checkpoint: Path) -> None:
    install(home / "plain_server" / "venv", PLAIN)


def _plain_command(home: Path, checkpoint: Path, threads: int, port: int) -> list[str]:
    app = ["-m", "uvicorn", "benchmarks.serving.plain:app", "--log-level", "warning"]
    return [str(interpreter(home, "plain_server")), *app, "--port", str(port)]


SERVERS = {
    "minilm_onnx": Server("minilm-onnx serve", _set_up_own, _own_command),
    "llama_cpp": Server("llama.cpp's server, Q8_0", _set_up_llama, _llama_command),
    "plain": Server("FastAPI + sentence-transformers", _set_up_plain, _plain_command),
}


@contextmanager
def running(
    name: str, home: Path, checkpoint: Path, threads: int, port: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a server, wait until it answers, and end it at last.

    Raises:
        MiniLMError: it does not come up.
    """
    environment = worker_environment(threads) | {"CHECKPOINT": str(checkpoint.resolve())}
    if name == "minilm_onnx":
        del environment["PYTHONPATH"]  # what was installed runs, not the source
    command = SERVERS[name].command(home.resolve(), checkpoint, threads, port)
    process = subprocess.Popen(
        command, cwd=ROOT / "docs" if name == "minilm_onnx" else ROOT, env=environment
    )
    try:
        end = time.monotonic() + START_S
        while not answers(port, 30.0):
            if process.poll() is not None or time.monotonic() > end:
                raise MiniLMError(f"{name}: expected a server on port {port}, got none; see above")
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask(port: int, text: str, seconds: float) -> list[float]:
    """Give the vector of a text.

    Raises:
        OSError: there is no answer in time, or another status than 200.
    """
    question = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/embeddings",
        json.dumps({"model": "all-MiniLM-L6-v2", "input": [text]}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(question, timeout=seconds) as answer:
        vector: list[float] = json.load(answer)["data"][0]["embedding"]
    return vector


def answers(port: int, seconds: float) -> bool:
    """Whether a vector can be had within so long."""
    try:
        return bool(ask(port, "a text", seconds))
    except OSError:  # refused, or 503 while a model is loaded
        return False


def memory_mib(process: "subprocess.Popen[bytes]") -> float:
    """Proportional set size of a process and of its children."""
    pids = [process.pid]
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            pids += map(int, (task / "children").read_text().split())
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(total / 1024, 1)
