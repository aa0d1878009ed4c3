"""What the native operators can take: see docs/operators.md."""

import numpy as np

from minilm_onnx.errors import ArtifactError
from minilm_onnx.making.forward import Array, Weights

# Maps have widths in multiples of this, up to the most.
MULTIPLE, MOST_WIDTH = 32, 16_384
HEAD_WIDTHS = (16, 32, 48, 64)


def check_operators(weights: Weights, name: str) -> None:
    """Refuse an encoder of which the native operators cannot be made.

    Args:
        weights: the fp32 model.
        name: for errors.

    Raises:
        ArtifactError: a width, the heads or the position bias are none that they can take.
    """
    hidden = weights.words.shape[1]
    wides = {len(layer.intermediate.bias) for layer in weights.layers}
    widths = [("hidden components", hidden, MOST_WIDTH // 3)]  # queries, keys and values are a map
    widths += [("feed-forward components", wide, MOST_WIDTH) for wide in sorted(wides)]
    for what, width, most in widths:
        if width % MULTIPLE or not 0 < width <= most:
            raise _refused(
                name,
                f"{what} in a multiple of {MULTIPLE}, {most // MULTIPLE * MULTIPLE} at most",
                f"{width}",
            )
    if hidden % weights.heads or hidden // weights.heads not in HEAD_WIDTHS:
        raise _refused(
            name,
            f"heads of {', '.join(map(str, HEAD_WIDTHS[:-1]))} or {HEAD_WIDTHS[-1]} components",
            f"{weights.heads} heads of {hidden / weights.heads:g}",
        )
    if weights.bias is not None and not np.array_equal(
        of_distance(by_distance(weights.bias)), weights.bias
    ):
        raise _refused(
            name, "a position bias that depends on the distance of two tokens alone", "another"
        )


def by_distance(bias: Array) -> Array:
    """Give a bias on the scores of two tokens by how far the second is behind the first.

    Args:
        bias: (heads, P, P), the same along each diagonal.

    Returns:
        (heads, 2 * P - 1); entry P - 1 + j - i is that of tokens i and j.
    """
    return np.concatenate([bias[:, ::-1, 0], bias[:, 0, 1:]], axis=1)


def of_distance(rows: Array) -> Array:
    """Give the bias of every two tokens, (heads, P, P): the inverse of `by_distance`."""
    places = np.arange((rows.shape[1] + 1) // 2)
    table: Array = rows[:, places[None] - places[:, None] + len(places) - 1]
    return table


def _refused(name: str, expected: str, found: str) -> ArtifactError:
    return ArtifactError(
        f"{name}: expected {expected} for int8, got {found}; take --precision fp32"
    )
