"""Figure of the published ratios and ours over messages, a row per quantity. It shows no time or size of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pubsub_sim.report.figures import message_ticks
from pubsub_sim.report.published import OTHER, ratios
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import per_cell, version_pairs
from pubsub_sim.report.show import Picture, Prose
from pubsub_sim.report.style import WIDTH, drawing, look, picture, spread
from pubsub_sim.report.wording import code, count, given

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

    from pubsub_sim.report.ratios import CellRatio
    from pubsub_sim.report.sweep import Sweep

_ROWS = (
    ("duration", "Duration", ("duration",)),
    ("created_tasks", "Created tasks", ("tasks-created",)),
    ("final_tasks", "Final tasks", ("tasks-final",)),
    ("allocated", "Allocated\nmemory", ("allocated",)),
    ("max_heap", "Memory\nceiling", ("peak-traced", "memory")),
)
"""Published metric, the label of its row, and the quantities here: the first of them that a sweep has."""

_THEIRS: Mapping[str, Any] = {"color": "#777777", "marker": "D", "linestyle": ":", "markersize": 3.5}
_HEIGHT = 1.0
_HEAD = 0.75
_MOST = 5
_LEAST_SPAN = 1.3


def beside(sweep: Sweep, file: Path | None, version: str = OTHER) -> Picture | Prose:
    """Draw the published ratios and those of a sweep.

    Args:
        sweep: the runs.
        file: the published figures, None for none.
        version: which version of the sweep plays the part of the published one.

    Returns:
        The figure, or a sentence if there is nothing that both tell.
    """
    if file is None:
        return Prose("So there is no figure of them.")
    published = ratios(file)
    hosts = spread([value for value in sweep.hosts if (published["hosts"] == value).any()], _MOST)
    drawn = [(metric, label, _ours(sweep, version, names)) for metric, label, names in _ROWS]
    drawn = [row for row in drawn if row[2]]
    if not hosts or not drawn:
        return Prose("This sweep and the published figures have no ratio in common.")
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _HEIGHT * len(drawn)), layout="constrained")
        grid = figure.subplots(len(drawn), len(hosts), squeeze=False, sharex=True, sharey="row")
        for (metric, label, ours), panels in zip(drawn, grid, strict=True):
            for value, panel in zip(hosts, panels, strict=True):
                theirs = published.loc[(published["metric"] == metric) & (published["hosts"] == value)]
                _panel(panel, sweep, theirs, [cell for cell in ours if cell.hosts == value], version)
            panels[0].set_ylabel(label, fontsize=7.5)
            _scale(panels[0])
        for value, panel in zip(hosts, grid[0], strict=True):
            panel.set_title(count(value, "host"))
        figure.supxlabel("messages in total", fontsize=8)
        _legend(figure, sweep, version)
        caption = (
            f"Ratios of {code(version)} to {code(sweep.base)} here, with 95 % intervals, and of the state-machine version to the "
            "original one as published; logarithmic, each row on one scale. One published number of tasks stands for all "
            "messages, and one that was published as none has no ratio."
        )
        return picture(figure, "published", caption)


def _ours(sweep: Sweep, version: str, names: tuple[str, ...]) -> list[CellRatio]:
    found = (per_cell(version_pairs(sweep, version, QUANTITIES[name])) for name in names if version in sweep.others)
    return next((cells for cells in found if cells), [])


def _panel(panel: Axes, sweep: Sweep, theirs: pd.DataFrame, ours: list[CellRatio], version: str) -> None:
    panel.axhline(1, color="#444444", linewidth=0.7, zorder=1)
    if theirs["messages"].isna().any():
        panel.plot(
            [sweep.messages[0], sweep.messages[-1]], list(theirs["ratio"]) * 2, mew=0, **{**_THEIRS, "marker": ""}
        )
    else:
        theirs = theirs.loc[theirs["messages"].between(sweep.messages[0], sweep.messages[-1])]
        panel.plot(theirs["messages"].astype("int64"), theirs["ratio"], mew=0, **_THEIRS)
    style = look(sweep.versions.index(version))
    xs, known = [cell.messages for cell in ours], [cell.ratio for cell in ours]
    panel.plot(xs, [value.value for value in known], mew=0, **style)
    low = [value.low if value.has_interval else value.value for value in known]
    high = [value.high if value.has_interval else value.value for value in known]
    panel.fill_between(xs, low, high, color=style["color"], alpha=0.2, linewidth=0)
    message_ticks(panel, sweep.messages)
    panel.tick_params(labelsize=6.5)


def _scale(panel: Axes) -> None:
    """Make a row's scale logarithmic, with a tick on either side of 1."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.set_ylim(min(low, 1 / _LEAST_SPAN), max(high, _LEAST_SPAN))
    panel.yaxis.set_major_locator(LogLocator(10, subs=(0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 3), numticks=20))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: given(value)))
    panel.yaxis.set_minor_locator(NullLocator())


def _legend(figure: Figure, sweep: Sweep, version: str) -> None:
    handles = [
        Line2D([], [], label=f"{version} / {sweep.base}, here", **look(sweep.versions.index(version))),
        Line2D([], [], label="published", **_THEIRS),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=3)
