"""Connections that take their time: what comes before a request's body must come soon and be short.

uvicorn itself ends idle connections, but waits for ever, and without limit, for a first line or a
header that comes byte by byte, and for a client that does not take its answer.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
# In which some of an answer must be taken.
TAKE_SECONDS = 30.0
HEAD_BYTES = 2**16


class Connection(HttpToolsProtocol):
    """A connection that is closed where a request's head is late or long."""

    _late: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head, but not for ever."""
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        """Likewise for those that follow on the same connection."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head is there; the body is waited for by who reads it."""
        self._stop_waiting()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head has become too long."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._late is not None and self._head_bytes > HEAD_BYTES:
            self._stop_waiting()
            self.send_400_response(f"expected at most {HEAD_BYTES} bytes of headers, got more")
        elif self._is_idle():
            self._await_head()  # what came ended uvicorn's own wait for the next request

    def pause_writing(self) -> None:
        """An answer is not taken: end the connection if that lasts."""
        super().pause_writing()
        self._stuck = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It is taken."""
        self._stop_abort()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        self._stop_abort()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        if self._late is None:
            self._head_bytes = 0
            self._late = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _stop_abort(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _give_up(self) -> None:
        self._late = None
        if self._is_idle():
            self.transport.close()
        else:
            self._await_head()  # an answer before it is on its way
