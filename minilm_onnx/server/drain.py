"""What is left of a body that is not wanted: it is read, so that its sender reads the answer.

Most clients send all of a body before they read. If the connection is closed meanwhile, what they
get is an error of the connection, and no answer (RFC 9112, 9.6).
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What is read and dropped at most, for how long, and without what pause: of a client that waits for
# an answer before it sends more.
DRAIN_BYTES, DRAIN_SECONDS, PAUSE_SECONDS = 2**26, 10.0, 1.0
# Given because a body did not come: there is nothing to read.
LATE = 408


class Drain:
    """An ASGI application that sends what is no success only once the request's body has come."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # To read is to ask for the body, which these clients send only if they are asked.
        came = any(name == b"expect" for name, _ in scope["headers"])

        async def receive_on() -> Message:
            nonlocal came
            message = await receive()
            came = not message.get("more_body", False)
            return message

        async def send_after(message: Message) -> None:
            early = message["type"] == "http.response.start" and not came
            refused = early and message["status"] >= 300 and message["status"] != LATE
            if refused and not await _drained(receive_on):
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive_on, send_after)


async def _drained(receive: Receive) -> bool:
    """Read the rest of a body; give whether its end came."""
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                async with asyncio.timeout(PAUSE_SECONDS):
                    message = await receive()
                if not message.get("more_body", False):
                    return True
                left -= len(message["body"])
    except TimeoutError:
        pass
    return False
