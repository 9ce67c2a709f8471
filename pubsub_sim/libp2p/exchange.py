"""Exchanges of a few messages, written as steps and driven as plain objects that take bytes and give bytes.

A step yields bytes to have them sent, or a number to get so many received bytes. What comes after the last step stays in
`Exchange.rest`, for whoever reads next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from pubsub_sim.libp2p.errors import ProtocolViolation
from pubsub_sim.libp2p.varint import MOST_BYTES, decode_varint

T = TypeVar("T")

Steps = Generator[bytes | int, bytes, T]
"""The steps of one end of an exchange; returns what was agreed on."""


class Exchange(Generic[T]):
    """One end of an exchange.

    Args:
        steps: makes its steps.

    Attributes:
        is_over: whether the last step has been taken.
        result: what was agreed on, once it is over.
    """

    def __init__(self, steps: Callable[[], Steps[T]]) -> None:
        self.is_over = False
        self.result: T
        self._steps = steps()
        self._received = bytearray()
        self._wanted = 0  # bytes the present step waits for; 0 before the first

    def begin(self) -> bytes:
        """Return what is to be sent before anything is received."""
        return self._go_on(None)

    def receive(self, data: bytes) -> bytes:
        """Take received bytes; returns what is to be sent.

        Raises:
            Libp2pError: the exchange has failed.
        """
        self._received += data
        if self.is_over or len(self._received) < self._wanted:
            return b""
        return self._go_on(self._take())

    @property
    def rest(self) -> bytes:
        """What was received and is not part of the exchange."""
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
    """Read a message that stands after its length as a varint.

    Raises:
        ProtocolViolation: the length is none, or over the limit; before anything of the message is waited for.
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
