"""Where do two runs decide differently? What each host decided, in order, read from two records and compared.

Versions differ in how a host gets its turns, which is no decision; so operations of a loop are left out, as machines are.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from pubsub_sim.recording.hosts import FREQUENT, RARE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncmachine.record import Record


class Decision(NamedTuple):
    """Something a host decided, or was told.

    Attributes:
        time_ns: when, on the virtual clock; 0 where one of the records has no such clock.
        name: such as "deliver_msg", "join" or "leave".
        facts: its attributes, those that are texts and numbers.
        followed: host and name of the point that it followed; None if there is none.
    """

    time_ns: int
    name: str
    facts: tuple[tuple[str, object], ...]
    followed: tuple[int | None, str] | None

    def __str__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.facts if name != "peer_id")
        return f"{self.name} ({facts})" if facts else self.name


class Disagreement(NamedTuple):
    """The first decision in which two runs part.

    Attributes:
        host: number of the host; of several the one where it is first.
        place: how many decisions the host made before, alike in both.
        one: the decision in the first record; None if the host makes none any more.
        other: that in the second.
    """

    host: int
    place: int
    one: Decision | None
    other: Decision | None

    def __str__(self) -> str:
        told = [str(decision or "nothing more") for decision in (self.one, self.other)]
        return f"host {self.host} decides differently after {self.place} decisions: {told[0]} / {told[1]}"


def compare_decisions(one: Record, other: Record) -> Disagreement | None:
    """Compare what the hosts of two runs decided, host by host and in order.

    Times count if both runs were on the virtual clock. Records of different levels share what the lower one holds.

    Args:
        one: a record of a world.
        other: another one, perhaps of another version.

    Returns:
        The first difference in time, then by number of the host; None if there is none.
    """
    names = RARE if "changes" in (one.level, other.level) else RARE | FREQUENT
    is_timed = one.clock == other.clock == "loop"
    is_full = one.level == other.level == "full"
    mine, theirs = (_decisions(record, names, is_timed=is_timed, is_full=is_full) for record in (one, other))
    found = [_parting(host, mine.get(host, []), theirs.get(host, [])) for host in sorted({*mine, *theirs})]
    return min((parting for parting in found if parting is not None), key=_when, default=None)


def _when(parting: Disagreement) -> tuple[int, int]:
    times = [decision.time_ns for decision in (parting.one, parting.other) if decision is not None]
    return min(times), parting.host


def _parting(host: int, one: list[Decision], other: list[Decision]) -> Disagreement | None:
    for place, (mine, theirs) in enumerate(zip_longest(one, other)):
        if mine != theirs:
            return Disagreement(host, place, mine, theirs)
    return None


def _decisions(record: Record, names: frozenset[str], *, is_timed: bool, is_full: bool) -> dict[int, list[Decision]]:
    hosts = _hosts_of_spans(record)
    points = record.points()
    by_id = {point.id: point for point in points}
    found: dict[int, list[Decision]] = {}
    for point in points:
        host = hosts.get(point.span) if point.span is not None else None
        if host is None or point.name not in names:
            continue
        before = None if point.link is None else by_id.get(point.link)
        followed = None if before is None or before.name not in names else (hosts.get(before.span or 0), before.name)
        facts = tuple(sorted((k, v) for k, v in point.attributes.items() if is_full or k != "rpc"))
        found.setdefault(host, []).append(Decision(point.time_ns if is_timed else 0, point.name, facts, followed))
    for span in record.spans():
        host = hosts.get(span.id)
        if host is not None and span.name.startswith("topic:"):
            facts = (("topic", span.attributes.get("topic")),)
            decisions = found.setdefault(host, [])
            decisions.append(Decision(span.start_ns if is_timed else 0, "join", facts, None))
            if span.attributes.get("left") and span.end_ns is not None:
                decisions.append(Decision(span.end_ns if is_timed else 0, "leave", facts, None))
    return found


def _hosts_of_spans(record: Record) -> Mapping[int, int]:
    """The host that each span is under, by number of the span."""
    hosts: dict[int, int] = {}
    for span in record.spans():  # parents come first
        number = span.attributes.get("host")
        if isinstance(number, int):
            hosts[span.id] = number
        elif span.parent in hosts:
            hosts[span.id] = hosts[span.parent]
    return hosts
