"""Runs under load by version and condition, and what is estimated from them.

A session is one observation: of its search for the saturation, and of each open loop. Intervals are t intervals over sessions. Rates
and latencies are above 0 and spread by factors, so their means are geometric, with t intervals of the logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pubsub_sim.report.formatting import count_things, format_given
from pubsub_sim.results.intervals import UNKNOWN, Estimate, mean_of_sessions
from pubsub_sim.results.load import LoadRecord, LoadRun
from pubsub_sim.results.saturation import Saturation, find_saturation, jain_index

Records = Sequence[LoadRecord]

BASE = "baseline"
"""The version that comes first and that the others are compared with, if it was measured."""

LOWER_BOUND = "lower-bound"
"""The lower bound, which has no limits on queues."""

DROPS = ("dropped_subscription", "dropped_on_the_way")
"""Stored numbers of deliveries that were not made, by reason."""

_NS_PER_MS = 1e6
SIGNED = {"strict": "signed", "none": "unsigned"}
_NETWORK = {"memory": "in memory", "tcp": "over TCP", "libp2p": "over TCP with Noise and yamux"}


class Condition(NamedTuple):
    """What all runs that are compared share."""

    hosts: int
    publishers: int
    payload_bytes: int
    duration_s: float
    warmup_s: float
    router: str
    transport: str
    loop: str
    sign: str
    allocator: str

    def words(self) -> str:
        """Say it for a reader."""
        signing = SIGNED.get(self.sign, self.sign)
        network = _NETWORK.get(self.transport, self.transport)
        return (
            f"{count_things(self.hosts, 'host')}, {count_things(self.publishers or self.hosts, 'publisher')}, {signing}, "
            f"{self.router}, {network}, {self.loop}, payloads of {self.payload_bytes} bytes"
        )


class Step(NamedTuple):
    """The load of a run, apart from its version and session: messages in flight, or percent, or a rate."""

    in_flight: int
    percent: int
    rate: float

    def words(self) -> str:
        """Say it for a reader."""
        if self.in_flight:
            return f"{self.in_flight} in flight each"
        return f"{self.percent} %" if self.percent else f"{format_given(self.rate)} messages/s"


@dataclass(frozen=True)
class Loaded:
    """The runs of one version under one condition that ended well.

    Attributes:
        version: whose.
        condition: under which.
        records: the runs.
    """

    version: str
    condition: Condition
    records: tuple[LoadRecord, ...]

    @property
    def closed(self) -> tuple[LoadRecord, ...]:
        """The closed loops."""
        return tuple(record for record in self.records if record.run.in_flight)

    @property
    def steps(self) -> list[Step]:
        """The loads, closed loops first, in ascending order."""
        found = {step_of(record.run) for record in self.records}
        return sorted(found, key=lambda step: (not step.in_flight, step.in_flight, step.percent, step.rate))

    def of(self, step: Step) -> tuple[LoadRecord, ...]:
        """Give the runs with a load, one per session."""
        return tuple(record for record in self.records if step_of(record.run) == step)

    def saturations(self) -> dict[int, Saturation]:
        """Give the saturation that each session found."""
        found: dict[int, Saturation] = {}
        for session in sorted({record.run.session for record in self.closed}):
            own = sorted((one for one in self.closed if one.run.session == session), key=lambda one: one.run.in_flight)
            saturation = find_saturation([(one.run.in_flight, one.throughput or 0.0) for one in own])
            if saturation is not None:
                found[session] = saturation
        return found

    def at_saturation(self) -> tuple[LoadRecord, ...]:
        """Give the run at the knee of each session."""
        knees = {session: found.in_flight for session, found in self.saturations().items()}
        return tuple(one for one in self.closed if knees.get(one.run.session) == one.run.in_flight)

    def open_loops(self) -> tuple[LoadRecord, ...]:
        """Give the open loops."""
        return tuple(record for record in self.records if not record.run.in_flight)


def step_of(run: LoadRun) -> Step:
    """Give the load of a run."""
    return Step(run.in_flight, run.percent, 0.0 if run.percent else run.rate)


def group(records: Records) -> list[Loaded]:
    """Group the runs that ended well by condition and version: most runs first, then the base, then as measured."""
    found: dict[tuple[Condition, str], list[LoadRecord]] = {}
    amounts: dict[Condition, int] = {}
    for record in records:
        if record.outcome == "ok":
            condition = Condition(*(getattr(record.run, name) for name in Condition._fields))
            found.setdefault((condition, record.run.version), []).append(record)
            amounts[condition] = amounts.get(condition, 0) + 1
    order = {name: place for place, name in enumerate((BASE, "states", "states-rpc", "direct"))}
    groups = [Loaded(version, condition, tuple(own)) for (condition, version), own in found.items()]
    return sorted(
        groups,
        key=lambda one: (
            -amounts[one.condition],
            one.condition,
            one.version == LOWER_BOUND,
            order.get(one.version, len(order)),
            one.version,
        ),
    )


# --- estimates ---------------------------------------------------------------------------------------------------


def estimate(records: Records, value_of: Callable[[LoadRecord], float | None]) -> Estimate:
    """Estimate a mean over sessions, one run each; runs without the value are left out."""
    values = [value_of(record) for record in records]
    return mean_of_sessions([math.nan if value is None else value for value in values]) if values else UNKNOWN


def estimate_number(records: Records, name: str, unit: float = 1.0) -> Estimate:
    """Estimate the mean of a stored number, in units of so many."""
    return estimate(records, lambda one: one.numbers[name] / unit if name in one.numbers else None)


def estimate_factor(records: Records, value_of: Callable[[LoadRecord], float | None]) -> Estimate:
    """Estimate a geometric mean over sessions, one run each; runs without the value, or with 0, are left out."""
    return _geometric(value for one in records if (value := value_of(one)))


def estimate_latency(records: Records, name: str) -> Estimate:
    """Estimate the geometric mean of a stored quantile of latencies, in ms."""
    return estimate_factor(records, lambda one: one.numbers[name] / _NS_PER_MS if name in one.numbers else None)


def estimate_saturation(loaded: Loaded) -> Estimate:
    """Estimate the throughput at saturation in messages a second."""
    return _geometric(found.throughput for found in loaded.saturations().values())


def compare_saturation(loaded: Loaded, base: Loaded) -> Estimate:
    """Estimate the ratio of two throughputs at saturation: the geometric mean of the ratios within sessions."""
    ours, theirs = loaded.saturations(), base.saturations()
    shared = sorted(ours.keys() & theirs.keys())
    return _geometric(ours[session].throughput / theirs[session].throughput for session in shared)


def estimate_fairness(records: Records) -> Estimate:
    """Estimate Jain's index of what publishers completed, for open loops as a share of what was due."""
    return estimate(records, lambda one: jain_index(_shares(one)))


def count_drops(records: Records, names: Iterable[str] = DROPS) -> int:
    """Count the deliveries that were owed and not made, for all reasons or some of `DROPS`."""
    return sum(one.numbers.get(name, 0) for one in records for name in names)


def find_longest(records: Records, name: str) -> int | None:
    """Give the largest of a stored number over sessions; None if no run has it."""
    return max((one.numbers[name] for one in records if name in one.numbers), default=None)


def find_due_rate(record: LoadRecord) -> float | None:
    """Give the messages a second that were due in the measurement of a run; None for one that is not ok."""
    if record.outcome != "ok":
        return None
    return sum(record.offered_by) / record.numbers["window_ns"] * 1e9


def _geometric(values: Iterable[float]) -> Estimate:
    found = mean_of_sessions([math.log(value) for value in values])
    return found.exp() if found.is_known else UNKNOWN


def _shares(record: LoadRecord) -> list[float]:
    if record.run.in_flight:
        return list(record.completed_by)
    pairs = zip(record.completed_by, record.offered_by, strict=True)
    return [completed / offered for completed, offered in pairs if offered]
