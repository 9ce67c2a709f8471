"""The conversion of a record into messages of am-dbg.

As in the Go library, every mutation yields two messages, when it is queued and when it has been processed; a record of level
"changes" has no queues and yields only the second. A record loaded from a dump reproduces that dump's messages: the parts its rows
cannot represent are in the fact `am_dbg` of table `run`, see `differences`.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncmachine.export.amdbg.differences import apply_differences
from asyncmachine.export.amdbg.lines import (
    Cause,
    begin_with_the_call,
    own_line,
    queued_lines,
    transition_lines,
    wait_line,
)
from asyncmachine.export.amdbg.messages import (
    Lines,
    Message,
    old_step_messages,
    queued_message,
    schema_message,
    step_messages,
    transition_id,
    transition_message,
)
from asyncmachine.export.amdbg.times import UTC, pack_time
from asyncmachine.logs import LogLevel
from asyncmachine.record.format import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncmachine.record import Record
    from asyncmachine.record.format import (
        HandlerCall,
        LogLine,
        Operation,
        QueuedMutation,
        RecordedMachine,
        RecordedTransition,
        WaitEvent,
    )

FACT = "am_dbg"
"""Name of the fact about a run loaded from a dump: JSON, see `Loaded`."""


class MachineMessages(NamedTuple):
    """The messages of one machine in a dump."""

    schema: Message
    transitions: list[Message]
    version: str


class Loaded(NamedTuple):
    """Facts about the dump from which a record was loaded."""

    dialect: str
    zone: int
    has_args: bool
    """Whether empty arguments are sent too."""
    versions: dict[str, str]
    """By number of machine."""
    differences: dict[str, Any]
    """By number of machine."""

    @classmethod
    def of(cls, record: Record) -> Loaded | None:
        """Return the facts; None for a record that was not loaded from a dump."""
        text = record.run.get(FACT)
        return None if text is None else cls(**json.loads(text))


def messages_of(record: Record) -> list[MachineMessages]:
    """Return the messages of a record, by machine.

    Raises:
        RecordError: The record cannot be read.
    """
    with record.snapshot():
        return list(Telling(record).machines())


class Telling:
    """The rows of a record, by machine."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.loaded = Loaded.of(record)
        self.started_ns = int(record.run["started_unix_ns"])
        self.operations = record.operations()
        self.handlers = record.handlers()
        self.rows: dict[int, list[tuple[RecordedTransition, tuple[int, ...], tuple[int, ...]]]] = defaultdict(list)
        self.sums: dict[Origin, int] = {}
        self.ids: dict[Origin, str] = {}
        for row in record.replay():
            transition, before, _ = row
            self.rows[transition.machine].append(row)
            origin = Origin(transition.machine, transition.number)
            self.sums[origin] = sum(before)
            operation = self.operations.get(transition.seq)
            if operation is not None and operation.foreign_id:
                self.ids[origin] = operation.foreign_id
        self.queued: dict[int, list[QueuedMutation]] = defaultdict(list)
        for mutation in record.queued():
            self.queued[mutation.machine].append(mutation)
        self.logs: dict[int, list[LogLine]] = defaultdict(list)
        for line in record.logs():
            self.logs[line.machine].append(line)
        self.has_own_lines = bool(self.logs) or self.loaded is not None
        self.waits: dict[int, list[WaitEvent]] = defaultdict(list)
        for wait in () if self.has_own_lines else record.waits():
            self.waits[wait.machine].append(wait)

    def machines(self) -> Iterator[MachineMessages]:
        """Yield the messages of each machine."""
        for machine in self.record.machines:
            parent = "" if machine.parent is None else self.record.machine(machine.parent).id
            schema = schema_message(machine.id, machine.states, parent, machine.tags)
            messages = list(_Machine(self, machine).messages())
            version = ""
            if self.loaded is not None:
                number = str(machine.number)
                version = self.loaded.versions.get(number, "")
                apply_differences(schema, messages, self.loaded.differences.get(number, {}))
            yield MachineMessages(schema, messages, version)

    def id_of(self, origin: Origin) -> str:
        """Return the id of a transition."""
        return self.ids.get(origin) or transition_id(self.record.machine(origin.machine).id, origin.number)

    def cause(self, source: Origin | None) -> Cause | None:
        """Return the reported cause of a mutation: the transition it was made in."""
        if source is None:
            return None
        return Cause(self.record.machine(source.machine).id, self.id_of(source), self.sums.get(source, 0))


class _Machine:
    """One machine's messages, in order."""

    def __init__(self, telling: Telling, machine: RecordedMachine) -> None:
        self.telling = telling
        self.machine = machine
        self.names = machine.state_names
        self.places = {name: place for place, name in enumerate(self.names)}
        self.queued = deque(telling.queued.get(machine.number, ()))
        self.logs = deque(telling.logs.get(machine.number, ()))
        self.waits = deque(telling.waits.get(machine.number, ()))
        self.slots: dict[str, int] = {}
        self.pending: set[int] = set()
        self.clocks: tuple[int, ...] = machine.start_ticks
        self.queue_tick = 1
        self.last_tx = ""
        self.since_tx = 0
        self.before: Lines = []
        self.inside: Lines = []

    def messages(self) -> Iterator[Message]:
        """Yield the messages."""
        rows = self.telling.rows.get(self.machine.number, ())
        for transition, before, after in rows:
            self.clocks = before
            yield from self._queued_until(transition)
            self._take_waits(transition.seq)
            self.clocks = after
            yield self._transition(transition)
        yield from self._queued_until(None)

    # queued mutations

    def _queued_until(self, transition: RecordedTransition | None) -> Iterator[Message]:
        """Yield the mutations queued before or in a transition; for None, those at the end of the record."""
        running = transition is not None and transition.number in self.pending
        while self.queued and (transition is None or self.queued[0].seq <= transition.seq):
            mutation = self.queued.popleft()
            self._take_waits(mutation.seq, mutation.time_ns)
            self._tell_queued(mutation, transition, running=running)
            yield self._queued_message(mutation, transition)
            self.pending.add(mutation.number)
            running = running or (transition is not None and mutation.number == transition.number)

    def _queued_message(self, mutation: QueuedMutation, transition: RecordedTransition | None) -> Message:
        queue_tick = mutation.number - mutation.queue - 1
        if mutation.number <= 0:
            queue_tick = max(self.queue_tick, 0 if transition is None else transition.number)
        args = dict(mutation.args)
        if "Exception" in mutation.called and "err" not in args and (error := self._error_of(mutation.number)):
            args["err"] = error
        message = queued_message(
            self.machine.id,
            tx=f"{self.last_tx}-{self.since_tx}",
            clocks=self.clocks,
            number=mutation.number,
            queue_tick=queue_tick,
            queue=mutation.queue + 1,
            kind=mutation.kind,
            called=self._places(mutation.called),
            is_auto=mutation.is_auto,
            is_check=mutation.is_check,
            args=args,
        )
        self.since_tx += 1
        return self._finished(message, mutation.time_ns, mutation.called)

    def _error_of(self, number: int) -> str:
        seq = self.telling.record.seq_of(Origin(self.machine.number, number))
        operation = None if seq is None else self.telling.operations.get(seq)
        return "" if operation is None else operation.error

    def _tell_queued(self, mutation: QueuedMutation, transition: RecordedTransition | None, *, running: bool) -> None:
        """Buffer the log lines of a queued mutation."""
        if self.telling.has_own_lines:
            return
        lines = queued_lines(
            mutation.kind,
            mutation.called,
            mutation.args,
            is_auto=mutation.is_auto,
            is_prepended=mutation.number < 0,
            waiting=mutation.queue + 1 if running else 0,
        )
        (self.inside if running else self.before).extend(lines)

    # transitions

    def _transition(self, transition: RecordedTransition) -> Message:
        telling, change = self.telling, transition.change
        operation = telling.operations.get(transition.seq)
        self.pending.discard(transition.number)
        self.queue_tick = max(self.queue_tick, transition.number)
        log, before = self._lines(transition, operation)
        steps = () if operation is None else operation.steps
        loaded = telling.loaded
        message = transition_message(
            self.machine.id,
            tx=telling.id_of(Origin(transition.machine, transition.number)),
            clocks=self.clocks,
            number=transition.number,
            queue_tick=self.queue_tick,
            queue=len(self.pending) if loaded is None or operation is None else operation.queue,
            kind=change.kind,
            called=self._places(change.called),
            is_auto=change.is_auto,
            is_check=change.is_check,
            accepted=change.accepted,
            steps=old_step_messages(steps)
            if loaded is not None and loaded.dialect == "2024"
            else step_messages(steps, self.names),
            log=log,
            log_before=before,
            args={} if operation is None else operation.args,
        )
        self.last_tx, self.since_tx = message["ID"], 0
        return self._finished(message, transition.time_ns, change.called)

    def _lines(self, transition: RecordedTransition, operation: Operation | None) -> tuple[Lines, Lines]:
        """Return the log lines inside a transition and before it."""
        if self.telling.has_own_lines:
            return self._own_lines(transition)
        handlers = self._slotted(self.telling.handlers.get(transition.seq, ()))
        lines = transition_lines(
            transition.change,
            dict(zip(self.names, self.clocks, strict=False)),
            cause=self.telling.cause(transition.source),
            args={} if operation is None else operation.args,
            steps=() if operation is None else operation.steps,
            handlers=handlers,
            error="" if operation is None else operation.error,
        )
        inside, before = lines + self.inside, self.before
        self.inside, self.before = [], []
        return inside, before

    def _own_lines(self, transition: RecordedTransition) -> tuple[Lines, Lines]:
        inside: Lines = []
        before: Lines = []
        while self.logs and self.logs[0].seq <= transition.seq:
            line = self.logs.popleft()
            text = own_line(self.machine.id, line.text, ids=self.telling.loaded is None)
            (inside if line.is_inside else before).append((line.level, text))
        if self.telling.loaded is None:
            before, inside = begin_with_the_call(transition.change.kind, before, inside)
        return inside, before

    def _slotted(self, handlers: list[HandlerCall] | tuple[()]) -> list[tuple[int, str]]:
        return [(self.slots.setdefault(handler.binding, len(self.slots)), handler.name) for handler in handlers]

    def _take_waits(self, seq: int, until_ns: int | None = None) -> None:
        """Buffer the log lines of waits until a transition, or until a time before it."""
        while self.waits and self.waits[0].seq <= seq and (until_ns is None or self.waits[0].time_ns < until_ns):
            wait = self.waits.popleft()
            if text := wait_line(wait.kind, wait.text):
                self.before.append((LogLevel.OPS, text))

    # both

    def _places(self, called: tuple[str, ...]) -> list[int]:
        return [self.places[state] for state in called if state in self.places]

    def _finished(self, message: Message, time_ns: int, called: tuple[str, ...]) -> Message:
        """Add the time, and convert the message to the dialect of the original dump."""
        loaded = self.telling.loaded
        message["Time"] = pack_time(self.telling.started_ns + time_ns, UTC if loaded is None else loaded.zone)
        if loaded is None:
            return message
        if not loaded.has_args and not message["Args"]:
            del message["Args"]
        if loaded.dialect == "2024":
            for field in ("QueueTick", "MutQueueToken", "MutQueueTick", "CalledStatesIdxs"):
                message.pop(field, None)
            if called:
                message["CalledStates"] = list(called)
        return message
