"""Worlds on the virtual clock decide the same whether RPCs are encoded or handed over as objects."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from pubsub_sim import LinkModel, World, run
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.world.chance import Chance
from pubsub_sim.world.trace import HostWatcher, TraceEvent

LINKS = {
    "lossy": LinkModel(latency_s=(0.001, 0.1), jitter=0.3, loss=0.05),
    "narrow": LinkModel(latency_s=(0.001, 0.1), bandwidth_bps=200_000),
    "equal": LinkModel(latency_s=0.01),
}


class Decisions(HostWatcher):
    """Notes what a host decides, and nothing of the frames: so that nothing needs their bytes."""

    def __init__(self, log: list[tuple[Any, ...]], host: int, now_ns: Callable[[], int]) -> None:
        self._note = lambda *what: log.append((now_ns(), host, *what))

    def graft(self, peer: PeerId, topic: str) -> None:
        self._note("graft", peer)

    def prune(self, peer: PeerId, topic: str) -> None:
        self._note("prune", peer)

    def deliver_message(self, message: Message) -> None:
        self._note("deliver", message.id, message.received_from, message.data)

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:
        self._note("duplicate", message_id, peer)

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        self._note("reject", peer, reason, message.SerializeToString())


def decisions(version: str, router: str, link: str, seed: int, **more: Any) -> tuple[list[tuple[Any, ...]], int]:
    """What ten hosts decide while they publish messages of many lengths; and how many frames went over the links."""

    async def main() -> tuple[list[tuple[Any, ...]], int]:
        log: list[tuple[Any, ...]] = []
        params: HostParams = (
            GossipsubParams(d=3, d_lo=2, d_hi=4, d_score=1, d_out=1) if router == "gossipsub" else HostParams()
        )
        world = World(
            10,
            version=version,
            router=router,
            seed=seed,
            discovery=False,
            params=params,
            link=LINKS[link],
            watch=lambda host: Decisions(log, host, lambda: world.clock.now_ns()),
            **more,
        )
        rng = random.Random(seed)
        async with world:
            topics = [await pubsub.join("t") for pubsub in world.pubsubs]
            for topic in topics:
                await topic.subscribe(buffer=1000)
            await world.connect_all()
            for number in range(20):
                await world.clock.sleep(0.2)
                await rng.choice(topics).publish(b"%d/" % number + bytes(rng.choice((1, 100, 200, 3000))))
            await world.clock.sleep(4)
            return log, world.network.frames

    return run(main(), clock="virtual")


@pytest.mark.parametrize(("link", "sign"), [("lossy", "none"), ("narrow", "strict"), ("equal", "none")])
@pytest.mark.parametrize("router", ["floodsub", "gossipsub"])
def test_sealed_rpcs_change_no_decision(version: str, router: str, sign: str, link: str) -> None:
    """Equal decisions at equal nanoseconds, lossy and narrow links included, whose chance and lengths are the same."""
    sealed = decisions(version, router, link, 3, sign=sign)
    assert sealed == decisions(version, router, link, 3, sign=sign, encode=True)
    assert len(sealed[0]) > 200


@pytest.mark.parametrize("router", ["floodsub", "gossipsub"])
def test_whoever_looks_at_rpcs_is_given_bytes_and_protobufs(version: str, router: str) -> None:
    """The trace of a world is the same, its encoded RPCs included."""

    def trace(encode: bool) -> list[TraceEvent]:
        async def main() -> list[TraceEvent]:
            async with World(
                5,
                version=version,
                router=router,
                seed=2,
                discovery=False,
                link=LINKS["lossy"],
                trace=True,
                encode=encode,
            ) as world:
                topics = [await pubsub.join("t") for pubsub in world.pubsubs]
                for topic in topics:
                    await topic.subscribe()
                await world.connect_all()
                for topic in topics:
                    await world.clock.sleep(1)
                    await topic.publish(b"data")
                await world.clock.sleep(3)
                return list(world.trace)

        return run(main(), clock="virtual")

    sealed = trace(encode=False)
    assert sealed == trace(encode=True)
    assert all(isinstance(event.detail, bytes) for event in sealed if event.kind.endswith("_rpc"))
    assert any(RPC.FromString(event.detail).publish for event in sealed if event.kind == "recv_rpc")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 2, 7, 32, 33, 100])
def test_the_chance_of_a_host_is_that_of_the_standard_library(size: int) -> None:
    """Its shuffle gives the same order, and leaves the generator where the other one is."""
    ours, theirs = Chance("seed"), random.Random("seed")
    for _ in range(50):
        one, other = list(range(size)), list(range(size))
        ours.shuffle(one)
        theirs.shuffle(other)
        assert one == other
        assert ours.random() == theirs.random()
        assert ours.randint(1, 10) == theirs.randint(1, 10)
