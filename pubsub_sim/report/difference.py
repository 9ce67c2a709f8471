"""Where does a version's extra time come from? A part of each message and a part of each host it reaches, beside the engine's own costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pubsub_sim.report.engine import cost, numbers, workload
from pubsub_sim.report.intervals import Estimate, drawn_medians, percentiles
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import version_pairs
from pubsub_sim.report.show import Prose, Several, Table
from pubsub_sim.report.sweep import CELL
from pubsub_sim.report.wording import code, count, estimate, number, number_or_none

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pubsub_sim.report.sweep import Sweep
    from pubsub_sim.results import EngineRecord

QUANTITY = QUANTITIES["cpu"]
"""Whose differences are taken apart: only messages are sent in that phase."""

ENGINE = ("pulse", "eval", "one-handler", "construct", "wait-cycle")
"""Workloads of the engine's benchmark that a message is made of: on each host a pulse and the eval of an RPC; once per
message the mutations, the making and the wait of a flow machine."""

_US_PER_MS = 1000


@dataclass(frozen=True)
class Parts:
    """A line through the differences per message of all cells.

    Attributes:
        version: whose difference from the base.
        per_message: its value at no hosts, in us.
        per_host: its slope, in us for each host.
        worst: the greatest distance of a cell from the line, in us per message.
        cells: how many there are.
    """

    version: str
    per_message: Estimate
    per_host: Estimate
    worst: float
    cells: int


def parts(sweep: Sweep, version: str) -> Parts | None:
    """Fit the median differences of the cells by least squares, each cell counting alike.

    The intervals come from drawing the pairs of each cell anew and fitting again.

    Returns:
        The line; None if the grid has a single number of hosts.
    """
    paired = version_pairs(sweep, version, QUANTITY)
    groups = [rows for _, rows in paired.groupby(CELL, sort=True)]
    hosts = np.array([float(rows["hosts"].iloc[0]) for rows in groups])
    if len(set(hosts)) < 2:
        return None
    samples = [rows["difference"].to_numpy() * _US_PER_MS / rows["messages"].iloc[0] for rows in groups]
    design = np.linalg.pinv(np.stack([np.ones_like(hosts), hosts], axis=1))
    medians = np.array([np.median(values) for values in samples])
    fitted = design @ medians
    worst = float(np.abs(medians - fitted[0] - fitted[1] * hosts).max())
    drawn = drawn_medians(samples) @ design.T
    fewest = min(map(len, samples))
    found = [_estimate(float(fitted[row]), drawn[:, row], fewest, len(paired)) for row in (0, 1)]
    return Parts(version, found[0], found[1], worst, len(groups))


def show(sweep: Sweep) -> Several | Prose:
    """Take each version's extra time apart, beside what the engine takes by itself."""
    shown: list[Prose | Table] = []
    for version in sweep.others:
        found = parts(sweep, version)
        if found is not None:
            shown += [_told(sweep, found), _table(sweep, found)]
    return Several(shown) if shown else Prose("The grid has one number of hosts, so there is no line to draw.")


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give both parts of each version as JSON values."""
    entries = []
    for version in sweep.others:
        found = parts(sweep, version)
        if found is not None:
            for part, value in (("message", found.per_message), ("host and message", found.per_host)):
                place = {"quantity": QUANTITY.name, "version": version, "over": sweep.base, "per": part, "unit": "µs"}
                entries.append(place | numbers(value) | {"farthest_cell": number_or_none(found.worst)})
    return entries


def _told(sweep: Sweep, found: Parts) -> Prose:
    return Prose(
        f"A line through the {count(found.cells, 'cell')} says that {code(found.version)} takes "
        f"{estimate(found.per_message)} µs more than {code(sweep.base)} for each message, and "
        f"{estimate(found.per_host)} µs more for each host that it reaches; no cell is farther than "
        f"{number(found.worst, places=1)} µs from it."
    )


def _table(sweep: Sweep, found: Parts) -> Table:
    rows = [
        ["measured here", f"each message, {code(found.version)} less {code(sweep.base)}", estimate(found.per_message)],
        ["measured here", "each host it reaches", estimate(found.per_host)],
    ]
    if sweep.engine is not None:
        rows += [_engine_row(sweep.engine, name) for name in ENGINE if _is_known(sweep.engine, name)]
    return Table(["", "what", "CPU time, µs"], rows, words=2)


def _engine_row(engine: EngineRecord, name: str) -> list[str]:
    entry = workload(engine, name)
    found = cost(engine, name)
    scaled = Estimate(found.value / 1000, found.low / 1000, found.high / 1000, found.observations)
    return ["the engine by itself", f"{entry.title}, each {entry.per}", estimate(scaled)]


def _is_known(engine: EngineRecord, name: str) -> bool:
    return any(entry.name == name and entry.unit == "ns" for entry in engine.workloads) and cost(engine, name).is_known


def _estimate(value: float, draws: NDArray[np.float64], fewest: int, observations: int) -> Estimate:
    return Estimate(value, np.nan, np.nan, observations) if fewest == 1 else percentiles(value, draws, observations)
