"""The metrics stored by a run, with name, unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN = "run"
"""Value of the phase column for values of a whole run."""

Scope = Literal["phase", "run", "both"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One kind of number.

    Attributes:
        name: column value in the store; a unit ends the name where there is one.
        unit: unit of the stored integer; "1" for a plain count.
        scope: "phase" if measured per phase, "run" if once per run, "both" if a run also has the sum.
        meaning: one sentence for readers of a table.
        better: "lower" if less is better, "none" if it only describes the work.
        kind: the only kind of run with this metric, "" for all kinds.
    """

    name: str
    unit: str
    scope: Scope
    meaning: str
    better: Literal["lower", "none"]
    kind: str = ""

    def fits(self, phase: str) -> bool:
        """Return whether a row of that phase may contain this metric."""
        return self.scope == "both" or (self.scope == "run") == (phase == RUN)


def _metric(
    name: str, unit: str, scope: Scope, better: Literal["lower", "none"], meaning: str, *, kind: str = ""
) -> Metric:
    return Metric(name=name, unit=unit, scope=scope, meaning=meaning, better=better, kind=kind)


_TABLE = (
    _metric("failures", "1", "run", "lower", "1 if the run failed in any way, else 0."),
    _metric("wall_ns", "ns", "both", "lower", "Time on the clock; of a run, the sum over its phases."),
    _metric("cpu_ns", "ns", "both", "lower", "Processor time of the process; of a run, the sum over its phases."),
    _metric("fixed_waits", "1", "both", "none", "How often the procedure slept for a fixed time."),
    _metric("fixed_wait_ns", "ns", "both", "none", "Time asked for by those sleeps, contained in wall_ns."),
    _metric(
        "rpcs", "1", "both", "none", "Pubsub RPCs sent between hosts: the work that must be equal in both versions."
    ),
    _metric("connections", "1", "run", "none", "Connected pairs of hosts at the end of the run."),
    _metric("deliveries", "1", "run", "none", "Messages handed to subscriptions."),
    _metric("tasks_created", "1", "both", "lower", "Tasks created on the event loop."),
    _metric(
        "tasks_final", "1", "run", "lower", "Tasks alive at the end of the last phase, before the hosts are closed."
    ),
    _metric("peak_rss_bytes", "bytes", "run", "lower", "Largest resident memory of the process during the run."),
    _metric("start_rss_bytes", "bytes", "run", "none", "Resident memory after imports and warm-up, before the run."),
    _metric(
        "warmup_wall_ns", "ns", "run", "none", "Time of the small warm-up run, kept apart from the run; 0 without one."
    ),
    _metric("gc_collections", "1", "run", "lower", "Collections by the cyclic garbage collector during the run."),
    _metric("gc_wall_ns", "ns", "both", "lower", "Time spent in those collections, contained in wall_ns."),
    _metric("gc_collected_objects", "1", "run", "lower", "Objects in reference cycles freed by those collections."),
    _metric(
        "page_faults", "1", "run", "none", "Minor page faults during the run: it shows the regime of the allocator."
    ),
    _metric("involuntary_switches", "1", "run", "none", "Times the kernel took the processor away: a sign of noise."),
    _metric(
        "time_slices",
        "1",
        "run",
        "none",
        "Time slices of the run, interleaved with those of the others in its pair; 0 for a run by itself.",
    ),
    _metric(
        "watched_ns",
        "ns",
        "run",
        "none",
        "Time in which the machine was watched: from the start of the workers of the pair to their end.",
    ),
    _metric("others_cpu_ns", "ns", "run", "none", "Processor time of other processes in that time: a sign of noise."),
    _metric(
        "steal_ns",
        "ns",
        "run",
        "none",
        "Time in which the hypervisor withheld processors meanwhile, over all processors: a sign of noise.",
    ),
    _metric(
        "paused_ns", "ns", "run", "none", "Time in which the run stood still for them, contained in no other time."
    ),
    _metric(
        "allocated_bytes",
        "bytes",
        "run",
        "lower",
        "What the traced memory grew by from one call or return to the next, added up over the run.",
        kind="memory",
    ),
    _metric("peak_traced_bytes", "bytes", "run", "lower", "Most traced memory alive at a time.", kind="memory"),
    _metric(
        "final_traced_bytes",
        "bytes",
        "run",
        "lower",
        "Traced memory alive at the end of the last phase, before the hosts are closed.",
        kind="memory",
    ),
    _metric(
        "freed_bytes",
        "bytes",
        "run",
        "none",
        "What of the final memory is given back by closing the hosts and a garbage collection.",
        kind="memory",
    ),
    _metric(
        "calls",
        "1",
        "both",
        "lower",
        "Calls of Python functions, of C functions by Python, and resumptions of coroutines.",
        kind="calls",
    ),
    _metric("turns", "1", "run", "none", "Turns of the event loop in the phase `rand msgs`.", kind="lag"),
    _metric(
        "longest_turn_ns",
        "ns",
        "run",
        "lower",
        "Longest time between two turns of the event loop in the phase `rand msgs`.",
        kind="lag",
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({entry.name: entry for entry in _TABLE})
"""Every metric by name, in the order in which tables show them."""


def metric(name: str) -> Metric:
    """Look up a metric.

    Args:
        name: the name as stored.

    Returns:
        Its entry in the table.

    Raises:
        KeyError: there is no such metric; the message lists those that exist.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise KeyError(f"no metric {name!r}; there are {', '.join(METRICS)}") from None
