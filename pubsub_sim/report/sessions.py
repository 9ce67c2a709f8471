"""Sessions of a sweep beside each other: how far their ratios lie apart, and which of them was slow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pubsub_sim.report.display import Absent, Prose, Table
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_code,
    format_number,
    format_ratio_value,
    join_words,
    round_number,
)
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import has_sessions, pair_control, pair_version, tabulate_sessions
from pubsub_sim.report.sweep import CELL
from pubsub_sim.report.tables import find_control_version
from pubsub_sim.results.intervals import balanced_means

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from pubsub_sim.report.sweep import Sweep

SLOW = 1.25
"""How many times as long as in the middle session the base takes in a session that is called slow."""

_CPU = QUANTITIES["cpu"]


@dataclass(frozen=True)
class Session:
    """One session.

    Attributes:
        session: its number, from 1.
        pace: CPU time of the base's messages, as a multiple of the middle session's; a mean over the cells.
        ratios: name of a quantity to the ratio of the version to the base.
        controls: name of a quantity to the ratio of the base to itself.
    """

    session: int
    pace: float
    ratios: Mapping[str, float]
    controls: Mapping[str, float]

    @property
    def is_slow(self) -> bool:
        """Whether the base took much longer than in the other sessions."""
        return self.pace > SLOW


@dataclass(frozen=True)
class Spread:
    """How far sessions lie apart, as standard deviations of logarithms: 0.01 is 1 %.

    Attributes:
        observed: of the sessions' means.
        within: what the noise of single pairs makes of it; NaN if no cell of a session has two pairs.
        between: what is left for the sessions themselves; 0 if the noise explains all.
    """

    observed: float
    within: float
    between: float


def list_sessions(sweep: Sweep, version: str) -> list[Session]:
    """Give the sessions of a sweep; none for a sweep of one session.

    Args:
        sweep: the runs.
        version: which version is compared with the base.
    """
    if len(sweep.sessions) < 2:
        return []
    paces = _paces(sweep)
    quantities = [QUANTITIES[name] for name in HEADLINE]
    ratios = {one.name: _by_session(pair_version(sweep, version, one)) for one in quantities}
    controls = {one.name: _by_session(pair_control(sweep, one)) for one in quantities}
    return [
        Session(
            session,
            paces.get(session, math.nan),
            {name: found.get(session, math.nan) for name, found in ratios.items()},
            {name: found.get(session, math.nan) for name, found in controls.items()},
        )
        for session in sweep.sessions
    ]


def estimate_spread(paired: pd.DataFrame) -> Spread:
    """Divide the spread of the sessions' means into the noise of their pairs and what the sessions themselves add.

    Args:
        paired: pairs of several sessions as `ratios.match_pairs` gives them.
    """
    means = balanced_means(tabulate_sessions(paired))
    cells = paired.groupby([*CELL, "session"], sort=True)["log_ratio"]
    variances, counts = cells.var(ddof=1).dropna(), cells.size()
    observed = float(means.var(ddof=1))
    if variances.empty:
        return Spread(math.sqrt(observed), math.nan, math.sqrt(observed))
    of_pair = float(variances.mean())
    per_session = float((1 / counts).groupby("session").sum().mean())
    number = float(counts.groupby("session").size().mean())
    within = of_pair * per_session / number**2
    return Spread(math.sqrt(observed), math.sqrt(within), math.sqrt(max(0.0, observed - within)))


def describe(sweep: Sweep) -> Prose:
    """Say how far the sessions lie apart and which of them were slow."""
    parts = []
    for version in sweep.others:
        paired = pair_version(sweep, version, _CPU)
        if not has_sessions(paired):
            continue
        means, spread = np.exp(balanced_means(tabulate_sessions(paired))), estimate_spread(paired)
        text = (
            f"The {count_things(len(means), 'session')} give {format_ratio_value(means.min())} to {format_ratio_value(means.max())} "
            f"as the ratio of the {_CPU.title} of {format_code(version)} to that of {format_code(sweep.base)}, with a "
            f"standard deviation of {format_number(spread.observed * 100, places=1)} %"
        )
        if not math.isnan(spread.within):
            text += (
                f". The noise of single pairs explains {format_number(spread.within * 100, places=1)} %, and "
                f"{format_number(spread.between * 100, places=1)} % is left for the sessions themselves: their layout of memory and "
                "the time at which they ran"
            )
        parts.append(text + ".")
    if not parts:
        return Absent("The sweep has one session, so sessions cannot be compared.")
    slow = [one for one in list_sessions(sweep, sweep.others[0]) if one.is_slow]
    named = join_words(f"session {one.session} ({format_ratio_value(one.pace)} times)" for one in slow)
    limit = format_ratio_value(SLOW)
    parts.append(
        f"More than {limit} times the CPU time of the middle session was taken by {format_code(sweep.base)} in {named}."
        if slow
        else f"In no session did {format_code(sweep.base)} take more than {limit} times the CPU time of the middle session."
    )
    return Prose(" ".join(parts))


def tabulate(sweep: Sweep) -> Table | Absent:
    """Give each session's ratios, those of the control, and its pace."""
    found = {version: list_sessions(sweep, version) for version in sweep.others}
    if not any(found.values()):
        return Absent("The sweep has one session, so there is no table of sessions.")
    columns = ["session", f"CPU time of {format_code(sweep.base)}, multiple of the middle session"]
    for version in sweep.others:
        columns += [
            f"{format_code(version)} / {format_code(sweep.base)}, {QUANTITIES[name].title}" for name in HEADLINE
        ]
    own = find_control_version(sweep)
    columns += [f"{format_code(own)} / itself, {QUANTITIES[name].title}" for name in HEADLINE] if own else []
    rows = []
    for entries in zip(*found.values(), strict=True):
        row = [f"{entries[0].session}", _shown(entries[0].pace)]
        row += [_shown(entry.ratios[name]) for entry in entries for name in HEADLINE]
        row += [_shown(entries[0].controls[name]) for name in HEADLINE] if own else []
        rows.append(row)
    return Table(columns, rows, words=0)


def summarise(sweep: Sweep) -> list[dict[str, Any]]:
    """Give the sessions as JSON values, per version."""
    entries = []
    for version in sweep.others:
        found = list_sessions(sweep, version)
        paired = pair_version(sweep, version, _CPU)
        if not found or not has_sessions(paired):
            continue
        spread = estimate_spread(paired)
        told = {"observed": spread.observed, "within": spread.within, "between": spread.between}
        percent = {name: round_number(value * 100) for name, value in told.items()}
        entries.append(
            {"version": version, "over": sweep.base, "unit": "1"}
            | {"slow_above": SLOW, "spread": {"unit": "%", **percent}}
            | {
                "sessions": [
                    {"session": one.session, "pace": round_number(one.pace), "is_slow": one.is_slow}
                    | {"ratios": {name: round_number(value) for name, value in one.ratios.items()}}
                    | {"itself": {name: round_number(value) for name, value in one.controls.items()}}
                    for one in found
                ]
            }
        )
    return entries


def _paces(sweep: Sweep) -> dict[int, float]:
    """Give the base's CPU time in each session as a multiple of the middle session's."""
    runs = sweep.of(sweep.base)
    values = _CPU.of(runs)
    known = runs[[*CELL, "session"]].assign(value=np.log(values.where(values > 0))).dropna(subset="value")
    return _relative(_by_session(known, "value"))


def _relative(values: Mapping[int, float]) -> dict[int, float]:
    middle = float(np.median(list(values.values()))) if values else math.nan
    return {session: value / middle for session, value in values.items()}


def _by_session(rows: pd.DataFrame, column: str = "log_ratio") -> dict[int, float]:
    """Give each session the geometric mean over the cells."""
    if rows.empty:
        return {}
    numbers = sorted({int(value) for value in rows["session"]})
    means = np.exp(balanced_means(tabulate_sessions(rows, column)))
    return dict(zip(numbers, map(float, means), strict=True))


def _shown(value: float) -> str:
    return NOTHING if math.isnan(value) else format_ratio_value(value)
