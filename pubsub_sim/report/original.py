"""The Go original beside this project, measured on one machine in turn: ratios, and times with what each side pays for.

The runs are reference data, `data/reference/go-original.json`: blocks in random order, in each of which every program ran once.
They are of one session, so their intervals cover that session only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pubsub_sim.places import shipped
from pubsub_sim.report.display import Absent, Picture, Table
from pubsub_sim.report.formatting import format_estimate, format_given, format_ratio, to_json
from pubsub_sim.report.style import WIDTH, choose_look, drawing, render
from pubsub_sim.results.intervals import Estimate, median

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

FILE = "data/reference/go-original.json"
"""Where the runs are, in a clone or in the package."""

_CPU = "rand_cpu"
_US_PER_S = 1e6


@dataclass(frozen=True)
class Side:
    """Two programs of which one has state machines and the other has none.

    Attributes:
        label: name in tables and figures.
        base: name of the runs without state machines.
        other: name of those with them.
        pays: what both pay for besides the control flow.
    """

    label: str
    base: str
    other: str
    pays: str


SIDES = (
    Side(
        "Go, as published",
        "go-origin",
        "go-states",
        "QUIC with TLS 1.3, a swarm with identify, signed messages; pairs of hosts that connect by chance, so unequal work",
    ),
    Side(
        "Go, equal work",
        "go-origin-tcpfull",
        "go-states-tcpfull",
        "TCP with yamux and protocol negotiation, no encryption, signed messages; all pairs connected",
    ),
    Side(
        "here, TCP",
        "py-baseline-tcp",
        "py-states-tcp",
        "TCP with frames of our own, no encryption, no multiplexing, signed messages; all pairs connected",
    ),
    Side(
        "here, in memory",
        "py-baseline-memory",
        "py-states-memory",
        "no sockets, signed messages; all pairs connected",
    ),
)
"""What is set beside each other, in the order in which it is shown."""

Cell = tuple[int, int]


@dataclass(frozen=True)
class Beside:
    """One side in one cell.

    Attributes:
        side: who.
        cell: hosts and messages.
        base: CPU time of a message without state machines in us, the median over runs.
        other: the same with them.
        ratio: the median over blocks of the ratio within a block.
    """

    side: Side
    cell: Cell
    base: Estimate
    other: Estimate
    ratio: Estimate


def read_runs(file: Path | None = None) -> pd.DataFrame:
    """Read the runs that ended well.

    Args:
        file: by default the stored reference data.

    Returns:
        One row per run: block, arm, hosts, messages, and the CPU time of the random messages in s. Runs without messages
        are left out.
    """
    found = json.loads((file or shipped(FILE)).read_text(encoding="utf-8"))
    table = pd.DataFrame(found["rows"], columns=found["columns"])
    table = table.loc[table["ok"] & table["cell"].map(lambda cell: isinstance(cell, list)) & table[_CPU].notna()]
    cells = pd.DataFrame(table["cell"].tolist(), columns=["hosts", "messages"], index=table.index)
    return pd.concat([table[["block", "arm", _CPU]], cells], axis="columns").reset_index(drop=True)


def list_sides(file: Path | None = None) -> list[Beside]:
    """Give every side in every cell.

    Args:
        file: by default the stored reference data.
    """
    runs = read_runs(file)
    found = []
    for side in SIDES:
        for hosts, messages in sorted(set(zip(runs["hosts"].tolist(), runs["messages"].tolist(), strict=True))):
            own = runs.loc[(runs["hosts"] == hosts) & (runs["messages"] == messages)]
            base, other = (own.loc[own["arm"] == name].set_index("block")[_CPU] for name in (side.base, side.other))
            logs = np.log(other / base).dropna()
            if len(logs):
                times = [median(values * _US_PER_S / messages) for values in (base, other)]
                found.append(Beside(side, (hosts, messages), times[0], times[1], median(logs).exp()))
    return found


def tabulate(reference: str) -> Table | Absent:
    """Give ratios and times of every side in every cell.

    Args:
        reference: published figures of the report; "" for a report without any, in which this is left out as well.
    """
    if not reference:
        return Absent("No published figures were requested.")
    columns = [
        "hosts",
        "messages",
        "program",
        "without state machines, µs",
        "with state machines, µs",
        "ratio in a block",
    ]
    rows = []
    for one in sorted(list_sides(), key=lambda one: one.cell):
        place = [f"{one.cell[0]:,}", f"{one.cell[1]:,}", one.side.label]
        rows.append([*place, format_estimate(one.base), format_estimate(one.other), format_ratio(one.ratio)])
    return Table(columns, rows, words=3)


def summarise(reference: str) -> list[dict[str, Any]]:
    """Give the same as JSON values; nothing for a report without published figures."""
    if not reference:
        return []
    return [
        {"program": one.side.label, "hosts": one.cell[0], "messages": one.cell[1]}
        | {
            "base": {"unit": "µs per message"} | to_json(one.base),
            "states": {"unit": "µs per message"} | to_json(one.other),
        }
        | {"ratio": {"unit": "1"} | to_json(one.ratio)}
        for one in list_sides()
    ]


_HEIGHT = 3.2
_STEP = 0.18


def draw(reference: str) -> Picture | Absent:
    """Draw ratios, and CPU time of a message without and with state machines, a row for each cell.

    Args:
        reference: published figures of the report; "" for a report without any, in which this is left out as well.
    """
    if not reference:
        return Absent("No published figures were requested, so there is nothing to draw.")
    found = list_sides()
    cells = sorted({one.cell for one in found})
    with drawing():
        figure = Figure(figsize=(WIDTH, _HEIGHT), layout="constrained")
        ratios, times = figure.subplots(1, 2, sharey=True)
        for number, side in enumerate(SIDES):
            for one in (one for one in found if one.side == side):
                place = cells.index(one.cell) + (number - (len(SIDES) - 1) / 2) * _STEP
                _draw_one(ratios, times, place, number, one)
        ratios.axvline(1, color="#444444", linewidth=0.7, zorder=1)
        ratios.set_title("with / without state machines")
        ratios.set_xlabel("ratio of the CPU times of random messages")
        times.set_title("CPU time of a message")
        times.set_xlabel("µs; hollow: without, filled: with state machines")
        times.set_xscale("log")
        times.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=20))
        times.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_given(value)))
        times.xaxis.set_minor_locator(NullLocator())
        ratios.set_yticks(range(len(cells)), [f"{hosts} hosts, {messages} msgs" for hosts, messages in cells])
        ratios.set_ylim(len(cells) - 0.5, -0.5)
        for panel in (ratios, times):
            panel.grid(visible=True, axis="x")
            panel.grid(visible=False, axis="y")
        handles = [
            Line2D([], [], label=side.label, linestyle="", markersize=4.5, **_mark(number))
            for number, side in enumerate(SIDES)
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), handlelength=1.2)
        return render(figure, "original", _caption())


def _draw_one(ratios: Axes, times: Axes, place: float, number: int, one: Beside) -> None:
    mark = _mark(number)
    ratios.plot([one.ratio.low, one.ratio.high], [place, place], color=mark["color"], linewidth=1)
    ratios.plot([one.ratio.value], [place], markersize=3.5, mew=0, **mark)
    times.plot([one.base.value, one.other.value], [place, place], color=mark["color"], linewidth=0.8)
    times.plot([one.base.value], [place], markersize=3.5, mew=0.8, markerfacecolor="white", **mark)
    times.plot([one.other.value], [place], markersize=3.5, mew=0, **mark)


def _mark(number: int) -> dict[str, Any]:
    style = choose_look(number)
    return {"color": style["color"], "marker": style["marker"]}


def _caption() -> str:
    pays = "; ".join(f"{side.label}: {side.pays}" for side in SIDES)
    return (
        "The Go original and an earlier commit of this project, run in turn on one machine in one session. Left: median over blocks of the "
        f"ratio within a block, with its 95 % interval. Right: medians over runs, from which the ratios do not follow. What each pays for: {pays}. "
        "Times of different languages and networks are not comparable with each other."
    )
