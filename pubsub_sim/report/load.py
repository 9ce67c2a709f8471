"""The part of the report under load: saturation, latencies at shares of it, fairness, queues, drops, memory. Tables and figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pubsub_sim.report.display import Absent, Picture, Prose, Several, Table
from pubsub_sim.report.formatting import (
    NOTHING,
    count_things,
    format_code,
    format_estimate,
    format_given,
    format_number,
    format_ratio,
    join_words,
    round_number,
    to_json,
)
from pubsub_sim.report.loaded import (
    DROPS,
    LOWER_BOUND,
    SIGNED,
    compare_saturation,
    count_drops,
    estimate_factor,
    estimate_fairness,
    estimate_latency,
    estimate_number,
    estimate_saturation,
    find_due_rate,
    find_longest,
    group,
    step_of,
)
from pubsub_sim.report.style import WIDTH, choose_look, drawing, render
from pubsub_sim.results.load import fingerprint_load
from pubsub_sim.results.saturation import GROWTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from pubsub_sim.report.loaded import Condition, Loaded, Records, Step
    from pubsub_sim.report.sweep import Sweep
    from pubsub_sim.results.intervals import Estimate
    from pubsub_sim.results.load import LoadRecord

QUANTILES = {"p50_ns": "median", "p99_ns": "99th percentile"}
"""Drawn quantiles of latencies, with their words."""

_GROWTH_PERCENT = GROWTH * 100
_SEARCH = (
    f"A search ends when the throughput has not grown by more than {_GROWTH_PERCENT:g} % twice in a row, and the steps that close to "
    "the best are its plateau."
)
_MIB = 2**20
_MOST_PANELS = 3


# --- words and tables --------------------------------------------------------------------------------------------


def describe(records: Records) -> Prose:
    """Say what was measured, and how the versions compare at saturation."""
    groups = group(records)
    failed = [record for record in records if record.outcome != "ok"]
    if not groups:
        all_failed = f" ({count_things(len(failed), 'run')} failed)" if failed else ""
        return Absent(f"There are no runs under load that ended well{all_failed}.")
    sessions = len({record.run.session for record in records})
    parts = [
        f"{count_things(len(records), 'run')} in {count_things(sessions, 'session')}"
        + (f", of which {len(failed)} failed." if failed else ", all of which ended well."),
        *([_SEARCH] if any(one.closed for one in groups) else []),
        *(_describe_condition(groups, condition) for condition in dict.fromkeys(one.condition for one in groups)),
    ]
    if any(one.version == LOWER_BOUND for one in groups):
        parts.append(
            f"The lower bound {format_code(LOWER_BOUND)} has no readiness to wait for and no limits on its queues, so it drops nothing "
            "by construction, and its longest queue is bounded by the load alone."
        )
    return Prose(" ".join(parts))


def _describe_condition(groups: Sequence[Loaded], condition: Condition) -> str:
    own = [one for one in groups if one.condition == condition]
    base, *others = own
    text = f"{condition.words()[0].upper()}{condition.words()[1:]}:"
    known = estimate_saturation(base)
    if not known.is_known:
        return f"{text} open loops at given rates."
    text += f" {format_code(base.version)} saturates at {format_estimate(known)} messages a second"
    ratios = [
        f"{format_code(one.version)} at {format_ratio(ratio)}"
        for one in others
        if (ratio := compare_saturation(one, base)).is_known
    ]
    return f"{text}, {join_words(ratios)} times as many." if ratios else f"{text}."


def tabulate(records: Records) -> Table | Absent:
    """Give one row per version: saturation, p50 / p99 of latencies at shares of it, fairness, longest queue, drops, memory."""
    groups = group(records)
    if not groups:
        return Absent("There are no runs under load to tabulate.")
    opened = sorted({step for one in groups for step in one.steps if not step.in_flight})
    several = len({one.condition for one in groups}) > 1
    columns = [
        *(["condition"] if several else []),
        "version",
        "saturation, messages per s",
        "knee",
        *(f"p50 / p99 at {step.words()}, ms" for step in opened),
        "fairness",
        "longest backlog / queue",
        "dropped",
        "memory, MiB",
    ]
    rows = [[*([one.condition.words()] if several else []), *_row(one, opened)] for one in groups]
    return Table(columns, rows, words=1 + several)


def _row(loaded: Loaded, opened: Sequence[Step]) -> list[str]:
    knees = sorted({found.in_flight for found in loaded.saturations().values()})
    saturated = loaded.at_saturation() or loaded.open_loops()
    return [
        format_code(loaded.version),
        format_estimate(estimate_saturation(loaded)),
        "\N{EN DASH}".join(f"{knee}" for knee in (knees[0], knees[-1])[: len(knees)]) if knees else NOTHING,
        *(_two_latencies(loaded.of(step)) for step in opened),
        format_number(estimate_fairness(saturated).value, places=3),
        _longest(loaded.open_loops()),
        f"{count_drops(loaded.open_loops()):,}",
        format_number(estimate_number(saturated, "peak_rss_bytes", _MIB).value),
    ]


def _two_latencies(records: Records) -> str:
    return " / ".join(format_number(estimate_latency(records, name).value) for name in QUANTILES)


def show_steps(records: Records) -> Several | Absent:
    """Give a table per condition and version with one row per load, closed loops included."""
    groups = group(records)
    if not groups:
        return Absent("There are no runs under load to tabulate.")
    parts: list[Table | Prose] = []
    for one in groups:
        parts += [Prose(f"{format_code(one.version)}, {one.condition.words()}:"), tabulate_steps(one)]
    return Several(parts)


def tabulate_steps(loaded: Loaded) -> Table:
    """Give one row per load of a version, with intervals over sessions."""
    columns = [
        "load",
        "due, messages per s",
        "completed, messages per s",
        "p50, ms",
        "p99, ms",
        "fairness",
        "longest backlog / queue",
        "most in flight",
        "dropped at subscriptions / on the way",
        "memory, MiB",
    ]
    return Table(columns, [_step_row(loaded, step) for step in loaded.steps], words=1)


def _step_row(loaded: Loaded, step: Step) -> list[str]:
    own = loaded.of(step)
    in_flight = find_longest(own, "most_in_flight")
    return [
        step.words(),
        format_estimate(estimate_factor(own, find_due_rate)),
        format_estimate(estimate_factor(own, lambda one: one.throughput)),
        *(format_estimate(estimate_latency(own, name)) for name in QUANTILES),
        format_number(estimate_fairness(own).value, places=3),
        _longest(own),
        NOTHING if in_flight is None else f"{in_flight:,}",
        " / ".join(f"{count_drops(own, [name]):,}" for name in DROPS),
        format_number(estimate_number(own, "peak_rss_bytes", _MIB).value),
    ]


def _longest(records: Records) -> str:
    longest = [find_longest(records, name) for name in ("longest_backlog", "longest_queue")]
    return " / ".join(NOTHING if value is None else f"{value:,}" for value in longest)


def tabulate_failures(records: Records) -> Table | Absent:
    """Give the runs that failed with their sentences."""
    failed = [record for record in records if record.outcome != "ok"]
    if not failed:
        return Absent("No run under load failed.")
    rows = [
        [format_code(one.run.version), step_of(one.run).words(), f"{one.run.session}", one.outcome, one.error]
        for one in failed
    ]
    return Table(["version", "load", "session", "outcome", "error"], rows, words=5)


# --- for other programs ------------------------------------------------------------------------------------------


def summarise(sweep: Sweep) -> dict[str, Any]:
    """Give every number of this part of the report as JSON values."""
    groups = group(sweep.under_load)
    bases = {one.condition: one for one in reversed(groups)}  # the first of each condition
    return {
        "fingerprint": fingerprint_load(sweep.under_load),
        "runs": len(sweep.under_load),
        "failed": sum(record.outcome != "ok" for record in sweep.under_load),
        "sessions": len({record.run.session for record in sweep.under_load}),
        "growth": {"unit": "%", "value": _GROWTH_PERCENT},
        "versions": [_entry(one, bases[one.condition]) for one in groups],
    }


def _entry(loaded: Loaded, base: Loaded) -> dict[str, Any]:
    saturated = loaded.at_saturation() or loaded.open_loops()
    return {
        **loaded.condition._asdict(),
        "version": loaded.version,
        "saturation": {"unit": "messages/s"} | to_json(estimate_saturation(loaded)),
        "over": base.version,
        "saturation_ratio": {"unit": "1"} | to_json(compare_saturation(loaded, base)),
        "knees": [found.in_flight for found in loaded.saturations().values()],
        "fairness": {"unit": "1"} | to_json(estimate_fairness(saturated)),
        "memory": {"unit": "MiB"} | to_json(estimate_number(saturated, "peak_rss_bytes", _MIB)),
        **{name: find_longest(loaded.open_loops(), name) for name in ("longest_backlog", "longest_queue")},
        "dropped": count_drops(loaded.open_loops()),
        "steps": [_step_entry(loaded, step) for step in loaded.steps],
    }


def _step_entry(loaded: Loaded, step: Step) -> dict[str, Any]:
    own = loaded.of(step)
    names = ("longest_queue", "longest_backlog", "most_in_flight")
    return {
        **step._asdict(),
        "due": {"unit": "messages/s"} | to_json(estimate_factor(own, find_due_rate)),
        "completed": {"unit": "messages/s"} | to_json(estimate_factor(own, lambda one: one.throughput)),
        **{name.removesuffix("_ns"): {"unit": "ms"} | to_json(estimate_latency(own, name)) for name in QUANTILES},
        "fairness": round_number(estimate_fairness(own).value),
        **{name: find_longest(own, name) for name in names},
        **{name: count_drops(own, [name]) for name in DROPS},
        "memory": {"unit": "MiB"} | to_json(estimate_number(own, "peak_rss_bytes", _MIB)),
    }


# --- figure ------------------------------------------------------------------------------------------------------

_HEIGHT = 2.6
_PANEL_WIDTH, _PANEL_HEIGHT = 220.0, 135.0  # about, in points
_LABEL_WIDTH, _LABEL_HEIGHT = 34.0, 9.0
_ROOM = 2.0  # times the range of dots, below; twice so above, where the names are
_LIFT = 4.0  # of a label above its point


def draw(records: Records) -> Picture | Prose:
    """Draw latency over load: the median beside the 99th percentile, a line per version, a row per condition.

    Args:
        records: the runs.

    Returns:
        The figure, or a sentence if no version has two open loops.
    """
    groups = [one for one in group(records) if len(_points(one)) > 1]
    conditions = list(dict.fromkeys(one.condition for one in groups))[:_MOST_PANELS]
    if not conditions:
        return Absent("There are no two open loops to draw a line through.")
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEIGHT * len(conditions) + 0.1), layout="constrained")
        grid = figure.subplots(len(conditions), len(QUANTILES), squeeze=False, sharey="row")
        for row, condition in zip(grid, conditions, strict=True):
            own = [one for one in groups if one.condition == condition]
            low, high = _limits(own)
            for panel, (name, words) in zip(row, QUANTILES.items(), strict=True):
                panel.set_yscale("log")
                panel.set_ylim(low, high)
                _panel(panel, own, name)
                panel.set_title(words, loc="left")
            row[0].set_ylabel("latency, ms (logarithmic)")
            if len(conditions) > 1:
                row[0].set_title(f"{words_of_panel(condition)}: {QUANTILES['p50_ns']}", loc="left")
        for panel in grid[-1]:
            panel.set_xlabel("messages due per second")
        return render(figure, "load", _caption(groups, conditions))


def words_of_panel(condition: Condition) -> str:
    """Say in few words what tells a condition apart."""
    return f"{condition.hosts} hosts, {SIGNED.get(condition.sign, condition.sign)}, {condition.transport}"


def _points(loaded: Loaded) -> list[tuple[Estimate, tuple[LoadRecord, ...]]]:
    """Give the open loops in ascending order of what was due: messages a second, and the runs."""
    steps = [step for step in loaded.steps if not step.in_flight]
    points = [(estimate_factor(loaded.of(step), find_due_rate), loaded.of(step)) for step in steps]
    return sorted(points, key=lambda point: point[0].value)


def _limits(groups: Sequence[Loaded]) -> tuple[float, float]:
    """Give the ends of the axis of latencies: room for all dots and their names, whatever the intervals are."""
    found = [estimate_latency(own, name).value for one in groups for _, own in _points(one) for name in QUANTILES]
    known = [value for value in found if not math.isnan(value)]
    return min(known) / _ROOM, max(known) * _ROOM**2


def _panel(panel: Axes, groups: Sequence[Loaded], name: str) -> None:
    ends = []
    for number, loaded in enumerate(groups):
        look = choose_look(number)
        rates = [rate.value for rate, _ in _points(loaded)]
        values = [estimate_latency(own, name) for _, own in _points(loaded)]
        panel.plot(rates, [value.value for value in values], **look | {"markersize": 3.5}, mew=0)
        for rate, value in zip(rates, values, strict=True):
            if value.has_interval:
                panel.plot([rate, rate], [value.low, value.high], color=look["color"], linewidth=0.8)
        saturation = estimate_saturation(loaded)
        if saturation.is_known:
            panel.axvline(saturation.value, color=look["color"], linestyle=":", linewidth=0.8, zorder=1)
        ends.append((rates[-1], values[-1].value, loaded.version, look["color"]))
    panel.set_xlim(left=0)
    panel.margins(x=0.04)
    panel.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=20))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_given(value)))
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panel.yaxis.set_minor_locator(NullLocator())
    _label_ends(panel, ends)


def _label_ends(panel: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write the name of each line above its last point, in its colour, higher where another name is in the way."""
    (low, high), right = panel.get_ylim(), panel.get_xlim()[1]
    taken: list[tuple[float, float]] = []
    for rate, value, version, color in sorted(ends, key=lambda end: end[1]):
        x, own = rate / right * _PANEL_WIDTH, math.log(value / low) / math.log(high / low) * _PANEL_HEIGHT
        y = own + _LIFT
        for other_x, other_y in sorted(taken, key=lambda place: place[1]):
            if abs(x - other_x) < _LABEL_WIDTH and abs(y - other_y) < _LABEL_HEIGHT:
                y = other_y + _LABEL_HEIGHT
        taken.append((x, y))
        panel.annotate(
            version,
            (rate, value),
            xytext=(0, y - own),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7,
            color=color,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )


def _caption(groups: Sequence[Loaded], conditions: Sequence[Condition]) -> str:
    told = "; ".join(condition.words() for condition in conditions)
    text = (
        f"Latency over load in open loops ({told}): from when a message was due to each delivery at another host. Dots: geometric means "
        "over sessions of the quantile of a run; vertical lines at dots: their 95 % intervals, cut at the edge of a panel."
    )
    if any(estimate_saturation(one).is_known for one in groups):
        text += " Dotted lines: throughput at saturation."
    return text
