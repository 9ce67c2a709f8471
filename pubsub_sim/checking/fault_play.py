"""What the users of a world do in a run with faults, and the evidence for the oracle: common to runs of either clock.

Hosts subscribe to one topic and publish while faults come and end. After the faults, every host publishes as soon as it is
ready, and again once all are ready; the later messages must reach all hosts. Gossipsub guarantees no more: a message
published while a host's first GRAFTs are in transit is too late for its peers' meshes and, as they do not gossip to members,
too early for their next IHAVE.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.checking.fault_oracle import Evidence, Life
from pubsub_sim.errors import DialError, HostClosed, ScenarioFailure
from pubsub_sim.node.lifetime import Lifetime, raise_grouped
from pubsub_sim.node.topic import min_topic_size

if TYPE_CHECKING:
    from pubsub_sim.node.pubsub import PubSub
    from pubsub_sim.node.topic import Subscription, Topic
    from pubsub_sim.world.world import World

_TOPIC = "faults"
_BURST = 40  # additional messages at one time in some runs: more than a stream's window
_ENOUGH = 5  # peers of a ready host: with at most ten hosts, the network is then connected
_BUFFER = 1000  # more than there are messages


@dataclass(frozen=True, kw_only=True)
class FaultTimes:
    """How long the parts of a run take.

    Attributes:
        quiet_s: before the first message.
        faults_s: duration of the faults.
        messages: published during the faults.
        ready_s: time limit for each host's readiness after the faults.
        repair_s: time for gossip: the heartbeats a message is kept.
        settle_s: time limit for settling.
    """

    quiet_s: float
    faults_s: float
    messages: int
    ready_s: float
    repair_s: float
    settle_s: float


class FaultPlay:
    """One run in a world; subclasses connect its hosts and repair what no node repairs.

    Args:
        router: "floodsub" or "gossipsub".
        world: the world, entered.
        rng: decides who publishes when.
        times: how long the parts of the run take.

    Attributes:
        world, rng, times: as given.
        numbers: the number of each host by its id.
        published: payloads whose publish returned.
        crash_grace_ns: see Evidence.
    """

    crash_grace_ns = 0

    def __init__(self, router: str, world: World, rng: random.Random, times: FaultTimes) -> None:
        self._router = router
        self.world = world
        self.rng = rng
        self.times = times
        self._begin_s = 0.0  # on the world's clock
        self.numbers = {peer: number for number, peer in enumerate(world.peer_ids)}
        self._nodes: list[PubSub] = []  # of all lives
        self._topics: dict[int, Topic] = {}
        self._subscriptions: list[tuple[int, int, Subscription]] = []  # host, life
        self._authors: dict[bytes, int] = {}
        self.published: list[bytes] = []
        self._failures: list[BaseException] = []  # of users

    async def play(self) -> Evidence:
        """Play faults and recovery, and return the evidence."""
        world = self.world
        self._begin_s = world.clock.now_ns() / 1e9
        hosts = range(len(world.pubsubs))
        users = Lifetime("the users")
        users.on_failure = self._failures.append
        for number in hosts:
            users.start(self._stay(number), f"user {number}", is_work=False)
        try:
            await self.begin()
            await self._publish_amid_faults()
        finally:
            await users.close()
        raise_grouped("users", self._failures)
        last = await self._recover()
        for node in self._nodes:
            if node.failure is not None:
                raise node.failure
        return Evidence(
            router=self._router,
            peer_ids=world.peer_ids,
            trace=tuple(world.trace),  # a copy, without the end of the world
            authors=self._authors,
            published=self.published,
            last=last,
            crash_grace_ns=self.crash_grace_ns,
            lives=[
                Life(host, life, [await subscription.next() for _ in range(subscription.pending)])
                for host, life, subscription in self._subscriptions
            ],
        )

    async def begin(self) -> None:
        """Connect the hosts, and let the faults begin."""
        raise NotImplementedError

    async def repair(self) -> None:
        """Repair what no node does, once the faults have ended."""
        raise NotImplementedError

    async def connect_all(self) -> None:
        """Connect every pair that is not separated by a fault."""
        hosts = range(len(self.world.pubsubs))
        async with asyncio.TaskGroup() as group:
            for b in hosts:
                for a in range(b):
                    group.create_task(self.connect(a, b))

    async def connect(self, a: int, b: int) -> None:
        """Connect two hosts, unless a fault separates them."""
        with suppress(DialError):
            await self.world.connect(a, b)

    # --- during the faults ---------------------------------------------------------------------------------------

    async def _stay(self, number: int) -> None:
        """Act as a host's user: subscribe in each of its lives."""
        node: PubSub | None = None
        life = 0
        while True:
            if node is self.world.pubsubs[number]:
                await self.world.when_restarted(number)
                life += 1
            node = self.world.pubsubs[number]
            self._nodes.append(node)
            with suppress(HostClosed):  # it crashed meanwhile
                topic = await node.join(_TOPIC)
                self._subscriptions.append((number, life, await topic.subscribe(buffer=_BUFFER)))
                self._topics[number] = topic

    async def _publish_amid_faults(self) -> None:
        rng, world, times = self.rng, self.world, self.times
        hosts = len(world.pubsubs)
        due = sorted((rng.uniform(times.quiet_s, times.faults_s), rng.randrange(hosts)) for _ in range(times.messages))
        if rng.random() < 0.3:
            due += [(rng.uniform(times.quiet_s, times.faults_s), rng.randrange(hosts))] * _BURST
        for at_s, number in sorted(due):
            await self.sleep_until(at_s)
            with suppress(HostClosed):  # it is down
                if number in self._topics:  # else its user has not joined yet
                    await self.publish(number)
        await self.sleep_until(times.faults_s + 0.001)
        await world.settle(times.settle_s)

    async def sleep_until(self, at_s: float) -> None:
        """Sleep until so many seconds after the beginning of the run."""
        now_s = self.world.clock.now_ns() / 1e9 - self._begin_s
        await self.world.clock.sleep(max(0.0, at_s - now_s))

    async def publish(self, number: int, ready: int = 0) -> bytes:
        """Publish a new payload from a host, once it has so many peers; return the payload."""
        topic = self._topics[number]
        payload = b"message %d of host %d" % (len(self._authors), number)
        self._authors[payload] = number
        await topic.publish(payload, ready=min_topic_size(ready) if ready else None)
        self.published.append(payload)
        return payload

    # --- after the faults ----------------------------------------------------------------------------------------

    async def _recover(self) -> list[bytes]:
        """Let every host publish once it is ready, and again; return the payloads of the second round."""
        world = self.world
        await self.repair()
        for _ in range(2):  # each host when ready; then again, as all are ready
            payloads = await self._publish_from_all()
            await world.clock.sleep(self.times.repair_s)
            await world.settle(self.times.settle_s)
        return payloads

    async def _publish_from_all(self) -> list[bytes]:
        try:
            async with asyncio.TaskGroup() as group:
                numbers = range(len(self.world.pubsubs))
                publishes = [group.create_task(self._publish_when_ready(number)) for number in numbers]
        except ExceptionGroup as group_of_errors:
            raise group_of_errors.exceptions[0] from None  # the others were cancelled, or are equal
        return [publish.result() for publish in publishes]

    async def _publish_when_ready(self, number: int) -> bytes:
        if number not in self._topics:
            raise ScenarioFailure("recovery", f"host {number} has not subscribed")
        try:
            async with asyncio.timeout(self.times.ready_s):
                return await self.publish(number, _ENOUGH)
        except TimeoutError:
            raise ScenarioFailure(
                "recovery", f"host {number} is not ready {self.times.ready_s:g} s after the faults"
            ) from None
