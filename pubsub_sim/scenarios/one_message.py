"""A recorded run of one message, from its publisher to all other hosts, in each version.

All hosts are connected and subscribe. The first publishes once, optionally after waiting until the topic is ready. The
record has, in one order, the common steps (RPCs, deliveries) and the steps of each version (operations of the loop, mutations
of the machines).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from pubsub_sim.checks import check_bool, check_choice, check_whole
from pubsub_sim.drivers.versions import check_version, driver_factory, driver_tracer
from pubsub_sim.errors import ScenarioFailure
from pubsub_sim.node.topic import min_topic_size
from pubsub_sim.parameters import Parameters
from pubsub_sim.world.running import run
from pubsub_sim.world.trace import TraceEvent, rpc_in_words
from pubsub_sim.world.world import SIGNING, World

if TYPE_CHECKING:
    from pubsub_sim.node.driver import Driver, HostContext
    from pubsub_sim.scenarios.simple_discovery import MakeWorld, Observe

TOPIC = "news"
DATA = b"hello"
PHASES = ("subscribe", "connect", "publish")
Kind = Literal["call", "control", "rpc", "delivery"]
Note = Callable[[int, Kind, str], None]


def say_nothing(host: int, kind: Kind, text: str) -> None:
    """Ignore a step."""


@dataclass(frozen=True, kw_only=True)
class OneMessage(Parameters):
    """One message in one version.

    Attributes:
        version: version of the control flow.
        hosts: number of hosts; at least 2.
        ready: publish only once all other hosts are known to subscribe.
        sign: "strict" or "none".
        seed: seed of keys and sequence numbers.

    Raises:
        OptionError: an invalid value.
    """

    version: str
    hosts: int = 3
    ready: bool = True
    sign: str = "strict"
    seed: int = 1

    def __post_init__(self) -> None:
        check_version(self.version)
        check_whole("hosts", self.hosts, at_least=2)
        check_bool("ready", self.ready)
        check_choice("sign", self.sign, SIGNING)
        check_whole("seed", self.seed, at_least=0)


class Step(NamedTuple):
    """One step.

    Attributes:
        host: its host.
        kind: "call" (of the user), "control" (of the version's own flow), "rpc" or "delivery".
        text: its description.
        label: a short description for diagrams; empty for steps excluded from diagrams.
        to: the receiver of an RPC; None for other steps.
    """

    host: int
    kind: Kind
    text: str
    label: str = ""
    to: int | None = None

    @property
    def is_shared(self) -> bool:
        """Whether the step is common to all versions."""
        return self.kind != "control"


class Moment(NamedTuple):
    """A common step, with the preceding steps of each version.

    Attributes:
        shared: the call, RPC or delivery; None after the last one.
        own: for each version, the steps of its control flow, in order.
    """

    shared: Step | None
    own: tuple[tuple[str, ...], ...]


def one_message(options: OneMessage) -> list[Step]:
    """Run it on the virtual clock and return every step from the call of `publish` to the last delivery."""
    log = _Log()

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        if name == "publish":
            log.begin()
        yield

    def followed(hosts: int, **arguments: Any) -> World:
        world = World(hosts, **arguments, trace=True, make_driver=_traced(options.version, log))
        log.trace, log.peer_ids = world.trace, world.peer_ids
        return world

    run(publish_one_message(options, phase, followed, log.note), clock="virtual", seed=options.seed)
    return log.merged()


async def publish_one_message(
    options: OneMessage, phase: Observe, make_world: MakeWorld = World, note: Note = say_nothing
) -> int:
    """Play the scenario once, on the running loop.

    Args:
        options: the options.
        phase: entered with its name around each phase, in the order of PHASES.
        make_world: factory of the world with the arguments of `World`, e.g. a recorded one.
        note: called for the user's calls from `publish` on, with host, "call" and description.

    Returns:
        Messages read from subscriptions.

    Raises:
        ScenarioFailure: a subscription returned a wrong message.
    """
    async with make_world(options.hosts, version=options.version, sign=options.sign, seed=options.seed) as world:
        with phase("subscribe"):
            topics = [await node.join(TOPIC) for node in world.pubsubs]
            subscriptions = [await topic.subscribe() for topic in topics]
            await world.settle()
        with phase("connect"):
            await world.connect_all()
            await world.settle()
        with phase("publish"):
            others = options.hosts - 1
            note(0, "call", f"topic.publish({DATA!r}{f', ready=min_topic_size({others})' if options.ready else ''})")
            await topics[0].publish(DATA, ready=min_topic_size(others) if options.ready else None)
            note(0, "call", "publish returns")
            for host, subscription in enumerate(subscriptions):
                message = await subscription.next()
                if message.data != DATA:
                    raise ScenarioFailure("publish", f"host {host} expected {DATA!r}, got {message.data!r}")
                note(host, "call", f"subscription.next() gives {message.data!r}")
            await world.settle()
        return len(subscriptions)


class _Log:
    """Notes interleaved with a world's events: each stores the number of preceding events."""

    def __init__(self) -> None:
        self.trace: list[TraceEvent] = []
        self.peer_ids: Sequence[bytes] = ()
        self._notes: list[tuple[int, Step]] = []
        self._begin = 0

    def begin(self) -> None:
        """Discard the steps so far."""
        self._begin = len(self.trace)
        self._notes.clear()

    def note(self, host: int, kind: Kind, text: str) -> None:
        label = text.partition("(")[0] if kind == "call" else ""
        self._notes.append((len(self.trace), Step(host, kind, text, label)))

    def merged(self) -> list[Step]:
        """Return all steps in order."""
        numbers = {peer: number for number, peer in enumerate(self.peer_ids)}
        steps = []
        position = self._begin
        for until, note in [*self._notes, (len(self.trace), None)]:
            steps += [step for event in self.trace[position:until] if (step := _step_of(event, numbers))]
            steps += [note] if note else []
            position = until
        return steps


def _traced(version: str, log: _Log) -> Callable[[HostContext], Driver]:
    make, trace = driver_factory(version), driver_tracer(version)

    def make_traced(context: HostContext) -> Driver:
        driver = make(context)
        trace(driver, lambda text: log.note(context.number, "control", text))
        return driver

    return make_traced


def _step_of(event: TraceEvent, numbers: Mapping[bytes, int]) -> Step | None:
    other = numbers.get(event.peer)
    match event.kind:
        case "send_rpc":
            contents = rpc_in_words(event.detail)
            return Step(event.host, "rpc", f"RPC to host {other}: {contents}", contents, other)
        case "recv_rpc":
            return Step(event.host, "rpc", f"RPC from host {other}: {rpc_in_words(event.detail)}")
        case "validate_message":
            return Step(event.host, "delivery", f"the message from host {other} is valid", "valid")
        case "deliver_message":
            return Step(event.host, "delivery", "the message is delivered here and goes to the router", "delivered")
        case "duplicate_message":
            return Step(event.host, "delivery", f"the copy from host {other} is dropped", "duplicate dropped")
        case "reject_message":
            return Step(
                event.host, "delivery", f"the message from host {other} is refused: {event.detail!r}", "rejected"
            )
    return None


def side_by_side(*runs: Sequence[Step]) -> list[Moment]:
    """Align runs of several versions by their common steps.

    Args:
        runs: the steps of one message, one list per version.

    Returns:
        One moment per common step, with the control flow of each version since the previous one, at any host; the
        steps after the last common one form a separate moment.

    Raises:
        ScenarioFailure: the versions do not have the same common steps in the same order; names the first difference.
    """
    split = [_split(steps) for steps in runs]
    shared = [[step for step, _ in pieces if step is not None] for pieces in split]
    for position, together in enumerate(zip(*shared, strict=False)):
        if any(step != together[0] for step in together):
            raise ScenarioFailure(f"step {position}", " / ".join(f"host {s.host} {s.text}" for s in together))
    if len({len(steps) for steps in shared}) > 1:
        raise ScenarioFailure("last step", " / ".join(f"{len(steps)} shared steps" for steps in shared))
    moments = [Moment(pieces[0][0], tuple(tuple(own) for _, own in pieces)) for pieces in zip(*split, strict=True)]
    return [moment for moment in moments if moment.shared is not None or any(moment.own)]


def rows(moments: Sequence[Moment], versions: Sequence[str]) -> list[dict[str, str]]:
    """Return moments as table rows: "host", "what both do", and a column per version with its steps, line by line."""
    return [
        {
            "host": "" if moment.shared is None else str(moment.shared.host),
            "what both do": "" if moment.shared is None else moment.shared.text,
        }
        | {version: "\n".join(own) for version, own in zip(versions, moment.own, strict=True)}
        for moment in moments
    ]


def totals(steps: Sequence[Step]) -> dict[str, int]:
    """Return the number of steps by kind."""
    return {kind: sum(step.kind == kind for step in steps) for kind in get_args(Kind)}


def _split(steps: Sequence[Step]) -> list[tuple[Step | None, list[str]]]:
    """Split a run after each common step; the last piece has none."""
    pieces: list[tuple[Step | None, list[str]]] = []
    own: list[str] = []
    for step in steps:
        if step.is_shared:
            pieces.append((step, own))
            own = []
        else:
            own.append(step.text if step.text.startswith("ps-") else f"host {step.host}: {step.text}")
    pieces.append((None, own))
    return pieces
