"""The package on CPUs that this machine is not: QEMU user emulation. Never a timing here.

Raspberry Pi's cores run the real aarch64 wheels, if `python -m tests.support.emulation` has brought
them.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.arrays import FloatArray
from minilm_onnx.engine.native import KERNEL, NONE, native
from minilm_onnx.verify.golden import bits_of, read_golden
from tests.conftest import Golden, cosines
from tests.encoder.test_parity import MEAN_COSINE, MIN_COSINE, ORDINARY
from tests.support.emulation import CORES, DEFAULT, MAX, guest, guest_environment
from tests.support.libraries import compiled_for_arm, package_with

pytestmark = pytest.mark.slow

# Of this machine's Python.
OWN_ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
WITHOUT = {KERNEL: NONE}

# The operators' bodies on one CPU family against another, where codes may round the other way: they
# have 0.9999 and 0.9996. The library's vectors are equal.
MEAN_ACROSS, MIN_ACROSS = 0.9998, 0.999

# In bf16, to sentence-transformers in fp32: 0.999986 and 0.99993 over 70 texts.
MEAN_BF16, MIN_BF16 = 0.9999, 0.9998
BF16_LENGTH = 6

# Those that need no second process, which would be this machine's Python and not the guest's, and
# do not embed long texts, which takes minutes under emulation.
OWN_TESTS = [
    *("tests/folder/test_artifact.py", "tests/engine/test_batches.py", "tests/engine/test_cpus.py"),
    *("tests/vectors", "tests/text"),
]
OWN_TESTS += [
    f"--deselect=tests/folder/test_artifact.py::test_{name}"
    for name in (
        "no_code_of_a_model_folder_is_run",
        "a_package_in_a_zip_archive_says_what_is_missing",
    )
]
LEAST_OWN_TESTS = 150

CODE = """
import json, platform, sys, numpy
from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.native import native
from minilm_onnx.engine.policy import products_saturate
encoder = SentenceEncoder(sys.argv[3] or None, threads=1, bf16=sys.argv[4] == "bf16")
texts = json.load(open(sys.argv[1]))
vectors = encoder.encode(texts)
assert numpy.array_equal(numpy.stack([encoder.encode(text) for text in texts[:20]]), vectors[:20])
numpy.save(sys.argv[2] + ".npy", vectors)
library = native()
json.dump({
    "machine": platform.machine(),
    "runtime": encoder.runtime,
    "kernel": library.kernel if library else None,
    "saturates": products_saturate(),
    "exact": encoder.policy.exact_products,
    "ids": [ids.tolist() for ids in encoder.tokenize_texts(texts).ids],
}, open(sys.argv[2] + ".json", "w"))
"""


@dataclass(frozen=True)
class Answer:
    """What an emulated CPU says.

    Attributes:
        facts: about it.
        vectors: of the chosen texts.
    """

    facts: dict[str, object]
    vectors: FloatArray

    @property
    def bits(self) -> str:
        """Of the vectors, all of them."""
        return bits_of(self.vectors)


@pytest.fixture(scope="module")
def chosen(golden: Golden) -> list[int]:
    """Every sixth of the golden texts of at most 100 tokens that are language."""
    rows = enumerate(zip(golden.kinds, golden.ids, strict=True))
    return [i for i, (kind, ids) in rows if kind in ORDINARY and len(ids) <= 100][::6]


def ask(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    folder: Path,
    texts: Sequence[str],
    model: str = "",
    products: str = "",
) -> Answer:
    """Let an emulated Python embed texts."""
    (folder / "texts.json").write_text(json.dumps(texts), "utf-8")
    arguments: list[str | Path] = ["-c", CODE, folder / "texts.json", folder / "out"]
    arguments += [model, products]
    # Python looks for packages in the folder it is started in, and only then in PYTHONPATH.
    result = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return Answer(json.loads((folder / "out.json").read_text()), np.load(folder / "out.npy"))


def check_limits(answer: Answer, golden: Golden, chosen: list[int]) -> None:
    """Token ids exactly, and int8 as near to fp32 as anywhere."""
    ids = answer.facts["ids"]
    assert isinstance(ids, list)
    assert ids[: len(chosen)] == [golden.ids[i] for i in chosen]
    found = cosines(answer.vectors[: len(chosen)], golden.vectors[chosen])
    assert found.mean() >= MEAN_COSINE
    assert found.min() >= MIN_COSINE


@pytest.fixture(scope="module")
def texts(golden: Golden, chosen: list[int], encoder: SentenceEncoder) -> list[str]:
    """The chosen ones, and those of the model folder, whose bits docs/quality.md states."""
    own = read_golden(encoder.folder, encoder.dimension).texts
    return [*(golden.texts[i] for i in chosen), *own]


@pytest.fixture(scope="module")
def bits(encoder: SentenceEncoder, texts: list[str]) -> str:
    """Of this machine's vectors, by the kernel that it takes of itself."""
    if native() is None:
        pytest.skip("this installation has no native library")
    return bits_of(encoder.encode(texts))


@pytest.fixture(scope="module")
def haswell() -> list[str | Path]:
    """The command that runs this Python on a CPU that has AVX2, and no VNNI."""
    if platform.machine() != "x86_64":
        pytest.skip("emulates x86-64 on x86-64")
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        pytest.skip("qemu-x86_64 (Debian's qemu-user) is not installed")
    return [qemu, "-cpu", "Haswell", Path(sys.executable).resolve()]


@pytest.fixture(scope="module")
def aarch64() -> Path:
    """The folder of an aarch64 Python."""
    if not (DEFAULT / "ready").exists():
        pytest.skip(
            "no aarch64 Python: python -m tests.support.emulation (needs Debian's qemu-user)"
        )
    return DEFAULT


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the package with a library for aarch64."""
    folder = tmp_path_factory.mktemp("aarch64")
    return package_with(compiled_for_arm(folder), folder / "project")


def test_haswell_gives_the_bits_of_this_machine(
    haswell: list[str | Path], tmp_path: Path, texts: list[str], bits: str
) -> None:
    answer = ask(haswell, OWN_ENVIRONMENT, tmp_path, texts)
    assert answer.facts["saturates"]
    assert answer.facts["kernel"] == "avx2"
    assert answer.bits == bits


@pytest.mark.parametrize(
    ("core", "kernel"),
    [("cortex-a53", "neon"), ("cortex-a72", "neon"), ("cortex-a76", "dotprod"), (MAX, "i8mm")],
)
def test_arm_gives_the_bits_of_this_machine(
    aarch64: Path,
    project: Path,
    core: str,
    kernel: str,
    tmp_path: Path,
    texts: list[str],
    bits: str,
) -> None:
    answer = ask(guest(aarch64, core), guest_environment(aarch64, project), tmp_path, texts)
    assert answer.facts["machine"] == "aarch64"
    assert answer.facts["kernel"] == kernel
    assert answer.bits == bits


def test_without_the_library_a_cpu_whose_products_saturate_keeps_the_limits(
    haswell: list[str | Path], tmp_path: Path, golden: Golden, chosen: list[int], texts: list[str]
) -> None:
    """Haswell has AVX2 and no VNNI; without the guard the mean cosine falls to 0.997."""
    answer = ask(haswell, OWN_ENVIRONMENT | WITHOUT, tmp_path, texts)
    assert answer.facts["kernel"] is None
    assert answer.facts["saturates"]
    assert answer.facts["exact"]
    check_limits(answer, golden, chosen)


def test_without_the_library_a_raspberry_pi_keeps_the_limits(
    aarch64: Path,
    project: Path,
    golden: Golden,
    chosen: list[int],
    tmp_path: Path,
    texts: list[str],
) -> None:
    environment = {**guest_environment(aarch64, project), **WITHOUT}
    there = ask(guest(aarch64, "cortex-a76"), environment, tmp_path, texts)
    assert there.facts["machine"] == "aarch64"
    assert there.facts["kernel"] is None
    assert not there.facts["saturates"]
    check_limits(there, golden, chosen)
    here = ask([sys.executable], OWN_ENVIRONMENT | WITHOUT, tmp_path, texts)
    across = cosines(there.vectors, here.vectors)
    assert across.mean() >= MEAN_ACROSS
    assert across.min() >= MIN_ACROSS


@pytest.mark.parametrize("core", CORES)
def test_fp32_on_a_raspberry_pi_is_sentence_transformers(
    aarch64: Path, project: Path, core: str, golden: Golden, fp32_folder: Path, tmp_path: Path
) -> None:
    short = [i for i, ids in enumerate(golden.ids) if len(ids) <= 12][:8]
    texts = [golden.texts[i] for i in short]
    environment = guest_environment(aarch64, project)
    answer = ask(guest(aarch64, core), environment, tmp_path, texts, str(fp32_folder))
    assert answer.facts["ids"] == [golden.ids[i] for i in short]
    np.testing.assert_allclose(answer.vectors, golden.vectors[short], rtol=0, atol=1e-5)


def test_bf16_on_an_arm_that_has_it_is_near_float32(
    aarch64: Path, project: Path, golden: Golden, fp32_folder: Path, tmp_path: Path
) -> None:
    """Of texts of one length, since QEMU takes half a second for a text in bf16."""
    short = [i for i, ids in enumerate(golden.ids) if len(ids) == BF16_LENGTH][:12]
    texts = [golden.texts[i] for i in short]
    environment = guest_environment(aarch64, project)
    answer = ask(guest(aarch64, MAX), environment, tmp_path, texts, str(fp32_folder), "bf16")
    assert str(answer.facts["runtime"]).endswith(" in bf16")
    assert answer.facts["ids"] == [golden.ids[i] for i in short]
    found = cosines(answer.vectors, golden.vectors[short])
    assert found.mean() >= MEAN_BF16
    assert found.min() >= MIN_BF16
    assert not np.allclose(answer.vectors, golden.vectors[short], rtol=0, atol=1e-5)


def test_bf16_is_refused_on_an_arm_without_it(
    aarch64: Path, project: Path, fp32_folder: Path, tmp_path: Path
) -> None:
    code = "import sys; from minilm_onnx import SentenceEncoder as e; e(sys.argv[1], bf16=True)"
    result = subprocess.run(
        guest(aarch64, "cortex-a76", "-c", code, fp32_folder),
        cwd=tmp_path,
        env=guest_environment(aarch64, project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "InputError: bf16: expected False, since" in result.stderr
    assert "multiplies float32 as float32 on this CPU (aarch64, Linux)" in result.stderr


def test_the_packages_own_tests_pass_on_a_raspberry_pi(aarch64: Path, project: Path) -> None:
    """On one core, since they take minutes there; every core's vectors are compared above."""
    result = subprocess.run(
        guest(aarch64, "cortex-a76", "-m", "pytest", "-q", "-p", "no:cacheprovider", *OWN_TESTS),
        cwd=project,
        env=guest_environment(aarch64, project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = re.search(r"(\d+) passed", result.stdout)
    assert found
    assert int(found[1]) >= LEAST_OWN_TESTS
