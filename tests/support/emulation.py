"""Other CPUs, emulated: python -m tests.support.emulation FOLDER sets up what it needs in FOLDER.

Debian's qemu-user runs the real aarch64 packages of Python and Debian, whatever this machine is.
Everything comes from Debian's and Python's package registries; a second call finds it there.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / ".emulated"
PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
WHEELS = ("onnxruntime", "numpy", "tokenizers", "pytest", "hypothesis")
# glibc versions that Debian 12 satisfies.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)] + ["manylinux2014_aarch64"]
LINKED = ("bin", "etc", "lib", "usr")


@dataclass(frozen=True)
class Core:
    """A core of a Raspberry Pi, as Linux describes it there.

    Attributes:
        part: Arm's number for it.
        features: what its instruction set has beyond the base.
        boards: where it is found.
    """

    part: str
    features: str
    boards: str


CORES = {
    "cortex-a53": Core("0xd03", "fp asimd evtstrm crc32 cpuid", "Pi 3, Zero 2 W"),
    "cortex-a72": Core("0xd08", "fp asimd evtstrm crc32 cpuid", "Pi 4, 400"),
    "cortex-a76": Core(
        "0xd0b",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc "
        "dcpop asimddp",
        "Pi 5, 500",
    ),
}
# All that QEMU knows: 8-bit matrix products (i8mm), as servers and Macs have them.
MAX = "max"
DESCRIBED = CORES | {MAX: Core("0xd40", f"{CORES['cortex-a76'].features} i8mm", "none")}


class UnavailableError(Exception):
    """A tool is missing, or a registry cannot be reached."""


def set_up(folder: Path) -> None:
    """Bring an aarch64 Python and the wheels, unless they are there.

    Raises:
        UnavailableError: they cannot be had here.
    """
    for tool in ("qemu-aarch64", "apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UnavailableError(f"{tool} is not installed (Debian: qemu-user, apt, dpkg)")
    wanted = repr((PACKAGES, WHEELS, DESCRIBED))
    ready = folder / "ready"
    if ready.exists() and ready.read_text("utf-8") == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    system, site = folder / "system", folder / "site"
    system.mkdir(parents=True)
    for package in download_packages(folder / "apt"):
        call("dpkg-deb", "-x", package, system)
    version = guest_version(system)
    call(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--target", site),
        *("--only-binary", ":all:", "--implementation", "cp", "--python-version", version),
        *("--abi", f"cp{version.replace('.', '')}", "--abi", "abi3", "--abi", "none"),
        *(word for platform in PLATFORMS for word in ("--platform", platform)),
        *WHEELS,
    )
    for name, core in DESCRIBED.items():
        describe_core(folder / "cores" / name, system, core)
    shutil.rmtree(folder / "apt")
    ready.write_text(wanted, "utf-8")


def download_packages(folder: Path) -> list[Path]:
    """Let apt download PACKAGES and what they need for arm64, with a state of its own."""
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "archives" / "partial").mkdir(parents=True)
    (folder / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    call("apt-get", *options, "update")
    call("apt-get", *options, "install", "--yes", "--download-only", *PACKAGES)
    return sorted((folder / "archives").glob("*.deb"))


def guest_version(system: Path) -> str:
    """Give the Python version that Debian brought, such as 3.11."""
    (link,) = (system / "usr/bin").glob("python3")
    return str(link.readlink()).removeprefix("python")


def describe_core(prefix: Path, system: Path, core: Core) -> None:
    """Make a folder that a guest sees as its root, with the /proc/cpuinfo of a core.

    Without it onnxruntime reads this machine's, and what it makes of that crashes.
    """
    (prefix / "proc").mkdir(parents=True)
    for name in LINKED:
        (prefix / name).symlink_to(system.resolve() / name)
    one = (
        f"Features\t: {core.features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: 0x0\nCPU part\t: {core.part}\nCPU revision\t: 3\n\n"
    )
    text = "".join(f"processor\t: {number}\n{one}" for number in range(os.cpu_count() or 1))
    (prefix / "proc" / "cpuinfo").write_text(text)


def guest(folder: Path, core: str, *arguments: str | Path) -> list[str | Path]:
    """Give the command that runs the aarch64 Python on a core."""
    prefix = folder.resolve() / "cores" / core
    python = folder.resolve() / "system/usr/bin" / f"python{guest_version(folder / 'system')}"
    return ["qemu-aarch64", "-cpu", core, "-L", prefix, python, *arguments]


def guest_environment(folder: Path, project: Path) -> Mapping[str, str]:
    """Give a guest's environment: its wheels, and a folder that has this project."""
    return {
        **os.environ,
        "PYTHONPATH": f"{folder.resolve() / 'site'}{os.pathsep}{project}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }


def call(*command: str | Path) -> None:
    """Run a program; what it prints is shown if it fails.

    Raises:
        UnavailableError: it failed.
    """
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise UnavailableError(f"{' '.join(map(str, command[:2]))} failed: {' '.join(said)}")


def main(arguments: Sequence[str]) -> int:
    """Set up, and say so."""
    folder = Path(arguments[0]) if arguments else DEFAULT
    try:
        set_up(folder)
    except UnavailableError as error:
        print(f"skipped: aarch64 under qemu: {error}")
        return 1
    print(f"aarch64 Python {guest_version(folder / 'system')} is in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
