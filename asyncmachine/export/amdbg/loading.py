"""The conversion of a dump of am-dbg into a record: messages become rows; the remainder is stored as differences."""

from __future__ import annotations

import heapq
import re
from bisect import bisect
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from asyncmachine.export.amdbg.differences import differences
from asyncmachine.export.amdbg.from_record import FACT, Loaded, MachineMessages, messages_of
from asyncmachine.export.amdbg.messages import KINDS, states_of, step_of
from asyncmachine.export.amdbg.times import UTC, unpack_time
from asyncmachine.record import Record
from asyncmachine.record.steps import step_to_list
from asyncmachine.record.writer import plain_text, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncmachine.export.amdbg.messages import Dialect, Message
    from asyncmachine.record.format import Step
    from asyncmachine.record.writer import RecordWriter

_FAR: Final = 1 << 62
"""Larger numbers, and larger times in nanoseconds since 1970, are invalid and would not fit into a record."""
_VETO: Final = re.compile(r"\[cancel(?::self)?\] \(.*\) by (\w+)")
_SOURCE: Final = re.compile(r"\[source\] (.+)/([^/]+)/\d+")
_TABLES: Final = {
    "machines": ("number", "id", "schema", "parent", "tags", "start_ns", "start_ticks", "first_seq"),
    "transitions": ("seq", "time_ns", "machine", "number", "change", "source_machine", "source_number"),
    "operations": ("seq", "start_ns", "queue", "args", "error", "steps", "foreign_id"),
    "queued": (
        "time_ns", "machine", "number", "seq", "kind", "called", "is_auto", "is_check", "queue", "args", "source_machine",
        "source_number",
    ),
    "logs": ("time_ns", "machine", "seq", "is_inside", "level", "text"),
}  # fmt: skip


class _Item(NamedTuple):
    """A message in the order of the run."""

    order: int
    machine: int
    place: int
    at_ns: int


class _Machine:
    """A machine of the dump, with the state of its conversion."""

    def __init__(self, number: int, told: MachineMessages, dialect: Dialect) -> None:
        self.number = number
        self.schema = told.schema
        self.messages = told.transitions
        self.id = plain_text(self.schema.get("ID", ""))
        self.states = states_of(self.schema)
        self.names = tuple(self.states)
        self.dialect: Dialect = dialect
        self.start_ticks = self._start_ticks()
        self.clocks = list(self.start_ticks)
        self.numbers: dict[int, int] = {}
        self.seqs: dict[int, int] = {}
        self.executed = [place for place, message in enumerate(self.messages) if not message.get("IsQueued")]
        self._highest = self._lowest = 0

    def _start_ticks(self) -> list[int]:
        """Return the ticks before the first message: its own, less the changes in its steps."""
        first = self.messages[0] if self.messages else {}
        clocks = list(first.get("Clocks", ()))[: len(self.names)]
        clocks += [0] * (len(self.names) - len(clocks))
        if first.get("Accepted") and not first.get("IsQueued") and not first.get("IsCheck"):
            steps = self.steps(first)
            for kind, is_active in (("activate", 1), ("deactivate", 0)):
                for state in {step.state for step in steps if step.kind == kind}:
                    place = self.names.index(state) if state in self.states else -1
                    if place >= 0 and clocks[place] and clocks[place] & 1 == is_active:
                        clocks[place] -= 1
        return clocks

    def steps(self, message: Message) -> tuple[Step, ...]:
        """Return the steps that rows can represent; the others are stored as differences."""
        steps = [step_of(step, self.names, self.dialect) for step in message.get("Steps", ())]
        return tuple([step for step in steps if step.kind and step.state])

    def called(self, message: Message) -> list[str]:
        if "CalledStates" in message:
            return list(message["CalledStates"])
        return [self.names[at] for at in message.get("CalledStatesIdxs", ()) if 0 <= at < len(self.names)]

    def give_number(self, place: int, seq: int) -> None:
        """Assign a transition its number in the record and in its machine: the dump's own, if it is unique."""
        message = self.messages[place]
        number = -message.get("MutQueueToken", 0) or message.get("QueueTick", 0)
        if not self._lowest > number > -_FAR and not self._highest < number < _FAR:
            is_prepended = bool(message.get("IsAuto") or message.get("IsCheck"))
            number = self._lowest - 1 if is_prepended else self._highest + 1
        self._lowest, self._highest = min(self._lowest, number), max(self._highest, number)
        self.numbers[place], self.seqs[place] = number, seq

    def following(self, place: int) -> int:
        """Return the number of the next transition after a message; 0 if there is none."""
        later = bisect(self.executed, place)
        return self.seqs[self.executed[later]] if later < len(self.executed) else 0

    def moved(self, message: Message) -> dict[str, int]:
        """Return the ticks gained since the previous message, and store the clocks."""
        clocks = message.get("Clocks", [])[: len(self.names)]
        gained = {
            name: new - old for name, old, new in zip(self.names, self.clocks, clocks, strict=False) if new != old
        }
        self.clocks[: len(clocks)] = clocks
        return gained


def load(dump: Sequence[MachineMessages], writer: RecordWriter) -> None:
    """Write a dump into a new record.

    Raises:
        UnsupportedValueError: A message contains a value that cannot be stored.
        sqlite3.Error: The record cannot be written.
    """
    loading = _Loading(dump, writer)
    with writer.transaction():
        loading.write()
    with Record.open(writer.path) as record:
        told = messages_of(record)
    found = {}
    for number, (ours, original) in enumerate(zip(told, dump, strict=True)):
        pairs = list(zip(ours.transitions, original.transitions, strict=True))
        if difference := differences((ours.schema, original.schema), pairs):
            found[str(number)] = difference
    with writer.transaction():
        writer.set_run(**{FACT: to_json(loading.loaded._replace(differences=found)._asdict())})


class _Loading:
    """The conversion of a dump into rows."""

    def __init__(self, dump: Sequence[MachineMessages], writer: RecordWriter) -> None:
        self.writer = writer
        messages = [message for told in dump for message in told.transitions]
        dialect: Dialect = "2026" if any(_NEW_FIELDS & message.keys() for message in messages) else "2024"
        times = [unpacked for m in messages if (unpacked := _time_of(m)) is not None]
        zones = Counter(zone for _, zone in times)
        self.loaded = Loaded(
            dialect,
            zones.most_common(1)[0][0] if zones else UTC,
            any("Args" in message and not message["Args"] for message in messages),
            {str(number): told.version for number, told in enumerate(dump) if told.version},
            {},
        )
        self.started_ns = min((at for at, _ in times), default=0)
        self.machines = [_Machine(number, told, dialect) for number, told in enumerate(dump)]
        self.numbers = {machine.id: machine.number for machine in self.machines}
        self.items = list(heapq.merge(*[self._ordered(machine) for machine in self.machines]))
        self.executed: dict[tuple[int, str], int] = {}
        self.schemas: dict[str, int] = {}
        self.rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _TABLES}

    def _ordered(self, machine: _Machine) -> Iterator[_Item]:
        """Yield a machine's messages in their order, regardless of their times."""
        latest = at_ns = 0
        for place, message in enumerate(machine.messages):
            found = _time_of(message)
            at_ns = at_ns if found is None else found[0] - self.started_ns
            latest = max(latest, at_ns)
            yield _Item(latest, machine.number, place, at_ns)

    def write(self) -> None:
        """Write everything."""
        self._number()
        for item in self.items:
            machine = self.machines[item.machine]
            message = machine.messages[item.place]
            if message.get("IsQueued"):
                self._queued(machine, message, item)
            else:
                self._transition(machine, message, item)
        for machine in self.machines:
            self._machine(machine)
        writer = self.writer
        writer.set_run(
            started_unix_ns=self.started_ns,
            level="full",
            end_ns=max((item.at_ns for item in self.items), default=0),
            **{FACT: to_json(self.loaded._asdict())},
        )
        for table, columns in _TABLES.items():
            writer.insert(table, columns, self.rows[table])

    def _number(self) -> None:
        """Number the transitions, and index them by their ids in the dump."""
        seq = 0
        for item in self.items:
            machine = self.machines[item.machine]
            message = machine.messages[item.place]
            if not message.get("IsQueued"):
                seq += 1
                machine.give_number(item.place, seq)
                self.executed[machine.number, message.get("ID", "")] = machine.numbers[item.place]

    def _machine(self, machine: _Machine) -> None:
        states = to_json(machine.states)
        schema = self.schemas.get(states)
        if schema is None:
            schema = self.schemas[states] = self.writer.add_schema(machine.id, machine.states)
        start_ns = next(self._ordered(machine)).at_ns if machine.messages else 0
        tags = to_json(machine.schema.get("Tags", []))
        first_seq = min(machine.seqs.values(), default=len(self.rows["transitions"]) + 1)
        parent = self.numbers.get(plain_text(machine.schema.get("Parent", "")))
        ticks = to_json(machine.start_ticks)
        self.rows["machines"].append((machine.number, machine.id, schema, parent, tags, start_ns, ticks, first_seq))

    def _queued(self, machine: _Machine, message: Message, item: _Item) -> None:
        number = _near(message.get("MutQueueTick", 0)) or -_near(message.get("MutQueueToken", 0))
        self.rows["queued"].append((
            item.at_ns, machine.number, number, machine.following(item.place) or len(self.items) + 1, _kind(message),
            to_json(machine.called(message)), bool(message.get("IsAuto")), bool(message.get("IsCheck")),
            _near(message.get("Queue", 0)) - 1, _args(message), None, None,
        ))  # fmt: skip

    def _transition(self, machine: _Machine, message: Message, item: _Item) -> None:
        seq, steps, called = machine.seqs[item.place], machine.steps(message), machine.called(message)
        accepted = bool(message.get("Accepted"))
        before = dict(zip(machine.names, machine.clocks, strict=True))
        refused_by = "" if accepted else _refused_by(message, steps)
        change = self.writer.change_id(
            _kind(message),
            called,
            machine.moved(message),
            is_auto=bool(message.get("IsAuto")),
            is_check=bool(message.get("IsCheck")),
            accepted=accepted,
            refused_by=refused_by,
            reason=_reason(machine, steps, called, before) if refused_by == "relations" else (),
        )
        source = self._source(message) or (None, None)
        number = machine.numbers[item.place]
        self.rows["transitions"].append((seq, item.at_ns, machine.number, number, change, *source))
        self.rows["operations"].append((
            seq, item.at_ns, _near(message.get("Queue", 0)), _args(message), _error(message),
            self.writer.steps_id(to_json([step_to_list(step) for step in steps])), plain_text(message.get("ID", "")),
        ))  # fmt: skip
        for field, is_inside in (("PreLogEntries", 0), ("LogEntries", 1)):
            for entry in message.get(field, ()):
                text = plain_text(f"[{machine.id[:5]}] {entry.get('Text', '')}")
                self.rows["logs"].append((item.at_ns, machine.number, seq, is_inside, entry.get("Level", 0), text))

    def _source(self, message: Message) -> tuple[int, int] | None:
        """Return the transition a mutation was made in, from its log."""
        for entry in message.get("LogEntries", ()):
            found = _SOURCE.fullmatch(entry.get("Text", ""))
            machine = None if found is None else self.numbers.get(found[1])
            number = None if found is None or machine is None else self.executed.get((machine, found[2]))
            if machine is not None and number is not None:
                return machine, number
        return None


_NEW_FIELDS = {"QueueTick", "CalledStatesIdxs", "MutQueueTick", "MutQueueToken", "IsQueued", "Args"}


def _time_of(message: Message) -> tuple[int, int] | None:
    found = unpack_time(message.get("Time", b""))
    return found if found is not None and -_FAR < found[0] < _FAR else None


def _near(number: int) -> int:
    """Return a number, limited to what fits into a record."""
    return min(max(number, -_FAR), _FAR)


def _error(message: Message) -> str | None:
    return plain_text(message.get("Args", {}).get("err", "")) or None


def _kind(message: Message) -> str:
    return KINDS[message.get("Type", 0)]


def _args(message: Message) -> str | None:
    args = message.get("Args")
    return to_json(args) if args else None


def _refused_by(message: Message, steps: Sequence[Step]) -> str:
    """Return what refused a transition, from its log or else its steps."""
    for entry in message.get("LogEntries", ()):
        if found := _VETO.fullmatch(entry.get("Text", "")):
            return "error" if found[1] == "recover" else found[1]
    if any(step.kind == "cancel" for step in steps):
        return "relations"
    return next((step.handler for step in reversed(steps) if step.kind == "handler"), "relations")


def _reason(
    machine: _Machine, steps: Sequence[Step], called: Sequence[str], before: dict[str, int]
) -> list[tuple[str, str, list[str]]]:
    """Return why relations refused a transition: from its steps, the missing states and those that remove a called state."""
    found: list[tuple[str, str, list[str]]] = []
    for step in dict.fromkeys(steps):
        if step.kind == "missing" and step.state in machine.states:
            required = machine.states[step.state].get("require", ())
            absent = [state for state in required if not before.get(state, 0) & 1 and state not in called]
            if absent:
                found.append((step.state, "requires", absent))
        elif step.kind == "relation" and step.relation == "remove" and step.other in called:
            found.append((step.other, "removed by", [step.state]))
    return found
