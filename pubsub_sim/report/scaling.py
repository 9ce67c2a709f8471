"""Growth of the cost: exponents of hosts and of messages, fitted by least squares on logarithms. Table and figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from pubsub_sim.report.display import Absent, Picture, Prose, Table
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_code,
    format_exponent,
    format_given,
    format_number,
    join_words,
    round_number,
    to_json,
)
from pubsub_sim.report.quantities import QUANTITIES, Quantity
from pubsub_sim.report.ratios import divide_by_cell, estimate_cell_median, tabulate_sessions
from pubsub_sim.report.style import WIDTH, choose_look, drawing, pick_evenly, render
from pubsub_sim.report.sweep import CELL
from pubsub_sim.results.intervals import (
    UNKNOWN,
    Estimate,
    drawn_medians,
    fill_balanced,
    mean_of_sessions,
    percentiles,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep


WORK = Quantity(
    name="rpcs",
    title="RPCs in `rand msgs`",
    unit="RPCs",
    column="rand msgs/rpcs",
    meaning="RPCs between hosts while messages are sent: the work, which is the same in all versions.",
    is_count=True,
)
"""What the exponents of costs are held against."""

AXES = ("hosts", "messages")
"""What costs are fitted over."""

_SEED = 1


@dataclass(frozen=True)
class Growth:
    """How a quantity grows along one axis, the other one held.

    Attributes:
        version: whose.
        quantity: name of the quantity.
        axis: "hosts" or "messages".
        exponent: b of value = a times axis to the power of b, with one a for each value of the other axis; unknown if
            the axis has one value only.
        worst: the greatest distance of a cell's median from the fit, as a ratio of at least 1.
        levels: value of the other axis to a.
    """

    version: str
    quantity: str
    axis: str
    exponent: Estimate
    worst: float
    levels: dict[int, float]


def list_quantities(sweep: Sweep) -> list[Quantity]:
    """Give what is fitted: the work first, then every measured cost that is not one per RPC."""
    known = [WORK, *(quantity for quantity in QUANTITIES.values() if not quantity.over)]
    return [quantity for quantity in known if (quantity.of(sweep.of_kind(quantity.kind)) > 0).any()]


def fit_growth(sweep: Sweep, version: str, quantity: Quantity, axis: str) -> Growth:
    """Fit the medians of the cells by least squares on logarithms.

    Of several sessions each is fitted, and the interval is a t interval over the fits; of one session it comes from drawing
    the runs of each cell anew and fitting again. It does not say how well a power describes the growth, which the worst cell
    tells.

    Args:
        sweep: the runs.
        version: whose.
        quantity: what of them.
        axis: one of `AXES`.
    """
    cells, samples = _logarithms(sweep, version, quantity)
    at = AXES.index(axis)
    xs = np.log([cell[at] for cell in cells])
    others = [cell[1 - at] for cell in cells]
    design = _design(xs, others)
    if design is None:
        return Growth(version, quantity.name, axis, UNKNOWN, np.nan, {})
    table = _by_session(sweep, version, quantity)
    medians = np.array([np.median(values) for values in samples]) if table is None else table.mean(axis=0)
    fitted = design @ medians
    levels = {
        other: float(
            np.exp(np.mean([m - fitted * x for m, x, o in zip(medians, xs, others, strict=True) if o == other]))
        )
        for other in sorted(set(others))
    }
    ideal = np.array([np.log(levels[other]) + fitted * x for x, other in zip(xs, others, strict=True)])
    worst = float(np.exp(np.abs(medians - ideal).max()))
    if table is not None:
        found = mean_of_sessions(table @ design, sum(map(len, samples)))
    else:
        found = _estimate(float(fitted), _drawn(sweep, version, quantity, _SEED) @ design, samples)
    return Growth(version, quantity.name, axis, found, worst, levels)


def compare_growth(sweep: Sweep, version: str, quantity: Quantity, axis: str) -> Estimate:
    """Estimate by how much a version's exponent exceeds the base's: the exponent of their ratio.

    Below 0 the ratio falls along the axis. Of several sessions the exponents of each are subtracted; of one session both
    versions' runs are drawn on their own.
    """
    tables: list[NDArray[np.float64] | None] = []
    parts: list[tuple[str, NDArray[np.float64], list[NDArray[np.float64]]]] = []
    for name in (version, sweep.base):
        cells, samples = _logarithms(sweep, name, quantity)
        at = AXES.index(axis)
        design = _design(np.log([cell[at] for cell in cells]), [cell[1 - at] for cell in cells])
        if design is None:
            return UNKNOWN
        parts.append((name, design, samples))
        table = _by_session(sweep, name, quantity)
        tables.append(None if table is None else table @ design)
    if tables[0] is not None and tables[1] is not None and tables[0].shape == tables[1].shape:
        return mean_of_sessions(tables[0] - tables[1], sum(len(values) for _, _, own in parts for values in own))
    one, base = (float(design @ np.array([np.median(values) for values in samples])) for _, design, samples in parts)
    ones, bases = (
        _drawn(sweep, name, quantity, _SEED + order) @ design for order, (name, design, _) in enumerate(parts)
    )
    return _estimate(one - base, ones - bases, min((samples for _, _, samples in parts), key=len))


def tabulate(sweep: Sweep) -> Table | Prose:
    """Give the exponents of every measured quantity for each version, and those of the ratios."""
    rows = []
    for quantity in list_quantities(sweep):
        versions = sweep.versions if quantity is not WORK else sweep.versions[:1]
        for version in versions:
            found = [fit_growth(sweep, version, quantity, axis) for axis in AXES]
            if any(one.exponent.is_known for one in found):
                shown = [text for one in found for text in (format_exponent(one.exponent), _worst(one.worst))]
                who = format_code(version) if quantity is not WORK else "every version"
                rows.append([quantity.title, who, *shown])
        for version in sweep.others if quantity is not WORK else ():
            ratios = [compare_growth(sweep, version, quantity, axis) for axis in AXES]
            if any(one.is_known for one in ratios):
                shown = [text for one in ratios for text in (format_exponent(one), "")]
                rows.append([quantity.title, f"{format_code(version)} / {format_code(sweep.base)}", *shown])
    columns = [
        "quantity",
        "version",
        "exponent of hosts",
        "largest residual",
        "exponent of messages",
        "largest residual",
    ]
    if not rows:
        return Absent("The grid has one number of hosts and one of messages, so no growth can be fitted.")
    return Table(columns, rows, words=2)


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give every exponent as JSON values, those of the versions and those of the ratios to the base."""
    found = []
    for quantity in list_quantities(sweep):
        for axis in AXES:
            place = {"quantity": quantity.name, "axis": axis, "unit": "1"}
            for version in sweep.versions:
                one = fit_growth(sweep, version, quantity, axis)
                worst = {"unit": "%", "value": round_number((one.worst - 1) * 100)}
                found.append(place | {"version": version} | to_json(one.exponent) | {"worst_cell": worst})
            for version in sweep.others if quantity is not WORK else ():
                own = to_json(compare_growth(sweep, version, quantity, axis))
                found.append(place | {"version": version, "over": sweep.base} | own)
    return [entry for entry in found if entry["value"] is not None]


def _worst(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{format_number((value - 1) * 100, places=1)} %"


def _estimate(value: float, draws: NDArray[np.float64], samples: list[NDArray[np.float64]]) -> Estimate:
    """Give an exponent its interval, if some cell has more than one run to draw from."""
    observations = sum(map(len, samples))
    if max(map(len, samples)) == 1:
        return Estimate(value, np.nan, np.nan, observations)
    return percentiles(value, draws, observations)


def _logarithms(
    sweep: Sweep, version: str, quantity: Quantity
) -> tuple[list[tuple[int, int]], list[NDArray[np.float64]]]:
    """Give the cells that have positive values, and the logarithms of those."""
    return sweep.once(("logarithms", version, quantity), lambda: _by_cell(_known(sweep, version, quantity)))


def _by_cell(known: pd.DataFrame) -> tuple[list[tuple[int, int]], list[NDArray[np.float64]]]:
    logs, found = known["value"].to_numpy(), divide_by_cell(known)
    return [cell for cell, _ in found], [logs[rows] for _, rows in found]


def _known(sweep: Sweep, version: str, quantity: Quantity) -> pd.DataFrame:
    """Give cell, session and, as `value`, the logarithm of each run that has a positive value."""
    return sweep.once(("known logarithms", version, quantity), lambda: _take_known(sweep, version, quantity))


def _take_known(sweep: Sweep, version: str, quantity: Quantity) -> pd.DataFrame:
    runs = sweep.of(version, kind=quantity.kind)
    values = quantity.of(runs)
    positive = values > 0
    return runs.loc[positive, [*CELL, "session"]].assign(value=np.log(values[positive]))


def _by_session(sweep: Sweep, version: str, quantity: Quantity) -> NDArray[np.float64] | None:
    """Give the mean logarithm of each session in each cell, shape (sessions, cells); None for runs of one session.

    What a session lacks of a cell is filled in as its other cells would have it.
    """
    known = _known(sweep, version, quantity)
    if known["session"].nunique() < 2:
        return None
    return fill_balanced(tabulate_sessions(known, "value"))


def _drawn(sweep: Sweep, version: str, quantity: Quantity, seed: int) -> NDArray[np.float64]:
    """Draw the runs of each cell anew, for both axes at once: a row of medians of logarithms per bootstrap sample."""
    _, samples = _logarithms(sweep, version, quantity)
    return sweep.once(("drawn", version, quantity, seed), lambda: drawn_medians(samples, seed))


def _design(xs: NDArray[np.float64], others: list[int]) -> NDArray[np.float64] | None:
    """Give the weights that make the slope of the logarithms of the cells, None where there is no slope.

    With a level for each value of the other axis, the slope of least squares is a weighted sum of the values: their
    distances along the axis from the middle of their level, over the sum of squares of those.
    """
    middle = {other: np.mean([x for x, o in zip(xs, others, strict=True) if o == other]) for other in set(others)}
    away = np.array([x - middle[other] for x, other in zip(xs, others, strict=True)])
    total = float((away**2).sum()) if len(away) else 0.0
    return away / total if total > 0 else None


_DRAWN = (("duration-net",), ("cpu",), ("tasks-created",), ("allocated", "memory"))
"""What is drawn in each column: the first of these that the sweep has."""

_HEIGHT = 1.75
_MOST_TICKS = 5
_LABELS = {"hosts": "hosts", "messages": "messages in total"}


def draw_fits(sweep: Sweep) -> Picture | Prose:
    """Draw each quantity over hosts and over messages, with the lines of the fits.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if the grid has only one cell or no run ended well.
    """
    axes = [axis for axis in AXES if len(_ticks(sweep, axis)) > 1]
    measured = {quantity.name: quantity for quantity in list_quantities(sweep)}
    chosen = [next((measured[name] for name in names if name in measured), None) for names in _DRAWN]
    drawn = [quantity for quantity in chosen if quantity is not None]
    if not axes or not drawn:
        return Absent("There are no two cells to fit a line through.")
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEIGHT * len(axes) + 0.4), layout="constrained")
        grid = figure.subplots(len(axes), len(drawn), squeeze=False)
        for axis, panels in zip(axes, grid, strict=True):
            for quantity, panel in zip(drawn, panels, strict=True):
                _panel(panel, sweep, quantity, axis)
        for quantity, panel in zip(drawn, grid[0], strict=True):
            panel.set_title(f"{quantity.title.replace('`', '')}\n({quantity.unit})", fontsize=7.5)
        handles = [Line2D([], [], label=version, **choose_look(n)) for n, version in enumerate(sweep.versions)]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=3)
        return render(figure, "scaling", _caption(sweep, axes))


def _panel(panel: Axes, sweep: Sweep, quantity: Quantity, axis: str) -> None:
    for order, version in enumerate(sweep.versions):
        style = choose_look(order)
        found = fit_growth(sweep, version, quantity, axis)
        for other in (level for level in pick_evenly(list(found.levels), 2) if found.exponent.is_known):
            cells = [(value, other) if axis == AXES[0] else (other, value) for value in _ticks(sweep, axis)]
            values = [estimate_cell_median(sweep, version, cell, quantity).value for cell in cells]
            xs = np.array(_ticks(sweep, axis), dtype=np.float64)
            panel.plot(xs, values, color=style["color"], marker=style["marker"], markersize=3.5, linestyle="", mew=0)
            line = found.levels[other] * xs**found.exponent.value
            panel.plot(xs, line, color=style["color"], linestyle=style["linestyle"], linewidth=1)
            if order == 0:
                _label_line(panel, float(xs[-1]), float(line[-1]), _level_text(axis, other))
    panel.set_xscale("log")
    panel.set_yscale("log")
    _scales(panel, _ticks(sweep, axis))
    panel.set_xlabel(_LABELS[axis], fontsize=7)


def _label_line(panel: Axes, x: float, y: float, text: str) -> None:
    """Write below the right end of a line which value of the other axis it is for."""
    panel.annotate(
        text, (x, y), xytext=(2, -5), textcoords="offset points", ha="right", va="top", fontsize=6, color="#444444"
    )


def _level_text(axis: str, other: int) -> str:
    return count_things(other, "message") if axis == AXES[0] else count_things(other, "host")


def _scales(panel: Axes, xs: list[int]) -> None:
    panel.xaxis.set_major_locator(FixedLocator(pick_evenly(xs, _MOST_TICKS)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panel.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=20))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_given(value)))
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
        ends = join_words(f"{value:,}" for value in pick_evenly(values, 2))
        parts.append(f"over {axis} with {ends} {name}")
    return (
        f"Growth on logarithmic scales, {join_words(parts)}, as written at the lines. Dots: values of cells; lines: the power law fitted to "
        "all cells. Where dots are far from their line, no power law describes the growth."
    )
