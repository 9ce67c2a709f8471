"""A recorded run of one message, from its publisher to all other hosts, in each version.

Hosts are all connected and all subscribe. The first publishes once, and waits until the topic is ready if asked to. The
record holds in one order what both versions share (RPCs, deliveries) and what is their own (operations of the loop,
mutations of the machines).
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
    """Note nothing."""


@dataclass(frozen=True, kw_only=True)
class OneMessage(Parameters):
    """One message in one version.

    Attributes:
        version: which control flow.
        hosts: how many; at least 2.
        ready: publish only once all others are known to subscribe.
        sign: "strict" or "none".
        seed: for keys and sequence numbers.

    Raises:
        OptionError: a value that cannot be; names it.
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
    """One thing that happened.

    Attributes:
        host: where.
        kind: "call" (of the user), "control" (of the version's own flow), "rpc" or "delivery".
        text: what, in words.
        label: the same in few words, for a diagram; empty for what a diagram leaves out.
        to: the host that an RPC is sent to; None for all else.
    """

    host: int
    kind: Kind
    text: str
    label: str = ""
    to: int | None = None

    @property
    def is_shared(self) -> bool:
        """Whether both versions must show it."""
        return self.kind != "control"


class Moment(NamedTuple):
    """Something both versions share, and what each did of its own before it.

    Attributes:
        shared: the call, RPC or delivery; None after the last one.
        own: for each version, the steps of its control flow, in order.
    """

    shared: Step | None
    own: tuple[tuple[str, ...], ...]


def one_message(options: OneMessage) -> list[Step]:
    """Run it on the virtual clock and give every step from the call of `publish` to the last delivery."""
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
    """Play the scenario once, on the loop that is running.

    Args:
        options: what to play.
        phase: entered with its name around each phase, in the order of PHASES.
        make_world: makes the world of what `World` takes; another one may be watched.
        note: told of the user's calls from `publish` on: at which host, that it is a "call", and which.

    Returns:
        Messages read from subscriptions.

    Raises:
        ScenarioFailure: a subscription gave something else.
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
    """Notes of ours among a world's events: each knows how many of those came before it."""

    def __init__(self) -> None:
        self.trace: list[TraceEvent] = []
        self.peer_ids: Sequence[bytes] = ()
        self._notes: list[tuple[int, Step]] = []
        self._begin = 0

    def begin(self) -> None:
        """Forget what led up to here."""
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
    """Align runs of several versions along what they share.

    Args:
        runs: the steps of one message, one list per version.

    Returns:
        One moment per shared step, with the control flow of each version since the one before, at any host; what
        follows the last shared step is a moment of its own.

    Raises:
        ScenarioFailure: the versions do not share the same steps in the same order; says where they part.
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
    """Moments as rows of a table: "host", "what both do", and a column per version with the way there, line by line."""
    return [
        {
            "host": "" if moment.shared is None else str(moment.shared.host),
            "what both do": "" if moment.shared is None else moment.shared.text,
        }
        | {version: "\n".join(own) for version, own in zip(versions, moment.own, strict=True)}
        for moment in moments
    ]


def totals(steps: Sequence[Step]) -> dict[str, int]:
    """Return how many steps of each kind a run has."""
    return {kind: sum(step.kind == kind for step in steps) for kind in get_args(Kind)}


def _split(steps: Sequence[Step]) -> list[tuple[Step | None, list[str]]]:
    """Cut a run after each shared step; the last piece has none."""
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
