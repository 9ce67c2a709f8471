"""Message ids as long as their authors like: told apart by all tables, and short in all of them."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.deliveries import Deliveries
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.promises import Promises
from pubsub_sim.protocol.seen import LastSeenCache, SeenCache, cache_key
from pubsub_sim.wire.rpc_pb2 import RPC
from tests.protocol.bench import Bench

PEER = PeerId(b"peer")
LONG = b"i" * 100

ids = st.binary(max_size=100) | st.binary(min_size=62, max_size=65)


@given(one=ids, other=ids)
@example(one=LONG, other=hashlib.sha512(LONG).digest())
def test_different_ids_are_kept_differently_and_shortly(one: bytes, other: bytes) -> None:
    """Not even an id that looks like the digest of another is taken for it."""
    assert (cache_key(one) == cache_key(other)) == (one == other)
    assert len(cache_key(one)) <= 64


@pytest.mark.parametrize("make", [SeenCache, lambda ttl_ns: LastSeenCache(ttl_ns, lambda: 0)], ids=["first", "last"])
def test_a_long_id_is_seen_like_a_short_one(make: Callable[[int], SeenCache | LastSeenCache]) -> None:
    cache = make(1)
    for message_id in (LONG, LONG + b"!", b"short"):
        assert not cache.has(message_id)
        assert cache.add(message_id, 0)
        assert not cache.add(message_id, 0)
        assert cache.has(message_id)
    assert cache.sweep(2) == len((LONG, LONG + b"!", b"short"))
    assert not cache.has(LONG)


def test_a_long_id_that_was_promised_and_comes_is_no_broken_promise() -> None:
    bench = Bench(GossipSub())
    message = bench.message("t", author=PeerId(b"a" * 100))
    promises = Promises(now_ns=lambda: 0, rng=random.Random(1))
    promises.add(PEER, [message.id])
    assert promises.outstanding == {PEER: 1}
    promises.validate_message(message)
    assert promises.outstanding == {}


def _seen() -> Callable[[bytes], object]:
    cache = SeenCache(1)
    return lambda message_id: cache.add(message_id, 0)


def _last_seen() -> Callable[[bytes], object]:
    cache = LastSeenCache(1, lambda: 0)
    return lambda message_id: cache.add(message_id, 0)


def _deliveries() -> Callable[[bytes], object]:
    records = Deliveries(1)
    return lambda message_id: records.of(message_id, "t", 0)


def _promises() -> Callable[[bytes], object]:
    promises = Promises(now_ns=lambda: 0, rng=random.Random(1))
    return lambda message_id: promises.add(PEER, [message_id])


def _refusals() -> Callable[[bytes], object]:
    bench = Bench(GossipSub(GossipsubParams(idontwant=True)))
    peer = bench.add_peer("peer")

    def refuse(message_id: bytes) -> None:
        rpc = RPC()
        rpc.control.idontwant.add().message_ids.append(message_id)
        bench.receive(peer, rpc)

    return refuse


@pytest.mark.parametrize("table", [_seen, _last_seen, _deliveries, _promises, _refusals])
def test_two_hundred_ids_of_a_hundred_kilobytes_take_little_memory(
    table: Callable[[], Callable[[bytes], object]],
) -> None:
    """Twenty megabytes in all, of which a table keeps less than a hundred kilobytes."""
    keep = table()
    keep(b"the first one may make tables")
    tracemalloc.start()
    try:
        for number in range(200):
            keep(b"%100000d" % number)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
