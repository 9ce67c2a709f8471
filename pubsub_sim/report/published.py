"""Published ratios beside ours, as table and figure. Only ratios: times of other machines and languages are not compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pubsub_sim.report.display import Absent, Picture, Prose, Table
from pubsub_sim.report.figures import set_message_ticks
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_code,
    format_given,
    format_ratio,
    format_ratio_value,
    join_words,
    round_number,
    to_json,
)
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import estimate_cells, estimate_over_grid, pair_version
from pubsub_sim.report.style import WIDTH, choose_look, drawing, pick_evenly, render
from pubsub_sim.results.intervals import UNKNOWN, Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

    from pubsub_sim.report.ratios import CellRatio
    from pubsub_sim.report.sweep import Sweep


BASE, OTHER = "origin", "states"
"""Names of the two versions in the published figures."""

FAILURES = "failures"
"""Published metric that counts failed runs."""

RUNS_PER_CELL = 15
"""Runs of each version in each published cell."""

NO_FAILURES = "The published figures do not count failures."

COUNTERPARTS = (
    ("duration", "duration, fixed waits included", "duration"),
    ("max_heap", "memory ceiling (Go heap; here resident memory)", "memory"),
    ("max_heap", "memory ceiling (Go heap; here what Python allocates)", "peak-traced"),
    ("allocated", "allocated memory (of the Go heap; here by Python)", "allocated"),
    ("created_tasks", "created tasks", "tasks-created"),
    ("final_tasks", "final tasks", "tasks-final"),
)
"""Published metric, its words, and the quantity that comes closest to it here."""


class Row(NamedTuple):
    """One metric at one number of hosts.

    Attributes:
        metric: its published name.
        words: what it is, in words.
        name: the quantity here.
        hosts: number of hosts.
        mean: geometric mean of the published ratios over the numbers of messages.
        least: the least of them.
        greatest: the greatest.
        ours: the geometric mean of ours.
    """

    metric: str
    words: str
    name: str
    hosts: int
    mean: float
    least: float
    greatest: float
    ours: Estimate


def read_ratios(file: Path) -> pd.DataFrame:
    """Read published figures and divide them.

    Args:
        file: columns version, hosts, messages (empty: the same for all), metric, value, unit.

    Returns:
        Columns metric, hosts, messages, ratio (states over origin); what was published as zero is left out.
    """
    table = _read(file)
    key = ["metric", "hosts", "messages"]
    sides = [table.loc[table["version"] == name, [*key, "value"]] for name in (BASE, OTHER)]
    both = sides[0].merge(sides[1], on=key, suffixes=("_base", "_other"), validate="one_to_one")
    both = both.loc[both["value_base"] > 0]
    return both[key].assign(ratio=both["value_other"] / both["value_base"]).reset_index(drop=True)


def describe_failures(file: Path | None) -> Prose:
    """Say how many of the published runs failed, so that it stands beside ours.

    Args:
        file: the published figures, None for none.
    """
    if file is None:
        return Absent("No published failures were requested.")
    parts = [
        f"{amount:,} of {count_things(runs, 'run')} of {format_code(name)}"
        for name, (amount, runs) in count_failures(file).items()
    ]
    return Prose(f"In the published benchmark {join_words(parts)} failed." if parts else NO_FAILURES)


def _read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, comment="#", dtype={"messages": "Int64"})


def tabulate(sweep: Sweep, file: Path | None, version: str = OTHER) -> Table | Prose:
    """Set the published ratios beside those of a sweep, per number of hosts.

    Args:
        sweep: the runs.
        file: the published figures, None for none.
        version: which version of the sweep plays the part of the published one.
    """
    if file is None:
        return Absent("No published figures were requested.")
    rows = []
    for row in compare(sweep, file, version):
        ours = format_ratio(row.ours) if row.ours.is_known else NOTHING
        rows.append([row.words, f"{row.hosts:,}", format_ratio_value(row.mean), _span(row), ours])
    columns = [
        "quantity",
        "hosts",
        "published, mean",
        "published, range",
        f"here, {format_code(version)} / {format_code(sweep.base)}",
    ]
    return Table(columns, rows)


def compare(sweep: Sweep, file: Path, version: str = OTHER) -> list[Row]:
    """Set the published ratios beside those of a sweep, as numbers.

    Args:
        sweep: the runs.
        file: the published figures.
        version: which version of the sweep plays the part of the published one.
    """
    published = read_ratios(file)
    rows = []
    for metric, words, name in COUNTERPARTS:
        for hosts, group in published.loc[published["metric"] == metric].groupby("hosts", sort=True):
            values = group["ratio"]
            mean = float(np.exp(np.log(values).mean()))
            ours = _ours(sweep, version, name, hosts)
            rows.append(Row(metric, words, name, int(str(hosts)), mean, float(values.min()), float(values.max()), ours))
    return rows


def summarise(sweep: Sweep, file: Path | None) -> list[dict[str, Any]]:
    """Give the published ratios and ours as JSON values; nothing without published figures."""
    if file is None:
        return []
    return [
        {"metric": row.metric, "quantity": row.name, "hosts": row.hosts, "unit": "1"}
        | {"published": round_number(row.mean), "span": [round_number(row.least), round_number(row.greatest)]}
        | {"here": to_json(row.ours)}
        for row in compare(sweep, file)
    ]


def count_failures(file: Path | None) -> dict[str, list[int]]:
    """Count the published runs of each version that failed, and all of them; nothing without published figures."""
    if file is None:
        return {}
    table = _read(file)
    own = table.loc[table["metric"] == FAILURES]
    found = {}
    for name in (BASE, OTHER):
        cells = own.loc[own["version"] == name, "value"]
        if len(cells):
            found[name] = [int(cells.sum()), len(cells) * RUNS_PER_CELL]
    return found


def _ours(sweep: Sweep, version: str, name: str, hosts: object) -> Estimate:
    if name not in QUANTITIES or version not in sweep.others:
        return UNKNOWN
    paired = pair_version(sweep, version, QUANTITIES[name])
    return estimate_over_grid(paired.loc[paired["hosts"] == hosts])


def _span(row: Row) -> str:
    low, high = format_ratio_value(row.least), format_ratio_value(row.greatest)
    return f"{low}\N{EN DASH}{high}" if low != high else low


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


def draw_ratios(sweep: Sweep, file: Path | None, version: str = OTHER) -> Picture | Prose:
    """Draw the published ratios and those of a sweep.

    Args:
        sweep: the runs.
        file: the published figures, None for none.
        version: which version of the sweep plays the part of the published one.

    Returns:
        The figure, or a sentence if there is nothing that both tell.
    """
    if file is None:
        return Absent("No published figures were requested, so there is nothing to draw.")
    published = read_ratios(file)
    hosts = pick_evenly([value for value in sweep.hosts if (published["hosts"] == value).any()], _MOST)
    drawn = [(metric, label, _own_cells(sweep, version, names)) for metric, label, names in _ROWS]
    drawn = [row for row in drawn if row[2]]
    if not hosts or not drawn:
        return Absent("This sweep and the published figures have no ratio in common.")
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _HEIGHT * len(drawn)), layout="constrained")
        grid = figure.subplots(len(drawn), len(hosts), squeeze=False, sharex="col", sharey="row")
        for (metric, label, ours), panels in zip(drawn, grid, strict=True):
            for value, panel in zip(hosts, panels, strict=True):
                theirs = published.loc[(published["metric"] == metric) & (published["hosts"] == value)]
                _panel(panel, sweep, theirs, [cell for cell in ours if cell.hosts == value], version)
            panels[0].set_ylabel(label, fontsize=7.5)
            _scale(panels[0])
        for panel in grid[0]:
            set_message_ticks(panel, sweep.messages)
        for value, panel in zip(hosts, grid[0], strict=True):
            panel.set_title(count_things(value, "host"))
        figure.supxlabel("messages in total", fontsize=8)
        _legend(figure, sweep, version)
        caption = (
            f"Ratio {format_code(version)} / {format_code(sweep.base)} here, with 95 % interval, and ratio of the state-machine version "
            "to the original one as published for Go. Each row has one logarithmic scale. The published number of created tasks "
            "is one for all numbers of messages; a published zero has no ratio."
        )
        return render(figure, "published", caption)


def _own_cells(sweep: Sweep, version: str, names: tuple[str, ...]) -> list[CellRatio]:
    found = (
        estimate_cells(pair_version(sweep, version, QUANTITIES[name])) for name in names if version in sweep.others
    )
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
    style = choose_look(sweep.versions.index(version))
    xs, known = [cell.messages for cell in ours], [cell.ratio for cell in ours]
    panel.plot(xs, [value.value for value in known], mew=0, **style)
    low = [value.low if value.has_interval else value.value for value in known]
    high = [value.high if value.has_interval else value.value for value in known]
    panel.fill_between(xs, low, high, color=style["color"], alpha=0.2, linewidth=0)
    panel.tick_params(labelsize=6.5)


def _scale(panel: Axes) -> None:
    """Make a row's scale logarithmic, with a tick on either side of 1."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.set_ylim(min(low, 1 / _LEAST_SPAN), max(high, _LEAST_SPAN))
    panel.yaxis.set_major_locator(LogLocator(10, subs=(0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 3), numticks=20))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_given(value)))
    panel.yaxis.set_minor_locator(NullLocator())


def _legend(figure: Figure, sweep: Sweep, version: str) -> None:
    handles = [
        Line2D([], [], label=f"{version} / {sweep.base}, here", **choose_look(sweep.versions.index(version))),
        Line2D([], [], label="published for Go", **_THEIRS),
        Line2D([], [], label="1: no difference", color="#444444", linewidth=0.7),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=3)
