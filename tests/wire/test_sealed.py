"""Sealed RPCs: the length of the encoding without encoding, contents that stay, and bytes for those who want them."""

from __future__ import annotations

import pytest

from pubsub_sim.ids import PeerId
from pubsub_sim.wire.message import ObjectMessage, outgoing
from pubsub_sim.wire.rpc_pb2 import RPC, ControlGraft, ControlIHave, ControlMessage
from pubsub_sim.wire.sealed import SealedIHave, SealedMessage, SealedRPC, as_encoded, seal

AUTHOR = PeerId(b"author")


@pytest.mark.parametrize("size", [0, 1, 80, 127, 128, 16_300, 16_400, 300_000])
@pytest.mark.parametrize("author", [None, AUTHOR])
def test_the_size_of_a_message_is_that_of_its_encoding(size: int, author: PeerId | None) -> None:
    """On both sides of the lengths at which a varint grows."""
    wire = outgoing("topic", bytes(size), author=author, seqno=b"12345678")
    sealed = SealedMessage(wire)
    assert sealed.to_bytes() == RPC(publish=[wire]).SerializeToString()
    assert len(sealed) == len(sealed.to_bytes()) == len(as_encoded(sealed))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50, 400])
@pytest.mark.parametrize("length", [0, 46, 127, 128, 20_000])
@pytest.mark.parametrize("topic", ["", "t", "ü" * 100])
def test_the_size_of_an_ihave_is_that_of_its_encoding(count: int, length: int, topic: str) -> None:
    """Whatever the topic and the ids are."""
    ids = [bytes([number % 256]) * length for number in range(count)]
    sealed = SealedIHave(topic, ids)
    rpc = RPC(control=ControlMessage(ihave=[ControlIHave(topic_id=topic, message_ids=ids)]))
    assert sealed.to_bytes() == rpc.SerializeToString()
    assert sealed.size == rpc.ByteSize()
    assert (sealed.topic_id, list(sealed.message_ids)) == (topic, ids)


def test_an_empty_rpc_is_the_empty_frame() -> None:
    """As readers skip it."""
    assert seal(RPC()) == b""


def test_any_other_rpc_is_handed_over_as_it_is() -> None:
    """And has the length of its encoding."""
    rpc = RPC(control=ControlMessage(graft=[ControlGraft(topic_id="t")]))
    sealed = seal(rpc)
    assert isinstance(sealed, SealedRPC)
    assert (sealed.rpc, sealed.size, sealed.to_bytes()) == (rpc, rpc.ByteSize(), rpc.SerializeToString())
    assert sealed.open() == rpc
    assert sealed.open() is not rpc


def received(sealed: SealedMessage) -> ObjectMessage:
    return ObjectMessage(
        sealed, PeerId(b"peer"), source=PeerId(sealed.author), seqno=sealed.seqno, topic=sealed.topic, id=b"id"
    )


def test_a_message_that_came_sealed_is_passed_on_as_it_came() -> None:
    """Nothing is encoded, and its fields can be read."""
    sealed = SealedMessage(outgoing("t", b"data", author=AUTHOR, seqno=b"1"))
    message = received(sealed)
    assert message.frame is sealed
    assert (message.data, message.signature, message.key) == (b"data", b"", b"")


def test_what_one_host_changes_no_other_host_sees() -> None:
    """Each has a protobuf of its own; a changed one leaves as it is then, as if it had come in bytes."""
    sealed = SealedMessage(outgoing("t", b"data", author=AUTHOR, seqno=b"1"))
    one, other = received(sealed), received(sealed)
    one.wire.data = b"changed"
    assert other.wire.data == b"data"
    assert RPC.FromString(as_encoded(one.frame)).publish[0].data == b"changed"
    assert RPC.FromString(sealed.to_bytes()).publish[0].data == b"data"


def test_a_message_is_sealed_with_the_contents_of_that_moment() -> None:
    """Later changes of its protobuf are not sent, as with a frame that is encoded."""
    wire = outgoing("t", b"data", author=AUTHOR, seqno=b"1")
    message = ObjectMessage(wire, AUTHOR, source=AUTHOR, seqno=b"1", topic="t", id=b"id")
    assert isinstance(message.frame, SealedMessage)
    wire.data = b"changed"
    assert RPC.FromString(as_encoded(message.frame)).publish[0].data == b"data"


def test_what_is_changed_after_the_first_sending_is_not_sent() -> None:
    """That holds for a message that came sealed too."""
    message = received(SealedMessage(outgoing("t", b"data", author=AUTHOR, seqno=b"1")))
    assert RPC.FromString(as_encoded(message.frame)).publish[0].data == b"data"
    message.wire.data = b"changed"
    assert RPC.FromString(as_encoded(message.frame)).publish[0].data == b"data"
