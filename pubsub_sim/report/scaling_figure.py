"""Figure of the power-law fits: medians and fitted lines on logarithmic scales, over hosts and over messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from pubsub_sim.report.ratios import cell_median
from pubsub_sim.report.scaling import AXES, growth, quantities
from pubsub_sim.report.show import Picture, Prose
from pubsub_sim.report.style import WIDTH, drawing, look, picture, spread
from pubsub_sim.report.wording import given, listing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep

_DRAWN = (("duration-net",), ("cpu",), ("tasks-created",), ("allocated", "memory"))
"""What is drawn in each column: the first of these that the sweep has."""

_HEIGHT = 1.75
_MOST_TICKS = 5
_LABELS = {"hosts": "hosts", "messages": "messages in total"}


def fits(sweep: Sweep) -> Picture | Prose:
    """Draw each quantity over hosts and over messages, with the lines of the fits.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if the grid has only one cell or no run ended well.
    """
    axes = [axis for axis in AXES if len(_ticks(sweep, axis)) > 1]
    measured = {quantity.name: quantity for quantity in quantities(sweep)}
    chosen = [next((measured[name] for name in names if name in measured), None) for names in _DRAWN]
    drawn = [quantity for quantity in chosen if quantity is not None]
    if not axes or not drawn:
        return Prose("There are no two cells to fit a line through.")
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEIGHT * len(axes) + 0.4), layout="constrained")
        grid = figure.subplots(len(axes), len(drawn), squeeze=False)
        for axis, panels in zip(axes, grid, strict=True):
            for quantity, panel in zip(drawn, panels, strict=True):
                _panel(panel, sweep, quantity, axis)
        for quantity, panel in zip(drawn, grid[0], strict=True):
            panel.set_title(f"{quantity.title.replace('`', '')}\n({quantity.unit})", fontsize=7.5)
        handles = [Line2D([], [], label=version, **look(n)) for n, version in enumerate(sweep.versions)]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=3)
        return picture(figure, "scaling", _caption(sweep, axes))


def _panel(panel: Axes, sweep: Sweep, quantity: Quantity, axis: str) -> None:
    for order, version in enumerate(sweep.versions):
        style = look(order)
        found = growth(sweep, version, quantity, axis)
        for other in (level for level in spread(list(found.levels), 2) if found.exponent.is_known):
            cells = [(value, other) if axis == AXES[0] else (other, value) for value in _ticks(sweep, axis)]
            values = [cell_median(sweep, version, cell, quantity).value for cell in cells]
            xs = np.array(_ticks(sweep, axis), dtype=np.float64)
            panel.plot(xs, values, color=style["color"], marker=style["marker"], markersize=3.5, linestyle="", mew=0)
            line = found.levels[other] * xs**found.exponent.value
            panel.plot(xs, line, color=style["color"], linestyle=style["linestyle"], linewidth=1)
    panel.set_xscale("log")
    panel.set_yscale("log")
    _scales(panel, _ticks(sweep, axis))
    panel.set_xlabel(_LABELS[axis], fontsize=7)


def _scales(panel: Axes, xs: list[int]) -> None:
    panel.xaxis.set_major_locator(FixedLocator(spread(xs, _MOST_TICKS)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panel.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=20))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: given(value)))
    for side in (panel.xaxis, panel.yaxis):
        side.set_minor_locator(NullLocator())
    low, high = panel.get_ylim()
    if high / low < 3:  # a flat line needs a tick on either side of it, and must not look steep
        middle = (low * high) ** 0.5
        panel.set_ylim(middle / 2.5, middle * 2.5)
    panel.tick_params(labelsize=6.5)


def _ticks(sweep: Sweep, axis: str) -> list[int]:
    return sweep.hosts if axis == AXES[0] else sweep.messages


def _caption(sweep: Sweep, axes: list[str]) -> str:
    held = {"hosts": ("messages", sweep.messages), "messages": ("hosts", sweep.hosts)}
    parts = []
    for axis in axes:
        name, values = held[axis]
        ends = listing(f"{value:,}" for value in spread(values, 2))
        parts.append(f"over {axis} with {ends} {name}")
    return (
        f"Growth on logarithmic scales, {listing(parts)}. Dots: medians; lines: the power fitted to all cells, with the level "
        "of each line. Where the dots leave their line no power describes the growth."
    )
