"""Tables of medians, ratios, failures, and of the grid as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.report.intervals import UNKNOWN, median
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import cell_median, control_pairs, over_grid, over_sampled_cells, per_cell, version_pairs
from pubsub_sim.report.show import Absent, Prose, Several, Table
from pubsub_sim.report.wording import NOTHING, code, estimate, ratio, ratio_interval, ratio_of, signed

if TYPE_CHECKING:
    from pubsub_sim.report.intervals import Estimate
    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.ratios import CellRatio
    from pubsub_sim.report.sweep import Sweep

PHASE_METRICS = ("wall_ns", "fixed_wait_ns", "cpu_ns")
"""What is told of each phase: its time, the fixed waits in it, and its processor time."""


def medians(sweep: Sweep, name: str) -> Table:
    """Give a quantity in every cell: medians per version, ratios and absolute differences, of times per message.

    Args:
        sweep: the runs.
        name: of the quantity.
    """
    quantity = QUANTITIES[name]
    columns = ["hosts", "messages", *(f"{code(version)}, {quantity.unit}" for version in sweep.versions)]
    for version in sweep.others:
        columns += [f"{code(version)} / {code(sweep.base)}", _difference_title(quantity)]
    ratios = {v: {(c.hosts, c.messages): c for c in per_cell(version_pairs(sweep, v, quantity))} for v in sweep.others}
    rows = []
    for cell in sweep.cells:
        row = [f"{cell[0]:,}", f"{cell[1]:,}"]
        values = (cell_median(sweep, version, cell, quantity) for version in sweep.versions)
        row += [estimate(value, exact=quantity.is_count) for value in values]
        for version in sweep.others:
            found = ratios[version].get(cell)
            row.append(ratio(found.ratio) if found else NOTHING)
            row.append(_difference(quantity, found) if found else NOTHING)
        rows.append(row)
    return Table(columns, rows, words=0)


def watched(sweep: Sweep, *names: str) -> Several | Absent:
    """Give quantities that are taken in runs of their own, one table each; a sentence if the sweep has no such runs.

    Args:
        sweep: the runs.
        names: of the quantities.
    """
    parts: list[Table | Prose] = []
    for name in names:
        quantity = QUANTITIES[name]
        if quantity.of(sweep.of_kind(quantity.kind)).notna().any():
            parts += [Prose(f"**{quantity.title}**: {quantity.meaning}"), medians(sweep, name)]
    return Several(parts) if parts else Absent("This sweep has no runs that tell.")


def grid_ratios(sweep: Sweep) -> Table | Prose:
    """Give each quantity's geometric mean ratio over the grid, and beside it the ratio of a version to itself."""
    columns = ["quantity", "", "ratio", "95 % interval", "cells as a sample", "cells", "pairs"]
    rows = []
    for quantity in QUANTITIES.values():
        if quantity.over:
            continue  # the versions send equally many RPCs, so a quantity per RPC has the ratio of the quantity itself
        entries = [(f"{code(v)} / {code(sweep.base)}", version_pairs(sweep, v, quantity)) for v in sweep.others]
        entries.append((f"{code(control_version(sweep))} / itself", control_pairs(sweep, quantity)))
        for label, paired in entries:
            found = over_grid(paired)
            if found.is_known:
                amounts = [f"{len(per_cell(paired)):,}", f"{len(paired):,}"]
                ends = [ratio_interval(one) or NOTHING for one in (found, over_sampled_cells(paired))]
                rows.append([quantity.title, label, ratio_of(found.value), *ends, *amounts])
    return Table(columns, rows, words=2) if rows else Prose("There is no pair of runs that ended well, so no ratios.")


def control_version(sweep: Sweep) -> str:
    """Name the version that ran twice in each pair, "" if none did."""
    return min(map(str, sweep.controls["version"]), default="")


def failures(sweep: Sweep) -> Table:
    """List the runs that did not end well, the same ending of the same cell in one row."""
    failed = sweep.runs.loc[sweep.runs["outcome"] != "ok"]
    rows = []
    for _, group in failed.groupby(["version", "hosts", "messages", "outcome", "error"], sort=True):
        first = group.iloc[0]
        version, cell = str(first["version"]), (int(first["hosts"]), int(first["messages"]))
        amount = f"{len(group):,} of {len(sweep.of(version, cell)):,}"
        rows.append([code(version), first["outcome"], first["error"], f"{cell[0]:,}", f"{cell[1]:,}", amount])
    return Table(["version", "outcome", "what happened", "hosts", "messages", "runs"], rows, words=3)


def show_failures(sweep: Sweep) -> Several:
    """Show how the runs of each version ended, and those that did not end well one by one."""
    listed = failures(sweep)
    return Several([endings(sweep), listed] if listed.rows else [endings(sweep)])


def endings(sweep: Sweep) -> Table:
    """Count per version how the runs ended."""
    found = sorted(set(sweep.runs["outcome"]) - {"ok"})
    rows = []
    for version in sweep.versions:
        outcomes = sweep.of(version)["outcome"]
        counts = [f"{(outcomes == name).sum():,}" for name in ("ok", *found)]
        rows.append([code(version), f"{len(outcomes):,}", *counts])
    return Table(["version", "runs", "ok", *found], rows)


def phase_medians(sweep: Sweep) -> Table | Prose:
    """Give the time of each phase in the largest cell, its fixed waits and its processor time."""
    if not sweep.phases:
        return Prose("No run left numbers of its phases.")
    cell = sweep.hosts[-1], sweep.messages[-1]
    columns = ["phase"]
    for version in sweep.versions:
        columns += [f"{code(version)}, ms", "of it waits, ms", "CPU, ms"]
    rows = []
    for phase in sweep.phases:
        row = [phase]
        for version in sweep.versions:
            found = (phase_median(sweep, version, cell, phase, metric) for metric in PHASE_METRICS)
            row += [estimate(value).partition(" (")[0] for value in found]
        rows.append(row)
    return Table(columns, rows)


def phase_median(sweep: Sweep, version: str, cell: tuple[int, int], phase: str, metric: str) -> Estimate:
    """Estimate a number of a phase in milliseconds.

    Args:
        sweep: the runs.
        version: whose.
        cell: hosts and messages.
        phase: name of the phase.
        metric: one of `PHASE_METRICS`.
    """
    runs = sweep.of(version, cell)
    name = f"{phase}/{metric}"
    return median(runs.loc[runs["outcome"] == "ok", name] / 1e6) if name in runs else UNKNOWN


def definitions() -> Table:
    """Say what each quantity holds."""
    return Table(["quantity", "unit", "meaning"], [[q.title, q.unit, q.meaning] for q in QUANTITIES.values()], words=3)


def _difference_title(quantity: Quantity) -> str:
    return "difference per message, µs" if is_spread(quantity) else f"difference, {quantity.unit}"


def _difference(quantity: Quantity, cell: CellRatio) -> str:
    if is_spread(quantity):
        return signed(cell.difference.value / cell.messages * 1000)
    return signed(cell.difference.value)


def is_spread(quantity: Quantity) -> bool:
    """Whether a quantity is a time that grows with the messages, so that its difference is one per message."""
    return quantity.unit == "ms" and quantity.kind == "timing"
