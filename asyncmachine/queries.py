"""Which of a history's records are asked for?

What a record tells, and the conditions a question can make. Pure values; it knows nothing of machines or of how
records are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple

from asyncmachine.errors import AsyncMachineError, close_matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncmachine.mutation import Source

Range = tuple[float | None, float | None]
"""From and to, both included; None is no limit."""


class UntrackedStateError(AsyncMachineError):
    """A history was asked about a state it does not track.

    Attributes:
        name: The state.
        tracked: The states it tracks.
    """

    def __init__(self, name: str, tracked: tuple[str, ...]) -> None:
        self.name = name
        self.tracked = tracked
        matches = close_matches(name, tracked)
        hint = f"; did you mean {' or '.join(map(repr, matches))}?" if matches else ""
        super().__init__(f"state {name!r} is not tracked by this history{hint}")


class Record(NamedTuple):
    """One recorded transition. Tuples of ticks are in the order of `History.tracked`."""

    number: int
    """Counts all records from 1, dropped ones included."""
    tx_id: str
    kind: str
    called: tuple[str, ...]
    is_auto: bool
    accepted: bool
    canceled_by: str
    source: Source | None
    wall_s: float
    ticks: tuple[int, ...]
    """Ticks of the tracked states afterwards."""
    ticks_diff: tuple[int, ...]
    """How much this transition has added to them."""
    time_sum: int
    """Sum of the ticks of all states afterwards: machine time."""
    time_diff: int
    """How much this transition has added to it."""
    record_diff: int
    """The same since the previous record, which more than one transition may lie between."""

    @property
    def tracked_sum(self) -> int:
        """Sum of the ticks of the tracked states afterwards."""
        return sum(self.ticks)


@dataclass(frozen=True, kw_only=True)
class Query:
    """What records have to fulfil, all of it.

    Args:
        active: States active afterwards.
        activated: States active afterwards and changed since the previous record; a Multi re-entry counts.
        inactive: States inactive afterwards.
        deactivated: States inactive afterwards and changed since the previous record.
        wall_s: Range of the wall time.
        time_sum: Range of the machine time afterwards.
        tracked_sum: Range of the sum of tracked ticks afterwards.
        time_diff: Range of what the transition has added to machine time.
        ticks: Range of the tick afterwards, by state.

    Raises:
        ValueError: A range ends before it begins.
    """

    active: tuple[str, ...] = ()
    activated: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    deactivated: tuple[str, ...] = ()
    wall_s: Range = (None, None)
    time_sum: Range = (None, None)
    tracked_sum: Range = (None, None)
    time_diff: Range = (None, None)
    ticks: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _STATES:
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} has to be a tuple of names, not {getattr(self, name)!r}")
        ranges = {name: getattr(self, name) for name in _RANGES} | {f"ticks of {k}": v for k, v in self.ticks.items()}
        for name, (low, high) in ranges.items():
            if low is not None and high is not None and low > high:
                raise ValueError(f"{name}: the range {low} to {high} ends before it begins")

    def is_met(self, record: Record, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """Tell whether a record fulfils it.

        Args:
            record: The record.
            before: Ticks of the tracked states after the previous record.
            after: The same after this one.
        """
        return (
            all(after[state] & 1 for state in self.active)
            and not any(after[state] & 1 for state in self.inactive)
            and all(has_become(before[state], after[state], 1) for state in self.activated)
            and all(has_become(before[state], after[state], 0) for state in self.deactivated)
            and all(is_within(getattr(record, name), getattr(self, name)) for name in _RANGES)
            and all(is_within(after[state], limits) for state, limits in self.ticks.items())
        )

    @property
    def states(self) -> tuple[str, ...]:
        """All states it is about."""
        return (*self.active, *self.activated, *self.inactive, *self.deactivated, *self.ticks)


_STATES = ("active", "activated", "inactive", "deactivated")
_RANGES = tuple(f.name for f in fields(Query) if f.name not in (*_STATES, "ticks"))
EVERYTHING = Query()


class Span(NamedTuple):
    """A stretch in which a state was active, on the axis asked for."""

    start: float
    end: float | None
    """None if it has not ended."""
    tick: int


def has_become(before: int, after: int, parity: int) -> bool:
    """Tell whether a tick has changed, to odd (active) for `parity` 1, to even for 0."""
    return after != before and after & 1 == parity


def is_within(value: float, limits: Range) -> bool:
    """Tell whether a value lies in a range."""
    low, high = limits
    return (low is None or value >= low) and (high is None or value <= high)
