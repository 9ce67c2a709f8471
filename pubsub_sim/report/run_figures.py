"""Figures of single runs, of phases, and of the ratio in each cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns  # type: ignore[import-untyped] # ships no types
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pubsub_sim.report.display import Absent, Picture, Prose
from pubsub_sim.report.formatting import NOTHING, count_things, format_code, format_ratio_value, join_words
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import estimate_cells, pair_version
from pubsub_sim.report.style import PHASE_COLOURS, WIDTH, choose_look, drawing, make_panels, pick_evenly, render
from pubsub_sim.report.tables import find_control_version
from pubsub_sim.results.intervals import estimate_center, median

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep


_HEIGHT = 0.98
_HEAD = 0.6
_MOST = 5
_SPREAD = 0.62
_CONTROL = {"color": "#777777", "marker": "x"}


def draw_runs(sweep: Sweep, name: str) -> Picture | Prose:
    """Draw a quantity of every run.

    Args:
        sweep: the runs.
        name: of the quantity.

    Returns:
        The figure, `runs-` before the quantity's name, or a sentence if no run has the quantity.
    """
    quantity = QUANTITIES[name]
    if not quantity.of(sweep.of_kind(quantity.kind)).notna().any():
        return Absent(f"No run has a value for {quantity.title}, so there is nothing to draw.")
    strips = _strips(sweep, quantity)
    columns, rows = pick_evenly(sweep.hosts, _MOST), pick_evenly(sweep.messages, _MOST)
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEAD + _HEIGHT * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex="col")
        for messages, panels in zip(rows, grid, strict=True):
            for hosts, panel in zip(columns, panels, strict=True):
                _cell(panel, strips, quantity, (hosts, messages))
            panels[0].set_ylabel(count_things(messages, "message"), fontsize=7.5)
        for panel in grid[-1]:  # a column shares its axis, whose labels are seen only here
            panel.set_xticks(range(len(strips)), [label for label, _, _ in strips], fontsize=6.5)
            panel.set_xlim(-0.6, len(strips) - 0.4)
        for hosts, panel in zip(columns, grid[0], strict=True):
            panel.set_title(count_things(hosts, "host"))
        figure.supylabel(f"{quantity.title.replace('`', '')} ({quantity.unit})", fontsize=8)
        return render(figure, f"runs-{name}", _caption(sweep, quantity, rows, columns))


def _strips(sweep: Sweep, quantity: Quantity) -> list[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Give the strips of each panel from the left: label, runs and look."""
    found = [
        (version, sweep.of(version, kind=quantity.kind), {key: choose_look(number)[key] for key in ("color", "marker")})
        for number, version in enumerate(sweep.versions)
    ]
    if quantity.kind == "timing" and len(sweep.controls):
        own = sweep.controls["version"] == find_control_version(sweep)
        found.insert(1, ("control", sweep.controls.loc[own], dict(_CONTROL)))
    return found


def _cell(
    panel: Axes, strips: list[tuple[str, pd.DataFrame, dict[str, Any]]], quantity: Quantity, cell: tuple[int, int]
) -> None:
    for at, (_, all_runs, style) in enumerate(strips):
        of_cell = (all_runs["hosts"] == cell[0]) & (all_runs["messages"] == cell[1])
        own = all_runs.loc[of_cell].sort_values(["session", "repeat"])
        values = quantity.of(own).to_numpy()
        if not np.isfinite(values).any():
            panel.text(
                at, 0.5, "none", transform=panel.get_xaxis_transform(), ha="center", fontsize=6.5, color="#666666"
            )
            continue
        places = at + (np.linspace(-0.5, 0.5, len(values)) if len(values) > 1 else np.zeros(1)) * _SPREAD
        # as pixels: hundreds of vector dots would make the page a hundred kilobytes larger, and no clearer
        panel.plot(places, values, linestyle="", markersize=3, mew=0.7, alpha=0.75, rasterized=True, **style)
        found = estimate_center(values, own["session"])
        panel.hlines(found.value, at - 0.4, at + 0.4, color="#222222", linewidth=1.1, zorder=3)
        if found.has_interval:
            panel.vlines(at + 0.4, found.low, found.high, color="#222222", linewidth=1.1, zorder=3)
    panel.yaxis.set_major_locator(MaxNLocator(3, min_n_ticks=2, integer=quantity.is_count))
    panel.tick_params(axis="x", length=0)
    panel.tick_params(axis="y", labelsize=6.5)
    panel.margins(y=0.12)


def _caption(sweep: Sweep, quantity: Quantity, rows: list[int], columns: list[int]) -> str:
    text = (
        f"{quantity.title} of every run, one panel per cell; in each strip the runs are in order from left to right. Line: {sweep.center}, "
        "with its 95 % interval at the right. Each panel has its own scale, which does not start at zero."
    )
    if quantity.kind == "timing" and len(sweep.controls):
        text += " Control: the second run of the first version in each pair."
    hidden = [f"{value:,} hosts" for value in sweep.hosts if value not in columns]
    hidden += [f"{value:,} messages" for value in sweep.messages if value not in rows]
    return text + (f" Not drawn: {join_words(hidden)}." if hidden else "")


_MS = 1e6


def draw_phases(sweep: Sweep) -> Picture | Prose:
    """Draw the median time of each phase, for the largest number of messages.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if no run has phases.
    """
    if not sweep.phases or not (sweep.runs["outcome"] == "ok").any():
        return Absent("No run completed, so there are no phases to draw.")
    messages = sweep.messages[-1]
    bars = [(hosts, version) for hosts in sweep.hosts for version in sweep.versions]
    with drawing():
        figure = Figure(figsize=(WIDTH, 1.25 + 0.27 * len(bars)), layout="constrained")
        axes = figure.subplots()
        at, labels = _places(bars, len(sweep.versions))
        for (hosts, version), place in zip(bars, at, strict=True):
            _bar(axes, sweep, version, (hosts, messages), place)
        axes.set_yticks(at, labels)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(at[-1] + 0.6, at[0] - 0.6)
        axes.set_xlabel("median duration of the phases (ms)")
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        keys = [Patch(facecolor=_colour(n), label=name) for n, name in enumerate(sweep.phases)]
        keys.append(Patch(facecolor="white", edgecolor="#444444", hatch="////", label="fixed waits of a phase"))
        figure.legend(handles=keys, loc="outside upper center", ncols=4, handlelength=1.4)
        caption = (
            f"Median time of each phase with {count_things(messages, 'message')}. A bar adds up medians of phases, which is not the median of "
            "the whole duration. Hatched: fixed waits of the procedure."
        )
        return render(figure, "phases", caption)


def _places(bars: list[tuple[int, str]], versions: int) -> tuple[list[float], list[str]]:
    at = [number + 0.5 * (number // versions) * (versions > 1) for number in range(len(bars))]
    return at, [f"{count_things(hosts, 'host')}, {version}" for hosts, version in bars]


def _bar(axes: Axes, sweep: Sweep, version: str, cell: tuple[int, int], place: float) -> None:
    runs = sweep.of(version, cell)
    ok = runs.loc[runs["outcome"] == "ok"]
    left = 0.0
    for number, phase in enumerate(sweep.phases):
        if f"{phase}/wall_ns" not in ok or ok.empty:
            continue
        wall = ok[f"{phase}/wall_ns"] / _MS
        wait = ok[f"{phase}/fixed_wait_ns"] / _MS if f"{phase}/fixed_wait_ns" in ok else wall * 0
        for part, hatch in ((median(wall - wait), ""), (median(wait), "////")):
            if part.is_known and part.value > 0:
                edge = "white" if not hatch else _colour(number)
                face = _colour(number) if not hatch else "white"
                axes.barh(place, part.value, left=left, height=0.8, facecolor=face, edgecolor=edge, hatch=hatch, lw=0.4)
                left += part.value
    if left == 0:
        reason = "not run" if runs.empty else "every run failed"
        axes.text(0, place, f"  {reason}", va="center", fontsize=7, color="#666666")


def _colour(number: int) -> str:
    return PHASE_COLOURS[number % len(PHASE_COLOURS)]


_LEAST_SPAN = math.log(1.25)
"""The colours reach at least 1.25 times, so that noise does not look like a finding."""


def draw_ratio_map(sweep: Sweep) -> Picture | Prose:
    """Draw the ratio of each other version to the base, cell by cell, for the quantities of the headline.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if there is nothing to compare.
    """
    maps = [(version, name, _values(sweep, version, name)) for version in sweep.others for name in HEADLINE]
    known = [entry for entry in maps if not np.isnan(entry[2]).all()]
    if not known:
        return Absent("There is no pair of runs of two versions, so there is no map of ratios.")
    span = max(_LEAST_SPAN, *(float(np.nanmax(np.abs(values))) for _, _, values in known))
    with drawing():
        figure, axes = make_panels(len(known), 0.9 + 0.32 * max(len(sweep.messages), 2), columns=2)
        for panel, (version, name, values) in zip(axes, known, strict=True):
            _map(panel, sweep, values, span)
            title = QUANTITIES[name].title.replace("`", "")
            panel.set_title(title if len(sweep.others) == 1 else f"{version}: {title}")
        caption = (
            f"{join_words(map(format_code, sweep.others))} / {format_code(sweep.base)}, estimated from the paired ratios of each cell. Orange: more than "
            f"{format_code(sweep.base)}; purple: less."
        )
        return render(figure, "ratio", caption)


def _values(sweep: Sweep, version: str, name: str) -> NDArray[np.float64]:
    values = np.full((len(sweep.messages), len(sweep.hosts)), np.nan)
    for cell in estimate_cells(pair_version(sweep, version, QUANTITIES[name])):
        at = sweep.messages.index(cell.messages), sweep.hosts.index(cell.hosts)
        values[at] = math.log(cell.ratio.value)
    return values


def _map(panel: Axes, sweep: Sweep, values: NDArray[np.float64], span: float) -> None:
    sns.heatmap(
        values,
        ax=panel,
        vmin=-span,
        vmax=span,
        cmap="PuOr_r",
        cbar=False,
        linewidths=1.5,
        xticklabels=[f"{value:,}" for value in sweep.hosts],
        yticklabels=[f"{value:,}" for value in sweep.messages],
    )
    panel.invert_yaxis()
    panel.grid(visible=False)
    panel.set_facecolor("#eeeeee")
    panel.tick_params(length=0)
    panel.tick_params(axis="y", rotation=0)
    panel.set_xlabel("hosts")
    panel.set_ylabel("messages")
    for (row, column), value in np.ndenumerate(values):
        text = NOTHING if math.isnan(value) else format_ratio_value(math.exp(value))
        dark = not math.isnan(value) and abs(value) > 0.65 * span
        panel.text(column + 0.5, row + 0.5, text, ha="center", va="center", color="white" if dark else "#222222")
