"""Hosts that are put under load: pubsub hosts of any version, and those of the lower bound."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pubsub_sim.errors import OptionConflict, ScenarioFailure
from pubsub_sim.net.clock import LoopClock, clock_of
from pubsub_sim.net.linked import LinkedNetwork
from pubsub_sim.node.topic import min_topic_size
from pubsub_sim.node.view import Losses
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.scenarios.lower_bound import LowerBoundHost, settle
from pubsub_sim.scenarios.lower_bound_links import Connections, Queues
from pubsub_sim.scenarios.simple_discovery import TOPIC, meet
from pubsub_sim.wire.signing import KeyPair

if TYPE_CHECKING:
    from pubsub_sim.node.topic import Subscription, Topic
    from pubsub_sim.scenarios.load import Load
    from pubsub_sim.scenarios.load_ledger import Ledger
    from pubsub_sim.scenarios.lower_bound_links import Links
    from pubsub_sim.scenarios.simple_discovery import MakeWorld
    from pubsub_sim.world.world import World

_FIRST = b"first message"

Deliver = Callable[[int, bytes, int], None]
"""Told of each delivery: number of the host, payload, and how many more messages wait for this reader."""


class Drops(NamedTuple):
    """Deliveries that were owed and not made, by reason, and what full queues lost on the way.

    Attributes:
        subscription: the host had the message, and the buffer of its subscription was full.
        on_the_way: every copy of the message was lost to a full queue before the host could accept it.
        frames: RPCs lost to full outbound queues under load; most of their messages came another way.
        validations: copies of messages lost to full validation queues, likewise.
    """

    subscription: int
    on_the_way: int
    frames: int
    validations: int


class Hosts(Protocol):
    """Hosts of one run, all connected and subscribed."""

    @property
    def clock(self) -> LoopClock:
        """Their time."""

    async def open(self) -> None:
        """Create and connect them; each has read a first message afterwards."""

    async def publish(self, host: int, payload: bytes) -> bytes:
        """Publish once the host has accepted the message; return its id."""

    async def read(self, host: int, deliver: Deliver) -> None:
        """Read the subscription of a host until cancelled."""

    async def settle(self) -> None:
        """Wait until nothing is under way."""

    def count_drops(self, ledger: Ledger) -> Drops:
        """Find the reason for each delivery that is missing once all is settled.

        Raises:
            ScenarioFailure: a delivery is missing for which there is no reason.
        """

    async def close(self) -> None:
        """Close all."""


class PubsubHosts:
    """Hosts of a version with a driver.

    Args:
        options: the run.
        make_world: factory of their world.
    """

    def __init__(self, options: Load, make_world: MakeWorld) -> None:
        self._options = options
        self._ready = min_topic_size(1)
        self._world: World = make_world(
            options.hosts,
            version=options.version,
            router=options.router,
            seed=options.seed,
            transport=options.transport,
            sign=options.sign,
        )
        self._topics: list[Topic] = []
        self._subscriptions: list[Subscription] = []
        self._lost_before = Losses(0, 0)  # while hosts met

    @property
    def clock(self) -> LoopClock:
        return self._world.clock

    async def open(self) -> None:
        world = self._world
        await world.__aenter__()
        if world.clock.kind == "virtual" and self._options.in_flight and not isinstance(world.network, LinkedNetwork):
            raise OptionConflict(
                "in_flight", self._options.in_flight, "clock", "virtual", "no time passes without links that take some"
            )
        self._topics = [await pubsub.join(TOPIC) for pubsub in world.pubsubs]
        self._subscriptions = [await topic.subscribe() for topic in self._topics]
        await world.settle()
        await meet(world)
        others = self._options.hosts - 1
        enough = min(others, GossipsubParams().d_lo) if self._options.router == "gossipsub" else others
        await self._topics[0].publish(_FIRST, ready=min_topic_size(enough))
        for number, subscription in enumerate(self._subscriptions):
            data = (await subscription.next()).data
            if data != _FIRST:
                raise ScenarioFailure("connect", f"host {number} expected {_FIRST!r}, got {data!r}")
        await world.settle()
        self._lost_before = self._count_losses()

    async def publish(self, host: int, payload: bytes) -> bytes:
        return await self._topics[host].publish(payload, ready=self._ready)

    async def read(self, host: int, deliver: Deliver) -> None:
        subscription = self._subscriptions[host]
        while True:
            message = await subscription.next()
            deliver(host, message.data, subscription.pending)

    async def settle(self) -> None:
        await self._world.settle()
        while any(subscription.pending for subscription in self._subscriptions):  # noqa: ASYNC110 - readers are due
            await asyncio.sleep(0)

    def count_drops(self, ledger: Ledger) -> Drops:
        pubsubs = self._world.pubsubs
        accepted = on_the_way = 0
        for number, host in ledger.missing():
            if pubsubs[host].view.has_seen(ledger.ids[number]):
                accepted += 1
            else:
                on_the_way += 1
        lost = self._count_losses()
        drops = Drops(
            sum(subscription.dropped for subscription in self._subscriptions),
            on_the_way,
            lost.frames - self._lost_before.frames,
            lost.messages - self._lost_before.messages,
        )
        if accepted != drops.subscription:
            why = f"subscriptions dropped {drops.subscription} messages, and {accepted} that hosts had accepted are missing"
            raise ScenarioFailure("drain", why)
        if on_the_way and not drops.frames + drops.validations:
            raise ScenarioFailure("drain", f"{on_the_way} deliveries are missing, and no queue was full")
        return drops

    def _count_losses(self) -> Losses:
        """Add up what the full queues of all hosts have lost so far."""
        frames, messages = zip(*(pubsub.losses for pubsub in self._world.pubsubs), strict=True)
        return Losses(sum(frames), sum(messages))

    async def close(self) -> None:
        await self._world.__aexit__(None, None, None)


class LowerBoundHosts:
    """Hosts of the lower bound: no discovery, no limits, and queues without bound, so that nothing is dropped.

    Args:
        options: the run.
    """

    def __init__(self, options: Load) -> None:
        loop = asyncio.get_running_loop()
        self._clock = clock_of(loop)
        if self._clock.kind == "virtual" and options.in_flight:
            raise OptionConflict("in_flight", options.in_flight, "clock", "virtual", "its links take no time")
        self._links: Links = (Connections if options.transport == "tcp" else Queues)(loop)
        seeds = (f"{options.seed}/key/{number}".encode() for number in range(options.hosts))
        self._hosts: Sequence[LowerBoundHost] = [
            LowerBoundHost(KeyPair(hashlib.sha256(seed).digest()), self._links, signs=options.sign == "strict")
            for seed in seeds
        ]

    @property
    def clock(self) -> LoopClock:
        return self._clock

    async def open(self) -> None:
        await self._links.connect_all(self._hosts)
        await settle(self._hosts)

    async def publish(self, host: int, payload: bytes) -> bytes:
        self._hosts[host].publish(payload)
        return b""

    async def read(self, host: int, deliver: Deliver) -> None:
        delivered = self._hosts[host].delivered
        while True:
            payload = await delivered.get()
            deliver(host, payload, delivered.qsize())

    async def settle(self) -> None:
        await settle(self._hosts)
        while not all(host.delivered.empty() for host in self._hosts):  # noqa: ASYNC110 - readers are due
            await asyncio.sleep(0)

    def count_drops(self, ledger: Ledger) -> Drops:
        missing = sum(1 for _ in ledger.missing())
        if missing:
            raise ScenarioFailure("drain", f"{missing} deliveries are missing, and there is nothing that drops any")
        return Drops(0, 0, 0, 0)

    async def close(self) -> None:
        await self._links.close()
