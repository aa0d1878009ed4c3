"""The texts that an export needs: to calibrate on, to judge the result by, and golden ones."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minilm_onnx import InputError
from minilm_onnx.arrays import IdArray
from minilm_onnx.making.console import say
from minilm_onnx.making.recipe import Recipe
from minilm_onnx.making.reference import Reference
from minilm_onnx.text.tokens import tokenize
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.verify.golden import GoldenTexts

TEXTS = Path(__file__).parent / "texts"
# Of texts of one's own: how many there must be, and one in how many is held out.
FEWEST_TEXTS, HELD_OUT = 200, 8
# Activations of a layer that calibration looks at, at most, since its memory grows with them. The
# project's own texts make 78,000 rows of the 1,536 of all-MiniLM-L6-v2.
MOST_ACTIVATIONS = 80_000 * 1_536


def read_split(texts: Path | None) -> tuple[list[str], list[str]]:
    """Give texts to calibrate on, and others to judge the result by.

    The project's texts are always calibrated on, since others than a user's own will be embedded
    too; without them they were up to 0.08 of a cosine off.

    Args:
        texts: a file of one's own, one a line; None for none.

    Raises:
        InputError: there are too few in the file, or it cannot be read.
    """
    names = ("calibration.txt", "drawn.txt", "held_out.txt")
    written, drawn, held_out = ((TEXTS / name).read_text("utf-8").splitlines() for name in names)
    calibration = written + drawn
    if texts is None:
        return calibration, held_out
    try:
        lines = [line for line in texts.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(
            f"--calibration {texts}: expected UTF-8, one text per line, got: {error}; choose "
            "another"
        ) from error
    if len(lines) < FEWEST_TEXTS:
        raise InputError(
            f"--calibration {texts}: expected at least {FEWEST_TEXTS} texts, got {len(lines)}; "
            "add some like those that will be embedded"
        )
    own = [line for place, line in enumerate(lines) if place % HELD_OUT]
    return [*own, *calibration], lines[::HELD_OUT]


def read_hard() -> dict[str, list[str]]:
    """Give texts of hard kinds to judge the result by, by kind; calibration has seen none."""
    kinds: dict[str, list[str]] = {}
    for line in (TEXTS / "hard.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        kinds.setdefault(row["kind"], []).append(row["text"])
    return kinds


def with_prompts(texts: list[str], prompts: Mapping[str, str]) -> list[str]:
    """Put each of a model's prompts before a share of the texts, and none before another."""
    starts = ["", *filter(None, prompts.values())]
    return [starts[place % len(starts)] + text for place, text in enumerate(texts)]


def calibration_ids(recipe: Recipe, texts: list[str]) -> list[IdArray]:
    """Tokenise calibration texts as the model will read them; some of them if they are many."""
    default = recipe.prompts.get(recipe.default_prompt_name, "")

    def tokenized(texts: list[str]) -> list[IdArray]:
        prompted = [default + text for text in with_prompts(texts, recipe.prompts)]
        return tokenize(recipe.tokenizer, prompted, recipe.max_seq_length).ids

    ids = tokenized(texts)
    most = MOST_ACTIVATIONS // recipe.weights.layers[0].intermediate.weight.shape[1]
    if sum(map(len, ids)) <= most:
        return ids
    # In another order first: every second text may be of one kind.
    order = np.random.default_rng(0).permutation(len(texts))
    ids = tokenized([texts[place] for place in order])
    kept = int(np.searchsorted(np.cumsum([len(each) for each in ids]), most, "right"))
    say(f"calibrating on {kept} of {len(ids)} texts, which are enough")
    return ids[:kept]


def golden_texts(reference: Reference, normalize: bool) -> GoldenTexts:
    """Ask the reference about texts of many kinds; give its vectors scaled to length 1."""
    lines = (TEXTS / "golden.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line) for line in lines]
    vectors = reference.vectors(texts)
    if not normalize:
        vectors = l2_normalize(vectors)
    return GoldenTexts(texts, reference.ids(texts), vectors)
