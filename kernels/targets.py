"""The platforms that have a wheel, and zig, which compiles for each; see docs/wheels.md."""

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.tags import platform_tags

# PyPI's ziglang. Another version compiles other bytes.
ZIG_VERSION = "0.17.1"
ZIG = f"ziglang=={ZIG_VERSION}"
# The platforms that it runs on: tags of its wheels, but for musl, which it makes no library for.
ZIG_WHEELS = (
    "manylinux_2_12_x86_64",
    "manylinux_2_17_aarch64",
    "macosx_13_0_arm64",
    "macosx_13_0_x86_64",
    "win_amd64",
    "win_arm64",
)


@dataclass(frozen=True)
class Target:
    """A platform that has a wheel of its own.

    Attributes:
        tag: of the wheel.
        machine: a key of KERNELS in build.py.
        library: file name of the library.
        triple: what zig calls the platform.
    """

    tag: str
    machine: str
    library: str
    triple: str


TARGETS = (
    Target("manylinux_2_17_x86_64", "x86_64", "minilm.so", "x86_64-linux-gnu.2.17"),
    Target("manylinux_2_17_aarch64", "aarch64", "minilm.so", "aarch64-linux-gnu.2.17"),
    Target("macosx_11_0_arm64", "aarch64", "minilm.dylib", "aarch64-macos.11.0"),
    Target("macosx_11_0_x86_64", "x86_64", "minilm.dylib", "x86_64-macos.11.0"),
    Target("win_amd64", "x86_64", "minilm.dll", "x86_64-windows-gnu"),
    Target("win_arm64", "aarch64", "minilm.dll", "aarch64-windows-gnu"),
)


def target_here() -> Target | None:
    """Give the target whose wheel can be installed here; None where there is none."""
    tags = set(platform_tags())
    return next((target for target in TARGETS if target.tag in tags), None)


def has_zig() -> bool:
    """Say whether ziglang has a wheel that can be installed here."""
    return not set(ZIG_WHEELS).isdisjoint(platform_tags())


def zig(target: Target) -> list[str]:
    """Give the C compiler for a target."""
    return [sys.executable, "-m", "ziglang", "cc", "-target", target.triple]


def zig_missing() -> str:
    """Say what is wrong with the ziglang that is installed; nothing if it is the pinned one."""
    try:
        found = version("ziglang")
    except PackageNotFoundError:
        found = "none"
    return "" if found == ZIG_VERSION else f"expected {ZIG} to be installed, got {found}"
