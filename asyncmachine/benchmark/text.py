"""A run as text for a terminal: three tables of words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncmachine.benchmark.catalogue import WORKLOADS
from asyncmachine.benchmark.contract import CONTRACT, PACE_NS
from asyncmachine.benchmark.figures import costs, figure_of, judged, times_ours, trouble
from asyncmachine.benchmark.workload import FEATURE, OURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncmachine.benchmark.contract import Clause
    from asyncmachine.benchmark.figures import Figure
    from asyncmachine.benchmark.rounds import Results
    from asyncmachine.benchmark.workload import Workload

    Rows = list[list[str]]

_NOTE = f"Reference speed: nanoseconds as on a machine on which an event of transitions takes {PACE_NS:,.0f} ns, converted in each round.\n"


def shown(results: Results) -> str:
    """Give all tables that the run has rows for; cells are medians over rounds, with the least and the greatest."""
    parts = [
        (_features(results), ["cost of a feature", "per", "cost"]),
        (_beside(results), ["task", "who", "how", "per event", "times asyncmachine's"]),
        (_contract(results), ["contract", "figure", "bar", "verdict"]),
    ]
    tables = [_aligned([head, *rows]) for rows, head in parts if rows]
    is_converted = any(clause.pace and set(clause.workloads()) <= set(results.names) for clause in CONTRACT)
    return "\n".join([*tables, _NOTE] if is_converted else tables)


def number(value: float) -> str:
    """Write a number with three significant figures and thousands separators."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def span(figure: Figure | None, unit: str = "") -> str:
    """Write a figure with the least and the greatest in brackets."""
    if figure is None:
        return "-"
    ends = f"{number(figure.low)} to {number(figure.high)}"
    return f"{number(figure.middle)}{' ' + unit if unit else ''} ({ends})"


def _features(results: Results) -> Rows:
    entries = [WORKLOADS[name] for name in results.names if WORKLOADS[name].group == FEATURE]
    return [[entry.title, entry.per, _cost(results, entry)] for entry in entries]


def _beside(results: Results) -> Rows:
    entries = [WORKLOADS[name] for name in results.names if WORKLOADS[name].task]
    rows = []
    for task in dict.fromkeys(entry.task for entry in entries):
        for entry in (entry for entry in entries if entry.task == task):
            ratio = "" if entry.who == OURS else span(times_ours(results, entry.name))
            rows.append([task, entry.who, entry.title, _cost(results, entry), ratio])
    return rows


def _contract(results: Results) -> Rows:
    return [_clause(results, clause) for clause in CONTRACT if set(clause.workloads()) <= set(results.names)]


def _clause(results: Results, clause: Clause) -> list[str]:
    verdict = judged(results, clause)
    unit = "" if clause.unit == "1" else clause.unit
    kind = "at least" if clause.at_least is not None else "at most"
    bar = (
        "-"
        if verdict.bar is None
        else f"{kind} {number(verdict.bar) if clause.noise else format(verdict.bar, ',.6g')}{' ' + unit if unit else ''}"
    )
    if verdict.passes is None:
        why = next((said for name in clause.workloads() if (said := trouble(results, name))), "not measured")
        return [clause.operation, "-", bar, why]
    word = ("pass" if verdict.passes else "miss") + ("" if verdict.is_clear else ", not in every round")
    return [clause.operation, span(verdict.figure, unit), bar, word]


def _cost(results: Results, entry: Workload) -> str:
    return trouble(results, entry.name) or span(figure_of(list(costs(results, entry.name).values())), entry.unit)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], ""])
