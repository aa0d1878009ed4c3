"""Connections of clients that are slow, offer other protocols, send too much, or leave.

uvicorn itself ends idle connections, but waits for ever, and without limit, for a first line or a
header that comes byte by byte, and for a client that does not take its answer. It loses the body
of a request that offers another protocol, and does not see that a client has left which had sent
another request behind its first.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from minilm_onnx.server.endpoint import ENDING

HEAD_SECONDS = 10.0
# In which some of an answer must be taken, and how often that is looked at meanwhile.
TAKE_SECONDS, LOOKS = 30.0, 8
# Of a request's head, of what follows its body, and of requests behind the one being answered.
HEAD_BYTES = 2**16
# Bytes that are parsed at a time: of a great many requests in one packet, few are begun.
PART = 2**14
# Bytes of an answer that the system keeps without having sent them: it would take megabytes, and
# say nothing of a slow client for minutes.
UNSENT = 2**16


class Connection(HttpToolsProtocol):
    """A connection with limits of its own."""

    _late: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0
    _after_body = 0
    _untaken = 0
    _taken_at = 0.0
    # The request that is being answered; `cycle` is the last that came.
    _running: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head, but not for ever."""
        super().connection_made(transport)
        self._behind = bytearray()  # what came behind requests that wait
        # An answer's next part is asked for once all before it has left this process.
        transport.set_write_buffer_limits(high=0)
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if option is not None:
            with suppress(OSError):  # not for Unix sockets
                one = transport.get_extra_info("socket")
                one.setsockopt(socket.IPPROTO_TCP, option, UNSENT)
        self._await_head()

    def on_message_begin(self) -> None:
        """Likewise for those that follow on the same connection."""
        super().on_message_begin()
        self._in_head = True
        self._after_body = 0
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header field; those behind a body are not looked at."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there; the body is waited for by who reads it."""
        if self.parser.should_upgrade():
            return  # it is read again without the offer
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take some of a body."""
        self._after_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is there."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read on, unless something has become too long or requests are waiting."""
        for first in range(0, len(data), PART):
            if self.pipeline or self._behind:
                self._keep_behind(data[first:])
                break
            self._read(data[first : first + PART])
            if self.transport.is_closing():
                return
        if self.pipeline:
            # Whether the client leaves is seen by reading. An answer that is on its way ends soon.
            if not self._running.response_started:
                self.flow.resume_reading()
            elif self._behind:
                self.flow.pause_reading()
        if self._late is None and self._is_idle():
            self._await_head()  # what came ended uvicorn's own wait for the next request

    def on_response_complete(self) -> None:
        """An answer is sent: go on with what came behind its request."""
        super().on_response_complete()
        if self._behind and not self.pipeline:
            self.loop.call_soon(self._go_on)

    def pause_writing(self) -> None:
        """An answer is not taken: end the connection if that lasts."""
        super().pause_writing()
        self._untaken = self.transport.get_write_buffer_size()
        self._taken_at = self.loop.time()
        self._stuck = self.loop.call_later(TAKE_SECONDS / LOOKS, self._look)

    def resume_writing(self) -> None:
        """It is taken."""
        self._stop_looking()
        super().resume_writing()

    def shutdown(self) -> None:
        """The server ends: what is asked is still answered."""
        if self._running is not None:
            self._running.scope[ENDING] = True  # for who is cancelled when that takes too long
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        self._stop_looking()
        self._behind.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                if ENDING not in scope or not cycle.response_started:
                    raise
                # The time to end in is over. To close would be to wait for who does not read.
                cycle.disconnected = True
                self.transport.abort()

        self._running = cycle
        super()._start_asgi_task(cycle, answer)

    def _read(self, data: bytes) -> None:
        """Parse some bytes."""
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        self._after_body += len(data)
        try:
            while data:
                data = self._parse(data)
        except httptools.HttpParserError:
            said = "Invalid HTTP request received."
            self.logger.warning(said)
            self.send_400_response(said)
            return
        if self.transport.is_closing():
            return
        in_head = self._late is not None and self._head_bytes > HEAD_BYTES
        if in_head or (not self._in_head and self._after_body > HEAD_BYTES):
            self._stop_waiting()
            self.send_400_response(f"expected at most {HEAD_BYTES} bytes of headers, got more")

    def _parse(self, data: bytes) -> bytes:
        """Parse bytes until a request offers another protocol; give what to parse again.

        A server may take no notice of an offer (RFC 9110, 7.8): h2c of the JDK's client, WebSocket.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self.parser.get_method() == b"CONNECT":
                self.send_400_response("expected another method than CONNECT")
                return b""
            head = self._head_without_offer()
            # This parser takes what comes after an offer for the other protocol.
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            return head + data[offer.args[0] :]
        return b""

    def _head_without_offer(self) -> bytes:
        lines = [
            b"%s %s HTTP/%s"
            % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        for name, value in self.headers:
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                value = b", ".join(one for one in options if one.lower() != b"upgrade")
            if name != b"upgrade":
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def _keep_behind(self, data: bytes) -> None:
        """Keep what comes behind requests that wait; or else no client would be seen to leave."""
        self._behind += data
        if self.pipeline and len(self._behind) > HEAD_BYTES and not self._running.response_started:
            # The client may ask again for what is not answered when the connection is closed.
            self._running.keep_alive = False
            self._behind.clear()

    def _go_on(self) -> None:
        data = bytes(self._behind)
        self._behind.clear()
        if not self.transport.is_closing():
            self.data_received(data)

    def _look(self) -> None:
        """End the connection if nothing was taken for long."""
        untaken, now = self.transport.get_write_buffer_size(), self.loop.time()
        if untaken < self._untaken:
            self._untaken, self._taken_at = untaken, now
        elif now - self._taken_at >= TAKE_SECONDS:
            self.transport.abort()
            return
        self._stuck = self.loop.call_later(TAKE_SECONDS / LOOKS, self._look)

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

    def _stop_looking(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _give_up(self) -> None:
        self._late = None
        if self._is_idle():
            self.transport.close()
        else:
            self._await_head()  # an answer before it is on its way
