"""The operators of a graph, read from its file without the onnx package.

The numbers of fields are those of onnx.proto, https://github.com/onnx/onnx; how fields lie in a
file: https://protobuf.dev/programming-guides/encoding
"""

import mmap
from collections.abc import Collection, Iterator
from pathlib import Path

from minilm_onnx.folder.files import reading

GRAPH_OF_MODEL, NODE_OF_GRAPH, KIND_OF_NODE, DOMAIN_OF_NODE = 7, 1, 4, 7
# How a field's value is written: a number, eight bytes, so many bytes, four bytes.
NUMBER, EIGHT, BYTES, FOUR = 0, 1, 2, 5
# Fields to be looked at: an encoder of 24 layers has a thousand; a file could have 2^30.
MOST_FIELDS = 50_000
# Bytes of a name that are read; those that are sought are shorter.
MOST_NAME = 100


def consists_of(graph: Path, domain: str, kinds: Collection[str]) -> bool:
    """Whether all nodes of a graph are operators of one domain and of some kinds.

    Args:
        graph: an ONNX file, which need not be a right one; onnxruntime says what is wrong with it.
        domain: that every node must be of.
        kinds: the operators that are known of it.

    Raises:
        ArtifactError: it is missing or unreadable.
    """
    known = {(domain.encode(), kind.encode()) for kind in kinds}
    count = 0
    with reading(graph) as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                left = iter(range(MOST_FIELDS))
                for node in _nodes(data, left):
                    if _domain_and_kind(data, *node, left) not in known:
                        return False
                    count += 1
        except (ValueError, IndexError):  # an empty file is one, too
            return False
    return count > 0


def _nodes(data: mmap.mmap, left: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Give where each node of a model begins and ends."""
    for number, begin, end in _fields(data, 0, len(data), left):
        if number == GRAPH_OF_MODEL:
            for inner, first, last in _fields(data, begin, end, left):
                if inner == NODE_OF_GRAPH:
                    yield first, last


def _domain_and_kind(
    data: mmap.mmap, begin: int, end: int, left: Iterator[int]
) -> tuple[bytes, bytes]:
    found = {
        number: data[first : min(last, first + MOST_NAME)]
        for number, first, last in _fields(data, begin, end, left)
        if number in (DOMAIN_OF_NODE, KIND_OF_NODE)
    }
    return found.get(DOMAIN_OF_NODE, b""), found.get(KIND_OF_NODE, b"")


def _fields(
    data: mmap.mmap, begin: int, end: int, left: Iterator[int]
) -> Iterator[tuple[int, int, int]]:
    """Give the number, begin and end of each field that is bytes, and take one of `left` for each.

    Raises:
        ValueError, IndexError: it is not what protobuf writes, or none are left.
    """
    while begin < end:
        if next(left, None) is None:
            raise ValueError("more fields than an encoder has")
        key, begin = _number(data, begin)
        size = {EIGHT: 8, FOUR: 4}.get(key & 7, 0)
        if key & 7 == NUMBER:
            _, begin = _number(data, begin)
        elif key & 7 == BYTES:
            size, begin = _number(data, begin)
            if size > end - begin:
                raise ValueError(f"{size} bytes where {end - begin} are")
            yield key >> 3, begin, begin + size
        elif not size:
            raise ValueError(f"a value of kind {key & 7}")
        begin += size


def _number(data: mmap.mmap, begin: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first; give it and where it ends."""
    value = 0
    for place in range(10):
        byte = data[begin + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, begin + place + 1
    raise ValueError("a number of more than ten bytes")
