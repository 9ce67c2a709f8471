"""The hot path of the engine without its questions to observers, for the comparison that shows what those cost.

A fixed copy of `Runtime._submit` and `Runtime._course`, from which what is about observers is left out and nothing else is changed. A test
holds every line of it against the engine, so that it cannot fall behind. It can be run by machines that nobody observes and nobody
waits for: the clause "hooks with no tracer bound" measures one with an Enter and a State handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmachine._runtime import _WAITING, BUSY, DISPOSING, NOT_IDLE, WAITED, _VetoError
from asyncmachine.machine import Machine
from asyncmachine.mutation import ARGS, BY_ERROR, BY_RELATIONS, EXECUTED, FLAGS, IS_AUTO, IS_CHECK, cancel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncmachine.handlers import Step
    from asyncmachine.mutation import Origin, QueuedMutation, Result
    from asyncmachine.plans import Plan


class UnobservedMachine(Machine):
    """A machine that asks for no observers."""

    __slots__ = ()

    def _submit(self, kind: int, called: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        flags = self._flags
        if flags and flags & NOT_IDLE:
            if flags & NOT_IDLE == BUSY:
                return self._enqueue(kind, called, args, source)
            return self._submit_later(kind, called, args, source)
        plan = self._configuration.tables[kind].get(called)
        if plan is None:
            plan = self._plan_for(kind, called)
        if plan.fast_ticks is not None:
            if not flags:
                ticks = self._ticks
                for state in plan.fast_ticks:
                    ticks[state] += 1
                self._configuration = plan.fast_target
                self._queue_tick += 1
                return EXECUTED
            if plan.target is plan.fast_target:  # noqa: SIM102  # as in the engine
                if flags == WAITED and self._commit_waited(plan):
                    return EXECUTED
        self._flags = flags | BUSY if flags else BUSY
        number = self._queue_tick = self._queue_tick + 1
        queued: QueuedMutation = (kind, called, args, source, number, 0, None, None)
        try:
            result = self._course(plan, queued)
            if self._tx is not None:  # a handler has asked for it
                self._end_transition()
            if self._flags != BUSY and self._flags & WAITED and self._waiters.queue:
                self._match_queue()
            if self._queue or self._prepended is not None or self._urgent:
                self._drain(None)
        except BaseException:
            self._abandon()
            raise
        self._current = self._committed = None
        flags = self._flags
        if flags == BUSY:
            self._flags = 0
        elif flags == _WAITING and not self._waiters.ends:
            self._flags = WAITED
        else:
            self._rest()
        return result

    def _course(self, plan: Plan, queued: QueuedMutation) -> Result:
        self._current = queued
        self._plan = plan
        special = queued[FLAGS]
        if not plan.accepted and not (special & IS_CHECK and plan.is_check_accepted):
            return self._refuse(plan, queued, BY_RELATIONS)
        args = queued[ARGS]
        ticks = self._ticks
        handlers = self._handlers
        new_event = self._new_event
        if plan.negotiation:
            try:
                if special and special & IS_AUTO:
                    plan = self._negotiate_auto(plan, queued)
                else:
                    for name, function, slot, state in plan.negotiation:
                        event = new_event()
                        event.name = name
                        event.args = args
                        event.machine = self
                        event._queued = queued
                        event._state = state
                        event._tick = ticks[state]
                        answer = function(handlers[slot], event)
                        if answer is not None and answer is not True and self._is_refusal(answer, name, slot):
                            return self._refuse(plan, queued, name)
            except _VetoError as veto:
                if veto.error is not None:
                    return self._recover(plan, queued, veto.handler, veto.error)
                return self._refuse(plan, queued, veto.handler)
            except Exception as error:
                return self._recover(plan, queued, name, error)
            except BaseException as error:
                cancel(self.id, queued, BY_ERROR, ("", error))
                raise
        elif special and special & IS_AUTO:
            plan = plan.commit
        if special:
            if special & IS_CHECK:
                return EXECUTED
            self._plan = plan
            if self._tx is not None:
                self._tx.replan(plan)
        touched = plan.ticks
        for state in touched:
            ticks[state] += 1
        self._configuration = plan.target
        steps: Iterable[Step] = plan.finals
        if self._flags != BUSY:  # noqa: SIM102  # as in the engine
            if self._flags & WAITED:
                waiters = self._waiters
                if waiters.contexts or waiters.spans:
                    waiters.expire(touched)
                if waiters.args_mask & plan.enter_mask:
                    steps = self._plans.finals_with_args(plan)
        if steps:
            self._committed = queued
            try:
                for name, function, slot, state in steps:
                    if slot < 0:
                        self._tell(slot, plan, queued, state)
                        continue
                    event = new_event()
                    event.name = name
                    event.args = args
                    event.machine = self
                    event._queued = queued
                    event._state = state
                    event._tick = ticks[state]
                    left = function(handlers[slot], event)
                    if left is not None:
                        self._take_up(left, event, slot)
            except BaseException as error:
                if steps is not plan.finals:
                    self._match_args_of_failed(name, state, args)
                return self._fail(plan, queued, name, state, error)
        if self._flags != BUSY and self._flags & WAITED and (self._waiters.by_state or self._waiters.queries):
            self._match(touched)
        auto = plan.auto
        if auto is not None and not special and auto.accepted:
            if auto.is_bare and not self._flags & (WAITED | DISPOSING):
                for state in auto.commit.ticks:
                    ticks[state] += 1
                self._configuration = auto.commit.target
            else:
                self._prepend_auto(auto)
        return EXECUTED
