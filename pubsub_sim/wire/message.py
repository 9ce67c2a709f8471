"""One pubsub message inside a host, and its protobuf form.

A `Message` wraps its received or outgoing protobuf and holds the fields read more than once as plain attributes, since
reading a protobuf field creates a new object each time. It is sent as bytes. An `ObjectMessage` is sent as an object, between
hosts on the virtual clock (see `sealed`), and may have come as one.
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
        received_from: peer id of the sending host (the host's own id for a local publish).
        id: the message id; `source + seqno` unless another function was configured.
        is_local: publish to local subscriptions only.
        envelope: the source of its fields: the protobuf, or a sealed message until `wire` is read.
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
        id: bytes,  # noqa: A002 - the public name
        is_local: bool = False,
    ) -> None:
        """Create a message from fields already read, so that no protobuf field is read twice."""
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
        """The protobuf, with signature and key; the message's own, so that it may be changed."""
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
        """`RPC{publish: [self]}`, encoded once and shared by all receivers."""
        frame = self._frame
        if frame is None:
            frame = self._frame = RPC(publish=[self.envelope]).SerializeToString()  # type: ignore[list-item] # see ObjectMessage
        return frame

    def __repr__(self) -> str:
        return f"<Message {self.data[:40]!r} on {self.topic}>"


class ObjectMessage(Message):
    """A message that is sent as an object; only such a message may have come as one."""

    __slots__ = ()

    @property
    def frame(self) -> Frame:
        """`RPC{publish: [self]}`, sealed once and shared by all receivers: as it came, unless `wire` was read before."""
        frame = self._frame
        if frame is None:
            envelope = self.envelope
            frame = self._frame = envelope if isinstance(envelope, SealedMessage) else SealedMessage(envelope)
        return frame


def author_and_seqno(message: WireMessage) -> bytes:
    """Return the default message id: author and sequence number (libp2p pubsub spec)."""
    return message.author + message.seqno


def outgoing(topic: str, data: bytes, *, author: PeerId | None, seqno: bytes) -> WireMessage:
    """Return the unsigned protobuf of a message to be published.

    Args:
        topic: its topic.
        data: the payload.
        author: peer id of the author; None omits author and sequence number ("no author").
        seqno: 8 bytes big-endian.
    """
    if author is None:
        return WireMessage(data=data, topic=topic)
    return WireMessage(author=author, data=data, seqno=seqno, topic=topic)
