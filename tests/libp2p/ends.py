"""Two ends of an exchange or an upgrade without a socket: bytes of one are received by the other, in pieces of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from pubsub_sim.libp2p.ciphers import Cipher, fastest_cipher
from pubsub_sim.libp2p.security import Identity
from pubsub_sim.libp2p.yamux import YAMUX
from pubsub_sim.wire.signing import KeyPair


class End(Protocol):
    """One end."""

    is_over: bool

    def begin(self) -> bytes: ...

    def receive(self, data: bytes) -> bytes: ...


def key_of(name: str) -> KeyPair:
    return KeyPair(hashlib.sha256(name.encode()).digest())


def random_of(name: str) -> Callable[[int], bytes]:
    """Reproducible bytes, no fewer random than a test needs."""

    def numbers() -> Iterator[bytes]:
        count = 0
        while True:
            count += 1
            yield hashlib.sha256(f"{name}/{count}".encode()).digest()

    source = numbers()
    return lambda size: next(source)[:size]


def identity_of(
    name: str, *, muxers: Sequence[str] = (YAMUX,), make_cipher: Callable[[bytes], Cipher] | None = None
) -> Identity:
    key = key_of(name)
    return Identity(
        peer_id=key.peer_id,
        sign=key.sign_bytes,
        random=random_of(name),
        make_cipher=make_cipher or fastest_cipher(),
        muxers=tuple(muxers),
    )


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def converse(one: End, other: End, *, piece: int = 1 << 20) -> None:
    """Let two ends talk until neither has anything to say; each receives in pieces of so many bytes."""
    waiting = [(other, one.begin()), (one, other.begin())]
    while waiting:
        receiver, data = waiting.pop(0)
        sender: Any = one if receiver is other else other
        for part in in_pieces(data, piece):
            answer = receiver.receive(part)
            if answer:
                waiting.append((sender, answer))
