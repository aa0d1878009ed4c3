"""Wheels and editable installs: each holds the library of native operators, or says why not."""

import os
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

pytest.importorskip("hatchling", reason="hatchling, which builds wheels, is not installed")
build = pytest.importorskip("kernels.build", reason="not a checkout")

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "sbom.cdx.json", ".gitignore")
LIBRARY = f"minilm_onnx/native/{build.name_here()}"
BACKEND = "import sys, hatchling.build as b; getattr(b, sys.argv[1])(sys.argv[2])"


@dataclass(frozen=True)
class Built:
    """What a build ended in.

    Attributes:
        code: exit code.
        said: on stdout and stderr.
        path: of the only file that was written, None if there is none.
    """

    code: int
    said: str
    path: Path | None

    @property
    def lines(self) -> list[str]:
        """What it said of the native operators."""
        return [line for line in self.said.splitlines() if "native operators" in line]

    @property
    def names(self) -> list[str]:
        assert self.path is not None, self.said
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    def read(self, name: str) -> bytes:
        """What a file in the wheel holds."""
        assert self.path is not None, self.said
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    @property
    def facts(self) -> str:
        """The wheel's own words on its tag."""
        (name,) = (name for name in self.names if name.endswith("/WHEEL"))
        return self.read(name).decode()


def run(tree: Path, out: Path, hook: str = "build_wheel", **environment: str) -> Built:
    """Build as pip does, in a process whose environment has nothing to say on compilers."""
    own = {key: word for key, word in os.environ.items() if key not in ("CC", "MINILM_ONNX_BUILD")}
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BACKEND, hook, str(out)],
        cwd=tree,
        env={**own, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return Built(done.returncode, done.stdout + done.stderr, next(out.iterdir(), None))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """This tree without its model, which takes seconds to pack."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for name in FILES:
        copy(ROOT / name, folder)
    unneeded = ignore_patterns("__pycache__", "native", "*.onnx", "*.data", "golden.json")
    for name in ("kernels", "minilm_onnx"):
        copytree(ROOT / name, folder / name, ignore=unneeded)
    return folder


@pytest.fixture
def compiler() -> None:
    if build.compiler() is None:
        pytest.skip("no C compiler is installed")


NONE_AT_ALL = {"CC": "there-is-no-such-compiler"}
FAILING = {"CC": shlex.join([sys.executable, "-c", "exit(3)"])}


@pytest.mark.usefixtures("compiler")
def test_a_wheel_made_of_the_sdist_and_an_editable_install_have_the_library(
    tree: Path, tmp_path: Path
) -> None:
    """The sdist has sources alone; the wheel is for this system, and for any Python."""
    (tree / LIBRARY).parent.mkdir()
    (tree / LIBRARY).write_text("of an editable install")
    sdist = run(tree, tmp_path / "sdist", "build_sdist").path
    assert sdist is not None
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert [name for name in names if name.endswith((".so", ".dylib", ".dll", ".o"))] == []
    (unpacked,) = (tmp_path / "unpacked").iterdir()

    wheel = run(unpacked, tmp_path / "wheel", MINILM_ONNX_BUILD="cc")
    assert wheel.code == 0, wheel.said
    assert LIBRARY in wheel.names
    assert "Root-Is-Purelib: false" in wheel.facts
    (tag,) = (line for line in wheel.facts.splitlines() if line.startswith("Tag: "))
    assert tag.startswith("Tag: py3-none-")
    assert not tag.endswith("any")
    (line,) = wheel.lines
    assert line.startswith("native operators: compiled by ")
    assert not (unpacked / LIBRARY).exists()

    # An editable install has it in the tree: the same bytes, built a second time elsewhere.
    pytest.importorskip("editables", reason="editables, which hatchling asks for, is not installed")
    install = run(tree, tmp_path / "first", "build_editable", MINILM_ONNX_BUILD="cc")
    assert install.code == 0, install.said
    assert [path.name for path in (tree / LIBRARY).parent.iterdir()] == [build.name_here()]
    assert (tree / LIBRARY).read_bytes() == wheel.read(LIBRARY)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MINILM_ONNX_BUILD": "none"}, "MINILM_ONNX_BUILD is none"),
        (NONE_AT_ALL, "expected a C compiler"),
        (FAILING, "failed with exit code 3"),
    ],
    ids=["asked for", "no compiler", "a compiler that fails"],
)
def test_a_wheel_without_the_library_is_pure_and_says_why(
    tree: Path, tmp_path: Path, environment: Mapping[str, str], words: str
) -> None:
    (tree / LIBRARY).parent.mkdir()
    (tree / LIBRARY).write_text("of an editable install")
    wheel = run(tree, tmp_path / "wheel", **environment)
    assert wheel.code == 0, wheel.said
    assert not [name for name in wheel.names if "native/" in name]
    assert "Root-Is-Purelib: true" in wheel.facts
    assert "Tag: py3-none-any" in wheel.facts
    (line,) = wheel.lines
    assert words in line
    assert "MINILM_ONNX_BUILD" in line


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MINILM_ONNX_BUILD": "cc", **NONE_AT_ALL}, "expected a C compiler"),
        ({"MINILM_ONNX_BUILD": "cc", **FAILING}, "failed with exit code 3"),
        ({"MINILM_ONNX_BUILD": "gcc"}, "MINILM_ONNX_BUILD: expected cc or none, got 'gcc'"),
    ],
    ids=["no compiler", "a compiler that fails", "another word"],
)
def test_a_build_that_must_compile_fails_where_it_cannot(
    tree: Path, tmp_path: Path, environment: Mapping[str, str], words: str
) -> None:
    wheel = run(tree, tmp_path / "wheel", **environment)
    assert wheel.code == 1
    assert words in wheel.said
    assert wheel.path is None


def test_an_editable_install_without_the_library_uses_none_of_an_earlier_one(
    tree: Path, tmp_path: Path
) -> None:
    pytest.importorskip("editables", reason="editables, which hatchling asks for, is not installed")
    (tree / LIBRARY).parent.mkdir()
    (tree / LIBRARY).write_text("of an earlier install")
    install = run(tree, tmp_path / "install", "build_editable", **FAILING)
    assert install.code == 0, install.said
    assert not (tree / LIBRARY).exists()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        build.build(tmp_path / build.name_here(), [sys.executable, "-c", "exit(3)"])
    assert list(tmp_path.iterdir()) == []
