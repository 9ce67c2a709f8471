"""Identify 1.0.0 and its push: what a peer tells of itself once a connection is up, and whenever that changes.

The end that opens the stream receives (identify), or sends (push). Messages are preceded by their length; a peer may send
several, which are merged, and ends with the end of the stream. Source: libp2p/specs identify.
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
"""The protocol of pings between peers: 32 bytes are sent back as they came (libp2p/specs ping)."""


PROTOCOL_VERSION = "ipfs/0.1.0"
AGENT = "pubsub-sim"

LONGEST_MESSAGE = 8 * 1024
"""Bytes of one message (go-libp2p's limit)."""

MOST_MESSAGES = 10
"""Messages of one stream (go-libp2p's limit)."""

MOST_PROTOCOLS, MOST_ADDRESSES = 1000, 100
"""Entries that are read; the rest is ignored."""

_LAYER = "identify"


@dataclass(frozen=True)
class PeerInfo:
    """What a peer tells of itself.

    Attributes:
        protocols: those it accepts streams of; None if it said nothing of them.
        addresses: where it listens, as far as we can dial there.
        agent: its program.
        observed: our own address as it sees us, or None.
    """

    protocols: tuple[str, ...] | None
    addresses: tuple[Multiaddr, ...]
    agent: str
    observed: Multiaddr | None


def make_identify(
    peer_id: PeerId, protocols: Iterable[str], addresses: Sequence[Multiaddr], observed: Multiaddr | None
) -> bytes:
    """Return the bytes we answer with."""
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
    """Collects what a peer tells of itself until the end of the stream.

    Args:
        peer: who the peer is, as its handshake has shown.
    """

    def __init__(self, peer: PeerId) -> None:
        self._peer = peer
        self._received = b""
        self._message = Identify()
        self._messages = 0

    def receive(self, data: bytes) -> None:
        """Take received bytes. Raises ProtocolViolation."""
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
        """Return what the peer told. Raises ProtocolViolation if it is cut short."""
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
    """Return a binary multiaddr; None if it is none that can be dialled over TCP, such as those of QUIC."""
    try:
        return Multiaddr.decode(data)
    except MultiaddrError:
        return None
