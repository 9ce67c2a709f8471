"""Sentences that state the results. Every number in them comes from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pubsub_sim.report.display import Absent, Prose
from pubsub_sim.report.formatting import (
    FIGURES,
    count_things,
    format_code,
    format_estimate,
    format_given,
    format_number,
    format_ratio,
    format_ratio_interval,
    format_ratio_value,
    join_words,
    list_numbers,
)
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
from pubsub_sim.report.tables import find_control_version
from pubsub_sim.results.disturbance import find_disturbed
from pubsub_sim.results.intervals import LEVEL, RESAMPLES, median

if TYPE_CHECKING:
    from pubsub_sim.report.sweep import Sweep
    from pubsub_sim.results.intervals import Estimate

_TIMES = "\N{MULTIPLICATION SIGN}"
_SIGNED = {"strict": "every message signed", "none": "no message signed"}
_NETWORK = {"memory": "an in-memory network", "tcp": "loopback TCP"}


def describe_headline(sweep: Sweep) -> Prose:
    """Say what each version costs as ratios, with the conditions, intervals and the control."""
    paragraphs = [text for version in sweep.others if (text := _describe_cost(sweep, version))]
    return Prose("\n\n".join(paragraphs or [_describe_alone(sweep)]))


def describe_sweep(sweep: Sweep) -> Prose:
    """Say how many runs there are, of what, and which of the planned ones are missing or without a partner."""
    total, failed = len(sweep.runs), int((sweep.runs["outcome"] != "ok").sum())
    ended = "none failed" if not failed else f"{count_things(failed, 'run')} failed"
    text = (
        f"The sweep {format_code(sweep.name)} holds {count_things(total, 'run')} of "
        f"{join_words(map(format_code, sweep.versions))} in {count_things(len(sweep.cells), 'cell')} "
        f"({list_numbers(sweep.hosts)} hosts {_TIMES} {list_numbers(sweep.messages)} messages) and "
        f"{count_things(len(sweep.sessions), 'session')}; {ended}."
    )
    missing = sum(sweep.of(version, cell).empty for version in sweep.versions for cell in sweep.cells)
    missing += (len(sweep.hosts) * len(sweep.messages) - len(sweep.cells)) * len(sweep.versions)
    if missing:
        was = "was" if missing == 1 else "were"
        text += f" {count_things(missing, 'combination')} of version, hosts and messages {was} not run."
    lone = sweep.apart()
    if lone:
        was = "was" if lone == 1 else "were"
        text += f" {count_things(lone, 'run')} {was} measured at another time than the partner and {was} left out of all ratios."
    return Prose(text)


def describe_control(sweep: Sweep) -> Prose:
    """Say what a version compared with itself gives: the noise of every ratio."""
    name = find_control_version(sweep)
    parts = []
    for key in HEADLINE:
        found = estimate_over_grid(pair_control(sweep, QUANTITIES[key]))
        if found.is_known:
            parts.append(f"{format_ratio(found)} in {_in_sentence(key)}")
    if not parts:
        return Prose("This sweep has no control runs, so the noise of the machine is known from the repeats only.")
    return Prose(
        f"In each pair {format_code(name)} ran twice, and both runs enter the ratios. The second run divided by the first gives "
        f"{join_words(parts)}. Without noise both would be 1."
    )


def describe_estimation(sweep: Sweep) -> Prose:
    """Say how the numbers of the report are estimated and written."""
    rounding = (
        f"Estimates are rounded to {FIGURES} significant figures, ratios and exponents to two decimals. A ratio is estimated from "
        "the ratios of pairs, and a difference from the differences of pairs: neither follows from the two values beside it."
    )
    if len(sweep.sessions) > 1:
        return Prose(
            f"The sweep has {count_things(len(sweep.sessions), 'session')}. Each starts its workers with a hash seed, an order of "
            "imports and a size of the environment of its own, which decide where code and data lie in memory. A value of a cell is "
            f"the mean over the sessions of their means, with a {LEVEL} % t interval over the sessions. A ratio is that of the "
            "logarithms of the paired ratios, and over the grid each session's mean over all cells is one observation. These "
            "intervals cover other sessions of the same programs on this machine; they do not cover other machines, builds of "
            "Python, or cells. The interval for sampled cells adds the variance between cells. Where both runs of a version "
            f"that ran twice in a pair are there, their mean is what is divided by. {rounding}"
        )
    return Prose(
        f"The sweep has one session, so its intervals cover that session only: {LEVEL} % percentile bootstrap intervals of medians "
        f"({count_things(RESAMPLES, 'resample')}, fixed seed). Another start with another layout of memory can lie outside. The ratio "
        "of a cell is the median over its pairs. The mean ratio over the grid is geometric, and its interval resamples pairs within "
        "cells: it holds for these cells. The wider interval treats the cells as a random sample: it resamples cells first, then "
        f"pairs within them. {rounding}"
    )


def describe_fixed_waits(sweep: Sweep) -> Prose:
    """Say how much of the duration the fixed waits of the procedure are."""
    share = wait_shares(sweep)
    if share.empty:
        return Prose("No run recorded its fixed waits.")
    if share.max() == 0:
        return Prose("No run had a fixed wait.")
    return Prose(
        f"The procedure sleeps for fixed times that are the same in every version: {format_number(share.min())} % to "
        f"{format_number(share.max())} % of a run's duration. Ratios of durations are therefore given without them."
    )


def wait_shares(sweep: Sweep) -> pd.Series[float]:
    """Give how much of the duration of each run the fixed waits are, in percent."""
    ok = sweep.runs.loc[sweep.runs["outcome"] == "ok"]
    return (ok["fixed_wait_ns"] / ok["wall_ns"] * 100).dropna()


def describe_failures(sweep: Sweep) -> Prose:
    """Say how many runs failed, for each version."""
    if sweep.runs.empty:
        return Prose("There are no runs.")
    failed = sweep.runs["outcome"] != "ok"
    if not failed.any():
        return Prose(
            f"None of the {count_things(len(sweep.runs), 'compared run')} failed.{_describe_other_runs(sweep)}"
        )
    parts = []
    for version in sweep.versions:
        own = sweep.runs["version"] == version
        parts.append(
            f"{int((failed & own).sum()):,} of {count_things(int(own.sum()), 'run')} of {format_code(version)}"
        )
    return Prose(
        f"{join_words(parts)} failed. Failed runs are counted here and are in no time or ratio."
        f"{_describe_other_runs(sweep)}"
    )


def _describe_other_runs(sweep: Sweep) -> str:
    """Say how many of the runs that are not compared by their times failed, "" if there are none."""
    others = {
        "control runs": sweep.controls,
        "runs under other conditions": sweep.under_other_conditions(),
        "runs without time slices": sweep.whole,
        "instrumented runs": sweep.watched,
    }
    parts = [
        f"{int((runs['outcome'] != 'ok').sum()):,} of the {len(runs):,} {name}"
        for name, runs in others.items()
        if len(runs)
    ]
    return f" Of the others, {join_words(parts)} failed." if parts else ""


def describe_noise(sweep: Sweep) -> Prose:
    """Say what the runs themselves tell about the noise of the machine."""
    ok = sweep.runs.loc[sweep.runs["outcome"] == "ok"]
    switches = median(ok["involuntary_switches"])
    loads = [float(value) for value in sweep.provenance.get("load_average", ())]
    parts = []
    if switches.is_known:
        parts.append(
            f"the kernel preempted the median run {count_things(round(switches.value), 'time')} (involuntary context switches)"
        )
    if loads:
        low, high = format_given(min(loads)), format_given(max(loads))
        parts.append(f"the load average was {low}" + (f" to {high}" if high != low else ""))
    if True in sweep.provenance.get("dirty", ()):
        parts.append("some runs were measured from sources with uncommitted changes")
    text = "; ".join(parts)
    if not text:
        return Absent("The runs recorded nothing about the noise of the machine.")
    return Prose(f"- {text[:1].upper()}{text[1:]}.")


def describe_conditions(sweep: Sweep) -> str:
    """Say under which conditions the headline holds: router, network, event loop, signatures."""
    found = sweep.conditions()
    network = _NETWORK.get(found["transport"], found["transport"])
    signing = _SIGNED.get(found["sign"], found["sign"])
    return f"With {found['router']} on {network} and {found['loop']}, {signing} and one message at a time"


def _describe_cost(sweep: Sweep, version: str) -> str:
    found = {key: estimate_over_grid(pair_version(sweep, version, QUANTITIES[key])) for key in HEADLINE}
    known = {key: value for key, value in found.items() if value.is_known}
    if not known:
        return ""
    base = format_code(sweep.base)
    cells = estimate_cells(pair_version(sweep, version, QUANTITIES[next(iter(known))]))
    where = f"over the {count_things(len(cells), 'cell')} of hosts {_TIMES} messages"
    if len(cells) == 1:
        where = f"in its only cell, {count_things(cells[0].hosts, 'host')} {_TIMES} {count_things(cells[0].messages, 'message')}"
    ratios = join_words(
        f"**{format_ratio_value(value.value)} times** the {_in_sentence(key)}{_bracket(value)}"
        for key, value in known.items()
    )
    means = "geometric means " if len(cells) > 1 else ""
    text = f"{describe_conditions(sweep)}, {format_code(version)} takes {ratios} of {base}, {means}{where}"
    itself = [estimate_over_grid(pair_control(sweep, QUANTITIES[key])) for key in known]
    if all(value.is_known for value in itself):
        control = format_code(find_control_version(sweep))
        text += f". {control} against itself gives {join_words(map(format_ratio, itself))}"
    else:
        text += ". This sweep has no control, so nothing says how large a ratio noise alone would give"
    text += "." + describe_disturbance(sweep)
    covered = describe_coverage(sweep) if any(value.has_interval for value in known.values()) else ""
    return text + covered + _describe_sampled_cells(sweep, version, list(known)) + _describe_calls(sweep, version, base)


def describe_disturbance(sweep: Sweep) -> str:
    """Say how many compared runs were disturbed, as the next sentence of a paragraph; "" if none was."""
    timed = pd.concat([sweep.runs, sweep.controls, sweep.under_other_conditions()])
    disturbed = int(find_disturbed(timed).sum())
    if not disturbed:
        return ""
    return (
        f" **The machine was not quiet**: {disturbed:,} of {count_things(len(timed), 'timed run')} were disturbed by other "
        "processes, by the hypervisor or by involuntary switches, so the intervals are wider than they need be."
    )


def describe_coverage(sweep: Sweep) -> str:
    """Say what the intervals of a sweep cover, as the next sentence of a paragraph."""
    amount = len(sweep.sessions)
    if amount > 1:
        return (
            f" The intervals are t intervals over the means of {amount:,} sessions: they cover other sessions on this machine, "
            "and no other machine."
        )
    return " The intervals cover this one session only: another start can lie outside them."


def _describe_sampled_cells(sweep: Sweep, version: str, names: list[str]) -> str:
    """Say how far the means would be known for cells in general, "" for a single cell."""
    paired = {name: pair_version(sweep, version, QUANTITIES[name]) for name in names}
    found = {name: estimate_over_sampled_cells(rows) for name, rows in paired.items() if len(divide_by_cell(rows)) > 1}
    parts = [
        f"{format_ratio_interval(value)} ({_in_sentence(name)})" for name, value in found.items() if value.has_interval
    ]
    return f" If the cells are treated as a random sample, the intervals are {join_words(parts)}." if parts else ""


def _describe_calls(sweep: Sweep, version: str, base: str) -> str:
    found = estimate_over_grid(pair_version(sweep, version, QUANTITIES["calls"]))
    if not found.is_known:
        return ""
    return (
        f" In runs that count function calls, {format_code(version)} makes {format_ratio_value(found.value)} times the calls "
        f"of {base}{_bracket(found)}."
    )


def _describe_alone(sweep: Sweep) -> str:
    quantity = QUANTITIES[HEADLINE[0]]
    parts = []
    for version in sweep.versions:
        known = [(cell, estimate_cell_median(sweep, version, cell, quantity)) for cell in sweep.cells]
        known = [(cell, value) for cell, value in known if value.is_known]
        for (hosts, messages), value in dict.fromkeys([*known[:1], *known[-1:]]):
            shown = f"{format_estimate(value)} {quantity.unit}"
            parts.append(f"{shown} with {hosts:,} hosts and {count_things(messages, 'message')}")
    if not parts:
        return "Every run of this sweep failed, so there is nothing to compare."
    if len(sweep.versions) > 1:
        return "No pair of runs of two versions succeeded, so there is no ratio."
    return (
        f"This sweep holds only {format_code(sweep.base)}, so nothing is compared. Its duration without fixed waits is in the {sweep.center} "
        f"{join_words(parts)}."
    )


def _in_sentence(key: str) -> str:
    title = QUANTITIES[key].title
    return title if title.startswith("CPU") else title[:1].lower() + title[1:]


def _bracket(value: Estimate) -> str:
    return f" (95 % interval {format_ratio_interval(value)})" if value.has_interval else ""
