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
from typing import Any

import pytest

from minilm_onnx.engine import native
from minilm_onnx.engine.native import find_library

pytest.importorskip("hatchling", reason="hatchling, which builds wheels, is not installed")
from packaging.tags import mac_platforms

build = pytest.importorskip("kernels.build", reason="not a checkout")
targets = pytest.importorskip("kernels.targets")

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "sbom.cdx.json", ".gitignore")
LIBRARY = f"minilm_onnx/native/{build.name_here()}"
LEFT_OUT = f"minilm_onnx/native/{native.LEFT_OUT}"
BACKEND = "import sys, hatchling.build as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"
HERE = targets.target_here()
# Stands in for ziglang: gives a library that is there for one platform, for others their triple.
FAKE_ZIG = """
import os, shutil, sys
assert sys.argv[1:3] == ["cc", "-target"], sys.argv
out = sys.argv[sys.argv.index("-o") + 1]
if os.environ["FAKE_ZIG"] == "fails":
    sys.exit(3)
if sys.argv[3] == os.environ["FAKE_ZIG_HERE"] and "-shared" in sys.argv:
    shutil.copy(os.environ["FAKE_ZIG"], out)
else:
    with open(out, "w") as file:
        file.write(sys.argv[3])
"""
# Stands in for a compiler: fails unless a file is there, and gives a library.
WHILE_THERE = """
import os, shutil, sys
there, library = sys.argv[1:3]
if not os.path.exists(there):
    sys.exit(f"{there} is gone")
shutil.copy(library, sys.argv[sys.argv.index("-o") + 1])
"""


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
    ours = ("CC", "MINILM_ONNX_BUILD", "MINILM_ONNX_TARGET")
    own = {key: word for key, word in os.environ.items() if key not in ours}
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-P", "-c", BACKEND, hook, str(out)],
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


@pytest.fixture
def zig(tmp_path: Path) -> dict[str, str]:
    """An environment that has FAKE_ZIG in place of ziglang."""
    return fake_zig(tmp_path / "zig", targets.ZIG_VERSION, str(find_library()))


def fake_zig(folder: Path, version: str, library: str) -> dict[str, str]:
    """Write a package ziglang, and give the environment that has it."""
    facts = folder / f"ziglang-{version}.dist-info" / "METADATA"
    for path, text in (
        (folder / "ziglang" / "__init__.py", ""),
        (folder / "ziglang" / "__main__.py", FAKE_ZIG),
        (facts, f"Metadata-Version: 2.1\nName: ziglang\nVersion: {version}\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    triple = HERE.triple if HERE else ""
    return {"PYTHONPATH": str(folder), "FAKE_ZIG": library, "FAKE_ZIG_HERE": triple}


has_target = pytest.mark.skipif(
    HERE is None or not targets.has_zig(), reason="ziglang has no wheel for this platform"
)
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
    assert "zig" not in line
    assert not (unpacked / LIBRARY).exists()

    # An editable install has it in the tree: the same bytes, built a second time elsewhere.
    pytest.importorskip("editables", reason="editables, which hatchling asks for, is not installed")
    install = run(tree, tmp_path / "first", "build_editable", MINILM_ONNX_BUILD="cc")
    assert install.code == 0, install.said
    assert [path.name for path in (tree / LIBRARY).parent.iterdir()] == [build.name_here()]
    assert (tree / LIBRARY).read_bytes() == wheel.read(LIBRARY)


def test_a_wheel_that_is_to_be_pure_is_so_and_the_same_each_time(
    tree: Path, tmp_path: Path
) -> None:
    """Whatever lies in the tree of an editable install."""
    first = run(tree, tmp_path / "first", MINILM_ONNX_BUILD="none")
    (tree / LIBRARY).parent.mkdir()
    for name in (LIBRARY, LEFT_OUT):
        (tree / name).write_text("of an editable install")
    second = run(tree, tmp_path / "second", MINILM_ONNX_BUILD="none")
    assert first.code == second.code == 0, first.said + second.said
    assert not [name for name in first.names if "native/" in name]
    assert "Root-Is-Purelib: true" in first.facts
    assert "Tag: py3-none-any" in first.facts
    assert first.lines == ["native operators: left out, since MINILM_ONNX_BUILD is none"]
    assert first.path is not None
    assert second.path is not None
    assert first.path.read_bytes() == second.path.read_bytes()


@has_target
@pytest.mark.parametrize(
    ("environment", "why"),
    [
        (NONE_AT_ALL, "there is no C compiler (cc, or what CC names)"),
        (FAILING, "does not compile them (MINILM_ONNX_BUILD=cc shows its errors)"),
    ],
    ids=["no compiler", "a compiler that fails"],
)
@pytest.mark.parametrize(
    ("version", "cause"),
    [
        ("0.0.1", "expected ziglang==0.17.1 to be installed, got 0.0.1"),
        ("0.17.1", "zig 0.17.1 failed with exit code 3"),
    ],
    ids=["another zig", "zig fails"],
)
def test_a_wheel_that_cannot_be_compiled_is_pure_and_says_why(
    tree: Path,
    tmp_path: Path,
    environment: Mapping[str, str],
    why: str,
    version: str,
    cause: str,
) -> None:
    wheel = run(
        tree, tmp_path / "wheel", **environment, **fake_zig(tmp_path / "zig", version, "fails")
    )
    assert wheel.code == 0, wheel.said
    assert [name for name in wheel.names if "native/" in name] == [LEFT_OUT]
    assert "Root-Is-Purelib: true" in wheel.facts
    assert "Tag: py3-none-any" in wheel.facts
    note = wheel.read(LEFT_OUT).decode()
    assert note.startswith(f"{cause}, since ")
    assert note.endswith(f"{why}\n")
    (line,) = wheel.lines
    assert note.strip() in line
    assert "MINILM_ONNX_BUILD" in line


@pytest.mark.skipif(find_library() is None, reason="not built: python kernels/build.py")
@has_target
@pytest.mark.parametrize(
    ("environment", "why"),
    [
        (NONE_AT_ALL, ", since there is no C compiler (cc, or what CC names)"),
        (FAILING, " does not compile them (MINILM_ONNX_BUILD=cc shows its errors)"),
        ({"MINILM_ONNX_BUILD": "zig"}, "compiled by zig 0.17.1"),
    ],
    ids=["no compiler", "a compiler that fails", "asked for"],
)
def test_where_no_compiler_works_zig_compiles_for_this_platform(
    tree: Path, tmp_path: Path, zig: dict[str, str], environment: Mapping[str, str], why: str
) -> None:
    wheel = run(tree, tmp_path / "wheel", **environment, **zig)
    assert wheel.code == 0, wheel.said
    assert [name for name in wheel.names if "native/" in name] == [LIBRARY]
    assert f"Tag: py3-none-{HERE.tag}\n" in wheel.facts
    (line,) = wheel.lines
    said, _, gets = line.partition("; ")
    assert said.startswith("native operators: compiled by zig 0.17.1")
    assert said.endswith(why)
    assert gets.startswith("this CPU gets the kernel ")


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda target: target.tag)
def test_a_wheel_for_another_platform_has_its_library_and_its_tag(
    tree: Path, tmp_path: Path, zig: dict[str, str], target: Any
) -> None:
    """No library of another platform is loaded."""
    if target == HERE:
        pytest.skip("this platform")
    wheel = run(tree, tmp_path / "wheel", MINILM_ONNX_TARGET=target.tag, **zig)
    assert wheel.code == 0, wheel.said
    library = f"minilm_onnx/native/{target.library}"
    assert [name for name in wheel.names if "native/" in name] == [library]
    assert wheel.read(library).decode() == target.triple
    assert f"Tag: py3-none-{target.tag}\n" in wheel.facts
    assert "Root-Is-Purelib: false" in wheel.facts
    assert wheel.lines == [f"native operators: compiled by zig 0.17.1 for {target.tag}"]


ASKED = "['ziglang==0.17.1']"


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, "[]"),
        ({"MINILM_ONNX_BUILD": "cc", **NONE_AT_ALL}, "[]"),
        ({"MINILM_ONNX_BUILD": "none", **NONE_AT_ALL}, "[]"),
        ({"MINILM_ONNX_TARGET": "win_arm64"}, ASKED),
        pytest.param({"MINILM_ONNX_BUILD": "zig"}, ASKED, marks=has_target),
        pytest.param(NONE_AT_ALL, ASKED, marks=has_target),
        pytest.param(FAILING, ASKED, marks=has_target),
    ],
    ids=["a compiler", "cc", "none", "another platform", "zig", "no compiler", "one that fails"],
)
def test_ziglang_is_required_only_where_it_compiles(
    tree: Path, tmp_path: Path, environment: Mapping[str, str], asked: str
) -> None:
    hook = "get_requires_for_build_wheel"
    assert run(tree, tmp_path / "out", hook, **environment).said.strip() == asked


@pytest.mark.parametrize(
    ("tags", "way"),
    [
        ([*mac_platforms((12, 0), "arm64")], "none"),
        ([*mac_platforms((12, 0), "x86_64")], "none"),
        ([*mac_platforms((13, 0), "arm64")], "zig"),
        ([*mac_platforms((26, 0), "x86_64")], "zig"),
        (["musllinux_1_2_x86_64", "linux_x86_64"], "none"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_ziglang_is_required_only_where_it_has_a_wheel(
    monkeypatch: pytest.MonkeyPatch, tags: list[str], way: str
) -> None:
    """Its wheels for macOS are for 13 and newer; pip fails where it finds none."""
    plan = pytest.importorskip("kernels.plan")
    monkeypatch.setenv("CC", NONE_AT_ALL["CC"])
    for name in ("MINILM_ONNX_BUILD", "MINILM_ONNX_TARGET"):
        monkeypatch.delenv(name, raising=False)
    for module in (plan, targets):
        monkeypatch.setattr(module, "platform_tags", lambda: iter(tags))
    made = plan.make_plan()
    assert (made.way, made.must) == (way, False)
    assert (f"and ziglang is not for {tags[0]}" in made.why) == (way == "none")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MINILM_ONNX_BUILD": "cc", **NONE_AT_ALL}, "there is no C compiler"),
        ({"MINILM_ONNX_BUILD": "cc", **FAILING}, "failed with exit code 3"),
        ({"MINILM_ONNX_BUILD": "gcc"}, "MINILM_ONNX_BUILD: expected cc, zig or none, got 'gcc'"),
        ({"MINILM_ONNX_TARGET": "linux"}, "MINILM_ONNX_TARGET: expected one of manylinux_2_17_x8"),
        (
            {"MINILM_ONNX_TARGET": "win_arm64", "MINILM_ONNX_BUILD": "cc"},
            "MINILM_ONNX_TARGET: expected MINILM_ONNX_BUILD=zig with it, got 'cc'",
        ),
        ({"MINILM_ONNX_TARGET": "win_arm64", "FAKE_ZIG": "fails"}, "zig 0.17.1 failed with exit"),
        pytest.param(
            {"MINILM_ONNX_BUILD": "zig", "FAKE_ZIG": __file__},
            "what zig 0.17.1 compiled does not work: OSError: ",
            marks=has_target,
        ),
    ],
    ids=["no compiler", "cc fails", "another word", "no platform", "both", "zig fails", "no use"],
)
def test_a_build_that_must_compile_fails_where_it_cannot(
    tree: Path, tmp_path: Path, zig: dict[str, str], environment: Mapping[str, str], words: str
) -> None:
    wheel = run(tree, tmp_path / "wheel", **{**zig, **environment})
    assert wheel.code == 1
    assert words in wheel.said
    assert wheel.path is None


def test_an_editable_install_without_the_library_uses_none_of_an_earlier_one(
    tree: Path, tmp_path: Path
) -> None:
    """It says why, until one has it."""
    pytest.importorskip("editables", reason="editables, which hatchling asks for, is not installed")
    (tree / LIBRARY).parent.mkdir()
    (tree / LIBRARY).write_text("of an earlier install")
    failing = fake_zig(tmp_path / "zig", targets.ZIG_VERSION, "fails")
    install = run(tree, tmp_path / "install", "build_editable", **FAILING, **failing)
    assert install.code == 0, install.said
    assert [path.name for path in (tree / LIBRARY).parent.iterdir()] == [native.LEFT_OUT]
    assert (tree / LEFT_OUT).read_text("utf-8").strip() in install.said
    install = run(tree, tmp_path / "again", "build_editable", MINILM_ONNX_BUILD="none")
    assert install.code == 0, install.said
    assert list((tree / LIBRARY).parent.iterdir()) == []


def test_an_editable_install_keeps_an_earlier_library_until_it_has_its_own(
    tree: Path, tmp_path: Path
) -> None:
    """A process that starts meanwhile would do without, with other bits."""
    pytest.importorskip("editables", reason="editables, which hatchling asks for, is not installed")
    library = find_library()
    if library is None:
        pytest.skip("the native library is not built")
    (tree / LIBRARY).parent.mkdir()
    (tree / LIBRARY).write_text("of an earlier install")
    (tree / LEFT_OUT).write_text("of one before that")
    command = [sys.executable, "-c", WHILE_THERE, str(tree / LIBRARY), str(library)]
    install = run(
        tree,
        tmp_path / "install",
        "build_editable",
        CC=shlex.join(command),
        MINILM_ONNX_BUILD="cc",
    )
    assert install.code == 0, install.said
    assert [path.name for path in (tree / LIBRARY).parent.iterdir()] == [build.name_here()]
    assert (tree / LIBRARY).read_bytes() == library.read_bytes()


@has_target
def test_an_editable_install_that_fails_leaves_no_library_that_does_not_work(
    tree: Path, tmp_path: Path, zig: dict[str, str]
) -> None:
    pytest.importorskip("editables", reason="editables, which hatchling asks for, is not installed")
    useless = {**zig, "FAKE_ZIG": __file__, "MINILM_ONNX_BUILD": "zig"}
    install = run(tree, tmp_path / "install", "build_editable", **useless)
    assert install.code == 1
    assert "what zig 0.17.1 compiled does not work: " in install.said
    assert not (tree / LIBRARY).exists()


def test_an_editable_install_is_for_no_other_platform(
    tree: Path, tmp_path: Path, zig: dict[str, str]
) -> None:
    pytest.importorskip("editables", reason="editables, which hatchling asks for, is not installed")
    tag = next(target.tag for target in targets.TARGETS if target != HERE)
    install = run(tree, tmp_path / "install", "build_editable", MINILM_ONNX_TARGET=tag, **zig)
    assert install.code == 1
    assert f"an editable install is for this platform, not {tag}" in install.said


def test_a_package_of_the_same_name_is_not_taken_for_the_sources(
    tree: Path, tmp_path: Path
) -> None:
    """Such as PyPI's `kernels`, in front of the .pth file of an editable install."""
    other = tmp_path / "other" / "kernels"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    path = os.pathsep.join([str(other.parent), str(tree)])
    hook = "get_requires_for_build_wheel"
    found = run(tree, tmp_path / "out", hook, MINILM_ONNX_BUILD="none", PYTHONPATH=path)
    assert (found.code, found.said.strip()) == (0, "[]")


@pytest.mark.usefixtures("compiler")
def test_a_library_that_does_not_work_says_why(tmp_path: Path) -> None:
    """So that who has compiled on a disk that runs nothing (noexec) is told so."""
    path = tmp_path / build.name_here()
    path.write_text("none")
    with pytest.raises(OSError, match=f"^OSError: .*{path.name}"):
        build.kernel_of(path)
    source = tmp_path / "wrong.c"
    source.write_text("const char *minilm_kernel(void) { return 0; }\n")
    subprocess.run([*build.compiler(), "-shared", "-fPIC", source, "-o", path], check=True)
    with pytest.raises(OSError, match=r"^none of its kernels gives the right bits$"):
        build.kernel_of(path)


def test_wheels_py_prints_the_rows_of_its_page(tmp_path: Path) -> None:
    """The page has a row for each wheel; what is not the right library in it is refused."""
    wheels = pytest.importorskip("kernels.wheels")
    page = (ROOT / "docs" / "wheels.md").read_text("utf-8")
    table = page.partition("sha256, second build |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(table) == len(targets.TARGETS) + 1
    for target, row in zip([*targets.TARGETS, None], table, strict=True):
        tag = target.tag if target else "any"
        wheel = tmp_path / f"minilm_onnx-1-py3-none-{tag}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("minilm_onnx/__init__.py", "")
            if target:
                archive.writestr(f"minilm_onnx/native/{target.library}", "code")
        made = wheels.checked(tag, wheel, wheel)
        assert made.startswith(f"| `{tag}` | {4 if target else 0} | ")
        assert row.startswith(f"| `{tag}` | ")
        # As many cells, and the same ones of them empty.
        assert [len(cell) > 2 for cell in made.split("|")] == [len(c) > 2 for c in row.split("|")]
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("minilm_onnx/native/other.so", "code")
        with pytest.raises(ValueError, match=r"expected .* got .*other\.so"):
            wheels.checked(tag, wheel, wheel)


def test_an_empty_cc_names_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    default = build.compiler()
    monkeypatch.setenv("CC", "")
    assert build.compiler() == default


def test_a_cc_that_is_no_command_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", 'gcc "')
    with pytest.raises(ValueError, match="CC: expected the command of a C compiler, got 'gcc"):
        build.compiler()


@pytest.mark.usefixtures("compiler")
def test_a_compiler_that_lacks_an_instruction_does_not_work(tmp_path: Path) -> None:
    """Such as gcc before version 11, of AVX-VNNI."""
    compiler = build.compiler()
    assert build.works(compiler)
    words = [
        word
        for kernel in build.KERNELS.get(build.machine_here(), {}).values()
        for word in kernel.split()
    ]
    old = tmp_path / "old.py"
    old.write_text(
        f"import subprocess, sys; sys.exit({words[-1]!r} in sys.argv or "
        f"subprocess.call([*{compiler!r}, *sys.argv[1:]]))"
    )
    assert not words or not build.works([sys.executable, str(old)])
    assert not build.works(["there-is-no-such-compiler"])


@pytest.mark.parametrize(("lacking", "works"), [("i8mm", False), ("dotprod", False), ("sve", True)])
def test_a_compiler_is_asked_for_the_instructions_of_each_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str, works: bool
) -> None:
    """Of several -mcpu, gcc checks the last alone; gcc before version 10 lacks i8mm on Arm."""
    monkeypatch.setattr(build, "machine_here", lambda: "aarch64")
    old = tmp_path / "old.py"
    old.write_text(
        "import sys\n"
        "cpus = [word for word in sys.argv if word.startswith('-mcpu=')]\n"
        f"if {lacking!r} in ''.join(cpus[-1:]): sys.exit(1)\n"
        "open(sys.argv[-1], 'w')\n"
    )
    assert build.works([sys.executable, str(old)]) == works


def test_the_time_of_a_build_is_not_in_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """zig's linker writes a time into a .dll: that of the environment, else the clock's."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    code = "import os, sys; open(sys.argv[-1], 'w').write(os.environ['SOURCE_DATE_EPOCH'])"
    build.build(tmp_path / "minilm.dll", [sys.executable, "-c", code])
    assert (tmp_path / "minilm.dll").read_text() == "1700000000"


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        build.build(tmp_path / build.name_here(), [sys.executable, "-c", "exit(3)"])
    assert list(tmp_path.iterdir()) == []
