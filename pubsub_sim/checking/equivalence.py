"""Equivalence cases: the same seeded plan is played in two versions, and the results are compared.

Compared are the messages each subscription received, and the canonical trace: every RPC sent and received, every delivery,
mesh change, refusal and drop, with its nanosecond of virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pubsub_sim.checking.canonical import canonical, in_words, parting
from pubsub_sim.checking.seeded import BEGIN_S, LENGTH_S, REST_S, TOPICS, Case, Plan, Step, plan_of
from pubsub_sim.errors import DialError, HostClosed, MessageRejected, ScenarioFailure
from pubsub_sim.net.linked import LinkedNetwork
from pubsub_sim.node.lifetime import Lifetime, raise_grouped
from pubsub_sim.node.topic import Subscription, Topic, min_topic_size
from pubsub_sim.protocol.validation import Verdict
from pubsub_sim.world.running import run
from pubsub_sim.world.trace import TraceEvent, digest
from pubsub_sim.world.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Driver, HostContext
    from pubsub_sim.wire.message import Message

_S = 1_000_000_000


class Reader(NamedTuple):
    """A subscription of a run.

    Attributes:
        host: its host.
        topic: its topic.
        number: number among the host's subscriptions to the topic, in all its lives, from 0.
    """

    host: int
    topic: str
    number: int


@dataclass(frozen=True)
class Played:
    """The result of playing a case in one version.

    Attributes:
        given: the ids of the messages received by each subscription, sorted.
        trace: the canonical trace.
        peer_ids: the peer ids of the hosts, by number.
    """

    given: Mapping[Reader, tuple[bytes, ...]]
    trace: Sequence[TraceEvent]
    peer_ids: Sequence[PeerId]

    @property
    def digest(self) -> str:
        """Hash of the trace: equal for equal traces, on every machine."""
        return digest(self.trace)


def play(case: Case, version: str, make_driver: Callable[[HostContext], Driver] | None = None) -> Played:
    """Play a case in one version, on the virtual clock.

    Args:
        case: the case.
        version: version of the control flow.
        make_driver: factory of the drivers, instead of the version's own.

    Raises:
        ScenarioFailure: hosts do not know their neighbours at the start of the plan.
        OptionError: there is no such version.
    """
    return run(_play(case, plan_of(case), version, make_driver), clock="virtual", seed=case.seed)


def difference(versions: tuple[str, str], one: Played, other: Played) -> str:
    """Return the differences of two runs of a case as text; "" if there are none.

    Args:
        versions: their names.
        one: the run of the first version.
        other: the run of the second version.
    """
    lines = [*_unequal_readers(versions, one, other), *_unequal_traces(versions, one, other)]
    return "\n".join(lines)


def _unequal_readers(versions: tuple[str, str], one: Played, other: Played) -> list[str]:
    readers = [*one.given, *(reader for reader in other.given if reader not in one.given)]
    unequal = [reader for reader in readers if one.given.get(reader) != other.given.get(reader)]
    if not unequal:
        return []
    first = unequal[0]
    counts = (f"{version} {_count(run.given.get(first))}" for version, run in zip(versions, (one, other), strict=True))
    which = f"number {first.number} of host {first.host} to {first.topic!r} ({', '.join(counts)})"
    return [
        f"{len(unequal)} of {len(readers)} subscriptions were not given the same messages, the first of them: {which}"
    ]


def _count(given: tuple[bytes, ...] | None) -> str:
    return "has no such subscription" if given is None else f"gave {len(given)}"


def _unequal_traces(versions: tuple[str, str], one: Played, other: Played) -> list[str]:
    found = parting(one.trace, other.trace)
    if found is None:
        return []
    numbers: dict[bytes, int] = {peer: number for number, peer in enumerate(one.peer_ids)}
    lines = [f"the traces part at host {found.host}, {found.time_ns / 1e9:+.9f} s from the first publish"]
    lines += [f"  both      {in_words(event, numbers)}" for event in found.before]
    for version, events in zip(versions, found.after, strict=True):
        shown = [in_words(event, numbers) for event in events] or ["nothing more"]
        lines += [f"  {version:<10}{words}" for words in shown]
    return lines


# --- playing ---------------------------------------------------------------------------------------------------------


async def _play(case: Case, plan: Plan, version: str, make_driver: Callable[[HostContext], Driver] | None) -> Played:
    async with World(
        plan.hosts,
        version=version,
        router=case.router,
        seed=case.seed,
        params=plan.params,
        sign=plan.sign,
        discovery=not plan.edges,
        link=plan.link,
        faults=plan.faults,
        trace=True,
        make_driver=make_driver,
    ) as world:
        stage = _Stage(world, plan)
        await stage.set_up()
        await _until(world, round(BEGIN_S * _S))
        await stage.check_neighbours()
        begin_ns = world.clock.now_ns()
        await stage.play()
        await _until(world, begin_ns + round((LENGTH_S + REST_S) * _S))
        await stage.end()
        return Played(await stage.given(), canonical(world.trace, begin_ns), world.peer_ids)


async def _until(world: World, time_ns: int) -> None:
    await world.clock.sleep((time_ns - world.clock.now_ns()) / _S)


class _Stage:
    """The player of one plan in one world."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._topics: list[dict[str, Topic]] = [{} for _ in range(plan.hosts)]
        self._current: dict[tuple[int, str], Subscription | Callable[[], Awaitable[None]]] = {}
        self._subscriptions: dict[Reader, Subscription] = {}
        self._failures: list[BaseException] = []
        self._steps = Lifetime("the plan")
        self._steps.on_failure = self._failures.append

    async def set_up(self) -> None:
        """Let hosts join, subscribe and connect."""
        for host in range(self._plan.hosts):
            await self._move_in(host)
            self._spawn(self._come_back(host))
        async with asyncio.TaskGroup() as group:
            for a, b in self._plan.edges:
                group.create_task(self._world.connect(a, b))

    async def check_neighbours(self) -> None:
        """Raise ScenarioFailure unless each host knows the subscriptions of all its neighbours."""
        network, interests = self._world.network, self._plan.interests
        assert isinstance(network, LinkedNetwork)
        for host, pubsub in enumerate(self._world.pubsubs):
            neighbours = network.neighbours(host)
            for topic in TOPICS:
                expected = {self._world.peer_ids[number] for number in neighbours if topic in interests[number]}
                seen = set(await pubsub.list_peers(topic))
                if not neighbours or seen != expected:
                    raise ScenarioFailure(
                        "barrier",
                        f"host {host} knows {len(seen)} of {len(expected)} hosts in {topic!r}, "
                        f"of {len(neighbours)} neighbours",
                    )

    async def play(self) -> None:
        """Start all steps, each at its time, without waiting for earlier ones."""
        begin_ns = self._world.clock.now_ns()
        for step in self._plan.steps:
            if self._world.clock.now_ns() < begin_ns + step.at_ns:
                await _until(self._world, begin_ns + step.at_ns)
            self._spawn(self._take(step))

    async def end(self) -> None:
        """Cancel pending steps, e.g. those waiting for peers; raise the errors of steps."""
        await self._steps.close()
        raise_grouped("steps of the plan", self._failures)

    async def given(self) -> dict[Reader, tuple[bytes, ...]]:
        """Return the contents of every subscription's buffer at the end or when its host crashed."""
        return {
            reader: tuple(sorted([(await subscription.next()).id for _ in range(subscription.pending)]))
            for reader, subscription in self._subscriptions.items()
        }

    def _spawn(self, flow: Coroutine[Any, Any, None]) -> None:
        self._steps.start(flow, "step of the plan", is_work=False)

    async def _move_in(self, host: int) -> None:
        """Take the first steps of a host's life."""
        pubsub = self._world.pubsubs[host]
        self._topics[host] = {topic: await pubsub.join(topic) for topic in TOPICS}
        if host in self._plan.judges:
            await pubsub.register_validator("judged", self._judge)
        for topic, buffer in self._plan.interests[host].items():
            if buffer is None:
                self._current[host, topic] = await self._topics[host][topic].relay()
            else:
                await self._subscribe(host, topic, buffer)

    async def _come_back(self, host: int) -> None:
        while True:
            await self._world.when_restarted(host)
            await self._move_in(host)

    async def _judge(self, peer: PeerId, message: Message) -> Verdict:
        """Validate a message with a delay of milliseconds; refuse some."""
        mark = message.data[-1]
        await self._world.clock.sleep(0.001 * (1 + mark % 50))
        return {0: Verdict.REJECT, 1: Verdict.IGNORE}.get(mark % 8, Verdict.ACCEPT)

    # --- steps -------------------------------------------------------------------------------------------------------

    async def _take(self, step: Step) -> None:
        """Take one step; hosts that are down or unreachable are expected."""
        try:
            if step.action in ("connect", "disconnect"):
                await getattr(self._world, step.action)(step.host, step.peer)
            elif step.action == "subscribe":
                await self._subscribe(step.host, step.topic, 64)
            elif step.action == "unsubscribe":
                await self._unsubscribe(step.host, step.topic)
            else:
                ready = min_topic_size(1) if step.action == "publish when ready" else None
                await self._topics[step.host][step.topic].publish(step.data, ready=ready)
        except (HostClosed, DialError, MessageRejected):
            pass

    async def _subscribe(self, host: int, topic: str, buffer: int) -> None:
        subscription = await self._topics[host][topic].subscribe(buffer)
        number = sum(reader[:2] == (host, topic) for reader in self._subscriptions)
        self._current[host, topic] = self._subscriptions[Reader(host, topic, number)] = subscription

    async def _unsubscribe(self, host: int, topic: str) -> None:
        current = self._current.pop((host, topic), None)
        if isinstance(current, Subscription):
            await current.cancel()
        elif current is not None:
            await current()
