"""The machines of a record: their numbers, schemas, beginnings and ends, on their way into the tables.

Machines are known by `id()`, so that none is kept alive. A row on its way into the record holds its machine, so the address cannot
be given to another machine before the row is written.
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
    """Machines on their way into a record.

    Args:
        now: Wall time since the run began, in nanoseconds.
        loop_now: The loop's own time where it differs, else None.
        next_seq: Number of the next transition to end.
        note_row: Is called when something waits to be written.

    Attributes:
        numbers: Number of a machine by its `id()`.
        by_name: Number of the latest machine of an id; negative for those known as sources only.
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
        """Return a machine's number; a new machine is taken up, under a span if one is given."""
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
        """Return the number of a machine that is named as a source, the latest of that id."""
        number = self.by_name.get(name)
        if number is None:
            number = self.by_name[name] = next(self._next_unrecorded)
            self._new.append((number, plain_text(name), None, None, "[]", None, None, None, None, 0))
        return number

    def end(self, machine: Machine) -> None:
        """Write down the end of a machine."""
        number = self.number_of(machine)
        self._note_row()
        self._ended.append((self._now(), self._loop_now(), to_json(machine._ticks), number))

    def grow(self, machine: Machine) -> None:
        """Write down that the schema of a machine has grown."""
        number = self.number_of(machine)
        self._note_row()
        self._grown.append((self._next_seq(), number, self._schema_of(machine)))

    def living(self) -> Iterator[tuple[int, Machine]]:
        """Give the machines that somebody still has, with their numbers."""
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
        """Write machines and schemas that are new.

        Args:
            writer: Where to.
            sources: Ids of machines that rows about to be written name as sources.
        """
        for name in sorted(set(sources) - self.by_name.keys()):
            self.source_number(name)
        writer.insert("schemas", ("id", "name", "states"), self._new_schemas)
        writer.insert("machines", _MACHINE, self._new)
        self._new_schemas, self._new = [], []

    def write_ends(self, writer: RecordWriter) -> None:
        """Write which machines have ended, and whose schemas have grown."""
        writer.insert("schema_changes", ("seq", "machine", "schema"), self._grown)
        writer.update("machines", "number", ("end_ns", "end_loop_ns", "end_ticks"), self._ended)
        self._grown, self._ended = [], []

    def write_keyframe(self, writer: RecordWriter, seq: int) -> None:
        """Write all ticks of the machines that live, as they are after a transition."""
        rows = [(seq, n, to_json(_settled_ticks(machine))) for n, machine in self.living() if not machine.is_disposed]
        writer.insert("keyframes", ("seq", "machine", "ticks"), rows)


_MACHINE = (
    "number", "id", "schema", "parent", "tags", "span", "start_ns", "start_loop_ns", "start_ticks", "first_seq",
)  # fmt: skip


def _settled_ticks(machine: Machine) -> Sequence[int]:
    """Return a machine's ticks without those of a transition that has not ended."""
    tx = machine._tx
    return machine._ticks if tx is None or tx.completed else tx.before
