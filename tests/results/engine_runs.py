"""Records of the engine's benchmark, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pubsub_sim.results import EngineClause, EngineRecord, EngineSample, EngineWorkload

TOGGLE = "a state on and off"
WORKLOADS = (
    EngineWorkload("bare", "add and remove", "feature", "mutation", 2, "ns", "asyncmachine", TOGGLE),
    EngineWorkload("handlers", "two handlers", "feature", "mutation", 2, "ns", "asyncmachine", ""),
    EngineWorkload("pulse", "a Multi state", "feature", "pulse", 1, "ns", "asyncmachine", ""),
    EngineWorkload("bytes", "one of 1,000 machines", "feature", "machine", 1000, "bytes", "asyncmachine", ""),
    EngineWorkload("theirs", "Machine", "beside", "event", 1, "ns", "transitions", TOGGLE),
    EngineWorkload("by-hand", "a flag", "beside", "event", 1, "ns", "hand-written", TOGGLE),
    EngineWorkload("again", "two handlers again", "support", "mutation", 2, "ns", "asyncmachine", ""),
)
CONTRACT = (
    EngineClause("add, then remove", "bare", "speed", "theirs", 20.0, None, None, "1"),
    EngineClause("a pulse", "pulse", "time", "handlers", None, 1.5, None, "1"),
    EngineClause("memory", "bytes", "value", "", None, 2048.0, None, "bytes"),
    EngineClause("two handlers more", "handlers", "difference", "bare", None, 500.0, None, "ns"),
    EngineClause("the same as itself", "again", "time", "handlers", None, 1.1, ["again", "handlers"], "1"),
)
COSTS = {
    "bare": (200, 220, 240),
    "handlers": (1000, 1100, 1200),
    "pulse": (2000, 2420, 2880),
    "bytes": (1_000_000, 1_000_000, 1_000_000),
    "theirs": (6000, 6600, 7200),
    "by-hand": (50, 55, 60),
    "again": (1010, 1100, 1190),
}
"""Workload to the nanoseconds (or bytes) of one iteration in each round."""


def an_engine(
    costs: Mapping[str, Sequence[int]] = COSTS, *, failing: Mapping[str, tuple[str, str]] | None = None
) -> EngineRecord:
    """Give a record.

    Args:
        costs: workload to the amount of one iteration per round.
        failing: workload to the outcome and the sentence of all its samples.
    """
    samples: list[EngineSample] = []
    rounds = max(map(len, costs.values()))
    by_name = {entry.name: entry for entry in WORKLOADS}
    for at in range(rounds):
        for name, amounts in costs.items():
            outcome, error = (failing or {}).get(name, ("ok", ""))
            amount, count = (amounts[at] * 3, by_name[name].events * 3) if outcome == "ok" else (0, 0)
            samples.append(EngineSample(at + 1, len(samples), name, outcome, error, amount, count))
    return EngineRecord(
        rounds=rounds,
        effort={"batch_s": 0.01, "batches": 7},
        environment={"python": "3.11.7", "implementation": "CPython", "transitions": "0.9.3", "other": None},
        workloads=WORKLOADS,
        contract=CONTRACT,
        samples=tuple(samples),
        provenance={"commit": "0123456789ab", "cpu": "A Processor", "load_average": 0.25, "sources": "c0ffee"},
    )
