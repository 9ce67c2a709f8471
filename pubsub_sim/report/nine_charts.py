"""The nine charts of the benchmark that this one follows, drawn of these runs: a row each, a panel per number of hosts.

Its charts hold a line for each version and number of hosts; small multiples keep those apart. What is measured beside the
nine is drawn in the same form.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pubsub_sim.report.figures import finish, growth, message_ticks
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.show import Picture, Prose, Table
from pubsub_sim.report.style import WIDTH, drawing, look, picture, spread
from pubsub_sim.report.wording import code, count, listing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pubsub_sim.report.sweep import Sweep

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


def charts(sweep: Sweep) -> list[Chart]:
    """Give the charts that a sweep has numbers for: those of quantities, then the failures, the base's last as there."""
    found = [chart for chart in CHARTS if _is_measured(sweep, chart)]
    versions = [*sweep.others, sweep.base] if sweep.versions else []
    return found + [Chart(f"failures-{version}", f"Failed runs, {version}") for version in versions]


def medians(sweep: Sweep) -> Picture | Prose:
    """Draw the charts.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if no run ended well.
    """
    if not (sweep.runs["outcome"] == "ok").any():
        return Prose("No run ended well, so there are no medians to draw.")
    return _picture(sweep, "nine-charts", charts(sweep), _caption(sweep))


def others(sweep: Sweep) -> Picture | Prose:
    """Draw, in the same form, what the original does not show.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if no run has such a quantity.
    """
    found = [Chart(name, QUANTITIES[name].title.replace("`", ""), name) for name in OTHERS]
    found = [chart for chart in found if _is_measured(sweep, chart)]
    if not found:
        return Prose("No run has a value of another quantity, so there are no medians of one to draw.")
    text = "Line: median; band: its 95 % interval. Each panel has its own scale from zero."
    return _picture(
        sweep, "more-medians", found, f"What the original does not show, in the same form. {text}{_hidden(sweep)}"
    )


def _picture(sweep: Sweep, name: str, rows: list[Chart], caption: str) -> Picture:
    columns = spread(sweep.hosts, _MOST)
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _HEIGHT * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True)
        for chart, panels in zip(rows, grid, strict=True):
            for hosts, panel in zip(columns, panels, strict=True):
                _panel(panel, sweep, chart, hosts)
                panel.tick_params(axis="x", length=3 if chart is rows[-1] else 0)
            panels[0].set_ylabel(_label(chart), fontsize=7.5)
        for hosts, panel in zip(columns, grid[0], strict=True):
            panel.set_title(count(hosts, "host"))
        finish(figure, sweep)
        return picture(figure, name, caption)


def names(sweep: Sweep) -> Table:
    """Say what stands for each of the original's charts, and whether this sweep measured it."""
    rows = []
    for chart in CHARTS:
        quantity = QUANTITIES[chart.quantity]
        drawn = "yes" if _is_measured(sweep, chart) else "not measured"
        rows.append([code(chart.file), chart.title, quantity.title, quantity.unit, drawn])
    failures = [chart for chart in charts(sweep) if not chart.quantity]
    rows += [[code(chart.file), chart.title, "Runs that did not end well", "runs", "yes"] for chart in failures]
    return Table(["chart there", "title", "quantity here", "unit", "drawn"], rows, words=5)


def _is_measured(sweep: Sweep, chart: Chart) -> bool:
    quantity = QUANTITIES[chart.quantity]
    return bool(quantity.of(sweep.of_kind(quantity.kind)).notna().any())


def _panel(panel: Axes, sweep: Sweep, chart: Chart, hosts: int) -> None:
    if chart.quantity:
        growth(panel, sweep, QUANTITIES[chart.quantity], hosts, with_dots=False)
    else:
        _failures(panel, sweep, chart.file.removeprefix("failures-"), hosts)
    panel.tick_params(labelsize=6.5)


def _failures(panel: Axes, sweep: Sweep, version: str, hosts: int) -> None:
    """Draw how many runs of each cell failed, on a scale of all of them."""
    runs = {messages: sweep.of(version, (hosts, messages)) for messages in sweep.messages}
    known = {messages: found for messages, found in runs.items() if len(found)}
    failed = [int((found["outcome"] != "ok").sum()) for found in known.values()]
    panel.plot(list(known), failed, mew=0, clip_on=False, zorder=3, **look(sweep.versions.index(version)))
    panel.set_ylim(0, max((len(found) for found in known.values()), default=1))
    panel.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2, integer=True))
    message_ticks(panel, sweep.messages)


def _label(chart: Chart) -> str:
    if chart.quantity:
        lines = textwrap.wrap(chart.title, 17)
        return "\n".join([*lines, f"({QUANTITIES[chart.quantity].unit})"])
    return chart.title.replace(", ", "\n")


def _caption(sweep: Sweep) -> str:
    missing = [chart.title for chart in CHARTS if not _is_measured(sweep, chart)]
    text = (
        "The original's charts, a row each. Line: median; band: its 95 % interval. Each panel has its own scale from zero; "
        "that of failed runs ends at all runs of a cell."
    )
    return text + _hidden(sweep) + (f" This sweep did not measure: {listing(missing)}." if missing else "")


def _hidden(sweep: Sweep) -> str:
    left_out = [hosts for hosts in sweep.hosts if hosts not in spread(sweep.hosts, _MOST)]
    return f" Not drawn: {listing(f'{hosts:,}' for hosts in left_out)} hosts." if left_out else ""
