"""How do the ratios compare with published ones? Only ratios: times of other machines and languages are not compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import over_grid, version_pairs
from pubsub_sim.report.show import Prose, Table
from pubsub_sim.report.wording import NOTHING, code, count, listing, ratio, ratio_of

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
    ("created_tasks", "tasks created", "tasks-created"),
    ("final_tasks", "tasks at the end", "tasks-final"),
)
"""Published metric, its words, and the quantity that comes closest to it here."""


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
    table = _read(file)
    own = table.loc[table["metric"] == FAILURES]
    parts = []
    for name in (BASE, OTHER):
        cells = own.loc[own["version"] == name, "value"]
        parts.append(f"{cells.sum():,.0f} of {count(len(cells) * RUNS_PER_CELL, 'run')} of {code(name)}")
    return Prose(f"Of the original's runs, as published, {listing(parts)} failed." if len(own) else NO_FAILURES)


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
    published = ratios(file)
    rows = []
    for metric, words, name in COUNTERPARTS:
        own = published.loc[published["metric"] == metric]
        for hosts, group in own.groupby("hosts", sort=True):
            rows.append(
                [
                    words,
                    f"{hosts:,}",
                    _geometric(group["ratio"]),
                    _span(group["ratio"]),
                    _ours(sweep, version, name, hosts),
                ]
            )
    columns = ["quantity", "hosts", "published", "least to greatest", f"here, {code(version)} / {code(sweep.base)}"]
    return Table(columns, rows)


def _ours(sweep: Sweep, version: str, name: str, hosts: object) -> str:
    if name not in QUANTITIES or version not in sweep.others:
        return NOTHING
    paired = version_pairs(sweep, version, QUANTITIES[name])
    return ratio(over_grid(paired.loc[paired["hosts"] == hosts]))


def _geometric(values: pd.Series[float]) -> str:
    return ratio_of(float(np.exp(np.log(values).mean())))


def _span(values: pd.Series[float]) -> str:
    low, high = ratio_of(float(values.min())), ratio_of(float(values.max()))
    return f"{low}\N{EN DASH}{high}" if low != high else low
