"""kernels/ort_abi.h, beside the header of onnxruntime that Debian ships."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.libraries import ROOT

pytestmark = pytest.mark.slow
INSTALLED = Path("/usr/include/onnxruntime")
SUITE, PACKAGE = "trixie", "libonnxruntime-dev"  # Debian 12 has none


def said(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program of Debian's; skip where it is not, or cannot reach what it wants."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed, nor {PACKAGE}")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        pytest.skip(f"{PACKAGE} cannot be had: {' '.join(last)}")
    return done.stdout


def downloaded(folder: Path) -> Path:
    """Unpack Debian's package, by an apt with a state of its own; nothing is installed."""
    form = "$(ORIGIN) $(RELEASE) $(SITE)"
    rows = [line.split() for line in said("apt-get", "indextargets", "--format", form).splitlines()]
    mirrors = [row[-1] for row in rows if row[0] == "Debian" and "-" not in row[1]]
    if not mirrors:
        pytest.skip(f"apt has no mirror of Debian here, nor is {PACKAGE} installed")
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb {mirrors[-1]} {SUITE} main\n")
    settings = {
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    said("apt-get", *options, "update")
    work = folder / "work"
    work.mkdir()
    said("apt-get", *options, "download", PACKAGE, cwd=work)
    (package,) = work.glob("*.deb")
    said("dpkg-deb", "-x", package, folder / "root")
    return folder / "root" / "usr/include/onnxruntime"


def test_the_api_is_declared_as_in_onnxruntimes_own_header(tmp_path: Path) -> None:
    """Nothing else here needs that header."""
    compiler = pytest.importorskip("kernels.build", reason="not a checkout").compiler()
    if compiler is None:
        pytest.skip("no C compiler is installed")
    headers = INSTALLED if INSTALLED.exists() else downloaded(tmp_path)
    source = Path(__file__).with_name("abi_check.c")
    call = [*compiler, "-std=gnu11", "-fsyntax-only", "-I", headers, "-I", ROOT / "kernels", source]
    subprocess.run(call, check=True)
