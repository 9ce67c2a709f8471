"""The beginning of a TCP connection: one greeting each way before the first frame.

The dialler says who it is; the listener answers who it is and whether it takes the connection. Two hosts have one
connection: a listener refuses a second one, and of two dials at once that of the smaller id stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from pubsub_sim.ids import PeerId
from pubsub_sim.net.sockets import Sockets

_MAGIC = b"pubsub_sim 1\n"
_WELCOME, _REFUSED = b"\1", b"\0"

Connected = Callable[[PeerId, asyncio.Transport, bytes], None]
"""What is done with a connection whose peer is known: (peer, transport, bytes received after the greeting)."""


class _Greeting(asyncio.Protocol):
    """Collects bytes until the peer's greeting is complete."""

    def __init__(self, own_id: PeerId, sockets: Sockets) -> None:
        self._own_id = own_id
        self._sockets = sockets
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport and note its socket as open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        self._sockets.opened(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the socket as closed."""
        if self._transport is not None:
            self._sockets.closed(self._transport)

    @property
    def transport(self) -> asyncio.Transport:
        """The connected socket."""
        assert self._transport is not None
        return self._transport

    def _cut_greeting(self, data: bytes) -> tuple[bytes, PeerId, bytes] | None:
        """The byte after the magic word, the peer's id and what follows, or None until it is all there."""
        self._received += data
        received, start = self._received, len(_MAGIC)
        if received[:start] != _MAGIC[: len(received)]:
            self.transport.abort()
            return None
        stop = start + 2 + (received[start + 1] if len(received) > start + 1 else 0)
        if len(received) < max(stop, start + 2):
            return None
        return received[start : start + 1], PeerId(received[start + 2 : stop]), received[stop:]

    def _greet(self, answer: bytes) -> None:
        self.transport.write(_MAGIC + answer + bytes((len(self._own_id),)) + self._own_id)


class Dialler(_Greeting):
    """The dialling side.

    Args:
        own_id: who we are.
        expected: whom we dialled.
        connected: called once we are welcome.
        sockets: told of ours.
        loop: the event loop.

    Attributes:
        answer: whether we are welcome; ConnectionError if the connection ends before, or somebody else answers.
    """

    def __init__(
        self,
        own_id: PeerId,
        expected: PeerId,
        connected: Connected,
        sockets: Sockets,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(own_id, sockets)
        self._expected = expected
        self._connected = connected
        self.answer: asyncio.Future[bool] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport and send our greeting."""
        super().connection_made(transport)
        self._greet(_WELCOME)

    def data_received(self, data: bytes) -> None:
        """Read the listener's greeting, set `answer` and hand over a welcome connection; abort any other."""
        greeting = self._cut_greeting(data)
        if greeting is None or self.answer.done():
            return
        answer, peer, rest = greeting
        if peer != self._expected:
            who = "the dialling host itself" if peer == self._own_id else "somebody else"
            self.answer.set_exception(ConnectionError(f"{who} answered"))
        else:
            self.answer.set_result(answer == _WELCOME)
            if answer == _WELCOME:
                self._connected(peer, self.transport, rest)
                return
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the socket as closed; fail `answer` if the greeting has not come."""
        super().connection_lost(exc)
        if not self.answer.done():
            self.answer.set_exception(ConnectionError(f"the connection ended before the greeting ({exc or 'closed'})"))

    def give_up(self) -> None:
        """Nobody waits for the answer any more."""
        if not self.answer.done():
            self.answer.cancel()
            if self._transport is not None:
                self._transport.abort()


class Listener(_Greeting):
    """The listening side.

    Args:
        own_id: who we are.
        accepts_dial: whether a peer's connection is taken.
        connected: called if it is.
        sockets: told of ours.
    """

    def __init__(
        self, own_id: PeerId, accepts_dial: Callable[[PeerId], bool], connected: Connected, sockets: Sockets
    ) -> None:
        super().__init__(own_id, sockets)
        self._accepts_dial = accepts_dial
        self._connected = connected

    def data_received(self, data: bytes) -> None:
        """Read the dialler's greeting and answer it; hand over the connection if it is welcome, else close it."""
        greeting = self._cut_greeting(data)
        if greeting is None:
            return
        _, peer, rest = greeting
        if self._accepts_dial(peer):
            self._greet(_WELCOME)
            self._connected(peer, self.transport, rest)
        else:
            self._greet(_REFUSED)
            self.transport.close()
