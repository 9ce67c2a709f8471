"""The cost contract: what the engine has promised to cost, each bar a figure over samples of one run. Data, not a test.

"Hooks with no tracer bound" is measured against a fixed copy of the hot path from which the questions to observers are left out
(`unobserved`), in the same round; the bar is the run's own noise.

Bars in nanoseconds hold for one machine: the one on which `transitions` makes 146,000 events per second. On another one the figure is
converted to that reference speed, in each round, by what an event of `transitions` takes. So the verdict does not depend on the machine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

SPEED: Final = "speed"
TIME: Final = "time"
VALUE: Final = "value"
DIFFERENCE: Final = "difference"
FIGURES: Final = (SPEED, TIME, VALUE, DIFFERENCE)
"""Kinds of figures, each taken inside one round.

"speed": how many times as many events per second as `over` (per event). "time": how many times the time of `over`
(per iteration). "value": the cost of one event. "difference": that cost minus the one of `over`.
"""


PACE: Final = "transitions-toggle"
"""The workload whose speed says how fast a machine is."""

PACE_NS: Final = 1e9 / 146_000
"""What an event of it took on the machine for which bars in nanoseconds were set."""


@dataclass(frozen=True, kw_only=True)
class Clause:
    """One promise.

    Attributes:
        operation: What is done.
        own: The workload that does it.
        figure: One of `FIGURES`.
        over: The workload it is compared with; "" for a plain value.
        at_least: The bar from below, None if there is none.
        at_most: The bar from above, None if there is none.
        noise: Two workloads that do the same: the figure may lie no further above 1 than their ratio lies from 1, and
            in a noisy run no further than `at_most`.
        unit: Of the figure; "1" for a ratio.
        pace: For nanoseconds, the workload that says how fast the machine is; "" for a figure that is not converted.
        pace_ns: What an event of it took on the machine the bar was set for.
    """

    operation: str
    own: str
    figure: str
    over: str = ""
    at_least: float | None = None
    at_most: float | None = None
    noise: tuple[str, str] | None = None
    unit: str = "1"
    pace: str = ""
    pace_ns: float = 0.0

    def words(self) -> dict[str, Any]:
        """Give the clause as plain data."""
        return asdict(self) | {"noise": list(self.noise) if self.noise else None}

    def workloads(self) -> tuple[str, ...]:
        """Name the workloads it needs."""
        return tuple(name for name in (self.own, self.over, *(self.noise or ()), self.pace) if name)


def _faster(operation: str, own: str, over: str, times: float) -> Clause:
    return Clause(operation=operation, own=own, figure=SPEED, over=over, at_least=times)


def _takes(operation: str, own: str, at_most: float, over: str = "") -> Clause:
    """A bar in nanoseconds; with `over`, of what is added to the cost of that."""
    figure = DIFFERENCE if over else VALUE
    return Clause(
        operation=f"{operation}, at reference speed",
        own=own,
        figure=figure,
        over=over,
        at_most=at_most,
        unit="ns",
        pace=PACE,
        pace_ns=PACE_NS,
    )


CONTRACT = (
    _faster("add, then remove of one state, no handlers", "bare", "transitions-toggle", 20),
    _faster("the same with one unrelated wait pending", "unrelated-wait", "transitions-toggle", 6),
    _faster("the same with one Enter and one State handler", "enter-and-state", "transitions-callbacks", 7),
    _faster("one set that flips three exclusive pairs", "flip", "xstate-regions", 20),
    _faster("add, awaited when, remove: one cycle", "wait-cycle", "transitions-async", 8),
    _faster("the same against a round trip of an asyncio.Queue actor", "wait-cycle", "queue-actor", 1),
    Clause(
        operation="a Multi pulse with args, over the pair with two handlers",
        own="pulse",
        figure=TIME,
        over="enter-and-state",
        at_most=1.5,
    ),
    Clause(
        operation="an async State handler, awaited, removed, over a bare task",
        own="async-handler",
        figure=TIME,
        over="bare-task",
        at_most=1.75,
    ),
    _takes("one of 1,000 machines, time", "construct", 10_000),
    Clause(operation="one of 1,000 machines, memory", own="construct-bytes", figure=VALUE, at_most=2048, unit="bytes"),
    Clause(
        operation="hooks with no tracer bound, over the engine without hooks",
        own="enter-and-state",
        figure=TIME,
        over="without-hooks",
        at_most=1.1,
        noise=("again", "enter-and-state"),
    ),
    _takes("a tracer that keeps each transition in memory, per transition", "recorder", 1_000, "bare"),
    _takes("a record of each transition in a file, per transition", "recorded", 2_000, "bare"),
    Clause(
        operation="a pair among 200 related states, over 20 of them",
        own="states-200",
        figure=TIME,
        over="states-20",
        at_most=1.1,
    ),
)
"""Every clause, in the order in which tables show them."""
