"""All numbers of the report with unit and interval, for other programs, and a check that they still hold."""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING, Any

from pubsub_sim.places import sweeps_folder
from pubsub_sim.report import (
    amounts,
    control,
    difference,
    engine,
    load,
    meshes,
    original,
    published,
    scaling,
    sessions,
    whole_runs,
)
from pubsub_sim.report.comparators import PLACE, REFERENCES, list_conditions, list_versions, summarise_encrypted
from pubsub_sim.report.formatting import LEAST_P_VALUE, round_number, to_json
from pubsub_sim.report.options import reference_file
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import (
    divide_by_cell,
    estimate_cell_median,
    estimate_cells,
    estimate_over_grid,
    estimate_over_sampled_cells,
    pair_control,
    pair_version,
)
from pubsub_sim.report.sweep import CELL, Sweep
from pubsub_sim.report.tables import PHASE_METRICS, estimate_phase, find_control_version, is_spread
from pubsub_sim.report.text import wait_shares
from pubsub_sim.results import ResultsError
from pubsub_sim.results.intervals import LEVEL, RESAMPLES, Estimate

if TYPE_CHECKING:
    from pathlib import Path

    from pubsub_sim.report.quantities import Quantity
    from pubsub_sim.report.ratios import CellRatio

FILE = "summary.json"
"""Name of the summary in the folder of a report."""

_SCHEMA = 7


def summarise(sweep: Sweep, reference: str = "") -> dict[str, Any]:
    """Give every number of the report.

    Args:
        sweep: the runs.
        reference: published figures that stand beside them, "" for none.

    Returns:
        JSON values: the sweep's name, the fingerprint of its runs, its grid and counts, medians per cell and version,
        ratios per cell, geometric means over the grid, exponents of growth, phases, and the published ratios; "control"
        is null in a sweep that has none, and so are the costs of the engine by
        itself; "load" is there only in a sweep with runs under load. An interval is a list of two numbers, null where the spread is unknown.
    """
    failed = sweep.runs["outcome"] != "ok"
    file = reference_file(reference)
    return {
        "schema": _SCHEMA,
        "sweep": sweep.name,
        "fingerprint": sweep.fingerprint,
        "base": sweep.base,
        "versions": list(sweep.versions),
        "grid": {"hosts": sweep.hosts, "messages": sweep.messages},
        "conditions": sweep.conditions(),
        "amounts": _amounts(sweep),
        "amounts_more": amounts.summarise(sweep),
        "runs": {name: int((sweep.runs["version"] == name).sum()) for name in sweep.versions},
        "failed": {name: int((failed & (sweep.runs["version"] == name)).sum()) for name in sweep.versions},
        "interval": {"unit": "%", "level": LEVEL, "samples": RESAMPLES, "least_p_value": LEAST_P_VALUE},
        "headline": list(HEADLINE),
        "control": _control(sweep),
        "beside_control": control.summarise(sweep),
        "sessions": sessions.summarise(sweep),
        "whole_runs": whole_runs.summarise(sweep),
        "fixed_waits": _waits(sweep),
        "geometric_means": [entry for quantity in QUANTITIES.values() for entry in _means(sweep, quantity)],
        "ratios": [entry for quantity in QUANTITIES.values() for entry in _ratios(sweep, quantity)],
        "scaling": scaling.summarise(sweep),
        "difference": difference.summarise(sweep),
        "phases": _phases(sweep),
        "comparators": _comparators(sweep),
        "encrypted_nodes": summarise_encrypted(sweep),
        "medians": [entry for quantity in QUANTITIES.values() for entry in _medians(sweep, quantity)],
        "reference": reference,
        "published": published.summarise(sweep, file),
        "published_failures": {
            name: {"failed": few, "runs": all_} for name, (few, all_) in published.count_failures(file).items()
        },
        "original": original.summarise(reference),
        "engine": engine.summarise(sweep.engine),
        **({"load": load.summarise(sweep)} if sweep.under_load else {}),
        **({"meshes": meshes.summarise(sweep.meshes)} if sweep.meshes else {}),
    }


def write_summary(sweep: Sweep, reference: str = "") -> str:
    """Give the summary as it is stored.

    Args:
        sweep: the runs.
        reference: published figures that stand beside them, "" for none.
    """
    return json.dumps(summarise(sweep, reference), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def is_stale(out: Path, raw: Path | None = None) -> bool:
    """Say whether a report no longer agrees with the runs it was computed from.

    Args:
        out: folder of the report.
        raw: where the folders of sweeps lie; by default those of this clone or of the current folder.

    Returns:
        True if the summary is not there or cannot be read, if its sweep is gone, or if any stored number
        of the sweep's runs is another one, shown or not.
    """
    try:
        stored = json.loads((out / FILE).read_text(encoding="utf-8"))
        sweep = Sweep.load((raw or sweeps_folder()) / str(stored["sweep"]))
        if stored["fingerprint"] != sweep.fingerprint:
            return True  # other runs: what they give need not be computed
        fresh = json.loads(write_summary(sweep, str(stored["reference"])))
    except (OSError, ValueError, KeyError, TypeError, ResultsError):
        return True
    return bool(stored != fresh)


def _amounts(sweep: Sweep) -> dict[str, dict[str, int]]:
    """Count the runs of each purpose and those of them that failed."""
    purposes = {
        "compared": sweep.runs,
        "control": sweep.controls,
        "other conditions": sweep.under_other_conditions(),
        "without time slices": sweep.whole,
        "instrumented": sweep.watched,
        "comparators": sweep.field,
    }
    return {
        name: {"runs": len(runs), "failed": int((runs["outcome"] != "ok").sum())} for name, runs in purposes.items()
    }


def _control(sweep: Sweep) -> dict[str, Any] | None:
    """Give what a version against itself says beside the headline; None for a sweep without such runs."""
    if sweep.controls.empty:
        return None
    found = {name: to_json(estimate_over_grid(pair_control(sweep, QUANTITIES[name]))) for name in HEADLINE}
    return {"version": find_control_version(sweep), **found}


def _waits(sweep: Sweep) -> dict[str, Any]:
    """Give the share of the fixed waits in the duration of a run, from the least to the greatest."""
    share = wait_shares(sweep)
    ends = (share.min(), share.max()) if len(share) else (math.nan, math.nan)
    return {"unit": "%", "least": round_number(ends[0]), "greatest": round_number(ends[1])}


def _phases(sweep: Sweep) -> list[dict[str, Any]]:
    """Give the phases of the cells that are drawn: all hosts, the largest number of messages."""
    places = itertools.product(sweep.hosts, sweep.messages[-1:], sweep.versions, sweep.phases, PHASE_METRICS)
    found = []
    for hosts, messages, version, phase, metric in places:
        value = estimate_phase(sweep, version, (hosts, messages), phase, metric)
        if value.is_known:
            place = {"phase": phase, "metric": metric, "version": version, "hosts": hosts, "messages": messages}
            found.append(place | {"unit": "ms"} | to_json(value))
    return found


def _comparators(sweep: Sweep) -> list[dict[str, Any]]:
    found = []
    for condition in list_conditions(sweep):
        place = {name: getattr(condition, name) for name in (*CELL, *PLACE)}
        for version in list_versions(sweep):
            if version not in condition.runs:
                continue
            entry = {"quantity": "cpu-per-rpc", "version": version, **place, "unit": "µs"}
            ratios = {
                f"over_{name.replace('-', '_')}": to_json(condition.ratio(version, name))
                for name in REFERENCES
                if name != version
            }
            found.append(entry | to_json(condition.per_rpc(version)) | ratios)
    return found


def _means(sweep: Sweep, quantity: Quantity) -> list[dict[str, Any]]:
    compared = [(version, sweep.base, pair_version(sweep, version, quantity)) for version in sweep.others]
    if not sweep.controls.empty:
        name = find_control_version(sweep)
        compared.append((name, name, pair_control(sweep, quantity)))
    return [
        {"quantity": quantity.name, "version": other, "over": base, "unit": "1", "cells": len(divide_by_cell(paired))}
        | to_json(estimate_over_grid(paired))
        | {"interval_as_sample": to_json(estimate_over_sampled_cells(paired))["interval"]}
        for other, base, paired in compared
        if not paired.empty
    ]


def _ratios(sweep: Sweep, quantity: Quantity) -> list[dict[str, Any]]:
    return [
        {
            "quantity": quantity.name,
            "version": version,
            "over": sweep.base,
            "hosts": cell.hosts,
            "messages": cell.messages,
        }
        | {"unit": "1"}
        | to_json(cell.ratio)
        | {"difference": {"unit": quantity.unit} | to_json(cell.difference)}
        | _per_message(quantity, cell)
        for version in sweep.others
        for cell in estimate_cells(pair_version(sweep, version, quantity))
    ]


def _per_message(quantity: Quantity, cell: CellRatio) -> dict[str, Any]:
    """Give the difference of a time per message, as the tables do."""
    if not is_spread(quantity):
        return {}
    scale = 1000 / cell.messages
    own = cell.difference
    each = Estimate(own.value * scale, own.low * scale, own.high * scale, own.observations)
    return {"difference_per_message": {"unit": "µs"} | to_json(each)}


def _medians(sweep: Sweep, quantity: Quantity) -> list[dict[str, Any]]:
    amounts = {
        version: {cell: len(rows) for cell, rows in divide_by_cell(sweep.of(version, kind=quantity.kind))}
        for version in sweep.versions
    }
    found = []
    for cell in sweep.cells:
        for version in sweep.versions:
            runs = amounts[version].get(cell, 0)
            place = {"version": version, "hosts": cell[0], "messages": cell[1], "runs": runs}
            value = estimate_cell_median(sweep, version, cell, quantity)
            if value.is_known:
                found.append({"quantity": quantity.name, **place, "unit": quantity.unit} | to_json(value))
    return found
