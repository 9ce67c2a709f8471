"""A sweep under load: the search for the saturation of each version, then open loops at shares of it, session by session.

Runs are made one after the other, each in a process of its own. The versions take turns at every step, in an order drawn
anew, so that they share what drifts. Each session searches for itself, so a load in percent follows the machine of that session.
A run that is stored is not made again, and one that failed has a record with its error.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.display import Display
from pubsub_sim.bench.load_options import LoadOptions, load_of
from pubsub_sim.bench.machine import measuring
from pubsub_sim.bench.process import pinned_environment, run_worker
from pubsub_sim.bench.provenance import of_a_load, of_the_moment
from pubsub_sim.bench.sessions import LAYOUT, Layout
from pubsub_sim.bench.sweep import SweepResult
from pubsub_sim.bench.watch import Gate, Watch
from pubsub_sim.flags import from_flags
from pubsub_sim.results.load import LOAD_METRICS, LoadRecord, LoadStore
from pubsub_sim.results.saturation import SaturationSearch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pubsub_sim.bench.process import Answer
    from pubsub_sim.results.load import LoadRun
    from pubsub_sim.results.saturation import Saturation

_WORKER = (sys.executable, "-m", "pubsub_sim.bench.load_worker")


class LoadInterrupted(KeyboardInterrupt):
    """A sweep under load was interrupted.

    Attributes:
        stored: runs that are stored and need not be made again.
        folder: where they are.
    """

    def __init__(self, stored: int, folder: Path) -> None:
        super().__init__(stored, folder)
        self.stored = stored
        self.folder = folder

    def __str__(self) -> str:
        return f"interrupted; {self.stored} runs are stored in {self.folder}; the same sweep goes on with the others"


def sweep_load(options: LoadOptions) -> SweepResult:
    """Measure what is not there yet, or with ``measure=False`` only look at what is.

    Returns:
        Counts and failures. A run that fails is a stored record and does not stop the sweep.

    Raises:
        BusyFolderError: another sweep is writing there.
        BusyMachineError: something else is measured on this machine.
        LoadInterrupted: it was interrupted; says what is stored.
        NoisyMachineError: the machine is not quiet, and the sweep is to stop then.
        UnreadableFileError: a file may not be read.
        UnwritableFolderError: the folder cannot be written.
    """
    store = LoadStore(options.folder)
    if not options.measure:
        return _LoadSweep(options, store, Display("none", 0)).result({})
    with store.exclusive(), measuring(f"load, for {options.out}", share=options.share):
        aside = store.set_aside()
        with Display(options.progress, options.sessions * _most_runs(options)) as display:
            try:
                return _LoadSweep(options, store, display).result(aside)
            except KeyboardInterrupt:
                raise LoadInterrupted(len(store.load()), store.folder) from None


def _most_runs(options: LoadOptions) -> int:
    """Count the runs of a session whose searches go on to their end."""
    steps = options.most_in_flight.bit_length() if options.loads else 0
    return len(options.versions) * (steps + len(options.loads) + len(options.rates))


class _LoadSweep:
    """A sweep under way."""

    def __init__(self, options: LoadOptions, store: LoadStore, display: Display) -> None:
        self._options = options
        self._store = store
        self._display = display
        self._records: list[LoadRecord] = []
        self._made = 0
        self._logs: dict[str, str] = {}
        self._facts: Mapping[str, Any] = of_a_load() if options.measure else {}
        self._gate = Gate(options.quiet_only, display.tell)

    def result(self, aside: Mapping[str, str]) -> SweepResult:
        """Go through all sessions."""
        if self._options.measure:
            self._gate.open()
        for session in range(1, self._options.sessions + 1):
            rng = random.Random(f"{self._options.seed}/load/{session}")
            before = len(self._records)
            found = self._search(session, rng) if self._options.loads else {}
            for version, saturation in found.items():
                told = f"{saturation.throughput:,.0f} messages/s with {saturation.in_flight} in flight per publisher"
                self._display.tell(f"session {session}: {version} saturates at {told}")
            opened = list(self._open_loops(session, rng, found))
            self._display.spare(_most_runs(self._options) - (len(self._records) - before) - len(opened))
            for run in opened:
                self._take(run)
        records = self._records
        return SweepResult(
            planned=len(records),
            measured=self._made,
            kept=len(records) - self._made,
            outcomes=Counter(record.outcome for record in records),
            failures={record.run.file_name(): record.error for record in records if record.outcome != "ok"},
            aside=aside,
            logs=self._logs,
        )

    def _search(self, session: int, rng: random.Random) -> dict[str, Saturation]:
        """Search for the saturation of every version, step by step side by side."""
        options = self._options
        searches = {version: SaturationSearch(options.most_in_flight) for version in options.versions}
        while going := [version for version, search in searches.items() if search.next_step is not None]:
            rng.shuffle(going)
            for version in going:
                search = searches[version]
                record = self._take(options.run(version, session, in_flight=search.next_step or 0))
                search.observe(None if record is None else record.throughput)
        found = {version: search.saturation for version, search in searches.items()}
        return {version: saturation for version, saturation in found.items() if saturation is not None}

    def _open_loops(self, session: int, rng: random.Random, found: Mapping[str, Saturation]) -> Iterator[LoadRun]:
        """Give the open loops in their order: load by load in a drawn order, the versions side by side."""
        options = self._options
        loads: list[tuple[int, float]] = [(percent, 0.0) for percent in options.loads]
        loads += [(0, rate) for rate in options.rates]
        rng.shuffle(loads)
        for percent, rate in loads:
            versions = list(options.versions)
            rng.shuffle(versions)
            for version in versions:
                if not percent:
                    yield options.run(version, session, rate=rate)
                elif version in found:
                    share = found[version].throughput * percent / 100
                    yield options.run(version, session, percent=percent, rate=round(share, 3))

    def _take(self, run: LoadRun) -> LoadRecord | None:
        """Give the stored record of a run, or make it; None if it is not there and nothing is to be made."""
        options, store = self._options, self._store
        if not options.measure:
            record = store.read(run)
        elif self._is_done(run):
            record = store.read(run)
            self._display.add("ok" if record is None else record.outcome, run.session)
        else:
            record = self._make(run)
        if record is not None:
            self._records.append(record)
        return record

    def _is_done(self, run: LoadRun) -> bool:
        options = self._options
        if options.force or not self._store.finished(run, self._facts):
            return False
        record = self._store.read(run)
        return record is not None and (record.outcome == "ok" or not options.retry_failed)

    def _make(self, run: LoadRun) -> LoadRecord:
        """Make a run and store it."""
        layout = Layout.draw(self._options.seed, run.session)
        pinned = pinned_environment(self._options.allocator)
        watch = Watch()
        moment = of_the_moment()
        answer = run_worker(
            json.dumps({"options": asdict(load_of(run)), "loop": run.loop}),
            environment=pinned | layout.environment(),
            limit_s=self._options.limit_s,
            command=_WORKER,
        )
        look = watch.look()
        numbers, offered_by, completed_by = _read_answer(answer)
        seen = {} if look is None else {row.metric: row.value for row in look.rows()}
        record = LoadRecord(
            run=run,
            outcome=answer.outcome,
            error=answer.error,
            order=len(self._records),
            limit_s=self._options.limit_s,
            numbers=numbers | seen,
            offered_by=offered_by,
            completed_by=completed_by,
            provenance={**self._facts, **moment, "environment": pinned, LAYOUT: layout.facts()},
        )
        self._store.write(record)
        self._made += 1
        if record.outcome != "ok" and answer.log:
            self._logs[run.file_name()] = answer.log
        self._display.add(record.outcome, run.session, is_disturbed=look is not None and bool(look.reasons))
        self._gate.after(look)
        return record


def _read_answer(answer: Answer) -> tuple[dict[str, int], tuple[int, ...], tuple[int, ...]]:
    """Read numbers and counts by publisher; none of a run that is not ok."""
    if answer.outcome != "ok":
        return {}, (), ()
    told = answer.version
    numbers = {name: value for name, value in told["numbers"].items() if name in LOAD_METRICS}
    return numbers, tuple(told["offered_by"]), tuple(told["completed_by"])


def load_command(arguments: Sequence[str]) -> int:
    """Measure under load and store every run; show the different logs of those that failed now.

    Returns:
        0, or 1 if a run is not ok.

    Raises:
        PubsubSimError: the sweep cannot go on.
    """
    summary = "Search for the saturation of each version, measure latencies at shares of it, and store every run."
    options: LoadOptions = from_flags(LoadOptions, "load", summary, arguments)
    result = sweep_load(options)
    sys.stdout.write(f"{result.sentence()}, in {LoadStore(options.folder).folder}\n")
    for log in dict.fromkeys(result.logs.values()):
        sys.stderr.write(log.rstrip() + "\n")
    for name, sentence in result.failures.items():
        sys.stderr.write(f"{name}: {sentence}\n")
    return 1 if result.failures else 0
