"""What the package is as a whole: its imports, its documents, its files."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

import minilm_onnx
from minilm_onnx.engine.silent import advice
from minilm_onnx.folder.files import sha256_of
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import FILES

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "huggingface_hub", "optimum", "sentence_transformers", "onnx")


def printed(code: str) -> str:
    """What Python code prints in a process of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_embedding_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        f"for name in {HEAVY!r}: sys.modules[name] = None  # importing it is an error\n"
        "import minilm_onnx, minilm_onnx.cli\n"
        "minilm_onnx.SentenceEncoder().encode(['a text'])\n"
        f"print([name for name in {HEAVY!r} if sys.modules[name]])"
    )
    assert printed(code) == "[]\n"


def test_importing_leaves_for_later_what_a_first_vector_does_not_need() -> None:
    code = (
        "import sys, numpy, onnxruntime, tokenizers; before = set(sys.modules); import minilm_onnx;"
        "print(sorted({'asyncio', 'tqdm', 'ctypes', 'concurrent.futures', 'zipfile'} "
        "& (set(sys.modules) - before)))"
    )
    assert printed(code) == "[]\n"


def test_the_runtime_depends_on_three_packages() -> None:
    core = [line for line in requires("minilm-onnx") or [] if "extra ==" not in line]
    names = sorted(re.split(r"[<>=!~ ;\[]", line)[0] for line in core)
    assert names == ["numpy", "onnxruntime", "tokenizers"]


def test_exports_are_sorted_and_documented() -> None:
    assert sorted(minilm_onnx.__all__) == minilm_onnx.__all__
    for name in minilm_onnx.__all__:
        assert name == "__version__" or getattr(minilm_onnx, name).__doc__


def test_embedding_needs_no_network() -> None:
    code = (
        "import socket\n"
        "def refuse(*_, **__): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "import minilm_onnx\n"
        "print(minilm_onnx.SentenceEncoder().encode('a text').shape)"
    )
    assert printed(code) == "(384,)\n"


def test_onnxruntime_is_kept_from_reporting() -> None:
    """Its reporting threads would keep the forked process from ending."""
    code = (
        "import os, sys, minilm_onnx\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "child = os.fork() if hasattr(os, 'fork') else None\n"
        "if child == 0: sys.exit(7)\n"
        "print(child and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    # What else makes onnxruntime silent: on a machine of this project's own it is not set.
    loud = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS"}
    environment = {key: value for key, value in os.environ.items() if key not in loud}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert output in ("7\n", "None\n")


def test_onnxruntime_is_imported_in_one_place() -> None:
    package = Path(minilm_onnx.__file__).parent
    found = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert found == ["silent.py"]


@pytest.mark.parametrize(
    ("bits", "system", "machine", "libc", "word"),
    [
        (32, "linux", "armv7l", "glibc", "32-bit"),
        (32, "linux", "aarch64", "glibc", "32-bit"),
        (64, "linux", "x86_64", "", "musl"),
        (64, "darwin", "x86_64", "", "onnxruntime==1.23.2"),
        (64, "darwin", "arm64", "", "pip install onnxruntime"),
        (64, "linux", "aarch64", "glibc", "pip install onnxruntime"),
    ],
)
def test_where_no_onnxruntime_is_the_error_says_why(
    bits: int, system: str, machine: str, libc: str, word: str
) -> None:
    assert word in advice(bits=bits, system=system, machine=machine, libc=libc)


def test_importing_without_onnxruntime_is_one_clear_error() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "try: import minilm_onnx\n"
        "except ImportError as error: print(error)"
    )
    said = printed(code)
    assert said.startswith("onnxruntime: expected to import it on ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["create_app", "Settings"])
def test_the_server_without_its_extra_says_what_to_install(name: str) -> None:
    said = printed(
        "import sys; sys.modules['starlette'] = None\n"
        "import minilm_onnx.server\n"
        f"try: from minilm_onnx.server import {name}\n"
        "except minilm_onnx.InputError as error: print(error)"
    )
    assert said.startswith(f"{name}: expected the packages of a server, got ")
    assert "pip install '.[server]'" in said
    assert said.count("\n") == 1


def test_the_bill_of_materials_names_what_is_in_the_model() -> None:
    path = ROOT / "sbom.cdx.json"
    if not path.exists():
        pytest.skip("not a checkout")
    bill = json.loads(path.read_text("utf-8"))
    assert bill["metadata"]["component"]["version"] == minilm_onnx.__version__
    stated = {
        Path(component["name"]).name: component["hashes"][0]["content"]
        for component in bill["components"]
        if component["type"] == "file"
    }
    assert stated == {name: sha256_of(BUNDLED / name) for name in FILES}
    named = {component["name"] for component in bill["components"]}
    assert {"numpy", "onnxruntime", "tokenizers"} < named


def test_bill_of_materials_and_notice_name_what_is_linked_into_the_library() -> None:
    targets = pytest.importorskip("kernels.targets", reason="not a checkout")
    components = json.loads((ROOT / "sbom.cdx.json").read_text("utf-8"))["components"]
    versions = {component["name"]: component.get("version") for component in components}
    assert versions["minilm_onnx/native"] == minilm_onnx.__version__
    assert versions["ziglang"] == versions["compiler_rt"] == targets.ZIG_VERSION
    assert "mingw-w64" in versions
    notice = (ROOT / "NOTICE").read_text("utf-8")
    assert f"zig {targets.ZIG_VERSION}" in notice
    for words in ("compiler_rt", "Zig contributors", "mingw-w64 project", "minilm_onnx/native"):
        assert words in notice


def test_one_version_of_zig_is_pinned_wherever_it_is_named() -> None:
    """Another compiles other bytes."""
    targets = pytest.importorskip("kernels.targets", reason="not a checkout")
    pages = (".ci/run", ".ci/requirements.txt", "CONTRIBUTING.md", "docs/wheels.md")
    for path in (ROOT / name for name in pages):
        named = re.findall(r"ziglang==[\d.]+", path.read_text("utf-8")) if path.exists() else []
        assert set(named) <= {targets.ZIG}, path


def test_the_bundled_files_fit_the_wheel() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 25 * 2**20


def test_golden_files_are_those_of_their_provenance() -> None:
    folder = ROOT / "tests" / "golden"
    stated = re.findall(r"- (\S+): sha256 (\w{64})", (folder / "PROVENANCE.md").read_text("utf-8"))
    names = ["texts.jsonl", "vectors.npy", "ids.jsonl", "kinds.jsonl", "kinds.npy"]
    assert [name for name, _ in stated] == names
    for name, digest in stated:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "NOTICE"])
def test_documents_name_the_model(name: str) -> None:
    if not (ROOT / name).exists():
        pytest.skip("not a checkout")
    assert "all-MiniLM-L6-v2" in (ROOT / name).read_text("utf-8")
