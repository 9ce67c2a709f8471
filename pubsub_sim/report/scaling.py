"""Growth of the cost: exponents of hosts and of messages, fitted by least squares on logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pubsub_sim.report.engine import numbers
from pubsub_sim.report.intervals import UNKNOWN, Estimate, drawn_medians, percentiles
from pubsub_sim.report.quantities import QUANTITIES, Quantity
from pubsub_sim.report.show import Prose, Table
from pubsub_sim.report.sweep import CELL
from pubsub_sim.report.wording import NOTHING, code, exponent, number, number_or_none

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def quantities(sweep: Sweep) -> list[Quantity]:
    """Give what is fitted: the work first, then every measured cost that is not one per RPC."""
    known = [WORK, *(quantity for quantity in QUANTITIES.values() if not quantity.over)]
    return [quantity for quantity in known if (quantity.of(sweep.of_kind(quantity.kind)) > 0).any()]


def growth(sweep: Sweep, version: str, quantity: Quantity, axis: str) -> Growth:
    """Fit the medians of the cells by least squares on logarithms.

    The interval comes from drawing the runs of each cell anew and fitting again: it holds the noise of the runs and not
    how well a power describes the growth, which the worst cell tells.

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
    medians = np.array([np.median(values) for values in samples])
    fitted = design @ medians
    levels = {
        other: float(
            np.exp(np.mean([m - fitted * x for m, x, o in zip(medians, xs, others, strict=True) if o == other]))
        )
        for other in sorted(set(others))
    }
    ideal = np.array([np.log(levels[other]) + fitted * x for x, other in zip(xs, others, strict=True)])
    worst = float(np.exp(np.abs(medians - ideal).max()))
    found = _estimate(float(fitted), _drawn(sweep, version, quantity, _SEED) @ design, samples)
    return Growth(version, quantity.name, axis, found, worst, levels)


def difference(sweep: Sweep, version: str, quantity: Quantity, axis: str) -> Estimate:
    """Estimate by how much a version's exponent exceeds the base's: the exponent of their ratio.

    Below 0 the ratio falls along the axis. Both versions' runs are drawn on their own.
    """
    fits: list[tuple[float, NDArray[np.float64], list[NDArray[np.float64]]]] = []
    for name in (version, sweep.base):
        cells, samples = _logarithms(sweep, name, quantity)
        at = AXES.index(axis)
        design = _design(np.log([cell[at] for cell in cells]), [cell[1 - at] for cell in cells])
        if design is None:
            return UNKNOWN
        value = float(design @ np.array([np.median(values) for values in samples]))
        fits.append((value, _drawn(sweep, name, quantity, _SEED + len(fits)) @ design, samples))
    (one, ones, own), (base, bases, theirs) = fits
    return _estimate(one - base, ones - bases, min(own, theirs, key=len))


def table(sweep: Sweep) -> Table | Prose:
    """Give the exponents of every measured quantity for each version, and those of the ratios."""
    rows = []
    for quantity in quantities(sweep):
        versions = sweep.versions if quantity is not WORK else sweep.versions[:1]
        for version in versions:
            found = [growth(sweep, version, quantity, axis) for axis in AXES]
            if any(one.exponent.is_known for one in found):
                shown = [text for one in found for text in (exponent(one.exponent), _worst(one.worst))]
                who = code(version) if quantity is not WORK else "every version"
                rows.append([quantity.title, who, *shown])
        for version in sweep.others if quantity is not WORK else ():
            ratios = [difference(sweep, version, quantity, axis) for axis in AXES]
            if any(one.is_known for one in ratios):
                shown = [text for one in ratios for text in (exponent(one), "")]
                rows.append([quantity.title, f"{code(version)} / {code(sweep.base)}", *shown])
    columns = ["quantity", "", "exponent of hosts", "worst cell", "exponent of messages", "worst cell"]
    if not rows:
        return Prose("The grid has one number of hosts and one of messages, so nothing can be said about growth.")
    return Table(columns, rows, words=2)


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give every exponent as JSON values, those of the versions and those of the ratios to the base."""
    found = []
    for quantity in quantities(sweep):
        for axis in AXES:
            place = {"quantity": quantity.name, "axis": axis, "unit": "1"}
            for version in sweep.versions:
                one = growth(sweep, version, quantity, axis)
                worst = {"unit": "%", "value": number_or_none((one.worst - 1) * 100)}
                found.append(place | {"version": version} | numbers(one.exponent) | {"worst_cell": worst})
            for version in sweep.others if quantity is not WORK else ():
                own = numbers(difference(sweep, version, quantity, axis))
                found.append(place | {"version": version, "over": sweep.base} | own)
    return [entry for entry in found if entry["value"] is not None]


def _worst(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{number((value - 1) * 100, places=1)} %"


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
    return sweep.once(("logarithms", version, quantity), lambda: _taken(sweep, version, quantity))


def _drawn(sweep: Sweep, version: str, quantity: Quantity, seed: int) -> NDArray[np.float64]:
    """Draw the runs of each cell anew, for both axes at once: a row of medians of logarithms per bootstrap sample."""
    _, samples = _logarithms(sweep, version, quantity)
    return sweep.once(("drawn", version, quantity, seed), lambda: drawn_medians(samples, seed))


def _taken(sweep: Sweep, version: str, quantity: Quantity) -> tuple[list[tuple[int, int]], list[NDArray[np.float64]]]:
    runs = sweep.of(version, kind=quantity.kind)
    values = quantity.of(runs)
    known = runs[CELL].assign(value=values).loc[values > 0]
    groups = [(rows[CELL].iloc[0], rows["value"]) for _, rows in known.groupby(CELL, sort=True)]
    cells = [(int(cell["hosts"]), int(cell["messages"])) for cell, _ in groups]
    return cells, [np.log(found.to_numpy(dtype=np.float64)) for _, found in groups]


def _design(xs: NDArray[np.float64], others: list[int]) -> NDArray[np.float64] | None:
    """Give the weights that make the slope of the logarithms of the cells, None where there is no slope.

    With a level for each value of the other axis, the slope of least squares is a weighted sum of the values: their
    distances along the axis from the middle of their level, over the sum of squares of those.
    """
    middle = {other: np.mean([x for x, o in zip(xs, others, strict=True) if o == other]) for other in set(others)}
    away = np.array([x - middle[other] for x, other in zip(xs, others, strict=True)])
    total = float((away**2).sum()) if len(away) else 0.0
    return away / total if total > 0 else None
