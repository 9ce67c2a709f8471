"""Figure of the time of each phase: stacked bars, with the fixed waits of the procedure hatched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pubsub_sim.report.intervals import median
from pubsub_sim.report.show import Picture, Prose
from pubsub_sim.report.style import PHASE_COLOURS, WIDTH, drawing, picture
from pubsub_sim.report.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pubsub_sim.report.sweep import Sweep

_MS = 1e6


def phases(sweep: Sweep) -> Picture | Prose:
    """Draw the median time of each phase, for the largest number of messages.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if no run has phases.
    """
    if not sweep.phases or not (sweep.runs["outcome"] == "ok").any():
        return Prose("No run came to its end, so there are no phases to draw.")
    messages = sweep.messages[-1]
    bars = [(hosts, version) for hosts in sweep.hosts for version in sweep.versions]
    with drawing():
        figure = Figure(figsize=(WIDTH, 1.25 + 0.27 * len(bars)), layout="constrained")
        axes = figure.subplots()
        at, labels = _places(bars, len(sweep.versions))
        for (hosts, version), place in zip(bars, at, strict=True):
            _bar(axes, sweep, version, (hosts, messages), place)
        axes.set_yticks(at, labels)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(at[-1] + 0.6, at[0] - 0.6)
        axes.set_xlabel("median duration of the phases (ms)")
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        keys = [Patch(facecolor=_colour(n), label=name) for n, name in enumerate(sweep.phases)]
        keys.append(Patch(facecolor="white", edgecolor="#444444", hatch="////", label="fixed waits of a phase"))
        figure.legend(handles=keys, loc="outside upper center", ncols=4, handlelength=1.4)
        caption = (
            f"Time of each phase with {count(messages, 'message')}. Medians phase by phase, so a bar is not exactly the "
            "median of the whole; hatched: fixed waits of the procedure."
        )
        return picture(figure, "phases", caption)


def _places(bars: list[tuple[int, str]], versions: int) -> tuple[list[float], list[str]]:
    at = [number + 0.5 * (number // versions) * (versions > 1) for number in range(len(bars))]
    return at, [f"{count(hosts, 'host')}, {version}" for hosts, version in bars]


def _bar(axes: Axes, sweep: Sweep, version: str, cell: tuple[int, int], place: float) -> None:
    runs = sweep.of(version, cell)
    ok = runs.loc[runs["outcome"] == "ok"]
    left = 0.0
    for number, phase in enumerate(sweep.phases):
        if f"{phase}/wall_ns" not in ok or ok.empty:
            continue
        wall = ok[f"{phase}/wall_ns"] / _MS
        wait = ok[f"{phase}/fixed_wait_ns"] / _MS if f"{phase}/fixed_wait_ns" in ok else wall * 0
        for part, hatch in ((median(wall - wait), ""), (median(wait), "////")):
            if part.is_known and part.value > 0:
                edge = "white" if not hatch else _colour(number)
                face = _colour(number) if not hatch else "white"
                axes.barh(place, part.value, left=left, height=0.8, facecolor=face, edgecolor=edge, hatch=hatch, lw=0.4)
                left += part.value
    if left == 0:
        reason = "not run" if runs.empty else "no run ended well"
        axes.text(0, place, f"  {reason}", va="center", fontsize=7, color="#666666")


def _colour(number: int) -> str:
    return PHASE_COLOURS[number % len(PHASE_COLOURS)]
