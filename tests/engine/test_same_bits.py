"""One text, one vector, whichever kernel of the native operators this machine is told to take."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.native import KERNEL, PLAIN, kernels, native
from minilm_onnx.verify.golden import bits_of, read_golden
from tests.conftest import Golden
from tests.support.libraries import ROOT, compiled, package_with

# Encodes texts by a kernel, and prints it and the sha256 of the vectors.
CODE = """
import json, sys
from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.native import native
from minilm_onnx.verify.golden import bits_of
print(native().kernel, bits_of(SentenceEncoder().encode(json.load(sys.stdin))))
"""


@pytest.fixture(scope="module")
def stated(encoder: SentenceEncoder) -> list[str]:
    """The texts of the model folder, whose bits its manifest states."""
    return read_golden(encoder.folder, encoder.dimension).texts


def bits_by(kernel: str, texts: Iterable[str], package: Path = ROOT) -> str:
    """Let a kernel encode texts in a process of its own."""
    path = os.pathsep.join([str(package), *(path for path in sys.path if path)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        cwd=package,
        env={**os.environ, KERNEL: kernel, "PYTHONPATH": path},
        input=json.dumps(list(texts)),
        capture_output=True,
        text=True,
        check=True,
    )
    taken, bits = done.stdout.split()
    assert taken == kernel
    return bits


def kernels_here() -> list[str]:
    """The names of those that this CPU can run, best first."""
    library = native()
    if library is None:
        pytest.skip("this installation has no native library")
    return [kernel.name for kernel in kernels(library.path) if kernel.runs]


def test_every_kernel_gives_the_same_bits_of_every_golden_text(golden: Golden) -> None:
    """But plain C, which takes minutes for long texts."""
    first, *others = [name for name in kernels_here() if name != PLAIN]
    wanted = bits_by(first, golden.texts)
    for name in others:
        assert bits_by(name, golden.texts) == wanted, name


@pytest.mark.slow
def test_plain_c_gives_the_bits_that_the_manifest_states(
    encoder: SentenceEncoder, stated: list[str]
) -> None:
    assert encoder.manifest
    assert PLAIN in kernels_here()
    assert bits_by(PLAIN, stated) == encoder.manifest.bits


def test_this_machine_gives_the_bits_that_the_manifest_states(
    encoder: SentenceEncoder, stated: list[str]
) -> None:
    """With whichever versions of onnxruntime and numpy are installed."""
    assert encoder.manifest
    assert kernels_here()
    assert bits_of(encoder.encode(stated)) == encoder.manifest.bits


def test_the_kernel_for_avx_vnni_gives_the_bits_that_the_manifest_states(
    encoder: SentenceEncoder, stated: list[str], tmp_path: Path
) -> None:
    """Laptops have these instructions without AVX-512; here they run in its encoding."""
    assert encoder.manifest
    if "avx512vnni" not in kernels_here():
        pytest.skip("this CPU has no AVX-512 VNNI")
    library = compiled(tmp_path, "-DAVXVNNI_AS_EVEX")
    package = package_with(library, tmp_path / "project")
    assert bits_by("avxvnni", stated, package) == encoder.manifest.bits


def test_the_table_of_hashes_is_of_the_bundled_model(encoder: SentenceEncoder) -> None:
    """docs/quality.md names every kernel, and one hash; other pages show what verify prints."""
    build = pytest.importorskip("kernels.build", reason="not a checkout")
    page = (ROOT / "docs" / "quality.md").read_text("utf-8")
    rows = re.findall(r"^\| [^|]* \| `(\w+)` \|.*\| `(\w+)` \|$", page, re.MULTILINE)
    named = {kernel for kernel, _ in rows}
    assert named == {PLAIN, *(name for machine in build.KERNELS.values() for name in machine)}
    assert encoder.manifest
    assert {bits for _, bits in rows} == {encoder.manifest.bits[:16]}
    for name in ("edge.md", "walk.zh.md"):
        shown = (ROOT / "docs" / name).read_text("utf-8")
        assert f"the same bits as on every CPU: sha256 {encoder.manifest.bits[:16]}...;" in shown
