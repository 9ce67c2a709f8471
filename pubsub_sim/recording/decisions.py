"""The first difference between the decisions of two recorded runs.

Versions differ in control flow, which is not a decision; therefore operations of a loop and machines are ignored. At one time
of the virtual clock turns may be ordered differently, as in `checking.canonical`: only the order of events of one name with one
peer is compared.
"""

from __future__ import annotations

from itertools import zip_longest
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from pubsub_sim.recording.hosts import FREQUENT, RARE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncmachine.record import Record


class Decision(NamedTuple):
    """A decision or input of a host.

    Attributes:
        time_ns: time on the virtual clock; 0 if one of the records has no such clock.
        name: its name, such as "deliver_msg", "join" or "leave".
        facts: its textual and numeric attributes.
        followed: host and name of the preceding point; or None.
    """

    time_ns: int
    name: str
    facts: tuple[tuple[str, object], ...]
    followed: tuple[int | None, str] | None

    def __str__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.facts if name != "peer_id")
        return f"{self.name} ({facts})" if facts else self.name


class Disagreement(NamedTuple):
    """The first differing decision of two runs.

    Attributes:
        host: number of the host.
        one: the decision in the first record; None if it is missing there.
        other: the decision in the second record; likewise.
    """

    host: int
    one: Decision | None
    other: Decision | None

    def __str__(self) -> str:
        told = [str(decision or "nothing") for decision in (self.one, self.other)]
        return f"host {self.host} decides differently: {told[0]} / {told[1]}"


class _Strand(NamedTuple):
    """Decisions whose order is compared: all of a host, or those of a time, a name and a peer."""

    host: int
    time_ns: int = 0
    name: str = ""
    peer: str = ""


_Strands = dict[_Strand, list[tuple[int, Decision]]]  # with the number of the point
_LATE = 2**62  # substitute for a missing number


def compare_decisions(one: Record, other: Record) -> Disagreement | None:
    """Compare the decisions of the hosts of two runs, by host and in order.

    If both runs were on the virtual clock, times are compared, and the order between different times. For records of different
    levels the contents of the lower level are compared.

    Args:
        one: a record of a world.
        other: another record, possibly of another version.

    Returns:
        The first difference, None if there is none.
    """
    names = RARE if "changes" in (one.level, other.level) else RARE | FREQUENT
    is_timed = one.clock == other.clock == "loop"
    is_full = one.level == other.level == "full"
    mine, theirs = (_strands(record, names, is_timed=is_timed, is_full=is_full) for record in (one, other))
    found = [_parting(strand, mine.get(strand, []), theirs.get(strand, [])) for strand in {**mine, **theirs}]
    first = min((parting for parting in found if parting is not None), key=itemgetter(0), default=None)
    return None if first is None else first[1]


def _parting(
    strand: _Strand, one: list[tuple[int, Decision]], other: list[tuple[int, Decision]]
) -> tuple[tuple[int, int, int], Disagreement] | None:
    """Return the first difference of a strand, with its time and the number of its point."""
    for mine, theirs in zip_longest(one, other, fillvalue=(_LATE, None)):
        if mine[1] != theirs[1]:
            return (strand.time_ns, min(mine[0], theirs[0]), strand.host), Disagreement(strand.host, mine[1], theirs[1])
    return None


def _strands(record: Record, names: frozenset[str], *, is_timed: bool, is_full: bool) -> _Strands:
    hosts = _hosts_of_spans(record)
    points = {point.id: point for point in record.points()}
    found: _Strands = {}

    def add(host: int, number: int, decision: Decision) -> None:
        strand = _Strand(host)
        if is_timed:
            strand = _Strand(host, decision.time_ns, decision.name, str(dict(decision.facts).get("peer_id", "")))
        found.setdefault(strand, []).append((number, decision))

    for point in points.values():
        host = hosts.get(point.span) if point.span is not None else None
        if host is None or point.name not in names:
            continue
        before = None if point.link is None else points.get(point.link)
        followed = None if before is None or before.name not in names else (hosts.get(before.span or 0), before.name)
        facts = tuple(sorted((k, v) for k, v in point.attributes.items() if is_full or k != "rpc"))
        add(host, point.id, Decision(point.time_ns if is_timed else 0, point.name, facts, followed))
    for span in record.spans():
        host = hosts.get(span.id)
        if host is not None and span.name.startswith("topic:"):
            facts = (("topic", span.attributes.get("topic")),)
            add(host, _LATE, Decision(span.start_ns if is_timed else 0, "join", facts, None))
            if span.attributes.get("left") and span.end_ns is not None:
                add(host, _LATE, Decision(span.end_ns if is_timed else 0, "leave", facts, None))
    return found


def _hosts_of_spans(record: Record) -> Mapping[int, int]:
    """Return the host of each span, by number of the span."""
    hosts: dict[int, int] = {}
    for span in record.spans():  # parents come first
        number = span.attributes.get("host")
        if isinstance(number, int):
            hosts[span.id] = number
        elif span.parent in hosts:
            hosts[span.id] = hosts[span.parent]
    return hosts
