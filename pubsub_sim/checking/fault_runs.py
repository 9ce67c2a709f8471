"""A seeded run with random faults on the virtual clock, and its check by the oracle.

Hosts subscribe to one topic and publish while links lose and delay frames, partitions come and heal, hosts crash, restart
and stop reading. Then the faults end. Every host publishes as soon as it is ready, and again once all are ready; the later
messages must reach all hosts. Gossipsub guarantees no more: a message published while a host's first GRAFTs are in transit
is too late for its peers' meshes and, as they do not gossip to members, too early for their next IHAVE.

After the faults, two things are repaired externally because no node does it: without discovery every pair is reconnected;
and pairs whose connection lost a hello or an announcement are reconnected, as neither is ever sent again. Everything else
must recover without help.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.checking.fault_oracle import Evidence, Life, judge
from pubsub_sim.checking.user_fault_runs import user_fault_run
from pubsub_sim.checks import check_choice, check_whole
from pubsub_sim.drivers.versions import check_version
from pubsub_sim.errors import DialError, HostClosed, ScenarioFailure
from pubsub_sim.net.faults import FaultPlan
from pubsub_sim.net.link import LinkModel
from pubsub_sim.net.linked import LinkedNetwork
from pubsub_sim.node.lifetime import Lifetime, raise_grouped
from pubsub_sim.node.topic import min_topic_size
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.wire.codec import decode
from pubsub_sim.world.running import run
from pubsub_sim.world.world import World

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Driver, HostContext
    from pubsub_sim.node.pubsub import PubSub
    from pubsub_sim.node.topic import Subscription, Topic

ROUTERS = ("floodsub", "gossipsub")
"""The routers supported by the oracle."""

KINDS = ("network", "users")
"""Kinds of faults: of links and hosts; or of user code and cancelled calls (see `user_fault_runs`)."""

_TOPIC = "faults"
_FAULTS_S = 12.0  # duration of the faults
_MESSAGES = 24  # published during the faults
_BURST = 40  # additional ones at one time in some runs: more than a stream's window
_READY_S = 120.0  # dials of discovered peers back off for up to 10, 10, 25 and 125 s
_REPAIR_S = 5.0  # time for gossip: the heartbeats a message is kept
_SETTLE_S = 30.0  # time limit for settling after the faults
_HORIZON_S = 3600.0
_ENOUGH = 5  # peers of a ready host: with at most ten hosts, the network is then connected
_BUFFER = 1000  # more than there are messages


@dataclass(frozen=True, kw_only=True)
class FaultRun:
    """One run.

    Attributes:
        version: version of the control flow.
        router: "floodsub" or "gossipsub".
        seed: seed of the fault plan, the world, its size and everything else.
        kind: kind of faults, "network" or "users".

    Raises:
        OptionError: an invalid value.
    """

    version: str
    router: str
    seed: int
    kind: str = "network"

    def __post_init__(self) -> None:
        check_version(self.version)
        check_choice("kind", self.kind, KINDS)
        check_choice("router", self.router, ROUTERS)
        check_whole("seed", self.seed, at_least=0)

    def __str__(self) -> str:
        kind = "" if self.kind == "network" else f", {self.kind}"
        return f"{self.version}, {self.router}, seed {self.seed}{kind}"


def fault_run(options: FaultRun, make_driver: Callable[[HostContext], Driver] | None = None) -> list[str]:
    """Play one run and check it.

    Args:
        options: the run.
        make_driver: factory of the drivers, instead of the version's own.

    Returns:
        The problems as sentences: violated rules (see `fault_oracle`), the error that ended the run (a deadlock, a world
        that does not settle, a failure of a host), unhandled errors. Empty on success.
    """
    if options.kind == "users":
        return user_fault_run(options.version, options.router, options.seed, make_driver)
    unhandled: list[str] = []
    try:
        evidence = run(_play(options, make_driver, unhandled), clock="virtual", horizon_s=_HORIZON_S)
    except Exception as error:
        broken = [f"{type(error).__name__}: {error}"]
    else:
        broken = judge(evidence)
    gc.collect()  # an unretrieved error of a task is reported when the task is collected
    return [*broken, *unhandled]


async def _play(
    options: FaultRun, make_driver: Callable[[HostContext], Driver] | None, unhandled: list[str]
) -> Evidence:
    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unhandled.append(f"unhandled {context.get('exception')!r}: {context['message']}")

    asyncio.get_running_loop().set_exception_handler(tell)
    rng = random.Random(f"{options.seed}/fault run")
    hosts = rng.randint(6, 10)
    has_discovery = rng.random() < 0.5
    queue_size = rng.choice((4, 32, 32))
    kind = GossipsubParams if options.router == "gossipsub" else HostParams
    world = World(
        hosts,
        version=options.version,
        router=options.router,
        seed=options.seed,
        discovery=has_discovery,
        params=kind(outbound_queue_size=queue_size),
        link=LinkModel(latency_s=(0.001, 0.1), jitter=0.1, bandwidth_bps=rng.choice((None, 20_000_000))),
        faults=FaultPlan.random(options.seed, hosts, _FAULTS_S),
        trace=True,
        make_driver=make_driver,
    )
    async with world:
        return await _Run(options, world, rng, has_discovery).play()


class _Run:
    """One run; observes connections and lost frames of the network (see LinkWatcher)."""

    def __init__(self, options: FaultRun, world: World, rng: random.Random, has_discovery: bool) -> None:
        self._options = options
        self._world = world
        self._rng = rng
        self._has_discovery = has_discovery
        self._numbers = {peer: number for number, peer in enumerate(world.peer_ids)}
        self._nodes: list[PubSub] = []  # of all lives
        self._topics: dict[int, Topic] = {}
        self._subscriptions: list[tuple[int, int, Subscription]] = []  # host, life
        self._authors: dict[bytes, int] = {}
        self._published: list[bytes] = []
        self._failures: list[BaseException] = []  # of users
        self._impaired: dict[tuple[int, int], None] = {}  # pairs that lost a hello or an announcement

    async def play(self) -> Evidence:
        """Play faults and recovery, and return the evidence."""
        world = self._world
        network = world.network
        assert isinstance(network, LinkedNetwork)
        network.watcher = self
        hosts = range(len(world.pubsubs))
        users = Lifetime("the users")
        users.on_failure = self._failures.append
        for number in hosts:
            users.start(self._stay(number), f"user {number}", is_work=False)
        try:
            if not self._has_discovery:
                await self._connect_all()
            await self._publish_amid_faults()
        finally:
            await users.close()
        raise_grouped("users", self._failures)
        last = await self._recover()
        for node in self._nodes:
            if node.failure is not None:
                raise node.failure
        return Evidence(
            router=self._options.router,
            peer_ids=world.peer_ids,
            trace=tuple(world.trace),  # a copy, without the end of the world
            authors=self._authors,
            published=self._published,
            last=last,
            lives=[
                Life(host, life, [await subscription.next() for _ in range(subscription.pending)])
                for host, life, subscription in self._subscriptions
            ],
        )

    # --- see LinkWatcher -----------------------------------------------------------------------------------------

    def connected(self, one: PeerId, other: PeerId) -> None:
        """Note a new connection."""
        self._world.note("connect", self._numbers[one], other)

    def disconnected(self, one: PeerId, other: PeerId) -> None:
        """Note the end of a connection."""
        self._world.note("disconnect", self._numbers[one], other)
        self._impaired.pop(self._pair(one, other), None)

    def lost(self, writer: PeerId, reader: PeerId, frame: bytes) -> None:
        """Note a lost frame."""
        if frame:
            self._world.note("lose_rpc", self._numbers[writer], reader, frame)
            if decode(frame).subscriptions:
                self._impaired[self._pair(writer, reader)] = None

    def _pair(self, one: PeerId, other: PeerId) -> tuple[int, int]:
        a, b = self._numbers[one], self._numbers[other]
        return min(a, b), max(a, b)

    async def _connect_all(self) -> None:
        """Connect every pair that is not separated by a fault."""
        hosts = range(len(self._world.pubsubs))
        async with asyncio.TaskGroup() as group:
            for b in hosts:
                for a in range(b):
                    group.create_task(self._connect(a, b))

    async def _connect(self, a: int, b: int) -> None:
        with suppress(DialError):
            await self._world.connect(a, b)

    # --- during the faults ---------------------------------------------------------------------------------------

    async def _stay(self, number: int) -> None:
        """Act as a host's user: subscribe in each of its lives."""
        node: PubSub | None = None
        life = 0
        while True:
            if node is self._world.pubsubs[number]:
                await self._world.when_restarted(number)
                life += 1
            node = self._world.pubsubs[number]
            self._nodes.append(node)
            with suppress(HostClosed):  # it crashed meanwhile
                topic = await node.join(_TOPIC)
                self._subscriptions.append((number, life, await topic.subscribe(buffer=_BUFFER)))
                self._topics[number] = topic

    async def _publish_amid_faults(self) -> None:
        rng, world = self._rng, self._world
        hosts = len(world.pubsubs)
        due = sorted((rng.uniform(0.5, _FAULTS_S), rng.randrange(hosts)) for _ in range(_MESSAGES))
        if rng.random() < 0.3:
            due += [(rng.uniform(0.5, _FAULTS_S), rng.randrange(hosts))] * _BURST
        for at_s, number in sorted(due):
            await world.clock.sleep(at_s - world.clock.now_ns() / 1e9)
            with suppress(HostClosed):  # it is down
                if number in self._topics:  # else its user has not joined yet
                    await self._publish(number)
        await world.clock.sleep(_FAULTS_S + 0.001 - world.clock.now_ns() / 1e9)
        await world.settle(_SETTLE_S)

    async def _publish(self, number: int, ready: int = 0) -> bytes:
        topic = self._topics[number]
        payload = b"message %d of host %d" % (len(self._authors), number)
        self._authors[payload] = number
        await topic.publish(payload, ready=min_topic_size(ready) if ready else None)
        self._published.append(payload)
        return payload

    # --- after the faults ----------------------------------------------------------------------------------------

    async def _recover(self) -> list[bytes]:
        """Let every host publish once it is ready, and again; return the payloads of the second round."""
        world = self._world
        if not self._has_discovery:
            await self._connect_all()
        for a, b in list(self._impaired):
            await world.disconnect(a, b)
            await world.connect(a, b)
        for _ in range(2):  # each host when ready; then again, as all are ready
            payloads = await self._publish_from_all()
            await world.clock.sleep(_REPAIR_S)
            await world.settle(_SETTLE_S)
        return payloads

    async def _publish_from_all(self) -> list[bytes]:
        try:
            async with asyncio.TaskGroup() as group:
                numbers = range(len(self._world.pubsubs))
                publishes = [group.create_task(self._publish_when_ready(number)) for number in numbers]
        except ExceptionGroup as group_of_errors:
            raise group_of_errors.exceptions[0] from None  # the others were cancelled, or are equal
        return [publish.result() for publish in publishes]

    async def _publish_when_ready(self, number: int) -> bytes:
        if number not in self._topics:
            raise ScenarioFailure("recovery", f"host {number} has not subscribed")
        try:
            async with asyncio.timeout(_READY_S):
                return await self._publish(number, _ENOUGH)
        except TimeoutError:
            raise ScenarioFailure("recovery", f"host {number} is not ready {_READY_S:g} s after the faults") from None
