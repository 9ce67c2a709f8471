"""Worlds of gossiping hosts as the reference's tests build them, on the virtual clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pubsub_sim import GossipsubParams, PeerScoreParams, Subscription, Topic, World, run
from pubsub_sim.ids import PeerId, peer_id_of
from pubsub_sim.ports import FrameReader, Inbound, Stream
from pubsub_sim.protocol.params import GOSSIPSUB_ID_V10
from pubsub_sim.wire.codec import decode
from pubsub_sim.wire.rpc_pb2 import RPC
from tests.pubsub.worlds import HORIZON_S

Play = Callable[[World], Awaitable[None]]

SPARSE, DENSE = 3, 10  # hosts that each host dials
PATIENCE_S = 5.0  # longest wait for a message


def play(version: str, script: Play, hosts: int = 20, *, router: object = "gossipsub", **options: object) -> World:
    """Run a script in a world without discovery and signatures."""

    async def main() -> World:
        defaults: dict[str, object] = {"discovery": False, "sign": "none", "seed": 1, "trace": True}
        async with World(hosts, version=version, router=router, **(defaults | options)) as world:  # type: ignore[arg-type]
            await script(world)
        return world

    return run(main(), clock="virtual", horizon_s=HORIZON_S)


async def join_all(world: World, topic: str = "foobar") -> list[Topic]:
    return [await ps.join(topic) for ps in world.pubsubs]


async def subscribe(topics: Iterable[Topic], buffer: int = 256) -> list[Subscription]:
    return [await topic.subscribe(buffer=buffer) for topic in topics]


async def connect_some(world: World, hosts: Sequence[int], dials: int, seed: int = 7) -> None:
    """Every host dials some random others."""
    rng = random.Random(seed)
    for host in hosts:
        for other in rng.choices([h for h in hosts if h != host], k=dials):
            await world.connect(host, other)


async def connect_star(world: World) -> None:
    for leaf in range(1, len(world.pubsubs)):
        await world.connect(0, leaf)


async def meshed_world(world: World, dials: int) -> tuple[list[Topic], list[Subscription]]:
    """All subscribed, connected, and two seconds later."""
    topics = await join_all(world)
    subscriptions = await subscribe(topics)
    await connect_some(world, range(len(topics)), dials)
    await world.clock.sleep(2)
    return topics, subscriptions


async def receive(subscription: Subscription, data: bytes) -> None:
    """The next message is this one, and it comes in time."""
    async with asyncio.timeout(PATIENCE_S):
        assert (await subscription.next()).data == data


async def rounds(publishers: Sequence[Topic], subscriptions: Iterable[Subscription], count: int) -> None:
    """Messages of random publishers; each must reach every subscription before the next is sent."""
    rng = random.Random(count)
    for number in range(count):
        data = b"%d it's not quite random enough %d" % (number, number)
        await rng.choice(publishers).publish(data)
        for subscription in subscriptions:
            await receive(subscription, data)


def mesh_of(world: World, host: int, topic: str = "foobar") -> list[int]:
    """The numbers of the hosts in a host's mesh."""
    return [world.peer_ids.index(peer) for peer in world.pubsubs[host].router.mesh.get(topic, ())]


def scored_by(application: Callable[[PeerId], float]) -> PeerScoreParams:
    """Scores that are the application's alone."""
    return PeerScoreParams(skip_atomic_validation=True, app_specific_score=application, app_specific_weight=1)


BOOTSTRAPPER = GossipsubParams(d=0, d_lo=0, d_hi=0, d_out=0, d_score=0, do_px=True, flood_publish=True)


class FakePeer:
    """A peer that is no pubsub host: says what the test has it say, and keeps what it is told.

    Attributes:
        peer_id: who it is.
        received: every RPC, in order.
        answer: called with each RPC that comes in.
    """

    def __init__(self, world: World, name: bytes = b"fake", protocol: str = GOSSIPSUB_ID_V10) -> None:
        self.peer_id: PeerId = peer_id_of(name.ljust(32, b"."))
        self.received: list[RPC] = []
        self.answer: Callable[[RPC], None] = lambda rpc: None
        self._protocol = protocol
        self._host = world.network.add_host(self.peer_id)
        self._host.serve([protocol], self._accept)
        self._stream: Stream
        self._world = world
        self._waiting: list[RPC] = []

    async def connect(self, number: int) -> None:
        """Dial a host of the world and open a stream to it."""
        peer = self._world.peer_ids[number]
        await self._host.connect(peer)
        self._stream = await self._host.open_stream(peer, [self._protocol])
        self._stream.set_writer(self)

    def send(self, rpc: RPC) -> None:
        """Say something."""
        self._waiting.append(rpc)
        self.writable()

    def writable(self) -> None:
        """Write what waits."""
        while self._waiting and self._stream.write(self._waiting[0].SerializeToString()):
            del self._waiting[0]

    def ended(self) -> None:
        """Its stream is over, and nothing follows from that."""

    def subscribe(self, topic: str = "foobar") -> None:
        self.send(RPC(subscriptions=[RPC.SubOpts(subscribe=True, topicid=topic)]))

    def graft(self, *topics: str) -> None:
        rpc = RPC()
        for topic in topics or ("foobar",):
            rpc.control.graft.add().topic_id = topic
        self.send(rpc)

    def prune(self, topic: str = "foobar") -> None:
        rpc = RPC()
        rpc.control.prune.add().topic_id = topic
        self.send(rpc)

    @property
    def data(self) -> list[bytes]:
        """The payloads received so far."""
        return [message.data for rpc in self.received for message in rpc.publish]

    @property
    def wanted(self) -> list[bytes]:
        """The ids it was asked for so far."""
        return [i for rpc in self.received for iwant in rpc.control.iwant for i in iwant.message_ids]

    @property
    def refused(self) -> list[bytes]:
        """The ids of the IDONTWANTs received so far."""
        return [i for rpc in self.received for refusal in rpc.control.idontwant for i in refusal.message_ids]

    @property
    def prunes(self) -> int:
        """PRUNEs received so far."""
        return sum(len(rpc.control.prune) for rpc in self.received)

    def _accept(self, stream: Inbound) -> FrameReader:
        return _Reader(self)


class _Reader:
    limit_bytes = 1 << 28

    def __init__(self, fake: FakePeer) -> None:
        self._fake = fake

    def frame(self, frame: bytes) -> bool:
        if frame:
            rpc = decode(frame)
            self._fake.received.append(rpc)
            self._fake.answer(rpc)
        return True

    def ended(self, clean: bool) -> None:
        """The host has gone."""
