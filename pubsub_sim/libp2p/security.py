"""What the security protocols of a connection have in common: what an end brings, and what comes of a handshake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.libp2p.ciphers import Cipher


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What one end brings to its handshakes.

    Attributes:
        peer_id: who it is.
        sign: signs bytes with its identity key.
        random: gives so many random bytes, fit for keys.
        make_cipher: makes the cipher of a key.
        muxers: the muxers that it names in a Noise handshake, best first; with none they are negotiated afterwards.
    """

    peer_id: PeerId
    sign: Callable[[bytes], bytes]
    random: Callable[[int], bytes]
    make_cipher: Callable[[bytes], Cipher]
    muxers: tuple[str, ...] = ()


class Channel(Protocol):
    """What the bytes of a connection go through after the handshake."""

    def seal(self, data: bytes) -> bytes:
        """Return the wire's bytes of what is to be sent."""

    def open(self, data: bytes) -> bytes:
        """Return what the other end wrote, as far as it has come. Raises ProtocolViolation."""


@dataclass(frozen=True)
class Secured:
    """What comes of a security handshake.

    Attributes:
        peer: who the other end is.
        channel: what the connection's bytes go through from now on.
        muxer: the muxer both ends agreed on in the handshake; None if that is still to be done.
    """

    peer: PeerId
    channel: Channel
    muxer: str | None
