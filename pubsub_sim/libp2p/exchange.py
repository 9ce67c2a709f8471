"""Exchanges of a few messages, written as generators and driven without I/O.

A step yields bytes to be sent, or the number of received bytes it needs. Bytes received after the last step stay in
`Exchange.rest`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from pubsub_sim.libp2p.errors import ProtocolViolation
from pubsub_sim.libp2p.varint import MOST_BYTES, decode_varint

T = TypeVar("T")

Steps = Generator[bytes | int, bytes, T]
"""The steps of one end of an exchange; returns its result."""


class Exchange(Generic[T]):
    """One end of an exchange.

    Args:
        steps: creates its steps.

    Attributes:
        is_over: whether the last step has been taken.
        result: its result, once it is over.
    """

    def __init__(self, steps: Callable[[], Steps[T]]) -> None:
        self.is_over = False
        self.result: T
        self._steps = steps()
        self._received = bytearray()
        self._wanted = 0  # bytes needed by the current step; 0 before the first

    def begin(self) -> bytes:
        """Return the bytes to send before anything is received."""
        return self._go_on(None)

    def receive(self, data: bytes) -> bytes:
        """Process received bytes; return the bytes to send.

        Raises:
            Libp2pError: the exchange failed.
        """
        self._received += data
        if self.is_over or len(self._received) < self._wanted:
            return b""
        return self._go_on(self._take())

    @property
    def rest(self) -> bytes:
        """Received bytes beyond the exchange."""
        return bytes(self._received)

    def _take(self) -> bytes:
        taken = bytes(self._received[: self._wanted])
        del self._received[: self._wanted]
        return taken

    def _go_on(self, received: bytes | None) -> bytes:
        sent = bytearray()
        try:
            wish = next(self._steps) if received is None else self._steps.send(received)
            while True:
                if isinstance(wish, bytes):
                    sent += wish
                    wish = self._steps.send(b"")
                    continue
                self._wanted = wish
                if len(self._received) < wish:
                    return bytes(sent)
                wish = self._steps.send(self._take())
        except StopIteration as end:
            self.is_over = True
            self.result = end.value
            return bytes(sent)


def read_delimited(limit_bytes: int, layer: str) -> Steps[bytes]:
    """Read a message with a varint length prefix.

    Raises:
        ProtocolViolation: the length is invalid or exceeds the limit; raised before the message is read.
    """
    prefix = b""
    while True:
        prefix += yield 1
        found = decode_varint(prefix, layer=layer)
        if found is not None:
            break
        assert len(prefix) < MOST_BYTES
    size = found[0]
    if size > limit_bytes:
        raise ProtocolViolation(layer, f"a message of at most {limit_bytes} bytes", size)
    return (yield size) if size else b""
