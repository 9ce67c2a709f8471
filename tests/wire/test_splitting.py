"""Large RPCs are cut into pieces that fit, in order and without loss."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message as AnyMessage
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pubsub_sim.wire.rpc_pb2 import RPC, Message, PeerInfo
from pubsub_sim.wire.splitting import split

LIMIT = 1024

both_rules = pytest.mark.parametrize("packs", [False, True], ids=["2024", "2026"])


def cut(rpc: RPC, packs: bool, limit: int = LIMIT) -> list[RPC]:
    return split(rpc, limit, packs_messages=packs)


def hundred_messages() -> RPC:
    """Messages of 200 encoded bytes, and a subscription."""
    rpc = RPC(publish=[Message(data=bytes([number]) * 197) for number in range(100)])
    rpc.subscriptions.add(subscribe=True, topicid="t")
    return rpc


@both_rules
def test_GS41a_two_small_messages_stay_together(packs: bool) -> None:
    assert len(cut(RPC(publish=[Message(data=b"a"), Message(data=b"b")]), packs)) == 1


@both_rules
def test_GS41b_a_message_that_is_too_large_alone_stays_too_large(packs: bool) -> None:
    """It is the caller who drops it."""
    (piece,) = cut(RPC(publish=[Message(data=bytes(2 * LIMIT))]), packs)
    assert piece.ByteSize() > LIMIT


@both_rules
def test_GS41c_many_messages_become_few_pieces_below_the_limit(packs: bool) -> None:
    pieces = cut(hundred_messages(), packs)
    assert len(pieces) <= 21
    assert all(piece.ByteSize() <= LIMIT for piece in pieces)
    assert [m for piece in pieces for m in piece.publish] == list(hundred_messages().publish)
    assert sum(len(piece.subscriptions) for piece in pieces) == 1


@both_rules
def test_GS41d_a_small_control_part_is_in_the_last_piece_unaltered(packs: bool) -> None:
    rpc = hundred_messages()
    rpc.control.graft.add().topic_id = "t"
    rpc.control.prune.add(topic_id="t", backoff=10).peers.add(peer_id=b"p")
    rpc.control.ihave.add(topic_id="t", message_ids=[b"one", b"two"])
    rpc.control.iwant.add(message_ids=[b"three"])
    pieces = cut(rpc, packs)
    assert len(pieces) == 21
    assert pieces[-1].control == rpc.control
    assert not any(piece.HasField("control") for piece in pieces[:-1])


@both_rules
def test_GS41e_a_large_control_part_is_cut_between_ids(packs: bool) -> None:
    rpc = hundred_messages()
    for topic in range(5):
        ids = [bytes([topic, number]) * 16 for number in range(100)]
        rpc.control.ihave.add(topic_id=f"topic {topic}", message_ids=ids)
        rpc.control.iwant.add(message_ids=ids)
    pieces = cut(rpc, packs)
    assert len(pieces) >= 20 + rpc.control.ByteSize() // LIMIT
    assert all(piece.ByteSize() <= LIMIT for piece in pieces)


@both_rules
def test_GS41f_an_id_that_is_too_large_does_not_spoil_the_others(packs: bool) -> None:
    rpc = RPC()
    rpc.control.iwant.add(message_ids=[b"hello", bytes(2 * LIMIT)])
    fitting = [piece for piece in cut(rpc, packs) if piece.ByteSize() <= LIMIT]
    assert [list(piece.control.iwant[0].message_ids) for piece in fitting] == [[b"hello"]]


def some(kind: Descriptor) -> st.SearchStrategy[AnyMessage]:
    """Messages of a kind, with anything in any of its fields."""
    return st.builds(
        lambda values: GetMessageClass(kind)(**{name: value for name, value in values.items() if value is not None}),
        st.fixed_dictionaries({field.name: _values(field) for field in kind.fields}),
    )


def _values(field: FieldDescriptor) -> st.SearchStrategy[object]:
    if field.message_type is not None:
        value: st.SearchStrategy[object] = some(field.message_type)
    else:
        value = _SCALARS[field.cpp_type, field.type == FieldDescriptor.TYPE_BYTES]
    is_list = hasattr(getattr(GetMessageClass(field.containing_type)(), field.name), "append")
    return st.lists(value, max_size=6) if is_list else st.none() | value


_SCALARS: dict[tuple[int, bool], st.SearchStrategy[object]] = {
    (FieldDescriptor.CPPTYPE_STRING, True): st.binary(max_size=150),
    (FieldDescriptor.CPPTYPE_STRING, False): st.text(max_size=40),
    (FieldDescriptor.CPPTYPE_BOOL, False): st.booleans(),
    (FieldDescriptor.CPPTYPE_UINT64, False): st.integers(0, 2**64 - 1),
}
LARGEST = 1000  # a message with everything in it


@both_rules
@given(rpc=some(RPC.DESCRIPTOR), limit=st.integers(LARGEST, 2 * LARGEST))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_GS_fuzz_pieces_put_together_are_the_whole(packs: bool, rpc: RPC, limit: int) -> None:
    """Of no field anything is lost, added or moved, whatever fields an RPC has; no piece is empty or too large."""
    pieces = cut(rpc, packs, limit)
    joined = RPC()
    for piece in pieces:
        joined.MergeFrom(piece)
    assert list(elements(joined)) == list(elements(rpc))
    assert all(0 < piece.ByteSize() <= limit for piece in pieces)


def elements(rpc: RPC) -> Iterator[tuple[str, bytes, object]]:
    """What an RPC says: kind, what it is about, and one thing said of it; the same things, however they are put together."""
    for field, values in rpc.ListFields():
        if field.name != "control":
            yield from ((field.name, b"", value.SerializeToString()) for value in values)
    for field, entries in rpc.control.ListFields():
        for entry in entries:
            head = type(entry)()
            head.CopyFrom(entry)
            lists = [(inner.name, items) for inner, items in entry.ListFields() if hasattr(items, "append")]
            for name, _ in lists:
                head.ClearField(name)
            about = head.SerializeToString()
            yield from ((field.name, about, str(item)) for _, items in lists for item in items)
            if not lists and "message_ids" not in type(entry).DESCRIPTOR.fields_by_name:
                yield (field.name, about, None)


@both_rules
def test_an_idontwant_is_kept_in_a_large_control_part(packs: bool) -> None:
    """It may not be what makes the RPC large."""
    rpc = RPC()
    rpc.control.idontwant.add(message_ids=[b"x" * 46])
    rpc.control.ihave.add(topic_id="t", message_ids=[b"%046d" % number for number in range(50)])
    pieces = cut(rpc, packs)
    assert [i for piece in pieces for one in piece.control.idontwant for i in one.message_ids] == [b"x" * 46]


@both_rules
def test_a_prune_with_more_peers_than_fit_is_cut_between_them(packs: bool) -> None:
    """Each part has the topic and the back-off."""
    rpc = RPC()
    peers = [PeerInfo(peer_id=b"%038d" % number) for number in range(40)]
    rpc.control.prune.add(topic_id="t", backoff=60, peers=peers)
    pieces = cut(rpc, packs)
    assert {(prune.topic_id, prune.backoff) for piece in pieces for prune in piece.control.prune} == {("t", 60)}
    assert [info for piece in pieces for prune in piece.control.prune for info in prune.peers] == peers
    assert all(piece.ByteSize() <= LIMIT for piece in pieces)
