"""One pubsub message inside a host, and its protobuf form.

A `Message` wraps the protobuf it came in (or will leave as) and holds the fields read more than once as plain
attributes: reading a protobuf field makes a new object each time. One that came sealed (see `sealed`) has a protobuf of its
own once somebody asks for it. Knows nothing of routing or validation.
"""

from __future__ import annotations

from pubsub_sim.ids import PeerId
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.wire.sealed import Frame, SealedMessage


class Message:
    """One message, as delivered to subscriptions.

    Attributes:
        source: peer id of the author; empty without one.
        data: the payload.
        seqno: 8 bytes big-endian, unique per author; empty without one.
        topic: its topic.
        received_from: peer id of the host that handed it to us (our own for a local publish).
        id: the message id; `source + seqno` unless another function was configured.
        is_local: publish to local subscriptions only.
        envelope: what its fields were read from: a protobuf, or a sealed message as long as nobody has asked for `wire`.
    """

    __slots__ = ("_frame", "data", "envelope", "id", "is_local", "received_from", "seqno", "source", "topic")

    def __init__(
        self,
        wire: WireMessage | SealedMessage,
        received_from: PeerId,
        *,
        source: PeerId,
        seqno: bytes,
        topic: str,
        id: bytes,  # noqa: A002 - the name users know
        is_local: bool = False,
    ) -> None:
        """Takes the fields its caller has already read, so that no protobuf field is read twice."""
        self.envelope = wire
        self.received_from = received_from
        self.source = source
        self.seqno = seqno
        self.topic = topic
        self.id = id
        self.is_local = is_local
        self.data: bytes = wire.data
        self._frame: Frame | None = None

    @property
    def wire(self) -> WireMessage:
        """The protobuf, with signature and key."""
        wire = self.envelope
        if isinstance(wire, SealedMessage):
            wire = self.envelope = wire.open_message()
        return wire

    @property
    def signature(self) -> bytes:
        """The author's signature; empty if unsigned."""
        return self.envelope.signature

    @property
    def key(self) -> bytes:
        """The author's marshalled public key, only present when the peer id does not embed it."""
        return self.envelope.key

    @property
    def frame(self) -> Frame:
        """`RPC{publish: [self]}` encoded, or sealed as it came; made once and shared by all peers it is sent to."""
        frame = self._frame
        if frame is None:
            wire = self.envelope
            if isinstance(wire, SealedMessage):  # as long as nobody has asked for a protobuf, and perhaps changed it
                return wire
            frame = self._frame = RPC(publish=[wire]).SerializeToString()
        return frame

    def seal(self) -> None:
        """Have it sent as an object, with the contents of this moment."""
        self._frame = SealedMessage(self.wire)

    def __repr__(self) -> str:
        return f"<Message {self.data[:40]!r} on {self.topic}>"


def author_and_seqno(message: WireMessage) -> bytes:
    """The message id unless another function was configured: author and sequence number (libp2p pubsub spec)."""
    return message.author + message.seqno


def outgoing(topic: str, data: bytes, *, author: PeerId | None, seqno: bytes) -> WireMessage:
    """The unsigned protobuf of a message that is about to be published.

    Args:
        topic: its topic.
        data: the payload.
        author: peer id of the author; None leaves author and sequence number out ("no author").
        seqno: 8 bytes big-endian.
    """
    if author is None:
        return WireMessage(data=data, topic=topic)
    return WireMessage(author=author, data=data, seqno=seqno, topic=topic)
