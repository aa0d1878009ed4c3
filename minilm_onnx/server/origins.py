"""Web pages of other origins: which may ask, and what their browsers are told."""

import re

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from minilm_onnx.errors import InputError, shorten
from minilm_onnx.server.errors import RequestError

# An origin as browsers send it (https://fetch.spec.whatwg.org/#origin-header), but that "*" may be
# the first part of a host, or the port. Elsewhere it would match more than it seems to:
# "http://localhost*" is also http://localhost.example.
PATTERN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<first>\*(?=$|[.:]))?(?P<host>[^*/?#@:\s]*|\[[0-9a-f:.]+\])(:(?P<port>\d+|\*))?"
)


class Origins:
    """The origins whose pages may ask, besides the server's own."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        """Read patterns such as https://mine.example, http://localhost:*, app://* or *.

        Raises:
            InputError: no browser could send an origin that one of them matches.
        """
        self.any = "*" in patterns
        expressions = [_expression(one) for one in patterns if one != "*"]
        self.expression = "|".join(expressions) if expressions else None
        self._match = re.compile(self.expression).fullmatch if self.expression else None

    def allow(self, origin: str) -> bool:
        """Whether pages of an origin may ask."""
        return self.any or (self._match is not None and self._match(origin) is not None)

    def check(self, request: HTTPConnection) -> None:
        """Look at whose page asks.

        Raises:
            RequestError: a page of elsewhere asks, even if it could not see the answer.
        """
        origin = request.headers.get("origin")
        if origin is None or self.allow(origin):
            return
        if origin.partition("://")[2] != request.headers.get("host"):
            raise RequestError(
                f"origin: pages of {shorten(origin)} may not send requests; to allow them, start "
                f"the server with --allow-origin {shorten(origin)}",
                status=403,
                kind="origin",
            )


class CrossOrigin:
    """Tells browsers that the pages of allowed origins may ask; others are left to `check`."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        """Wrap an application."""
        self._app, self._origins = app, origins
        # The origin is what guards; any header may come along, and be seen in the answer.
        self._cors = CORSMiddleware(
            app,
            allow_origins=["*"] if origins.any else [],
            allow_origin_regex=origins.expression,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["*"],
            allow_private_network=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        origin = HTTPConnection(scope).headers.get("origin") if scope["type"] == "http" else None
        allowed = origin is not None and self._origins.allow(origin)
        await (self._cors if allowed else self._app)(scope, receive, send)


def _expression(pattern: str) -> str:
    """Give the regular expression of a pattern."""
    if pattern == "null":  # what pages of files and sandboxes send
        return pattern
    parts = PATTERN.fullmatch(pattern.lower())
    if parts is None or not (parts["first"] or parts["host"] or parts["scheme"] == "file"):
        raise InputError(
            f"--allow-origin {shorten(pattern)}: expected an origin as browsers send it, such as "
            "https://mine.example or http://localhost:3000, without a path; * may stand for all, "
            "for the first part of a host (https://*.mine.example, app://*) or for the port "
            "(http://localhost:*)"
        )
    scheme, host = re.escape(parts["scheme"]), re.escape(parts["host"])
    port = {None: "", "*": "(:[0-9]+)?"}.get(parts["port"], f":{parts['port']}")
    return f"{scheme}://{'[^/]*' if parts['first'] else ''}{host}{port}"
