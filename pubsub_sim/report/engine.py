"""Estimates from the engine's benchmark samples: costs, ratios inside rounds, and the contract, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.report.intervals import UNKNOWN, Estimate, median
from pubsub_sim.report.wording import number_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pubsub_sim.results import EngineClause, EngineRecord, EngineWorkload

OURS = "asyncmachine"
"""Whose workloads the others are set beside."""


@dataclass(frozen=True)
class Kept:
    """What became of a clause of the contract.

    Attributes:
        figure: what was found; unknown if a workload of it was not measured.
        bar: what it is held against, NaN if that is not known.
        is_met: whether the median keeps the bar; None if that cannot be said.
        is_clear: whether the interval lies on one side of the bar.
    """

    figure: Estimate
    bar: float
    is_met: bool | None
    is_clear: bool


def workload(engine: EngineRecord, name: str) -> EngineWorkload:
    """Give a workload by its name."""
    return next(entry for entry in engine.workloads if entry.name == name)


def costs(engine: EngineRecord, name: str) -> dict[int, float]:
    """Give the cost of one event in each round in which the workload was measured, in its unit."""
    return {
        sample.round: sample.amount / sample.count
        for sample in engine.samples
        if sample.workload == name and sample.outcome == "ok"
    }


def cost(engine: EngineRecord, name: str) -> Estimate:
    """Estimate the cost of one event: the median over the rounds."""
    return median(list(costs(engine, name).values()))


def trouble(engine: EngineRecord, name: str) -> str:
    """Say why a workload has no number, "" if nothing went wrong with it."""
    return next((s.error for s in engine.samples if s.workload == name and s.outcome != "ok"), "")


def own_for(engine: EngineRecord, task: str) -> EngineWorkload | None:
    """Find our workload for a task."""
    return next((entry for entry in engine.workloads if entry.task == task and entry.who == OURS), None)


def times_ours(engine: EngineRecord, other: EngineWorkload) -> Estimate:
    """Estimate how many times our time for the same task another takes for one event: the median of ratios in rounds."""
    own = own_for(engine, other.task)
    return UNKNOWN if own is None else median(_paired(engine, "speed", own.name, other.name))


def figure(engine: EngineRecord, clause: EngineClause) -> Estimate:
    """Estimate the figure of a clause, as its kind says."""
    if clause.figure == "value":
        return cost(engine, clause.own)
    return median(_paired(engine, clause.figure, clause.own, clause.over))


def kept(engine: EngineRecord, clause: EngineClause) -> Kept:
    """Hold the samples against a clause; the median decides."""
    found, bar = figure(engine, clause), _bar(engine, clause)
    if not found.is_known or math.isnan(bar):
        return Kept(found, bar, None, False)
    side = 1 if clause.at_least is not None else -1
    is_met = side * (found.value - bar) >= 0
    ends = (found.low, found.high) if found.has_interval else (found.value,)
    return Kept(found, bar, is_met, all((side * (end - bar) >= 0) == is_met for end in ends))


def summarise(engine: EngineRecord | None) -> dict[str, Any] | None:
    """Give every number of the engine's part of the report as JSON values, None if a sweep has none."""
    if engine is None:
        return None
    return {
        "rounds": engine.rounds,
        "environment": dict(engine.environment),
        "costs": [_cost_entry(engine, entry) for entry in engine.workloads],
        "beside": [
            {"task": entry.task, "who": entry.who, "workload": entry.name, "unit": "1"}
            | numbers(times_ours(engine, entry))
            for entry in engine.workloads
            if entry.task and entry.who != OURS
        ],
        "contract": [_clause_entry(engine, clause) for clause in engine.contract],
    }


def numbers(value: Estimate) -> dict[str, Any]:
    """Give an estimate as JSON values, rounded to six figures; null for what is not known."""
    ends = [number_or_none(value.low), number_or_none(value.high)] if value.has_interval else None
    return {"value": number_or_none(value.value), "interval": ends, "observations": value.observations}


def _cost_entry(engine: EngineRecord, entry: EngineWorkload) -> dict[str, Any]:
    words = {"workload": entry.name, "title": entry.title, "who": entry.who, "per": entry.per, "unit": entry.unit}
    return words | numbers(cost(engine, entry.name)) | {"error": trouble(engine, entry.name)}


def _clause_entry(engine: EngineRecord, clause: EngineClause) -> dict[str, Any]:
    found = kept(engine, clause)
    return (
        {"operation": clause.operation, "figure": clause.figure, "own": clause.own, "over": clause.over}
        | {"unit": clause.unit, "bar": number_or_none(found.bar)}
        | {"bar_is": "at least" if clause.at_least is not None else "at most", "is_met": found.is_met}
        | numbers(found.figure)
    )


def _bar(engine: EngineRecord, clause: EngineClause) -> float:
    given = next((bar for bar in (clause.at_least, clause.at_most) if bar is not None), math.nan)
    if clause.noise is None:
        return given
    noise = median(_paired(engine, "time", *clause.noise))
    ends = (noise.low, noise.high) if noise.has_interval else (noise.value, noise.value)
    return min(given, max(ends[1], 1 / ends[0])) if noise.is_known else math.nan


def _paired(engine: EngineRecord, kind: str, own: str, over: str) -> list[float]:
    """Compare two workloads inside each round in which both were measured."""
    ours, theirs = costs(engine, own), costs(engine, over)
    pairs = [(ours[number], theirs[number]) for number in ours if number in theirs]
    if kind == "speed":
        return [other / one for one, other in pairs]
    if kind == "difference":
        return [one - other for one, other in pairs]
    scale = _events(engine, own) / _events(engine, over)
    return [one / other * scale for one, other in pairs]


def _events(engine: EngineRecord, name: str) -> int:
    return workload(engine, name).events


def versions(engine: EngineRecord) -> Mapping[str, str]:
    """Give the versions of the libraries that were measured."""
    return {name: str(value) for name, value in engine.environment.items() if value is not None}
