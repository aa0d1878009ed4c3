"""Which names requests may call the server by.

A web page of any name can let that name lead to 127.0.0.1 (DNS rebinding), and is then its own
origin there. Its requests still carry the name as their Host.
"""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from minilm_onnx.errors import shorten


class HostCheck:
    """An ASGI application that answers requests of allowed names only."""

    def __init__(
        self, app: ASGIApp, allowed: Sequence[str], refuse: Callable[[Scope, str], Response]
    ) -> None:
        """Prepare.

        Args:
            app: answers them.
            allowed: names beside localhost, with `*` for any part.
            refuse: gives the response to others, from their scope and a message.
        """
        self.app, self._refuse = app, refuse
        self._allowed = [name_of(pattern) for pattern in allowed]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "http":
            for host in Headers(scope=scope).getlist("host"):  # HTTP/1.0 may have none
                # No browser sends an empty one.
                if host and not self._may(name_of(host)):
                    said = (
                        f"host: expected localhost or a name that is allowed, got {shorten(host)}; "
                        f"start the server with --allow-host {shorten(name_of(host))}"
                    )
                    await self._refuse(scope, said)(scope, receive, send)
                    return
        await self.app(scope, receive, send)

    def _may(self, name: str) -> bool:
        if name == "localhost" or name.endswith(".localhost") or is_loopback(name):
            return True
        return any(fnmatchcase(name, pattern) for pattern in self._allowed)


def name_of(host: str) -> str:
    """Give the name in a Host header: without port, brackets, capitals and a dot at its end."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    # An address of IPv6 without brackets has more than one colon.
    name = host if host.count(":") > 1 else host.partition(":")[0]
    return name.removesuffix(".")


def is_loopback(name: str) -> bool:
    """Whether a name is an address by which only this machine can be reached."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
