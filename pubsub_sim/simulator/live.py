"""The live view of a simulation in a terminal, drawn with Rich: rates, peers per topic, states of the root, time left."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from pubsub_sim.packages import explain_missing
from pubsub_sim.simulator.meters import figures, totals
from pubsub_sim.simulator.root import frequencies

if TYPE_CHECKING:
    from types import TracebackType

    from pubsub_sim.simulator.simulation import Simulation

REDRAW_S = 0.1
"""Redraw interval in wall time, since a virtual minute takes less than a second."""
_WINDOW_S = 10.0
_BAR = 20


class LiveView:
    """A context manager that shows a simulation. An unsuitable terminal is left unchanged.

    Raises:
        MissingPackageError: Rich is not installed.
    """

    def __init__(self) -> None:
        with explain_missing("the live view (disable it with --no-live)"):
            from rich.live import Live
        self._live: Any = Live(auto_refresh=False, transient=True)
        self._drawn_s = 0.0
        self._past: deque[tuple[float, dict[str, int]]] = deque()

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, where)

    def show(self, sim: Simulation) -> None:
        """Draw the current state of the simulation, unless it has just been drawn."""
        self._past.append((sim.elapsed_s, totals(sim)))
        while self._past[0][0] < sim.elapsed_s - _WINDOW_S:
            self._past.popleft()
        if time.monotonic() - self._drawn_s < REDRAW_S:
            return
        self._drawn_s = time.monotonic()
        self._live.update(self._picture(sim), refresh=True)

    def _picture(self, sim: Simulation) -> Any:
        from rich.columns import Columns
        from rich.console import Group
        from rich.text import Text

        left_s = max(0.0, sim.options.duration_s - sim.elapsed_s)
        done = min(1.0, sim.elapsed_s / sim.options.duration_s)
        bar = "#" * round(done * 40)
        head = Text(
            f"{sim.options.version}, {sim.options.router}, seed {sim.options.seed}, {sim.options.clock} clock  "
            f"[{bar:<40}] {_clock(sim.elapsed_s)}, {_clock(left_s)} left"
        )
        tables = [self._network(sim), self._messages(sim), self._root(sim), self._topics(sim)]
        return Group(head, Columns(tables, padding=(0, 3)))

    def _network(self, sim: Simulation) -> Any:
        table = _table("network", "now")
        for name, value in figures(sim).items():
            table.add_row(name.replace("_", " "), f"{value:.2f}" if isinstance(value, float) else f"{value:,}")
        return table

    def _messages(self, sim: Simulation) -> Any:
        table = _table("messages", "total", "a second")
        then_s, then = self._past[0]
        span_s = sim.elapsed_s - then_s
        for name, value in totals(sim).items():
            rate = (value - then[name]) / span_s if span_s else 0.0
            table.add_row(name.replace("_", " "), f"{value:,}", f"{rate:.2f}")
        return table

    def _root(self, sim: Simulation) -> Any:
        table = _table("root", "times")
        for state, _ in frequencies(sim.options):
            table.add_row(state, f"{(sim.root.tick(state) + 1) // 2:,}")
        return table

    def _topics(self, sim: Simulation) -> Any:
        table = _table("topic", "peers", "states")
        most = sim.options.peers_per_topic
        for name, topic in sorted(sim.topics.items()):
            bar = "#" * round(min(1.0, topic.size / most) * _BAR)
            table.add_row(name, f"{topic.size:2} {bar}", " ".join(topic.machine.active_states()))
        return table


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        is_number = number and column not in ("peers", "states")
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    return table


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
