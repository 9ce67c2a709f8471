"""The control: a version against itself, per cell and over the grid, beside the ratios to the base. Tables and figure.

Both runs of the base enter the ratios. Whether a ratio is apart from what a version gives against itself is a paired test: the
other version's run less the mean of the base's two runs of the same pair, on the logarithmic scale, against 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pubsub_sim.report.display import Absent, Picture, Prose, Several, Table
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_code,
    format_p_value,
    format_ratio,
    round_number,
    to_json,
)
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import (
    CellRatio,
    estimate_cells,
    estimate_over_grid,
    find_p_value,
    has_sessions,
    pair_control,
    pair_version,
)
from pubsub_sim.report.style import WIDTH, choose_look, drawing, render
from pubsub_sim.report.tables import find_control_version
from pubsub_sim.results.intervals import LEVEL, UNKNOWN, Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep


Cell = tuple[int, int]


@dataclass(frozen=True)
class Compared:
    """A ratio and what a paired test says of it.

    Attributes:
        ratio: of the version to the base, or of the base to itself.
        p_value: of the test of its logarithm against 0; NaN if there are too few pairs.
    """

    ratio: Estimate
    p_value: float

    @property
    def is_judged(self) -> bool:
        """Whether there are enough pairs for a test."""
        return not math.isnan(self.p_value)

    @property
    def is_apart(self) -> bool:
        """Whether the test finds a difference at the level of the intervals."""
        return self.is_judged and self.p_value < 1 - LEVEL / 100


_NOTHING = Compared(UNKNOWN, math.nan)


@dataclass(frozen=True)
class Beside:
    """A quantity's ratios and the control's.

    Attributes:
        quantity: what of the runs.
        version: who is compared with the base.
        cells: hosts and messages to the ratio of a version to itself, and that of the version to the base.
        control: over the grid, a version to itself.
        ratio: that of the version to the base.
        has_sessions: whether the tests are over sessions, and not over the pairs of one.
    """

    quantity: Quantity
    version: str
    cells: dict[Cell, tuple[Compared, Compared]]
    control: Compared
    ratio: Compared
    has_sessions: bool

    @property
    def control_apart(self) -> int:
        """In how many cells the test finds a difference of a version from itself."""
        return sum(itself.is_apart for itself, _ in self.cells.values())

    @property
    def apart(self) -> int:
        """In how many cells the test finds a difference of the version from the base."""
        return sum(found.is_apart for _, found in self.cells.values())

    @property
    def by_chance(self) -> float:
        """In how many cells a test would find a difference on average if there were none."""
        return self.judged * (1 - LEVEL / 100)

    @property
    def judged(self) -> int:
        """In how many cells there are enough pairs for a test of both."""
        return sum(itself.is_judged and found.is_judged for itself, found in self.cells.values())


def compare_with_control(sweep: Sweep) -> list[Beside]:
    """Set the ratios of the headline beside those of a version to itself; nothing for a sweep without control runs."""
    found = []
    for quantity in (QUANTITIES[name] for name in HEADLINE):
        itself = pair_control(sweep, quantity)
        own = {(cell.hosts, cell.messages): cell for cell in estimate_cells(itself)}
        for version in sweep.others if own else ():
            paired = pair_version(sweep, version, quantity)
            theirs = {(cell.hosts, cell.messages): cell for cell in estimate_cells(paired)}
            cells = {cell: (_compared(own.get(cell)), _compared(theirs.get(cell))) for cell in sweep.cells}
            control, ratio = (Compared(estimate_over_grid(rows), find_p_value(rows)) for rows in (itself, paired))
            found.append(Beside(quantity, version, cells, control, ratio, has_sessions(paired)))
    return found


def _compared(cell: CellRatio | None) -> Compared:
    return _NOTHING if cell is None else Compared(cell.ratio, cell.p_value)


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
        | {"itself": _to_json(entry.control), "ratio": _to_json(entry.ratio)}
        | {"cells_judged": entry.judged, "cells_apart": entry.apart, "control_apart": entry.control_apart}
        | {"cells_by_chance": round_number(entry.by_chance)}
        | {
            "cells": [
                {"hosts": hosts, "messages": messages, "itself": _to_json(itself), "ratio": _to_json(found)}
                for (hosts, messages), (itself, found) in entry.cells.items()
            ]
        }
        for entry in compare_with_control(sweep)
    ]


def _to_json(value: Compared) -> dict[str, Any]:
    return to_json(value.ratio) | {"p_value": round_number(value.p_value)}


def _describe_entry(sweep: Sweep, entry: Beside) -> str:
    own, base = format_code(find_control_version(sweep)), format_code(sweep.base)
    over = "over the sessions' means" if entry.has_sessions else "over the pairs of the one session"
    return (
        f"- {entry.quantity.title}: {format_code(entry.version)} / {base} is {format_ratio(entry.ratio.ratio)}, {own} against "
        f"itself {format_ratio(entry.control.ratio)}. In a paired test {over}, in which both runs of {base} count, "
        f"{format_code(entry.version)} {_verdict(entry.ratio)} ({format_p_value(entry.ratio.p_value)}); {own} {_verdict(entry.control)} "
        f"from itself ({format_p_value(entry.control.p_value)}). Cell by cell {format_code(entry.version)} differs in {entry.apart:,} of "
        f"{count_things(entry.judged, 'cell')} and {own} from itself in {entry.control_apart:,}; by chance alone it would be "
        f"{entry.by_chance:.1f} on average."
    )


def _verdict(value: Compared) -> str:
    if not value.is_judged:
        return "has too few pairs for a test"
    return "differs" if value.is_apart else "is not shown to differ"


def _title(sweep: Sweep, entry: Beside) -> Prose:
    return Prose(
        f"**{entry.quantity.title}**: {format_code(entry.version)} / {format_code(sweep.base)}, and the control, from paired ratios"
    )


def _table(sweep: Sweep, entry: Beside) -> Table:
    itself = f"{format_code(find_control_version(sweep))} / itself"
    columns = ["hosts", "messages", itself, f"{format_code(entry.version)} / {format_code(sweep.base)}", "paired test"]
    rows = [
        [f"{cell[0]:,}", f"{cell[1]:,}", _shown(both[0]), _shown(both[1]), format_p_value(both[1].p_value)]
        for cell, both in entry.cells.items()
    ]
    rows.append(["all", "all", _shown(entry.control), _shown(entry.ratio), format_p_value(entry.ratio.p_value)])
    return Table(columns, rows, words=0)


def _shown(value: Compared) -> str:
    return format_ratio(value.ratio) if value.ratio.is_known else NOTHING


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
            "Ratio of each cell, and at the bottom the geometric mean over all cells. Mark: estimate from paired ratios; line: its "
            "95 % interval. Whether a ratio differs from 1 is tested in pairs and not by comparing two lines."
        )
        return render(figure, "control", caption)


def _panel(panel: Axes, sweep: Sweep, entries: list[Beside]) -> None:
    rows = len(sweep.cells)
    for place, cell in enumerate(sweep.cells):
        _interval(panel, place, entries[0].cells[cell][0].ratio, CONTROL)
        for order, entry in enumerate(entries, start=1):
            _interval(panel, place + order * _APART * 2, entry.cells[cell][1].ratio, _mark(sweep, entry.version))
    _interval(panel, rows + 0.5, entries[0].control.ratio, CONTROL)
    for order, entry in enumerate(entries, start=1):
        _interval(panel, rows + 0.5 + order * _APART * 2, entry.ratio.ratio, _mark(sweep, entry.version))
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
