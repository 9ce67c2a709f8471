"""The RPC codec, which encodes and decodes frames.

A frame is the protobuf encoding of one RPC without a length prefix, which `pubsub_sim.framing` adds where a transport needs it.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from pubsub_sim.errors import MalformedFrame
from pubsub_sim.wire.rpc_pb2 import RPC, ControlMessage, ControlPrune
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.wire.splitting import field_bytes

MAX_MESSAGE_BYTES = 1 << 20
"""Maximal size of an RPC (go-libp2p-pubsub `DefaultMaxMessageSize`)."""

_PUBLISH_TAG = 2 << 3 | 2  # field `publish` of RPC, length-delimited
_SHORTEST_PUBLISH = 2  # its tag and length
_parse_message = WireMessage.FromString  # looked up once, as it is called for every RPC
_SUBSCRIBE_BYTES = 2  # the field `subscribe`


def decode(frame: bytes) -> RPC:
    """Parse one frame.

    Raises:
        MalformedFrame: the bytes are not an RPC.
    """
    try:
        return RPC.FromString(frame)
    except DecodeError as error:
        raise MalformedFrame(len(frame), str(error)) from None


def unpack(frame: bytes) -> RPC | WireMessage:
    """Parse one frame; return only the message if it contains nothing but one message, as nearly all frames do.

    Parsing the message through its RPC would cost twice as much.

    Raises:
        MalformedFrame: the bytes are not an RPC.
    """
    size = len(frame)
    if size > _SHORTEST_PUBLISH and frame[0] == _PUBLISH_TAG:
        body = frame[1]
        start = 2
        if body > 0x7F:
            body += (frame[2] - 1) * 0x80  # the high bit of the first byte is not part of the length
            start = 3
        # a varint of three bytes has a second byte over 0x7F, with which the length is too large: so long, there is no gain
        if start + body == size and body < 0x4000:
            try:
                return _parse_message(frame[start:])
            except DecodeError as error:
                raise MalformedFrame(size, str(error)) from None
    return decode(frame)


def is_text(name: object) -> bool:
    """Return whether a string of a decoded RPC is a str: protobuf returns invalid UTF-8 as bytes.

    The reference, whose strings are bytes, accepts such topic names; here they cannot be joined.
    """
    return isinstance(name, str)


def announcement_bytes(topic: str) -> int:
    """Return the encoded size of one topic in a hello."""
    return field_bytes(_SUBSCRIBE_BYTES + field_bytes(len(topic.encode())))


def largest_rpc_bytes(topic: str) -> int:
    """Return the size of the largest RPC a topic requires besides messages: a PRUNE without offered peers."""
    return RPC(control=ControlMessage(prune=[ControlPrune(topic_id=topic, backoff=2**64 - 1)])).ByteSize()


def encode_subscriptions(topics: Iterable[str], *, subscribe: bool) -> bytes:
    """Return an RPC that subscribes to or unsubscribes from topics; the empty frame without topics.

    Source: the hello packet and `announce` of go-libp2p-pubsub.
    """
    return RPC(subscriptions=[RPC.SubOpts(subscribe=subscribe, topicid=topic) for topic in topics]).SerializeToString()


def encode_hello(topics: Iterable[str], limit_bytes: int) -> list[bytes]:
    """Return the RPCs that announce topics to a new peer, in order, within the limit unless a single topic exceeds it.

    Without topics it is one empty frame. (In the reference a hello is one RPC, which is refused if it is too large.)
    """
    parts: list[list[str]] = [[]]
    size = 0
    for topic in topics:
        more = announcement_bytes(topic)
        if parts[-1] and size + more > limit_bytes:
            parts.append([])
            size = 0
        parts[-1].append(topic)
        size += more
    return [encode_subscriptions(part, subscribe=True) for part in parts]
