"""The command `simsub`: compares gossipsub meshes of this simulator with the published run of gerbil-simsub.

Every run has a process of its own, in which the garbage collector is off: hardly anything that a run leaves is a cycle
(the peak of the memory is the same with it), and scanning all hosts again and again would be a fifth of all processor time.
"""

from __future__ import annotations

import csv
import gc
import multiprocessing
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pubsub_sim.bench.pool import begin_work
from pubsub_sim.bench.probes import GcProbe, KernelProbe, PhaseProbe, TaskProbe
from pubsub_sim.checks import check_whole
from pubsub_sim.flags import from_flags
from pubsub_sim.parameters import several
from pubsub_sim.places import shipped
from pubsub_sim.scenarios.simsub import KINDS, PHASES, Simsub, Spread, simsub
from pubsub_sim.world.running import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PUBLISHED = "data/reference/simsub-2022.csv"
"""Where the published figures lie, in the repository."""

_BUCKETS = ("to_100_ms_percent", "to_200_ms_percent", "to_300_ms_percent", "to_400_ms_percent")
_HEADINGS = ("", "sent", *(kind.upper() for kind in KINDS[1:]), "copies", "<100 ms", "<200", "<300", "<400", "later")
_OWN_HEADINGS = ("lost", "p50 ms", "p99 ms", "CPU s", "MiB")
_COUNT_WIDTH, _WIDTH = 9, 8


@dataclass(frozen=True, kw_only=True)
class SimsubOptions:
    """Which runs are made. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: which control flows.
        hosts: how many hosts, more than 5.
        messages: messages in total.
        seed: the seed to count from.
        seeds: how many seeds.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
    """

    versions: tuple[str, ...] = ("baseline", "states")
    hosts: int = 1000
    messages: int = 60
    seed: int = 1
    seeds: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", several("versions", self.versions))
        check_whole("seed", self.seed, at_least=0)
        check_whole("seeds", self.seeds, at_least=1)
        for version in self.versions:
            Simsub(version=version, hosts=self.hosts, messages=self.messages, seed=self.seed)

    @property
    def runs(self) -> list[Simsub]:
        """The runs, seed by seed."""
        return [
            Simsub(version=version, hosts=self.hosts, messages=self.messages, seed=seed)
            for seed in range(self.seed, self.seed + self.seeds)
            for version in self.versions
        ]


class Cost(NamedTuple):
    """What a run took.

    Attributes:
        cpu_ns: processor time of each phase.
        peak_rss_bytes: most memory that was resident.
    """

    cpu_ns: dict[str, int]
    peak_rss_bytes: int


def measured(options: Simsub) -> tuple[Spread, Cost]:
    """Make one run in this process and say what it took.

    Args:
        options: the run.

    Raises:
        ScenarioFailure: a message was delivered twice.
    """
    phases = PhaseProbe(TaskProbe(), GcProbe(), lambda _: None)

    gc.disable()
    try:
        kernel = KernelProbe()
        spread = run(simsub(options, phases), clock="virtual")
        peak_rss_bytes = kernel.read()["peak_rss_bytes"]
    finally:
        gc.enable()
    return spread, Cost({name: phases.costs[name]["cpu_ns"] for name in PHASES}, peak_rss_bytes)


def published(hosts: int, messages: int) -> dict[str, float] | None:
    """The published figures of a run of so many hosts and messages; None if there are none."""
    with shipped(PUBLISHED).open(newline="") as file:
        for row in csv.DictReader(file):
            if (int(row["hosts"]), int(row["messages"])) == (hosts, messages):
                return {name: float(value) for name, value in row.items()}
    return None


def simsub_command(arguments: Sequence[str]) -> int:
    """Make runs, print each beside the published one.

    Returns:
        0, or 1 if a message was not delivered everywhere.

    Raises:
        OptionError: a flag or a value that cannot be used.
    """
    summary = "Play the set-up of simsub and print what came of it beside what was published."
    options: SimsubOptions = from_flags(SimsubOptions, "simsub", summary, arguments)
    print_table(f"{options.messages} messages among {options.hosts:,} hosts; virtual clock, nothing signed\n")
    print_table(_line(_HEADINGS + _OWN_HEADINGS))
    print_table(_published_line(options.hosts, options.messages))
    undelivered = 0
    for one in options.runs:
        spread, cost = _in_a_fresh_process(one)
        print_table(_run_line(one, spread, cost))
        undelivered += spread.undelivered
    return int(undelivered > 0)


def print_table(line: str) -> None:
    """Write a line to stdout at once, as runs take a minute each."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _in_a_fresh_process(options: Simsub) -> tuple[Spread, Cost]:
    """Make a run in a process of its own, which has nothing left of another."""
    with multiprocessing.get_context("spawn").Pool(1, begin_work) as pool:
        return pool.apply(measured, (options,))


def _published_line(hosts: int, messages: int) -> str:
    figures = published(hosts, messages)
    if figures is None:
        return f"{'published':<18}nothing for so many hosts and messages"
    counts = [f"{figures[name]:,.0f}" for name in ("sent", *KINDS[1:])]
    copies = figures["sent"] / (hosts * messages)
    shares = [f"{figures[name]:.1f}" for name in _BUCKETS]
    return _line(("published", *counts, f"{copies:.2f}", *shares, "0.0"))


def _run_line(options: Simsub, spread: Spread, cost: Cost) -> str:
    counts = [f"{spread.sent[kind]:,}" for kind in KINDS]
    latencies = spread.buckets
    first = [*latencies[:4], *([0] * (4 - len(latencies)))]
    shares = [f"{100 * count / sum(latencies):.1f}" for count in (*first, sum(latencies[4:]))]
    quantiles = [f"{spread.quantile_ms(share):.0f}" for share in (0.5, 0.99)]
    costs = [f"{sum(cost.cpu_ns.values()) / 1e9:.1f}", f"{cost.peak_rss_bytes / 2**20:,.0f}"]
    name = f"{options.version}, seed {options.seed}"
    return _line((name, *counts, f"{spread.copies:.2f}", *shares, f"{spread.undelivered:,}", *quantiles, *costs))


def _line(cells: Sequence[str]) -> str:
    name, counts, rest = cells[0], cells[1:4], cells[4:]
    return (
        f"{name:<18}" + "".join(f"{c:>{_COUNT_WIDTH}}" for c in counts) + "".join(f"{c:>{_WIDTH}}" for c in rest)
    ).rstrip()
