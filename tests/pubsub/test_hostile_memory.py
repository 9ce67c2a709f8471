"""A flood of hostile RPCs takes no more memory when it is ten times as long: every table it reaches is bounded.

`make hostile` sends the floods of full length, 10,000 against 100,000 RPCs. What is left at the end is the hosts' own: the
garbage and the interpreter's cache are gone, so that a few bytes kept of each RPC fail it.
"""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest

from pubsub_sim import GossipsubParams, HostParams, World, run
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.protocol.params import FLOODSUB_ID, GOSSIPSUB_ID_V12
from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds
from pubsub_sim.wire.rpc_pb2 import RPC, ControlMessage
from tests.pubsub.hostile import LIMIT_BYTES, NO_UTF8, TOPIC, Attacker, message, signed, unknown_field
from tests.pubsub.test_gossipsub_scored import SCORED
from tests.pubsub.worlds import connect

RPCS_PER_S = 50  # so that what is forgotten after some time is forgotten during the shorter flood
MOST_GROWTH = 1.2

ROUTERS = {"floodsub": "floodsub", "gossipsub": "gossipsub", "scored": "gossipsub"}

Flood = Callable[[int], bytes]


def _rpc(rpc: RPC) -> bytes:
    return rpc.SerializeToString()


def _control(**parts: object) -> bytes:
    return RPC(control=ControlMessage(**parts)).SerializeToString()  # type: ignore[arg-type] # as protobuf takes it


def _announcing(number: int, *, subscribe: bool = True) -> bytes:
    """Sixteen topics that nobody has heard of."""
    names = (f"nobody's {number} {place}" for place in range(16))
    return _rpc(RPC(subscriptions=[RPC.SubOpts(subscribe=subscribe, topicid=name) for name in names]))


def _grafts(*topics: str) -> bytes:
    return _control(graft=[{"topic_id": topic} for topic in topics])


def _ids(number: int, count: int) -> list[bytes]:
    return [b"id %d %d" % (number, place) for place in range(count)]


CUT: dict[str, Flood] = {
    "random bytes": lambda n: b"\xff" + random.Random(n).randbytes(n % 200),
    "truncated": lambda n: _rpc(RPC(publish=[signed(message(n))]))[:-1],
    "too large": lambda n: bytes(LIMIT_BYTES + 1 + n % 100),
}
"""Floods in which every frame has its stream reset."""

HEARD: dict[str, Flood] = {
    "empty": lambda n: b"",
    "unknown fields": lambda n: unknown_field(100 + n, b"?" * 100),
    "not a string": lambda n: NO_UTF8,
    "unsigned": lambda n: _rpc(RPC(publish=[message(n)])),
    "wrongly signed": lambda n: _rpc(RPC(publish=[signed(message(n, author=b"somebody else %d" % n))])),
    "signed": lambda n: _rpc(RPC(publish=[signed(message(n))])),
    "long sequence numbers": lambda n: _rpc(RPC(publish=[signed(message(n, seqno=b"%d" % n * 20))])),
    "nobody's topics": lambda n: _rpc(RPC(publish=[signed(message(n, topic=f"nobody's {n}"))])),
    "new topics": _announcing,
    "new topics for a moment": lambda n: _announcing(n // 2, subscribe=n % 2 == 0),
    "huge topic names": lambda n: _rpc(RPC(subscriptions=[RPC.SubOpts(subscribe=True, topicid=f"{n} " * 400)])),
    "repeated subscriptions": lambda n: _rpc(RPC(subscriptions=[RPC.SubOpts(subscribe=True, topicid=TOPIC)] * 50)),
}
"""Floods that concern every router."""

CONTROL: dict[str, Flood] = {
    "IHAVE": lambda n: _control(ihave=[{"topic_id": TOPIC, "message_ids": _ids(n, 50)}]),
    "IWANT": lambda n: _control(iwant=[{"message_ids": _ids(n, 50)}]),
    "IDONTWANT": lambda n: _control(idontwant=[{"message_ids": _ids(n, 50)}]),
    "GRAFT": lambda n: _grafts(*[TOPIC] * 20),
    "GRAFT and PRUNE": lambda n: _grafts(TOPIC) if n % 2 else _control(prune=[{"topic_id": TOPIC, "backoff": n}]),
    "control for nobody's topics": lambda n: _control(
        graft=[{"topic_id": f"nobody's {n}"}],
        prune=[{"topic_id": f"nobody's {n}", "backoff": 2**63}],
        ihave=[{"topic_id": f"nobody's {n}", "message_ids": _ids(n, 5)}],
    ),
    "peers to dial": lambda n: _control(
        prune=[{"topic_id": TOPIC, "backoff": 1, "peers": [{"peer_id": name} for name in _ids(n, 16)]}]
    ),
}
"""Floods of what only gossipsub heeds."""

FLOODS: dict[str, dict[str, Flood]] = {"floodsub": CUT | HEARD, "gossipsub": CUT | HEARD | CONTROL}
FLOODS["scored"] = FLOODS["gossipsub"]
SPOKEN = {"floodsub": FLOODSUB_ID, "gossipsub": GOSSIPSUB_ID_V12, "scored": GOSSIPSUB_ID_V12}
_SIZES: dict[str, object] = {"max_message_bytes": LIMIT_BYTES, "seen_ttl_s": 4.0, "seen_sweep_s": 2.0}
PARAMS: dict[str, HostParams] = {
    "floodsub": HostParams(**_SIZES),  # type: ignore[arg-type] # a mapping of their names
    "gossipsub": GossipsubParams(**_SIZES, idontwant=True, idontwant_threshold_bytes=10, do_px=True),  # type: ignore[arg-type] # as above
}
assert isinstance(SCORED.score, PeerScoreParams)
PARAMS["scored"] = replace(
    PARAMS["gossipsub"],
    score=replace(SCORED.score, seen_msg_ttl_s=4.0),
    gater=SCORED.gater,
    thresholds=PeerScoreThresholds(gossip_threshold=-1e18, publish_threshold=-1e18, graylist_threshold=-1e18),
)
"""Everybody is judged, and the worst is still heard."""


def _traced_bytes() -> int:
    """What is alive, apart from names in the interpreter's cache of attributes.

    Whenever a task awaits a future of a class of ours, C code makes the name "result" anew to call it, and the cache keeps
    one for each place in memory it was made in: some 15 kB after a while, in an idle world too.
    """
    clear = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # its name before Python 3.13
    clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def memory_after(version: str, router: str, kinds: list[str], counts: tuple[int, int]) -> list[int]:
    """Traced bytes after so many hostile RPCs, of these kinds in turn, and after so many in all."""
    used: list[int] = []

    async def main() -> None:
        async with World(
            2, version=version, router=ROUTERS[router], seed=1, params=PARAMS[router], discovery=False, trace=False
        ) as world:
            for ps in world.pubsubs:
                await (await ps.join(TOPIC)).subscribe()
            await connect(world, (0, 1))
            attacker = Attacker(world, world.pubsubs[1], SPOKEN[router])
            await attacker.connect(world.pubsubs[1])
            await world.clock.sleep(1)
            for number in range(counts[1]):
                kind = kinds[number % len(kinds)]
                frame = FLOODS[router][kind](number // len(kinds))
                await (attacker.say_and_be_cut(frame) if kind in CUT else attacker.say(frame))
                if number % RPCS_PER_S == RPCS_PER_S - 1:
                    await world.clock.sleep(1)
                    attacker.rpcs.clear()
                if number + 1 in counts:
                    used.append(_traced_bytes())
            assert (attacker.resets > 0) == bool(set(kinds) & set(CUT))

    driver_factory(version)  # what its modules take is not the flood's
    gc.collect()
    tracemalloc.start()
    try:
        run(main(), clock="virtual")
    finally:
        tracemalloc.stop()
    return used


def test_a_flood_of_all_kinds_in_turn_fills_no_memory(version: str) -> None:
    short, long = memory_after(version, "floodsub", list(FLOODS["floodsub"]), (900, 2_700))
    assert long <= MOST_GROWTH * short


def test_judging_one_who_sends_all_kinds_fills_no_memory(version: str) -> None:
    """Scores, promises and the gater forget once a minute what is over: looked at six seconds after that, twice."""
    short, long = memory_after(version, "scored", list(FLOODS["scored"]), (66 * RPCS_PER_S, 126 * RPCS_PER_S))
    assert long <= MOST_GROWTH * short


@pytest.mark.parametrize("kind", FLOODS["gossipsub"])
def test_a_short_flood_of_any_kind_fills_no_memory(version: str, kind: str) -> None:
    """Nine hundred RPCs against three hundred, after which everything that is bounded is full."""
    short, long = memory_after(version, "gossipsub", [kind], (300, 900))
    assert long <= MOST_GROWTH * short


@pytest.mark.slow
@pytest.mark.parametrize(
    ("router", "kind"), [(router, kind) for router in ("floodsub", "gossipsub") for kind in FLOODS[router]]
)
def test_a_flood_of_any_kind_fills_no_memory(
    version: str, router: str, kind: str, record_property: Callable[[str, object], None]
) -> None:
    """A hundred thousand RPCs against ten thousand."""
    short, long = memory_after(version, router, [kind], (10_000, 100_000))
    record_property("bytes", (short, long))
    print(f"{version:9} {router:10} {kind:28} {short:>12,} {long:>12,} {long / short:.3f}")  # noqa: T201 - the figures are wanted
    assert long <= MOST_GROWTH * short
