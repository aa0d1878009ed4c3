"""Equal rows, which must have equal scores.

A matrix product sums in another order at its edges, so that equal rows may have scores that differ
in the last bit. Rows that are equal are therefore scored once.
"""

from dataclasses import dataclass

import numpy as np

from minilm_onnx.arrays import FloatArray, IndexArray

# Bytes of a row that are compared first.
KEY = 8


@dataclass(frozen=True, slots=True)
class Distinct:
    """The different rows of an array, in the order in which each comes first.

    Attributes:
        rows: (M, H), of the array's type.
        firsts: (M,) the place of the first of each in the array.
        which: (N,) which of them each row of the array is.
    """

    rows: FloatArray
    firsts: IndexArray
    which: IndexArray
    # The places of all rows, equal ones together; and where each of these groups begins, (M + 1,).
    _order: IndexArray
    _starts: IndexArray

    def places(self, number: int) -> IndexArray:
        """Give the places at which a row stands in the array."""
        return self._order[self._starts[number] : self._starts[number + 1]]

    def spread(
        self, numbers: IndexArray, scores: FloatArray, count: int
    ) -> tuple[IndexArray, FloatArray]:
        """Give the places in the array of some of the different rows, and their scores.

        Args:
            numbers: (K,) which, the highest score first.
            scores: (K,) of each.
            count: places to give at most.

        Returns:
            The highest first; of equal scores the earlier place.
        """
        if len(self.rows) == len(self.which) or not len(numbers):  # then none stands twice
            return numbers[:count], scores[:count]
        starts = self._starts[numbers]
        sizes = (self._starts[numbers + 1] - starts).clip(max=count)
        ends = np.cumsum(sizes)
        last = min(int(np.searchsorted(ends, count)), len(numbers) - 1)
        enough = int(np.count_nonzero(scores >= scores[last]))  # with all that score as the last
        sizes = sizes[:enough]
        within = np.arange(ends[enough - 1]) - np.repeat(ends[:enough] - sizes, sizes)
        places = self._order[np.repeat(starts[:enough], sizes) + within]
        each = np.repeat(scores[:enough], sizes)
        order = np.lexsort((places, -each))[:count]
        return places[order], each[order]


def distinct(array: FloatArray) -> Distinct:
    """Find the rows of an array that are equal, byte for byte.

    Args:
        array: (N, H) of any type of number.
    """
    firsts_of_all = _firsts(np.ascontiguousarray(array))
    firsts, which = np.unique(firsts_of_all, return_inverse=True)
    rows = array if len(firsts) == len(array) else array[firsts]
    order = np.argsort(which, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=len(firsts)))])
    return Distinct(rows, firsts, which, order, starts.astype(np.intp))


def _firsts(array: FloatArray) -> IndexArray:
    """Give for each row the place of the first that equals it, (N,)."""
    firsts = np.arange(len(array))
    if not array.size:
        return np.zeros_like(firsts)
    rows = array.view(np.uint8).reshape(len(array), -1)
    keys = np.zeros((len(array), KEY), dtype=np.uint8)
    keys[:, : rows.shape[1]] = rows[:, :KEY]
    _, which, counts = np.unique(
        keys.view(np.uint64)[:, 0], return_inverse=True, return_counts=True
    )
    seen: dict[bytes, int] = {}
    for place in np.flatnonzero(counts[which] > 1).tolist():
        firsts[place] = seen.setdefault(rows[place].tobytes(), place)
    return firsts
