"""A version's extra time, split by least squares into a part per message and a part per host that it reaches.

Both are given in time and in calls of functions, beside the engine's own costs. Calls have no clock noise. Durations also
hold what comes before the messages, so that part is given as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pubsub_sim.report.display import Absent, Prose, Several, Table
from pubsub_sim.report.engine import estimate_cost, find_workload
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_code,
    format_estimate,
    format_number,
    join_words,
    round_number,
    to_json,
)
from pubsub_sim.report.quantities import QUANTITIES, Quantity
from pubsub_sim.report.ratios import PAIR, divide_by_cell, estimate_mean, has_sessions, pair_version, tabulate_sessions
from pubsub_sim.results.intervals import (
    Estimate,
    drawn_medians,
    estimate_center,
    fill_balanced,
    mean_of_sessions,
    percentiles,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pubsub_sim.report.sweep import Sweep
    from pubsub_sim.results import EngineRecord

TIME, CALLS = QUANTITIES["cpu"], QUANTITIES["calls"]
"""What is taken apart: both are of the phase in which only messages are sent."""

ENGINE = ("pulse", "eval", "one-handler", "construct", "wait-cycle")
"""Workloads of the engine's benchmark that a message is made of: on each host a pulse and the eval of an RPC; once per
message the mutations, the making and the wait of a flow machine."""

WHOLE = QUANTITIES["duration-net"]
MESSAGES = replace(WHOLE, name="messages", column="rand msgs/wall_ns", minus="rand msgs/fixed_wait_ns")
"""A run's duration without fixed waits, and what of it are messages: the rest is what comes before them."""

_SCALES = {"ms": 1000, "calls": 1}
_UNITS = {"ms": "µs", "calls": "calls"}
"""Per message everything is less: milliseconds of a run are microseconds of a message."""


@dataclass(frozen=True)
class Parts:
    """A line through the differences per message of all cells.

    Attributes:
        version: whose difference from the base.
        quantity: of what; in us if that is a time.
        per_message: its value at no hosts.
        per_host: its slope, for each host.
        worst: the greatest distance of a cell from the line, per message.
        cells: how many there are.
        mean: the difference per message, a mean over the cells.
        of_base: the base's own amount per message, a mean over the cells.
    """

    version: str
    quantity: Quantity
    per_message: Estimate
    per_host: Estimate
    worst: float
    cells: int
    mean: Estimate
    of_base: float


def fit_parts(sweep: Sweep, version: str, quantity: Quantity = TIME) -> Parts | None:
    """Fit the differences of the cells by least squares, each cell counting alike.

    Of several sessions a line is fitted to each, and the intervals are t intervals over the lines. Of one session the
    medians are fitted, and the intervals come from drawing the pairs of each cell anew and fitting again.

    Args:
        sweep: the runs.
        version: whose difference from the base.
        quantity: `TIME` or `CALLS`.

    Returns:
        The line; None if the runs that have the quantity are of a single number of hosts, or there are none.
    """
    paired = pair_version(sweep, version, quantity)
    cells = [cell for cell, _ in divide_by_cell(paired)]
    hosts = np.array([float(hosts) for hosts, _ in cells])
    if len(set(hosts)) < 2:
        return None
    design = np.linalg.pinv(np.stack([np.ones_like(hosts), hosts], axis=1))
    scaled = _per_message(paired, quantity)
    fit = _fit_sessions if has_sessions(paired) else _fit_medians
    centers, (at_none, slope, mean) = fit(scaled, design)
    worst = float(np.abs(centers - at_none.value - slope.value * hosts).max())
    of_base = _of_base(sweep, quantity) * _SCALES[quantity.unit]
    return Parts(version, quantity, at_none, slope, worst, len(cells), mean, of_base)


Fit = tuple["NDArray[np.float64]", tuple[Estimate, Estimate, Estimate]]
"""What is fitted for each cell, then the value at no hosts, the slope, and the mean over the cells."""


def _per_message(paired: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """Give pairs a column with their difference for each message, in us or calls."""
    return paired.assign(each=paired["difference"] * _SCALES[quantity.unit] / paired["messages"])


def _fit_sessions(paired: pd.DataFrame, design: NDArray[np.float64]) -> Fit:
    whole = fill_balanced(tabulate_sessions(paired, "each"))
    lines = whole @ design.T
    found = [mean_of_sessions(values, len(paired)) for values in (lines[:, 0], lines[:, 1], whole.mean(axis=1))]
    return whole.mean(axis=0), (found[0], found[1], found[2])


def _fit_medians(paired: pd.DataFrame, design: NDArray[np.float64]) -> Fit:
    each = paired["each"].to_numpy()
    samples = [each[rows] for _, rows in divide_by_cell(paired)]
    medians = np.array([np.median(values) for values in samples])
    fitted = design @ medians
    draws = drawn_medians(samples)
    fewest = min(map(len, samples))
    found = [
        _estimate(float(value), drawn, fewest, len(paired))
        for value, drawn in zip([*fitted, medians.mean()], [*(draws @ design.T).T, draws.mean(axis=1)], strict=True)
    ]
    return medians, (found[0], found[1], found[2])


def estimate_amount(sweep: Sweep, version: str, quantity: Quantity = TIME) -> Estimate:
    """Estimate by how much a version exceeds the base per message, as a mean over the cells.

    Args:
        sweep: the runs.
        version: whose difference from the base.
        quantity: `TIME`, in µs per message, or `CALLS`.
    """
    return estimate_mean(_per_message(pair_version(sweep, version, quantity), quantity), "each")


def estimate_per_call(time: Parts, calls: Parts) -> tuple[Estimate, float] | None:
    """Give what a call more takes, and what a call of the base takes on average, in us.

    Returns:
        Both; None if there are no more calls, or not all cells that were timed have been counted.
    """
    if calls.mean.value <= 0 or calls.cells != time.cells:
        return None
    more = [end / calls.mean.value for end in (time.mean.value, time.mean.low, time.mean.high)]
    return Estimate(more[0], more[1], more[2], time.mean.observations), time.of_base / calls.of_base


def show(sweep: Sweep) -> Several | Prose:
    """Split each version's extra time into parts, beside what the engine takes by itself."""
    shown: list[Prose | Table] = []
    for version in sweep.others:
        found, calls = fit_parts(sweep, version), fit_parts(sweep, version, CALLS)
        if found is not None:
            shown += [_describe_line(sweep, found), *_describe_calls(sweep, found, calls), _table(sweep, found, calls)]
            shown.append(_describe_before(sweep, version))
    return Several(shown) if shown else Absent("The grid has one number of hosts, so there is no line to fit.")


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give both parts of each version as JSON values, and what a call takes."""
    entries = []
    for version in sweep.others:
        found, calls = fit_parts(sweep, version), fit_parts(sweep, version, CALLS)
        if found is None:
            continue
        about: dict[str, Any] = {"version": version, "over": sweep.base}
        for line in (found, calls) if calls is not None else (found,):
            place = {"quantity": line.quantity.name} | about | {"unit": _UNITS[line.quantity.unit]}
            for part, value in (("message", line.per_message), ("host and message", line.per_host)):
                entries.append(place | {"per": part} | to_json(value) | {"farthest_cell": round_number(line.worst)})
        mean = {"quantity": found.quantity.name} | about | {"unit": "µs", "per": "message, mean over cells"}
        entries.append(mean | to_json(estimate_amount(sweep, version)))
        each = estimate_per_call(found, calls) if calls is not None else None
        if each is not None:
            more, base = each
            place = {"quantity": TIME.name} | about | {"unit": _UNITS[TIME.unit], "per": "call"}
            entries.append(place | to_json(more) | {"base": round_number(base)})
        for hosts, value in estimate_before_messages(sweep, version).items():
            place = {"quantity": "before messages"} | about | {"unit": WHOLE.unit, "per": "run", "hosts": hosts}
            entries.append(place | to_json(value))
    return entries


def estimate_before_messages(sweep: Sweep, version: str) -> dict[int, Estimate]:
    """Give by how much longer a version takes before the phase `rand msgs`, in ms without fixed waits.

    Returns:
        Number of hosts to the estimate over the pairs of all cells with so many.
    """
    whole, messages = (pair_version(sweep, version, quantity) for quantity in (WHOLE, MESSAGES))
    both = whole.merge(messages, on=PAIR, suffixes=("", "_messages"), validate="one_to_one")
    more = both.assign(more=both["difference"] - both["difference_messages"])
    return {
        int(str(hosts)): estimate_center(rows["more"], rows["session"])
        for hosts, rows in more.groupby("hosts", sort=True)
    }


def _of_base(sweep: Sweep, quantity: Quantity) -> float:
    """Give the base's own amount per message, a mean over the cells."""
    runs = sweep.of(sweep.base, kind=quantity.kind)
    each, sessions = (quantity.of(runs) / runs["messages"]).to_numpy(), runs["session"].to_numpy()
    cells = [estimate_center(each[rows], sessions[rows]).value for _, rows in divide_by_cell(runs)]
    return float(np.mean(cells))


def _describe_line(sweep: Sweep, found: Parts) -> Prose:
    return Prose(
        f"A least-squares line through the differences of the {count_things(found.cells, 'cell')} gives "
        f"{format_estimate(found.per_message)} µs more CPU time of {format_code(found.version)} than of {format_code(sweep.base)} "
        f"for each message, and {format_estimate(found.per_host)} µs more for each host that the message reaches. The largest "
        f"residual is {format_number(found.worst, places=1)} µs."
    )


def _describe_before(sweep: Sweep, version: str) -> Prose:
    more = estimate_before_messages(sweep, version)
    each = [f"{format_estimate(value)} ms with {hosts} hosts" for hosts, value in more.items()]
    return Prose(
        f"Durations also hold the phases before `rand msgs`, in which hosts are created and connected. Without fixed waits "
        f"{format_code(version)} needs more time there than {format_code(sweep.base)}: {join_words(each)} (paired "
        "differences)."
    )


def _describe_calls(sweep: Sweep, time: Parts, calls: Parts | None) -> list[Prose]:
    """Say the same in calls, and what one takes; nothing if the sweep has not counted them."""
    if calls is None:
        return []
    said = (
        f"The same line fitted to counts of function calls, which have no timing noise, gives {format_estimate(calls.per_message)} "
        f"more calls for each message and {format_estimate(calls.per_host)} more for each host. The largest residual is "
        f"{format_number(calls.worst, places=1)} calls."
    )
    each = estimate_per_call(time, calls)
    if each is not None:
        more, base = each
        said += (
            f" Each additional call costs {format_estimate(more)} µs; {format_code(sweep.base)} averages {format_number(base)} µs "
            "per call."
        )
    return [Prose(said)]


def _table(sweep: Sweep, found: Parts, calls: Parts | None) -> Table:
    counts = [NOTHING] * 2 if calls is None else [format_estimate(calls.per_message), format_estimate(calls.per_host)]
    each = f"each message, {format_code(found.version)} minus {format_code(sweep.base)}"
    rows = [
        ["fitted line", each, format_estimate(found.per_message), counts[0]],
        ["fitted line", "each host that it reaches", format_estimate(found.per_host), counts[1]],
    ]
    if sweep.engine is not None:
        rows += [_engine_row(sweep.engine, name) for name in ENGINE if _is_known(sweep.engine, name)]
    return Table(["source", "what", "CPU time, µs", "calls"], rows, words=2)


def _engine_row(engine: EngineRecord, name: str) -> list[str]:
    entry = find_workload(engine, name)
    found = estimate_cost(engine, name)
    scaled = Estimate(found.value / 1000, found.low / 1000, found.high / 1000, found.observations)
    return ["engine benchmark", f"{entry.title}, each {entry.per}", format_estimate(scaled), NOTHING]


def _is_known(engine: EngineRecord, name: str) -> bool:
    return (
        any(entry.name == name and entry.unit == "ns" for entry in engine.workloads)
        and estimate_cost(engine, name).is_known
    )


def _estimate(value: float, draws: NDArray[np.float64], fewest: int, observations: int) -> Estimate:
    return Estimate(value, np.nan, np.nan, observations) if fewest == 1 else percentiles(value, draws, observations)
