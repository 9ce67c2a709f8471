"""RPCs, frames and signatures are those of the libp2p pubsub specification."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from pubsub_sim.errors import MalformedFrame, PeerIdError
from pubsub_sim.ids import peer_id_of, public_key_of, to_base58
from pubsub_sim.wire.codec import decode, encode_hello, encode_subscriptions
from pubsub_sim.wire.message import Message, outgoing
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.wire.signing import KeyPair, is_signature_valid

KEY = KeyPair(b"k" * 32)


def signed(data: bytes = b"data", seqno: bytes = b"\0" * 8) -> WireMessage:
    message = outgoing("topic", data, author=KEY.peer_id, seqno=seqno)
    KEY.sign(message)
    return message


def test_a_published_message_has_the_reference_field_numbers() -> None:
    """The bytes are written out by hand from the field table: tag, length, value."""
    frame = RPC(publish=[WireMessage(author=b"a", data=b"d", seqno=b"s", topic="t", signature=b"g")])
    body = b"\x0a\x01a" + b"\x12\x01d" + b"\x1a\x01s" + b"\x22\x01t" + b"\x2a\x01g"
    assert frame.SerializeToString() == b"\x12" + bytes([len(body)]) + body


def test_an_announcement_has_the_reference_field_numbers() -> None:
    """SubOpts: subscribe is field 1, topicid is field 2, inside field 1 of the RPC."""
    assert encode_subscriptions(["t"], subscribe=True) == b"\x0a\x05" + b"\x08\x01" + b"\x12\x01t"


def test_a_hello_without_topics_is_the_empty_frame() -> None:
    """Receivers skip it."""
    assert encode_subscriptions([], subscribe=True) == b""
    assert encode_hello([], 100) == [b""]


@given(st.lists(st.text(min_size=1, max_size=40), max_size=40, unique=True), st.integers(200, 1000))
def test_a_hello_is_cut_into_frames_that_fit(topics: list[str], limit: int) -> None:
    """All topics in order, none twice, and no frame that could have held the first topic of the next."""
    frames = encode_hello(topics, limit)
    said = [[option.topicid for option in decode(frame).subscriptions] for frame in frames]
    assert [topic for part in said for topic in part] == topics
    assert all(len(frame) <= limit for frame in frames)
    for part, following in pairwise(said):
        assert len(encode_subscriptions([*part, following[0]], subscribe=True)) > limit


def test_C01_several_old_topic_fields_give_the_last() -> None:
    """An older schema had repeated topics in field 4; the wire format is compatible, both ways."""
    assert WireMessage.FromString(b"\x22\x01a").topic == "a"
    assert WireMessage.FromString(b"\x22\x01a\x22\x01b").topic == "b"
    assert WireMessage(topic="a").SerializeToString() == b"\x22\x01a"


def test_bytes_that_are_no_rpc_are_a_clear_error() -> None:
    """The remote peer's fault, with the size."""
    with pytest.raises(MalformedFrame, match="frame of 3 bytes is not a pubsub RPC"):
        decode(b"\xff\xff\xff")


def test_a_peer_id_embeds_its_key() -> None:
    """Identity multihash of the marshalled Ed25519 key, and back."""
    public = bytes(SigningKey(b"k" * 32).verify_key)
    assert peer_id_of(public) == KEY.peer_id
    assert public_key_of(KEY.peer_id) == public
    assert to_base58(KEY.peer_id).startswith("12D3KooW")


def test_other_bytes_are_no_peer_id() -> None:
    """The error says what was expected."""
    with pytest.raises(PeerIdError, match="embeds an Ed25519 public key"):
        public_key_of(b"short")


def test_G01_the_signature_covers_prefix_and_fields() -> None:
    """`libp2p-pubsub:` and the encoding without signature and key, checked with the bare library."""
    message = signed()
    payload = b"libp2p-pubsub:" + outgoing("topic", b"data", author=KEY.peer_id, seqno=b"\0" * 8).SerializeToString()
    SigningKey(b"k" * 32).verify_key.verify(payload, message.signature)
    assert is_signature_valid(message)


@pytest.mark.parametrize("field", ["data", "seqno", "topic", "signature", "author"])
def test_a_changed_field_makes_the_signature_invalid(field: str) -> None:
    """Whoever changes a message on its way is found out."""
    message = signed()
    changed = {"topic": "other", "author": KeyPair(b"x" * 32).peer_id, "signature": b"s" * 64}.get(field, b"changed")
    setattr(message, field, changed)
    assert not is_signature_valid(message)


def test_a_key_field_must_be_the_authors() -> None:
    """The reference's "bad signing key": a matching key is fine, another one is not."""
    message = signed()
    message.key = b"\x08\x01\x12\x20" + public_key_of(KEY.peer_id)
    assert is_signature_valid(message)
    message.key = b"\x08\x01\x12\x20" + hashlib.sha256(b"other").digest()
    assert not is_signature_valid(message)


def test_an_author_without_a_key_cannot_have_signed() -> None:
    """Nothing to verify with is an invalid signature, not an error."""
    message = signed()
    message.author = b"nobody"
    assert not is_signature_valid(message)


def test_the_frame_of_a_message_is_encoded_once() -> None:
    """All peers share one encoded frame."""
    message = Message(signed(), KEY.peer_id, source=KEY.peer_id, seqno=b"\0" * 8, topic="topic", id=b"id")
    assert message.frame is message.frame
    assert decode(message.frame).publish[0].data == b"data"
