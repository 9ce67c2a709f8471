"""Message propagation in a gossipsub mesh of a thousand hosts: the set-up of gerbil-simsub, whose tables are published.

Each host dials some others at random over links that take time, joins one topic and fills its mesh; from second 5 on a
few hosts publish in turn by chance, a message a second. Nothing is signed, and time is virtual.

Source: github.com/vyzo/gerbil-simsub (August 2022), `gossipsub/v1.0`. What ours does differently, as a host of v1.1:
- A host with a full mesh (Dhi) refuses a GRAFT of a peer it has not dialled, at once and with a PRUNE; theirs takes it in
  and cuts its mesh at its next heartbeat. After a PRUNE a peer is not grafted for a minute; theirs knows no such pause.
- A message is not sent back to its author; theirs spares only the peer it came from.
- A dial, and each direction of a stream, take a round trip, so hosts know each other's topic 0.8 s after the start at the
  latest; theirs know their peers after one latency. Both are before the first heartbeat.
- Messages of one direction of a link stay in order; theirs may overtake each other by their jitter.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.checks import check_bool, check_choice, check_whole
from pubsub_sim.drivers.versions import known_versions
from pubsub_sim.errors import OptionConflict, ScenarioFailure
from pubsub_sim.net.link import LinkModel
from pubsub_sim.net.linked import LinkedNetwork
from pubsub_sim.node.lifetime import Lifetime
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.options import HostOptions
from pubsub_sim.protocol.tracing import RawTracer
from pubsub_sim.wire.codec import decode
from pubsub_sim.wire.sealed import SealedIHave, SealedMessage, as_encoded
from pubsub_sim.world.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.topic import Subscription, Topic

TOPIC = "simsub"
PHASES = ("hosts", "links", "meshes", "messages", "close")

KINDS = ("messages", "ihave", "iwant", "graft", "prune")
"""What RPCs are made of, as far as it is counted."""

BEGIN_S = 5.0
"""When the first message is published, after the start."""
PAUSE_S = 1.0
"""Between two messages."""
REST_S = 10.0
"""After the pause behind the last message, for what is still told of and asked for."""

LINK = LinkModel(latency_s=(0.010, 0.150), jitter=0.1)
BUCKET_NS = 100_000_000


@dataclass(frozen=True, kw_only=True)
class Simsub:
    """One run.

    Attributes:
        version: which control flow.
        hosts: how many; more than `sources`.
        messages: messages in total.
        sources: hosts that publish.
        dials: other hosts that each host dials, or all if there are not so many.
        seed: for keys, links, dials, heartbeats and publishers.
        encode: encode and decode every RPC, which changes the cost of the run only.

    Raises:
        OptionError: a value that cannot be; names it.
        OptionConflict: there are no more hosts than sources.
    """

    version: str
    hosts: int = 1000
    messages: int = 60
    sources: int = 5
    dials: int = 20
    seed: int = 1
    encode: bool = False

    def __post_init__(self) -> None:
        check_choice("version", self.version, known_versions())
        check_whole("sources", self.sources, at_least=1)
        if check_whole("hosts", self.hosts, at_least=2) <= self.sources:
            raise OptionConflict(
                "hosts", self.hosts, "sources", self.sources, "one host more than sources has to receive"
            )
        check_whole("messages", self.messages, at_least=1)
        check_whole("dials", self.dials, at_least=1)
        check_whole("seed", self.seed, at_least=0)
        check_bool("encode", self.encode)


@dataclass(frozen=True)
class Spread:
    """How the messages spread.

    Attributes:
        links: pairs of hosts connected when the first message was published.
        sent: how many of each of KINDS the RPCs sent held.
        dropped: RPCs lost to a full queue.
        deliveries: messages read from subscriptions, those of the publishers themselves included, as in the original.
        undelivered: how many more there should be.
        rpcs: RPCs sent, hellos and announcements included.
        members: members of all hosts' meshes when the first message was published, and in the end.
        latencies_ns: from the publish to each delivery at another host, in ascending order.
    """

    links: int
    sent: Mapping[str, int]
    dropped: int
    deliveries: int
    undelivered: int
    rpcs: int
    members: tuple[int, int]
    latencies_ns: Sequence[int]

    @property
    def copies(self) -> float:
        """Messages sent per delivery."""
        return self.sent["messages"] / self.deliveries

    @property
    def buckets(self) -> tuple[int, ...]:
        """How many of the latencies are below 100 ms, from there to 200 ms, and so on; none is left out."""
        counts = Counter(latency // BUCKET_NS for latency in self.latencies_ns)
        return tuple(counts[place] for place in range(max(counts, default=-1) + 1))

    def quantile_ms(self, share: float) -> float:
        """Return the latency that is the least for this share of the deliveries at other hosts, in ms."""
        return self.latencies_ns[min(int(share * len(self.latencies_ns)), len(self.latencies_ns) - 1)] / 1e6


async def simsub(options: Simsub, phase: Callable[[str], AbstractContextManager[None]]) -> Spread:
    """Play the scenario once, on the virtual clock.

    Args:
        options: what to play.
        phase: entered with its name around each phase, in the order of PHASES.

    Raises:
        ScenarioFailure: a message was delivered twice.
    """
    rng = random.Random(f"{options.seed}/simsub")
    tally = _Tally()
    world = _world(options, rng, tally)
    try:
        with phase("hosts"):
            await world.__aenter__()
            assert isinstance(world.network, LinkedNetwork)
            world.network.tally = tally.count
            topics = [await pubsub.join(TOPIC) for pubsub in world.pubsubs]
            readers = _Readers(world, [await topic.subscribe() for topic in topics])
        with phase("links"):
            async with asyncio.TaskGroup() as group:
                for a, b in _dials(options, rng):
                    group.create_task(world.connect(a, b))
        with phase("meshes"):
            await _until(world, BEGIN_S)
            links = world.network.connections
            begin = _members(world)
        with phase("messages"):
            await _publish(world, topics, readers, options, rng)
            await _until(world, BEGIN_S + options.messages * PAUSE_S + REST_S)
            end = _members(world)
        await readers.end()
    finally:
        with phase("close"):
            await world.__aexit__(None, None, None)
    return Spread(
        links=links,
        sent=tally.by_kind(),
        dropped=tally.dropped,
        deliveries=readers.deliveries,
        undelivered=options.hosts * options.messages - readers.deliveries,
        rpcs=world.network.frames,
        members=(begin, end),
        latencies_ns=sorted(readers.latencies_ns),
    )


def _world(options: Simsub, rng: random.Random, tally: _Tally) -> World:
    params = [
        GossipsubParams(
            d=6,
            d_lo=4,
            d_hi=12,
            d_score=0,
            d_out=0,
            d_lazy=6,
            gossip_factor=0.0,  # six peers are told, however many there are
            history_gossip=3,
            heartbeat_initial_delay_s=1.0 + rng.random(),
            heartbeat_interval_s=1.0,
        )
        for _ in range(options.hosts)
    ]
    return World(
        options.hosts,
        version=options.version,
        router="gossipsub",
        seed=options.seed,
        sign="none",
        discovery=False,
        params=params.__getitem__,
        link=LINK,
        options=HostOptions(tracers=(tally,)),
        encode=options.encode,
    )


def _dials(options: Simsub, rng: random.Random) -> list[tuple[int, int]]:
    """Who dials whom: every host some others; two that dial each other have one connection."""
    count = min(options.dials, options.hosts - 1)
    numbers = range(options.hosts - 1)
    return [(a, b + (b >= a)) for a in range(options.hosts) for b in rng.sample(numbers, count)]


def _members(world: World) -> int:
    return sum(len(pubsub.router.mesh.get(TOPIC, ())) for pubsub in world.pubsubs)


async def _until(world: World, time_s: float) -> None:
    await world.clock.sleep(time_s - world.clock.now_ns() / 1e9)


async def _publish(
    world: World, topics: Sequence[Topic], readers: _Readers, options: Simsub, rng: random.Random
) -> None:
    sources = rng.sample(range(options.hosts), options.sources)
    for number in range(options.messages):
        await _until(world, BEGIN_S + number * PAUSE_S)
        source = rng.choice(sources)
        readers.published.append((source, world.clock.now_ns()))
        await topics[source].publish(b"%d" % number)


class _Readers:
    """Reads all subscriptions and notes when each message came."""

    def __init__(self, world: World, subscriptions: Sequence[Subscription]) -> None:
        self.published: list[tuple[int, int]] = []  # by whom and when
        self.deliveries = 0
        self.latencies_ns: list[int] = []
        self._now_ns = world.clock.now_ns
        self._failures: list[BaseException] = []
        self._tasks = Lifetime("the readers")
        self._tasks.on_failure = self._failures.append
        for host, subscription in enumerate(subscriptions):
            self._tasks.start(self._read(host, subscription), f"reader of host {host}")

    async def end(self) -> None:
        """Stop reading; raise what went wrong."""
        await self._tasks.close()
        for failure in self._failures:
            raise failure

    async def _read(self, host: int, subscription: Subscription) -> None:
        had: set[int] = set()
        async for message in subscription:
            number = int(message.data)
            if number in had:
                raise ScenarioFailure("messages", f"host {host} was delivered message {number} twice")
            had.add(number)
            self.deliveries += 1
            source, begin_ns = self.published[number]
            if host != source:
                self.latencies_ns.append(self._now_ns() - begin_ns)


class _Tally(RawTracer):
    """Counts what all hosts send. RPCs of one message or one IHAVE, which are nearly all, are counted as such.

    Others are counted by their bytes, and looked into once, in the end.
    """

    __slots__ = ("_encoded", "_ihaves", "_messages", "dropped")

    def __init__(self) -> None:
        self._messages = 0
        self._ihaves = 0
        self._encoded: dict[bytes, int] = {}
        self.dropped = 0

    def count(self, frame: Any) -> None:
        """Count a frame."""
        kind = type(frame)
        if kind is SealedMessage:
            self._messages += 1
        elif kind is SealedIHave:
            self._ihaves += 1
        else:
            encoded = as_encoded(frame)
            self._encoded[encoded] = self._encoded.get(encoded, 0) + 1

    def drop_rpc(self, peer: PeerId, frame: bytes) -> None:
        """Count the drop."""
        self.dropped += 1

    def by_kind(self) -> dict[str, int]:
        """Return how many of each of KINDS were sent."""
        counts = dict.fromkeys(KINDS, 0)
        counts["messages"] = self._messages
        counts["ihave"] = self._ihaves
        for frame, times in self._encoded.items():
            rpc = decode(frame)
            counts["messages"] += times * len(rpc.publish)
            for kind in KINDS[1:]:
                counts[kind] += times * len(getattr(rpc.control, kind))
        return counts
