"""Hatchling's hook: the native operators are compiled into a wheel, or into this tree.

plan.py says by what. A build that was not told by what, and cannot compile, makes a pure wheel, and
writes why into it, for minilm_onnx/engine/native.py.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from kernels.plan import Plan

FOLDER, LEFT_OUT = "minilm_onnx/native", "left-out.txt"


class NativeOperators(BuildHookInterface[Any]):
    """Compiles kernels/ before a wheel is packed."""

    _scratch: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        """Ask for ziglang, which is 100 MB, only where it will be used."""
        plan = self._plan()
        from kernels.plan import ZIG_CC
        from kernels.targets import ZIG

        return [ZIG] if plan.way == ZIG_CC else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the wheel hold the library, or the tree if the install is editable."""
        plan = self._plan()
        from kernels.build import name_here
        from kernels.plan import platform_here
        from kernels.targets import target_here

        name = plan.target.library if plan.target else name_here()
        if version == "editable":
            if plan.target and plan.target != target_here():
                self.app.abort(f"an editable install is for this platform, not {plan.target.tag}")
            folder = Path(self.root, FOLDER)
            (folder / LEFT_OUT).unlink(missing_ok=True)  # of an earlier install
            # The earlier library stays while this one compiles: processes may load it meanwhile.
            if self._compile(plan, folder / name) != folder / name:
                (folder / name).unlink(missing_ok=True)
            return
        self._scratch = tempfile.TemporaryDirectory()
        path = self._compile(plan, Path(self._scratch.name, name))
        if path is not None:
            build_data["force_include"][str(path)] = f"{FOLDER}/{path.name}"
            if path.name != LEFT_OUT:
                build_data["pure_python"] = False
                # It is called by onnxruntime, and so belongs to no version of Python.
                tag = plan.target.tag if plan.target else platform_here()
                build_data["tag"] = f"py3-none-{tag}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        if self._scratch is not None:
            self._scratch.cleanup()

    def _plan(self) -> "Plan":
        """Make the plan; pip asks for requirements in one process, and builds in another."""
        sys.path.insert(0, self.root)  # before others: PyPI has a package `kernels`, too
        from kernels.plan import Plan, make_plan

        try:
            return make_plan()
        except ValueError as error:
            self.app.abort(str(error))  # ends the process
            return Plan("")

    def _compile(self, plan: "Plan", path: Path) -> Path | None:
        """Write the library, and say in one line by what it was compiled.

        Returns:
            The library; LEFT_OUT beside it, if it could not be compiled; None if it was not to be.
        """
        from kernels.plan import CC, CHOICE, NONE, ZIG_CC

        if plan.way == NONE and plan.must:
            self.app.display_info(f"native operators: left out, since {CHOICE} is {NONE}")
            return None
        try:
            said = compiled(plan, path)
        except OSError as error:
            cause = str(error)
        else:
            self.app.display_info(f"native operators: {said}")
            return path
        path.unlink(missing_ok=True)
        if plan.must:
            self.app.abort(f"native operators: {cause}; set {CHOICE}={NONE} to do without")
        self.app.display_warning(
            f"native operators: left out, which is slower: {cause}; set {CHOICE}={CC} or {ZIG_CC} "
            f"to make this an error, {CHOICE}={NONE} not to try"
        )
        note = path.with_name(LEFT_OUT)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{cause}\n", "utf-8")
        return note


def compiled(plan: "Plan", path: Path) -> str:
    """Write the library.

    Returns:
        By what it was compiled, and which kernel this CPU gets.

    Raises:
        OSError: it cannot be compiled, or gives wrong bits; the compiler has said why.
    """
    from kernels.build import build, compiler, kernel_of
    from kernels.plan import NO_COMPILER, NONE
    from kernels.targets import ZIG_VERSION, target_here, zig, zig_missing

    if plan.way == NONE:
        raise OSError(plan.why)
    command, missing = (zig(plan.target), zig_missing()) if plan.target else (compiler(), "")
    since = f", since {plan.why}" if plan.why else ""
    if command is None:
        raise OSError(NO_COMPILER)
    if missing:
        raise OSError(missing + since)
    name = f"zig {ZIG_VERSION}" if plan.target else " ".join(command)
    try:
        build(path, command, machine=plan.target.machine if plan.target else None)
    except subprocess.CalledProcessError as error:
        raise OSError(f"{name} failed with exit code {error.returncode}{since}") from error
    if plan.target and plan.target != target_here():
        return f"compiled by {name} for {plan.target.tag}"
    try:
        kernel = kernel_of(path)
    except OSError as error:
        raise OSError(f"what {name} compiled does not work: {error}{since}") from error
    return f"compiled by {name}{since}; this CPU gets the kernel {kernel}"
