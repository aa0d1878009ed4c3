"""Hatchling's hook: the native operators are compiled into a wheel, or into this tree.

The environment variable MINILM_ONNX_BUILD says how:

- `cc`: by the system's C compiler; a build without one fails.
- `none`: not at all; the wheel is pure Python.
- unset: by the compiler, and where there is none, or it fails, the wheel is pure Python.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

CHOICE = "MINILM_ONNX_BUILD"
CC, NONE = "cc", "none"
FOLDER = "minilm_onnx/native"


class NativeOperators(BuildHookInterface[Any]):
    """Compiles kernels/ before a wheel is packed."""

    _scratch: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the wheel hold the library, or the tree if the install is editable."""
        sys.path.insert(0, self.root)
        from kernels.build import name_here

        if version == "editable":
            path = Path(self.root, FOLDER, name_here())
            if not self._compile(path):
                path.unlink(missing_ok=True)  # of an earlier install
            return
        self._scratch = tempfile.TemporaryDirectory()
        path = Path(self._scratch.name, name_here())
        if self._compile(path):
            build_data["force_include"][str(path)] = f"{FOLDER}/{path.name}"
            build_data["pure_python"] = False
            # It is called by onnxruntime, and so belongs to no version of Python.
            build_data["tag"] = f"py3-none-{platform_here()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        if self._scratch is not None:
            self._scratch.cleanup()

    def _compile(self, path: Path) -> bool:
        """Write the library as MINILM_ONNX_BUILD says, and say what was done in a line.

        Returns:
            Whether there is one.
        """
        from kernels.build import build, compiler, kernel_of

        choice = os.environ.get(CHOICE, "")
        if choice not in ("", CC, NONE):
            self.app.abort(f"{CHOICE}: expected {CC} or {NONE}, got {choice!r}; or leave it unset")
        if choice == NONE:
            self.app.display_info(f"native operators: left out, since {CHOICE} is {NONE}")
            return False
        command = compiler()
        if command is None:
            cause = "expected a C compiler (cc, or what CC names), found none"
        else:
            try:
                build(path, command)
                kernel = kernel_of(path)
            except subprocess.CalledProcessError as error:
                cause = f"{error.cmd[0]} failed with exit code {error.returncode}, see above"
            except OSError as error:
                cause = f"{command[0]} failed: {error}"
            else:
                said = f"compiled by {' '.join(command)}; this CPU gets the kernel {kernel}"
                self.app.display_info(f"native operators: {said}")
                return True
        if choice == CC:
            self.app.abort(f"native operators: {cause}; set {CHOICE}={NONE} to do without")
        self.app.display_warning(
            f"native operators: left out, which is slower: {cause}; set {CHOICE}={CC} to make this "
            f"an error, {CHOICE}={NONE} not to try"
        )
        return False


def platform_here() -> str:
    """Give this system's tag for wheels: linux_x86_64, since no old glibc was compiled against."""
    portable = ("manylinux", "musllinux")
    return next(tag for tag in platform_tags() if not tag.startswith(portable))
