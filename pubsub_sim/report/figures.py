"""Figures of quantities over messages and hosts. Small multiples: a panel per number of hosts, a line per version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns  # type: ignore[import-untyped] # ships no types
from matplotlib.ticker import MaxNLocator

from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import cell_median
from pubsub_sim.report.show import Picture, Prose
from pubsub_sim.report.style import drawing, look, panels, picture
from pubsub_sim.report.wording import count

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep

_HEIGHT = 2.35
_BAND = "Line: median; band: its 95 % interval; dots: single runs. Each panel has its own scale from zero."
_TICK_DISTANCE = 0.19


def lines(sweep: Sweep, name: str) -> Picture | Prose:
    """Draw a quantity over messages.

    Args:
        sweep: the runs.
        name: of the quantity, and of the figure's file.

    Returns:
        The figure, or a sentence if no run has the quantity.
    """
    quantity = QUANTITIES[name]
    if not quantity.of(sweep.of_kind(quantity.kind)).notna().any():
        return _nothing(quantity)
    with drawing():
        figure, axes = panels(len(sweep.hosts), _HEIGHT + 0.35)
        for hosts, panel in zip(sweep.hosts, axes, strict=True):
            panel.set_title(count(hosts, "host"))
            growth(panel, sweep, quantity, hosts)
        axes[0].set_ylabel(f"{quantity.title.replace('`', '')} ({quantity.unit})")
        finish(figure, sweep)
        return picture(figure, name, f"{quantity.title} over messages. {_BAND}")


def _nothing(quantity: Quantity) -> Prose:
    return Prose(f"No run has a value for {quantity.title}, so there is nothing to draw.")


def growth(panel: Axes, sweep: Sweep, quantity: Quantity, hosts: int, *, with_dots: bool = True) -> None:
    """Draw a quantity over messages for one number of hosts: a line per version, on a scale from zero.

    Args:
        panel: where to.
        sweep: the runs.
        quantity: what of them.
        hosts: of which number of hosts.
        with_dots: whether each single run is shown too.
    """
    for number, version in enumerate(sweep.versions):
        if with_dots:
            _dots(panel, sweep, quantity, version, hosts, number)
        _line(panel, sweep, quantity, version, hosts, number)
    panel.set_ylim(0, _top(panel))
    panel.yaxis.set_major_locator(MaxNLocator(5 if with_dots else 3, min_n_ticks=3, integer=quantity.is_count))
    message_ticks(panel, sweep.messages)


def _dots(panel: Axes, sweep: Sweep, quantity: Quantity, version: str, hosts: int, number: int) -> None:
    shift = (number - (len(sweep.versions) - 1) / 2) * 0.016 * _span(sweep.messages)
    runs = sweep.of(version, kind=quantity.kind)
    values = quantity.of(runs).where(runs["hosts"] == hosts)
    style = {"color": look(number)["color"], "alpha": 0.35, "markersize": 4, "mew": 0}
    # as pixels: hundreds of vector dots would make the page a hundred kilobytes larger, and no clearer
    panel.plot(runs["messages"] + shift, values, ".", rasterized=True, **style)


def _line(panel: Axes, sweep: Sweep, quantity: Quantity, version: str, hosts: int, number: int) -> None:
    style = look(number)
    found = [(messages, cell_median(sweep, version, (hosts, messages), quantity)) for messages in sweep.messages]
    known = [(messages, value) for messages, value in found if value.is_known]
    xs, middle = [messages for messages, _ in known], [value.value for _, value in known]
    sns.lineplot(x=xs, y=middle, ax=panel, label=version, legend=False, mew=0, **style)
    low = [value.low if value.has_interval else value.value for _, value in known]
    high = [value.high if value.has_interval else value.value for _, value in known]
    if len(xs) > 1:
        panel.fill_between(xs, low, high, color=style["color"], alpha=0.2, linewidth=0)
    elif low != high:
        ends = [[middle[0] - low[0]], [high[0] - middle[0]]]
        panel.errorbar(xs, middle, yerr=ends, fmt="none", color=style["color"], capsize=4, linewidth=1)


def _top(panel: Axes) -> float:
    highest = max((float(np.nanmax(line.get_ydata(), initial=0.0)) for line in panel.lines), default=0.0)
    return 1.12 * highest or 1.0


def message_ticks(panel: Axes, messages: list[int]) -> None:
    """Let an axis over messages name as many numbers of messages as there is room for, and end a little outside them."""
    shown = [messages[0]]
    for value in messages[1:-1]:
        if min(value - shown[-1], messages[-1] - value) >= _TICK_DISTANCE * _span(messages):
            shown.append(value)
    shown += messages[-1:] if len(messages) > 1 else []
    panel.set_xticks(shown, [f"{value:,}" for value in shown])
    edge = 0.12 * _span(messages)
    panel.set_xlim(messages[0] - edge, messages[-1] + edge)


def _span(messages: list[int]) -> float:
    return float(messages[-1] - messages[0]) or max(float(messages[0]), 1.0)


def finish(figure: Figure, sweep: Sweep) -> None:
    """Name the axis over messages once, and the versions in a legend outside the panels."""
    figure.supxlabel("messages in total", fontsize=8)
    figure.align_ylabels()
    handles: dict[str, Artist] = {}
    for panel in figure.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        [handles[name] for name in sweep.versions if name in handles],
        [name for name in sweep.versions if name in handles],
        loc="outside upper left",
        ncols=len(handles),
        handlelength=3,
    )
