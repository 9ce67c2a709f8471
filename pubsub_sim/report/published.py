"""Published ratios beside ours. Only ratios: times of other machines and languages are not compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from pubsub_sim.report.engine import numbers
from pubsub_sim.report.intervals import UNKNOWN, Estimate
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import over_grid, version_pairs
from pubsub_sim.report.show import Prose, Table
from pubsub_sim.report.wording import NOTHING, code, count, listing, number_or_none, ratio, ratio_of

if TYPE_CHECKING:
    from pathlib import Path

    from pubsub_sim.report.sweep import Sweep

BASE, OTHER = "origin", "states"
"""Names of the two versions in the published figures."""

FAILURES = "failures"
"""Published metric that counts runs which did not end well."""

RUNS_PER_CELL = 15
"""Runs of each version in each published cell."""

NO_FAILURES = "The published figures tell nothing about failures."

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


def ratios(file: Path) -> pd.DataFrame:
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


def failures(file: Path | None) -> Prose:
    """Say how many of the published runs failed, so that it stands beside ours.

    Args:
        file: the published figures, None for none.
    """
    if file is None:
        return Prose("No published failures were asked for.")
    parts = [f"{amount:,} of {count(runs, 'run')} of {code(name)}" for name, (amount, runs) in failed(file).items()]
    return Prose(f"Of the original's runs, as published, {listing(parts)} failed." if parts else NO_FAILURES)


def _read(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, comment="#", dtype={"messages": "Int64"})


def comparison(sweep: Sweep, file: Path | None, version: str = OTHER) -> Table | Prose:
    """Set the published ratios beside those of a sweep, per number of hosts.

    Args:
        sweep: the runs.
        file: the published figures, None for none.
        version: which version of the sweep plays the part of the published one.
    """
    if file is None:
        return Prose("No published figures were asked for.")
    rows = []
    for row in beside(sweep, file, version):
        ours = ratio(row.ours) if row.ours.is_known else NOTHING
        rows.append([row.words, f"{row.hosts:,}", ratio_of(row.mean), _span(row), ours])
    columns = ["quantity", "hosts", "published", "least to greatest", f"here, {code(version)} / {code(sweep.base)}"]
    return Table(columns, rows)


def beside(sweep: Sweep, file: Path, version: str = OTHER) -> list[Row]:
    """Set the published ratios beside those of a sweep, as numbers.

    Args:
        sweep: the runs.
        file: the published figures.
        version: which version of the sweep plays the part of the published one.
    """
    published = ratios(file)
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
        | {"published": number_or_none(row.mean), "span": [number_or_none(row.least), number_or_none(row.greatest)]}
        | {"here": numbers(row.ours)}
        for row in beside(sweep, file)
    ]


def failed(file: Path | None) -> dict[str, list[int]]:
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
    paired = version_pairs(sweep, version, QUANTITIES[name])
    return over_grid(paired.loc[paired["hosts"] == hosts])


def _span(row: Row) -> str:
    low, high = ratio_of(row.least), ratio_of(row.greatest)
    return f"{low}\N{EN DASH}{high}" if low != high else low
