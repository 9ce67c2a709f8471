"""Sentences and tables of the engine's own cost, of others beside it, and of its contract."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pubsub_sim.report.engine import OURS, cost, costs, kept, times_ours, trouble, versions
from pubsub_sim.report.show import Absent, Prose, Several, Table
from pubsub_sim.report.wording import (
    NOTHING,
    code,
    count,
    estimate,
    given,
    number,
    ratio,
    ratio_of,
)

if TYPE_CHECKING:
    from pubsub_sim.report.engine import Kept
    from pubsub_sim.report.intervals import Estimate
    from pubsub_sim.results import EngineClause, EngineRecord, EngineWorkload


def summary(sweep: str, engine: EngineRecord | None) -> Prose:
    """Say what was measured, where, and how many promises were kept; or that nothing was measured.

    Args:
        sweep: name of the sweep.
        engine: what it has of the engine.
    """
    if engine is None:
        return Prose(
            f"The sweep {code(sweep)} has no benchmark of the engine by itself; "
            f"{code(f'python -m pubsub_sim engine --out {sweep}')} measures it."
        )
    verdicts = [kept(engine, clause).is_met for clause in engine.contract]
    unknown = verdicts.count(None)
    said = f"{verdicts.count(True):,} of the {count(len(verdicts), 'promise')} of its contract are kept"
    if unknown:
        said += f", {unknown:,} could not be judged"
    facts = engine.provenance
    place = [f"Python {engine.environment['python']}", str(facts.get("cpu", "")), _commit(str(facts.get("commit", "")))]
    if facts.get("dirty"):
        place.append("with uncommitted changes")
    load = f", the load average was {given(float(facts['load_average']))}" if "load_average" in facts else ""
    return Prose(
        f"{said}. Each workload was measured in {count(engine.rounds, 'round')} ({', '.join(p for p in place if p)}{load})."
    )


def show(engine: EngineRecord | None) -> Several | Prose:
    """Show all tables of the engine's cost, or say that there are none."""
    if engine is None:
        return Absent("So there are no costs, no comparison and no contract to show.")
    return Several(
        [
            Prose("### Cost of a feature"),
            features(engine),
            Prose("### Beside others"),
            beside(engine),
            Prose("### The contract"),
            contract(engine),
        ]
    )


def features(engine: EngineRecord) -> Table:
    """Give the cost of each feature."""
    rows = [
        [entry.title, entry.per, _cost(engine, entry), entry.unit]
        for entry in engine.workloads
        if entry.group == "feature"
    ]
    return Table(["feature", "per", "cost", "unit"], rows, words=2)


def beside(engine: EngineRecord) -> Table:
    """Set others beside ours, task by task: cost of one event, and how many times ours it is."""
    rows = []
    for task in dict.fromkeys(entry.task for entry in engine.workloads if entry.task):
        for entry in engine.workloads:
            if entry.task == task:
                times = "1" if entry.who == OURS else _times(times_ours(engine, entry))
                who = f"**{entry.who}**" if entry.who == OURS else f"{entry.who} {versions(engine).get(entry.who, '')}"
                rows.append([task, who.strip(), entry.title, _cost(engine, entry), times])
    return Table(["task", "who", "how", "ns per event", "times ours"], rows, words=3)


def contract(engine: EngineRecord) -> Table:
    """Hold what was measured against what was promised."""
    rows = []
    for clause in engine.contract:
        found = kept(engine, clause)
        rows.append([clause.operation, _figure(clause, found), _bar(clause, found), _verdict(engine, clause, found)])
    return Table(["operation", "figure", "bar", "verdict"], rows, words=1)


def _cost(engine: EngineRecord, entry: EngineWorkload) -> str:
    return trouble(engine, entry.name) if not costs(engine, entry.name) else estimate(cost(engine, entry.name))


def _times(value: Estimate) -> str:
    """Write a ratio; large ones with three figures only."""
    return ratio(value) if value.is_known and value.value < 10 else estimate(value)


def _figure(clause: EngineClause, found: Kept) -> str:
    if clause.unit == "1":
        return _times(found.figure)
    text = estimate(found.figure)
    return text if text == NOTHING else f"{text} {clause.unit}"


def _bar(clause: EngineClause, found: Kept) -> str:
    if math.isnan(found.bar):
        return NOTHING
    kind = "at least" if clause.at_least is not None else "at most"
    if clause.noise is not None and found.bar != clause.at_most:
        return f"{kind} {ratio_of(found.bar)}, the noise"
    if clause.unit == "1":
        return f"{kind} {given(found.bar)}"
    return f"{kind} {number(found.bar, exact=True)} {clause.unit}"


def _verdict(engine: EngineRecord, clause: EngineClause, found: Kept) -> str:
    if found.is_met is None:
        names = [clause.own, clause.over, *(clause.noise or ())]
        return next((said for name in names if (said := trouble(engine, name))), "not measured")
    word = "pass" if found.is_met else "**miss**"
    return word if found.is_clear else f"{word}, the interval holds the bar"


def _commit(name: str) -> str:
    return f"commit {name[:12]}" if name else ""
