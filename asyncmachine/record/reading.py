"""The reader of a record: its machines, transitions, spans and points, and the clocks of all machines at any time.

Nothing is locked between two calls, so that whoever writes the record is never held up; a record that is still written may then
hold more at the second call than at the first. `snapshot` makes several calls agree. What is small (machines, schemas, changes) is
read when the record is opened and by `refresh`; the rest when it is asked for.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from asyncmachine.mutation import tx_id
from asyncmachine.record.errors import UnknownMachineError, UnknownTransitionError
from asyncmachine.record.file import RecordFile
from asyncmachine.record.format import (
    Change,
    HandlerCall,
    LogLine,
    Operation,
    Origin,
    Point,
    QueuedMutation,
    RecordedMachine,
    RecordedSpan,
    RecordedTransition,
    Step,
    WaitEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

Clock = Literal["wall", "loop"]
Ticks = tuple[int, ...]

_CHUNK = 10_000  # rows read at once


class Activation(NamedTuple):
    """A period in which a state was active."""

    machine: int
    state: str
    tick: int
    start_ns: int
    end_ns: int | None
    """None if it had not ended by the end of the record."""
    seq: int | None
    """The transition that started it; None if the state was active initially."""
    end_seq: int | None


class RecordData:
    """A record open for reading, and its rows.

    Attributes:
        path: The file.
        run: Facts about the run, by name.
        clock: The clock of all times: "wall", or "loop" for the event loop's own.
        machines: The recorded machines, by number.
        all_machines: Machines by number; negative numbers are machines known as sources only.
    """

    def __init__(self, path: Path, clock: Clock | None) -> None:
        self.path = path
        self._file = RecordFile(path)
        self._asked_clock = clock
        self.run: Mapping[str, Any] = {}
        self.machines: tuple[RecordedMachine, ...] = ()
        self.all_machines: dict[int, RecordedMachine] = {}
        self._changes: dict[int, Change] = {}
        self._seqs: dict[tuple[int, int], int] | None = None
        self._is_snapshot = False
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def refresh(self) -> None:
        """Read what has been written since the last read; for viewers of a running program.

        Raises:
            RecordFileError: The file can no longer be read.
        """
        run = dict(self._rows("select key, value from run"))
        run["attributes"] = json.loads(run["attributes"])
        self.run = run
        self.clock: Clock = self._asked_clock or run["clock"]
        self._time = "time_ns" if self.clock == "wall" else "coalesce(loop_ns, time_ns)"
        schemas = {number: json.loads(states) for number, states in self._rows("select id, states from schemas")}
        grown = dict(self._rows("select machine, schema from schema_changes order by seq"))
        start, end = (self._time_of(f"{name}_ns", f"{name}_loop_ns") for name in ("start", "end"))
        rows = self._rows(
            f"select number, id, schema, parent, tags, span, {start}, {end}, start_ticks, end_ticks, first_seq from machines"
        )
        self.all_machines = {}
        for number, name, schema, parent, tags, span, start, end, start_ticks, end_ticks, first in sorted(rows):
            self.all_machines[number] = RecordedMachine(
                number,
                name,
                schema,
                parent,
                tuple(json.loads(tags)),
                span,
                start or 0,
                end,
                tuple(json.loads(start_ticks or "[]")),
                None if end_ticks is None else tuple(json.loads(end_ticks)),
                first,
                schemas.get(grown.get(number, schema), {}),
            )
        self.machines = tuple([machine for number, machine in self.all_machines.items() if number >= 0])
        for row in self._rows("select * from changes where id > ?", max(self._changes, default=0)):
            self._changes[row[0]] = _change(row)
        self._seqs = None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have all calls inside read the record as it is now, however much is written meanwhile; may be nested.

        A record that is still written is copied into a temporary file for it. One that is finished does not change.

        Raises:
            RecordFileError: The file cannot be read any more.
        """
        if self._is_snapshot or self.run["is_closed"]:
            yield
            return
        with self._file.snapshot():
            self._is_snapshot = True
            try:
                self.refresh()
                yield
            finally:
                self._is_snapshot = False

    def by_wall_clock(self) -> Self:
        """Return the same record, read by the wall clock. It shares the file, and is not to be closed."""
        other = copy(self)
        other._asked_clock = "wall"
        other.refresh()
        return other

    # machines

    @property
    def level(self) -> str:
        """The recording level."""
        return str(self.run["level"])

    def machine(self, which: str | int) -> RecordedMachine:
        """Return a machine by its id or number; the latest if several share the id.

        Raises:
            UnknownMachineError: There is no such machine.
        """
        found = None
        if isinstance(which, int):
            found = self.all_machines.get(which)
        else:
            for machine in self.all_machines.values():
                if machine.id == which:
                    found = machine
        if found is None:
            raise UnknownMachineError(which, [machine.id for machine in self.machines])
        return found

    # transitions

    @property
    def first_seq(self) -> int:
        """Number of the first transition in the record, 0 if there is none."""
        return int(self._rows("select coalesce(min(seq), 0) from transitions")[0][0])

    @property
    def last_seq(self) -> int:
        """Number of the last transition in the record, 0 if there is none."""
        return int(self._rows("select coalesce(max(seq), 0) from transitions")[0][0])

    @property
    def end_ns(self) -> int:
        """The latest time in the record."""
        end = "loop_ns" if self.clock == "loop" else "ns"
        tables = [
            f"select max({self._time}) from {name}" for name in ("transitions", "points", "queued", "logs", "waits")
        ]
        tables += [f"select max({time}) from {name}" for name in ("spans", "machines") for time in self._ends()]
        latest = max((row[0] for row in self._rows(" union all ".join(tables)) if row[0] is not None), default=0)
        return max(int(latest), int(self.run.get(f"end_{end}") or 0))

    def _ends(self) -> tuple[str, str]:
        return self._time_of("start_ns", "start_loop_ns"), self._time_of("end_ns", "end_loop_ns")

    def transition_counts(self) -> dict[int, int]:
        """Return the number of transitions in the record by machine number."""
        return dict(self._rows("select machine, count(*) from transitions group by machine"))

    def find(self, text: str) -> int:
        """Return the number of a transition given by its number or its id.

        Raises:
            UnknownTransitionError: It is not in the record.
        """
        if text.isdecimal():
            return self.transition(int(text)).seq
        name, _, number = text.rpartition("-")
        sign, digits = (-1, number[1:]) if number.startswith("p") else (1, number)
        if digits.isdecimal():
            for machine in self.all_machines.values():
                seq = self.seq_of(Origin(machine.number, sign * int(digits))) if machine.id == name else None
                if seq is not None:
                    return seq
        raise UnknownTransitionError(text, self.first_seq, self.last_seq)

    def transition(self, seq: int) -> RecordedTransition:
        """Return a transition by its number.

        Raises:
            UnknownTransitionError: It is not in the record.
        """
        for found in self.transitions(after=seq - 1, until=seq):
            return found
        raise UnknownTransitionError(seq, self.first_seq, self.last_seq)

    def transitions(
        self, machine: str | int | None = None, *, after: int = 0, until: int | None = None
    ) -> Iterator[RecordedTransition]:
        """Yield transitions in order of completion.

        Args:
            machine: Only those of this machine.
            after: Only those with a higher number.
            until: Only those up to this number.

        Raises:
            UnknownMachineError: There is no such machine.
        """
        where, arguments = "", []
        if machine is not None:
            where, arguments = " and machine = ?", [self.machine(machine).number]
        last = 2**62 if until is None else until
        query = (
            f"select seq, {self._time}, time_ns, machine, number, change, source_machine, source_number from transitions "
            f"where seq > ? and seq <= ?{where} order by seq limit {_CHUNK}"
        )
        changes = self._changes
        while True:
            rows = self._rows(query, after, last, *arguments)
            if any(row[5] not in changes or row[3] not in self.all_machines for row in rows):  # written since
                self.refresh()
                changes = self._changes
            for row in rows:
                seq, at, wall, of, number, change, machine_from, number_from = row
                source = None if machine_from is None else Origin(machine_from, number_from)
                yield RecordedTransition(seq, at, wall, of, number, changes[change], source)
            if len(rows) < _CHUNK:
                return
            after = rows[-1][0]

    def replay(
        self, machine: str | int | None = None, *, after: int = 0, until: int | None = None
    ) -> Iterator[tuple[RecordedTransition, Ticks, Ticks]]:
        """Yield transitions with all ticks of their machine before and after, in state order.

        Takes the arguments of `transitions`.

        Raises:
            UnknownMachineError: There is no such machine.
        """
        clocks: dict[int, list[int]] = {}
        places: dict[int, dict[str, int]] = {}
        begin = max(after, self._dropped)
        if begin:
            known = self._ticks_at(begin)
            clocks = {number: list(ticks) for number, ticks in known.items()}
        for transition in self.transitions(machine, after=after, until=until):
            number = transition.machine
            ticks = clocks.get(number)
            if ticks is None:
                ticks = clocks[number] = list(self.all_machines[number].start_ticks)
            place = places.get(number)
            if place is None or len(place) != len(ticks):
                names = self.all_machines[number].state_names
                place = places[number] = {name: position for position, name in enumerate(names)}
                ticks += [0] * (len(names) - len(ticks))
            before = tuple(ticks)
            moved = transition.change.moved
            if not moved:
                yield transition, before, before
                continue
            for state, gained in moved.items():
                ticks[place[state]] += gained
            yield transition, before, tuple(ticks)

    @property
    def _dropped(self) -> int:
        return int(self.run["dropped"])

    def _ticks_at(self, seq: int) -> dict[int, list[int]]:
        """Return the ticks of all machines after a transition, including machines that had ended by then."""
        clocks: dict[int, list[int]] = {}
        since: dict[int, int] = {}
        keyframes = "select machine, max(seq), ticks from keyframes where seq <= ? group by machine"
        for number, at, ticks in self._rows(keyframes, seq):
            clocks[number], since[number] = json.loads(ticks), at
        for machine in self.machines:
            if machine.first_seq <= seq + 1 and machine.number not in clocks:
                clocks[machine.number] = list(machine.start_ticks)
            if machine.number in clocks:
                clocks[machine.number] += [0] * (len(machine.states) - len(clocks[machine.number]))
        # a machine that ended before the last keyframe is not in it: use its own last keyframe
        first = min((since.get(number, 0) for number in clocks), default=0)
        places: dict[int, dict[str, int]] = {}
        for transition in self.transitions(after=first, until=seq):
            number = transition.machine
            if transition.seq <= since.get(number, 0) or not transition.change.moved:
                continue
            place = places.get(number)
            if place is None:
                place = places[number] = {n: at for at, n in enumerate(self.all_machines[number].state_names)}
            ticks = clocks[number]
            for state, gained in transition.change.moved.items():
                ticks[place[state]] += gained
        return clocks

    def clocks(self, at_ns: int | None = None, *, seq: int | None = None) -> dict[str, dict[str, int]]:
        """Return the ticks of all states of all machines alive at a time, by machine id and state.

        Args:
            at_ns: The time on the record's clock; the end of the record if neither is given.
            seq: Alternatively, the transition after which to read the ticks.

        Raises:
            ValueError: Both are given.
        """
        if at_ns is not None and seq is not None:
            raise ValueError(f"at_ns and seq are mutually exclusive: got {at_ns!r} and {seq!r}")
        if at_ns is not None:
            # on the loop's clock many transitions share a time, and times never decrease
            (row,) = self._rows(f"select coalesce(max(seq), 0) from transitions where {self._time} <= ?", at_ns)
            seq = int(row[0])
            self._know_machines()
            alive = [m for m in self.machines if m.start_ns <= at_ns and (m.end_ns is None or m.end_ns > at_ns)]
        else:
            seq = self.last_seq if seq is None else seq
            self._know_machines()
            moment = self._moment_of(seq)
            alive = [m for m in self.machines if m.first_seq <= seq + 1 and (m.end_ns is None or m.end_ns > moment)]
        ticks = self._ticks_at(seq)
        return {m.id: dict(zip(m.state_names, ticks.get(m.number, m.start_ticks), strict=False)) for m in alive}

    def _know_machines(self) -> None:
        """Know the machine of any transition whose number was read before this call."""
        if not self._is_snapshot and not self.run["is_closed"]:
            self.refresh()

    def _moment_of(self, seq: int) -> int:
        rows = self._rows(f"select {self._time} from transitions where seq <= ? order by seq desc limit 1", seq)
        return int(rows[0][0]) if rows else 0

    def activations(self, machine: str | int | None = None) -> Iterator[Activation]:
        """Yield every period in which a state was active, in order of their ends, open ones last.

        A repeated call of a Multi state ends one activation and begins the next.

        Raises:
            UnknownMachineError: There is no such machine.
        """
        last = self.last_seq
        self._know_machines()
        chosen = self.machines if machine is None else (self.machine(machine),)
        open_: dict[tuple[int, str], tuple[int, int, int | None]] = {}
        if self._dropped:
            begin = self._moment_of(self.first_seq)
            ticks = self._ticks_at(self._dropped)
        for one in chosen:
            known = one.start_ticks if not self._dropped else tuple(ticks.get(one.number, one.start_ticks))
            at = one.start_ns if not self._dropped else max(one.start_ns, begin)
            for state, tick in zip(one.state_names, known, strict=False):
                if tick & 1:
                    open_[one.number, state] = (tick, at, None)
        for transition, before, after in self.replay(machine, until=last):
            if not transition.change.moved:
                continue
            number, at, seq = transition.machine, transition.time_ns, transition.seq
            names = self.all_machines[number].state_names
            for state, old, new in zip(names, before, after, strict=False):
                if old == new:
                    continue
                if old & 1:
                    tick, start, begun = open_.pop((number, state))
                    yield Activation(number, state, tick, start, at, begun, seq)
                if new & 1:
                    open_[number, state] = (new, at, seq)
        for (number, state), (tick, start, begun) in open_.items():
            yield Activation(number, state, tick, start, self.all_machines[number].end_ns, begun, None)

    def tx_id(self, transition: RecordedTransition | Origin) -> str:
        """Return a transition's id, such as "client-17"."""
        return tx_id(self.all_machines[transition.machine].id, transition.number)

    def seq_of(self, origin: Origin) -> int | None:
        """Return the number of the transition a mutation was made in; None if it is not in the record."""
        if self._seqs is None:
            rows = self._rows("select machine, number, seq from transitions")
            self._seqs = {(machine, number): seq for machine, number, seq in rows}
        return self._seqs.get((origin.machine, origin.number))

    # from level "ops" on

    def operations(self) -> dict[int, Operation]:
        """Return the details of transitions by number; empty at level "changes"."""
        steps = {number: _steps(text) for number, text in self._rows("select id, steps from steps")}
        start = "o.start_ns" if self.clock == "wall" else "coalesce(t.loop_ns, o.start_ns)"
        rows = self._rows(
            f"select o.seq, {start}, o.queue, o.args, o.error, o.steps, o.foreign_id from operations o "
            "join transitions t on t.seq = o.seq"
        )
        found = {}
        for seq, at, queue, args, error, taken, foreign in rows:
            picked = json.loads(args or "{}")
            found[seq] = Operation(seq, at, queue, picked, error or "", steps.get(taken, ()), foreign or "")
        return found

    def handlers(self) -> dict[int, list[HandlerCall]]:
        """Return the handlers that ran, in order, by the number of their transition. Times are wall times."""
        found: dict[int, list[HandlerCall]] = {}
        for row in self._rows("select seq, name, binding, start_ns, end_ns from handlers order by id"):
            found.setdefault(row[0], []).append(HandlerCall(*row))
        return found

    def queued(self) -> list[QueuedMutation]:
        """Return the mutations that were accepted into queues, in order."""
        rows = self._rows(
            f"select {self._time}, machine, number, seq, kind, called, is_auto, is_check, queue, args, source_machine, "
            "source_number from queued order by id"
        )
        found = []
        for at, machine, number, seq, kind, called, is_auto, is_check, queue, args, machine_from, number_from in rows:
            source = None if machine_from is None else Origin(machine_from, number_from)
            states, picked = tuple(json.loads(called)), json.loads(args or "{}")
            found.append(
                QueuedMutation(
                    at, machine, number, seq, kind, states, bool(is_auto), bool(is_check), queue, picked, source
                )
            )
        return found

    def logs(self) -> list[LogLine]:
        """Return log lines in the order they were written."""
        rows = self._rows(f"select {self._time}, machine, seq, is_inside, level, text from logs order by id")
        return [LogLine(at, of, seq, bool(inside), level, text) for at, of, seq, inside, level, text in rows]

    def waits(self) -> list[WaitEvent]:
        """Return starts and ends of waits, contexts, tasks and pipes, in order."""
        return [
            WaitEvent(*row)
            for row in self._rows(f"select {self._time}, machine, seq, kind, text from waits order by id")
        ]

    # spans and points

    def spans(self) -> list[RecordedSpan]:
        """Return the spans in order of their starts."""
        start, end = self._ends()
        rows = self._rows(f"select id, parent, name, {start}, {end}, attributes from spans order by id")
        return [RecordedSpan(id_, up, name, a, b, json.loads(facts)) for id_, up, name, a, b, facts in rows]

    def points(self) -> list[Point]:
        """Return the points in order."""
        rows = self._rows(f"select id, {self._time}, span, name, flow, link, attributes from points order by id")
        return [
            Point(number, at, span, name, flow or "", link, json.loads(facts))
            for number, at, span, name, flow, link, facts in rows
        ]

    # the file

    def _time_of(self, wall: str, loop: str) -> str:
        return wall if self.clock == "wall" else f"coalesce({loop}, {wall})"

    def _rows(self, query: str, *arguments: Any) -> list[Any]:
        return self._file.rows(query, *arguments)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _change(row: tuple[Any, ...]) -> Change:
    number, kind, called, moved, is_auto, is_check, accepted, refused_by, reason = row
    reasons = tuple([(state, what, tuple(others)) for state, what, others in json.loads(reason)])
    states, gained = tuple(json.loads(called)), json.loads(moved)
    return Change(number, kind, states, gained, bool(is_auto), bool(is_check), bool(accepted), refused_by, reasons)


def _steps(text: str) -> tuple[Step, ...]:
    return tuple([Step(*fields) for fields in json.loads(text)])
