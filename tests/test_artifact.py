import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minilm_onnx import ArtifactError, SentenceEncoder
from minilm_onnx.artifact import BUNDLED, LOADED, MANIFEST, TOKENIZER, WEIGHTS, load_artifact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "model"))


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / MANIFEST
    fields = json.loads(path.read_text("utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), "utf-8")


def test_a_copied_folder_loads(folder: Path) -> None:
    assert SentenceEncoder(folder).manifest == load_artifact(BUNDLED).manifest
    assert SentenceEncoder(str(folder)).folder == folder


def test_the_bundled_manifest_survives_a_round_trip() -> None:
    manifest = load_artifact(BUNDLED).manifest
    assert manifest is not None
    assert manifest.to_json() == (BUNDLED / MANIFEST).read_text("utf-8")


@pytest.mark.parametrize("name", LOADED)
def test_an_altered_file_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=f"{name}: expected sha256 .* altered or cut short"):
        SentenceEncoder(folder)


@pytest.mark.parametrize("name", LOADED)
@pytest.mark.parametrize("kept", [0, 1000])
def test_a_truncated_file_is_refused(folder: Path, name: str, kept: int) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:kept])
    with pytest.raises(ArtifactError, match=rf"\({kept} bytes\)"):
        SentenceEncoder(folder)


@pytest.mark.parametrize("name", [*LOADED, MANIFEST])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}: expected a readable file"):
        SentenceEncoder(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nowhere: expected a model folder, got No such file"):
        SentenceEncoder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="file: expected a model folder, got Not a directory"):
        SentenceEncoder(tmp_path / "file")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"x"', "\udcff", "[" * 100_000, "{}", '{"format": true}', '{"format": 99}'],
)
def test_a_manifest_of_another_form_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactError, match=r"manifest\.json: expected (JSON|format 3)"):
        SentenceEncoder(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("files", "x"),
        ("max_seq_length", "256"),
        ("parity", None),
        ("normalize", 1),
        ("dimension", True),
    ],
)
def test_a_manifest_field_of_another_type_is_named(folder: Path, name: str, value: object) -> None:
    edit_manifest(folder, lambda fields: fields.update({name: value}))
    with pytest.raises(ArtifactError, match=f"with their types, got {name}"):
        SentenceEncoder(folder)


def test_a_manifest_that_does_not_vouch_for_every_file_is_refused(folder: Path) -> None:
    edit_manifest(folder, lambda fields: fields["files"].pop(WEIGHTS))
    with pytest.raises(ArtifactError, match=f"expected the sha256 of .*{WEIGHTS}"):
        SentenceEncoder(folder)


def test_a_manifest_with_an_unknown_field_is_refused(folder: Path) -> None:
    edit_manifest(folder, lambda fields: fields.update(extra=1))
    with pytest.raises(ArtifactError, match=r"got others: \['extra'\]"):
        SentenceEncoder(folder)


@pytest.mark.parametrize(
    "change", [{"pooling": "cls"}, {"normalize": False}, {"max_seq_length": 2}]
)
def test_a_recipe_this_version_does_not_run_is_refused(
    folder: Path, change: dict[str, object]
) -> None:
    edit_manifest(folder, lambda fields: fields.update(change))
    with pytest.raises(ArtifactError, match="expected mean pooling, normalised"):
        SentenceEncoder(folder)


def test_a_folder_of_optimum_needs_no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text("{}")
    assert SentenceEncoder(folder).manifest is None
    assert SentenceEncoder(folder).max_seq_length == 256
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 64}')
    assert SentenceEncoder(folder).max_seq_length == 64
    for text in ("{}", "x", *(f'{{"max_seq_length": {n}}}' for n in (0, -5, 2, 513, 3.7, "true"))):
        (folder / "sentence_bert_config.json").write_text(text)
        with pytest.raises(ArtifactError, match=r"expected (a max_seq_length|JSON)"):
            SentenceEncoder(folder)


@pytest.mark.parametrize("dimension", [100, -1])
def test_a_manifest_of_another_dimension_is_refused(folder: Path, dimension: int) -> None:
    edit_manifest(folder, lambda fields: fields.update(dimension=dimension))
    with pytest.raises(ArtifactError, match=f"expected {dimension} components"):
        SentenceEncoder(folder)


def test_a_tokenizer_that_is_none_is_refused(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text("{}")
    (folder / TOKENIZER).write_text("{}")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: expected a tokenizer\.json"):
        SentenceEncoder(folder)


def test_a_folder_replaced_while_in_use_is_refused_not_mixed(folder: Path) -> None:
    """The second session is made when several texts first come; it must be of the same model."""
    encoder = SentenceEncoder(folder, threads=2)
    encoder.encode("one text")
    many = [f"text number {i}" + " and more" * (i % 2) for i in range(2000)]
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / WEIGHTS).unlink()  # as an upgrade does: the old file stays mapped
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(ArtifactError, match=f"{WEIGHTS}: expected sha256"):
        encoder.encode(many)


def test_a_relative_folder_outlives_a_change_of_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    encoder = SentenceEncoder(folder.name, threads=2)
    monkeypatch.chdir("/")
    assert encoder.encode([f"text {i}" + " and more" * (i % 2) for i in range(2000)]).shape == (
        2000,
        384,
    )
