"""Tables of medians, ratios, failures, and of the grid as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.report.display import Absent, Prose, Several, Table
from pubsub_sim.report.formatting import (
    NOTHING,
    format_code,
    format_estimate,
    format_ratio,
    format_ratio_interval,
    format_ratio_value,
    format_signed,
)
from pubsub_sim.report.quantities import QUANTITIES
from pubsub_sim.report.ratios import (
    divide_by_cell,
    estimate_cell_median,
    estimate_cells,
    estimate_over_grid,
    estimate_over_sampled_cells,
    pair_control,
    pair_version,
)
from pubsub_sim.results.intervals import UNKNOWN, estimate_center

if TYPE_CHECKING:
    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.ratios import CellRatio
    from pubsub_sim.report.sweep import Sweep
    from pubsub_sim.results.intervals import Estimate

PHASE_METRICS = ("wall_ns", "fixed_wait_ns", "cpu_ns")
"""What is told of each phase: its time, the fixed waits in it, and its processor time."""


def tabulate_medians(sweep: Sweep, name: str) -> Table:
    """Give a quantity in every cell: values per version, then what the paired ratios and the paired differences give.

    Args:
        sweep: the runs.
        name: of the quantity.
    """
    quantity = QUANTITIES[name]
    columns = ["hosts", "messages", *(f"{format_code(version)}, {quantity.unit}" for version in sweep.versions)]
    for version in sweep.others:
        columns += [
            f"from paired ratios, {format_code(version)} / {format_code(sweep.base)}",
            _difference_title(quantity),
        ]
    ratios = {
        v: {(c.hosts, c.messages): c for c in estimate_cells(pair_version(sweep, v, quantity))} for v in sweep.others
    }
    rows = []
    for cell in sweep.cells:
        row = [f"{cell[0]:,}", f"{cell[1]:,}"]
        values = (estimate_cell_median(sweep, version, cell, quantity) for version in sweep.versions)
        row += [format_estimate(value, exact=quantity.is_count) for value in values]
        for version in sweep.others:
            found = ratios[version].get(cell)
            row.append(format_ratio(found.ratio) if found else NOTHING)
            row.append(_difference(quantity, found) if found else NOTHING)
        rows.append(row)
    return Table(columns, rows, words=0)


def tabulate_instrumented(sweep: Sweep, *names: str) -> Several | Absent:
    """Give quantities of instrumented runs, one table each; a sentence if the sweep has no such runs.

    Args:
        sweep: the runs.
        names: of the quantities.
    """
    parts: list[Table | Prose] = []
    for name in names:
        quantity = QUANTITIES[name]
        if quantity.of(sweep.of_kind(quantity.kind)).notna().any():
            parts += [Prose(f"**{quantity.title}**: {quantity.meaning}"), tabulate_medians(sweep, name)]
    return Several(parts) if parts else Absent("This sweep has no such instrumented runs.")


def tabulate_grid_ratios(sweep: Sweep, *names: str) -> Table | Prose:
    """Give the geometric mean ratio over the grid, and beside it that of a version to itself.

    Args:
        sweep: the runs.
        names: quantities; by default all but those per RPC, whose ratios are those of the quantities themselves.
    """
    columns = ["quantity", "ratio of", "mean", "interval, these cells", "interval, sampled cells", "cells", "pairs"]
    rows = []
    # the versions send equally many RPCs, so a quantity per RPC has the ratio of the quantity itself
    for quantity in [QUANTITIES[name] for name in names] or [one for one in QUANTITIES.values() if not one.over]:
        entries = [
            (f"{format_code(v)} / {format_code(sweep.base)}", pair_version(sweep, v, quantity)) for v in sweep.others
        ]
        entries.append((f"{format_code(find_control_version(sweep))} / itself", pair_control(sweep, quantity)))
        for label, paired in entries:
            found = estimate_over_grid(paired)
            if found.is_known:
                amounts = [f"{len(divide_by_cell(paired)):,}", f"{len(paired):,}"]
                ends = [format_ratio_interval(one) or NOTHING for one in (found, estimate_over_sampled_cells(paired))]
                rows.append([quantity.title, label, format_ratio_value(found.value), *ends, *amounts])
    return Table(columns, rows, words=2) if rows else Prose("No pair of runs succeeded, so there are no ratios.")


def find_control_version(sweep: Sweep) -> str:
    """Name the version that ran twice in each pair, "" if none did."""
    return min(map(str, sweep.controls["version"]), default="")


def tabulate_failures(sweep: Sweep) -> Table:
    """List the failed runs, those of one cell that ended in the same way in one row."""
    failed = sweep.runs.loc[sweep.runs["outcome"] != "ok"]
    rows = []
    for _, group in failed.groupby(["version", "hosts", "messages", "outcome", "error"], sort=True):
        first = group.iloc[0]
        version, cell = str(first["version"]), (int(first["hosts"]), int(first["messages"]))
        amount = f"{len(group):,} of {len(sweep.of(version, cell)):,}"
        rows.append([format_code(version), first["outcome"], first["error"], f"{cell[0]:,}", f"{cell[1]:,}", amount])
    return Table(["version", "outcome", "error", "hosts", "messages", "runs"], rows, words=3)


def show_failures(sweep: Sweep) -> Several:
    """Show how the runs of each version ended, and which of them failed."""
    listed = tabulate_failures(sweep)
    return Several([tabulate_endings(sweep), listed] if listed.rows else [tabulate_endings(sweep)])


def tabulate_endings(sweep: Sweep) -> Table:
    """Count per version how the runs ended."""
    found = sorted(set(sweep.runs["outcome"]) - {"ok"})
    rows = []
    for version in sweep.versions:
        outcomes = sweep.of(version)["outcome"]
        counts = [f"{(outcomes == name).sum():,}" for name in ("ok", *found)]
        rows.append([format_code(version), f"{len(outcomes):,}", *counts])
    return Table(["version", "runs", "ok", *found], rows)


def tabulate_phases(sweep: Sweep) -> Table | Prose:
    """Give the time of each phase in the largest cell, its fixed waits and its processor time."""
    if not sweep.phases:
        return Absent("No run recorded its phases.")
    cell = sweep.hosts[-1], sweep.messages[-1]
    columns = ["phase"]
    for version in sweep.versions:
        columns += [f"{format_code(version)}, ms", "fixed waits, ms", "CPU, ms"]
    rows = []
    for phase in sweep.phases:
        row = [phase]
        for version in sweep.versions:
            found = (estimate_phase(sweep, version, cell, phase, metric) for metric in PHASE_METRICS)
            row += [format_estimate(value).partition(" (")[0] for value in found]
        rows.append(row)
    return Table(columns, rows)


def estimate_phase(sweep: Sweep, version: str, cell: tuple[int, int], phase: str, metric: str) -> Estimate:
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
    if name not in runs:
        return UNKNOWN
    ok = runs.loc[runs["outcome"] == "ok"]
    return estimate_center(ok[name] / 1e6, ok["session"])


def tabulate_definitions() -> Table:
    """Say what each quantity holds."""
    return Table(["quantity", "unit", "meaning"], [[q.title, q.unit, q.meaning] for q in QUANTITIES.values()], words=3)


def _difference_title(quantity: Quantity) -> str:
    return (
        "from paired differences, µs per message"
        if is_spread(quantity)
        else f"from paired differences, {quantity.unit}"
    )


def _difference(quantity: Quantity, cell: CellRatio) -> str:
    if is_spread(quantity):
        return format_signed(cell.difference.value / cell.messages * 1000)
    return format_signed(cell.difference.value)


def is_spread(quantity: Quantity) -> bool:
    """Whether a quantity is a time that grows with the messages, so that its difference is given per message."""
    return quantity.unit == "ms" and quantity.kind == "timing"
