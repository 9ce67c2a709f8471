"""The record file: one SQLite database per run, its tables, and the row types of the reader.

The file can be read with `sqlite3`, DuckDB or pandas: names are stored as text, sets and maps as JSON, times as integer
nanoseconds since the start of the run. The changes made by transitions are interned in `changes`, so that a transition is a row of
a few numbers. `application_id` and `user_version` distinguish a record from other databases.

Times: `time_ns` is the wall time since `started_unix_ns` (table `run`). `loop_ns` is the event loop's own time, stored only if it
differs from wall time, as on a virtual clock; otherwise NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

APPLICATION_ID: Final = 0x616D7263
"""The letters "amrc"."""
VERSION: Final = 1
"""Version of the format, increased on incompatible changes."""

Level = Literal["changes", "ops", "full"]
LEVELS: Final[tuple[Level, ...]] = ("changes", "ops", "full")
"""How much is recorded: transitions; also the queue, handlers and arguments; also steps, waits and contexts."""

TABLES: Final = """
create table run (key text primary key, value) without rowid;
create table schemas (id integer primary key, name text not null, states text not null);
create table machines (
    number integer primary key, id text not null, schema integer, parent integer, tags text not null, span integer,
    start_ns integer, end_ns integer, start_loop_ns integer, end_loop_ns integer, start_ticks text, end_ticks text,
    first_seq integer not null
);
create table schema_changes (seq integer not null, machine integer not null, schema integer not null);
create table changes (
    id integer primary key, kind text not null, called text not null, moved text not null, is_auto integer not null,
    is_check integer not null, accepted integer not null, refused_by text not null, reason text not null
);
create table transitions (
    seq integer primary key, time_ns integer not null, machine integer not null, number integer not null,
    change integer not null, source_machine integer, source_number integer, loop_ns integer
);
create table keyframes (seq integer not null, machine integer not null, ticks text not null, primary key (seq, machine)) without rowid;
create table operations (
    seq integer primary key, start_ns integer not null, queue integer not null, args text, error text, steps integer, foreign_id text
);
create table steps (id integer primary key, steps text not null);
create table queued (
    id integer primary key, time_ns integer not null, loop_ns integer, machine integer not null, number integer not null,
    seq integer not null, kind text not null, called text not null, is_auto integer not null, is_check integer not null,
    queue integer not null, args text, source_machine integer, source_number integer
);
create table handlers (
    id integer primary key, seq integer not null, name text not null, binding text not null, start_ns integer not null,
    end_ns integer not null
);
create table logs (
    id integer primary key, time_ns integer not null, loop_ns integer, machine integer not null, seq integer not null,
    is_inside integer not null, level integer not null, text text not null
);
create table waits (
    id integer primary key, time_ns integer not null, loop_ns integer, machine integer not null, seq integer not null,
    kind text not null, text text not null
);
create table spans (
    id integer primary key, parent integer, name text not null, start_ns integer not null, end_ns integer,
    start_loop_ns integer, end_loop_ns integer, attributes text not null
);
create table points (
    id integer primary key, time_ns integer not null, loop_ns integer, span integer, name text not null, flow text, link integer,
    attributes text not null
);
create view readable as
    select t.seq, t.time_ns / 1e6 as time_ms, m.id as machine, t.number, c.kind, c.called, c.moved, c.is_auto, c.is_check,
        c.accepted, c.refused_by, s.id as source_machine, t.source_number
    from transitions t join machines m on m.number = t.machine join changes c on c.id = t.change
        left join machines s on s.number = t.source_machine;
"""
"""The tables of a record.

`run`: facts about the run, by name. `machines`: `number` counts from 0 in the order of first appearance; negative numbers are
machines that were not recorded and occur only as sources. `span` is the span that contains the machine. `start_ticks` and
`end_ticks` are JSON lists in state order; `end_ns` and `end_ticks` are NULL until the machine is disposed; `first_seq` is the first
transition that could belong to it. `schemas.states`: state -> relations, as returned by `Schema.to_dict`, in state order.
`changes`: `called` is a JSON list of names, `moved` a JSON object of name -> ticks gained, `refused_by` a handler, "relations" or
"error", `reason` a JSON list of `[state, "requires" or "removed by", [other, ...]]`.
`transitions`: one row per processed mutation, numbered from 1 in order of completion; `number` is the mutation's sequence number
in its machine, negative for prepended mutations, and part of the transition's id.
`keyframes`: all ticks of a machine after transition `seq`. `operations`, `queued`, `handlers` from level "ops" on; `steps`,
`waits` at "full"; `logs` on request. `seq` of `queued`, `logs` and `waits` is the next transition to end at that time.
`spans` and `points`: events outside machines. `flow` groups related points; `link` is the preceding point.
"""


class Change(NamedTuple):
    """The change made by a transition, shared by all equal ones."""

    id: int
    kind: str
    called: tuple[str, ...]
    moved: Mapping[str, int]
    """Ticks gained, by state."""
    is_auto: bool
    is_check: bool
    accepted: bool
    refused_by: str
    """A handler, "relations" or "error"; empty if accepted."""
    reason: tuple[tuple[str, str, tuple[str, ...]], ...]
    """For a refusal by relations: state, "requires" or "removed by", and the missing or removing states."""

    @property
    def label(self) -> str:
        """The mutation as text, such as "[add] Foo Bar"."""
        return f"[{self.kind}] {' '.join(self.called)}"


class RecordedMachine(NamedTuple):
    """A machine of a record. Times are on the reader's clock, None if unknown."""

    number: int
    id: str
    schema: int | None
    parent: int | None
    tags: tuple[str, ...]
    span: int | None
    start_ns: int
    end_ns: int | None
    start_ticks: tuple[int, ...]
    end_ticks: tuple[int, ...] | None
    first_seq: int
    states: Mapping[str, Mapping[str, object]]
    """State -> relations and properties as plain data, in state order, from the latest schema."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """All states, in order."""
        return tuple(self.states)


class Origin(NamedTuple):
    """The transition a mutation was made in: machine and sequence number."""

    machine: int
    number: int


class RecordedTransition(NamedTuple):
    """A processed mutation."""

    seq: int
    time_ns: int
    """Its end, on the reader's clock."""
    wall_ns: int
    machine: int
    number: int
    change: Change
    source: Origin | None


class Operation(NamedTuple):
    """Details of a transition, recorded from level "ops" on."""

    seq: int
    start_ns: int
    """Its start, on the reader's clock."""
    queue: int
    """Length of the queue at its start."""
    args: Mapping[str, str]
    error: str
    """The error it carries, or that ended it; empty if none."""
    steps: tuple[Step, ...]
    foreign_id: str
    """The id given by another program; empty in records of this library."""


class Step(NamedTuple):
    """One step of a transition's negotiation, as shown by the reference's debugger."""

    kind: str
    """"called", "relation", "activate", "deactivate", "missing", "handler" or "cancel"."""
    state: str
    """The state concerned; for a relation, the state that declares it."""
    other: str = ""
    """For a relation, its target state."""
    relation: str = ""
    """"require", "add", "remove" or "after"."""
    handler: str = ""
    """Name of the handler, such as "FooEnter"."""


class QueuedMutation(NamedTuple):
    """A mutation that was accepted into the queue."""

    time_ns: int
    machine: int
    number: int
    seq: int
    kind: str
    called: tuple[str, ...]
    is_auto: bool
    is_check: bool
    queue: int
    args: Mapping[str, str]
    source: Origin | None


class HandlerCall(NamedTuple):
    """A handler that ran in a transition. Times are wall times."""

    seq: int
    name: str
    binding: str
    start_ns: int
    end_ns: int


class LogLine(NamedTuple):
    """A log line of a machine, written inside or before the transition `seq`."""

    time_ns: int
    machine: int
    seq: int
    is_inside: bool
    level: int
    text: str


class WaitEvent(NamedTuple):
    """The start or end of a wait, a context, a task or a pipe."""

    time_ns: int
    machine: int
    seq: int
    kind: str
    text: str


class RecordedSpan(NamedTuple):
    """A period outside machines; `end_ns` is None if it has not ended."""

    id: int
    parent: int | None
    name: str
    start_ns: int
    end_ns: int | None
    attributes: Mapping[str, object]


class Point(NamedTuple):
    """An instantaneous event outside machines."""

    id: int
    time_ns: int
    span: int | None
    name: str
    flow: str
    """Groups related points, such as those of one message; empty if none."""
    link: int | None
    """The preceding point, possibly in another span."""
    attributes: Mapping[str, object]
