"""What happens, step by step, when one mutation is processed and nobody observes it?

Negotiate, commit, finalise, and what follows from a failure. `observed` does the same for everything that is watched,
automatic or a dry run; both share the pieces here. Knows nothing of queues or event loops.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from asyncmachine.mutation import CANCELED, EXECUTED, IS_AUTO, NO_AUTO, Event, Mutation, Result, tx_id
from asyncmachine.relations import ADD, AUTO
from asyncmachine.schema import EXCEPTION

if TYPE_CHECKING:
    from asyncmachine.automaton import Plan
    from asyncmachine.machine import Machine
    from asyncmachine.mutation import Entry
    from asyncmachine.queueing import Queueing

BUSY: Final = 1
DISPOSED: Final = 2
OBSERVED: Final = 4
WAITED: Final = 8
LEFTOVERS: Final = 16
CLOSING: Final = 32
RECORDED: Final = 64
"""Tracers are bound, but they only want to know how transitions end: no handler or step has to be announced."""

TRACED: Final = OBSERVED | RECORDED
BUSY_AND_WAITED: Final = BUSY | WAITED

_logger = logging.getLogger("asyncmachine")


class Transition:
    """The processing of one mutation. Read-only, and readable after its end.

    Attributes:
        machine: The machine.
        before: Ticks before, in state order.
        completed: It is over.
        canceled_by: The handler that refused it, or "relations", "error"; empty if nobody did.
    """

    __slots__ = ("_after", "_entry", "_plan", "before", "canceled_by", "completed", "machine")

    # no constructor: on the recorder's path its frame would cost as much as all the rest (see `Queueing._quick_recorded`)
    machine: Machine
    before: tuple[int, ...]
    canceled_by: str
    completed: bool
    _plan: Plan
    _entry: Entry
    _after: tuple[int, ...] | None

    @property
    def accepted(self) -> bool:
        """Nobody has refused it so far."""
        return not self.canceled_by

    @property
    def id(self) -> str:
        """Machine id and sequence, equal in equal runs."""
        return tx_id(self.machine.id, self._entry[4])

    @property
    def mutation(self) -> Mutation:
        """What was asked."""
        mutation = self._entry[6]
        if mutation is None:
            mutation = Mutation(self._entry)
            self._entry = (*self._entry[:6], mutation)
        return mutation

    @property
    def after(self) -> tuple[int, ...]:
        """Ticks after, in state order; as predicted while handlers may still refuse."""
        if self._after is not None:
            return self._after
        ticks = list(self.before)
        if not self.canceled_by:
            for state in self._plan.ticks:
                ticks[state] += 1
        after = tuple(ticks)
        if self.completed:
            self._after = after
        return after

    @property
    def target(self) -> tuple[str, ...]:
        """The states that are to be active, in order."""
        return self._names(self._plan.target.active)

    @property
    def enters(self) -> tuple[str, ...]:
        """The states entered, in order; a Multi state called again is entered again."""
        return self._names(self._plan.enters)

    @property
    def exits(self) -> tuple[str, ...]:
        """The states exited, in order."""
        return self._names(self._plan.exits)

    def _names(self, states: tuple[int, ...]) -> tuple[str, ...]:
        names = self.machine._automaton.compiled.names
        return tuple([names[state] for state in states])

    def _refuse(self, by: str) -> None:
        self.canceled_by = by

    def _complete(self) -> None:
        if self.canceled_by and self._after is None:  # else what was predicted has come true
            self._after = tuple(self.machine._ticks)
        self.completed = True

    def __str__(self) -> str:
        return f"tx#{self.id}\n{self.mutation}"

    def __repr__(self) -> str:
        return f"Transition({self.id} {self.mutation})"


def begin(m: Queueing, plan: Plan, entry: Entry, before: tuple[int, ...], canceled_by: str) -> Transition:
    """Make the transition object of a mutation that is about to be processed."""
    tx = Transition()
    tx.machine = m  # type: ignore[assignment]  # Machine is the only subclass
    tx._plan = plan
    tx._entry = entry
    tx.before = before
    tx.canceled_by = canceled_by
    tx.completed = False
    tx._after = None
    return tx


def perform(m: Queueing, plan: Plan, entry: Entry) -> Result:
    """Process a mutation that is neither observed, automatic nor a dry run.

    This is the hot path, hence its length: everything that is usually absent is skipped by one test.
    """
    m._entry = entry
    m._plan = plan
    if not plan.accepted:
        return CANCELED
    args = entry[2]
    ticks = m._ticks
    slots = m._slots
    if plan.negotiation:
        try:
            for name, function, slot, state in plan.negotiation:
                event = Event()
                event.name = name
                event.args = args
                event.machine = m  # type: ignore[assignment]  # Machine is the only subclass
                event._entry = entry
                event._state = state
                event._tick = ticks[state]
                answer = function(slots[slot], event)
                if answer is not None and not answer:
                    if m._tx is not None:
                        m._tx._refuse(name)
                    return CANCELED
        except Exception as error:
            recover(m, plan, entry, error)
            return CANCELED
    touched = plan.ticks
    for state in touched:
        ticks[state] += 1
    m._node = plan.target
    if m._gate & WAITED:
        assert m._subs is not None
        m._subs.expire(touched)
        if m._subs.args_mask & plan.enter_mask:
            return _finish_stepwise(m, plan, entry)
    if plan.finals:
        m._committed = entry
        try:
            for name, function, slot, state in plan.finals:
                event = Event()
                event.name = name
                event.args = args
                event.machine = m  # type: ignore[assignment]  # as above
                event._entry = entry
                event._state = state
                event._tick = ticks[state]
                function(slots[slot], event)
        except BaseException as error:
            fail_final(m, plan, entry, name, state, error)
            return CANCELED
    if m._gate & WAITED:
        assert m._subs is not None
        if m._subs.by_state or m._subs.queries:
            m._match(touched)
    auto = plan.auto
    if auto is not None and auto.accepted and not entry[5]:
        if not m._gate & (WAITED | TRACED | CLOSING) and auto.bare:
            for state in auto.commit.ticks:
                ticks[state] += 1
            m._node = auto.commit.target
        else:
            prepend_auto(m, auto)
    return EXECUTED


def new_event(m: Queueing, name: str, state: int, entry: Entry) -> Event:
    """Make what a handler is given."""
    event = Event()
    event.name = name
    event.args = entry[2]
    event.machine = m  # type: ignore[assignment]  # as above
    event._entry = entry
    event._state = state
    event._tick = m._ticks[state]
    return event


def _finish_stepwise(m: Queueing, plan: Plan, entry: Entry) -> Result:
    """Do the rest of `perform` when somebody waits for the arguments of an entered state."""
    if not run_finals(m, plan, entry):
        return CANCELED
    m._match(plan.ticks)
    if plan.auto is not None and not entry[5]:
        prepend_auto(m, plan.auto)
    return EXECUTED


def run_finals(m: Queueing, plan: Plan, entry: Entry) -> bool:
    """Call final handlers state by state, telling waits for arguments in between; False after a failure."""
    table = m._automaton.table
    name, state = "", -1
    m._committed = entry
    try:
        for state in plan.exits:
            for name, function, slot, _ in table.end[state]:
                call_final(m, name, function, slot, state, entry)
        for state in plan.enters:
            try:
                for name, function, slot, _ in table.state[state]:
                    call_final(m, name, function, slot, state, entry)
            finally:
                m._match_args(state, entry[2])
        state = -1
        for name, function, slot, _ in table.any_state:
            call_final(m, name, function, slot, state, entry)
    except BaseException as error:
        fail_final(m, plan, entry, name, state, error)
        return False
    return True


def call_final(m: Queueing, name: str, function: Any, slot: int, state: int, entry: Entry) -> None:
    """Call one final handler, announced if somebody observes."""
    event = new_event(m, name, state, entry)
    if m._gate & OBSERVED:
        m._announced(name, function, slot, event)
    else:
        function(m._slots[slot], event)


def prepend_auto(m: Queueing, auto: Plan) -> None:
    """Make the auto mutation the next one, before everything queued."""
    if m._gate & CLOSING:
        return
    names = m._automaton.compiled.names
    called = tuple([names[state] for state in auto.called])
    m._prepend(AUTO, called, {}, None, IS_AUTO)


def recover(m: Queueing, plan: Plan, entry: Entry, error: Exception) -> None:
    """Turn a handler's error into the next mutation: Exception, before everything queued.

    No second Exception is made out of an Exception transition; the error is logged. An auto transition that failed is
    not retried by the Exception transition it causes (asyncmachine-go 0.19 loops there).
    """
    if m._tx is not None:
        m._tx._refuse("error")
    m._note_recovery(plan)
    if plan.calls_exception:
        _logger.error("[error] %s: error in an Exception transition", m.id, exc_info=error)
        return
    m._err = error
    source = m._source_of(entry)
    m._prepend(ADD, (EXCEPTION,), {"error": error}, source, NO_AUTO if entry[5] & IS_AUTO else 0)


def fail_final(m: Queueing, plan: Plan, entry: Entry, name: str, state: int, error: BaseException) -> None:
    """Take back what a failing final handler left unfinished, tell the waits, and recover.

    Every entered state whose State handler has not completed is taken back once; a failing AnyState takes nothing
    back. asyncmachine-go 0.19 takes nothing back after a failing End, takes back twice, and tells nobody.
    """
    taken = _take_back(m, plan, name, state)
    if m._gate & WAITED:
        m._match(plan.ticks + taken)
    if not isinstance(error, Exception):
        if m._tx is not None:
            m._tx._refuse("error")
        raise error
    recover(m, plan, entry, error)


def _take_back(m: Queueing, plan: Plan, name: str, state: int) -> tuple[int, ...]:
    if state < 0:
        return ()
    compiled = m._automaton.compiled
    enters = plan.enters
    unfinished = enters if name == compiled.names[state] + "End" else enters[enters.index(state) :]
    if plan.calls_exception:
        unfinished = tuple([s for s in unfinished if s != compiled.exception])
    for taken in unfinished:
        m._ticks[taken] += 1
    if unfinished:
        m._node = m._automaton.node(tuple([s for s in m._node.active if s not in unfinished]))
        if m._subs is not None:
            m._subs.expire(unfinished)
    return unfinished
