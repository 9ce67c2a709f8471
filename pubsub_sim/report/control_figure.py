"""Figure of the control: per cell the ratio of a version to itself beside that to the base, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pubsub_sim.report.control import beside
from pubsub_sim.report.show import Absent, Picture, Prose
from pubsub_sim.report.style import WIDTH, drawing, look, picture
from pubsub_sim.report.tables import control_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from pubsub_sim.report.control import Beside
    from pubsub_sim.report.intervals import Estimate
    from pubsub_sim.report.sweep import Sweep

CONTROL: Mapping[str, str] = {"color": "#777777", "marker": "D"}
"""Look of a version against itself."""

_ROW = 0.15
_HEAD = 1.0
_APART = 0.17


def ratios(sweep: Sweep) -> Picture | Prose:
    """Draw the ratios of the headline and the control's, a panel per quantity, a row per cell.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence for a sweep without control runs.
    """
    found = beside(sweep)
    if not found:
        return Absent("Without a control beside another version there is nothing to draw.")
    names = list(dict.fromkeys(entry.quantity.name for entry in found))
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _ROW * (len(sweep.cells) + 1)), layout="constrained")
        panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
        for name, panel in zip(names, panels, strict=True):
            own = [entry for entry in found if entry.quantity.name == name]
            _panel(panel, sweep, own)
            panel.set_title(own[0].quantity.title.replace("`", ""))
        looks: dict[str, Mapping[str, str]] = {f"{control_version(sweep)} / itself": CONTROL}
        looks |= {f"{entry.version} / {sweep.base}": _mark(sweep, entry.version) for entry in found}
        handles = [
            Line2D([], [], label=label, linestyle="", markersize=4, color=style["color"], marker=style["marker"])
            for label, style in looks.items()
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=1.5)
        caption = (
            "Ratios of each cell and, at the bottom, geometric means over all cells. Mark: median of the pairs; line: its 95 % "
            "interval. Where the lines of a row overlap, the ratio is not told apart from the noise."
        )
        return picture(figure, "control", caption)


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
    style = look(sweep.versions.index(version))
    return {"color": str(style["color"]), "marker": str(style["marker"])}
