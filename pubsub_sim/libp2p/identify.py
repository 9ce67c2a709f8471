"""Identify 1.0.0 and its push: the information a peer sends about itself on a new connection and on changes.

The end that opens the stream receives (identify) or sends (push). Messages are length-prefixed; a peer may send several,
which are merged, until the end of the stream. Source: libp2p/specs identify.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from pubsub_sim.ids import PeerId
from pubsub_sim.libp2p.errors import MultiaddrError, ProtocolViolation
from pubsub_sim.libp2p.keys import marshal_public_key
from pubsub_sim.libp2p.messages_pb2 import Identify
from pubsub_sim.libp2p.multiaddr import Multiaddr
from pubsub_sim.libp2p.varint import decode_varint, encode_varint

IDENTIFY = "/ipfs/id/1.0.0"
IDENTIFY_PUSH = "/ipfs/id/push/1.0.0"
PING = "/ipfs/ping/1.0.0"
"""The ping protocol: 32 bytes are echoed (libp2p/specs ping)."""


PROTOCOL_VERSION = "ipfs/0.1.0"
AGENT = "pubsub-sim"

LONGEST_MESSAGE = 8 * 1024
"""Maximal size of a message in bytes (go-libp2p's limit)."""

MOST_MESSAGES = 10
"""Maximal number of messages of a stream (go-libp2p's limit)."""

MOST_PROTOCOLS, MOST_ADDRESSES = 1000, 100
"""Maximal numbers of entries; further ones are ignored."""

_LAYER = "identify"


@dataclass(frozen=True)
class PeerInfo:
    """The information a peer sends about itself.

    Attributes:
        protocols: its protocols; None if not sent.
        addresses: its listening addresses that can be dialled.
        agent: its program.
        observed: this host's address as seen by the peer, or None.
    """

    protocols: tuple[str, ...] | None
    addresses: tuple[Multiaddr, ...]
    agent: str
    observed: Multiaddr | None


def make_identify(
    peer_id: PeerId, protocols: Iterable[str], addresses: Sequence[Multiaddr], observed: Multiaddr | None
) -> bytes:
    """Return the bytes of an identify message."""
    message = Identify(
        public_key=marshal_public_key(peer_id),
        listen_addresses=[address.encode() for address in addresses],
        protocols=[protocol.encode() for protocol in protocols],
        observed_address=None if observed is None else observed.encode(),
        protocol_version=PROTOCOL_VERSION.encode(),
        agent_version=AGENT.encode(),
    ).SerializeToString()
    return encode_varint(len(message)) + message


class IdentifyReader:
    """The reader of an identify stream.

    Args:
        peer: the peer, as authenticated by the handshake.
    """

    def __init__(self, peer: PeerId) -> None:
        self._peer = peer
        self._received = b""
        self._message = Identify()
        self._messages = 0

    def receive(self, data: bytes) -> None:
        """Process received bytes. Raises ProtocolViolation."""
        received = self._received + data
        position = 0
        while (found := decode_varint(received, position, layer=_LAYER)) is not None:
            size, start = found
            if size > LONGEST_MESSAGE:
                raise ProtocolViolation(_LAYER, f"a message of at most {LONGEST_MESSAGE} bytes", size)
            if start + size > len(received):
                break
            self._merge(received[start : start + size])
            position = start + size
        self._received = received[position:]

    def end(self) -> PeerInfo:
        """Return the received information. Raises ProtocolViolation if it is truncated."""
        if self._received or not self._messages:
            raise ProtocolViolation(_LAYER, "whole messages", f"{len(self._received)} bytes of one")
        message = self._message
        protocols = message.protocols[:MOST_PROTOCOLS]
        return PeerInfo(
            protocols=tuple(name.decode(errors="replace") for name in protocols) if protocols else None,
            addresses=tuple(filter(None, map(_address, message.listen_addresses[:MOST_ADDRESSES]))),
            agent=message.agent_version.decode(errors="replace"),
            observed=_address(message.observed_address),
        )

    def _merge(self, data: bytes) -> None:
        self._messages += 1
        if self._messages > MOST_MESSAGES:
            raise ProtocolViolation(_LAYER, f"at most {MOST_MESSAGES} messages", self._messages)
        try:
            self._message.MergeFromString(data)
        except DecodeError:
            raise ProtocolViolation(_LAYER, "an identify message", data) from None
        key = self._message.public_key
        if key and key != marshal_public_key(self._peer):
            raise ProtocolViolation(_LAYER, "the key of the handshake", key)


def _address(data: bytes) -> Multiaddr | None:
    """Decode a binary multiaddr; return None if it cannot be dialled over TCP, such as those of QUIC."""
    try:
        return Multiaddr.decode(data)
    except MultiaddrError:
        return None
