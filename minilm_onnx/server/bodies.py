"""The bytes of a request's body: unpacked, within their limit, counted as they come."""

import re
import zlib
from collections.abc import Iterator
from itertools import islice

from starlette.requests import Request

from minilm_onnx.errors import shorten
from minilm_onnx.server.budget import Hold
from minilm_onnx.server.errors import RequestError

# Bytes that are unpacked at a time, and parts that gzip may be made of: each takes longer than its
# bytes, of which it may have twenty.
UNPACKED, MOST_MEMBERS = 2**16, 2**10
GZIP = ("gzip", "x-gzip")
# Values of a body beside its texts: each takes up to a hundred bytes once it is parsed.
MOST_VALUES = 2**17
VALUE = re.compile(rb'"[^"]*"?|[\[{,]')


async def read_bytes(request: Request, hold: Hold, most: int) -> bytearray:
    """Read a body, packed with gzip or not.

    Args:
        request: whose body it is.
        hold: counts it.
        most: bytes that it may have, unpacked.

    Raises:
        RequestError: it has more, or is packed otherwise.
        OverloadedError: others hold too much.
    """
    too_large = RequestError(
        f"body: expected at most {most} bytes, got more; send fewer", status=413, kind="size"
    )
    coding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if coding not in (*GZIP, "identity"):
        raise RequestError(
            f"content-encoding: expected gzip or none, got {shorten(coding)}", status=415
        )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most:
        raise too_large
    hold.begin()
    unpack = Gunzip() if coding in GZIP else None
    body, came = bytearray(), 0
    async for part in request.stream():
        came += len(part)
        if came > most:  # packed, it may be nothing at all
            raise too_large
        for some in unpack.add(part) if unpack else (part,):
            if len(body) + len(some) > most:
                raise too_large
            hold.set(len(body) + len(some))
            body += some
    if unpack:
        unpack.close()
    return body


def check_values(body: bytes | bytearray, texts: int) -> None:
    """Raise RequestError where JSON would take far more memory than its bytes.

    Args:
        body: the JSON.
        texts: how many it may have.
    """
    most = MOST_VALUES + texts
    if sum(map(body.count, (b",", b"[", b"{"))) <= most:
        return
    # Some of these are in texts.
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if sum(1 for _ in islice(VALUE.finditer(bare), 2 * most + 1)) > 2 * most:
        raise RequestError(
            f"body: expected at most {most} values, got more; send texts, and options that are "
            "described in /openapi.json"
        )


class Gunzip:
    """Unpacks gzip (RFC 1952) in small parts, as it comes."""

    def __init__(self) -> None:
        """Begin."""
        self._member = zlib.decompressobj(wbits=31)
        self._members = 1
        self._begun = False

    def add(self, packed: bytes) -> Iterator[bytes]:
        """Give what more bytes unpack to, `UNPACKED` bytes at a time.

        Raises:
            RequestError: they are no gzip, or of too many parts.
        """
        while packed:
            if self._member.eof:  # another one may follow
                self._member = zlib.decompressobj(wbits=31)
                self._members += 1
                if self._members > MOST_MEMBERS:
                    raise RequestError(
                        f"body: expected gzip of at most {MOST_MEMBERS} members, got more; "
                        "compress it as a single member"
                    )
            self._begun = True
            try:
                yield self._member.decompress(packed, UNPACKED)
            except zlib.error as error:
                raise RequestError(f"body: expected gzip, got something else ({error})") from None
            packed = self._member.unconsumed_tail or self._member.unused_data

    def close(self) -> None:
        """Raise RequestError where the end is missing."""
        if self._begun and not self._member.eof:
            raise RequestError("body: expected the whole of a gzip file, got only its beginning")
