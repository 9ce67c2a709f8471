"""A seeded run with random faults on the virtual clock, and the verdict on it.

Hosts subscribe to one topic and publish while links lose and delay frames, partitions come and heal, hosts crash, come
back and stop reading. Then the faults end. Every host publishes as soon as it is ready, and again once all were
ready; the later messages have to reach everybody. Of gossipsub no more is asked: a message published while a host's
first GRAFTs are on their way is too late for its peers' meshes and, as they do not gossip to members, too early for
their next IHAVE.

After the faults two things are made good from outside, because no node does it: without discovery every pair is
connected again; and pairs whose connection lost a hello or an announcement to a fault are connected anew, as neither
is ever sent again. Everything else has to come back by itself.
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
"""Those the oracle has rules for."""

KINDS = ("network", "users")
"""What fails: links and hosts; or the code and the patience of users (see `user_fault_runs`)."""

_TOPIC = "faults"
_FAULTS_S = 12.0  # all faults begin and end within it
_MESSAGES = 24  # published meanwhile
_BURST = 40  # more of them at one instant in some runs: a stream's window and more
_READY_S = 120.0  # dials of discovered peers back off for up to 10, 10, 25 and 125 s
_REPAIR_S = 5.0  # of gossip: the heartbeats a message is kept
_SETTLE_S = 30.0  # longest time to rest, once no fault is left
_HORIZON_S = 3600.0
_ENOUGH = 5  # peers of a ready host: with at most ten hosts, then all are in one component
_BUFFER = 1000  # more than there are messages


@dataclass(frozen=True, kw_only=True)
class FaultRun:
    """One run.

    Attributes:
        version: which control flow.
        router: "floodsub" or "gossipsub".
        seed: of the plan of faults, the world, its size and everything else.
        kind: "network" or "users": what fails.

    Raises:
        OptionError: a value that cannot be; names it.
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
    """Play one run and judge it.

    Args:
        options: which.
        make_driver: makes each host's control flow, instead of the version's own factory.

    Returns:
        What went wrong, as sentences: broken promises (see `fault_oracle`), the error that ended the run (a stuck
        program, a world that never rests, a failure of a host), errors nobody took up. Empty if all is well.
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
    gc.collect()  # a task's error that nobody took up is told of when the task is forgotten
    return [*broken, *unhandled]


async def _play(
    options: FaultRun, make_driver: Callable[[HostContext], Driver] | None, unhandled: list[str]
) -> Evidence:
    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unhandled.append(f"nobody took up {context.get('exception')!r}: {context['message']}")

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
    """One run under way; told by the network of connections and lost frames (see LinkWatcher)."""

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
        """Faults, recovery, evidence."""
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
            trace=tuple(world.trace),  # as it is now: the end of the world is no part of it
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
        """A connection is up."""
        self._world.note("connect", self._numbers[one], other)

    def disconnected(self, one: PeerId, other: PeerId) -> None:
        """A connection was cut."""
        self._world.note("disconnect", self._numbers[one], other)
        self._impaired.pop(self._pair(one, other), None)

    def lost(self, writer: PeerId, reader: PeerId, frame: bytes) -> None:
        """A frame was lost."""
        if frame:
            self._world.note("lose_rpc", self._numbers[writer], reader, frame)
            if decode(frame).subscriptions:
                self._impaired[self._pair(writer, reader)] = None

    def _pair(self, one: PeerId, other: PeerId) -> tuple[int, int]:
        a, b = self._numbers[one], self._numbers[other]
        return min(a, b), max(a, b)

    async def _connect_all(self) -> None:
        """Have every pair connected that no fault keeps apart."""
        hosts = range(len(self._world.pubsubs))
        async with asyncio.TaskGroup() as group:
            for b in hosts:
                for a in range(b):
                    group.create_task(self._connect(a, b))

    async def _connect(self, a: int, b: int) -> None:
        with suppress(DialError):
            await self._world.connect(a, b)

    # --- while faults happen -------------------------------------------------------------------------------------

    async def _stay(self, number: int) -> None:
        """Be a host's user: subscribe in each of its lives."""
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
                if number in self._topics:  # else its user is not there yet
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
        """Every host publishes once it is ready, and again; returns the payloads of the second time."""
        world = self._world
        if not self._has_discovery:
            await self._connect_all()
        for a, b in list(self._impaired):
            await world.disconnect(a, b)
            await world.connect(a, b)
        for _ in range(2):  # once all are ready; and again, now that they are
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
            raise group_of_errors.exceptions[0] from None  # the others were cancelled, or say the same
        return [publish.result() for publish in publishes]

    async def _publish_when_ready(self, number: int) -> bytes:
        if number not in self._topics:
            raise ScenarioFailure("recovery", f"host {number} has not subscribed")
        try:
            async with asyncio.timeout(_READY_S):
                return await self._publish(number, _ENOUGH)
        except TimeoutError:
            raise ScenarioFailure("recovery", f"host {number} is not ready {_READY_S:g} s after the faults") from None
