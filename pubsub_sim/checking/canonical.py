"""The canonical form of a world's trace, which must be equal in two versions, and the first difference of two such traces."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from pubsub_sim.world.trace import TraceEvent, rpc_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RPCS = ("send_rpc", "recv_rpc", "drop_rpc")
_CONTEXT = 4  # events shown before a difference, and from it on
_WIDTH = 110  # of a line


def canonical(trace: Sequence[TraceEvent], begin_ns: int) -> list[TraceEvent]:
    """Return the events by host, in order of virtual time.

    Two versions may order turns differently at one time. The order of events of one kind with one peer, e.g. of the RPCs
    on a stream, must be equal: it is kept, and all other events at one time are sorted.

    Args:
        trace: the trace of a world, in order.
        begin_ns: the origin of time.

    Returns:
        The events, without empty RPCs, with their times after `begin_ns` (below zero before it).
    """
    events = [
        event._replace(time_ns=event.time_ns - begin_ns)
        for event in trace
        if event.kind not in _RPCS or len(event.detail) > 0
    ]
    return sorted(events, key=lambda event: (event.host, event.time_ns, event.kind, event.peer))


class Parting(NamedTuple):
    """The first difference of two canonical traces.

    Attributes:
        host: the host with the earliest difference.
        time_ns: time of the earlier of the two differing events.
        before: the last common events.
        after: the next few events of each trace; none if it ends there.
    """

    host: int
    time_ns: int
    before: tuple[TraceEvent, ...]
    after: tuple[tuple[TraceEvent, ...], tuple[TraceEvent, ...]]


def parting(one: Sequence[TraceEvent], other: Sequence[TraceEvent]) -> Parting | None:
    """Return the first difference of two canonical traces, in virtual time; None if there is none."""
    mine, theirs = _by_host(one), _by_host(other)
    found = [_parting_at(host, mine.get(host, []), theirs.get(host, [])) for host in sorted({**mine, **theirs})]
    return min((p for p in found if p is not None), key=lambda p: (p.time_ns, p.host), default=None)


def _by_host(events: Sequence[TraceEvent]) -> dict[int, list[TraceEvent]]:
    hosts: dict[int, list[TraceEvent]] = {}
    for event in events:
        hosts.setdefault(event.host, []).append(event)
    return hosts


def _parting_at(host: int, one: Sequence[TraceEvent], other: Sequence[TraceEvent]) -> Parting | None:
    for place, pair in enumerate(zip_longest(one, other)):
        if pair[0] != pair[1]:
            time_ns = min(event.time_ns for event in pair if event is not None)
            before = tuple(one[max(0, place - _CONTEXT) : place])
            return Parting(
                host, time_ns, before, (tuple(one[place : place + _CONTEXT]), tuple(other[place : place + _CONTEXT]))
            )
    return None


def in_words(event: TraceEvent, numbers: Mapping[bytes, int]) -> str:
    """Return an event as one line, with long RPCs truncated.

    Args:
        event: an event of a canonical trace.
        numbers: the hosts' numbers by peer id.
    """
    words = [f"{event.time_ns / 1e9:+.9f} s", event.kind]
    if event.peer:
        words.append(f"host {numbers[event.peer]}" if event.peer in numbers else event.peer.hex())
    if event.kind in _RPCS:
        words.append(rpc_in_words(event.detail))
    elif event.detail:
        words.append(event.detail if isinstance(event.detail, str) else f"message {event.detail[-8:].hex()}")
    line = "  ".join(words)
    return line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."
