"""tests/package/rooms.toml: the rooms, and what the code imports; python -m tests.support.rooms
draws them in CONTRIBUTING.md."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "tests" / "package" / "rooms.toml"
DOCUMENT = ROOT / "CONTRIBUTING.md"
PACKAGE = "minilm_onnx"
START, END = "<!-- rooms -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Room:
    """A line of the table.

    Attributes:
        what: it is for.
        imports: rooms that it may import; None for all of them.
        also: files in minilm_onnx/ that belong to it, as patterns.
    """

    what: str
    imports: tuple[str, ...] | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Import:
    """Where a module imports one of this repository's."""

    path: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.path.as_posix()}:{self.line} imports {self.module}"


def read_rooms() -> dict[str, Room]:
    """The table, from the top floor to the ground."""
    rows = tomllib.loads(TABLE.read_text("utf-8"))
    return {
        name: Room(
            row["what"],
            tuple(row["imports"]) if "imports" in row else None,
            tuple(row.get("also", ())),
        )
        for name, row in rows.items()
    }


def room_of(path: Path, rooms: dict[str, Room]) -> str | None:
    """The room of a file or folder, named from the root of the repository; None if it has none."""
    inside = path.parts[0] == PACKAGE and len(path.parts) > 1
    part = path.parts[1] if inside else path.parts[0]
    name = part.removesuffix(".py")
    if name in rooms:
        return name
    # A pattern with a star names what no other room does.
    also = [(pattern, room) for room in rooms for pattern in rooms[room].also if inside]
    matching = [(pattern, room) for pattern, room in also if fnmatch(part, pattern)]
    return min(matching, key=lambda one: "*" in one[0])[1] if matching else None


def modules() -> list[Path]:
    """Every module of the package and of the folders beside it, from the root."""
    folders = {path.parent for path in ROOT.glob("[!.]*/*.py")}
    found = [path.relative_to(ROOT) for folder in folders for path in folder.rglob("*.py")]
    return sorted(found)


def imports(path: Path) -> Iterator[Import]:
    """What a module imports of this repository, also in functions and for types alone."""
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            assert not node.level, f"{path}:{node.lineno}: expected an import by the whole name"
            # `from package import module` names a module, too.
            inner = [f"{package}.{alias.name}" for alias in node.names]
            names = [name if module_file(name) else package for name in inner]
        else:
            continue
        for name in dict.fromkeys(names):
            if module_file(name):
                yield Import(path, node.lineno, name)


def module_file(name: str) -> Path | None:
    """The file of a module of this repository, from its root; None if it is none of it."""
    stem = Path(*name.split("."))
    candidates = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((path for path in candidates if (ROOT / path).is_file()), None)


def used(rooms: dict[str, Room]) -> dict[tuple[str, str], list[Import]]:
    """Which room imports which, and where."""
    found: dict[tuple[str, str], list[Import]] = {}
    for path in modules():
        for one in imports(path):
            target = module_file(one.module)
            assert target
            pair = room_of(path, rooms), room_of(target, rooms)
            if pair[0] and pair[1] and pair[0] != pair[1]:
                found.setdefault((pair[0], pair[1]), []).append(one)
    return found


def floors(rooms: dict[str, Room]) -> dict[str, int]:
    """How high each room stands: one above the highest that it may import, from 0 on the ground."""
    found: dict[str, int] = {}
    for name in reversed(rooms):
        allowed = rooms[name].imports
        below = found if allowed is None else [room for room in allowed if room in found]
        found[name] = max((found[room] + 1 for room in below), default=0)
    return found


def drawing() -> str:
    """The floors as a drawing, and a row a room."""
    rooms = read_rooms()
    height = floors(rooms)
    storeys = [
        f"{floor:2} | " + "   ".join(name for name in rooms if height[name] == floor)
        for floor in sorted(set(height.values()), reverse=True)
    ]
    width = max(map(len, storeys)) + 2
    rule = "   +" + "-" * (width - 4) + "+"
    picture = [line for storey in storeys for line in (rule, f"{storey:{width}}|")]
    rows = [f"| {place(name)} | {rooms[name].what} |" for name in rooms]
    table = ["| room | what it is for |", "| --- | --- |", *rows]
    return "\n".join(["", "```text", *picture, rule, "```", "", *table, "", ""])


def place(name: str) -> str:
    """A link to a room's folder or file."""
    candidates = (f"{name}/", f"{PACKAGE}/{name}/", f"{PACKAGE}/{name}.py")
    found = next(path for path in candidates if (ROOT / path).exists())
    return f"[{found}]({found})"


def render() -> str:
    """The whole page, with the drawing between its two marks."""
    head, _, rest = DOCUMENT.read_text("utf-8").partition(START)
    _, _, tail = rest.partition(END)
    return f"{head}{START}{drawing()}{END}{tail}"


if __name__ == "__main__":
    DOCUMENT.write_text(render(), "utf-8")
    sys.exit(0)
