"""The rooms of rooms.toml: every module has one, and imports between them only point down."""

from typing import TypeAlias

import pytest

from tests.support.rooms import (
    PACKAGE,
    ROOT,
    TABLE,
    Import,
    floors,
    imports,
    modules,
    read_rooms,
    room_of,
    used,
)

pytestmark = pytest.mark.skipif(not (ROOT / PACKAGE).exists(), reason="not a checkout")
ROOMS = read_rooms()
Crossing: TypeAlias = dict[tuple[str, str], list[Import]]


@pytest.fixture(scope="module")
def crossing() -> Crossing:
    """Imports from one room to another."""
    return used(ROOMS)


def test_every_module_belongs_to_a_room() -> None:
    lost = [path.as_posix() for path in modules() if room_of(path, ROOMS) is None]
    assert not lost, f"expected a room in {TABLE.name} for each, got none for {lost}"


def test_every_room_has_a_module() -> None:
    assert {room_of(path, ROOMS) for path in modules()} == set(ROOMS)


def test_a_room_imports_only_what_the_table_allows(
    crossing: Crossing,
) -> None:
    wrong = [
        f"{places[0]}: {room} may not import {other}; move the code down, or, if {other} is below, "
        f"add it to the imports of {room} in {TABLE.name}"
        for (room, other), places in crossing.items()
        if (allowed := ROOMS[room].imports) is not None and other not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_allows_nothing_that_is_not_used(
    crossing: Crossing,
) -> None:
    allowed = {(name, other) for name in ROOMS for other in ROOMS[name].imports or ()}
    unused = [f"{room} imports {other}" for room, other in sorted(allowed - set(crossing))]
    assert not unused, f"take out of {TABLE.name}: {', '.join(unused)}"


def test_imports_only_point_down(crossing: Crossing) -> None:
    """So there is no circle."""
    names = list(ROOMS)
    for place, name in enumerate(names):
        for other in ROOMS[name].imports or ():
            assert other in names[place + 1 :], f"{name} may import {other}, which is not below it"
    upward = [
        f"{places[0]}: {other} is not below {room}; move the code down"
        for (room, other), places in crossing.items()
        if names.index(other) < names.index(room)
    ]
    assert upward == []


def test_the_table_is_in_the_order_of_its_floors() -> None:
    heights = floors(ROOMS)
    in_order = [heights[name] for name in ROOMS]
    assert in_order == sorted(in_order, reverse=True), heights


def test_the_package_does_not_import_what_stands_beside_it() -> None:
    beside = {name for name in ROOMS if (ROOT / name).is_dir()}
    assert {"benchmarks", "examples", "export", "tests"} <= beside
    found = [
        str(one)
        for path in modules()
        if path.parts[0] == PACKAGE
        for one in imports(path)
        if one.module.split(".")[0] in beside
    ]
    assert found == []
