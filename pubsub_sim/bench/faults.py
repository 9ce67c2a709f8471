"""The command `faults`: plays many random fault plans, and prints the failures with the command that replays each."""

from __future__ import annotations

import gc
import itertools
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.checking.fault_runs import KINDS, ROUTERS, FaultRun, fault_run
from pubsub_sim.checks import check_whole
from pubsub_sim.flags import from_flags
from pubsub_sim.parameters import several

if TYPE_CHECKING:
    from types import FrameType

_LIMIT_S = 60.0  # processor time of one run, which takes a fraction of a second: for loops in which no time passes
_AGAIN_S = 0.2  # between interrupts of a run that was too long
_TOLD = 100  # runs between lines of progress


@dataclass(frozen=True, kw_only=True)
class FaultSearch:
    """Which runs to play. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: which control flows.
        routers: "floodsub", "gossipsub" or both.
        kinds: what fails: "network" (links and hosts), "users" (their code, and calls they cancel), "sockets" (over libp2p, on
            wall time, some ten seconds a run), or several of them.
        first: the first seed.
        seeds: how many seeds, counted up from the first, each played by every version with every router.
        processes: how many at once; 0 is one per processor.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
    """

    versions: tuple[str, ...] = ("baseline", "states")
    routers: tuple[str, ...] = ROUTERS
    kinds: tuple[str, ...] = KINDS[:1]
    first: int = 0
    seeds: int = 500
    processes: int = 0

    def __post_init__(self) -> None:
        for name in ("versions", "routers", "kinds"):
            object.__setattr__(self, name, several(name, getattr(self, name)))
        check_whole("first", self.first, at_least=0)
        check_whole("seeds", self.seeds, at_least=1)
        check_whole("processes", self.processes, at_least=0)
        for version, router, kind in itertools.product(self.versions, self.routers, self.kinds):
            FaultRun(version=version, router=router, seed=self.first, kind=kind)

    @property
    def runs(self) -> list[FaultRun]:
        """The runs, kind by kind and seed by seed."""
        return [
            FaultRun(version=version, router=router, seed=seed, kind=kind)
            for kind in self.kinds
            for seed in range(self.first, self.first + self.seeds)
            for router in self.routers
            for version in self.versions
        ]


def told(run: FaultRun, broken: Sequence[str]) -> str:
    """What is printed of a run that failed: what went wrong, and what plays it again."""
    lines = "".join(f"  {sentence}\n" for sentence in broken)
    return f"{run}: failed\n{lines}  again: {replay_command(run)}\n"


def replay_command(run: FaultRun) -> str:
    """What plays a run again and tells what went wrong."""
    kind = "" if run.kind == "network" else f" --kinds {run.kind}"
    which = f"--versions {run.version} --routers {run.router} --first {run.seed} --seeds 1"
    return f"python -m pubsub_sim faults {which}{kind}"


def search(options: FaultSearch) -> Iterator[tuple[FaultRun, list[str]]]:
    """Play all runs, in processes of their own, and give each with what went wrong in it, in the order of `runs`."""
    runs = options.runs
    processes = min(options.processes or os.cpu_count() or 1, len(runs))
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawning, initializer=_prepare) as pool:
        yield from zip(runs, pool.map(_play, runs, chunksize=4), strict=True)


def faults_command(arguments: Sequence[str]) -> int:
    """Play random plans of faults, print what failed and how to see it again, and how long it took.

    Returns:
        0, or 1 if a run failed.

    Raises:
        OptionError: a flag or a value that cannot be used.
    """
    summary = "Play random plans of faults and judge what the hosts made of them."
    options: FaultSearch = from_flags(FaultSearch, "faults", summary, arguments)
    begin_s = time.perf_counter()
    count = len(options.runs)
    failed = 0
    for number, (run, broken) in enumerate(search(options), start=1):
        if broken:
            failed += 1
            sys.stdout.write(told(run, broken))
            sys.stdout.flush()
        if not number % _TOLD:
            sys.stderr.write(f"{number} of {count} runs, {time.perf_counter() - begin_s:.0f} s\n")
    took_s = time.perf_counter() - begin_s
    played = f"{count} runs ({options.seeds} seeds, {', '.join(options.routers)}{_other_kinds(options)})"
    sys.stdout.write(f"{', '.join(options.versions)}: {played} in {took_s:.0f} s, {failed} failed\n")
    return 1 if failed else 0


def _other_kinds(options: FaultSearch) -> str:
    return "" if options.kinds == KINDS[:1] else f", faults of {' and '.join(options.kinds)}"


class _TooLong(KeyboardInterrupt):
    """A run took too much processor time; an interrupt, as an event loop lets no other error through."""


def within(limit_s: float, play: Callable[[], list[str]]) -> list[str]:
    """Call a function, but not for ever; in the main thread of a process only.

    Args:
        limit_s: processor time it may take.
        play: plays and judges a run.

    Returns:
        What it gives, or a sentence that it did not end.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    former = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s, _AGAIN_S)  # as closing a loop runs it once more
    try:
        return play()
    except _TooLong:
        return [f"not ended after {limit_s:g} s of processor time"]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, former)


def _prepare() -> None:
    logging.getLogger("pubsub_sim.foreign").disabled = True  # thousands of errors that are meant
    gc.freeze()  # what is imported lives for ever, and each run ends with a collection


def _play(run: FaultRun) -> list[str]:
    return within(_LIMIT_S, lambda: fault_run(run))
