"""minilm-onnx get and export: the whole command, against a stand-in for the hub, without torch."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from minilm_onnx.engine.native import native
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import MANIFEST
from tests.support.documents import NUMBER, ROOT, blocks, lines
from tests.support.running import run

for name in ("huggingface_hub", "onnx", "safetensors"):
    pytest.importorskip(name, reason=f"{name} of the extra models is not installed")

from tests.support.hub import serving
from tests.support.tiny import write_tiny

MODEL, REVISION = "tests/tiny", "1234567890" * 4
PINNED = ("model.safetensors", "vocab.txt", "tokenizer.json")
# Run as the command in an environment that lacks what needs a gigabyte, with a tiny model's pin.
PROGRAM = """
import json, sys
for name in ("torch", "transformers", "optimum", "sentence_transformers", "scipy"):
    sys.modules[name] = None
from minilm_onnx.making import pins
pins.PINS["tests/tiny"] = pins.Pin(**json.loads(sys.argv.pop(1)))
exec(sys.argv.pop(1))
from minilm_onnx.cli import main
sys.exit(main())
"""
FULL = """
from minilm_onnx.making import writing
def full(model, path, weights):
    raise OSError(28, "No space left on device")  # as the real one, without a name of a file
writing.save_graph = full
"""
# As if the native operators were installed.
LIBRARY = "from minilm_onnx.making import steps; steps.native = lambda: 1"
SCRATCH = """
from minilm_onnx.errors import MiniLMError
from minilm_onnx.making import steps
steps.native = lambda: 1
steps.golden_texts = lambda *_: None
def stop(checkpoint, recipe, folder, golden, precision, *_):
    raise MiniLMError(f"{precision} at {folder}")
steps.write_folder = stop
"""
# Stops an export before what takes long.
STOPPED = """
from minilm_onnx.errors import MiniLMError
from minilm_onnx.making import steps
steps.native = lambda: 1
def stop(*_):
    raise MiniLMError("stopped")
steps.golden_texts = stop
"""
FULL_CACHE = """
import huggingface_hub
def full(*_, **__):
    raise OSError(28, "No space left on device")
huggingface_hub.snapshot_download = full
"""
Get = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture
def get(checkpoint: Path, tmp_path: Path) -> Get:
    """Run a command line with the pin of the tiny model, and a home and a cache of its own."""

    def command(
        *words: str, endpoint: str = "http://127.0.0.1:9", before: str = "", **pin: Any
    ) -> "subprocess.CompletedProcess[str]":
        sums = {name: sha256((checkpoint / name).read_bytes()).hexdigest() for name in PINNED}
        fields = {"revision": REVISION, "license": "MIT", "languages": "en", "sha256": sums} | pin
        environment = {
            "MINILM_ONNX_HOME": str(tmp_path / "models"),
            "HF_HOME": str(tmp_path / "cache"),
            "HF_ENDPOINT": endpoint,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(fields), before, *words],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


def installed(tmp_path: Path) -> list[str]:
    home = tmp_path / "models"
    return sorted(path.name for path in home.iterdir()) if home.exists() else []


def test_a_model_is_got_made_judged_and_installed_without_torch(
    get: Get, checkpoint: Path, tmp_path: Path
) -> None:
    with serving(checkpoint, MODEL, REVISION) as endpoint:
        found = get("get", "tiny", "--precision", "fp32", endpoint=endpoint)
    assert found.returncode == 0, found.stderr
    assert installed(tmp_path) == ["tiny-fp32"]
    assert (
        "cosine to a forward pass in numpy: mean 1.0, least 0.9999 over 220 texts" in found.stdout
    )
    assert found.stdout.endswith("use it with --model tiny-fp32\n")
    folder = tmp_path / "models" / "tiny-fp32"
    encoder = SentenceEncoder(folder)
    assert encoder.manifest is not None
    assert encoder.manifest.revision == REVISION
    assert (encoder.manifest.model_id, encoder.manifest.license) == (MODEL, "MIT")
    assert encoder.prompts == {"query": "find: ", "document": ""}
    assert encoder.max_seq_length == 48
    listed = get("models", "--json")
    assert [one["name"] for one in json.loads(listed.stdout)] == ["", "tiny-fp32"]
    assert get("verify", "--model", "tiny-fp32").returncode == 0
    # Again, without a network: nothing is to be done.
    again = get("get", MODEL, "--precision", "fp32")
    assert (again.returncode, again.stderr) == (0, "")
    assert "already installed" in again.stdout
    # A damaged folder is not taken for an installed one: it is made again.
    whole = (folder / "model.onnx.data").read_bytes()
    (folder / "model.onnx.data").write_bytes(whole[:-1])
    failed = get("get", "tiny", "--precision", "fp32")
    assert failed.returncode == 1
    assert f"export: {folder / 'model.onnx.data'}: expected sha256 " in failed.stderr
    assert "making it again" in failed.stderr
    with serving(checkpoint, MODEL, REVISION) as endpoint:
        assert get("get", "tiny", "--precision", "fp32", endpoint=endpoint).returncode == 0
    assert (folder / "model.onnx.data").read_bytes() == whole


def test_int8_is_made_of_the_texts_in_the_package(
    get: Get, checkpoint: Path, tmp_path: Path
) -> None:
    if native() is None:
        pytest.skip("the library of native operators is not installed")
    found = get("export", str(checkpoint), "--name", "mine")
    assert found.returncode == 0, found.stderr
    assert installed(tmp_path) == ["mine"]
    encoder = SentenceEncoder(tmp_path / "models" / "mine")
    assert encoder.manifest is not None
    assert (encoder.manifest.model_id, encoder.manifest.precision) == ("mine", "int8")
    # What its card says.
    assert (encoder.manifest.license, encoder.manifest.languages) == ("apache-2.0", "en")
    assert encoder.manifest.bits
    assert not {"torch", "sentence-transformers"} & set(encoder.manifest.versions)
    assert get("verify", "--model", "mine").returncode == 0
    vectors = encoder.encode(["a cat", "a dog"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "options", "code", "said"),
    [
        ("get tiny", {"cut": "model.safetensors"}, 1, "expected the hub's revision 1234567890"),
        ("get tiny", {"sha256": dict.fromkeys(PINNED, "0" * 64)}, 1, "expected sha256 0000"),
        ("get tiny", {"before": FULL}, 1, "/models: expected room for a model folder, got No sp"),
        (
            "get tiny",
            {"before": FULL_CACHE},
            1,
            "No space left on device; look at the network, and at the disk of /",
        ),
        ("get tiny", {"endpoint": "http://127.0.0.1:9"}, 1, "look at the network"),
        ("get tiny", {"revision": "f" * 40}, 1, "expected the hub's revision ffff"),
        ("get tiny", {"languages": "zh", "fp32": False}, 2, "languages (zh) for int8, got none"),
        ("get another", {}, 2, "name: expected one of all-MiniLM-L6-v2, "),
        ("get somebody/tiny", {}, 2, "got 'somebody/tiny'"),
        ("get tiny", {"before": "sys.modules['onnx'] = None"}, 2, r"pip install '.[models]'"),
        ("export nowhere", {}, 2, "nowhere: expected a folder"),
        ("export . --name own", {}, 1, "got neither"),
        (
            "get tiny --calibration nowhere.txt",
            {"before": LIBRARY, "fp32": False},
            2,
            "--calibration nowhere.txt: expected UTF-8",
        ),
    ],
)
def test_what_goes_wrong_is_one_line_and_nothing_is_installed(
    get: Get,
    checkpoint: Path,
    tmp_path: Path,
    words: str,
    options: dict[str, Any],
    code: int,
    said: str,
) -> None:
    given: dict[str, Any] = {"cut": "", "fp32": True} | options
    fp32 = ["--precision", "fp32"] if given.pop("fp32") else []
    with serving(checkpoint, MODEL, REVISION, cut=given.pop("cut")) as endpoint:
        found = get(*words.split(), *fp32, **{"endpoint": endpoint, **given})
    *progress, last = found.stderr.splitlines()
    assert found.returncode == code, found.stderr
    assert last.startswith("error: ")
    assert said in last
    assert all(line.startswith("export: ") for line in progress), found.stderr
    assert installed(tmp_path) == []
    # What needs no checkpoint to be refused is refused before anything is downloaded.
    assert code == 1 or not (tmp_path / "cache").exists()


@pytest.mark.parametrize("cut", ["config_sentence_transformers.json", "1_Pooling/config.json"])
def test_part_of_a_download_is_not_taken_for_the_whole(
    get: Get, checkpoint: Path, tmp_path: Path, cut: str
) -> None:
    """Without a network, huggingface_hub gives what is there as if it were all."""
    with serving(checkpoint, MODEL, REVISION, cut=cut) as endpoint:
        assert get("get", "tiny", "--precision", "fp32", endpoint=endpoint).returncode == 1
    (snapshot,) = (tmp_path / "cache").glob("hub/*/snapshots/*")
    for name in PINNED:  # the files with a sum, which came after the others
        (snapshot / name).unlink(missing_ok=True)
        (snapshot / name).symlink_to(checkpoint / name)
    found = get("get", "tiny", "--precision", "fp32")
    assert found.returncode == 1
    looking, said = found.stderr.splitlines()
    assert looking == "export: tests/tiny: looking for it on the Hugging Face hub"
    assert said.startswith("error: tests/tiny: expected the hub's revision 1234567890")
    assert "; look at the network" in said
    assert installed(tmp_path) == []


def test_a_hub_that_lists_no_hashes_is_refused(get: Get, checkpoint: Path, tmp_path: Path) -> None:
    with serving(checkpoint, MODEL, REVISION, hashes=False) as endpoint:
        found = get("get", "tiny", "--precision", "fp32", endpoint=endpoint)
    assert found.returncode == 1
    assert f"got none from {endpoint}; set HF_ENDPOINT to another" in found.stderr
    assert installed(tmp_path) == []


@pytest.mark.parametrize("name", ["config_sentence_transformers.json", "tokenizer.json"])
def test_a_damaged_file_in_the_cache_is_removed_so_that_the_next_run_downloads_it(
    get: Get, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    with serving(checkpoint, MODEL, REVISION) as endpoint:
        # What stops after the download leaves the cache full.
        get("get", "tiny", "--precision", "fp32", endpoint=endpoint, before=FULL)
        (file,) = (tmp_path / "cache").glob(f"hub/*/snapshots/*/{name}")
        assert file.is_symlink()
        file.resolve().write_text("{}")
        found = get("get", "tiny", "--precision", "fp32", endpoint=endpoint, before=FULL)
        assert found.returncode == 1
        assert f"{name}: expected " in found.stderr
        assert found.stderr.endswith("it was removed from the hub's cache: run it again\n")
        assert "--name" not in found.stderr
        again = get("get", "tiny", "--precision", "fp32", endpoint=endpoint, before=FULL)
        assert "verified, from the hub" in again.stderr
        assert file.read_bytes() == (checkpoint / name).read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        *("bge-small-en-v1.5", "me/bge-small-en-v1.5", "BAAI/bge-small-en-v1.5"),
        *("All-MPNet-base-v2", "all-MiniLM-L6-v2"),
        *("x/", "/", ".", "..", "x/..", "", " ", "two\nlines"),
    ],
)
def test_a_name_of_ones_own_is_nobodys_official_one_and_that_of_a_folder(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    checkpoint: Path,
    tmp_path: Path,
    name: str,
) -> None:
    monkeypatch.setenv("MINILM_ONNX_HOME", str(tmp_path / "models"))
    code, out, said = run(capsys, "export", str(checkpoint), "--name", name, "--precision", "fp32")
    assert (code, out) == (2, "")
    assert said.endswith("give another with --name\n")
    assert len(said.splitlines()) == 1
    assert installed(tmp_path) == []


def test_an_official_name_of_a_folder_is_refused_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINILM_ONNX_HOME", str(tmp_path / "models"))
    (tmp_path / "e5-small-v2").mkdir()
    code, _, said = run(capsys, "export", str(tmp_path / "e5-small-v2"))
    assert code == 2
    assert "'e5-small-v2': expected a name of your own, got an official model's" in said


def test_a_folder_that_is_no_checkpoint_says_what_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINILM_ONNX_HOME", str(tmp_path / "models"))

    def refused(folder: Path) -> str:
        code, out, said = run(capsys, "export", str(folder), "--name", "own")
        assert (code != 0, out, said.count("\n")) == (True, "", 1)
        return said

    assert "expected a folder that sentence-transformers saved, got none" in refused(tmp_path / "x")
    assert "got a model folder that is ready; use it with --model" in refused(BUNDLED)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("tokenizer.json", "pytorch_model.bin"):
        (other / name).touch()
    assert "got tokenizer.json and pickled weights; save the model" in refused(other)


@pytest.mark.parametrize("words", ["get tiny", "export CHECKPOINT --name own --out OUT"])
def test_a_folder_of_another_model_is_not_replaced(
    get: Get, checkpoint: Path, tmp_path: Path, words: str
) -> None:
    folder = tmp_path / "models" / "tiny-fp32"
    folder.mkdir(parents=True)
    shutil.copy(BUNDLED / MANIFEST, folder)
    places = {"CHECKPOINT": str(checkpoint), "OUT": str(folder)}
    found = get(*(places.get(word, word) for word in words.split()), "--precision", "fp32")
    assert found.returncode == 2
    assert found.stderr.startswith(f"error: {folder}: expected '")
    assert "got 'sentence-transformers/all-MiniLM-L6-v2', which would be replaced" in found.stderr
    assert (folder / MANIFEST).read_bytes() == (BUNDLED / MANIFEST).read_bytes()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("models/tiny-fp32/notes.txt", "expected a new folder or an earlier export"),
        ("models", "expected a writable place, got no folder at "),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_before_a_download(
    get: Get, checkpoint: Path, tmp_path: Path, made: str, said: str
) -> None:
    file = tmp_path / made
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("precious")
    with serving(checkpoint, MODEL, REVISION) as endpoint:
        found = get("get", "tiny", "--precision", "fp32", endpoint=endpoint)
    assert found.returncode == 2
    assert found.stderr.startswith(f"error: {tmp_path / 'models' / 'tiny-fp32'}: {said}")
    assert found.stderr.endswith("choose another folder with --out\n")
    assert file.read_text() == "precious"
    assert not (tmp_path / "cache").exists()


def test_the_fp32_folder_that_int8_is_made_of_lies_on_the_disk_of_the_result(
    get: Get, checkpoint: Path, tmp_path: Path
) -> None:
    found = get("export", str(checkpoint), "--name", "own", before=SCRATCH)
    assert f"error: fp32 at {tmp_path / 'models'}/.own." in found.stderr
    assert installed(tmp_path) == []


@pytest.mark.parametrize(
    ("card", "precision", "warned"),
    [(False, "int8", True), (True, "int8", False), (False, "fp32", False)],
)
def test_int8_of_unknown_languages_says_what_it_is_calibrated_on(
    get: Get, checkpoint: Path, tmp_path: Path, card: bool, precision: str, warned: bool
) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "own"))
    if not card:
        (folder / "README.md").unlink()
    found = get("export", str(folder), "--precision", precision, before=STOPPED)
    assert found.stderr.endswith("error: stopped\n")
    line = "export: the model card names no language, so int8 is calibrated on English texts alone"
    assert (line in found.stderr) == warned


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="not a checkout")
def test_the_session_in_the_docs_prints_what_it_says(
    get: Get, checkpoint: Path, tmp_path: Path
) -> None:
    found = [one for one in blocks("docs/models.md") if one.mark == "session get"]
    assert len(found) == 1
    name = "bge-small-en-v1.5"
    printed = ""
    with serving(checkpoint, MODEL, REVISION) as endpoint:
        for line in lines(found[0]):
            words = [word.replace(name, "tiny") for word in shlex.split(line)[1:]]
            done = get(*words, endpoint=endpoint)
            assert done.returncode == 0, done.stderr
            printed += done.stdout
    shown = printed.replace(str(tmp_path / "models"), "models").replace("tiny", name)
    assert NUMBER.sub("#", shown) == NUMBER.sub("#", found[0].said)


def test_a_home_must_be_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINILM_ONNX_HOME", raising=False)
    code, out, said = run(capsys, "get", "all-mpnet-base-v2")
    assert (code, out) == (2, "")
    assert "MINILM_ONNX_HOME: expected a folder for models, got none" in said


def test_the_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "get")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert all(model.endswith(f"/{name}") for name, _, _, model in rows)
    assert ["bge-small-en-v1.5", "en", "MIT", "BAAI/bge-small-en-v1.5"] in rows
