"""Large RPCs are cut into pieces that fit, in order and without loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim.wire.rpc_pb2 import RPC, ControlGraft, ControlIHave, ControlIWant, ControlPrune, Message, PeerInfo
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


ids = st.lists(st.binary(max_size=300), max_size=8)
names = st.text(max_size=100)
rpcs = st.builds(
    lambda messages, topics, grafts, prunes, ihaves, iwants: RPC(
        publish=[Message(data=data) for data in messages],
        subscriptions=[RPC.SubOpts(subscribe=True, topicid=topic) for topic in topics],
        control={
            "graft": [ControlGraft(topic_id=topic) for topic in grafts],
            "prune": [ControlPrune(topic_id=t, backoff=b, peers=[PeerInfo(peer_id=p)]) for t, b, p in prunes],
            "ihave": [ControlIHave(topic_id=topic, message_ids=i) for topic, i in ihaves],
            "iwant": [ControlIWant(message_ids=i) for i in iwants],
        },
    ),
    st.lists(st.binary(max_size=400), max_size=8),
    st.lists(names, max_size=4),
    st.lists(names, max_size=4),
    st.lists(st.tuples(names, st.integers(0, 2**40), st.binary(max_size=40)), max_size=4),
    st.lists(st.tuples(names, ids), max_size=4),
    st.lists(ids, max_size=3),
)


@both_rules
@given(rpc=rpcs)
def test_GS_fuzz_pieces_put_together_are_the_whole(rpc: RPC, packs: bool) -> None:
    """Nothing is lost, added or moved, no piece is empty, and only a lone element exceeds the limit."""
    limit = 600
    pieces = cut(rpc, packs, limit)
    assert [m for p in pieces for m in p.publish] == list(rpc.publish)
    assert [s for p in pieces for s in p.subscriptions] == list(rpc.subscriptions)
    assert [g for p in pieces for g in p.control.graft] == list(rpc.control.graft)
    assert [g for p in pieces for g in p.control.prune] == list(rpc.control.prune)
    assert wanted(pieces) == wanted([rpc])
    assert had(pieces) == had([rpc])
    assert all(0 < piece.ByteSize() <= limit for piece in pieces)


def wanted(pieces: list[RPC]) -> list[bytes]:
    return [i for piece in pieces for iwant in piece.control.iwant for i in iwant.message_ids]


def had(pieces: list[RPC]) -> list[tuple[str, bytes]]:
    return [(have.topic_id, i) for piece in pieces for have in piece.control.ihave for i in have.message_ids]
