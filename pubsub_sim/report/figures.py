"""Figures of quantities over messages: a panel per number of hosts, a line per version."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pubsub_sim.report.display import Absent, Picture, Prose, Table
from pubsub_sim.report.formatting import count_things, format_code, join_words
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import estimate_cell_median
from pubsub_sim.report.style import WIDTH, choose_look, drawing, make_panels, pick_evenly, render

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep


_TALL = 2.15
_LABEL = 22
_TICK_DISTANCE = 0.19


def draw_medians(sweep: Sweep, name: str) -> Picture | Prose:
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
        figure, axes = make_panels(len(sweep.hosts), _TALL)
        for hosts, panel in zip(sweep.hosts, axes, strict=True):
            panel.set_title(count_things(hosts, "host"))
            draw_lines(panel, sweep, quantity, hosts)
            set_message_ticks(panel, sweep.messages)
        axes[0].set_ylabel(textwrap.fill(f"{quantity.title.replace('`', '')} ({quantity.unit})", _LABEL))
        finish(figure, sweep)
        return render(figure, name, f"{quantity.title} over messages. {_explain_band(sweep)}")


def _explain_band(sweep: Sweep) -> str:
    return f"Line: {sweep.center}; band: its 95 % interval; dots: runs. Each panel has its own scale from zero."


def _nothing(quantity: Quantity) -> Prose:
    return Absent(f"No run has a value for {quantity.title}, so there is nothing to draw.")


def draw_lines(panel: Axes, sweep: Sweep, quantity: Quantity, hosts: int, *, with_dots: bool = True) -> None:
    """Draw a quantity over messages for one number of hosts: a line per version, on a scale from zero.

    The axis over messages, which panels may share, is left as it is: see `set_message_ticks`.

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


def _dots(panel: Axes, sweep: Sweep, quantity: Quantity, version: str, hosts: int, number: int) -> None:
    shift = (number - (len(sweep.versions) - 1) / 2) * 0.016 * _span(sweep.messages)
    runs = sweep.of(version, kind=quantity.kind)
    values = quantity.of(runs).where(runs["hosts"] == hosts)
    style = {"color": choose_look(number)["color"], "alpha": 0.35, "markersize": 4, "mew": 0}
    # as pixels: hundreds of vector dots would make the page a hundred kilobytes larger, and no clearer
    panel.plot(runs["messages"] + shift, values, ".", rasterized=True, **style)


def _line(panel: Axes, sweep: Sweep, quantity: Quantity, version: str, hosts: int, number: int) -> None:
    style = choose_look(number)
    found = [
        (messages, estimate_cell_median(sweep, version, (hosts, messages), quantity)) for messages in sweep.messages
    ]
    known = [(messages, value) for messages, value in found if value.is_known]
    xs, middle = [messages for messages, _ in known], [value.value for _, value in known]
    panel.plot(xs, middle, label=version, mew=0, mec="w", **style)
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


def set_message_ticks(panel: Axes, messages: list[int]) -> None:
    """Let an axis over messages name as many numbers of messages as there is room for, and end a little outside them.

    Once for panels that share their axis: each call goes through all of them.
    """
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
    # each label asks all that it is aligned with for their ticks, so the axes without one stay out
    figure.align_ylabels([panel for panel in figure.axes if panel.get_ylabel()])
    handles: dict[str, Artist] = {}
    for panel in figure.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    names = [name for name in sweep.versions if name in handles]
    band = Patch(facecolor="#444444", alpha=0.2, linewidth=0)
    figure.legend(
        [*(handles[name] for name in names), band],
        [*names, "95 % interval"],
        loc="outside upper left",
        ncols=len(names) + 1,
        handlelength=3,
    )


_HEIGHT = 0.98
_HEAD = 0.75
_MOST = 5


@dataclass(frozen=True)
class Chart:
    """One of the nine.

    Attributes:
        file: name of its file there.
        title: its title there, with tasks for goroutines.
        quantity: name of the quantity that it shows here, "" for the failures of a version.
    """

    file: str
    title: str
    quantity: str = ""


CHARTS = (
    Chart("time", "Test duration", "duration"),
    Chart("go-created", "Created tasks", "tasks-created"),
    Chart("go-final", "Final tasks", "tasks-final"),
    Chart("mem-alloc", "Allocated memory", "allocated"),
    Chart("mem-max", "Memory ceiling", "peak-traced"),
    Chart("mem-final", "Final memory", "final-traced"),
    Chart("mem-gc", "GCed memory", "freed"),
)
"""The charts of quantities, in the order of the original's report; one of failures per version follows."""


OTHERS = ("cpu", "cpu-per-rpc", "calls", "lag", "memory")
"""Quantities that the original has no chart of."""


def list_charts(sweep: Sweep) -> list[Chart]:
    """Give the charts that a sweep has numbers for: those of quantities, then the failures, the base's last as there."""
    found = [chart for chart in CHARTS if _is_measured(sweep, chart)]
    versions = [*sweep.others, sweep.base] if sweep.versions else []
    return found + [Chart(f"failures-{version}", f"Failed runs, {version}") for version in versions]


def draw_nine_charts(sweep: Sweep) -> Picture | Prose:
    """Draw the charts.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if no run ended well.
    """
    if not (sweep.runs["outcome"] == "ok").any():
        return Absent("Every run failed, so there are no medians to draw.")
    return _picture(sweep, "nine-charts", list_charts(sweep), _caption(sweep))


def draw_other_charts(sweep: Sweep) -> Picture | Prose:
    """Draw, in the same form, what the original does not show.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if no run has such a quantity.
    """
    found = [Chart(name, QUANTITIES[name].title.replace("`", ""), name) for name in OTHERS]
    found = [chart for chart in found if _is_measured(sweep, chart)]
    if not found:
        return Absent("No run has a value of another quantity.")
    text = f"Line: {sweep.center}; band: its 95 % interval. Each panel has its own scale from zero."
    return _picture(
        sweep, "more-medians", found, f"Quantities that the original benchmark does not chart. {text}{_hidden(sweep)}"
    )


def _picture(sweep: Sweep, name: str, rows: list[Chart], caption: str) -> Picture:
    columns = pick_evenly(sweep.hosts, _MOST)
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _HEIGHT * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex="col")
        for chart, panels in zip(rows, grid, strict=True):
            for hosts, panel in zip(columns, panels, strict=True):
                _panel(panel, sweep, chart, hosts)
                panel.tick_params(axis="x", length=3 if chart is rows[-1] else 0)
            panels[0].set_ylabel(_label(chart), fontsize=7.5)
        for panel in grid[0]:
            set_message_ticks(panel, sweep.messages)
        for hosts, panel in zip(columns, grid[0], strict=True):
            panel.set_title(count_things(hosts, "host"))
        finish(figure, sweep)
        return render(figure, name, caption)


def tabulate_charts(sweep: Sweep) -> Table:
    """Say what stands for each of the original's charts, and whether this sweep measured it."""
    rows = []
    for chart in CHARTS:
        quantity = QUANTITIES[chart.quantity]
        drawn = "yes" if _is_measured(sweep, chart) else "not measured"
        rows.append([format_code(chart.file), chart.title, quantity.title, quantity.unit, drawn])
    failures = [chart for chart in list_charts(sweep) if not chart.quantity]
    rows += [[format_code(chart.file), chart.title, "Failed runs", "runs", "yes"] for chart in failures]
    return Table(["original chart", "title", "quantity here", "unit", "drawn"], rows, words=5)


def _is_measured(sweep: Sweep, chart: Chart) -> bool:
    quantity = QUANTITIES[chart.quantity]
    return bool(quantity.of(sweep.of_kind(quantity.kind)).notna().any())


def _panel(panel: Axes, sweep: Sweep, chart: Chart, hosts: int) -> None:
    if chart.quantity:
        draw_lines(panel, sweep, QUANTITIES[chart.quantity], hosts, with_dots=False)
    else:
        _failures(panel, sweep, chart.file.removeprefix("failures-"), hosts)
    panel.tick_params(labelsize=6.5)


def _failures(panel: Axes, sweep: Sweep, version: str, hosts: int) -> None:
    """Draw how many runs of each cell failed, on a scale of all of them."""
    runs = {messages: sweep.of(version, (hosts, messages)) for messages in sweep.messages}
    known = {messages: found for messages, found in runs.items() if len(found)}
    failed = [int((found["outcome"] != "ok").sum()) for found in known.values()]
    panel.plot(list(known), failed, mew=0, clip_on=False, zorder=3, **choose_look(sweep.versions.index(version)))
    panel.set_ylim(0, max((len(found) for found in known.values()), default=1))
    panel.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2, integer=True))


def _label(chart: Chart) -> str:
    if chart.quantity:
        lines = textwrap.wrap(chart.title, 17)
        return "\n".join([*lines, f"({QUANTITIES[chart.quantity].unit})"])
    return chart.title.replace(", ", "\n")


def _caption(sweep: Sweep) -> str:
    missing = [chart.title for chart in CHARTS if not _is_measured(sweep, chart)]
    text = (
        f"The charts of the original benchmark, one per row. Line: {sweep.center}; band: its 95 % interval. Each panel has its own scale "
        "from zero; that of failed runs ends at the number of runs of a cell."
    )
    return text + _hidden(sweep) + (f" This sweep did not measure: {join_words(missing)}." if missing else "")


def _hidden(sweep: Sweep) -> str:
    left_out = [hosts for hosts in sweep.hosts if hosts not in pick_evenly(sweep.hosts, _MOST)]
    return f" Not drawn: {join_words(f'{hosts:,}' for hosts in left_out)} hosts." if left_out else ""
