"""The command `costs`: measures runs of few and many hosts, and fits the cost of a publish, a delivery and an RPC per version.

Measured is the processor time of TestSimpleDiscovery's message phase, unsigned and in memory, each run in a fresh process.
What the cyclic garbage collector takes in it is left out: a full collection looks at every object of the standing world,
so its share of an RPC grows with the number of hosts, and says nothing about the RPC.
A round interleaves (`process.run_interleaved`) one run of each version for each number of hosts, in random order. A slow spell
of the machine then slows all of them.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pubsub_sim.bench.cost_model import Costs, Sample, fitted, interval, resampled
from pubsub_sim.bench.machine import check_hosts, measuring
from pubsub_sim.bench.process import pinned_environment, run_interleaved
from pubsub_sim.bench.provenance import of_the_moment, of_the_sweep
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.checks import check_bool, check_seconds, check_whole
from pubsub_sim.errors import OptionError, RunError
from pubsub_sim.flags import from_flags
from pubsub_sim.parameters import several
from pubsub_sim.results.whole_files import put_whole
from pubsub_sim.scenarios.versions import several_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pubsub_sim.bench.process import Answer

PHASE = "rand msgs"
"""Of a run, what is measured."""

_LEAST_MESSAGES, _MOST_MESSAGES = 5, 10_000
_SLICE_S = 0.05  # what a message takes with a hundred hosts


class FailedCostRunError(RunError):
    """A run ended without a time.

    Attributes:
        spec: what was run.
        reason: what happened.
    """

    def __init__(self, spec: RunSpec, reason: str) -> None:
        super().__init__(spec, reason)
        self.spec = spec
        self.reason = reason

    def __str__(self) -> str:
        return f"no time of {self.spec.version} with {self.spec.hosts} hosts: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class CostOptions:
    """Which runs are made. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: which control flows.
        hosts: numbers of hosts, at least three.
        rounds: how often each is run.
        rpcs: RPCs of a run, by which the number of its messages is chosen, between 5 and 10,000.
        seed: of the order, and of the runs of the first round; later rounds count up from it.
        limit_s: a run is stopped after this many seconds of its own.
        out: JSON file for the samples and the fit; "" for none.
        share: whether to measure although something else is measured on this machine, and let others do so: for tests.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
    """

    versions: tuple[str, ...] = ("baseline", "states")
    hosts: tuple[int, ...] = (5, 10, 20, 40, 60, 80, 100)
    rounds: int = 5
    rpcs: int = 400_000
    seed: int = 1
    limit_s: float = 120.0
    out: str = ""
    share: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", several_versions("versions", self.versions))
        object.__setattr__(self, "hosts", several("hosts", self.hosts))
        check_whole("rounds", self.rounds, at_least=1)
        check_whole("rpcs", self.rpcs, at_least=1)
        check_whole("seed", self.seed, at_least=0)
        check_seconds("limit_s", self.limit_s)
        check_bool("share", self.share)
        for hosts in self.hosts:
            check_hosts(check_whole("hosts", hosts, at_least=2), runs=len(self.versions))
        for version in self.versions:
            for hosts in self.hosts:
                check_whole("hosts", hosts, at_least=2)
                self.spec(version, hosts, 0)
        if len(self.hosts) < 3:
            raise OptionError("hosts", self.hosts, "at least three numbers of hosts, as three costs are fitted")

    def spec(self, version: str, hosts: int, number: int) -> RunSpec:
        """One run of a round."""
        messages = min(max(round(self.rpcs / (hosts - 1) ** 2), _LEAST_MESSAGES), _MOST_MESSAGES)
        return RunSpec(version=version, hosts=hosts, messages=messages, sign="none", seed=self.seed + number)


def cost_rounds(
    options: CostOptions, follow: Callable[[int], None] = lambda _: None
) -> dict[str, list[dict[int, Sample]]]:
    """Make all runs.

    Args:
        options: which.
        follow: called with the number of each round that is over, from 1.

    Returns:
        For each version the rounds, each a sample per number of hosts.

    Raises:
        FailedCostRunError: a run failed or took too long.
    """
    rng = random.Random(f"{options.seed}/order")
    found: dict[str, list[dict[int, Sample]]] = {version: [] for version in options.versions}
    for number in range(options.rounds):
        specs = [options.spec(version, hosts, number) for hosts in options.hosts for version in options.versions]
        rng.shuffle(specs)
        runs = [(spec.to_json(), options.limit_s) for spec in specs]
        answers = run_interleaved(runs, environment=pinned_environment("pinned"), slice_s=_SLICE_S)
        for rounds in found.values():
            rounds.append({})
        for spec, answer in zip(specs, answers, strict=True):
            found[spec.version][number][spec.hosts] = _sample(spec, answer)
        follow(number + 1)
    return found


def _sample(spec: RunSpec, answer: Answer) -> Sample:
    if answer.outcome != "ok":
        raise FailedCostRunError(spec, answer.error)
    values = {row.metric: row.value for row in answer.rows if row.phase == PHASE}
    return Sample(
        publishes=spec.messages,
        deliveries=spec.messages * spec.hosts,
        rpcs=values["rpcs"],
        cpu_ns=values["cpu_ns"] - values["gc_wall_ns"],
    )


def costs_command(arguments: Sequence[str]) -> int:
    """Make the runs, fit the costs, print them.

    Returns:
        0.

    Raises:
        PubsubSimError: a flag or a value that cannot be used, a run that failed, or a file that cannot be written.
    """
    summary = "Fit what a publish, a delivery and an RPC cost to runs of few and many hosts."
    options: CostOptions = from_flags(CostOptions, "costs", summary, arguments)
    with measuring("what a publish, a delivery and an RPC cost", share=options.share):
        found = cost_rounds(options, lambda number: _tell(f"round {number} of {options.rounds}"))
    fits = {version: fit_of(rounds) for version, rounds in found.items()}
    sys.stdout.write(table(fits) + "\n")
    if options.out:
        put_whole(_json(options, found, fits), Path(options.out))
    return 0


def fit_of(rounds: Sequence[Mapping[int, Sample]]) -> tuple[Costs, list[Costs]]:
    """The costs fitted to the medians of some rounds, and to the same rounds resampled."""
    return fitted({hosts: [one[hosts] for one in rounds] for hosts in rounds[0]}), resampled(rounds)


def table(fits: Mapping[str, tuple[Costs, list[Costs]]]) -> str:
    """The costs in us with their 95 % intervals over the rounds, a column per version.

    Args:
        fits: for each version the costs and the resampled costs.
    """
    first = next(iter(fits.values()))[0]
    rows: list[tuple[str, Callable[[Costs], float]]] = [
        ("a, per publish", lambda costs: costs.publish_ns),
        ("b, per delivery", lambda costs: costs.delivery_ns),
        ("c, per RPC", lambda costs: costs.rpc_ns),
        *((f"  at {hosts} hosts", _at(hosts)) for hosts in first.rpc_ns_at),
        *((f"  from {few} to {many}", _between((few, many))) for few, many in first.rpc_ns_between),
    ]
    lines = [f"{'us of processor time':<22}" + "".join(f"{version:>26}" for version in fits)]
    for name, value in rows:
        cells = [_in_us(value(costs), interval([value(one) for one in again])) for costs, again in fits.values()]
        lines.append(f"{name:<22}" + "".join(f"{cell:>26}" for cell in cells))
    shares: list[tuple[str, Callable[[Costs], float]]] = [
        ("from 20 on, c off by", lambda costs: costs.departure),
        ("  apart by", lambda costs: costs.unevenness),
    ]
    for name, value in shares:
        cells = [_in_percent(value(costs), interval([value(one) for one in again])) for costs, again in fits.values()]
        lines.append(f"{name:<22}" + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines)


def _at(hosts: int) -> Callable[[Costs], float]:
    return lambda costs: costs.rpc_ns_at[hosts]


def _between(pair: tuple[int, int]) -> Callable[[Costs], float]:
    return lambda costs: costs.rpc_ns_between[pair]


def _in_us(value_ns: float, span_ns: tuple[float, float]) -> str:
    low, high = span_ns
    return f"{value_ns / 1e3:.2f} [{low / 1e3:.2f}, {high / 1e3:.2f}]"


def _in_percent(share: float, span: tuple[float, float]) -> str:
    low, high = span
    return f"{100 * share:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def _json(
    options: CostOptions,
    found: Mapping[str, Sequence[Mapping[int, Sample]]],
    fits: Mapping[str, tuple[Costs, list[Costs]]],
) -> bytes:
    samples = [
        {"version": version, "round": number, "hosts": hosts, **asdict(sample)}
        for version, rounds in found.items()
        for number, one in enumerate(rounds, start=1)
        for hosts, sample in one.items()
    ]
    costs = {
        version: {
            name: [getattr(fit, name), *interval([getattr(one, name) for one in again])]
            for name in ("publish_ns", "delivery_ns", "rpc_ns", "departure", "unevenness")
        }
        for version, (fit, again) in fits.items()
    }
    whole = {
        "options": asdict(options),
        "samples": samples,
        "costs": costs,
        "provenance": {**of_the_sweep(), **of_the_moment()},
    }
    return (json.dumps(whole, indent=1) + "\n").encode()


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
