"""What a client may have indexed: files below the folders that are allowed, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("mcp", reason="minilm-onnx[mcp] is not installed")
pytest.importorskip("apsw", reason="minilm-onnx[search] is not installed")

from minilm_onnx import InputError
from minilm_onnx.mcpserver.folders import Folders
from tests.mcpserver.conftest import connected
from tests.mcpserver.test_tools import called, refused

Make = Callable[..., Any]
SECRET = "The harmless secret is kept outside."


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(SECRET)
    return folder


def test_index_makes_a_database_and_brings_it_up_to_date(
    make: Make, notes: Path, tmp_path: Path
) -> None:
    server = make(tmp_path / "new.db", notes)
    (notes / "picture.png").write_bytes(b"\0")
    first = called(server, "index", paths=["."])
    assert first == {
        "files_indexed": 2,
        "files_unchanged": 0,
        "passages": 3,
        "embedded": 3,
        "removed": [],
        "refused": [],
        "notes": ["1 files of other kinds were left out"],
    }
    (notes / "refunds.txt").write_text("Nothing is paid back.\n")
    (notes / "shop.md").unlink()
    second = called(server, "index", paths=[str(notes)])
    assert (second["files_indexed"], second["embedded"]) == (1, 1)
    assert second["removed"] == [f"{notes}/shop.md"]
    (found,) = called(server, "search", query="money back")["passages"]
    assert found["text"] == "Nothing is paid back."


def test_only_index_makes_a_database(make: Make, notes: Path, tmp_path: Path) -> None:
    from mcp import MCPError

    async def read(client: Any) -> None:
        with pytest.raises(MCPError, match="nothing is indexed yet"):
            await client.read_resource(uri)

    uri = f"minilm-onnx://passages/{quote(str(notes), safe='')}%2Frefunds.txt/1-1"
    server = make(tmp_path / "new.db", notes)
    for name, arguments in (
        ("search", {"query": "refund"}),
        ("similar", {"uri": uri}),
        ("status", {}),
    ):
        said = refused(server, name, **arguments)
        assert "new.db: expected an index, got none, since nothing is indexed yet; call" in said
    connected(server, read)
    assert not list(tmp_path.glob("new.db*"))
    called(server, "index", paths=["."])
    assert called(server, "status")["sources"] == 2


def test_a_relative_path_begins_at_the_only_folder(
    make: Make, notes: Path, outside: Path, tmp_path: Path
) -> None:
    one = make(tmp_path / "one.db", notes)
    assert called(one, "index", paths=["refunds.txt"])["files_indexed"] == 1
    two = make(tmp_path / "two.db", notes, outside)
    said = refused(two, "index", paths=["refunds.txt"])
    assert f"expected an absolute path, since several folders are allowed; they are {notes}" in said
    assert called(two, "index", paths=[str(notes), str(outside)])["files_indexed"] == 3


def test_a_folder_keeps_the_name_that_it_was_given(make: Make, notes: Path, tmp_path: Path) -> None:
    """So that a file has one name, whether the command line has it indexed or a client."""
    (tmp_path / "linked").symlink_to(notes)
    server = make(tmp_path / "new.db", tmp_path / "linked")
    for path in ("refunds.txt", f"{tmp_path}/linked/refunds.txt", "in/../refunds.txt"):
        called(server, "index", paths=[path])
    status = called(server, "status")
    assert status["source_names"] == [f"{tmp_path}/linked/refunds.txt"]
    assert status["may_index"] == [f"{tmp_path}/linked"]


def test_a_way_back_over_a_link_is_the_way_that_it_says(
    make: Make, notes: Path, tmp_path: Path
) -> None:
    """Else a source would be removed, or replaced, by the name of another file."""
    (notes / "deep" / "er").mkdir(parents=True)
    (notes / "deep" / "refunds.txt").write_text("Of another file.")
    (notes / "in").symlink_to(notes / "deep" / "er")
    server = make(tmp_path / "new.db", notes)
    called(server, "index", paths=["in/../refunds.txt"])
    texts = [one["text"] for one in called(server, "search", query="refund")["passages"]]
    assert texts == ["A refund takes three working days."]


def test_no_path_leads_out_of_the_folders(
    make: Make, notes: Path, outside: Path, tmp_path: Path
) -> None:
    (notes / "in").symlink_to(outside)
    (notes / "secret.txt").symlink_to(outside / "secret.txt")
    beside = tmp_path / "notes-of-others"
    beside.mkdir()
    server = make(tmp_path / "new.db", notes)
    ways = ["..", "../outside", f"{outside}/secret.txt", "in", "in/secret.txt", "secret.txt", "/"]
    for way in [*ways, str(beside), f"{notes}/../outside", "x/../../outside/secret.txt"]:
        said = refused(server, "index", paths=[way])
        assert "expected a path in the folders that may be indexed, got one outside" in said
        assert str(notes) in said
    assert not (tmp_path / "new.db").exists()


def test_a_link_in_a_folder_is_not_read_if_it_leads_out(
    make: Make, notes: Path, outside: Path, tmp_path: Path
) -> None:
    (notes / "in").symlink_to(outside)
    (notes / "secret.txt").symlink_to(outside / "secret.txt")
    (notes / "again.txt").symlink_to(notes / "refunds.txt")
    server = make(tmp_path / "new.db", notes)
    done = called(server, "index", paths=["."])
    assert done["files_indexed"] == 3  # with the link that stays inside
    (line,) = done["refused"]
    assert line.startswith(f"{notes}/secret.txt: expected a path in the folders")
    assert done["notes"] == [f"1 linked folders were left out: {notes}/in"]
    texts = [one["text"] for one in called(server, "search", query=SECRET)["passages"]]
    assert len(texts) == 4
    assert SECRET not in texts


def test_a_file_that_became_a_link_to_the_outside_is_not_read_again(
    make: Make, notes: Path, outside: Path, tmp_path: Path
) -> None:
    server = make(tmp_path / "new.db", notes)
    called(server, "index", paths=["."])
    (notes / "refunds.txt").unlink()
    (notes / "refunds.txt").symlink_to(outside / "secret.txt")
    assert len(called(server, "index", paths=["."])["refused"]) == 1
    texts = [one["text"] for one in called(server, "search", query=SECRET)["passages"]]
    assert SECRET not in texts


def test_hidden_files_are_not_indexed_even_by_name(make: Make, notes: Path, tmp_path: Path) -> None:
    (notes / ".keys").mkdir()
    for name in (".env", ".keys/one.txt"):
        (notes / name).write_text(SECRET)
    (notes / "seen.txt").symlink_to(notes / ".env")
    server = make(tmp_path / "new.db", notes)
    for name in (".env", ".keys", ".keys/one.txt", "seen.txt"):
        assert "expected a path that is not hidden" in refused(server, "index", paths=[name])
    assert called(server, "index", paths=["."])["files_indexed"] == 2


def test_a_hidden_folder_may_be_allowed_itself(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / ".notes"
    folder.mkdir()
    (folder / "one.txt").write_text("A note.")
    server = make(tmp_path / "new.db", folder)
    assert called(server, "index", paths=["."])["files_indexed"] == 1


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_has_a_name(make: Make, notes: Path, tmp_path: Path, path: str) -> None:
    server = make(tmp_path / "new.db", notes)
    said = refused(server, "index", paths=[path])
    assert said.endswith(f": paths: expected files or folders, got {path!r}; leave it out")
    assert "got none; name some" in refused(server, "index", paths=[])


def test_a_loop_of_links_is_a_line(make: Make, notes: Path, tmp_path: Path) -> None:
    (notes / "loop.txt").symlink_to(notes / "loop.txt")
    server = make(tmp_path / "new.db", notes)
    assert "loop.txt" in refused(server, "index", paths=["loop.txt"])


def test_a_path_that_is_not_there_is_a_line(make: Make, notes: Path, tmp_path: Path) -> None:
    server = make(tmp_path / "new.db", notes)
    said = refused(server, "index", paths=["gone.txt"])
    assert "gone.txt: expected a file or a folder, got none" in said


def test_only_folders_can_be_allowed(notes: Path) -> None:
    with pytest.raises(InputError, match=r"--allow-index .*shop\.md: expected a folder, got none"):
        Folders([notes / "shop.md"])
