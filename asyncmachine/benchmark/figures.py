"""Figures of a run: medians with the least and the greatest, ratios inside rounds, and the contract."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from asyncmachine.benchmark.catalogue import WORKLOADS
from asyncmachine.benchmark.contract import DIFFERENCE, SPEED, TIME, VALUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncmachine.benchmark.contract import Clause
    from asyncmachine.benchmark.rounds import Results

    PerRound = Mapping[int, float]


@dataclass(frozen=True)
class Figure:
    """A median over rounds.

    Attributes:
        middle: The median.
        low: The least.
        high: The greatest.
    """

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """What became of a clause.

    Attributes:
        figure: What was found, None if it could not be.
        bar: What it is held against, None if that could not be found.
        passes: Whether the median keeps the bar; None if it cannot be said.
        is_clear: Whether the whole span lies on the same side of the bar.
    """

    figure: Figure | None
    bar: float | None
    passes: bool | None
    is_clear: bool


def figure_of(values: Sequence[float]) -> Figure | None:
    """Give the median, the least and the greatest; None of nothing."""
    return Figure(median(values), min(values), max(values)) if values else None


def costs(results: Results, name: str) -> PerRound:
    """Give the cost of one event in each round in which the workload was measured, in its unit."""
    return {
        entry["round"]: entry["amount"] / entry["count"]
        for entry in results.samples
        if entry["workload"] == name and entry["outcome"] == "ok"
    }


def times_ours(results: Results, name: str) -> Figure | None:
    """Give how many times the time of our workload for the same task one event takes, by rounds."""
    own = next((w.name for w in WORKLOADS.values() if w.task == WORKLOADS[name].task and w.who == "asyncmachine"), "")
    return figure_of(_paired(SPEED, costs(results, own), costs(results, name), (1, 1)))


def judged(results: Results, clause: Clause) -> Verdict:
    """Hold the samples against a clause."""
    found = figure_of(_clause_figures(results, clause))
    bar = clause.at_least if clause.at_least is not None else clause.at_most
    if clause.noise is not None:
        noise = figure_of(_figures(results, TIME, *clause.noise))
        bar = None if noise is None or bar is None else min(bar, max(noise.high, 1 / noise.low))
    if found is None or bar is None:
        return Verdict(found, bar, None, False)
    keeps = [value >= bar if clause.at_least is not None else value <= bar for value in (found.low, found.high)]
    passes = found.middle >= bar if clause.at_least is not None else found.middle <= bar
    return Verdict(found, bar, passes, keeps == [passes, passes])


def trouble(results: Results, name: str) -> str:
    """Say why a workload has no figure, "" if nothing went wrong with it."""
    return next((e["error"] for e in results.samples if e["workload"] == name and e["outcome"] != "ok"), "")


def _clause_figures(results: Results, clause: Clause) -> list[float]:
    """Give the figure in each round; nanoseconds as on the machine for which the bar was set."""
    if not clause.pace:
        return _figures(results, clause.figure, clause.own, clause.over)
    own, pace = costs(results, clause.own), costs(results, clause.pace)
    over = costs(results, clause.over) if clause.over else dict.fromkeys(own, 0.0)
    return [
        (own[number] - over[number]) * clause.pace_ns / pace[number]
        for number in own
        if number in over and number in pace
    ]


def _figures(results: Results, kind: str, own: str, over: str) -> list[float]:
    if kind == VALUE:
        return list(costs(results, own).values())
    events = (WORKLOADS[own].events, WORKLOADS[over].events)
    return _paired(kind, costs(results, own), costs(results, over), events)


def _paired(kind: str, own: PerRound, over: PerRound, events: tuple[int, int]) -> list[float]:
    pairs = [(own[number], over[number]) for number in own if number in over]
    if kind == SPEED:
        return [theirs / ours for ours, theirs in pairs]
    if kind == DIFFERENCE:
        return [ours - theirs for ours, theirs in pairs]
    return [ours * events[0] / (theirs * events[1]) for ours, theirs in pairs]
