"""The command `equivalence`: compares the decisions of two versions over many seeds, on all cores."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pubsub_sim.bench.pool import begin_work
from pubsub_sim.checking.equivalence import difference, play
from pubsub_sim.checking.seeded import KINDS, ROUTERS, Case
from pubsub_sim.checks import check_choice, check_seconds, check_whole
from pubsub_sim.errors import OptionError, RunError
from pubsub_sim.flags import from_flags
from pubsub_sim.parameters import several
from pubsub_sim.scenarios.versions import known_versions

if TYPE_CHECKING:
    from multiprocessing.pool import Pool


class NoVerdictError(RunError):
    """A case was not decided: a version hangs, or a worker was killed.

    Attributes:
        case: which.
        limit_s: how long was waited for it.
        replay: the command that plays it alone.
    """

    def __init__(self, case: Case, limit_s: float, replay: str) -> None:
        super().__init__(case, limit_s, replay)
        self.case = case
        self.limit_s = limit_s
        self.replay = replay

    def __str__(self) -> str:
        case = self.case
        return (
            f"{case.router}, {case.kind}, seed {case.seed}: no verdict within {self.limit_s:g} s; "
            f"play it again: {self.replay}"
        )


@dataclass(frozen=True, kw_only=True)
class EquivalenceOptions:
    """Which cases are compared. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: the two control flows that are compared.
        routers: "floodsub", "gossipsub" or both.
        kinds: what goes wrong: "calm" (links only take time), "jitter", "loss", "churn", or several of these.
        seeds: how many seeds of each kind.
        first_seed: the seed to count from.
        workers: processes that play at once; 0 is one per core.
        limit_s: longest wait for the next verdict, in seconds.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
    """

    versions: tuple[str, str] = ("baseline", "states")
    routers: tuple[str, ...] = ROUTERS
    kinds: tuple[str, ...] = KINDS
    seeds: int = 200
    first_seed: int = 1
    workers: int = 0
    limit_s: float = 300.0

    def __post_init__(self) -> None:
        for name, known in (("versions", known_versions()), ("routers", ROUTERS), ("kinds", KINDS)):
            object.__setattr__(self, name, several(name, getattr(self, name)))
            for value in getattr(self, name):
                check_choice(name, value, known)
        if len(self.versions) != 2:
            raise OptionError("versions", self.versions, "two versions")
        check_whole("seeds", self.seeds, at_least=1)
        check_whole("first_seed", self.first_seed, at_least=0)
        check_whole("workers", self.workers, at_least=0)
        check_seconds("limit_s", self.limit_s)

    def groups(self) -> Iterator[tuple[str, str]]:
        """Each router with each kind."""
        for router in self.routers:
            yield from ((router, kind) for kind in self.kinds)

    def cases(self, router: str, kind: str) -> list[Case]:
        """The cases of one group, by seed."""
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        return [Case(router=router, kind=kind, seed=seed) for seed in seeds]


class Verdict(NamedTuple):
    """What the comparison of one case found.

    Attributes:
        case: which.
        events: how many each of the two traces has; 0 if a version failed.
        deliveries: messages given to subscriptions, in the first version.
        told: what differs, or failed, in lines of text; "" if both are equal.
    """

    case: Case
    events: int
    deliveries: int
    told: str


def compared(job: tuple[tuple[str, str], Case]) -> Verdict:
    """Play one case in both versions and compare.

    Args:
        job: the versions, and the case.
    """
    versions, case = job
    runs = []
    for version in versions:
        try:
            runs.append(play(case, version))
        except Exception:  # whatever a run ends with, the other cases are compared
            return Verdict(case, 0, 0, f"{version} failed\n{traceback.format_exc().rstrip()}")
    one, other = runs
    deliveries = sum(len(ids) for ids in one.given.values())
    return Verdict(case, len(one.trace), deliveries, difference(versions, one, other))


def equivalence_command(arguments: Sequence[str]) -> int:
    """Compare two versions over many seeds; print one line per router and kind, and what differs.

    Returns:
        0, or 1 if a case differs or failed.

    Raises:
        OptionError: a flag or a value that cannot be used.
        NoVerdictError: a case was not decided in time.
    """
    summary = "Play seeded scenarios in two versions and compare what they decide."
    options: EquivalenceOptions = from_flags(EquivalenceOptions, "equivalence", summary, arguments)
    unequal = 0
    workers = options.workers or os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(workers, begin_work) as pool:
        for router, kind in options.groups():
            verdicts = []
            for verdict in _verdicts(pool, options, options.cases(router, kind)):
                verdicts.append(verdict)
                if verdict.told:
                    sys.stdout.write(_told(options, verdict) + "\n")
            unequal += sum(bool(verdict.told) for verdict in verdicts)
            sys.stdout.write(_summary(router, kind, verdicts) + "\n")
            sys.stdout.flush()
    return int(unequal > 0)


def _verdicts(pool: Pool, options: EquivalenceOptions, cases: Sequence[Case]) -> Iterator[Verdict]:
    """The verdicts in the order of the cases, each as soon as it is there."""
    found = pool.imap(compared, [(options.versions, case) for case in cases])
    for case in cases:
        try:
            yield found.next(options.limit_s)
        except multiprocessing.TimeoutError:
            raise NoVerdictError(case, options.limit_s, _replay(options, case)) from None


def _summary(router: str, kind: str, verdicts: Sequence[Verdict]) -> str:
    equal = sum(not verdict.told for verdict in verdicts)
    events = sum(verdict.events for verdict in verdicts)
    deliveries = sum(verdict.deliveries for verdict in verdicts)
    return f"{router:<10}{kind:<8}{equal:>5} of {len(verdicts)} seeds equal, {events:,} events, {deliveries:,} messages read"


def _told(options: EquivalenceOptions, verdict: Verdict) -> str:
    case = verdict.case
    return f"{case.router}, {case.kind}, seed {case.seed}: {verdict.told}\nplay it again: {_replay(options, case)}\n"


def _replay(options: EquivalenceOptions, case: Case) -> str:
    return (
        f"python -m pubsub_sim equivalence --versions {','.join(options.versions)} --routers {case.router} "
        f"--kinds {case.kind} --first-seed {case.seed} --seeds 1 --workers 1"
    )
