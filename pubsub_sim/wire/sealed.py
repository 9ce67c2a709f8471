"""Sealed RPCs: RPCs that are handed over as objects and not as bytes, where nobody looks at the bytes.

On the virtual clock a frame goes from one table of this process to another. To encode it there and decode it here tells
nobody anything, and would be a large part of a simulation's time. A sealed RPC travels instead: it holds the contents,
which nobody may change any more, and the exact number of bytes of the encoding, so that limits and bandwidth are what they
would be. Whoever does want bytes gets them by `to_bytes`; whoever wants an RPC that is his own, by `open`.

What is sealed: an RPC of one message, shared by all hosts it comes to (`SealedMessage`); an RPC of one IHAVE, shared by
all peers that are told (`SealedIHave`); any other RPC that gossipsub sends, to one peer (`SealedRPC`). Hellos and announcements are
bytes always. A frame that arrives in bytes is decoded as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.wire.rpc_pb2 import RPC, ControlIHave, ControlMessage
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.wire.splitting import field_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Sealed:
    """What all of them have.

    Attributes:
        size: length of the encoding in bytes.
    """

    __slots__ = ("_encoded", "size")

    size: int

    def __init__(self, size: int) -> None:
        self.size = size
        self._encoded: bytes | None = None

    def __len__(self) -> int:
        return self.size

    def to_bytes(self) -> bytes:
        """The encoding, made once."""
        encoded = self._encoded
        if encoded is None:
            encoded = self._encoded = self._contents().SerializeToString()
        return encoded

    def open(self) -> RPC:
        """An RPC of one's own, as it would have been decoded."""
        return RPC.FromString(self.to_bytes())

    def _contents(self) -> RPC:
        raise NotImplementedError


class SealedMessage(_Sealed):
    """An RPC of one message, and that message; its fields can be read like those of a decoded one.

    Args:
        wire: the message; copied.

    Attributes:
        id: author and sequence number, the default id of the message; one object for all hosts.
    """

    __slots__ = ("_wire", "author", "data", "id", "key", "seqno", "signature", "topic")

    def __init__(self, wire: WireMessage) -> None:
        super().__init__(field_bytes(wire.ByteSize()))
        self._wire = WireMessage()
        self._wire.CopyFrom(wire)
        self.author = wire.author
        self.data = wire.data
        self.seqno = wire.seqno
        self.topic = wire.topic
        self.signature = wire.signature
        self.key = wire.key
        self.id = self.author + self.seqno

    def open_message(self) -> WireMessage:
        """A message of one's own, as it would have been decoded."""
        wire = WireMessage()
        wire.CopyFrom(self._wire)
        return wire

    def _contents(self) -> RPC:
        return RPC(publish=[self._wire])


class SealedIHave(_Sealed):
    """An RPC of one IHAVE, and that IHAVE; its fields can be read like those of a decoded one.

    Args:
        topic_id: which topic.
        message_ids: of which messages; copied.
    """

    __slots__ = ("message_ids", "topic_id")

    def __init__(self, topic_id: str, message_ids: Sequence[bytes]) -> None:
        self.topic_id = topic_id
        self.message_ids = ids = tuple(message_ids)
        size = field_bytes(len(topic_id.encode()))
        for message_id in ids:
            length = len(message_id)
            size += length + 2 if length < 0x80 else field_bytes(length)
        for _ in ("ihave", "control"):
            size = size + 2 if size < 0x80 else field_bytes(size)
        self.size = size
        self._encoded = None

    def _contents(self) -> RPC:
        return RPC(control=ControlMessage(ihave=[ControlIHave(topic_id=self.topic_id, message_ids=self.message_ids)]))


class SealedRPC(_Sealed):
    """Any other RPC, on its way to one peer, who may keep it.

    Args:
        rpc: whoever seals it changes it no longer.

    Attributes:
        rpc: as given.
    """

    __slots__ = ("rpc",)

    def __init__(self, rpc: RPC) -> None:
        super().__init__(rpc.ByteSize())
        self.rpc = rpc

    def _contents(self) -> RPC:
        return self.rpc


SealedFrame = SealedMessage | SealedIHave | SealedRPC
Frame = bytes | SealedFrame
"""What streams carry between hosts of one process on the virtual clock."""

Offer = ControlIHave | SealedIHave
"""An IHAVE as hosts read it, field by field."""
ReadableMessage = WireMessage | SealedMessage
"""A message as hosts read it, field by field."""
ReceivedRPC = RPC | SealedIHave | ReadableMessage
"""What a frame holds: an RPC, or the IHAVE or the message that is all of it."""


def seal(rpc: RPC) -> Frame:
    """Seal an RPC for one peer; an empty one is the empty frame."""
    sealed = SealedRPC(rpc)
    return sealed if sealed.size else b""


def as_encoded(frame: Frame) -> bytes:
    """A frame's bytes."""
    return frame if isinstance(frame, bytes) else frame.to_bytes()


def as_message(message: ReadableMessage) -> WireMessage:
    """A message's protobuf; of a sealed one, a protobuf of one's own."""
    return message if isinstance(message, WireMessage) else message.open_message()
