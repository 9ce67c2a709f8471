"""Plaintext 2.0.0: an unauthenticated exchange of identities, for debugging and for measuring the cost of encryption.

Both ends immediately send one message: the peer id and the public key. Source: libp2p/specs plaintext.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from pubsub_sim.libp2p.errors import ProtocolViolation, WrongPeer
from pubsub_sim.libp2p.exchange import read_delimited
from pubsub_sim.libp2p.keys import marshal_public_key, peer_id_of_key
from pubsub_sim.libp2p.messages_pb2 import PlaintextExchange
from pubsub_sim.libp2p.security import Secured
from pubsub_sim.libp2p.varint import encode_varint

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.libp2p.exchange import Steps
    from pubsub_sim.libp2p.security import Identity

PLAINTEXT = "/plaintext/2.0.0"
"""The protocol's name in multistream-select."""

LONGEST_EXCHANGE = 4096
"""Maximal size of the message in bytes."""

_LAYER = "plaintext"


class PlainChannel:
    """A channel without encryption. Implements Channel.

    Attributes:
        sent, received: bytes so far.
        partial_bytes: none ever.
    """

    __slots__ = ("received", "sent")

    partial_bytes = 0

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0

    def seal(self, data: bytes) -> bytes:
        """Return the bytes themselves."""
        self.sent += len(data)
        return data

    def open(self, data: bytes) -> bytes:
        """Return the bytes themselves."""
        self.received += len(data)
        return data


def exchange_plaintext(identity: Identity, expected: PeerId | None) -> Steps[Secured]:
    """Return the steps of either end.

    Raises:
        WrongPeer: a peer other than the expected one answered.
        ProtocolViolation, KeyTypeNotSupported: the received message is invalid.
    """
    own = PlaintextExchange(id=identity.peer_id, public_key=marshal_public_key(identity.peer_id)).SerializeToString()
    yield encode_varint(len(own)) + own
    data = yield from read_delimited(LONGEST_EXCHANGE, _LAYER)
    try:
        theirs = PlaintextExchange.FromString(data)
    except DecodeError:
        raise ProtocolViolation(_LAYER, "an exchange of peer id and key", data) from None
    peer = peer_id_of_key(theirs.public_key, layer=_LAYER)
    if theirs.id != peer:
        raise ProtocolViolation(_LAYER, "the peer id of the key", theirs.id)
    if expected is not None and peer != expected:
        raise WrongPeer(expected, peer)
    return Secured(peer, PlainChannel(), None)
