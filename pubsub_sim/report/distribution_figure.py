"""Figure of every single run: a panel per cell with one dot per run, the versions side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pubsub_sim.report.intervals import median
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.show import Picture, Prose
from pubsub_sim.report.style import WIDTH, drawing, look, picture, spread
from pubsub_sim.report.tables import control_version
from pubsub_sim.report.wording import count, listing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep

_HEIGHT = 0.98
_HEAD = 0.6
_MOST = 5
_SPREAD = 0.62
_CONTROL = {"color": "#777777", "marker": "x"}


def runs(sweep: Sweep, name: str) -> Picture | Prose:
    """Draw a quantity of every run.

    Args:
        sweep: the runs.
        name: of the quantity.

    Returns:
        The figure, `runs-` before the quantity's name, or a sentence if no run has the quantity.
    """
    quantity = QUANTITIES[name]
    if not quantity.of(sweep.of_kind(quantity.kind)).notna().any():
        return Prose(f"No run has a value for {quantity.title}, so there is nothing to draw.")
    strips = _strips(sweep, quantity)
    columns, rows = spread(sweep.hosts, _MOST), spread(sweep.messages, _MOST)
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _HEIGHT * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True)
        for messages, panels in zip(rows, grid, strict=True):
            for hosts, panel in zip(columns, panels, strict=True):
                _cell(panel, strips, quantity, (hosts, messages))
            panels[0].set_ylabel(count(messages, "message"), fontsize=7.5)
        for hosts, panel in zip(columns, grid[0], strict=True):
            panel.set_title(count(hosts, "host"))
        figure.supylabel(f"{quantity.title.replace('`', '')} ({quantity.unit})", fontsize=8)
        return picture(figure, f"runs-{name}", _caption(sweep, quantity, rows, columns))


def _strips(sweep: Sweep, quantity: Quantity) -> list[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Give the strips of each panel from the left: label, runs and look."""
    found = [
        (version, sweep.of(version, kind=quantity.kind), {key: look(number)[key] for key in ("color", "marker")})
        for number, version in enumerate(sweep.versions)
    ]
    if quantity.kind == "timing" and len(sweep.controls):
        own = sweep.controls["version"] == control_version(sweep)
        found.insert(1, ("control", sweep.controls.loc[own], dict(_CONTROL)))
    return found


def _cell(
    panel: Axes, strips: list[tuple[str, pd.DataFrame, dict[str, Any]]], quantity: Quantity, cell: tuple[int, int]
) -> None:
    for at, (_, all_runs, style) in enumerate(strips):
        own = all_runs.loc[(all_runs["hosts"] == cell[0]) & (all_runs["messages"] == cell[1])].sort_values("repeat")
        values = quantity.of(own).to_numpy()
        if not np.isfinite(values).any():
            panel.text(
                at, 0.5, "none", transform=panel.get_xaxis_transform(), ha="center", fontsize=6.5, color="#666666"
            )
            continue
        places = at + (np.linspace(-0.5, 0.5, len(values)) if len(values) > 1 else np.zeros(1)) * _SPREAD
        # as pixels: hundreds of vector dots would make the page a hundred kilobytes larger, and no clearer
        panel.plot(places, values, linestyle="", markersize=3, mew=0.7, alpha=0.75, rasterized=True, **style)
        found = median(values)
        panel.hlines(found.value, at - 0.4, at + 0.4, color="#222222", linewidth=1.1, zorder=3)
        if found.has_interval:
            panel.vlines(at + 0.4, found.low, found.high, color="#222222", linewidth=1.1, zorder=3)
    panel.set_xticks(range(len(strips)), [label for label, _, _ in strips], fontsize=6.5)
    panel.set_xlim(-0.6, len(strips) - 0.4)
    panel.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2, integer=quantity.is_count))
    panel.tick_params(axis="x", length=0)
    panel.tick_params(axis="y", labelsize=6.5)
    panel.margins(y=0.12)


def _caption(sweep: Sweep, quantity: Quantity, rows: list[int], columns: list[int]) -> str:
    text = (
        f"{quantity.title} of every run, a panel per cell, in each strip from the first repeat to the last. Line: median, with its "
        "95 % interval at the right. Each panel has its own scale, which does not start at zero."
    )
    if quantity.kind == "timing" and len(sweep.controls):
        text += " Control: the second run of the first version in each pair."
    hidden = [f"{value:,} hosts" for value in sweep.hosts if value not in columns]
    hidden += [f"{value:,} messages" for value in sweep.messages if value not in rows]
    return text + (f" Not drawn: {listing(hidden)}." if hidden else "")
