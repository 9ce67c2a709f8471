"""Measuring a whole grid: one pair at a time, stored as soon as it is known, finished ones never twice.

What is compared was measured together. A pair of which a run is missing, was damaged, or comes from another measurement
than the rest is measured again as a whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.display import Display
from pubsub_sim.bench.equal_work import as_failed, unequal
from pubsub_sim.bench.executors import executor
from pubsub_sim.bench.grid import one_more, plan
from pubsub_sim.bench.manifest import Manifest
from pubsub_sim.bench.stopping import stops
from pubsub_sim.results import RUN, PackedRunsError, Store
from pubsub_sim.results.disturbance import name_disturbances
from pubsub_sim.results.footers import PACKED, same_ground
from pubsub_sim.results.parquet import SCHEMA_VERSION
from pubsub_sim.results.store import partners

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pubsub_sim.bench.executors import Executor, Task
    from pubsub_sim.bench.grid import Pair
    from pubsub_sim.bench.options import SweepOptions
    from pubsub_sim.results import RunParameters, RunRecord


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What a sweep did.

    Attributes:
        planned: runs of the grid.
        measured: runs made now.
        kept: runs that were stored already.
        outcomes: how all runs of the grid ended, stored ones included.
        failures: file name of each run that is not ok, to its sentence.
        again: runs that were stored and are among the measured ones: the rest of their pairs had to be measured, or
            they were.
        aside: files that could not be read, to the names that they have now.
        apart: runs that were only looked at and are in no pair, as the rest was measured at another time.
        logs: file name of each failed run that was made now, to what it logged.
        disturbed: runs made now that something else on the machine disturbed.
        sessions_s: number of each session of which runs were made now, to the seconds that they took.
    """

    planned: int
    measured: int
    kept: int
    outcomes: Mapping[str, int]
    failures: Mapping[str, str]
    again: int = 0
    aside: Mapping[str, str] = field(default_factory=dict)
    apart: int = 0
    logs: Mapping[str, str] = field(default_factory=dict)
    sessions_s: Mapping[int, float] = field(default_factory=dict)
    disturbed: int = 0

    def sentence(self) -> str:
        """Say it for a reader, in one line."""
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        text = f"{self.planned} runs ({ends}): {self.measured} measured now, {self.kept} kept"
        if self.disturbed:
            text += f"; {self.disturbed} of the measured ones were disturbed, as the machine was not quiet"
        if len(self.sessions_s) > 1:
            least, most = min(self.sessions_s.values()), max(self.sessions_s.values())
            text += f"; each of {len(self.sessions_s)} sessions took {least:.0f} to {most:.0f} s"
        if self.again:
            text += f"; {self.again} of the measured ones were there and were measured again with their pairs"
        if self.apart:
            text += f"; {self.apart} of them measured apart from the rest of their pairs, so in no ratio"
        if self.aside:
            moved = ", ".join(f"{old} is now {new}" for old, new in sorted(self.aside.items()))
            text += f"; could not be read and was moved aside: {moved}"
        return text


class SweepInterrupted(KeyboardInterrupt):
    """A sweep was interrupted.

    Attributes:
        stored: runs of the plan that are stored and need not be measured again.
        planned: runs of the plan.
        folder: where they are.
        is_forced: whether stored runs were to be measured again.
    """

    def __init__(self, stored: int, planned: int, folder: Path, *, is_forced: bool = False) -> None:
        super().__init__(stored, planned, folder)
        self.stored = stored
        self.planned = planned
        self.folder = folder
        self.is_forced = is_forced

    def __str__(self) -> str:
        text = f"interrupted; {self.stored} of {self.planned} runs are stored in {self.folder}"
        if self.is_forced:
            return f"{text}, measured now or before; the same sweep without force keeps them"
        return f"{text}; the same sweep goes on with the others" if self.stored < self.planned else text


def sweep(options: SweepOptions) -> SweepResult:
    """Measure what is not there yet, or with ``measure=False`` only look at what is.

    Args:
        options: the grid and where its runs are stored.

    Returns:
        Counts and failures. A run that fails is a stored record and does not stop the sweep.

    Raises:
        OptionError: the folder cannot be found.
        BusyFolderError: another sweep is writing there.
        BusyMachineError: something else is measured on this machine.
        ForeignManifestError: the folder holds a manifest that is none.
        PackedRunsError: packed runs would have to be measured again.
        SweepInterrupted: it was interrupted; says what is stored.
        UnwritableFolderError: the folder cannot be written.
        UnreadableFileError: a file may not be read.
        NoisyMachineError: the machine is not quiet, and the sweep is to stop then.
    """
    store = Store(options.folder)
    if not options.measure:
        return _look(options, store)
    with store.exclusive(), executor(options) as maker:
        return _Measurement(options, store, maker).run()


class _Measurement:
    """A sweep under way."""

    def __init__(self, options: SweepOptions, store: Store, maker: Executor) -> None:
        self._options = options
        self._store = store
        self._maker = maker
        self._manifest = Manifest(options.folder, options)
        self._pairs: list[Pair] = []
        self._measured = self._again = 0
        self._logs: dict[str, str] = {}
        self._sessions_s: dict[int, float] = {}
        self._disturbed = 0

    def run(self) -> SweepResult:
        aside = self._store.set_aside()
        batch = plan(self._options)
        records: list[RunRecord] = []
        while batch:
            self._pairs += batch
            self._manifest.plan(batch)
            todo = _todo(self._options, self._store, batch, self._maker.grounds)
            self._again += sum(self._store.read(run) is not None for task in todo for run, _ in task)
            self._measured += sum(map(len, todo))
            self._make_all(todo)
            records += [record for pair in batch for record in _check(self._store, pair, is_measuring=True)]
            batch = _next(self._options, records, self._pairs, self._manifest)
            for record in records:
                self._manifest.note(record)
            self._manifest.write()
        result = _result(records, self._pairs, self._measured)
        return replace(
            result,
            again=self._again,
            aside=aside,
            logs=self._logs,
            sessions_s=self._sessions_s,
            disturbed=self._disturbed,
        )

    def _make_all(self, todo: list[Task]) -> None:
        try:
            self._make(todo)
        except KeyboardInterrupt:
            planned = sum(len(pair.runs) for pair in self._pairs)
            options = replace(self._options, force=False, retry_failed=False)
            missing = _todo(options, self._store, self._pairs, self._maker.grounds)
            stored = planned - sum(map(len, missing))
            forced = self._options.force
            raise SweepInterrupted(stored, planned, self._options.folder, is_forced=forced) from None

    def _make(self, todo: list[Task]) -> None:
        """Make runs, and store those of a pair as soon as all of them are known."""
        self._manifest.write()
        total = sum(map(len, todo))
        with Display(self._options.progress if total else "none", total, self._options.sessions) as display:
            for pair in self._maker.make(todo, display.tell):
                self._store.write_together([made.record for made in pair])
                for record, log, _ in pair:
                    self._manifest.note(record)
                    if log:
                        self._logs[record.parameters.file_name()] = log
                    display.add(record.outcome, record.parameters.session, is_disturbed=_is_disturbed(record))
                self._manifest.write()
        self._disturbed += display.tally.disturbed
        for session, seconds in display.tally.sessions_s.items():
            self._sessions_s[session] = self._sessions_s.get(session, 0.0) + seconds


def _is_disturbed(record: RunRecord) -> bool:
    return bool(name_disturbances({row.metric: row.value for row in record.rows if row.phase == RUN}))


def _next(
    options: SweepOptions, records: list[RunRecord], pairs: list[Pair], manifest: Manifest | None = None
) -> tuple[Pair, ...]:
    """Give the runs that the stop rule asks for next; none without the rule, or when all cells are narrow enough."""
    if not options.half_width:
        return ()
    decided = stops(options, records)
    if manifest is not None:
        manifest.decide(decided)
    return one_more(options, decided, sum(len(pair.runs) for pair in pairs))


def _look(options: SweepOptions, store: Store) -> SweepResult:
    """Count what is stored of a sweep, and how many of it are no pairs; follow the stop rule as far as there are runs."""
    pairs: list[Pair] = []
    records: list[RunRecord] = []
    batch = plan(options)
    while batch:
        pairs += batch
        found = [record for pair in batch for record in _check(store, pair, is_measuring=False)]
        records += found
        batch = _next(options, records, pairs) if found else ()
    return replace(_result(records, pairs, 0), apart=_apart(records))


def _apart(records: Iterable[RunRecord]) -> int:
    """Count the runs that lie beside runs of another measurement."""
    cells: dict[RunParameters, list[str]] = {}
    for record in records:
        cells.setdefault(partners(record.parameters), []).append(record.pair)
    return sum(len(pairs) for pairs in cells.values() if len(set(pairs)) > 1)


def _result(records: list[RunRecord], pairs: list[Pair], measured: int) -> SweepResult:
    return SweepResult(
        planned=sum(len(pair.runs) for pair in pairs),
        measured=measured,
        kept=len(records) - measured,
        outcomes=Counter(record.outcome for record in records),
        failures={record.parameters.file_name(): record.error for record in records if record.outcome != "ok"},
    )


def _todo(
    options: SweepOptions, store: Store, pairs: Iterable[Pair], grounds: Sequence[Mapping[str, Any]]
) -> list[Task]:
    """Find the pairs that must be made, whole, with the positions of their runs in the sweep.

    Raises:
        PackedRunsError: a run of one is packed, or packed runs come from other code or another machine.
    """
    tasks = [
        [(run, order) for order, run in enumerate(pair.runs, start=pair.first)]
        for pair in pairs
        if not _is_done(options, store, pair, grounds)
    ]
    packed = store.packed()
    if tasks and packed:
        theirs = sum(run in packed for task in tasks for run, _ in task)
        if theirs:
            raise PackedRunsError(store.folder, f"{theirs} of them would have to be measured again with their pairs")
        if not any(same_ground(record.provenance, _now(facts)) for record in packed.values() for facts in grounds):
            raise PackedRunsError(store.folder, "they come from other code or another machine than what is to be added")
    return tasks


def _now(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "schema": SCHEMA_VERSION}


def _is_done(options: SweepOptions, store: Store, pair: Pair, grounds: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether all runs of a pair are stored, were measured together, and count as made by this sweep."""
    if options.force or not all(any(store.finished(run, facts) for facts in grounds) for run in pair.runs):
        return False
    records = [record for record in map(store.read, pair.runs) if record is not None]
    if len({record.pair for record in records}) > 1:
        return False
    return not (options.retry_failed and any(record.outcome != "ok" for record in records))


def _check(store: Store, pair: Pair, *, is_measuring: bool) -> list[RunRecord]:
    """Read a pair back and turn runs of unequal work into failures, in the store too if this sweep measures."""
    found = [record for record in map(store.read, pair.runs) if record is not None]
    wrong = unequal(found)
    records = []
    for record in found:
        if record.parameters in wrong:
            record = as_failed(record, wrong[record.parameters])
            if is_measuring and not record.provenance.get(PACKED):
                store.write(record)
        records.append(record)
    return records
