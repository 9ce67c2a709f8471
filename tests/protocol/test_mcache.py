"""The window of messages that are gossiped about."""

from __future__ import annotations

import pytest

from pubsub_sim.errors import OptionConflict
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.mcache import MessageCache
from pubsub_sim.wire.message import Message, outgoing

A, B = PeerId(b"a"), PeerId(b"b")


def message(number: int, topic: str = "t") -> Message:
    message_id = b"%03d" % number
    wire = outgoing(topic, b"x", author=A, seqno=message_id)
    return Message(wire, A, source=A, seqno=message_id, topic=topic, id=message_id)


def ids(first: int, last: int) -> list[bytes]:
    return [b"%03d" % number for number in range(first, last + 1)]


def put(cache: MessageCache, first: int, last: int) -> None:
    for number in range(first, last + 1):
        cache.put(message(number))


def test_M01_messages_are_gossiped_for_three_heartbeats_and_kept_for_five() -> None:
    """Sixty messages in tens with a heartbeat between: newest slot first, and the first ten are gone in the end."""
    cache = MessageCache(3, 5)
    put(cache, 0, 9)
    assert cache.gossip_ids("t") == ids(0, 9)
    cache.shift()
    put(cache, 10, 19)
    assert cache.gossip_ids("t") == ids(10, 19) + ids(0, 9)
    for ten in (20, 30, 40, 50):
        cache.shift()
        put(cache, ten, ten + 9)
    assert len(cache) == 50
    assert [cache.get(i) is not None for i in ids(0, 59)] == [False] * 10 + [True] * 50
    assert cache.gossip_ids("t") == ids(50, 59) + ids(40, 49) + ids(30, 39)
    assert cache.gossip_ids("other") == []


def test_what_a_peer_is_given_is_counted_per_peer_and_forgotten_with_the_message() -> None:
    """The counts are what bounds the answers to IWANT."""
    cache = MessageCache(1, 1)
    cache.put(message(1))
    assert [cache.get_for_peer(b"001", peer)[1] for peer in (A, A, B)] == [1, 2, 1]  # type: ignore[index] # it is there
    cache.shift()
    assert cache.get_for_peer(b"001", A) is None
    cache.put(message(1))
    assert cache.get_for_peer(b"001", A) == (cache.get(b"001"), 1)


def test_more_slots_gossiped_than_kept_are_refused() -> None:
    with pytest.raises(OptionConflict, match="history_gossip=6 cannot be used with history_length=5"):
        MessageCache(6, 5)
