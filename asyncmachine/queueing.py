"""Who runs at once, who waits, and what follows when the queue is empty?

One queue and one drain per machine: mutations, dry runs and evals take their turns here. Transitions themselves are
in `transition` and `observed`. It knows nothing of event loops, and nothing of the public facade.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from asyncmachine.ending import close
from asyncmachine.logs import LogLevel
from asyncmachine.mutation import CANCELED, EXECUTED, IS_AUTO, IS_CHECK, Mutation, Result
from asyncmachine.observation import Observation
from asyncmachine.observed import perform_fully, perform_recorded
from asyncmachine.relations import ADD, AUTO, KINDS, REMOVE, SET
from asyncmachine.schema import EXCEPTION
from asyncmachine.transition import (
    BUSY,
    CLOSING,
    DISPOSED,
    LEFTOVERS,
    OBSERVED,
    RECORDED,
    TRACED,
    WAITED,
    Transition,
    perform,
)
from asyncmachine.waiting import Outcome, QueuedCheck, is_cancellation

if TYPE_CHECKING:
    from asyncmachine.automaton import Plan
    from asyncmachine.mutation import Entry, Origin

_RECORDING = RECORDED | BUSY
HELD = BUSY | DISPOSED | CLOSING | LEFTOVERS
new = object.__new__
"""Makes a result without the frame of its constructor, which would cost as much as all the rest."""
SHORT = 64
"""So many may wait in a list, a tenth of the size of a deque; more wait in a deque, whose first is taken at no cost."""


class Queueing(Observation):
    """The queue of a machine and the order of its turns."""

    __slots__ = ()

    def _submit(self, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        """Run a mutation if the machine is idle, else queue it."""
        gate = self._gate
        if gate & HELD:
            if gate & (DISPOSED | CLOSING):
                self._numbers(states)
                return CANCELED
            result = self._enqueue(kind, states, args, source)
            if not gate & BUSY:
                mine = self._queue[-1] if result.queued else None
                outcome = self._run_queue(mine)  # refused or a duplicate: what waits goes on nevertheless
                return result if mine is None else outcome
            return result
        plan = self._plan_for(kind, states)
        if gate & TRACED:
            if gate == RECORDED and plan.quick is not None and plan.target is plan.quick_target:
                return self._quick_recorded(plan, kind, states, args, source)
            return self._idle_observed(plan, kind, states, args, source)
        if plan.quick is not None:
            if not gate:
                for state in plan.quick:
                    self._ticks[state] += 1
                self._node = plan.quick_target
                self._queue_tick += 1
                return EXECUTED
            if self._quick_waited(plan):
                return EXECUTED
        return self._idle(plan, kind, states, args, source)

    def _quick_waited(self, plan: Plan) -> bool:
        """Carry out a plan that is only arithmetic while somebody waits; False if more has to be done."""
        subs = self._subs
        assert subs is not None
        if subs.queries or subs.args_mask & plan.enter_mask or plan.target is not plan.quick_target:
            return False
        ticks = self._ticks
        touched = plan.ticks
        for state in touched:
            ticks[state] += 1
        self._node = plan.target
        self._queue_tick += 1
        contexts, spans, by_state = subs.contexts, subs.spans, subs.by_state
        for state in touched:
            if state in contexts or state in spans:
                subs.expire(touched)
            if state in by_state:
                self._match(touched)
        if subs.queue:
            self._match_queue()
        if not by_state and subs.is_empty:
            self._gate &= ~WAITED
        return True

    def _quick_recorded(
        self, plan: Plan, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        """Carry out a plan that is only arithmetic, and record its end."""
        ticks = self._ticks
        tick = self._queue_tick = self._queue_tick + 1
        tx = Transition()
        tx.machine = self  # type: ignore[assignment]  # Machine is the only subclass
        tx._plan = plan
        tx._entry = (kind, states, args, source, tick, 0, None)
        tx.before = tuple(ticks)
        tx.canceled_by = ""
        tx.completed = True
        tx._after = None
        for state in plan.ticks:
            ticks[state] += 1
        self._node = plan.target
        self._gate = _RECORDING
        hooks = self._hooks
        for end in hooks.transition_end:
            try:
                end(tx)
            except Exception:
                hooks._blame(end)
        if self._queue or self._front:
            self._finish()
        elif hooks.queue_end or self._gate != _RECORDING or not hooks.tracers:
            self._rest()
        else:
            self._gate = RECORDED
        return EXECUTED

    def _plan_for(self, kind: int, states: tuple[str, ...]) -> Plan:
        node = self._node
        plan = node.tables[kind].get(states)
        if plan is None:
            self._numbers(states)  # names the unknown one
            plan = self._automaton.plan(node, kind, states)
        return plan

    def _idle(
        self, plan: Plan, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        """Run one mutation of an idle, unobserved machine, and what it queues."""
        started = perf_counter()
        self._gate |= BUSY
        tick = self._queue_tick = self._queue_tick + 1
        try:
            result = perform(self, plan, (kind, states, args, source, tick, 0, None))
            if self._tx is not None:
                self._end_tx()
            if self._gate & WAITED and self._subs is not None and self._subs.queue:
                self._match_queue()
            if self._queue or self._next is not None or self._front:
                self._drain(None)
        except BaseException:
            self._end_tx()
            self._abandon()
            raise
        self._entry = self._committed = None
        if self._gate == BUSY:
            self._gate = 0
        else:
            self._rest()
        if plan.quick is None and perf_counter() - started > self.slow_handler_s:
            self._report_slow_drain(kind, states, perf_counter() - started)
        return result

    def _idle_observed(
        self, plan: Plan, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        """Do the same as `_idle` on an observed machine."""
        self._gate |= BUSY
        tick = self._queue_tick = self._queue_tick + 1
        try:
            if self._gate & OBSERVED:
                result = perform_fully(self, plan, self._announce(kind, states, args, source, tick, 0))
                self._tx = None
            else:
                result = perform_recorded(self, plan, (kind, states, args, source, tick, 0, None))
            if self._gate & WAITED and self._subs is not None and self._subs.queue:
                self._match_queue()
            if self._next is not None or self._queue or self._front:
                self._drain(None)
        except BaseException:
            self._end_tx()
            self._abandon()
            raise
        self._rest()
        return result

    def _enqueue(self, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None) -> Result:
        """Append a mutation to the queue, unless it is refused or already there."""
        queue = self._queue
        if states not in self._node.tables[kind]:  # else they were called before from here, and are known
            self._numbers(states)
        if queue:
            if len(queue) >= self.queue_limit and not self._passes_limit(kind, states):
                return CANCELED
            if len(queue) == SHORT:
                queue = self._lengthen()
            if not args and self._is_duplicate(kind, states):
                if self._log_level:
                    self._log(
                        LogLevel.OPS, f"[queue:skipped] Duplicate detected for [{KINDS[kind]}] {' '.join(states)}"
                    )
                return EXECUTED
        elif kind == REMOVE and self._entry is not None and not self._front:
            if self._node.names.isdisjoint(states):
                return EXECUTED
        elif self.queue_limit <= 0 and not self._passes_limit(kind, states):
            return CANCELED
        result: Result = new(Result)
        result.tick = tick = self._queue_tick + len(queue) + 1
        if self._gate & OBSERVED:
            queue.append(self._announce(kind, states, args, source, tick, 0))
        else:
            queue.append((kind, states, args, source, tick, 0, None))
        return result

    def _lengthen(self) -> deque[Entry]:
        queue = self._queue = deque(self._queue)
        return queue

    def _passes_limit(self, kind: int, states: tuple[str, ...]) -> bool:
        """Errors pass a full queue: adding Exception while inactive, removing it while active."""
        return EXCEPTION in states and kind != SET and self.is_err() is (kind == REMOVE)

    def _is_duplicate(self, kind: int, states: tuple[str, ...]) -> bool:
        """Tell whether the queue holds the same mutation, with nothing behind it that touches its states.

        asyncmachine-go 0.19 drops a duplicate wherever the first one is, even behind a counter-mutation.
        """
        schema_states = self._automaton.compiled.schema.states
        if any(schema_states[state].multi for state in states):
            return False
        called = set(states)
        for entry in reversed(self._queue):
            if entry[0] == kind and not entry[2] and set(entry[1]) == called:
                return True
            if kind == SET or entry[0] == SET or not called.isdisjoint(entry[1]):
                return False
        return False

    def _add_err(
        self, exc: BaseException, states: tuple[str, ...], args: dict[str, Any], source: Origin | None
    ) -> Result:
        if not isinstance(exc, BaseException):
            raise TypeError(f"an error has to be an exception, not {exc!r}")
        self._numbers(states)
        if is_cancellation(exc) or self._gate & (DISPOSED | CLOSING):
            return CANCELED
        self._err = exc
        args["error"] = exc
        called = tuple(dict.fromkeys((EXCEPTION, *states)))
        if self._log_level:
            self._log(LogLevel.CHANGES, f"[error:add] {' '.join(called)} ({exc})")
        if self._gate & BUSY and self._queue and len(self._queue) >= self.queue_limit:
            tick = self._queue_tick + len(self._queue) + 1
            self._queue.append(self._announce(ADD, called, args, source, tick, 0))
            return Result(tick)
        return self._submit(ADD, called, args, source)

    def _check(self, kind: int, states: tuple[str, ...], args: dict[str, Any]) -> Result:
        self._numbers(states)
        gate = self._gate
        if gate & (DISPOSED | CLOSING):
            return CANCELED
        outcome = Outcome(self._run_check, (kind, states, args), "check")
        if gate & BUSY:
            self._push(outcome)
            return QueuedCheck(outcome)
        self._gate |= BUSY
        try:
            outcome.run()
        finally:
            self._finish()
        result = outcome.result()
        assert isinstance(result, Result)
        return result

    def _run_check(self, kind: int, states: tuple[str, ...], args: dict[str, Any]) -> Result:
        entry = self._announce(kind, states, args, None, self._prepend_tick(), IS_CHECK)
        return self._perform(entry)

    def _prepend(
        self, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None, flags: int
    ) -> None:
        """Make a mutation of the machine's own the next one."""
        self._next = self._announce(kind, states, args, source, self._prepend_tick(), flags)

    def _prepend_tick(self) -> int:
        self._prepended += 1
        return -self._prepended

    def _announce(
        self, kind: int, states: tuple[str, ...], args: dict[str, Any], source: Origin | None, tick: int, flags: int
    ) -> Entry:
        """Make an entry, telling observers that it was queued."""
        mutation = None
        if self._gate & OBSERVED:
            hooks = self._hooks
            if self._log_level >= LogLevel.OPS:
                verb = "prepend" if tick < 0 else "queue"
                called = " ".join(dict.fromkeys(states))
                self._log(LogLevel.OPS, f"[{verb}:{KINDS[kind]}] {called}{self._args_text(args)}")
            if hooks.mutation_queued:
                mutation = Mutation((kind, states, args, source, tick, flags, None))
                hooks.fire(hooks.mutation_queued, self, mutation)
        return (kind, states, args, source, tick, flags, mutation)

    def _push(self, outcome: Outcome) -> None:
        if self._front is None:
            self._front = deque()
        self._front.append(outcome)

    def _run_queue(self, mine: Entry | None) -> Result:
        """Drain the queue of an idle machine and return the result of one of its mutations."""
        self._gate = (self._gate | BUSY) & ~LEFTOVERS
        try:
            result = self._drain(mine)
        except BaseException:
            self._end_tx()
            self._abandon()
            raise
        self._rest()
        return result

    def _drain(self, mine: Entry | None) -> Result:
        """Process everything that waits: first the machine's own mutation, then evals and checks, then the queue."""
        result = EXECUTED
        while True:
            if self._next is not None:
                entry, self._next = self._next, None
            elif self._front:
                self._entry = self._committed = None
                self._front.popleft().run()
                continue
            else:
                queue = self._queue
                if not queue:
                    return result
                entry = queue[0]
                del queue[0]
                self._queue_tick += 1
            gate = self._gate
            plan = None if entry[5] or gate & TRACED else self._node.tables[entry[0]].get(entry[1])
            if plan is None:
                outcome = self._perform(entry)
            elif plan.quick is not None and gate == BUSY:  # nobody waits
                ticks = self._ticks
                for state in plan.quick:
                    ticks[state] += 1
                self._node = plan.quick_target
                continue  # executed, which is what the result is until another one is known
            else:
                outcome = perform(self, plan, entry)
                if self._tx is not None:
                    self._end_tx()
            if entry is mine:
                result = outcome
            if self._gate & WAITED and self._subs is not None and self._subs.queue:
                self._match_queue()

    def _perform(self, entry: Entry) -> Result:
        kind, states, _, _, _, flags, _ = entry
        if kind == AUTO:
            index = self._automaton.compiled.index
            plan = self._automaton.auto_plan(self._node, tuple([index[state] for state in states]))
        else:
            plan = self._plan_for(kind, states)
        if flags & (IS_AUTO | IS_CHECK) or self._gate & OBSERVED:
            result = perform_fully(self, plan, entry)
        elif self._gate & RECORDED:
            result = perform_recorded(self, plan, entry)
        else:
            result = perform(self, plan, entry)
        if self._tx is not None:
            self._end_tx()
        return result

    def _end_tx(self) -> None:
        if self._tx is not None:
            self._tx._complete()
            self._tx = None

    def _finish(self) -> None:
        """Drain what an eval or a check has left, and come to rest."""
        try:
            if self._queue or self._front or self._next is not None:
                self._drain(None)
        except BaseException:
            self._end_tx()
            self._abandon()
            raise
        if self._gate == BUSY:
            self._entry = self._committed = None
            self._gate = 0
        else:
            self._gate &= ~LEFTOVERS
            self._rest()

    def _abandon(self) -> None:
        """Leave the queue as it is, after an interruption; the next mutation goes on with it.

        What was interrupted is processed: its tick has come, and who waits for that is told.
        """
        self._entry = self._committed = None
        self._gate &= ~BUSY
        if self._gate & WAITED and self._subs is not None and self._subs.queue:
            self._match_queue()
        if self._queue or self._front or self._next is not None:
            self._gate |= LEFTOVERS

    def _rest(self) -> None:
        """The queue is empty: release the machine and tell who waits for that."""
        self._entry = self._committed = None
        self._gate &= ~BUSY
        if self._gate & TRACED:
            if self._hooks.queue_end:
                self._hooks.fire(self._hooks.queue_end, self)
            if not self._hooks.tracers:  # the last one may have been detached for its errors
                self._set_observed()
        if self._gate & WAITED and self._subs is not None and self._subs.ends:
            self._match_ends()
        if self._gate & CLOSING and not self._gate & BUSY:
            close(self)
