"""The engine's own benchmark: costs, ratios within rounds and the verdicts of its contract. Tables and figure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pubsub_sim.report.display import Absent, Picture, Prose, Table
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_code,
    format_estimate,
    format_given,
    format_number,
    format_ratio,
    format_ratio_value,
    join_words,
    round_number,
    to_json,
)
from pubsub_sim.report.style import WIDTH, choose_look, drawing, render
from pubsub_sim.results.intervals import UNKNOWN, Estimate, median

if TYPE_CHECKING:
    Costs = list[tuple[str, Estimate]]
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from pubsub_sim.results import EngineClause, EngineRecord, EngineWorkload
    from pubsub_sim.results.intervals import Estimate


OURS = "asyncmachine"
"""Whose workloads the others are set beside."""


@dataclass(frozen=True)
class Judgement:
    """What the samples say of a clause of the contract.

    Attributes:
        figure: what was found; unknown if a workload of it was not measured.
        bar: what it is compared with, NaN if that is not known.
        verdict: "pass" or "fail" if the whole interval lies on one side of the bar, "undecided" if the interval holds the bar
            or there is no interval, "" if a workload was not measured.
    """

    figure: Estimate
    bar: float
    verdict: str


def find_workload(engine: EngineRecord, name: str) -> EngineWorkload:
    """Give a workload by its name."""
    return next(entry for entry in engine.workloads if entry.name == name)


def list_costs(engine: EngineRecord, name: str) -> dict[int, float]:
    """Give the cost of one event in each round in which the workload was measured, in its unit."""
    return {
        sample.round: sample.amount / sample.count
        for sample in engine.samples
        if sample.workload == name and sample.outcome == "ok"
    }


def estimate_cost(engine: EngineRecord, name: str) -> Estimate:
    """Estimate the cost of one event: the median over the rounds."""
    return median(list(list_costs(engine, name).values()))


def find_error(engine: EngineRecord, name: str) -> str:
    """Say why a workload has no number, "" if nothing went wrong with it."""
    return next((s.error for s in engine.samples if s.workload == name and s.outcome != "ok"), "")


def find_own(engine: EngineRecord, task: str) -> EngineWorkload | None:
    """Find our workload for a task."""
    return next((entry for entry in engine.workloads if entry.task == task and entry.who == OURS), None)


def compare_with_ours(engine: EngineRecord, other: EngineWorkload) -> Estimate:
    """Estimate how many times our time for the same task another takes for one event: the median of ratios in rounds."""
    own = find_own(engine, other.task)
    return UNKNOWN if own is None else median(_paired(engine, "speed", own.name, other.name))


def estimate_figure(engine: EngineRecord, clause: EngineClause) -> Estimate:
    """Estimate the figure of a clause, as its kind says; nanoseconds as on the machine for which its bar was set."""
    if clause.pace:
        own, pace = list_costs(engine, clause.own), list_costs(engine, clause.pace)
        over = list_costs(engine, clause.over) if clause.over else dict.fromkeys(own, 0.0)
        shared = own.keys() & over.keys() & pace.keys()
        return median([(own[n] - over[n]) * clause.pace_ns / pace[n] for n in sorted(shared)])
    if clause.figure == "value":
        return estimate_cost(engine, clause.own)
    return median(_paired(engine, clause.figure, clause.own, clause.over))


def judge(engine: EngineRecord, clause: EngineClause) -> Judgement:
    """Compare the samples with a clause."""
    found, bar = estimate_figure(engine, clause), _find_bar(engine, clause)
    if not found.is_known or math.isnan(bar):
        return Judgement(found, bar, "")
    if not found.has_interval:
        return Judgement(found, bar, "undecided")
    side = 1 if clause.at_least is not None else -1
    ends = {side * (end - bar) >= 0 for end in (found.low, found.high)}
    return Judgement(found, bar, "undecided" if len(ends) == 2 else "pass" if True in ends else "fail")


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
            | to_json(compare_with_ours(engine, entry))
            for entry in engine.workloads
            if entry.task and entry.who != OURS
        ],
        "contract": [_clause_entry(engine, clause) for clause in engine.contract],
    }


def _cost_entry(engine: EngineRecord, entry: EngineWorkload) -> dict[str, Any]:
    words = {"workload": entry.name, "title": entry.title, "who": entry.who, "per": entry.per, "unit": entry.unit}
    return words | to_json(estimate_cost(engine, entry.name)) | {"error": find_error(engine, entry.name)}


def _clause_entry(engine: EngineRecord, clause: EngineClause) -> dict[str, Any]:
    found = judge(engine, clause)
    return (
        {"operation": clause.operation, "figure": clause.figure, "own": clause.own, "over": clause.over}
        | {"unit": clause.unit, "bar": round_number(found.bar)}
        | {"bar_is": "at least" if clause.at_least is not None else "at most", "verdict": found.verdict or None}
        | to_json(found.figure)
    )


def _find_bar(engine: EngineRecord, clause: EngineClause) -> float:
    given = next((bar for bar in (clause.at_least, clause.at_most) if bar is not None), math.nan)
    if clause.noise is None:
        return given
    noise = median(_paired(engine, "time", *clause.noise))
    ends = (noise.low, noise.high) if noise.has_interval else (noise.value, noise.value)
    return min(given, max(ends[1], 1 / ends[0])) if noise.is_known else math.nan


def _paired(engine: EngineRecord, kind: str, own: str, over: str) -> list[float]:
    """Compare two workloads inside each round in which both were measured."""
    ours, theirs = list_costs(engine, own), list_costs(engine, over)
    pairs = [(ours[number], theirs[number]) for number in ours if number in theirs]
    if kind == "speed":
        return [other / one for one, other in pairs]
    if kind == "difference":
        return [one - other for one, other in pairs]
    scale = _events(engine, own) / _events(engine, over)
    return [one / other * scale for one, other in pairs]


def _events(engine: EngineRecord, name: str) -> int:
    return find_workload(engine, name).events


def list_versions(engine: EngineRecord) -> Mapping[str, str]:
    """Give the versions of the libraries that were measured."""
    return {name: str(value) for name, value in engine.environment.items() if value is not None}


def describe(sweep: str, engine: EngineRecord | None) -> Prose:
    """Say what was measured, where, and what became of the promises; or that nothing was measured.

    Args:
        sweep: name of the sweep.
        engine: what it has of the engine.
    """
    if engine is None:
        command = format_code(f"python -m pubsub_sim engine --out {sweep}")
        return Absent(f"The sweep {format_code(sweep)} has no benchmark of the engine; {command} measures it.")
    verdicts = [judge(engine, clause).verdict for clause in engine.contract]
    parts = [f"{verdicts.count('pass'):,} pass", f"{verdicts.count('fail'):,} fail"]
    parts += [f"{amount:,} are undecided" for amount in [verdicts.count("undecided")] if amount]
    parts += [f"{amount:,} were not measured" for amount in [verdicts.count("")] if amount]
    facts = engine.provenance
    place = [f"Python {engine.environment['python']}", str(facts.get("cpu", "")), _commit(str(facts.get("commit", "")))]
    if facts.get("dirty"):
        place.append("with uncommitted changes")
    if "load_average" in facts:
        place.append(f"load average {format_given(float(facts['load_average']))}")
    return Prose(
        f"Of the {count_things(len(verdicts), 'promise')} in the engine's contract {join_words(parts)}. A promise is undecided if "
        f"the 95 % interval of its figure holds the bar. Each workload was measured in {count_things(engine.rounds, 'round')} "
        f"({', '.join(part for part in place if part)})."
    )


def describe_others(engine: EngineRecord | None) -> Prose:
    """Say how many times the CPU time of ours others take for the same task: for each the range over its tasks."""
    found: dict[str, list[float]] = {}
    for entry in engine.workloads if engine is not None else ():
        times = compare_with_ours(engine, entry) if engine is not None and entry.task and entry.who != OURS else UNKNOWN
        if times.is_known:
            found.setdefault(entry.who, []).append(times.value)
    if not found:
        return Absent("There are no other libraries to compare with.")
    told = [f"{who} {_range(values)} times (in {count_things(len(values), 'task')})" for who, values in found.items()]
    return Prose(
        f"For the same task, others take these multiples of the CPU time of {OURS}: {join_words(told)}. The appendix has each task."
    )


def _range(values: list[float]) -> str:
    low, high = (format_ratio_value(end) if end < 10 else format_number(end) for end in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def show_features(engine: EngineRecord | None) -> Table | Absent:
    """Give the cost of each feature, or say that there is none."""
    return Absent("There are no costs of features to show.") if engine is None else tabulate_features(engine)


def show_tasks(engine: EngineRecord | None) -> Table | Absent:
    """Give the cost of each task, ours and other libraries', or say that there is none."""
    return Absent("There are no tasks to compare.") if engine is None else tabulate_tasks(engine)


def show_contract(engine: EngineRecord | None) -> Table | Absent:
    """Give the verdict on each promise, or say that there is none."""
    return Absent("There is no contract to judge.") if engine is None else tabulate_contract(engine)


def tabulate_features(engine: EngineRecord) -> Table:
    """Give the cost of each feature."""
    rows = [
        [entry.title, entry.per, _cost(engine, entry), entry.unit]
        for entry in engine.workloads
        if entry.group == "feature"
    ]
    return Table(["feature", "per", "cost", "unit"], rows, words=2)


def tabulate_tasks(engine: EngineRecord) -> Table:
    """Compare libraries task by task: cost of one event, and the median over rounds of its ratio to ours."""
    rows = []
    for task in dict.fromkeys(entry.task for entry in engine.workloads if entry.task):
        for entry in engine.workloads:
            if entry.task == task:
                times = "1" if entry.who == OURS else _times(compare_with_ours(engine, entry))
                who = (
                    f"**{entry.who}**"
                    if entry.who == OURS
                    else f"{entry.who} {list_versions(engine).get(entry.who, '')}"
                )
                rows.append([task, who.strip(), entry.title, _cost(engine, entry), times])
    return Table(["task", "who", "how", "ns per event", "ratio to ours"], rows, words=3)


def tabulate_contract(engine: EngineRecord) -> Table:
    """Hold what was measured against what was promised."""
    rows = []
    for clause in engine.contract:
        found = judge(engine, clause)
        rows.append([clause.operation, _figure(clause, found), _bar(clause, found), _verdict(engine, clause, found)])
    return Table(["operation", "figure", "bar", "verdict"], rows, words=1)


def _cost(engine: EngineRecord, entry: EngineWorkload) -> str:
    return (
        find_error(engine, entry.name)
        if not list_costs(engine, entry.name)
        else format_estimate(estimate_cost(engine, entry.name))
    )


def _times(value: Estimate) -> str:
    """Write a ratio; large ones with three figures only."""
    return format_ratio(value) if value.is_known and value.value < 10 else format_estimate(value)


def _figure(clause: EngineClause, found: Judgement) -> str:
    if clause.unit == "1":
        return _times(found.figure)
    text = format_estimate(found.figure)
    return text if text == NOTHING else f"{text} {clause.unit}"


def _bar(clause: EngineClause, found: Judgement) -> str:
    if math.isnan(found.bar):
        return NOTHING
    kind = "at least" if clause.at_least is not None else "at most"
    if clause.noise is not None and found.bar != clause.at_most:
        return f"{kind} {format_ratio_value(found.bar)} (noise)"
    if clause.unit == "1":
        return f"{kind} {format_given(found.bar)}"
    return f"{kind} {format_number(found.bar, exact=True)} {clause.unit}"


def _verdict(engine: EngineRecord, clause: EngineClause, found: Judgement) -> str:
    if not found.verdict:
        names = [clause.own, clause.over, *(clause.noise or ()), clause.pace]
        return next((said for name in names if (said := find_error(engine, name))), "not measured")
    return "**fail**" if found.verdict == "fail" else found.verdict


def _commit(name: str) -> str:
    return f"commit {name[:12]}" if name else ""


_OTHERS = "#777777"
_ROW = 0.19
_TITLE = 0.32


def draw_costs(engine: EngineRecord | None) -> Picture | Prose:
    """Draw the cost of one event for each task, ours and the others'.

    Args:
        engine: the engine's benchmark, None if there is none.

    Returns:
        The figure, or a sentence if there is nothing to draw.
    """
    tasks = _tasks(engine)
    if not tasks:
        return Absent("There are no costs of the engine to draw.")
    heights = [_TITLE + _ROW * len(costs) for costs in tasks.values()]
    with drawing():
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.4), layout="constrained")
        grid = figure.subplots(len(tasks), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})
        for panel, (task, costs) in zip(grid[:, 0], tasks.items(), strict=True):
            _panel(panel, costs)
            panel.set_title(task, loc="left")
            panel.tick_params(axis="x", length=0)
        grid[-1, 0].set_xlabel("CPU time of one event, ns (logarithmic)")
        caption = (
            "CPU time of one event for the same task, on a logarithmic scale. Dot and number: median over rounds; line: its "
            "95 % interval. Orange: asyncmachine; grey: other libraries."
        )
        return render(figure, "engine", caption)


def _tasks(engine: EngineRecord | None) -> dict[str, Costs]:
    found: dict[str, Costs] = {}
    if engine is not None:
        for entry in engine.workloads:
            value = estimate_cost(engine, entry.name)
            if entry.task and value.is_known:
                found.setdefault(entry.task, []).append((entry.who, value))
    return found


def _panel(panel: Axes, costs: Costs) -> None:
    ours = choose_look(1)["color"]
    for at, (who, value) in enumerate(costs):
        if value.has_interval:
            panel.plot([value.low, value.high], [at, at], color="#222222", linewidth=1, zorder=3)
        panel.plot(value.value, at, marker="o", markersize=6, color=ours if who == OURS else _OTHERS)
        end = value.high if value.has_interval else value.value
        panel.annotate(
            format_number(value.value), (end, at), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7
        )
    panel.set_xscale("log")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_yticks(range(len(costs)), [who for who, _ in costs])
    panel.set_ylim(len(costs) - 0.5, -0.5)
    panel.grid(visible=True, axis="both")
    panel.tick_params(axis="y", length=0)
    panel.margins(x=0.12)
