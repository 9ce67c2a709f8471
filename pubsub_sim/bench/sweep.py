"""How is a whole grid measured? One run at a time, each stored as soon as it ends, finished ones never twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.display import Display
from pubsub_sim.bench.equal_work import as_failed, unequal
from pubsub_sim.bench.plan import limit_of, plan, spec_of
from pubsub_sim.bench.process import pinned_environment, run_worker
from pubsub_sim.bench.provenance import of_the_moment, of_the_sweep
from pubsub_sim.results import RunRecord, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pubsub_sim.bench.grid import SweepOptions
    from pubsub_sim.bench.plan import Pair
    from pubsub_sim.results import RunParameters

    Execute = Callable[[RunParameters, int], RunRecord]


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
    pairs = plan(options)
    if not options.measure:
        return _result([record for pair in pairs for record in _check(store, pair, is_measuring=False)], pairs, 0)
    facts = of_the_sweep()
    execute = _serial(options, facts)
    records: list[RunRecord] = []
    with store.exclusive():
        todo = _todo(options, store, pairs, facts)
        with Display(options.progress if todo else "none", len(todo)) as display:
            for pair in pairs:
                for run in pair.runs:
                    if run in todo:
                        record = execute(run, todo[run])
                        store.write(record)
                        display.add(record.outcome)
                records += _check(store, pair, is_measuring=True)
    return _result(records, pairs, len(todo))


def _result(records: list[RunRecord], pairs: tuple[Pair, ...], measured: int) -> SweepResult:
    return SweepResult(
        planned=sum(len(pair.runs) for pair in pairs),
        measured=measured,
        kept=len(records) - measured,
        outcomes=Counter(record.outcome for record in records),
        failures={record.parameters.file_name(): record.error for record in records if record.outcome != "ok"},
    )


def _todo(
    options: SweepOptions, store: Store, pairs: tuple[Pair, ...], facts: Mapping[str, Any]
) -> dict[RunParameters, int]:
    """Find the runs that must be made, with their positions in the sweep."""
    return {
        run: order
        for pair in pairs
        for order, run in enumerate(pair.runs, start=pair.first)
        if options.force or not store.finished(run, facts) or (options.retry_failed and _failed(store, run))
    }


def _failed(store: Store, run: RunParameters) -> bool:
    record = store.read(run)
    return record is not None and record.outcome != "ok"


def _serial(options: SweepOptions, facts: Mapping[str, Any]) -> Execute:
    """Make runs one after the other on this machine."""
    environment = pinned_environment(options.allocator)

    def execute(run: RunParameters, order: int) -> RunRecord:
        provenance = {**facts, **of_the_moment(), "environment": environment}
        limit_s = limit_of(options, run)
        answer = run_worker(spec_of(run), environment=environment, limit_s=limit_s)
        return RunRecord(
            parameters=run,
            outcome=answer.outcome,
            error=answer.error,
            order=order,
            limit_s=limit_s,
            rows=answer.rows,
            provenance=provenance,
            version=answer.version,
        )

    return execute


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
