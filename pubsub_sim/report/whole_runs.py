"""Runs without time slices beside those with them: a check that handing the machine over favours no version.

A run in time slices finds its caches cold at the start of each. A version with a larger working set would pay more for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.report.display import Absent, Prose, Several, Table
from pubsub_sim.report.formatting import NOTHING, count_things, format_code, format_ratio, to_json
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import PAIR, estimate_mean, estimate_over_grid, match_pairs, pair_version
from pubsub_sim.report.sweep import CELL

if TYPE_CHECKING:
    import pandas as pd

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.sweep import Sweep
    from pubsub_sim.results.intervals import Estimate


@dataclass(frozen=True)
class Check:
    """The ratio of a version to the base with time slices and without, in the cells that have both.

    Attributes:
        quantity: of what.
        version: whose.
        cells: how many cells there are.
        pairs: how many pairs without time slices.
        sliced: the ratio with time slices.
        whole: the ratio without.
        quotient: the ratio without as a multiple of the one with them, from pairs of the same seed.
    """

    quantity: Quantity
    version: str
    cells: int
    pairs: int
    sliced: Estimate
    whole: Estimate
    quotient: Estimate


def check(sweep: Sweep) -> list[Check]:
    """Compare both kinds of run for each quantity of the headline and each version; nothing without such runs."""
    found = []
    for quantity in (QUANTITIES[name] for name in HEADLINE):
        for version in sweep.others:
            base, other = (sweep.whole.loc[sweep.whole["version"] == name] for name in (sweep.base, version))
            whole = match_pairs(base, other, quantity)
            both = whole.merge(pair_version(sweep, version, quantity), on=PAIR, suffixes=("", "_sliced"))
            if both.empty:
                continue
            both = both.assign(more=both["log_ratio"] - both["log_ratio_sliced"])
            found.append(_check(quantity, version, both))
    return found


def _check(quantity: Quantity, version: str, both: pd.DataFrame) -> Check:
    return Check(
        quantity,
        version,
        len(both.groupby(CELL)),
        len(both),
        estimate_mean(both, "log_ratio_sliced").exp(),
        estimate_over_grid(both),
        estimate_mean(both, "more").exp(),
    )


def show(sweep: Sweep) -> Several | Absent:
    """Say what the check gives, and set both ratios beside each other."""
    found = check(sweep)
    if not found:
        return Absent("This sweep has no runs without time slices.")
    first = found[0]
    said = (
        f"In {count_things(first.cells, 'cell')} the versions also ran one after the other, each whole and without time slices "
        f"({count_things(first.pairs, 'pair')}). If the slices favoured a version, its ratio would change without them."
    )
    rows = [
        [one.quantity.title, f"{format_code(one.version)} / {format_code(sweep.base)}"]
        + [_shown(value) for value in (one.sliced, one.whole, one.quotient)]
        for one in found
    ]
    columns = ["quantity", "ratio of", "in time slices", "whole", "whole / in time slices"]
    return Several([Prose(said), Table(columns, rows, words=2)])


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give the check as JSON values, per quantity and version."""
    return [
        {"quantity": one.quantity.name, "version": one.version, "over": sweep.base, "unit": "1"}
        | {"cells": one.cells, "pairs": one.pairs}
        | {"sliced": to_json(one.sliced), "whole": to_json(one.whole), "quotient": to_json(one.quotient)}
        for one in check(sweep)
    ]


def _shown(value: Estimate) -> str:
    return format_ratio(value) if value.is_known else NOTHING
