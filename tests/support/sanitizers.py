"""The native operators compiled to be watched: AddressSanitizer and UndefinedBehaviorSanitizer."""

import shutil
from pathlib import Path

import pytest

from tests.support.libraries import ROOT

# TELL_ASAN: of the pieces of working memory, too. UNROLL is empty, and UBSan leaves out what ASan
# sees as well, since compilers take minutes otherwise.
WATCHED = (
    "-DTELL_ASAN",
    "-DUNROLL=",
    "-fno-sanitize-recover=undefined",
    "-fno-sanitize=null,object-size,pointer-overflow",
)
SANITIZERS = "address,undefined"
# A row that does not fit: what a mistake in the sources would be, to see that it is found.
FAULT = ("take(room, 4 * padded)", "take(room, 4 * padded - 128)")


def with_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `compiled` take a copy of the sources whose attention writes past a piece of memory."""
    build = pytest.importorskip("kernels.build", reason="not a checkout")
    shutil.copytree(ROOT / "kernels", folder)
    path = folder / "attention.h"
    text = path.read_text("utf-8")
    assert text.count(FAULT[0]) == 1
    path.write_text(text.replace(*FAULT), "utf-8")
    monkeypatch.setattr(build, "SOURCES", folder)
