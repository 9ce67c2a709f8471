"""The control: a version against itself, per cell and over the grid, beside the ratios to the base. Tables and figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pubsub_sim.report.display import Absent, Picture, Prose, Several, Table
from pubsub_sim.report.formatting import NOTHING, count_things, format_code, format_ratio, to_json
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import estimate_cells, estimate_over_grid, pair_control, pair_version
from pubsub_sim.report.style import WIDTH, choose_look, drawing, render
from pubsub_sim.report.tables import find_control_version
from pubsub_sim.results.intervals import UNKNOWN, Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep
    from pubsub_sim.results.intervals import Estimate


Cell = tuple[int, int]


@dataclass(frozen=True)
class Beside:
    """A quantity's ratios and the control's.

    Attributes:
        quantity: what of the runs.
        version: who is compared with the base.
        cells: hosts and messages to the ratio of a version to itself, and that of the version to the base.
        control: geometric mean over the grid of a version to itself.
        ratio: that of the version to the base.
    """

    quantity: Quantity
    version: str
    cells: dict[Cell, tuple[Estimate, Estimate]]
    control: Estimate
    ratio: Estimate

    @property
    def holding_one(self) -> int:
        """In how many cells the control's interval holds 1."""
        return sum(_holds_one(itself) for itself, _ in self.cells.values())

    @property
    def apart(self) -> int:
        """In how many cells the interval of the ratio and that of the control have nothing in common."""
        return sum(are_apart(*both) for both in self.cells.values())

    @property
    def judged(self) -> int:
        """In how many cells both have an interval."""
        return sum(itself.has_interval and found.has_interval for itself, found in self.cells.values())


def are_apart(one: Estimate, other: Estimate) -> bool:
    """Say whether two intervals have nothing in common; False if one of them is unknown."""
    known = one.has_interval and other.has_interval
    return known and (one.low > other.high or other.low > one.high)


def compare_with_control(sweep: Sweep) -> list[Beside]:
    """Set the ratios of the headline beside those of a version to itself; nothing for a sweep without control runs."""
    found = []
    for quantity in (QUANTITIES[name] for name in HEADLINE):
        itself = pair_control(sweep, quantity)
        own = {(cell.hosts, cell.messages): cell.ratio for cell in estimate_cells(itself)}
        for version in sweep.others if own else ():
            paired = pair_version(sweep, version, quantity)
            theirs = {(cell.hosts, cell.messages): cell.ratio for cell in estimate_cells(paired)}
            cells = {cell: (own.get(cell, UNKNOWN), theirs.get(cell, UNKNOWN)) for cell in sweep.cells}
            found.append(Beside(quantity, version, cells, estimate_over_grid(itself), estimate_over_grid(paired)))
    return found


def describe(sweep: Sweep) -> Prose:
    """Say whether a version's ratio stands apart from that of a version to itself, over the grid and by cells."""
    found = compare_with_control(sweep)
    if not found:
        return Absent("This sweep has no control beside another version.")
    return Prose("\n".join(_describe_entry(sweep, entry) for entry in found))


def show_cells(sweep: Sweep) -> Several | Absent:
    """Give the ratio and the control of each cell."""
    found = compare_with_control(sweep)
    if not found:
        return Absent("This sweep has no control beside another version.")
    return Several([part for entry in found for part in (_title(sweep, entry), _table(sweep, entry))])


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give what stands beside the ratios of the headline as JSON values, per quantity and version."""
    return [
        {"quantity": entry.quantity.name, "version": entry.version, "over": sweep.base, "unit": "1"}
        | {"itself": to_json(entry.control), "ratio": to_json(entry.ratio)}
        | {"cells_judged": entry.judged, "cells_apart": entry.apart, "control_holding_one": entry.holding_one}
        | {
            "cells": [
                {"hosts": hosts, "messages": messages, "itself": to_json(itself), "ratio": to_json(found)}
                for (hosts, messages), (itself, found) in entry.cells.items()
            ]
        }
        for entry in compare_with_control(sweep)
    ]


def _describe_entry(sweep: Sweep, entry: Beside) -> str:
    apart = "do not overlap" if are_apart(entry.control, entry.ratio) else "overlap"
    own = format_code(find_control_version(sweep))
    compared = f"{format_code(entry.version)} / {format_code(sweep.base)}"
    return (
        f"- {entry.quantity.title}: {compared} is {format_ratio(entry.ratio)}, {own} against itself "
        f"{format_ratio(entry.control)}. Over the grid the two intervals {apart}. Cell by cell they do not overlap in "
        f"{entry.apart:,} of {count_things(entry.judged, 'cell')}, and the control's interval holds 1 in {entry.holding_one:,}."
    )


def _title(sweep: Sweep, entry: Beside) -> Prose:
    return Prose(
        f"**{entry.quantity.title}**: {format_code(entry.version)} / {format_code(sweep.base)}, and the control: median paired ratios"
    )


def _table(sweep: Sweep, entry: Beside) -> Table:
    itself = f"{format_code(find_control_version(sweep))} / itself"
    columns = [
        "hosts",
        "messages",
        itself,
        f"{format_code(entry.version)} / {format_code(sweep.base)}",
        "intervals overlap",
    ]
    rows = [
        [f"{cell[0]:,}", f"{cell[1]:,}", _shown(both[0]), _shown(both[1]), _apart(*both)]
        for cell, both in entry.cells.items()
    ]
    rows.append(["all", "all", _shown(entry.control), _shown(entry.ratio), _apart(entry.control, entry.ratio)])
    return Table(columns, rows, words=0)


def _shown(value: Estimate) -> str:
    return format_ratio(value) if value.is_known else NOTHING


def _apart(one: Estimate, other: Estimate) -> str:
    if not (one.has_interval and other.has_interval):
        return NOTHING
    return "no" if are_apart(one, other) else "yes"


def _holds_one(value: Estimate) -> bool:
    return value.has_interval and value.low <= 1 <= value.high


CONTROL: Mapping[str, str] = {"color": "#777777", "marker": "D"}
"""Look of a version against itself."""

_ROW = 0.15
_HEAD = 1.0
_APART = 0.17


def draw_ratios(sweep: Sweep) -> Picture | Prose:
    """Draw the ratios of the headline and the control's, a panel per quantity, a row per cell.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence for a sweep without control runs.
    """
    found = compare_with_control(sweep)
    if not found:
        return Absent("This sweep has no control beside another version, so there is nothing to draw.")
    names = list(dict.fromkeys(entry.quantity.name for entry in found))
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _ROW * (len(sweep.cells) + 1)), layout="constrained")
        panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
        for name, panel in zip(names, panels, strict=True):
            own = [entry for entry in found if entry.quantity.name == name]
            _panel(panel, sweep, own)
            panel.set_title(own[0].quantity.title.replace("`", ""))
        looks: dict[str, Mapping[str, str]] = {f"{find_control_version(sweep)} / itself": CONTROL}
        looks |= {f"{entry.version} / {sweep.base}": _mark(sweep, entry.version) for entry in found}
        handles = [
            Line2D([], [], label=label, linestyle="", markersize=4, color=style["color"], marker=style["marker"])
            for label, style in looks.items()
        ]
        handles.append(Line2D([], [], label="1: no difference", color="#444444", linewidth=0.7))
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=1.5)
        caption = (
            "Ratio of each cell, and at the bottom the geometric mean over all cells. Mark: median paired ratio; line: its 95 % "
            "interval. Where the two lines of a row overlap, the ratio cannot be distinguished from noise."
        )
        return render(figure, "control", caption)


def _panel(panel: Axes, sweep: Sweep, entries: list[Beside]) -> None:
    rows = len(sweep.cells)
    for place, cell in enumerate(sweep.cells):
        _interval(panel, place, entries[0].cells[cell][0], CONTROL)
        for order, entry in enumerate(entries, start=1):
            _interval(panel, place + order * _APART * 2, entry.cells[cell][1], _mark(sweep, entry.version))
    _interval(panel, rows + 0.5, entries[0].control, CONTROL)
    for order, entry in enumerate(entries, start=1):
        _interval(panel, rows + 0.5 + order * _APART * 2, entry.ratio, _mark(sweep, entry.version))
    panel.axvline(1, color="#444444", linewidth=0.7, zorder=1)
    labels = [f"{hosts:,} hosts, {messages:,} msgs" for hosts, messages in sweep.cells]
    panel.set_yticks(
        [*(place + _APART for place in range(rows)), rows + 0.5 + _APART], [*labels, "all cells"], fontsize=6.5
    )
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(rows + 1.3, -0.6)
    panel.grid(visible=True, axis="x")
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("ratio")


def _interval(panel: Axes, place: float, value: Estimate, style: Mapping[str, str]) -> None:
    if value.has_interval:
        panel.plot([value.low, value.high], [place, place], color=style["color"], linewidth=1, zorder=2)
    if value.is_known:
        panel.plot(
            [value.value], [place], color=style["color"], marker=style["marker"], markersize=3.2, mew=0, zorder=3
        )


def _mark(sweep: Sweep, version: str) -> dict[str, str]:
    style = choose_look(sweep.versions.index(version))
    return {"color": str(style["color"]), "marker": str(style["marker"])}
