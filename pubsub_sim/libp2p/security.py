"""Common types of the security protocols of a connection: the input of an end, and the result of a handshake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.libp2p.ciphers import Cipher


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The identity and means of one end of a handshake.

    Attributes:
        peer_id: its peer id.
        sign: signs bytes with its identity key.
        random: returns a number of cryptographically secure random bytes.
        make_cipher: creates the cipher of a key.
        muxers: muxers named in a Noise handshake, best first; if none, the muxer is negotiated afterwards.
    """

    peer_id: PeerId
    sign: Callable[[bytes], bytes]
    random: Callable[[int], bytes]
    make_cipher: Callable[[bytes], Cipher]
    muxers: tuple[str, ...] = ()


class Channel(Protocol):
    """The transformation of a connection's bytes after the handshake.

    Attributes:
        sent, received: how much has been sealed and opened; what one end has sent is what the other has received, unless
            something is on its way.
    """

    sent: int
    received: int

    @property
    def partial_bytes(self) -> int:
        """Bytes received and not opened yet, as they are incomplete."""

    def seal(self, data: bytes) -> bytes:
        """Return the wire format of data to be sent."""

    def open(self, data: bytes) -> bytes:
        """Return the received data, as far as complete. Raises ProtocolViolation."""


@dataclass(frozen=True)
class Secured:
    """The result of a security handshake.

    Attributes:
        peer: the other end.
        channel: the channel for all further bytes.
        muxer: the muxer agreed on in the handshake; None if it must still be negotiated.
    """

    peer: PeerId
    channel: Channel
    muxer: str | None
