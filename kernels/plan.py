"""By what the native operators are compiled, as the environment says; docs/wheels.md explains it.

MINILM_ONNX_BUILD:

- `cc`: by the system's C compiler.
- `zig`: by ziglang, which is then a requirement of the build.
- `none`: not at all; the wheel is pure Python.
- unset: by the C compiler; where none works, by ziglang; where neither can, the wheel is pure.

MINILM_ONNX_TARGET: the tag of another platform's wheel, which zig compiles.
"""

import os
from dataclasses import dataclass

from packaging.tags import platform_tags

from kernels.build import compiler, works
from kernels.targets import TARGETS, Target, has_zig, target_here

CHOICE, TARGET = "MINILM_ONNX_BUILD", "MINILM_ONNX_TARGET"
CC, ZIG_CC, NONE = "cc", "zig", "none"
NO_COMPILER = "there is no C compiler (cc, or what CC names)"


@dataclass(frozen=True)
class Plan:
    """By what the operators are compiled.

    Attributes:
        way: CC, ZIG_CC or NONE.
        why: of a way that nobody asked for.
        target: that zig compiles for.
        must: whether a failure fails the build.
    """

    way: str
    why: str = ""
    target: Target | None = None
    must: bool = True


def make_plan() -> Plan:
    """Read the environment, and look for a compiler where it leaves the choice.

    Raises:
        ValueError: the environment asks for what there is not, or for two things.
    """
    choice, tag = os.environ.get(CHOICE, ""), os.environ.get(TARGET, "")
    targets = {target.tag: target for target in TARGETS}
    if choice not in ("", CC, ZIG_CC, NONE):
        raise ValueError(
            f"{CHOICE}: expected {CC}, {ZIG_CC} or {NONE}, got {choice!r}; or leave it unset"
        )
    if tag and tag not in targets:
        raise ValueError(f"{TARGET}: expected one of {', '.join(targets)}, got {tag!r}")
    if tag and choice not in ("", ZIG_CC):
        raise ValueError(f"{TARGET}: expected {CHOICE}={ZIG_CC} with it, got {choice!r}")
    if choice in (CC, NONE):
        return Plan(choice)
    target = targets[tag] if tag else target_here()
    here = next(iter(platform_tags()))
    if choice == ZIG_CC or tag:
        if target is None:
            raise ValueError(
                f"{CHOICE}: expected a platform that zig compiles for, got {here}; "
                f"{TARGET} names another: {', '.join(targets)}"
            )
        return Plan(ZIG_CC, target=target)
    command = compiler()
    if command is None:
        why = NO_COMPILER
    elif works(command):
        return Plan(CC, must=False)
    else:
        why = f"{command[0]} does not compile them ({CHOICE}={CC} shows its errors)"
    if target is None or not has_zig():
        return Plan(NONE, f"{why}, and ziglang is not for {here}", must=False)
    return Plan(ZIG_CC, why, target, must=False)


def platform_here() -> str:
    """Give this system's tag for wheels: linux_x86_64, since no old glibc was compiled against."""
    portable = ("manylinux", "musllinux")
    return next(tag for tag in platform_tags() if not tag.startswith(portable))
