"""How do the quantities grow with messages and hosts? Small multiples: a panel per number of hosts, a line per version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns  # type: ignore[import-untyped] # ships no types
from matplotlib.ticker import MaxNLocator

from pubsub_sim.report.intervals import median
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.show import Picture, Prose
from pubsub_sim.report.style import COLUMNS, drawing, look, panels, picture, rows_of
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
        _row(sweep, quantity, axes)
        axes[0].set_ylabel(f"{quantity.title.replace('`', '')} ({quantity.unit})")
        _finish(figure, sweep)
        return picture(figure, name, f"{quantity.title} over messages. {_BAND}")


def tasks(sweep: Sweep) -> Picture | Prose:
    """Draw the tasks created and those left at the end, one row each."""
    chosen = [QUANTITIES[name] for name in ("tasks-created", "tasks-final")]
    known = [quantity for quantity in chosen if quantity.of(sweep.runs).notna().any()]
    if not known:
        return _nothing(chosen[0])
    with drawing():
        block = rows_of(len(sweep.hosts)) * min(len(sweep.hosts), COLUMNS)
        figure, axes = panels(block * len(known), _HEIGHT, columns=min(len(sweep.hosts), COLUMNS))
        for number, quantity in enumerate(known):
            own = axes[number * block : (number + 1) * block]
            _row(sweep, quantity, own[: len(sweep.hosts)])
            own[0].set_ylabel(quantity.title)
            for spare in own[len(sweep.hosts) :]:
                spare.set_axis_off()
        _finish(figure, sweep)
        return picture(figure, "tasks", f"Tasks created in all phases, and tasks alive at the end. {_BAND}")


def _nothing(quantity: Quantity) -> Prose:
    return Prose(f"No run has a value for {quantity.title}, so there is nothing to draw.")


def _row(sweep: Sweep, quantity: Quantity, axes: list[Axes]) -> None:
    for hosts, panel in zip(sweep.hosts, axes, strict=True):
        for number, version in enumerate(sweep.versions):
            _line(panel, sweep, quantity, version, hosts, number)
        panel.set_title(count(hosts, "host"))
        panel.set_ylim(0, _top(panel))
        panel.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3, integer=quantity.is_count))
        _message_ticks(panel, sweep.messages)


def _line(panel: Axes, sweep: Sweep, quantity: Quantity, version: str, hosts: int, number: int) -> None:
    style = look(number)
    xs, estimates = [], []
    for messages in sweep.messages:
        values = quantity.of(sweep.of(version, (hosts, messages), quantity.kind)).dropna()
        if values.empty:
            continue
        found = median(values)
        xs.append(messages)
        estimates.append(found)
        shift = (number - (len(sweep.versions) - 1) / 2) * 0.016 * _span(sweep.messages)
        dots = {"color": style["color"], "alpha": 0.35, "markersize": 4, "mew": 0}
        # as pixels: hundreds of vector dots would make the page a hundred kilobytes larger, and no clearer
        panel.plot(np.full(len(values), messages + shift), values, ".", rasterized=True, **dots)
    middle = [found.value for found in estimates]
    sns.lineplot(x=xs, y=middle, ax=panel, label=version, legend=False, mew=0, **style)
    if len(xs) > 1:
        low = [found.low if found.has_interval else found.value for found in estimates]
        high = [found.high if found.has_interval else found.value for found in estimates]
        panel.fill_between(xs, low, high, color=style["color"], alpha=0.2, linewidth=0)
    elif xs and estimates[0].has_interval:
        ends = [[middle[0] - estimates[0].low], [estimates[0].high - middle[0]]]
        panel.errorbar(xs, middle, yerr=ends, fmt="none", color=style["color"], capsize=4, linewidth=1)


def _top(panel: Axes) -> float:
    highest = max((float(np.max(line.get_ydata())) for line in panel.lines), default=0.0)
    return 1.12 * highest or 1.0


def _message_ticks(panel: Axes, messages: list[int]) -> None:
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


def _finish(figure: Figure, sweep: Sweep) -> None:
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
