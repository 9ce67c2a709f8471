"""How is a whole grid measured? One pair at a time, each run stored as soon as it is known, finished ones never twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.display import Display
from pubsub_sim.bench.equal_work import as_failed, unequal
from pubsub_sim.bench.executors import executor
from pubsub_sim.bench.manifest import Manifest
from pubsub_sim.bench.plan import one_more, plan
from pubsub_sim.bench.stopping import stops
from pubsub_sim.results import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pubsub_sim.bench.executors import Executor, Task
    from pubsub_sim.bench.grid import SweepOptions
    from pubsub_sim.bench.plan import Pair
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
    """

    planned: int
    measured: int
    kept: int
    outcomes: Mapping[str, int]
    failures: Mapping[str, str]

    def sentence(self) -> str:
        """Say it for a reader."""
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        return f"{self.planned} runs ({ends}): {self.measured} measured now, {self.kept} kept"


def sweep(options: SweepOptions) -> SweepResult:
    """Measure what is not there yet, or with ``measure=False`` only look at what is.

    Args:
        options: the grid and where its runs are stored.

    Returns:
        Counts and failures. A run that fails is a stored record and does not stop the sweep.

    Raises:
        OptionError: the folder cannot be found.
        BusyFolderError: another sweep is writing there.
        UnwritableFolderError: the folder cannot be written.
        TruncatedFileError: a file changed under the sweep.
    """
    store = Store(options.folder)
    if not options.measure:
        return _look(options, store)
    pairs: list[Pair] = []
    records: list[RunRecord] = []
    measured = 0
    with store.exclusive(), executor(options) as maker:
        manifest = Manifest(options.folder, options)
        batch = plan(options)
        while batch:
            pairs += batch
            manifest.plan(batch)
            todo = _todo(options, store, batch, maker.grounds)
            measured += sum(map(len, todo))
            _make(options, store, maker, todo, manifest)
            records += [record for pair in batch for record in _check(store, pair, is_measuring=True)]
            batch = _next(options, records, pairs, manifest)
            for record in records:
                manifest.note(record)
            manifest.write()
    return _result(records, pairs, measured)


def _make(options: SweepOptions, store: Store, maker: Executor, todo: list[Task], manifest: Manifest) -> None:
    """Make runs, and store each at once."""
    manifest.write()
    total = sum(map(len, todo))
    with Display(options.progress if total else "none", total) as display:
        for record in maker.make(todo):
            store.write(record)
            manifest.note(record)
            manifest.write()
            display.add(record.outcome)


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
    """Count what is stored of a sweep; follow the stop rule as far as there are runs."""
    pairs: list[Pair] = []
    records: list[RunRecord] = []
    batch = plan(options)
    while batch:
        pairs += batch
        found = [record for pair in batch for record in _check(store, pair, is_measuring=False)]
        records += found
        batch = _next(options, records, pairs) if found else ()
    return _result(records, pairs, 0)


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
    """Find the runs that must be made, pair by pair, with their positions in the sweep."""
    tasks = [
        [
            (run, order)
            for order, run in enumerate(pair.runs, start=pair.first)
            if options.force
            or not any(store.finished(run, facts) for facts in grounds)
            or (options.retry_failed and _failed(store, run))
        ]
        for pair in pairs
    ]
    return [task for task in tasks if task]


def _failed(store: Store, run: RunParameters) -> bool:
    record = store.read(run)
    return record is not None and record.outcome != "ok"


def _check(store: Store, pair: Pair, *, is_measuring: bool) -> list[RunRecord]:
    """Read a pair back and turn runs of unequal work into failures, in the store too if this sweep measures."""
    found = [record for record in map(store.read, pair.runs) if record is not None]
    wrong = unequal(found)
    records = []
    for record in found:
        if record.parameters in wrong:
            record = as_failed(record, wrong[record.parameters])
            if is_measuring:
                store.write(record)
        records.append(record)
    return records
