"""Large gossipsub meshes beside the published runs of gerbil-simsub: each figure with a verdict, copies per delivery, growth."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pubsub_sim.report.display import Absent, Picture, Prose, Table
from pubsub_sim.report.formatting import count_things, format_given, join_words
from pubsub_sim.report.style import WIDTH, choose_look, drawing, render
from pubsub_sim.results.meshes import MeshRun, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Runs = tuple[MeshRun, ...]

_ABSENT = "There are no runs of large meshes. `python -m pubsub_sim simsub --out=SWEEP` makes them."

REASONS = {
    "messages sent": "a host of v1.1 sends no message back to its author and cuts no mesh that a GRAFT has filled",
    "copies per delivery": "as for the messages sent",
    "IHAVE": "the count depends on how many heartbeats have news, which is nearly the same for all seeds",
    "IWANT": "a request is sent only where an IHAVE overtakes the message, which depends on where the few sources are",
    "GRAFT": "a host of v1.1 refuses a GRAFT with a PRUNE where its mesh is full, and waits a minute before it grafts that peer again",
    "PRUNE": "a host of v1.1 refuses at once what one of v1.0 takes in and cuts at its next heartbeat",
}
"""What may set a figure outside the range of ours apart, by its title; latencies have another reason."""

_LATENCY = (
    "messages of one direction of a link stay in order here and overtake each other there, and few sources weigh much"
)


class Growth(NamedTuple):
    """How a figure grows with the number of hosts.

    Attributes:
        title: what it is, with its unit.
        version: whose.
        hosts: numbers of hosts.
        means: the figure at each, in the mean over seeds.
        exponent: b of figure = a times hosts to the power of b, by least squares on logarithms.
    """

    title: str
    version: str
    hosts: list[int]
    means: list[float]
    exponent: float


_FIGURES: tuple[tuple[str, Callable[[MeshRun], float]], ...] = (
    ("CPU time (s)", lambda run: run.cpu_ns / 1e9),
    ("peak memory (MiB)", lambda run: run.peak_rss_bytes / 2**20),
    ("RPCs", lambda run: float(run.rpcs)),
)


def describe(runs: Runs) -> Prose:
    """Say what was compared, how many figures are inside, and why the others may not be."""
    found = [(cell, one) for cell in cells(runs) for one in compare(cell) if one.seeds > 1]
    if not found:
        return Absent(_ABSENT)
    outside = list(dict.fromkeys(one.title for _, one in found if one.verdict == "outside"))
    seeds = min(one.seeds for _, one in found)
    chance = f"{100 * (seeds - 1) / (seeds + 1):.0f} %"
    sentences = [
        "Each published figure is one run. It is inside if it lies between the least and the greatest of ours.",
        f"Ours are of {count_things(seeds, 'seed')}; a further seed of ours would be inside with a probability of {chance}.",
        f"{sum(one.verdict == 'inside' for _, one in found)} of {len(found)} published figures are inside; the appendix lists all.",
    ]
    sentences += [f"{title} is outside at {_where(found, title)}: {REASONS.get(title, _LATENCY)}." for title in outside]
    return Prose("\n".join(f"- {sentence}" for sentence in sentences))


def tabulate(runs: Runs) -> Table | Prose:
    """Set each published figure beside the mean and the range of ours, with the verdict."""
    rows = [
        [
            f"{cell[0].hosts:,}",
            one.title,
            _number(one.published),
            _number(one.mean),
            f"[{_number(one.low)}, {_number(one.high)}]",
            one.verdict,
        ]
        for cell in cells(runs)
        for one in compare(cell)
    ]
    if not rows:
        return Absent(_ABSENT)
    return Table(["hosts", "figure", "published", "mean", "range of the seeds", "verdict"], rows, words=2)


def tabulate_law(runs: Runs) -> Table | Prose:
    """Hold copies per delivery against the mean mesh degree less 1: each host passes a message on to all members but one."""
    rows = []
    for cell in cells(runs):
        copies, degree = fmean(run.copies for run in cell), fmean(run.degree for run in cell)
        worst = max(abs(run.copies / (run.degree - 1) - 1) for run in cell)
        lost = sum(run.undelivered for run in cell)
        rows.append(
            [
                f"{cell[0].hosts:,}",
                str(len(cell)),
                f"{copies:.3f}",
                f"{degree - 1:.3f}",
                f"{100 * worst:.1f} %",
                f"{lost:,}",
            ]
        )
    if not rows:
        return Absent(_ABSENT)
    return Table(
        ["hosts", "seeds", "copies per delivery", "mean degree - 1", "farthest seed", "not delivered"], rows, words=0
    )


def growth(runs: Runs) -> list[Growth]:
    """Fit time, memory and RPCs over the number of hosts, for each version whose runs have the same number of messages."""
    found = []
    for version in sorted({run.version for run in runs}):
        own = [run for run in runs if run.version == version and run.messages == _commonest(runs)]
        hosts = sorted({run.hosts for run in own})
        if len(hosts) < 2:
            continue
        for title, figure in _FIGURES:
            means = [fmean(figure(run) for run in own if run.hosts == count) for count in hosts]
            exponent = float(np.polyfit(np.log(hosts), np.log(means), 1)[0])
            found.append(Growth(title, version, hosts, means, exponent))
    return found


def draw_growth(runs: Runs) -> Picture | Prose:
    """Draw time, memory and RPCs over the number of hosts, on logarithmic scales, with their exponents."""
    found = growth(runs)
    if not found:
        return Absent(_ABSENT)
    versions = sorted({one.version for one in found})
    with drawing():
        figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
        panels = figure.subplots(1, len(_FIGURES))
        for panel, (title, _) in zip(panels, _FIGURES, strict=True):
            for one in (one for one in found if one.title == title):
                look = choose_look(versions.index(one.version))
                label = f"{one.version}: exponent {one.exponent:.2f}"
                panel.plot(
                    one.hosts,
                    one.means,
                    label=label,
                    markersize=3.5,
                    **{k: look[k] for k in ("color", "marker", "linestyle")},
                )
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.xaxis.set_major_locator(FixedLocator(sorted({count for one in found for count in one.hosts})))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_given(value)))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.yaxis.set_minor_locator(NullLocator())
            panel.set_title(title, fontsize=7.5)
            panel.set_xlabel("hosts", fontsize=7)
            panel.tick_params(labelsize=5.5)
            panel.legend(fontsize=6)
        caption = (
            f"Runs of {count_things(_commonest(runs), 'message')} on one core over the number of hosts: means over seeds on logarithmic "
            f"scales, and the exponent of the power law fitted to them. Versions: {join_words(versions)}."
        )
        return render(figure, "meshes", caption)


def summarise(runs: Runs) -> dict[str, Any] | None:
    """Give every number of this part of the report as JSON values, None without runs."""
    if not runs:
        return None
    return {
        "compared": [
            {"hosts": cell[0].hosts, "messages": cell[0].messages, "figure": one.title, "published": one.published}
            | {"mean": round(one.mean, 6), "low": one.low, "high": one.high, "seeds": one.seeds, "verdict": one.verdict}
            for cell in cells(runs)
            for one in compare(cell)
        ],
        "law": [
            {"hosts": cell[0].hosts, "messages": cell[0].messages, "seeds": len(cell)}
            | {
                "copies": round(fmean(run.copies for run in cell), 6),
                "degree": round(fmean(run.degree for run in cell), 6),
            }
            for cell in cells(runs)
        ],
        "growth": [
            {"figure": one.title, "version": one.version, "exponent": round(one.exponent, 6), "hosts": one.hosts}
            for one in growth(runs)
        ],
    }


def cells(runs: Runs) -> list[Sequence[MeshRun]]:
    """The runs of the first version by number of hosts and of messages: versions do the same, so one stands for all."""
    if not runs:
        return []
    own = [run for run in runs if run.version == runs[0].version]
    keys = sorted({(run.hosts, run.messages) for run in own})
    return [[run for run in own if (run.hosts, run.messages) == key] for key in keys]


def _commonest(runs: Runs) -> int:
    """The number of messages with which the most numbers of hosts were played."""
    return max(
        sorted({run.messages for run in runs}), key=lambda count: len({r.hosts for r in runs if r.messages == count})
    )


def _where(found: Sequence[tuple[Sequence[MeshRun], Any]], title: str) -> str:
    return (
        join_words(f"{cell[0].hosts:,}" for cell, one in found if one.title == title and one.verdict == "outside")
        + " hosts"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
