"""What the reference's tests share: worlds on the virtual clock, topologies, deprecated calls, nodes and peers made by hand."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from pubsub_sim import HostOptions, HostParams, PubSub, World, run
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.errors import TopicExists
from pubsub_sim.ids import PeerId
from pubsub_sim.net.memory import MemoryHost
from pubsub_sim.node.topic import Readiness, Subscription, Topic
from pubsub_sim.ports import Inbound, Rendezvous, Stream
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.protocol.params import FLOODSUB_ID
from pubsub_sim.protocol.router import Router
from pubsub_sim.wire.codec import decode, encode_subscriptions
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.signing import KeyPair, SignPolicy
from pubsub_sim.world.trace import HostTrace

T = TypeVar("T")
Play = Callable[[World], Awaitable[None]]

HORIZON_S = 86_400.0
"""Virtual time at which a test that has not ended never will: one that polls for ever is told so, with its tasks."""


def run_on(transport: str, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop that goes with a network (see the fixture `transport`)."""
    if transport != "memory":
        return run(main, loop=transport.split()[-1])
    return run(main, clock="virtual", horizon_s=HORIZON_S)


def play(version: str, script: Play, hosts: int = 2, *, transport: str = "memory", **options: object) -> World:
    """Run a script in a world without discovery, on the virtual clock unless it is to have sockets."""
    given: dict[str, Any] = {"discovery": False, "transport": transport.split()[0], "trace": True} | options

    async def main() -> World:
        async with World(hosts, version=version, **given) as world:
            await script(world)
            await world.settle()
        return world

    return run_on(transport, main())


async def connect(world: World, *edges: tuple[int, int]) -> None:
    """Connect pairs of hosts, and wait until their hellos are through."""
    for a, b in edges:
        await world.connect(a, b)
    await world.settle()


async def sparse(world: World) -> None:
    """Every host dials 3 random others."""
    rng = random.Random(1)
    hosts = range(len(world.pubsubs))
    await connect(world, *((a, b) for a in hosts for b in rng.sample([b for b in hosts if b != a], 3)))


async def meet(world: World) -> None:
    """Connect all."""
    await world.connect_all()
    await world.settle()


async def handle(ps: PubSub, topic: str) -> Topic:
    """Join a topic, or take the handle that is there."""
    try:
        return await ps.join(topic)
    except TopicExists:
        there = ps._core.local_topics.handles[topic]
        assert isinstance(there, Topic)
        return there


async def sub(ps: PubSub, topic: str = "foobar", buffer: int | None = None) -> Subscription:
    """The reference's deprecated Subscribe."""
    return await (await handle(ps, topic)).subscribe(buffer)


async def pub(ps: PubSub, data: bytes, topic: str = "foobar", ready: Readiness | None = None) -> bytes:
    """The reference's deprecated Publish."""
    return await (await handle(ps, topic)).publish(data, ready=ready)


async def sub_all(nodes: Iterable[PubSub], topic: str = "foobar") -> list[Subscription]:
    """Every node subscribes."""
    return [await sub(ps, topic) for ps in nodes]


async def receive(subscription: Subscription, data: bytes) -> None:
    """The next message, within 5 s, is this one."""
    async with asyncio.timeout(5):
        assert (await subscription.next()).data == data


async def never(world: World, subscription: Subscription, for_s: float) -> None:
    """Nothing comes for so long."""
    await world.clock.sleep(for_s)
    assert subscription.pending == 0


async def rounds(
    nodes: Sequence[PubSub], subscriptions: Sequence[Subscription], count: int, topic: str = "foobar"
) -> None:
    """So many messages of random nodes, each received by every subscription before the next."""
    rng = random.Random(2)
    for number in range(count):
        data = b"%d the flooooooood %d" % (number, number)
        await pub(rng.choice(nodes), data, topic)
        for subscription in subscriptions:
            await receive(subscription, data)


def events_of(world: World, kind: str, host: int | None = None) -> list[bytes | str]:
    """The details of a kind of trace event, in order."""
    return [e.detail for e in world.trace if e.kind == kind and host in (None, e.host)]


def key_of(name: str) -> KeyPair:
    """A key for a host made by hand."""
    return KeyPair(hashlib.sha256(name.encode()).digest())


def add_node(
    world: World,
    version: str,
    *,
    router: Router | None = None,
    host: MemoryHost | None = None,
    rendezvous: Rendezvous | None = None,
    options: HostOptions | None = None,
    name: str | None = None,
) -> PubSub:
    """One more node of a world, with what a world does not choose host by host; started."""
    number = len(world.pubsubs)
    key = key_of(name or f"node {number}")
    pubsub = PubSub(
        host or world.network.add_host(key.peer_id),
        world.clock,
        random.Random(number),
        key=key,
        router=router or FloodSub(),
        policy=SignPolicy.STRICT,
        make_driver=driver_factory(version),
        rendezvous=rendezvous,
        params=HostParams(),
        tracer=None if world._trace is None else HostTrace(world._trace, number, world.clock.now_ns),
        number=number,
        initial_seqno=number << 32,
        options=options,
    )
    world.pubsubs.append(pubsub)
    pubsub.start()
    return pubsub


async def dial(a: PubSub, b: PubSub) -> None:
    """One node dials another."""
    await a._host.connect(b.peer_id)


class NoDiscovery:
    """A discovery service that finds nobody after half a second (the reference's dummy: one). Implements Rendezvous."""

    async def advertise(self, namespace: str) -> float:
        return 3600.0

    async def find_peers(self, namespace: str) -> Sequence[PeerId]:
        await asyncio.sleep(0.5)  # less than the pause between polls, so that a world is quiet now and then
        return ()


class _FakeWriter:
    """Waits for no room, and passes on the end of its stream."""

    def __init__(self, on_ended: Callable[[], None]) -> None:
        self.ended = on_ended

    def writable(self) -> None:
        """Nothing waits."""


class FakePeer:
    """A host without a node that answers streams by hand.

    Attributes:
        rpcs: what it was sent.
        inbound: streams the world's hosts opened to it.
        is_reading: set to False to leave frames lying.
    """

    def __init__(self, world: World, name: str = "fake", protocol: str = FLOODSUB_ID) -> None:
        self.peer_id = key_of(name).peer_id
        self.key = key_of(name)
        self.host = world.network.add_host(self.peer_id)
        self.host.serve([protocol], self._accept)
        self.rpcs: list[RPC] = []
        self.inbound: list[Inbound] = []
        self.is_reading = True
        self.ended_streams: list[Inbound] = []
        self._protocol = protocol

    async def connect(self, ps: PubSub) -> None:
        await self.host.connect(ps.peer_id)

    async def open(self, ps: PubSub, on_closed: Callable[[], None] = lambda: None) -> Stream:
        """A stream to a node."""
        stream = await self.host.open_stream(ps.peer_id, [self._protocol])
        stream.set_writer(_FakeWriter(on_closed))
        return stream

    def resume(self) -> None:
        """Read again."""
        self.is_reading = True
        self.host.resume_reading()

    def announced(self, topic: str) -> list[bool]:
        """What the hosts told it of a topic: True for subscribed."""
        return [one.subscribe for rpc in self.rpcs for one in rpc.subscriptions if one.topicid == topic]

    def _accept(self, stream: Inbound) -> _FakeReader:
        self.inbound.append(stream)
        return _FakeReader(self, stream)


class _FakeReader:
    limit_bytes = 1 << 28

    def __init__(self, peer: FakePeer, stream: Inbound) -> None:
        self._peer = peer
        self._stream = stream

    def frame(self, frame: bytes) -> bool:
        if not self._peer.is_reading:
            return False
        if frame:
            self._peer.rpcs.append(decode(frame))
        return True

    def ended(self, clean: bool) -> None:
        self._peer.ended_streams.append(self._stream)


def subscriptions(*topics: str) -> bytes:
    """A frame that announces topics."""
    return encode_subscriptions(topics, subscribe=True)
