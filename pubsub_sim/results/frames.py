"""Data frames of many runs: conversion of the long frame into one row per run, and its fingerprint."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING

from pubsub_sim.results.metrics import METRICS, RUN
from pubsub_sim.results.record import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

_RUN_COLUMNS = (*PARAMETERS, "order", "outcome", "error", "limit_s")
_VARYING = ("phase", "metric", "value")


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with one row per run.

    Args:
        frame: the long frame of Store.load, or a part of it.

    Returns:
        Columns: the parameters, order, outcome, error and limit_s; then every metric of a run by its name; then
        each metric of a phase as "<phase>/<metric>". Numbers are float64, exact for integers below 2**53, because a
        failed run lacks some of them (NaN); units are those of the metrics table.
    """
    import pandas as pd  # here, as who measures needs no frames, and it takes half a second

    run = frame.groupby(list(PARAMETERS), sort=False).ngroup().rename("run")
    facts = frame.loc[~run.duplicated(), list(_RUN_COLUMNS)].reset_index(drop=True)
    name = frame["metric"].where(frame["phase"] == RUN, frame["phase"] + "/" + frame["metric"])
    long = pd.DataFrame({"run": run, "name": name, "value": frame["value"].astype("float64")})
    values = long.pivot(index="run", columns="name", values="value")
    values = values.reindex(columns=_columns(values.columns, frame.loc[frame["phase"] != RUN, "phase"].unique()))
    values.columns.name = None
    return pd.concat([facts, values.reset_index(drop=True)], axis="columns")


def fingerprint(frame: pd.DataFrame) -> str:
    """Return the hexadecimal SHA-256 of every stored number of many runs and of their parameters.

    It is that of the frame as CSV, rows sorted, phase, metric and value last.

    Args:
        frame: the long frame of Store.load, which is the same for single files and for a packed sweep.
    """
    rows = frame.sort_values([*PARAMETERS, "phase", "metric"], kind="stable")
    facts = [name for name in rows.columns if name not in _VARYING]
    heads, tails = _write_cells(rows, facts), _write_cells(rows, ["phase", "metric"])
    values = map(str, rows["value"].tolist())
    lines = [f"{head},{tail},{value}\n" for head, tail, value in zip(heads, tails, values, strict=True)]
    return hashlib.sha256("".join([",".join([*facts, *_VARYING]), "\n", *lines]).encode()).hexdigest()


def _write_cells(rows: pd.DataFrame, columns: list[str]) -> Iterator[str]:
    """Give the cells of each row as CSV; of equal rows, which are many, they are written once."""
    number = rows.groupby(columns, sort=False, dropna=False).ngroup()
    different = rows.loc[~number.duplicated(), columns]
    cells = zip(*(different[name].where(different[name].notna(), "").tolist() for name in columns), strict=True)
    lines = list(map(_write_line, cells))
    return map(lines.__getitem__, number.tolist())


def _write_line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def overview(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with one row per cell, version and kind of run.

    Args:
        runs: the frame of ``wide``.

    Returns:
        Index hosts, messages, version, kind ("comparator" for the stored "field"); columns runs, failures, and medians
        over the ok runs in milliseconds: wall_ms, and wall_without_waits_ms, which excludes the fixed waits of the procedure.
    """
    ok = runs["outcome"] == "ok"
    shown = runs[["hosts", "messages", "version", "kind", "failures"]].assign(
        kind=runs["kind"].replace("field", "comparator"),
        wall_ms=runs["wall_ns"].where(ok) / 1e6,
        wall_without_waits_ms=(runs["wall_ns"] - runs["fixed_wait_ns"]).where(ok) / 1e6,
    )
    table = shown.groupby(["hosts", "messages", "version", "kind"]).agg(
        runs=("failures", "size"),
        failures=("failures", "sum"),
        wall_ms=("wall_ms", "median"),
        wall_without_waits_ms=("wall_without_waits_ms", "median"),
    )
    return table.astype({"failures": "int64"})


def _columns(present: Iterable[str], phases: Iterable[str]) -> list[str]:
    found = set(present)
    of_run = [name for name, metric in METRICS.items() if metric.fits(RUN)]
    of_phases = [f"{phase}/{name}" for phase in phases for name in METRICS]
    return of_run + [name for name in of_phases if name in found]
