"""The messages of am-dbg for running machines. Machines are read only where the data would be lost later."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    queued_message,
    schema_message,
    step_messages,
    transition_id,
    transition_message,
)
from asyncmachine.logs import LogLevel
from asyncmachine.mutation import IS_AUTO, IS_CHECK
from asyncmachine.record.changes import reason_of
from asyncmachine.record.format import Change
from asyncmachine.record.steps import steps_of
from asyncmachine.record.watching import error_text
from asyncmachine.relations import KINDS

if TYPE_CHECKING:
    from asyncmachine.machine import Machine, Transition
    from asyncmachine.mutation import Mutation
    from asyncmachine.plans import Configuration, Plan


class MachineTelling:
    """Generator of the messages of one machine from its tracer's events.

    Args:
        machine: The machine.
    """

    def __init__(self, machine: Machine) -> None:
        self.id = machine.id
        self.index = machine._plans.compiled.index
        self._last_tx = ""
        self._since_tx = 0
        self._slots = {name: slot for slot, name in enumerate(machine._bindings)}
        self._open: _Open | None = None
        self._before: Lines = []

    def schema(self, machine: Machine) -> Message:
        """Return the message that announces the machine."""
        self.index = machine._plans.compiled.index
        states = {name: state.to_dict() for name, state in machine.schema.states.items()}
        return schema_message(machine.id, states, "" if machine.parent is None else machine.parent.id, machine.tags)

    # data buffered until a transition ends

    def begin(self, tx: Transition) -> None:
        """Note the start of a transition."""
        self._open = _Open(tx)

    def handler(self, tx: Transition, binding: str, name: str) -> None:
        """Note the start of a handler."""
        if self._open is not None:
            slot = self._slots.setdefault(binding, len(self._slots))
            self._open.handlers.append((slot, name))

    def line(self, machine: Machine, level: int, text: str) -> None:
        """Note a log line of the machine."""
        if machine.log_level >= LogLevel.OPS:
            self._note(level, own_line(machine.id, text, ids=True))

    def wait(self, machine: Machine, kind: str, text: str) -> None:
        """Note the start or end of a wait, a context or a pipe."""
        if machine.log_level < LogLevel.OPS and (line := wait_line(kind, text)):
            self._before.append((LogLevel.OPS, line))

    def _note(self, level: int, text: str) -> None:
        (self._before if self._open is None else self._open.lines).append((level, text))

    # messages

    def queued(self, machine: Machine, mutation: Mutation) -> Message:
        """Return the message of a queued mutation."""
        number, waiting = mutation._queued[4], machine.queue_len
        picked = machine.log_args(mutation.args) if mutation.args else {}
        if machine.log_level < LogLevel.OPS:
            lines = queued_lines(
                mutation.kind,
                mutation.called,
                picked,
                is_auto=mutation.is_auto,
                is_prepended=number < 0,
                waiting=0 if self._open is None else waiting + 1,
            )
            for level, text in lines:
                self._note(level, text)
        error = mutation.args.get("error")
        if isinstance(error, BaseException):
            picked = {**picked, "err": error_text(error)}
        message = queued_message(
            self.id,
            tx=f"{self._last_tx}-{self._since_tx}",
            clocks=machine._ticks if self._open is None else self._open.tx.before,
            number=number,
            queue_tick=number - waiting - 1 if number > 0 else machine.queue_tick,
            queue=waiting + 1,
            kind=mutation.kind,
            called=[self.index[state] for state in mutation.called],
            is_auto=mutation.is_auto,
            is_check=mutation.is_check,
            args=picked,
        )
        self._since_tx += 1
        return message

    def ended(self, tx: Transition) -> Message:
        """Return the message of a completed transition."""
        machine, entry = tx.machine, tx._queued
        begun, self._open = self._open or _Open(tx), None  # None if it began before the tracer was bound
        number, flags = entry[4], entry[5]
        picked = machine.log_args(entry[2]) if entry[2] else {}
        handlers = tuple([name for _, name in begun.handlers])
        steps = list(steps_of(tx, begun.node, begun.plan, handlers))
        change = _change(tx, begun.plan)
        before, self._before = self._before, []
        if machine.log_level >= LogLevel.OPS:
            before, lines = begin_with_the_call(change.kind, before, begun.lines)
        else:
            after = dict(zip(self.index, tx.after, strict=True))
            origin, error = entry[3], entry[2].get("error")
            lines = transition_lines(
                change,
                after,
                cause=None if origin is None else Cause(origin[0], transition_id(origin[0], origin[1]), origin[2]),
                args=picked,
                steps=steps,
                handlers=begun.handlers,
                error=error_text(error) if isinstance(error, BaseException) else "",
            )
            lines += begun.lines
        self._last_tx, self._since_tx = transition_id(self.id, number), 0
        return transition_message(
            self.id,
            tx=self._last_tx,
            clocks=tx.after,
            number=number,
            queue_tick=machine.queue_tick,
            queue=machine.queue_len + (machine._prepended is not None),
            kind=change.kind,
            called=[self.index[state] for state in change.called],
            is_auto=bool(flags & IS_AUTO),
            is_check=bool(flags & IS_CHECK),
            accepted=change.accepted,
            steps=step_messages(steps, tuple(self.index)),
            log=lines,
            log_before=before,
            args=picked,
        )


class _Open:
    """A running transition."""

    __slots__ = ("handlers", "lines", "node", "plan", "tx")

    def __init__(self, tx: Transition) -> None:
        self.tx = tx
        self.node: Configuration = tx.machine._configuration
        self.plan: Plan = tx._plan
        self.handlers: list[tuple[int, str]] = []
        self.lines: Lines = []


def _change(tx: Transition, plan: Plan) -> Change:
    """Return the change made by a transition."""
    names = tx.machine._plans.compiled.names
    called, flags = tx.mutation.called, tx._queued[5]
    moved = {name: new - old for name, old, new in zip(names, tx.before, tx.after, strict=True) if new != old}
    reason = reason_of(tx.machine, plan) if tx.canceled_by == "relations" and not plan.accepted else ()
    return Change(
        0, KINDS[tx._queued[0]], called, moved, bool(flags & IS_AUTO), bool(flags & IS_CHECK), tx.accepted, tx.canceled_by, reason
    )  # fmt: skip
