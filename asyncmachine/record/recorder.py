"""The recorder of running machines.

A recorder is a tracer of any number of machines. During a mutation it only appends a few values to one flat list: no container per
transition, which the garbage collector would have to visit, and no computation. The batch is written in one transaction when it is
full, or, on a running event loop, when its oldest row is `DELAY_S` old. A killed program therefore loses at most its last batch.

The change made by a transition follows from its plan, an engine object shared by equal transitions. The recorder interns plans: it
writes the change of a plan at its first use, and a number from then on. Refusals, auto mutations and dry runs are interned by tuples
of their distinguishing facts. Arguments are never kept, except, from level "ops" on, those selected by the machine's `log_args`.

An error while writing, such as a full disk, ends the recording with one warning. The machines are not affected.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import sqlite3
import time
from itertools import count, repeat
from operator import sub
from typing import TYPE_CHECKING, Any, Self

from asyncmachine._asyncio import computing_takes_time
from asyncmachine._observers import FACTS
from asyncmachine.record.changes import Interned, Key
from asyncmachine.record.errors import UnwritableRecordError
from asyncmachine.record.format import LEVELS
from asyncmachine.record.limit import Limit
from asyncmachine.record.machines import Machines
from asyncmachine.record.spans import Span, Spans
from asyncmachine.record.watching import Watching
from asyncmachine.record.writer import RecordWriter, plain_text, to_json
from asyncmachine.tracing import Tracer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from asyncmachine.machine import Machine, Transition
    from asyncmachine.mutation import Origin, QueuedMutation
    from asyncmachine.plans import Plan
    from asyncmachine.record.format import Level

DELAY_S = 0.2
"""Age in seconds at which buffered rows are written on an event loop in wall time."""
KEYFRAME_EVERY = 4096
"""Transitions between two keyframes."""

_logger = logging.getLogger("asyncmachine")


class Recorder(Tracer):
    """A tracer that records the transitions of machines in a file. A context manager that closes the record on exit.

    Bind it like any tracer: `Machine(S, tracers=[recorder])`, or `recorder.bind(machine)` for an existing machine. Machines with a
    recorded machine as `parent` are recorded too. It needs no event loop and, like machines, belongs to one thread.

    Args:
        path: The file; an existing record of that name is replaced.
        level: "changes": every transition. "ops": also queued mutations, handlers, arguments selected by `Machine.log_args`, and
            errors. "full": also the steps of transitions, waits, contexts, tasks and pipes.
        log: Record the log lines enabled by the machines' `log_level`.
        batch: Transitions written at once.
        limit: Keep approximately the last `limit` transitions; None keeps all. Dropped ones are counted.
        loop_time_ns: Returns the event loop's own time, if it differs from wall time, as on a virtual clock.
        attributes: Facts about the run, such as a seed.

    Attributes:
        path: The file.
        failure: The error that ended the recording, or None.
        lost: Rows that could not be written.

    Raises:
        UnwritableRecordError: The file cannot be created, or is not a record.
        ValueError: An unknown level, or a batch or limit below 1.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        level: Level = "changes",
        *,
        log: bool = False,
        batch: int = 1000,
        limit: int | None = None,
        loop_time_ns: Callable[[], int] | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
        for name, value in (("batch", batch), ("limit", 1 if limit is None else limit)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        facts = {"level": level, "log": int(log), "python": platform.python_version(), "batch": batch}
        facts |= {"clock": "wall" if loop_time_ns is None else "loop", "attributes": to_json(dict(attributes or {}))}
        self._writer = RecordWriter(path, facts)
        self.path = self._writer.path
        self.failure: Exception | None = None
        self.lost = 0
        self._start_ns = time.perf_counter_ns()
        self._loop_time_ns = loop_time_ns
        self._rows: list[Any] = []
        self._width = 5 if loop_time_ns is None else 6
        self._batch = batch
        self._limit = None if limit is None else Limit(limit)
        self._written = 0
        self._is_closed = False
        self._handle: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self._machines = Machines(self._now, self._loop_now, lambda: self.next_seq, self._note_row)
        self._interned = Interned(self._writer)
        self._spans = Spans(self._now, self._loop_now, self._note_row, self.flush, batch)
        self._attributes = dict(attributes or {})
        self._new_attributes: dict[str, object] = {}
        self._watching = None if level == "changes" else Watching(self, is_full=level == "full")
        keep = self._make_keep()
        hooks: dict[str, Any] = {FACTS: keep} if self._watching is None else self._watching.hooks(keep)
        if log:
            hooks["log"] = self._log
        for name, hook in hooks.items():  # set on the instance, so that machines call only the hooks of its level
            setattr(self, name, hook)
        self._logs: list[tuple[Any, ...]] = []
        self._log_ids = count(1)

    # hooks

    def _make_keep(self) -> Callable[[Machine, Plan, QueuedMutation, Transition | None], None]:
        """Return the hook that stores the facts of a transition: a plain function, which is called faster than a method."""
        rows, clock, note_row, flush = self._rows, time.perf_counter_ns, self._note_row, self.flush
        extend, key_of = rows.extend, self._interned.key_of
        loop_time_ns = self._loop_time_ns
        full = self._batch * self._width

        def keep(machine: Machine, plan: Plan, queued: QueuedMutation, tx: Transition | None) -> None:
            if not rows:
                note_row()
            key: Key = plan if tx is None else key_of(tx)
            extend((clock(), machine, key, queued[4], queued[3]))
            if len(rows) >= full:
                flush()

        def keep_on_loop_time(machine: Machine, plan: Plan, queued: QueuedMutation, tx: Transition | None) -> None:
            if not rows:
                note_row()
            key: Key = plan if tx is None else key_of(tx)
            assert loop_time_ns is not None
            extend((clock(), machine, key, queued[4], queued[3], loop_time_ns()))
            if len(rows) >= full:
                flush()

        hook = keep if loop_time_ns is None else keep_on_loop_time
        hook.__self__ = self  # type: ignore[attr-defined]  # so that its errors are counted for this tracer
        return hook

    @property
    def dropped(self) -> int:
        """Number of transitions dropped because of the limit."""
        return 0 if self._limit is None else self._limit.dropped

    @property
    def next_seq(self) -> int:
        """The number of the next transition to end."""
        return self._written + len(self._rows) // self._width + 1

    def machine_init(self, machine: Machine) -> None:
        """Add a machine that was just constructed."""
        self._machines.number_of(machine)

    def machine_bound(self, machine: Machine) -> None:
        """Add an existing machine."""
        self._machines.number_of(machine)

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        """Record a submachine of a recorded machine."""
        machine.bind_tracer(self)

    def machine_dispose(self, machine: Machine) -> None:
        """Record the end of a machine."""
        self._machines.end(machine)

    def schema_change(self, machine: Machine, old: Any) -> None:
        """Record an extended schema."""
        self._machines.grow(machine)

    def _log(self, machine: Machine, level: int, line: str) -> None:
        number = self._machines.number_of(machine)
        open_transition = None if self._watching is None else self._watching.open_of(machine)
        row = (next(self._log_ids), self._now(), self._loop_now(), number, self.next_seq, 0, level, plain_text(line))
        if open_transition is None:
            self._note_row()
            self._logs.append(row)
        else:
            open_transition.logs.append(row)

    # spans and points

    def span(self, name: str, parent: Span | int | None = None, **attributes: object) -> Span:
        """Begin a span, a period outside machines. End it with `end`, or use it in a `with` block.

        Args:
            name: Its name.
            parent: The enclosing span.
            attributes: Facts about it.
        """
        return self._spans.begin(name, parent, attributes)

    def point(
        self,
        name: str,
        span: Span | int | None = None,
        *,
        flow: str = "",
        link: int | None = None,
        **attributes: object,
    ) -> int:
        """Record an instantaneous event outside machines.

        Args:
            name: Its name.
            span: The enclosing span.
            flow: Groups related points, such as those of one message.
            link: The id of the preceding point, as returned by this method.
            attributes: Facts about it.

        Returns:
            Its id.
        """
        return self._spans.point(name, span, flow, link, attributes)

    def note_run(self, **attributes: object) -> None:
        """Add facts about the run, such as how it ended."""
        self._note_row()
        self._new_attributes |= attributes

    def bind(self, machine: Machine, span: Span | int | None = None) -> None:
        """Record an existing machine, under a span if one is given. Binding it twice has no effect."""
        self._machines.number_of(machine, None if span is None else int(span))
        machine.bind_tracer(self)

    # time

    def _now(self) -> int:
        return time.perf_counter_ns() - self._start_ns

    def _loop_now(self) -> int | None:
        return None if self._loop_time_ns is None else self._loop_time_ns()

    def _note_row(self) -> None:
        """Schedule a write of the buffered rows on an event loop in wall time."""
        if self._handle is not None:
            loop, handle = self._handle
            if not loop.is_closed() and not handle.cancelled():
                return
        self._handle = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if not self._is_closed and computing_takes_time():  # a timer would be an event of simulated time
            self._handle = (loop, loop.call_later(DELAY_S, self._flush_late))

    def _flush_late(self) -> None:
        self._handle = None
        self.flush()

    # writing

    def flush(self) -> None:
        """Write the buffered rows. An error ends the recording."""
        if self._handle is not None:
            self._handle[1].cancel()
            self._handle = None
        if self._is_closed:
            self._rows.clear()
            self._spans.forget()
            return
        taken = self._rows[:]
        self._rows.clear()
        try:
            with self._writer.transaction():
                origins = taken[4 :: self._width]
                if not any(origins):
                    origins = []
                self._machines.write_new(self._writer, {origin[0] for origin in origins if origin is not None})
                self._write_transitions(taken, origins)
                self._spans.write(self._writer)
                if self._watching is not None:
                    self._watching.write(self._writer)
                self._write_logs()
                self._machines.write_ends(self._writer)
                self._write_attributes()
                if self._limit is not None:
                    self._limit.drop_oldest(self._writer, self._written)
        except sqlite3.Error as error:
            self._stop(error, len(taken) // self._width)

    def _write_transitions(self, taken: list[Any], origins: list[Origin | None]) -> None:
        if not taken:
            return
        width, start_ns, first = self._width, self._start_ns, self._written + 1
        machines = taken[1::width]
        numbers = list(map(self._machines.numbers.__getitem__, map(id, machines)))
        columns = [*_TRANSITION]
        values: list[Iterable[Any]] = [
            range(first, first + len(machines)),
            map(sub, taken[0::width], repeat(start_ns)),
            numbers,
            taken[3::width],
            self._interned.ids(taken[2::width], machines),
        ]
        if origins:
            by_name = self._machines.by_name
            columns += _SOURCE
            values.append([None if origin is None else by_name[origin[0]] for origin in origins])
            values.append([None if origin is None else origin[1] for origin in origins])
        if width > 5:
            columns.append("loop_ns")
            values.append(taken[5::width])
        self._writer.insert("transitions", columns, zip(*values, strict=True))
        before, self._written = self._written, self._written + len(machines)
        if before // KEYFRAME_EVERY != self._written // KEYFRAME_EVERY:
            self._machines.write_keyframe(self._writer, self._written)

    def _write_logs(self) -> None:
        if self._logs:
            self._writer.insert("logs", _LOG, self._logs)
            self._logs = []

    def note_logs(self, rows: list[tuple[Any, ...]], seq: int) -> None:
        """Buffer the log lines of a transition that has ended as `seq`."""
        self._logs += [(*row[:4], seq, 1, *row[6:]) for row in rows]

    def _write_attributes(self) -> None:
        if self._new_attributes:
            self._attributes |= self._new_attributes
            self._new_attributes = {}
            self._writer.set_run(attributes=to_json(self._attributes))

    # the end

    def _stop(self, error: Exception, rows: int) -> None:
        """End the recording after an error, with one warning."""
        self.failure = error
        self.lost += rows
        _logger.warning("[record] %s: recording stopped, %d transitions lost: %s", self.path, self.lost, error)
        self._detach()
        self._is_closed = True
        self._writer.fail(str(error), self.lost)

    def _detach(self) -> None:
        for _, machine in self._machines.living():
            machine.unbind_tracer(self)

    def close(self) -> None:
        """Write the buffered rows, end the recording, and make the record one plain file.

        Does not raise: an error is stored in `failure`.
        """
        if self._is_closed:
            return
        self.flush()
        if self.failure is not None:  # the last batch could not be written
            return
        self._detach()
        self._is_closed = True
        try:
            self._writer.set_run(end_ns=self._now(), end_loop_ns=self._loop_now())
            self._writer.close()
        except (sqlite3.Error, UnwritableRecordError) as error:
            self.failure = error
            _logger.warning("[record] %s: %s", self.path, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_TRANSITION = ("seq", "time_ns", "machine", "number", "change")
_SOURCE = ("source_machine", "source_number")
_LOG = ("id", "time_ns", "loop_ns", "machine", "seq", "is_inside", "level", "text")
