"""Seeded plans of user actions and faults. A plan is plain data, drawn before the run.

Every external event has a fixed time in the plan, independent of the hosts' behaviour. The plan begins once all hosts know
their neighbours. Links have distinct latencies, drawn in whole ns, so that frames on different paths arrive at different
times.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from pubsub_sim.checks import check_choice, check_whole
from pubsub_sim.net.faults import Crash, Drop, Fault, FaultPlan
from pubsub_sim.net.link import LinkModel
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.params import HostParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROUTERS = ("floodsub", "gossipsub")
KINDS = ("calm", "jitter", "loss", "churn")
"""Links with constant latency; with varying latency; with loss; hosts and connections that come and go."""

TOPICS = ("all", "some", "judged")
"""All hosts join the first topic; the messages of the last are validated asynchronously by some hosts."""

BEGIN_S = 6.0
"""Start of the plan in seconds after the start of the world, in which hosts find each other."""
LENGTH_S = 8.0
"""Duration of steps and faults in seconds."""
REST_S = 4.0
"""Time in seconds for pending messages after the plan: a few heartbeats."""

_S = 1_000_000_000
_PUBLISHES = 24
_MOVES = {"calm": 4, "jitter": 4, "loss": 4, "churn": 10}  # subscribing and unsubscribing


@dataclass(frozen=True, kw_only=True)
class Case:
    """One plan.

    Attributes:
        router: "floodsub" or "gossipsub".
        kind: kind of faults, one of KINDS.
        seed: seed of all choices.

    Raises:
        OptionError: an invalid value.
    """

    router: str
    kind: str
    seed: int

    def __post_init__(self) -> None:
        check_choice("router", self.router, ROUTERS)
        check_choice("kind", self.kind, KINDS)
        check_whole("seed", self.seed, at_least=0)


Action = Literal["publish", "publish when ready", "subscribe", "unsubscribe", "connect", "disconnect"]


class Step(NamedTuple):
    """An action of a user.

    Attributes:
        at_ns: time after the start of the plan.
        action: the action.
        host: the host.
        topic: the topic, if any.
        data: the payload of a message.
        peer: the other host of a connection.
    """

    at_ns: int
    action: Action
    host: int
    topic: str = ""
    data: bytes = b""
    peer: int = -1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan.

    Attributes:
        hosts: number of hosts.
        edges: initial connections, from dialling to dialled host; none with discovery.
        interests: for each host, the buffer of its subscription by topic, or None if it only relays.
        judges: the hosts that validate.
        steps: steps in order of time.
        faults: faults, in seconds after the start of the world.
        link: model of the links.
        params: parameters of every host.
        sign: "strict" or "none".
    """

    hosts: int
    edges: tuple[tuple[int, int], ...]
    interests: tuple[dict[str, int | None], ...]
    judges: tuple[int, ...]
    steps: tuple[Step, ...]
    faults: FaultPlan
    link: LinkModel
    params: HostParams
    sign: str


def plan_of(case: Case) -> Plan:
    """Return the plan of a case, the same on every machine."""
    rng = random.Random(f"{case.seed}/{case.router}/{case.kind}/plan")
    hosts = rng.randint(8, 12)
    edges = () if rng.random() < 0.5 else _edges(rng, hosts)
    interests = tuple(_interests(rng) for _ in range(hosts))
    steps = [*_publishes(rng, hosts), *_moves(rng, interests, _MOVES[case.kind])]
    if case.kind == "churn":
        steps += _cuts(rng, hosts, edges)
    return Plan(
        hosts=hosts,
        edges=edges,
        interests=interests,
        judges=tuple(rng.sample(range(hosts), hosts * 2 // 3)),
        steps=tuple(sorted(steps)),
        faults=FaultPlan(faults=tuple(_faults(rng, case.kind, hosts))),
        link=_link(case.kind),
        params=_params(rng, case.router),
        sign=rng.choice(["strict", "none"]),
    )


def _link(kind: str) -> LinkModel:
    if kind == "jitter":
        return LinkModel(latency_s=(0.005, 0.2), jitter=0.5, bandwidth_bps=10_000_000)
    return LinkModel(latency_s=(0.001, 0.1))


def _params(rng: random.Random, router: str) -> HostParams:
    """Return parameters; for gossipsub mostly low degrees, so that a few hosts cause pruning and gossip, and its options."""
    if router == "floodsub":
        return HostParams()
    params = GossipsubParams(
        flood_publish=rng.random() < 0.3,
        do_px=rng.random() < 0.3,
        idontwant=rng.random() < 0.3,
        idontwant_threshold_bytes=100,
    )
    return params if rng.random() < 0.3 else replace(params, d=3, d_lo=2, d_hi=4, d_score=1, d_out=1, d_lazy=2)


def _edges(rng: random.Random, hosts: int) -> tuple[tuple[int, int], ...]:
    """Return a ring, which connects all hosts, and chords."""
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for a in range(hosts):
        for b in ((a + 1) % hosts, *rng.sample([b for b in range(hosts) if b != a], 2)):
            pairs.setdefault(frozenset((a, b)), (a, b))
    return tuple(pairs.values())


def _interests(rng: random.Random) -> dict[str, int | None]:
    wanted = [TOPICS[0], *(topic for topic in TOPICS[1:] if rng.random() < 0.7)]
    return {topic: None if rng.random() < 0.1 else rng.choice([2, 64, 64, 64, 64]) for topic in wanted}


def _time(rng: random.Random) -> int:
    return rng.randrange(1, round(LENGTH_S * _S))


def _publishes(rng: random.Random, hosts: int) -> Iterator[Step]:
    """Yield messages of random hosts, in the topic or not; the first one at the start."""
    for number in range(_PUBLISHES):
        action: Action = "publish when ready" if rng.random() < 0.3 else "publish"
        data = b"%d/" % number + rng.randbytes(rng.choice([4, 40, 400]))
        yield Step(_time(rng) if number else 0, action, rng.randrange(hosts), rng.choice(TOPICS), data)


def _moves(rng: random.Random, interests: Sequence[Mapping[str, int | None]], count: int) -> Iterator[Step]:
    """Yield subscriptions of hosts that join a topic late and leave it, or leave a topic and rejoin it."""
    pairs = [(host, topic) for host in range(len(interests)) for topic in TOPICS]
    late = [(host, topic) for host, topic in pairs if topic not in interests[host]]
    chosen = [*rng.sample(late, min(2, len(late))), *rng.choices(pairs, k=count)]
    for host, topic in dict.fromkeys(chosen):
        first: Action = "unsubscribe" if topic in interests[host] else "subscribe"
        second: Action = "subscribe" if first == "unsubscribe" else "unsubscribe"
        begin_ns, end_ns = sorted((_time(rng), _time(rng)))
        yield Step(begin_ns, first, host, topic)
        yield Step(end_ns, second, host, topic)


def _cuts(rng: random.Random, hosts: int, edges: tuple[tuple[int, int], ...]) -> Iterator[Step]:
    """Yield disconnections and reconnections by either side."""
    pairs = list(edges) or [(a, b) for a in range(hosts) for b in range(hosts) if a != b]
    for a, b in rng.sample(pairs, 6):
        begin_ns, end_ns = sorted((_time(rng), _time(rng)))
        yield Step(begin_ns, "disconnect", a, peer=b)
        one, other = rng.sample((a, b), 2)
        yield Step(end_ns, "connect", one, peer=other)


def _faults(rng: random.Random, kind: str, hosts: int) -> Iterator[Fault]:
    """Yield the faults. Loss begins with the plan, as a lost hello is never sent again."""
    if kind == "loss":
        for a in range(hosts):
            for b in range(a):
                yield Drop(at_s=BEGIN_S, for_s=LENGTH_S, link=(b, a), probability=rng.uniform(0.0, 0.4))
    if kind == "churn":
        for host in rng.sample(range(hosts), 3):
            begin_s = BEGIN_S + _time(rng) / _S
            yield Crash(at_s=begin_s, for_s=rng.uniform(0.1, 3.0), host=host)
