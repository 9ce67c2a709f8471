"""A plan of network faults: what goes wrong, and when. It is data only, played by the world it is given to.

Times are seconds after the world began. Every fault lasts for a span and is undone at its end; faults that begin or
end at one instant do so in the order of the plan, beginnings first.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from pubsub_sim.checks import check_bool, check_number, check_seconds, check_whole
from pubsub_sim.errors import OptionConflict, OptionError


@dataclass(frozen=True, kw_only=True)
class Fault(ABC):
    """Something that goes wrong for a span of time.

    Attributes:
        at_s: when it begins.
        for_s: how long it lasts.

    Raises:
        OptionError: a value that cannot be; names it.
    """

    at_s: float
    for_s: float

    def __post_init__(self) -> None:
        check_number("at_s", self.at_s, at_least=0)
        check_seconds("for_s", self.for_s)

    @property
    def end_s(self) -> float:
        """When it is undone."""
        return self.at_s + self.for_s

    @property
    @abstractmethod
    def hosts(self) -> tuple[int, ...]:
        """Numbers of the hosts it names."""


@dataclass(frozen=True, kw_only=True)
class _LinkFault(Fault):
    """Something wrong with both directions of a link.

    Attributes:
        link: numbers of its two hosts.
    """

    link: tuple[int, int]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.link, tuple) or len(self.link) != 2 or self.link[0] == self.link[1]:
            raise OptionError("link", self.link, "the numbers of two hosts")
        for number in self.link:
            check_whole("link", number, at_least=0)

    @property
    def hosts(self) -> tuple[int, ...]:
        """The two ends of the link."""
        return self.link


@dataclass(frozen=True, kw_only=True)
class Drop(_LinkFault):
    """Frames on a link are lost.

    Attributes:
        probability: of each frame, besides what the link model loses.
    """

    probability: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("probability", self.probability, at_least=0, at_most=1)


@dataclass(frozen=True, kw_only=True)
class Delay(_LinkFault):
    """Frames on a link take longer.

    Attributes:
        extra_s: what is added to the latency of each direction.
    """

    extra_s: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seconds("extra_s", self.extra_s)


@dataclass(frozen=True, kw_only=True)
class Partition(Fault):
    """Hosts of different groups cannot reach each other: their connections are reset, dials between them fail.

    Attributes:
        groups: numbers of hosts; those that are in no group are together in one more.
        reconnect: whether connections it cut are dialled again when it heals, by the host of the lower number.
    """

    groups: tuple[tuple[int, ...], ...]
    reconnect: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.groups, tuple) or not self.groups or not all(isinstance(g, tuple) for g in self.groups):
            raise OptionError("groups", self.groups, "at least one group of numbers of hosts")
        for number in self.hosts:
            check_whole("groups", number, at_least=0)
        if len(set(self.hosts)) != len(self.hosts):
            raise OptionError("groups", self.groups, "each host in one group only")
        check_bool("reconnect", self.reconnect)

    @property
    def hosts(self) -> tuple[int, ...]:
        """The hosts of all groups, in the order of the groups."""
        return tuple(number for group in self.groups for number in group)


@dataclass(frozen=True, kw_only=True)
class _HostFault(Fault):
    """Something wrong with a host.

    Attributes:
        host: its number.
    """

    host: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("host", self.host, at_least=0)

    @property
    def hosts(self) -> tuple[int, ...]:
        """The one host."""
        return (self.host,)


@dataclass(frozen=True, kw_only=True)
class Crash(_HostFault):
    """A host ends without a word: its connections are reset, its tables are gone. It comes back as a new life.

    Attributes:
        reconnect: whether it dials those it was connected with, oldest connection first, when it comes back.
    """

    reconnect: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bool("reconnect", self.reconnect)


@dataclass(frozen=True, kw_only=True)
class SlowReader(_HostFault):
    """A host takes no frames; what arrives waits, and its writers come to feel it."""


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """Faults of one run.

    Attributes:
        faults: in any order of time.

    Raises:
        OptionError: something that is no fault.
        OptionConflict: a host crashes while it is down.
    """

    faults: tuple[Fault, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "faults", tuple(self.faults))
        for fault in self.faults:
            if not isinstance(fault, Drop | Delay | Partition | Crash | SlowReader):
                raise OptionError("faults", fault, "a Drop, Delay, Partition, Crash or SlowReader")
        crashes = sorted((f for f in self.faults if isinstance(f, Crash)), key=lambda crash: (crash.host, crash.at_s))
        for one, other in pairwise(crashes):
            if one.host == other.host and one.end_s >= other.at_s:
                why = f"host {one.host} is down until {one.end_s:g} s"
                raise OptionConflict("faults", other, "faults", one, why)

    def check_hosts(self, hosts: int) -> None:
        """Refuse a plan for more hosts than there are; raises OptionConflict."""
        for fault in self.faults:
            for number in fault.hosts:
                if number >= hosts:
                    raise OptionConflict("faults", fault, "hosts", hosts, f"there is no host {number}")

    @classmethod
    def random(cls, seed: int, hosts: int, duration_s: float, *, count: int | None = None) -> FaultPlan:
        """A plan by chance, the same for the same arguments.

        Args:
            seed: of the choices.
            hosts: how many there are.
            duration_s: every fault begins and ends within it.
            count: how many faults; None is one per host.

        Raises:
            OptionError: an unusable argument.
        """
        check_whole("seed", seed, at_least=0)
        check_whole("hosts", hosts, at_least=1)
        check_seconds("duration_s", duration_s)
        rng = random.Random(f"{seed}/faults")
        total = hosts if count is None else check_whole("count", count, at_least=0)
        free_ns = dict.fromkeys(range(hosts), 0)  # from when a host may crash again
        spans = sorted(_span(rng, round(duration_s * 1e9)) for _ in range(total))
        return cls(faults=tuple(_draw(rng, hosts, span, free_ns) for span in spans))


def _span(rng: random.Random, duration_ns: int) -> tuple[int, int]:
    """When a fault begins, and how long it lasts: at most a quarter of all time."""
    start_ns = rng.randrange(duration_ns)
    return start_ns, rng.randint(1, min(duration_ns - start_ns, max(1, duration_ns // 4)))


def _draw(rng: random.Random, hosts: int, span_ns: tuple[int, int], free_ns: dict[int, int]) -> Fault:
    at_s, for_s = span_ns[0] / 1e9, span_ns[1] / 1e9
    makers: list[Callable[[], Fault]] = [lambda: SlowReader(at_s=at_s, for_s=for_s, host=rng.randrange(hosts))]
    if hosts > 1:
        makers += [
            lambda: Drop(at_s=at_s, for_s=for_s, link=_two(rng, hosts), probability=rng.uniform(0.1, 1.0)),
            lambda: Delay(at_s=at_s, for_s=for_s, link=_two(rng, hosts), extra_s=rng.uniform(0.01, 0.5)),
            lambda: Partition(
                at_s=at_s, for_s=for_s, groups=(tuple(sorted(rng.sample(range(hosts), rng.randint(1, hosts - 1)))),)
            ),
        ]
    up = [host for host, from_ns in free_ns.items() if from_ns < span_ns[0]]
    if up:
        makers.append(lambda: _crash(rng, up, span_ns, free_ns))
    return rng.choice(makers)()


def _crash(rng: random.Random, up: Iterable[int], span_ns: tuple[int, int], free_ns: dict[int, int]) -> Crash:
    host = rng.choice(list(up))
    free_ns[host] = sum(span_ns) + 1000  # more than the rounding of seconds
    return Crash(at_s=span_ns[0] / 1e9, for_s=span_ns[1] / 1e9, host=host)


def _two(rng: random.Random, hosts: int) -> tuple[int, int]:
    a, b = rng.sample(range(hosts), 2)
    return a, b
