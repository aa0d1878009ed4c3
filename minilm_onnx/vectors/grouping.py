"""Which vectors belong together: all within a threshold of one."""

from collections.abc import Iterator, Sequence

import numpy as np

from minilm_onnx.arrays import FloatArray, IndexArray
from minilm_onnx.checks import check_positive
from minilm_onnx.errors import InputError, shown
from minilm_onnx.progress import named_bar
from minilm_onnx.vectors.distinct import distinct
from minilm_onnx.vectors.inputs import Vectors, as_floats, refuse_nan
from minilm_onnx.vectors.nearest import in_chunks
from minilm_onnx.vectors.pooling import l2_normalize


def community_detection(
    embeddings: Vectors,
    threshold: float = 0.75,
    min_community_size: int = 10,
    batch_size: int = 1024,
    show_progress_bar: bool = False,
) -> list[list[int]]:
    """Find groups of vectors that are all near the centre of their group.

    It works like the function of this name in sentence-transformers. Every vector with enough
    others within the threshold is the centre of a group. Groups are taken from the largest to the
    smallest; vectors in a larger group are removed from smaller ones, and groups that become too
    small are dropped.

    Args:
        embeddings: (N, H) float.
        threshold: minimum cosine to the centre.
        min_community_size: minimum number of vectors in a group, its centre included.
        batch_size: how many rows to compare with all others at a time.
        show_progress_bar: whether to show one, on a terminal.

    Returns:
        The row numbers of each group, its centre first; the largest group first.

    Raises:
        InputError: the vectors are not (N, H) or contain NaN, the threshold is not a number, or
            another number is not a positive integer.
    """
    check_threshold(threshold)
    min_community_size = check_positive("min_community_size", min_community_size)
    batch_size = check_positive("batch_size", batch_size)
    unit = distinct(_unit_rows(embeddings))
    least = min(min_community_size, len(unit.which))
    groups: list[IndexArray] = []
    for _, cosines in _cosines(unit.rows, batch_size, show_bar=show_progress_bar):
        for line in cosines:
            numbers = np.flatnonzero(line >= threshold)
            numbers = numbers[np.argsort(-line[numbers], kind="stable")]
            near, _ = unit.spread(numbers, line[numbers], len(unit.which))
            if len(near) >= least:
                groups.append(near)
    taken = np.zeros(len(unit.which), dtype=bool)
    kept: list[IndexArray] = []
    for group in sorted(groups, key=len, reverse=True):
        rest = group[~taken[group]]
        if len(rest) >= least:
            kept.append(rest)
            taken[rest] = True
    return [group.tolist() for group in sorted(kept, key=len, reverse=True)]


def near_duplicates(
    embeddings: Vectors,
    threshold: float = 0.9,
    batch_size: int = 1024,
    *,
    unread: Sequence[str] | None = None,
    show_progress_bar: bool = False,
) -> list[tuple[int, int, float]]:
    """Find the vectors that are near an earlier one.

    Vectors are read in order. A vector is kept, unless one that was kept before is within the
    threshold; if there are several, the nearest is its original.

    Args:
        embeddings: (N, H) float.
        threshold: minimum cosine.
        batch_size: how many rows to compare with all others at a time.
        unread: the rest of each text that its vector does not cover, from
            `SentenceEncoder.unread`. Two texts count as near only if their rests are equal, apart
            from white space. None if every vector covers its whole text.
        show_progress_bar: whether to show one, on a terminal.

    Returns:
        (row, its original, their cosine) for each vector that is not kept, in order.

    Raises:
        InputError: the vectors are not (N, H) or contain NaN, the threshold is not a number,
            batch_size is not a positive integer, or `unread` does not have N texts.
    """
    check_threshold(threshold)
    threshold = float(np.float32(threshold))  # as numpy compares it with the cosines of a row
    batch_size = check_positive("batch_size", batch_size)
    unit = _unit_rows(embeddings)
    labels = _numbered(unread, len(unit))
    # Rows are the same only if what was not read is, too.
    told = unit if unread is None else np.column_stack([unit, labels.astype(np.float32)])
    different = distinct(told)
    rows, labels = different.rows[:, : unit.shape[1]], labels[different.firsts]
    count = len(rows)
    kept, best = np.ones(count, dtype=bool), np.ones(count, dtype=np.float32)
    repeated = np.flatnonzero(np.bincount(different.which, minlength=count) > 1)
    # Of each different row its originals, each with the place from which on it is the nearest.
    originals: list[list[tuple[int, int, float]]] = []
    for first, cosines in _cosines(rows, batch_size, earlier=True, show_bar=show_progress_bar):
        for number, line in enumerate(cosines, first):
            near = np.flatnonzero(line[:number] >= threshold)
            near = near[kept[near] & (labels[near] == labels[number])]
            nearest = near[np.argmax(line[near])] if len(near) else number
            kept[number], best[number] = not len(near), line[nearest]
            place = int(different.firsts[number])
            originals.append([(place, int(different.firsts[nearest]), float(line[nearest]))])
            if kept[number]:
                others = repeated[: np.searchsorted(repeated, number)]
                nearer = ~kept[others] & (line[others] > best[others])
                for other in others[nearer & (labels[others] == labels[number])]:
                    best[other] = line[other]
                    originals[other].append((place, place, float(line[other])))
    found: list[tuple[int, int, float]] = []
    for number in range(count):
        for row in different.places(number)[int(kept[number]) :].tolist():
            _, original, score = [one for one in originals[number] if one[0] <= row][-1]
            if score >= threshold:
                found.append((row, original, score))
    return sorted(found)


def _numbered(texts: Sequence[str] | None, count: int) -> IndexArray:
    """Give equal texts the same number, (N,) intp; all the same where there are none."""
    if texts is None:
        return np.zeros(count, dtype=np.intp)
    if len(texts) != count:
        raise InputError(f"unread: expected one str per vector, {count}, got {len(texts)}")
    numbers: dict[str, int] = {}
    bare = (" ".join(text.split()) for text in texts)
    return np.array([numbers.setdefault(text, len(numbers)) for text in bare], dtype=np.intp)


def _unit_rows(embeddings: Vectors) -> FloatArray:
    """Give vectors scaled to length 1, (N, H) float32.

    Raises:
        InputError: they are not (N, H), or hold NaN.
    """
    rows = as_floats("embeddings: expected (N, H) floats", embeddings)
    if rows.ndim != 2:
        raise InputError(f"embeddings: expected (N, H), got {rows.shape}; encode a list of texts")
    unit = l2_normalize(rows)
    refuse_nan("embeddings", unit)
    return unit


def _cosines(
    rows: FloatArray, batch_size: int, *, earlier: bool = False, show_bar: bool = False
) -> Iterator[tuple[int, FloatArray]]:
    """Compare some of the different rows at a time with all, or with none that come later.

    Yields:
        The number of the first, and the cosines; a row's own is 1, which a sum may miss.
    """
    count = len(rows)
    with named_bar("compare", count * count, show=show_bar) as done:
        for first, chunk in in_chunks(rows, batch_size):
            end = first + len(chunk)
            others = rows[:end] if earlier else rows
            cosines: FloatArray = chunk @ others.T
            own = np.arange(len(chunk))
            cosines[own, first + own] = chunk.any(axis=1)
            yield first, cosines
            # The work grows with what each row is compared with.
            done(end * end - first * first if earlier else len(chunk) * count, len(chunk))


def check_threshold(threshold: float) -> None:
    """Raise InputError unless a threshold is a number."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
        raise InputError(f"threshold: expected a number, got {shown(threshold)}; leave it out")
    if np.isnan(threshold):
        raise InputError("threshold: expected a number, got NaN; leave it out")
