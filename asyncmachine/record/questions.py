"""Queries on a record: causes of a transition, refusals of a state, differences between runs, history of a machine."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncmachine.errors import UnknownStateError
from asyncmachine.history import Past, moved_between
from asyncmachine.mutation import IS_AUTO, tx_id
from asyncmachine.record.reading import RecordData
from asyncmachine.relations import KINDS, tell_blocked

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import pandas as pd

    from asyncmachine.record.format import Change, RecordedTransition
    from asyncmachine.record.reading import Clock

TABLES = (
    "machines", "transitions", "changes", "schemas", "schema_changes", "operations", "steps", "queued", "handlers", "logs",
    "waits", "spans", "points",
)  # fmt: skip


class Refusal(NamedTuple):
    """A cause of refused mutations."""

    by: str
    """A handler, "relations" or "error"."""
    text: str
    """The same as text, with the states of a relation."""
    times: int
    machines: tuple[str, ...]
    last_seq: int


class Difference(NamedTuple):
    """The first difference between two records; the text of a side that has ended is empty."""

    what: str
    """"machine", "transition", "point" or "span"."""
    position: int
    """Number of equal items of its kind before it."""
    mine: str
    other: str

    def __str__(self) -> str:
        return f"{self.what} {self.position + 1}: {self.mine or 'none'} / {self.other or 'none'}"


class RecordedHistory(Past):
    """The history of one machine in a record, with the queries of `asyncmachine.history`.

    Dry runs are omitted, as are refused mutations unless requested or with advanced ticks. All states are tracked. Wall times are
    seconds of the record's clock since the start of the run. Records are numbered from 1 among those kept.
    """

    def __init__(self, record: Record, machine: str | int, *, rejected: bool = False) -> None:
        of = record.machine(machine)
        self.machine_id = of.id
        self.tracked = self._known = of.state_names
        self._places = {name: place for place, name in enumerate(self._known)}
        raw: list[tuple[Any, ...]] = []
        start = of.start_ns / 1e9, of.start_ticks
        names = {one.number: one.id for one in record.machines}
        for transition, before, after in record.replay(of.number):
            change = transition.change
            if change.is_check or (not change.accepted and not rejected and before == after):
                continue
            source = transition.source
            origin = None
            if source is not None:
                origin = (
                    names[source.machine] if source.machine in names else record.machine(source.machine).id,
                    source.number,
                    0,
                )
            flags = IS_AUTO if change.is_auto else 0
            kind = KINDS.index(change.kind)
            raw.append((
                transition.time_ns / 1e9, after, kind, change.called, origin, transition.number, moved_between(before, after),
                flags, change.refused_by,
            ))  # fmt: skip
        self._raw = raw
        dropped = int(record.run["dropped"])
        self._count = len(raw) + (1 if dropped else 0)
        self._start = start


class Record(RecordData):
    """A record of a run. A context manager, created by `open`.

    Attributes:
        path: The file.
        run: Facts about the run, by name.
        clock: The clock of all times: "wall", or "loop" for the event loop's own.
        machines: The recorded machines, by number.
    """

    @classmethod
    def open(cls, path: str | os.PathLike[str], clock: Clock | None = None) -> Record:
        """Open a record for reading, even one that is being written or whose writer was killed.

        Args:
            path: The file.
            clock: The clock of all times; None is the event loop's own if the run had one, else wall time.

        Raises:
            MissingRecordError: The file does not exist.
            NotARecordError: It is not a record.
            RecordVersionError: It was written by a newer version of the library.
            DamagedRecordError: It is truncated or damaged.
            ValueError: An unknown clock.
        """
        if clock not in (None, "wall", "loop"):
            raise ValueError(f"clock must be 'wall' or 'loop', got {clock!r}")
        return cls(Path(path), clock)

    def history(self, machine: str | int, *, rejected: bool = False) -> RecordedHistory:
        """Return the history of one machine, with the queries of `asyncmachine.history.History`.

        Args:
            machine: Its id or number.
            rejected: Include refused mutations.

        Raises:
            UnknownMachineError: There is no such machine.
        """
        return RecordedHistory(self, machine, rejected=rejected)

    def why(self, seq: int) -> list[RecordedTransition]:
        """Return the chain of causes of a transition, itself first, across machines, as far as recorded.

        The cause of a mutation is the transition it was made in. The cause of an auto mutation is the previous transition of its
        machine.

        Raises:
            UnknownTransitionError: The transition is not in the record.
        """
        chain = [self.transition(seq)]
        seen = {seq}
        while True:
            last = chain[-1]
            if last.source is not None:
                cause = self.seq_of(last.source)
            elif last.change.is_auto:
                cause = self._seq_before(last)
            else:
                return chain
            if cause is None or cause in seen:
                return chain
            seen.add(cause)
            chain.append(self.transition(cause))

    def _seq_before(self, transition: RecordedTransition) -> int | None:
        query = "select max(seq) from transitions where machine = ? and seq < ?"
        rows = self._rows(query, transition.machine, transition.seq)
        return None if rows[0][0] is None else int(rows[0][0])

    def blocked(self, state: str, machine: str | int | None = None) -> list[Refusal]:
        """Return what refused mutations that called a state, and how often, most frequent first.

        Raises:
            UnknownStateError: None of the machines has the state.
            UnknownMachineError: There is no such machine.
        """
        with self.snapshot():
            return self._blocked(state, machine)

    def _blocked(self, state: str, machine: str | int | None) -> list[Refusal]:
        chosen = self.machines if machine is None else (self.machine(machine),)
        if not any(state in one.states for one in chosen):
            known = dict.fromkeys(name for one in chosen for name in one.states)
            raise UnknownStateError(state, chosen[0].id if len(chosen) == 1 else str(self.path), known)
        wanted = {number for number, change in self._changes.items() if not change.accepted and state in change.called}
        if not wanted:
            return []
        numbers = ",".join(map(str, sorted(wanted)))
        where = "" if machine is None else f" and machine = {chosen[0].number}"
        rows = self._rows(
            f"select change, machine, count(*), max(seq) from transitions where change in ({numbers}){where} group by 1, 2"
        )
        names = {one.number: one.id for one in self.machines}
        found: dict[tuple[str, str], tuple[int, dict[str, None], int]] = {}
        for number, by, count, last in rows:
            change = self._changes[number]
            key = (change.refused_by, refusal_text(change))
            total, machines, latest = found.get(key, (0, {}, 0))
            found[key] = (total + count, {**machines, names[by]: None}, max(latest, last))
        refusals = [
            Refusal(by, text, total, tuple(machines), last) for (by, text), (total, machines, last) in found.items()
        ]
        return sorted(refusals, key=lambda one: (-one.times, one.text))

    def diff(self, other: Record) -> Difference | None:
        """Return the first difference between two records, or None.

        Machines, transitions, spans and points are compared in order by content, ignoring wall times and row numbers. Times of the
        event loop's own clock are compared if both runs had one.
        """
        with self.snapshot(), other.snapshot():
            return self._diff(other)

    def _diff(self, other: Record) -> Difference | None:
        timed = self.run["clock"] == other.run["clock"] == "loop"
        for what in ("machine", "transition", "span", "point"):
            pairs = zip_longest(_told(self, what, timed=timed), _told(other, what, timed=timed), fillvalue="")
            for position, (mine, theirs) in enumerate(pairs):
                if mine != theirs:
                    return Difference(what, position, mine, theirs)
        return None

    def frame(self, table: str = "transitions") -> pd.DataFrame:
        """Return a table as a DataFrame; "transitions" includes the names of machines and the changes.

        Raises:
            MissingExtraError: pandas is not installed.
            ValueError: Unknown table.
        """
        try:
            import pandas as pd
        except ImportError as error:
            from asyncmachine.export.errors import MissingExtraError

            raise MissingExtraError("a table of a record", "pandas", "tables") from error
        if table not in TABLES:
            raise ValueError(f"table must be one of {', '.join(TABLES)}, got {table!r}")
        query = (
            "select r.*, t.time_ns, t.loop_ns from readable r join transitions t on t.seq = r.seq order by r.seq"
            if table == "transitions"
            else f"select * from {table}"
        )
        return pd.read_sql_query(query, self._file.connection)

    def to_parquet(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write every non-empty table as a Parquet file of its name, and return the files.

        Raises:
            MissingExtraError: pandas or pyarrow is not installed.
            UnwritableFileError: The folder cannot be written.
        """
        from asyncmachine.export.errors import MissingExtraError
        from asyncmachine.export.files import write_whole

        written = []
        for table in (*TABLES, "run"):
            frame = self.frame(table) if table != "run" else None
            if frame is None:
                import pandas as pd

                facts = {name: str(value) for name, value in self.run.items()}
                frame = pd.DataFrame({"key": list(facts), "value": list(facts.values())})
            if frame.empty:
                continue
            path = Path(folder, f"{table}.parquet")
            try:
                content = frame.to_parquet(index=False)
            except ImportError as error:
                raise MissingExtraError("a Parquet file", "pyarrow", "tables") from error
            write_whole(path, [content])
            written.append(path)
        return written


def refusal_text(change: Change) -> str:
    """Return as text what refused a change, such as "relations: Done requires Ready"."""
    if not change.reason:
        return change.refused_by
    return f"{change.refused_by}: {tell_blocked(change.reason)}"


def _told(record: Record, what: str, *, timed: bool) -> Iterator[str]:
    """Yield all items of one kind as text, without the parts that differ between equal runs."""
    ids = {number: machine.id for number, machine in record.all_machines.items()}
    if what == "machine":
        for machine in record.machines:
            parent = "" if machine.parent is None else f" of {ids[machine.parent]}"
            yield f"{machine.id}{parent} {' '.join(machine.states)}"
    elif what == "transition":
        at = "loop_ns" if timed else "null"
        times = iter(record._rows(f"select {at} from transitions order by seq"))
        for transition in record.transitions():
            (moment,) = next(times)
            yield transition_text(transition, ids) + ("" if moment is None else f" at {moment} ns")
    elif what == "span":
        for span in record._rows(
            f"select name, attributes, {'start_loop_ns' if timed else 'null'}, {'end_loop_ns' if timed else 'null'} from spans order by id"
        ):
            yield " ".join(str(value) for value in span if value is not None)
    else:
        query = f"select name, flow, link, span, attributes, {'loop_ns' if timed else 'null'} from points order by id"
        for point in record._rows(query):
            yield " ".join(str(value) for value in point if value is not None)


def transition_text(transition: RecordedTransition, ids: dict[int, str]) -> str:
    """Return a transition in one line: its id, mutation, source and outcome."""
    change = transition.change
    text = f"{tx_id(ids[transition.machine], transition.number)} {change.label}"
    text += " auto" if change.is_auto else " check" if change.is_check else ""
    if change.moved:
        text += " moved " + " ".join(
            f"{state}{'' if gained == 1 else f'*{gained}'}" for state, gained in change.moved.items()
        )
    if not change.accepted:
        text += f" refused by {refusal_text(change)}"
    if transition.source is not None:
        text += f" from {tx_id(ids[transition.source.machine], transition.source.number)}"
    return text
