"""Figure of the engine's cost beside the others': one panel per task, on a scale of powers of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pubsub_sim.report.engine import OURS, cost
from pubsub_sim.report.show import Absent, Picture, Prose
from pubsub_sim.report.style import WIDTH, drawing, look, picture
from pubsub_sim.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pubsub_sim.report.intervals import Estimate
    from pubsub_sim.results import EngineRecord

    Costs = list[tuple[str, Estimate]]

_OTHERS = "#777777"
_ROW = 0.19
_TITLE = 0.32


def beside(engine: EngineRecord | None) -> Picture | Prose:
    """Draw the cost of one event for each task, ours and the others'.

    Args:
        engine: the engine's benchmark, None if there is none.

    Returns:
        The figure, or a sentence if there is nothing to draw.
    """
    tasks = _tasks(engine)
    if not tasks:
        return Absent("There is nothing to draw beside the engine.")
    heights = [_TITLE + _ROW * len(costs) for costs in tasks.values()]
    with drawing():
        figure = Figure(figsize=(WIDTH, sum(heights) + 0.4), layout="constrained")
        grid = figure.subplots(len(tasks), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})
        for panel, (task, costs) in zip(grid[:, 0], tasks.items(), strict=True):
            _panel(panel, costs)
            panel.set_title(task, loc="left")
            panel.tick_params(axis="x", length=0)
        grid[-1, 0].set_xlabel("CPU time of one event, ns (logarithmic)")
        caption = (
            "CPU time of one event for the same task. Dot: median over rounds; line: its 95 % interval. Orange: ours."
        )
        return picture(figure, "engine", caption)


def _tasks(engine: EngineRecord | None) -> dict[str, Costs]:
    found: dict[str, Costs] = {}
    if engine is not None:
        for entry in engine.workloads:
            value = cost(engine, entry.name)
            if entry.task and value.is_known:
                found.setdefault(entry.task, []).append((entry.who, value))
    return found


def _panel(panel: Axes, costs: Costs) -> None:
    ours = look(1)["color"]
    for at, (who, value) in enumerate(costs):
        if value.has_interval:
            panel.plot([value.low, value.high], [at, at], color="#222222", linewidth=1, zorder=3)
        panel.plot(value.value, at, marker="o", markersize=6, color=ours if who == OURS else _OTHERS)
        end = value.high if value.has_interval else value.value
        panel.annotate(
            number(value.value), (end, at), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7
        )
    panel.set_xscale("log")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_yticks(range(len(costs)), [who for who, _ in costs])
    panel.set_ylim(len(costs) - 0.5, -0.5)
    panel.grid(visible=True, axis="both")
    panel.tick_params(axis="y", length=0)
    panel.margins(x=0.12)
