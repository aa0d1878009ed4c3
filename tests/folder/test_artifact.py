"""A model folder: what is trusted of it, and what is refused."""

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilm_onnx import ArtifactError, SentenceEncoder
from minilm_onnx.folder.artifact import load_artifact
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import FILES, GRAPH, LOADED, MANIFEST, TOKENIZER, WEIGHTS
from minilm_onnx.folder.manifest import Manifest, parse_manifest
from minilm_onnx.folder.small import MINILM


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
    with pytest.raises(ArtifactError, match=r"nowhere: .* got No such file.* `minilm-onnx get NA"):
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
    with pytest.raises(ArtifactError, match=r"manifest\.json: expected (JSON|format 6)"):
        SentenceEncoder(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("files", "x"),
        ("max_seq_length", "256"),
        ("parity", None),
        ("kinds", {"runs": 1.0}),
        ("normalize", 1),
        ("bits", None),
        ("dimension", True),
    ],
)
def test_a_manifest_field_of_another_type_is_named(folder: Path, name: str, value: object) -> None:
    edit_manifest(folder, lambda fields: fields.update({name: value}))
    with pytest.raises(ArtifactError, match=f"with their types, got {name}"):
        SentenceEncoder(folder)


@pytest.mark.parametrize("bits", ["0", "0" * 63, "A" * 64, "0" * 65])
def test_a_manifest_whose_bits_are_no_sha256_is_refused(folder: Path, bits: str) -> None:
    edit_manifest(folder, lambda fields: fields.update(bits=bits))
    with pytest.raises(ArtifactError, match="expected bits of 64 hexadecimal digits or none"):
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
    "change",
    [
        {"pooling": "median"},
        {"pooling": ""},
        {"max_seq_length": 2},
        {"max_seq_length": 513, "positions": 513},
        {"positions": 100},
        {"precision": "fp16"},
        {"similarity_fn_name": "hamming"},
        {"default_prompt_name": "question"},
    ],
)
def test_a_recipe_this_version_does_not_run_is_refused(
    folder: Path, change: dict[str, object]
) -> None:
    edit_manifest(folder, lambda fields: fields.update(change))
    with pytest.raises(ArtifactError, match="expected pooling by cls"):
        SentenceEncoder(folder)


def test_a_folder_of_optimum_needs_no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text(json.dumps(MINILM))
    assert SentenceEncoder(folder).manifest is None
    assert SentenceEncoder(folder).max_seq_length == 256
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 64}')
    assert SentenceEncoder(folder).max_seq_length == 64
    for text in ("{}", "x", *(f'{{"max_seq_length": {n}}}' for n in (0, -5, 2, 513, 3.7, "true"))):
        (folder / "sentence_bert_config.json").write_text(text)
        with pytest.raises(ArtifactError, match=r"expected (a max_seq_length|JSON)"):
            SentenceEncoder(folder)


def test_a_checkpoint_is_no_model_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(MINILM))
    (tmp_path / "modules.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"got a checkpoint; .* with `minilm-onnx ex"):
        SentenceEncoder(tmp_path)


@pytest.mark.parametrize("fields", [{}, [], MINILM | {"num_hidden_layers": 12}])
def test_a_folder_of_optimum_of_another_model_is_refused(folder: Path, fields: Any) -> None:
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text(json.dumps(fields))
    with pytest.raises(ArtifactError, match=r"config\.json: expected all-MiniLM-L6-v2"):
        SentenceEncoder(folder)


@pytest.mark.parametrize("dimension", [100, -1])
def test_a_manifest_of_another_dimension_is_refused(folder: Path, dimension: int) -> None:
    edit_manifest(folder, lambda fields: fields.update(dimension=dimension))
    with pytest.raises(ArtifactError, match=f"expected {dimension} components"):
        SentenceEncoder(folder)


def test_a_tokenizer_that_is_none_is_refused(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text(json.dumps(MINILM))
    (folder / TOKENIZER).write_text("{}")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: expected a tokenizer\.json"):
        SentenceEncoder(folder)


def test_a_folder_replaced_while_in_use_is_refused_not_mixed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second session is made when several texts first come; it must be of the same model."""
    monkeypatch.setattr("minilm_onnx.encoder.native_for", lambda graph: None)  # needs none
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


def test_files_that_changed_places_are_refused(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "kept")
    shutil.copy(folder / GRAPH, folder / WEIGHTS)
    with pytest.raises(ArtifactError, match="expected sha256"):
        SentenceEncoder(folder)


@pytest.mark.parametrize("name", [*LOADED, MANIFEST])
def test_an_oversized_file_is_refused_without_reading_it(folder: Path, name: str) -> None:
    """A hundred gigabytes of nothing, which take no space here."""
    with (folder / name).open("r+b") as file:
        file.truncate(100 * 2**30)
    with pytest.raises(ArtifactError, match=rf"{name}: expected a regular file of at most"):
        SentenceEncoder(folder)


@pytest.mark.parametrize("name", [*LOADED, MANIFEST])
def test_a_longer_file_is_refused(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b"\0more")
    with pytest.raises(ArtifactError, match=rf"{name}: expected (sha256|JSON)"):
        SentenceEncoder(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("name", [*LOADED, MANIFEST])
@pytest.mark.parametrize("what", ["folder", "pipe", "device"])
def test_what_is_no_file_is_refused_and_not_waited_for(folder: Path, name: str, what: str) -> None:
    (folder / name).unlink()
    if what == "folder":
        (folder / name).mkdir()
    elif what == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match=rf"{name}: expected a (regular|readable) file"):
        SentenceEncoder(folder)


HOSTILE = [
    b"",
    b"\xff\xfe{\x00}\x00",
    b"[" * 100_000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"1" * 10_000,
    b'{"format": 1e999}',
    b'{"format": NaN}',
    b'{"format": 3, "format": 3}',
    b'{"format": "' + b"x" * 500_000 + b'"}',
    b'{"format": {}}',
    b"null",
    b"\0",
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_manifest_is_refused_in_a_line(folder: Path, data: bytes) -> None:
    (folder / MANIFEST).write_bytes(data)
    with pytest.raises(ArtifactError) as refused:
        SentenceEncoder(folder)
    assert len(str(refused.value)) < 2000
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/passwd", "model.onnx\0", "a/../../b", "\x1b[31mred", ""]
)
def test_a_manifest_names_no_file_elsewhere(folder: Path, name: str) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["files"][name] = fields["files"].pop(GRAPH)

    edit_manifest(folder, change)
    with pytest.raises(ArtifactError, match=r"manifest\.json: expected"):
        SentenceEncoder(folder)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(list(Manifest.__annotations__)),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    ),
)
def test_any_value_of_a_field_is_taken_or_refused(folder: Path, name: str, value: object) -> None:
    text = (BUNDLED / MANIFEST).read_text("utf-8")
    fields = json.loads(text)
    fields[name] = value
    (folder / MANIFEST).write_text(json.dumps(fields), "utf-8")
    try:
        parse_manifest(folder)
    except ArtifactError as error:
        assert str(error).isprintable()  # noqa: PT017  most values are refused


def external(folder: Path, location: bytes) -> None:
    """Write optimum's kind of folder, whose graph takes its weights from somewhere."""
    graph = (BUNDLED / GRAPH).read_bytes()
    name = WEIGHTS.encode()
    # The length of the location, and of the entry around it.
    old = b"\x6a" + bytes([12 + len(name)]) + b"\x0a\x08location\x12" + bytes([len(name)]) + name
    assert old in graph
    assert len(location) == len(name)
    (folder / GRAPH).write_bytes(graph.replace(name, location))
    (folder / MANIFEST).unlink()
    (folder / "config.json").write_text(json.dumps(MINILM))


def test_a_graph_that_takes_weights_from_elsewhere_is_refused(folder: Path) -> None:
    """onnxruntime opens what a graph names by itself; before 1.24 also outside the folder."""
    (folder.parent / "secret.data.").write_bytes((BUNDLED / WEIGHTS).read_bytes())
    external(folder, b"../secret.data.")
    with pytest.raises(ArtifactError, match="expected weights in a file beside it"):
        SentenceEncoder(folder)
    shutil.copy(BUNDLED / MANIFEST, folder)
    (folder / GRAPH).unlink()
    shutil.copy(BUNDLED / GRAPH, folder)
    external(folder, b"/etc/hostname//")
    with pytest.raises(ArtifactError, match="expected weights in a file beside it"):
        SentenceEncoder(folder)


def test_no_code_of_a_model_folder_is_run(folder: Path) -> None:
    """Whatever else lies in it: Python beside it watches what is opened, imported and loaded."""
    trap = "raise SystemExit('ran')"
    for name in ("modeling.py", "__init__.py", "sitecustomize.py", "conftest.py", "setup.py"):
        (folder / name).write_text(trap)
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    (folder / "custom_ops.so").write_bytes(b"\x7fELF")
    traps = {"auto_map": {"AutoModel": "modeling.Trap"}}
    (folder / "config.json").write_text(json.dumps(MINILM | traps))
    (folder / "modules.json").write_text('[{"type": "modeling.Trap", "path": ""}]')
    code = (
        "import sys\n"
        "from minilm_onnx import SentenceEncoder\n"
        "folder, opened = sys.argv[1], set()\n"
        "def watch(event, arguments):\n"
        "    words = ' '.join(map(str, arguments))\n"
        "    if event == 'open' and folder in words:\n"
        "        opened.add(words.split(folder)[1].split()[0].strip('/'))\n"
        "    elif event in ('exec', 'import', 'ctypes.dlopen', 'subprocess.Popen', 'os.system',\n"
        "                   'pickle.find_class', 'marshal.loads', 'compile') and folder in words:\n"
        "        raise SystemExit(f'{event} {words}')\n"
        "sys.addaudithook(watch)\n"
        "SentenceEncoder(folder).encode('a text')\n"
        "print(sorted(opened))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
    )
    # The tokenizer's and onnxruntime's own reading is not Python's, and not seen.
    assert set(ast.literal_eval(result.stdout)) <= {*FILES, MANIFEST}


def test_a_link_out_of_the_folder_is_followed_and_still_verified(
    folder: Path, tmp_path: Path
) -> None:
    """As the hub's cache lays files out; what is behind the link must have the right bytes."""
    other = tmp_path / "tokenizer of another"
    (folder / TOKENIZER).rename(other)
    (folder / TOKENIZER).symlink_to(other)
    SentenceEncoder(folder).close()
    other.write_bytes(other.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="expected sha256"):
        SentenceEncoder(folder)


@pytest.mark.parametrize("model", ["None", "'all-MiniLM-L6-v2'", "'{folder}'"])
def test_a_package_in_a_zip_archive_says_what_is_missing(model: str, tmp_path: Path) -> None:
    """Not even with a model folder elsewhere: the probe of this CPU is in the package, too."""
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for source in BUNDLED.parent.rglob("*.py"):
            file.write(source, Path("minilm_onnx", source.relative_to(BUNDLED.parent)))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from minilm_onnx import ArtifactError, SentenceEncoder\n"
        f"try: SentenceEncoder({model.format(folder=BUNDLED)})\n"
        "except ArtifactError as error: print(error)"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{archive}/minilm_onnx/")
    assert "expected a part of the package, got none" in said
    assert "unpack the archive, or install the package with pip" in said


@pytest.mark.parametrize(
    ("frozen", "remedy"), [(True, "--collect-data minilm_onnx"), (False, "reinstall minilm-onnx")]
)
def test_a_part_of_the_package_that_is_missing_is_named_with_the_remedy(
    frozen: bool, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    monkeypatch.setattr("minilm_onnx.folder.finding.BUNDLED", tmp_path / "model")
    for model in (None, "all-MiniLM-L6-v2"):
        with pytest.raises(ArtifactError, match=f"model: expected a part .*{remedy}"):
            SentenceEncoder(model)
