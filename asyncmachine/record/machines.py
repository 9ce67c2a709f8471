"""The machines of a record: their numbers, schemas, starts and ends, buffered for the tables.

Machines are identified by `id()`, so that none is kept alive. A buffered row holds its machine, so the address cannot be reused for
another machine before the row is written.
"""

from __future__ import annotations

import weakref
from itertools import count
from typing import TYPE_CHECKING, Any

from asyncmachine.record.writer import plain_text, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from asyncmachine.machine import Machine
    from asyncmachine.record.writer import RecordWriter


class Machines:
    """The buffered machines of a record.

    Args:
        now: Returns the wall time since the start of the run, in nanoseconds.
        loop_now: Returns the loop's own time if it differs, else None.
        next_seq: Returns the number of the next transition to end.
        note_row: Called when a row is buffered.

    Attributes:
        numbers: Number of a machine by its `id()`.
        by_name: Number of the latest machine of an id; negative for machines known as sources only.
    """

    def __init__(
        self,
        now: Callable[[], int],
        loop_now: Callable[[], int | None],
        next_seq: Callable[[], int],
        note_row: Callable[[], None],
    ) -> None:
        self.numbers: dict[int, int] = {}
        self.by_name: dict[str, int] = {}
        self._now = now
        self._loop_now = loop_now
        self._next_seq = next_seq
        self._note_row = note_row
        self._references: dict[int, weakref.ref[Machine]] = {}
        self._next_number = count()
        self._next_unrecorded = count(-1, -1)
        self._schemas: dict[Any, int] = {}
        self._new: list[tuple[Any, ...]] = []
        self._new_schemas: list[tuple[int, str, str]] = []
        self._ended: list[tuple[Any, ...]] = []
        self._grown: list[tuple[int, int, int]] = []

    def number_of(self, machine: Machine, span: int | None = None) -> int:
        """Return a machine's number; a new machine is added, under a span if one is given."""
        key = id(machine)
        number = self.numbers.get(key)
        if number is not None:
            return number
        number = self.numbers[key] = next(self._next_number)

        def forget(_: object) -> None:
            self.numbers.pop(key, None)
            self._references.pop(number, None)

        self._references[number] = weakref.ref(machine, forget)
        self.by_name[machine.id] = number
        self._note_row()
        parent = None if machine.parent is None else self.numbers.get(id(machine.parent))
        self._new.append((
            number, plain_text(machine.id), self._schema_of(machine), parent, to_json(machine.tags), span, self._now(),
            self._loop_now(), to_json(_settled_ticks(machine)), self._next_seq(),
        ))  # fmt: skip
        return number

    def source_number(self, name: str) -> int:
        """Return the number of a source: the latest machine of that id."""
        number = self.by_name.get(name)
        if number is None:
            number = self.by_name[name] = next(self._next_unrecorded)
            self._new.append((number, plain_text(name), None, None, "[]", None, None, None, None, 0))
        return number

    def end(self, machine: Machine) -> None:
        """Note the end of a machine."""
        number = self.number_of(machine)
        self._note_row()
        self._ended.append((self._now(), self._loop_now(), to_json(machine._ticks), number))

    def grow(self, machine: Machine) -> None:
        """Note that the schema of a machine has grown."""
        number = self.number_of(machine)
        self._note_row()
        self._grown.append((self._next_seq(), number, self._schema_of(machine)))

    def living(self) -> Iterator[tuple[int, Machine]]:
        """Yield the machines that are still referenced elsewhere, with their numbers."""
        for number, reference in list(self._references.items()):
            machine = reference()
            if machine is not None:
                yield number, machine

    def _schema_of(self, machine: Machine) -> int:
        schema = machine.schema
        number = self._schemas.get(schema)
        if number is None:
            number = self._schemas[schema] = len(self._schemas) + 1
            states = to_json({name: state.to_dict() for name, state in schema.states.items()})
            self._new_schemas.append((number, plain_text(schema.__name__), states))
        return number

    # writing

    def write_new(self, writer: RecordWriter, sources: Iterable[str]) -> None:
        """Write new machines and schemas.

        Args:
            writer: The writer.
            sources: Ids of machines that the next rows name as sources.
        """
        for name in sorted(set(sources) - self.by_name.keys()):
            self.source_number(name)
        writer.insert("schemas", ("id", "name", "states"), self._new_schemas)
        writer.insert("machines", _MACHINE, self._new)
        self._new_schemas, self._new = [], []

    def write_ends(self, writer: RecordWriter) -> None:
        """Write the ends of machines and the extensions of schemas."""
        writer.insert("schema_changes", ("seq", "machine", "schema"), self._grown)
        writer.update("machines", "number", ("end_ns", "end_loop_ns", "end_ticks"), self._ended)
        self._grown, self._ended = [], []

    def write_keyframe(self, writer: RecordWriter, seq: int) -> None:
        """Write all ticks of the live machines after a transition."""
        rows = [(seq, n, to_json(_settled_ticks(machine))) for n, machine in self.living() if not machine.is_disposed]
        writer.insert("keyframes", ("seq", "machine", "ticks"), rows)


_MACHINE = (
    "number", "id", "schema", "parent", "tags", "span", "start_ns", "start_loop_ns", "start_ticks", "first_seq",
)  # fmt: skip


def _settled_ticks(machine: Machine) -> Sequence[int]:
    """Return a machine's ticks before its running transition, if any."""
    tx = machine._tx
    return machine._ticks if tx is None or tx.completed else tx.before
