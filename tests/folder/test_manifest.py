"""What a manifest says of a model's agreement with its reference."""

from dataclasses import replace

from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.manifest import parse_manifest


def test_agreement_names_the_kind_of_text_that_is_worst() -> None:
    manifest = parse_manifest(BUNDLED)
    kinds = {
        "runs": {"texts": 2.0, "mean_cosine": 0.98, "min_cosine": 0.97},
        "bytes": {"texts": 3.0, "mean_cosine": 0.99, "min_cosine": 0.9},
    }
    assert replace(manifest, kinds=kinds).agreement.endswith(
        "texts; worst kind of text: runs, mean 0.98"
    )
    assert replace(manifest, kinds={}).agreement.endswith(" over 220 texts")
    assert replace(manifest, kinds=kinds, parity={}).agreement == "not measured"


def test_the_bundled_model_says_how_near_it_is_on_hard_kinds() -> None:
    kinds = parse_manifest(BUNDLED).kinds
    assert {"short replies", "runs", "bytes", "other scripts"} <= set(kinds)
    assert min(figures["mean_cosine"] for figures in kinds.values()) >= 0.999
    assert all(figures["texts"] >= 8 for figures in kinds.values())
