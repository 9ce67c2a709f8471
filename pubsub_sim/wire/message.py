"""One pubsub message inside a host, and its protobuf form.

A `Message` wraps its received or outgoing protobuf and holds the fields read more than once as plain attributes, since
reading a protobuf field creates a new object each time.
"""

from __future__ import annotations

from pubsub_sim.ids import PeerId
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


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
        wire: the protobuf, with signature and key.
    """

    __slots__ = ("_frame", "data", "id", "is_local", "received_from", "seqno", "source", "topic", "wire")

    def __init__(
        self,
        wire: WireMessage,
        received_from: PeerId,
        *,
        source: PeerId,
        seqno: bytes,
        topic: str,
        id: bytes,  # noqa: A002 - the public name
        is_local: bool = False,
    ) -> None:
        """Create a message from fields already read, so that no protobuf field is read twice."""
        self.wire = wire
        self.received_from = received_from
        self.source = source
        self.seqno = seqno
        self.topic = topic
        self.id = id
        self.is_local = is_local
        self.data: bytes = wire.data
        self._frame: bytes | None = None

    @property
    def signature(self) -> bytes:
        """The author's signature; empty if unsigned."""
        return self.wire.signature

    @property
    def key(self) -> bytes:
        """The author's marshalled public key, only present when the peer id does not embed it."""
        return self.wire.key

    @property
    def frame(self) -> bytes:
        """`RPC{publish: [self]}`, encoded once and shared by all receivers."""
        frame = self._frame
        if frame is None:
            frame = self._frame = RPC(publish=[self.wire]).SerializeToString()
        return frame

    def __repr__(self) -> str:
        return f"<Message {self.data[:40]!r} on {self.topic}>"


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
