"""The measured scenario: TestSimpleDiscovery of go-libp2p-pubsub, in named phases that each end when the world is quiet.

All hosts except the first subscribe and find each other through the rendezvous; the first joins and publishes once all are
ready; then random hosts publish, one message at a time, each delivered to every subscription before the next.

Differences from the original, which does not compare equal work: a barrier before the first message (every pair is
connected and every announcement has been seen); fixed waits are counted; every error is a failure.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from pubsub_sim.checks import check_bool, check_choice, check_whole
from pubsub_sim.errors import ScenarioFailure
from pubsub_sim.node.topic import Subscription, Topic, min_topic_size
from pubsub_sim.protocol.discovery import namespace_of
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.scenarios.versions import check_version, current_name
from pubsub_sim.world.routers import ROUTERS
from pubsub_sim.world.world import SIGNING, TRANSPORTS, World

TOPIC = "foobar"
PHASES = (
    "init",
    "subscribe",
    "ps1.Subscribe",
    "barrier",
    "first message",
    "verify first message",
    "rand msgs",
)
"""The phases with the original's names; "barrier" is additional."""

_REGISTRATION_POLL_S = 0.1  # the original's


@dataclass(frozen=True, kw_only=True)
class SimpleDiscovery:
    """One run.

    Attributes:
        version: version of the control flow.
        hosts: number of hosts; at least 2.
        messages: random messages in total, after the first; at least 1.
        router: "floodsub", "randomsub" or "gossipsub".
        transport: "memory", "tcp" or "libp2p".
        sign: "strict" or "none".
        seed: seed of keys, choices and the order of publishers.
        barrier: wait until all hosts are connected and announced before the first message; False is the original's
            procedure, which compares unequal work.

    Raises:
        OptionError: an invalid value.
    """

    version: str
    hosts: int
    messages: int
    router: str = "floodsub"
    transport: str = "memory"
    sign: str = "strict"
    seed: int = 1
    barrier: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", current_name(self.version))
        check_version(self.version)
        check_whole("hosts", self.hosts, at_least=2)
        check_whole("messages", self.messages, at_least=1)
        check_choice("router", self.router, ROUTERS)
        check_choice("transport", self.transport, TRANSPORTS)
        check_choice("sign", self.sign, SIGNING)
        check_whole("seed", self.seed, at_least=0)
        check_bool("barrier", self.barrier)


@dataclass(frozen=True)
class PhaseCounts:
    """The counts of a phase.

    Attributes:
        name: one of PHASES.
        rpcs: RPCs sent, excluding empty ones.
        fixed_waits: fixed waits on the critical path.
        fixed_wait_ns: their total length.
    """

    name: str
    rpcs: int
    fixed_waits: int
    fixed_wait_ns: int


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Attributes:
        phases: in order.
        connections: pairs of hosts connected at the end.
        deliveries: messages read from subscriptions.
    """

    phases: tuple[PhaseCounts, ...]
    connections: int
    deliveries: int


Observe = Callable[[str], AbstractContextManager[None]]
Pause = Callable[[], None]
MakeWorld = Callable[..., World]
"""Creates a world from the arguments of `World`."""


def go_on() -> None:
    """Do not pause."""


async def simple_discovery(
    options: SimpleDiscovery, phase: Observe, pause: Pause = go_on, make_world: MakeWorld = World
) -> Outcome:
    """Play the scenario once.

    Args:
        options: the options.
        phase: entered with its name around each phase, in the order of PHASES.
        pause: called after each random message; may block for a while.
        make_world: factory of the world with the arguments of `World`, e.g. a recorded one.

    Raises:
        ScenarioFailure: a wrong payload, a missing registration or connection, a missing or duplicate message.
    """
    counts: list[PhaseCounts] = []
    rng = random.Random(f"{options.seed}/publishers")
    world = make_world(
        options.hosts,
        version=options.version,
        router=options.router,
        seed=options.seed,
        transport=options.transport,
        sign=options.sign,
    )

    @contextmanager
    def counted(name: str) -> Iterator[None]:
        rpcs = world.network.frames if counts else 0
        waits, waited_ns = (world.clock.waits, world.clock.waited_ns) if counts else (0, 0)
        with phase(name):
            yield
        counts.append(
            PhaseCounts(
                name,
                world.network.frames - rpcs,
                world.clock.waits - waits,
                world.clock.waited_ns - waited_ns,
            )
        )

    try:
        with counted("init"):
            await world.__aenter__()
            topics = [await pubsub.join(TOPIC) for pubsub in world.pubsubs]
            await world.settle()
        with counted("subscribe"):
            subscriptions = [await topic.subscribe() for topic in topics[1:]]
            await _wait_until_registered(world)
            await world.settle()
        with counted("ps1.Subscribe"):
            subscriptions.insert(0, await topics[0].subscribe())
            await world.settle()
        with counted("barrier"):
            if options.barrier:
                await meet(world)
        with counted("first message"):
            await topics[0].publish(b"first message", ready=min_topic_size(_first_peers(options)))
            await world.settle()
        with counted("verify first message"):
            await _expect(subscriptions, b"first message", "verify first message")
        with counted("rand msgs"):
            await _flood(topics, subscriptions, rng, options.messages, pause)
            await world.settle()
        connections = world.network.connections
        _check_end(options, subscriptions, connections)
        return Outcome(tuple(counts), connections, (options.messages + 1) * options.hosts)
    finally:
        await world.__aexit__(None, None, None)


def _first_peers(options: SimpleDiscovery) -> int:
    """Return the number of peers the first message waits for: all, or a filled mesh, which never contains all."""
    others = options.hosts - 1
    return min(others, GossipsubParams().d_lo) if options.router == "gossipsub" else others


async def _wait_until_registered(world: World) -> None:
    """Poll the server every 100 ms like the original, but bounded by the run's time limit."""
    assert world.rendezvous is not None
    expected = [pubsub.peer_id for pubsub in world.pubsubs[1:]]
    while len(world.rendezvous.registered(namespace_of(TOPIC))) < len(expected):
        await world.clock.wait(_REGISTRATION_POLL_S)
    registered = world.rendezvous.registered(namespace_of(TOPIC))
    missing = [number for number, peer in enumerate(expected, start=1) if peer not in registered]
    if missing:
        raise ScenarioFailure("subscribe", f"the server did not register hosts {missing}")


async def meet(world: World) -> None:
    """Connect all hosts with each other, and check that each has heard all announcements.

    Raises:
        ScenarioFailure: a host has not.
    """
    await world.connect_all()
    await world.settle()
    expected = len(world.pubsubs) - 1
    for number, pubsub in enumerate(world.pubsubs):
        seen = len(await pubsub.list_peers(TOPIC))
        if seen != expected:
            raise ScenarioFailure("barrier", f"host {number} has seen {seen} of {expected} announcements")


async def _flood(
    topics: Sequence[Topic], subscriptions: Sequence[Subscription], rng: random.Random, n: int, pause: Pause
) -> None:
    ready = min_topic_size(1)
    for i in range(n):
        payload = b"%d the flooooooood %d" % (i, i)
        await topics[rng.randrange(len(topics))].publish(payload, ready=ready)
        await _expect(subscriptions, payload, "rand msgs")
        pause()


async def _expect(subscriptions: Sequence[Subscription], payload: bytes, phase: str) -> None:
    for number, subscription in enumerate(subscriptions):
        message = await subscription.next()
        if message.data != payload:
            raise ScenarioFailure(phase, f"host {number} expected {payload!r}, got {message.data!r}")


def _check_end(options: SimpleDiscovery, subscriptions: Sequence[Subscription], connections: int) -> None:
    extra = [number for number, subscription in enumerate(subscriptions) if subscription.pending]
    if extra:
        raise ScenarioFailure("rand msgs", f"hosts {extra} were delivered more messages than were published")
    expected = options.hosts * (options.hosts - 1) // 2
    if options.barrier and connections != expected:
        raise ScenarioFailure("rand msgs", f"expected {expected} connections, got {connections}")
