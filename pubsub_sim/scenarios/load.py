"""The scenario under load: hosts in one topic, and publishers that do not wait until one message is everywhere.

There are two kinds of load, as in the literature on queues (Schroeder, Wierman and Harchol-Balter, "Open versus closed: a
cautionary tale", NSDI 2006):

- *Open loop*: messages are due at random moments of a Poisson process, whatever the hosts do. Latency counts from the moment when
  a message was due, not from when it could be sent. A generator that waits for slow hosts sends less just when they are slow,
  and leaves these messages out of its latencies: coordinated omission (Gil Tene, "How NOT to measure latency", 2013; his wrk2 counts
  from the scheduled time as well).
- *Closed loop*: each publisher has a fixed number of messages in flight, and sends the next when one has reached every
  subscriber. That finds the throughput at saturation. Its latencies say nothing about an open system, as the load follows
  the hosts.

All hosts are connected and subscribed before the load begins. Every delivery is accounted for: each subscriber reads each message
exactly once, or there is a full queue that lost it. Hosts have the limits of the reference on their queues.
"""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.checks import check_choice, check_number, check_seconds, check_whole
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.scenarios.load_hosts import LowerBoundHosts, PubsubHosts
from pubsub_sim.scenarios.load_ledger import NUMBER_BYTES, Ledger, Window
from pubsub_sim.scenarios.versions import LOWER_BOUND, check_version
from pubsub_sim.world.world import SIGNING, TRANSPORTS, World

if TYPE_CHECKING:
    from pubsub_sim.net.clock import LoopClock
    from pubsub_sim.scenarios.load_hosts import Drops, Hosts
    from pubsub_sim.scenarios.simple_discovery import MakeWorld

PHASES = ("connect", "warm-up", "load", "drain")

LOSS_NS = 1_000_000_000
"""A closed loop no longer waits for a message that is not everywhere after this time."""

_ROUTERS = ("floodsub", "gossipsub")  # of randomsub even an idle network misses some subscribers
_LONGEST_S = 60.0  # hosts remember messages for 120 s, and are asked for them at the end
_LARGEST_PAYLOAD = 1_000_000  # an RPC holds 1 MiB
_SPIN_NS = 2_000_000  # timers of event loops are exact to a millisecond; the rest is waited for turn by turn


@dataclass(frozen=True, kw_only=True)
class Load:
    """One run.

    Attributes:
        version: version of the control flow.
        hosts: number of hosts; all subscribe. At least 2.
        rate: messages a second of all publishers together, which makes the loop open; 0 for a closed loop.
        in_flight: messages that each publisher has in flight, which makes the loop closed; 0 for an open loop.
        publishers: how many hosts publish, from the first on; 0 for all.
        payload_bytes: length of a payload.
        warmup_s: time under load before the measurement.
        duration_s: time that is measured.
        router: "floodsub" or "gossipsub".
        transport: "memory", "tcp" or "libp2p".
        sign: "strict" or "none".
        seed: seed of keys and of the moments at which messages are due.

    Raises:
        OptionError: an invalid value.
        OptionConflict: an open loop that is closed too; more publishers than hosts; a router or a transport that the lower
            bound does not have.
    """

    version: str
    hosts: int = 5
    rate: float = 0.0
    in_flight: int = 0
    publishers: int = 0
    payload_bytes: int = 32
    warmup_s: float = 0.25
    duration_s: float = 1.0
    router: str = "floodsub"
    transport: str = "memory"
    sign: str = "strict"
    seed: int = 1

    def __post_init__(self) -> None:
        check_version(self.version)
        check_whole("hosts", self.hosts, at_least=2)
        check_number("rate", self.rate, at_least=0)
        check_whole("in_flight", self.in_flight, at_least=0)
        check_whole("publishers", self.publishers, at_least=0)
        check_whole("payload_bytes", self.payload_bytes, at_least=NUMBER_BYTES, at_most=_LARGEST_PAYLOAD)
        check_number("warmup_s", self.warmup_s, at_least=0, at_most=_LONGEST_S)
        check_seconds("duration_s", self.duration_s)
        check_number("duration_s", self.duration_s, at_least=0, at_most=_LONGEST_S)
        check_choice("router", self.router, _ROUTERS)
        check_choice("transport", self.transport, TRANSPORTS)
        check_choice("sign", self.sign, SIGNING)
        check_whole("seed", self.seed, at_least=0)
        self._check_together()

    def _check_together(self) -> None:
        if self.rate and self.in_flight:
            raise OptionConflict("in_flight", self.in_flight, "rate", self.rate, "a loop is either open or closed")
        if not self.rate and not self.in_flight:
            raise OptionError("rate", self.rate, "a rate above 0, or messages in flight (in_flight)")
        if self.publishers > self.hosts:
            raise OptionConflict("publishers", self.publishers, "hosts", self.hosts, "publishers are hosts")
        if self.version == LOWER_BOUND:
            for option, value, others in (
                ("router", self.router, ("gossipsub",)),
                ("transport", self.transport, ("libp2p",)),
            ):
                if value in others:
                    raise OptionConflict(option, value, "version", LOWER_BOUND, "it only floods, in memory or over TCP")

    @property
    def publishing(self) -> int:
        """How many hosts publish."""
        return self.publishers or self.hosts


@dataclass(frozen=True)
class LoadOutcome:
    """The result of a run.

    Attributes:
        sent: messages sent from the beginning to the end, all of them accepted by their hosts.
        delivered: deliveries of them, each once to each host.
        drops: the deliveries that were owed and not made, by reason.
        given_up: messages that a closed loop no longer waited for.
        window_ns: length of the measurement.
        offered_by: messages of each publisher that were due in the measurement.
        completed_by: messages of each publisher that reached their last subscriber in the measurement.
        latencies_ns: from when a message of the measurement was due to each delivery at another host, in ascending order.
        longest_queue: most messages that waited in one subscription.
        longest_backlog: most messages at a time that were due and not yet accepted by their hosts.
        most_in_flight: most messages at a time that were due and not yet delivered to all.
    """

    sent: int
    delivered: int
    drops: Drops
    given_up: int
    window_ns: int
    offered_by: tuple[int, ...]
    completed_by: tuple[int, ...]
    latencies_ns: array[int]
    longest_queue: int
    longest_backlog: int
    most_in_flight: int


async def load(
    options: Load, phase: Callable[[str], AbstractContextManager[None]], make_world: MakeWorld = World
) -> LoadOutcome:
    """Play the scenario once.

    Args:
        options: the options.
        phase: entered with its name around each phase, in the order of PHASES.
        make_world: factory of the world with the arguments of `World`; the lower bound has none.

    Raises:
        ScenarioFailure: a missing connection; a message that was read twice, or that nobody sent; a delivery that is missing
            although no queue was full.
        OptionConflict: a closed loop on the virtual clock whose links take no time; sockets on the virtual clock.
    """
    hosts: Hosts = LowerBoundHosts(options) if options.version == LOWER_BOUND else PubsubHosts(options, make_world)
    try:
        with phase("connect"):
            await hosts.open()
        return await _measure(options, hosts, phase)
    except ExceptionGroup as errors:
        raise _first_of(errors) from errors
    finally:
        await hosts.close()


async def _measure(options: Load, hosts: Hosts, phase: Callable[[str], AbstractContextManager[None]]) -> LoadOutcome:
    clock = hosts.clock
    ledger = Ledger(options.hosts, options.publishing, options.payload_bytes, clock.now_ns)
    begin_ns = clock.now_ns()
    measured_ns = begin_ns + round(options.warmup_s * 1e9)
    window = Window(measured_ns, measured_ns + round(options.duration_s * 1e9))
    send = (
        _send_open(options, hosts, ledger, begin_ns, window)
        if options.rate
        else _send_closed(options, hosts, ledger, window)
    )
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(hosts.read(host, ledger.delivered)) for host in range(options.hosts)]
        sending = group.create_task(send)
        with phase("warm-up"):
            await _sleep_until(clock, window.begin_ns)
        with phase("load"):
            await _sleep_until(clock, window.end_ns)
        with phase("drain"):
            await sending
            await hosts.settle()
        for reader in readers:
            reader.cancel()
    return _close_accounts(options, hosts.count_drops(ledger), ledger, window)


def _close_accounts(options: Load, drops: Drops, ledger: Ledger, window: Window) -> LoadOutcome:
    return LoadOutcome(
        sent=ledger.sent,
        delivered=ledger.sent * options.hosts - drops.subscription - drops.on_the_way,
        drops=drops,
        given_up=ledger.given_up,
        window_ns=window.end_ns - window.begin_ns,
        offered_by=ledger.offered_by(window),
        completed_by=ledger.completed_by(window),
        latencies_ns=ledger.latencies_ns(window),
        longest_queue=ledger.longest_queue,
        longest_backlog=ledger.longest_backlog(),
        most_in_flight=ledger.most_in_flight(),
    )


# --- open loop ---------------------------------------------------------------------------------------------------


async def _send_open(options: Load, hosts: Hosts, ledger: Ledger, begin_ns: int, window: Window) -> None:
    """Send on schedule: the one process of all publishers, in which each message is of one of them at random."""
    queues: list[asyncio.Queue[int | None]] = [asyncio.Queue() for _ in range(options.publishing)]
    publishers = (_publish_due(hosts, ledger, number, queue) for number, queue in enumerate(queues))
    await _run_all([_keep_schedule(options, hosts.clock, ledger, queues, begin_ns, window), *publishers])


async def _keep_schedule(
    options: Load,
    clock: LoopClock,
    ledger: Ledger,
    queues: list[asyncio.Queue[int | None]],
    begin_ns: int,
    window: Window,
) -> None:
    """Hand over each message when it is due; a publisher that is late has the others in its queue."""
    rng = random.Random(f"{options.seed}/schedule")
    due_ns = begin_ns
    while (due_ns := due_ns + round(rng.expovariate(options.rate) * 1e9)) < window.end_ns:
        publisher = rng.randrange(len(queues))
        while (left_ns := due_ns - clock.now_ns()) > 0:
            if clock.kind == "virtual":
                await clock.sleep(left_ns / 1e9)
            else:
                await asyncio.sleep((left_ns - _SPIN_NS) / 1e9 if left_ns > _SPIN_NS else 0)
        queues[publisher].put_nowait(ledger.begin(publisher, due_ns))
    for queue in queues:
        queue.put_nowait(None)


async def _publish_due(hosts: Hosts, ledger: Ledger, publisher: int, queue: asyncio.Queue[int | None]) -> None:
    while (number := await queue.get()) is not None:
        ledger.accepted(number, await hosts.publish(publisher, ledger.payload(number)))


# --- closed loop -------------------------------------------------------------------------------------------------


async def _send_closed(options: Load, hosts: Hosts, ledger: Ledger, window: Window) -> None:
    """Keep so many messages of each publisher in flight until the end of the measurement."""
    slots = [
        _publish_in_turn(hosts, ledger, publisher, window)
        for _ in range(options.in_flight)
        for publisher in range(options.publishing)
    ]
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(_give_up_late(hosts.clock, ledger))
        await _run_all(slots)
        watch.cancel()


async def _publish_in_turn(hosts: Hosts, ledger: Ledger, publisher: int, window: Window) -> None:
    now_ns = hosts.clock.now_ns
    while (due_ns := now_ns()) < window.end_ns:
        number = ledger.begin(publisher, due_ns)
        is_everywhere = ledger.expect(number)
        ledger.accepted(number, await hosts.publish(publisher, ledger.payload(number)))
        await is_everywhere


async def _give_up_late(clock: LoopClock, ledger: Ledger) -> None:
    while True:
        await clock.sleep(LOSS_NS / 4e9)
        ledger.give_up(clock.now_ns() - LOSS_NS)


# --- both --------------------------------------------------------------------------------------------------------


async def _run_all(flows: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for flow in flows:
            group.create_task(flow)


async def _sleep_until(clock: LoopClock, time_ns: int) -> None:
    left_ns = time_ns - clock.now_ns()
    if left_ns > 0:
        await clock.sleep(left_ns / 1e9)


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group that is no group."""
    error = errors.exceptions[0]
    return _first_of(error) if isinstance(error, BaseExceptionGroup) else error
