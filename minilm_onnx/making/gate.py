"""Parity with the references, measured through the runtime itself; what falls short is refused."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minilm_onnx import MiniLMError, SentenceEncoder
from minilm_onnx.engine.native import RUNTIME
from minilm_onnx.making.reference import Reference
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.verify import verification
from minilm_onnx.verify.golden import GoldenTexts, bits_of, read_golden
from minilm_onnx.verify.verification import MAX_DIFFERENCE, other_bits

# int8: cosine to the reference over the held-out texts.
MIN_MEAN_COSINE = 0.9993
MIN_COSINE = 0.997
# int8: the same over all texts of hard kinds, of which no prose averages errors out.
MIN_MEAN_HARD = 0.999
MIN_HARD = 0.994
# int8: how far a vector's length may be off, of models that do not normalise; as a share of it.
MAX_LENGTH_SHARE = 0.03


class ParityError(MiniLMError):
    """An export that does not say the same as its reference."""


def check_ids(encoder: SentenceEncoder, reference: list[list[int]], texts: Sequence[str]) -> None:
    """Raise ParityError at the first text whose token ids are not the reference's."""
    for index, (found, expected) in enumerate(
        zip(encoder.tokenize_texts(texts).ids, reference, strict=True)
    ):
        if found.tolist() != expected:
            raise ParityError(
                f"{texts[index][:40]!r}: expected token ids {expected[:12]}..., "
                f"got {found[:12].tolist()}...; the tokenizer differs from the reference's"
            )


def check_same(
    name: str, found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]
) -> float:
    """Give the largest difference of two sets of vectors; raise ParityError above the limit."""
    difference = float(np.abs(found - expected).max())
    if not difference <= MAX_DIFFERENCE:
        raise ParityError(
            f"{name}: expected no component to differ by more than {MAX_DIFFERENCE:g}, "
            f"got {difference:.3g}; nothing was written"
        )
    return difference


def check_close(
    name: str,
    found: npt.NDArray[np.float32],
    expected: npt.NDArray[np.float32],
    limits: tuple[float, float],
    texts: Sequence[str],
    which: str = "held-out texts",
) -> tuple[float, float]:
    """Give mean and minimum cosine of unit rows; raise ParityError below the limits of each."""
    cosines = (found * expected).sum(axis=1)
    mean, least = float(cosines.mean()), float(cosines.min())
    worst = texts[int(cosines.argmin())]
    for label, value, limit in zip(("mean", "minimum"), (mean, least), limits, strict=True):
        if not value >= limit:
            raise ParityError(
                f"{name}: expected a {label} cosine of at least {limit}, got {value:.5f} "
                f"over {len(found)} {which}, the worst {worst[:40]!r}; nothing was written: take "
                "--precision fp32, or --calibration texts like it"
            )
    return mean, least


def check_fp32(encoder: SentenceEncoder, golden: GoldenTexts) -> None:
    """Raise ParityError unless an fp32 folder gives the golden values."""
    check_ids(encoder, golden.ids, golden.texts)
    found = l2_normalize(encoder.encode(golden.texts))
    check_same("the lean fp32 graph", found, golden.vectors)


def check_lengths(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> None:
    """Raise ParityError where the length of a vector is another, by more than a share of it."""
    lengths = np.linalg.norm(expected, axis=1)
    share = float((np.abs(np.linalg.norm(found, axis=1) - lengths) / lengths).max())
    if not share <= MAX_LENGTH_SHARE:
        raise ParityError(
            f"the int8 graph: expected lengths within {MAX_LENGTH_SHARE:.0%} of "
            f"the reference's, got {share:.1%}; nothing was written"
        )


def check_bits(
    name: str, folder: Path, texts: Sequence[str], vectors: npt.NDArray[np.float32]
) -> None:
    """Raise ParityError unless texts have the same bits in another order, batch and thread count.

    Args:
        name: for the message.
        folder: the folder that gave the vectors.
        texts: what was embedded.
        vectors: what came of it, together and with all threads.
    """
    for how, different in other_bits(SentenceEncoder(folder, threads=2), texts, vectors):
        raise ParityError(
            f"{name}: expected the same bits {how}, got others for {len(different)} texts, "
            f"the first held-out text {different[0]}; nothing was written"
        )


def golden_bits(folder: Path, golden: GoldenTexts) -> str:
    """Give the manifest's bits of an int8 folder that is complete but for them."""
    encoder = SentenceEncoder(folder)
    if encoder.runtime != RUNTIME:
        raise ParityError(
            f"the int8 graph: expected the native operators to run it, got {encoder.runtime}; "
            "nothing was written"
        )
    return bits_of(encoder.encode(golden.texts))


def rounded_down(cosine: float) -> float:
    """Give a minimum to 4 digits, none of which is more than it is."""
    return math.floor(cosine * 1e4) / 1e4


def measure(
    folder: Path,
    precision: str,
    reference: Reference,
    texts: Sequence[str],
) -> dict[str, float]:
    """Compare a model folder with its reference.

    Args:
        folder: the folder to judge, complete but for its parity figures.
        precision: "fp32" or "int8".
        reference: what is compared with.
        texts: held-out texts, none of which calibration has seen.

    Returns:
        The manifest's parity figures, rounded to what is the same from run to run.

    Raises:
        ParityError: a limit is missed.
    """
    expected = reference.vectors(texts)
    encoder = SentenceEncoder(folder)
    check_ids(encoder, reference.ids(texts), texts)
    # Texts that are cut, at a limit that the others may not reach; and odd ones.
    golden = read_golden(folder, encoder.dimension)
    long = [" ".join(texts), " ".join(texts)[::-1]]
    hard = [*golden.texts, *long]
    check_ids(encoder, [*golden.ids, *reference.ids(long)], hard)
    vectors = encoder.encode(texts)
    name = f"the {precision} graph"
    if precision == "fp32":
        every = [*texts, *hard]
        wanted = np.concatenate([expected, reference.vectors(hard)])
        # Differences count in parts of a vector's length.
        lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
        check_same("the lean fp32 graph", encoder.encode(every) / lengths, wanted / lengths)
    else:
        found = encoder.encode(hard)
        check_lengths(found, reference.vectors(hard))
        unit = l2_normalize(found[: len(golden.texts)])
        limits = verification.MEAN_COSINE, verification.MIN_COSINE  # since `verify` will ask
        check_close(name, unit, golden.vectors, limits, golden.texts, "golden texts")
    limits = MIN_MEAN_COSINE, MIN_COSINE
    mean, least = check_close(name, l2_normalize(vectors), l2_normalize(expected), limits, texts)
    check_bits(name, folder, texts, vectors)
    return {
        "texts": len(texts),
        "mean_cosine": round(mean, 4),
        "min_cosine": rounded_down(least),
    }


def measure_kinds(
    folder: Path, reference: Reference, kinds: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    """Compare an int8 folder with its reference on hard kinds of text.

    Args:
        folder: the folder to judge, complete but for its figures.
        reference: what is compared with.
        kinds: texts by kind.

    Returns:
        The manifest's figures of each kind, rounded to what is the same from run to run.

    Raises:
        ParityError: all together miss a limit.
    """
    texts = [text for every in kinds.values() for text in every]
    found = l2_normalize(SentenceEncoder(folder).encode(texts))
    expected = l2_normalize(reference.vectors(texts))
    limits = MIN_MEAN_HARD, MIN_HARD
    check_close("the int8 graph", found, expected, limits, texts, "texts of hard kinds")
    cosines = (found * expected).sum(axis=1)
    names = np.repeat(list(kinds), [len(every) for every in kinds.values()])
    return {
        kind: {
            "texts": len(every),
            "mean_cosine": round(float(cosines[names == kind].mean()), 4),
            "min_cosine": rounded_down(float(cosines[names == kind].min())),
        }
        for kind, every in kinds.items()
    }
