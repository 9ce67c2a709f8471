"""Sentences that state the results. Every number in them comes from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.report.intervals import LEVEL, RESAMPLES, median
from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import cell_median, control_pairs, over_grid, over_sampled_cells, per_cell, version_pairs
from pubsub_sim.report.show import Prose
from pubsub_sim.report.tables import control_version
from pubsub_sim.report.wording import (
    FIGURES,
    among,
    code,
    count,
    given,
    listing,
    number,
    ratio,
    ratio_interval,
    ratio_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from pubsub_sim.report.intervals import Estimate
    from pubsub_sim.report.sweep import Sweep


def headline(sweep: Sweep) -> Prose:
    """Say in one sentence per version what it costs, with its interval and that of the control."""
    sentences = [text for version in sweep.others if (text := _cost(sweep, version))]
    return Prose("\n\n".join(sentences or [_alone(sweep)]))


def grid(sweep: Sweep) -> Prose:
    """Say how many runs there are and how many ended well."""
    total, failed = len(sweep.runs), int((sweep.runs["outcome"] != "ok").sum())
    ended = "all of them ended well" if not failed else f"{count(failed, 'run')} did not end well"
    cells = count(len(sweep.cells), "cell")
    missing = sum(sweep.of(version, cell).empty for version in sweep.versions for cell in sweep.cells)
    missing += (len(sweep.hosts) * len(sweep.messages) - len(sweep.cells)) * len(sweep.versions)
    gap = (
        f" {count(missing, 'combination')} of version, hosts and messages {'was' if missing == 1 else 'were'} not run."
    )
    text = (
        f"The sweep {code(sweep.name)} holds {count(total, 'run')} of {listing(map(code, sweep.versions))} in {cells} "
        f"({among(sweep.hosts)} hosts \N{MULTIPLICATION SIGN} {among(sweep.messages)} messages); {ended}."
    )
    lone = sweep.apart()
    told = (
        f" {count(lone, 'run')} {'was' if lone == 1 else 'were'} not measured together with the rest of the pair and "
        "left out of all ratios."
    )
    return Prose(text + (gap if missing else "") + (told if lone else ""))


def control(sweep: Sweep) -> Prose:
    """Say what a version compared with itself gives: the noise that every ratio stands in."""
    name = control_version(sweep)
    parts = []
    for key in HEADLINE:
        found = over_grid(control_pairs(sweep, QUANTITIES[key]))
        if found.is_known:
            parts.append(f"{ratio(found)} in {_plain(key)}")
    if not parts:
        return Prose("This sweep has no control runs, so the noise of the machine is known only from the repeats.")
    return Prose(
        f"The control: {code(name)} ran twice in each pair. Compared with itself it gives {listing(parts)}. "
        "A ratio whose interval overlaps the control's is not told apart from the noise of the machine."
    )


def estimating() -> Prose:
    """Say how the numbers of the report are estimated and written."""
    return Prose(
        f"Medians come with {LEVEL} % bootstrap intervals of {count(RESAMPLES, 'sample')}. Ratios are taken inside pairs; a "
        "cell's ratio is the median over its pairs, taken of logarithms. The mean over the grid is geometric. Its bootstrap "
        "draws pairs inside each cell: the interval says how well the mean over these cells is known. A second one draws "
        "cells first and then pairs inside each: it takes the cells for a sample of possible ones, and holds how much they "
        f"differ. All bootstraps start from a fixed seed. Estimates are rounded to {FIGURES} figures, ratios and exponents "
        "to hundredths."
    )


def waits(sweep: Sweep) -> Prose:
    """Say how much of the duration the fixed waits of the procedure are."""
    share = wait_shares(sweep)
    if share.empty:
        return Prose("No run tells how long its fixed waits were.")
    if share.max() == 0:
        return Prose("No run had a fixed wait.")
    return Prose(
        f"The procedure's fixed waits are {number(share.min())} % to {number(share.max())} % of a run's duration. They "
        "are the same in every version and say nothing about it, so the comparison is of the time without them."
    )


def wait_shares(sweep: Sweep) -> pd.Series[float]:
    """Give how much of the duration of each run the fixed waits are, in percent."""
    ok = sweep.runs.loc[sweep.runs["outcome"] == "ok"]
    return (ok["fixed_wait_ns"] / ok["wall_ns"] * 100).dropna()


def failures(sweep: Sweep) -> Prose:
    """Say how many runs failed, for each version."""
    if sweep.runs.empty:
        return Prose("There are no runs.")
    failed = sweep.runs["outcome"] != "ok"
    if not failed.any():
        return Prose(f"None of the {count(len(sweep.runs), 'run')} failed.{_of_watched(sweep)}")
    parts = []
    for version in sweep.versions:
        own = sweep.runs["version"] == version
        parts.append(f"{int((failed & own).sum()):,} of {count(int(own.sum()), 'run')} of {code(version)}")
    verb = "failed" if failed.sum() != 1 else "failed in all"
    return Prose(f"{listing(parts)} {verb}. They count here and in no median or ratio.{_of_watched(sweep)}")


def _of_watched(sweep: Sweep) -> str:
    """Say how many of the runs that are not compared by their times failed, "" if there are none."""
    others = {"control runs": sweep.controls, "runs that were watched": sweep.watched}
    parts = [
        f"{int((runs['outcome'] != 'ok').sum()):,} of the {len(runs):,} {name}"
        for name, runs in others.items()
        if len(runs)
    ]
    return f" Besides, {listing(parts)} failed." if parts else ""


def noise(sweep: Sweep) -> Prose:
    """Say what the runs themselves tell about the noise of the machine."""
    ok = sweep.runs.loc[sweep.runs["outcome"] == "ok"]
    switches = median(ok["involuntary_switches"])
    loads = [float(value) for value in sweep.provenance.get("load_average", ())]
    parts = []
    if switches.is_known:
        parts.append(f"the kernel took the processor away {number(switches.value, exact=True)} times in a median run")
    if loads:
        low, high = given(min(loads)), given(max(loads))
        parts.append(f"the load average was {low}" + (f" to {high}" if high != low else ""))
    if True in sweep.provenance.get("dirty", ()):
        parts.append("some runs were measured from sources with uncommitted changes")
    text = "; ".join(parts)
    return Prose(
        f"- {text[:1].upper()}{text[1:]}." if text else "- The runs tell nothing about the noise of the machine."
    )


def _cost(sweep: Sweep, version: str) -> str:
    found = {key: over_grid(version_pairs(sweep, version, QUANTITIES[key])) for key in HEADLINE}
    known = {key: value for key, value in found.items() if value.is_known}
    if not known:
        return ""
    parts = [f"**{ratio_of(value.value)} times** the {_plain(key)}{_of(value)}" for key, value in known.items()]
    cells = per_cell(version_pairs(sweep, version, QUANTITIES[next(iter(known))]))
    where = f": geometric means over {count(len(cells), 'cell')} of hosts \N{MULTIPLICATION SIGN} messages"
    if len(cells) == 1:
        where = f" in its only cell, {count(cells[0].hosts, 'host')} \N{MULTIPLICATION SIGN} {count(cells[0].messages, 'message')}"
    text = f"{code(version)} takes {listing(parts)} of {code(sweep.base)}{where}"
    itself = [over_grid(control_pairs(sweep, QUANTITIES[key])) for key in known]
    if all(value.is_known for value in itself):
        text += f"; {code(control_version(sweep))} against itself gives {listing(map(ratio, itself))}"
    else:
        text += "; this sweep has no control, a version against itself, to hold that against"
    return text + "." + _as_sample(sweep, version, list(known)) + _calls(sweep, version)


def _as_sample(sweep: Sweep, version: str, names: list[str]) -> str:
    """Say how far the means would be known for cells in general, "" for a single cell."""
    paired = {name: version_pairs(sweep, version, QUANTITIES[name]) for name in names}
    found = {name: over_sampled_cells(rows) for name, rows in paired.items() if len(per_cell(rows)) > 1}
    parts = [f"{ratio_interval(value)} in {_plain(name)}" for name, value in found.items() if value.has_interval]
    return f" With the cells taken for a sample of possible ones the intervals are {listing(parts)}." if parts else ""


def _calls(sweep: Sweep, version: str) -> str:
    found = over_grid(version_pairs(sweep, version, QUANTITIES["calls"]))
    if not found.is_known:
        return ""
    return (
        f" Counted instead of timed, it makes {ratio_of(found.value)} times the calls of functions in `rand msgs`"
        f"{_of(found)}."
    )


def _alone(sweep: Sweep) -> str:
    quantity = QUANTITIES[HEADLINE[0]]
    parts = []
    for version in sweep.versions:
        known = [(cell, cell_median(sweep, version, cell, quantity)) for cell in sweep.cells]
        known = [(cell, value) for cell, value in known if value.is_known]
        for (hosts, messages), value in dict.fromkeys([*known[:1], *known[-1:]]):
            shown = f"{number(value.value)} {quantity.unit}"
            parts.append(f"{shown} with {hosts:,} hosts and {count(messages, 'message')}")
    if not parts:
        return "No run of this sweep ended well, so there is nothing to compare."
    if len(sweep.versions) > 1:
        return "No pair of runs of two versions ended well, so there is no ratio to report."
    return (
        f"This sweep holds only {code(sweep.base)}, so nothing is compared: its median duration without fixed waits is "
        f"{listing(parts)}."
    )


def _plain(key: str) -> str:
    title = QUANTITIES[key].title
    return title if title.startswith("CPU") else title[:1].lower() + title[1:]


def _of(value: Estimate) -> str:
    return f" (95 % interval {ratio_interval(value)})" if value.has_interval else ""
