"""Permissions as they are for others than root, who may do anything."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Two users without rights: nobody, and one that no system has.
NOBODY, STRANGER = 65534, 65533


def as_user(user: int, call: Callable[[], object]) -> str:
    """Call something in a process of that user; give its result or its error as a text.

    Who is not root can only call it as itself.
    """
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            said = str(call())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def need_users() -> None:
    """Skip a test that needs several users where there is only one."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork, to run as another user")
    if os.geteuid() != 0:
        pytest.skip("only root can run as other users")


@contextmanager
def open_to_all() -> Iterator[Path]:
    """Give a folder that every user may read and write, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
        for inner, folders, _ in os.walk(folder):
            for one in folders:
                Path(inner, one).chmod(0o777)
        folder.chmod(0o777)
