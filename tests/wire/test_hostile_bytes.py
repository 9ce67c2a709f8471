"""Bytes that nobody would send honestly are refused with an error of ours, or are an RPC."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pubsub_sim.errors import MalformedFrame
from pubsub_sim.framing import encode_uvarint
from pubsub_sim.wire.codec import decode, unpack
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.wire.signing import is_signature_valid
from pubsub_sim.wire.splitting import split
from tests.pubsub.hostile import ATTACKER, frames, rpcs

fuzz = settings(max_examples=150)
any_frame = frames([ATTACKER.peer_id]) | st.binary(max_size=400)


@given(any_frame)
@fuzz
def test_any_frame_is_an_rpc_or_a_malformed_frame(frame: bytes) -> None:
    """What decodes can be read, encoded again and checked for its signatures; nothing is lost by it."""
    try:
        rpc = decode(frame)
    except MalformedFrame:
        return
    again = decode(rpc.SerializeToString())
    assert again == rpc
    for message in rpc.publish:
        assert is_signature_valid(message) in (True, False)


def _with_length(body: bytes, length: bytes) -> bytes:
    return b"\x12" + length + body


_publish_like = st.one_of(
    any_frame.map(lambda body: _with_length(body, encode_uvarint(len(body)))),
    st.builds(_with_length, st.binary(max_size=300), st.binary(min_size=1, max_size=4)),
    st.builds(
        lambda body, more: _with_length(body, encode_uvarint(len(body))) + more, st.binary(max_size=200), any_frame
    ),
)


@given(any_frame | _publish_like)
@settings(max_examples=400)
def test_an_rpc_that_is_one_message_is_the_same_read_either_way(frame: bytes) -> None:
    """The short way refuses what the long one refuses, and finds the same message otherwise."""
    try:
        rpc = decode(frame)
    except MalformedFrame:
        with pytest.raises(MalformedFrame):
            unpack(frame)
        return
    found = unpack(frame)
    assert (RPC(publish=[found]) if isinstance(found, WireMessage) else found) == rpc


@pytest.mark.parametrize("size", [0, 1, 80, 127, 128, 200, 16_383, 16_384, 70_000])
def test_the_short_way_is_taken_by_messages_of_ordinary_sizes(size: int) -> None:
    """Whatever its size, a message alone is found; up to 16 KiB without an RPC around it."""
    message = WireMessage(data=b"x" * size, topic="t")
    found = unpack(RPC(publish=[message]).SerializeToString())
    assert isinstance(found, WireMessage) == (message.ByteSize() < 1 << 14)
    assert (found if isinstance(found, WireMessage) else found.publish[0]) == message


@given(rpcs([ATTACKER.peer_id]), st.integers(1, 3000), st.booleans())
@fuzz
def test_any_rpc_is_cut_into_pieces_that_are_rpcs(rpc: RPC, limit: int, packs: bool) -> None:
    """Whatever is in it, and however little fits: no message is lost, and only one element alone is over the limit."""
    pieces = split(rpc, limit, packs_messages=packs)
    assert [m for piece in pieces for m in piece.publish] == list(rpc.publish)
    assert [s for piece in pieces for s in piece.subscriptions] == list(rpc.subscriptions)
    for piece in pieces:
        assert decode(piece.SerializeToString()) == piece
        assert piece.ByteSize() <= limit or _elements(piece) == 1


def _elements(rpc: RPC) -> int:
    control = rpc.control
    ids = [i for entry in (*control.iwant, *control.ihave, *control.idontwant) for i in entry.message_ids]
    return sum(map(len, (rpc.publish, rpc.subscriptions, control.graft, control.prune, ids)))
