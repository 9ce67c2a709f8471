"""How does one mutation run? Negotiate, commit, finalise (asyncmachine-go 0.19, "transition life cycle").

The hot path: one function for mutations and one for the machine's own auto mutations, which may be accepted in part.
They work on the machine's own attributes; nothing else may.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from asyncmachine.automaton import Plan, Step
from asyncmachine.mutation import ADD, Event, Mutation, Result

if TYPE_CHECKING:
    from asyncmachine.machine import Machine

_log = logging.getLogger("asyncmachine")

EXECUTED = Result.EXECUTED
CANCELED = Result.CANCELED


class Transition:
    """One mutation being processed, or processed. Read-only.

    Attributes:
        id: machine number and sequence number in hexadecimal; equal runs give equal ids.
        machine: whose it is.
        mutation: what is processed.
        before: ticks before it, in state order.
        after: ticks after it, in state order; while it is negotiated, the predicted ones.
        target: active states it leads to.
        enters, exits: states whose handlers run.
        accepted: not refused so far.
        completed: all is done.
        canceled_by: "relations", the handler that refused or failed, or None.
    """

    __slots__ = (
        "accepted",
        "after",
        "before",
        "canceled_by",
        "completed",
        "enters",
        "exits",
        "id",
        "machine",
        "mutation",
        "target",
    )

    def __init__(self, machine: Machine, plan: Plan, mutation: Mutation, before: tuple[int, ...]) -> None:
        self.id = f"{machine.number:08x}{machine._sequence:08x}"
        self.machine = machine
        self.mutation = mutation
        self.before = before
        self.accepted = plan.is_accepted
        self.completed = False
        self.canceled_by: str | None = None if plan.is_accepted else "relations"
        self.follow(plan)

    def follow(self, plan: Plan) -> None:
        """Take target and handlers from a plan."""
        names = self.machine._program.names
        self.target, self.enters, self.exits = names(plan.target), names(plan.enters), names(plan.exits)
        after = list(self.before)
        for state, ticks in plan.bumps if plan.is_accepted else ():
            after[state] += ticks
        self.after = tuple(after)

    def __repr__(self) -> str:
        return f"<Transition {self.id} {self.mutation}>"


class Refusal(Exception):
    """A handler said no.

    Attributes:
        step: whose turn it was.
    """

    def __init__(self, step: Step) -> None:
        super().__init__(step.name)
        self.step = step


def run(m: Machine, plan: Plan, args: dict[str, Any], mutation: Mutation | None) -> Result:
    """Process one mutation that is not the machine's own.

    Args:
        m: the machine, marked busy.
        plan: what the mutation does from the present configuration.
        args: its arguments.
        mutation: the mutation, where somebody has made the object already.
    """
    m._sequence += 1
    m._running = (plan, args, mutation)
    m._tx = None
    tracers = m._tracers
    if tracers is not None:
        tx = m.transition
        tracers.call("transition_init", tx)
        tracers.call("transition_start", tx)
    is_check = mutation is not None and mutation.is_check
    started = perf_counter()
    if plan.is_accepted or (is_check and _calls_multi(m, plan)):
        result = _negotiate(m, plan, args)
        if result is EXECUTED and not is_check:
            result = _commit(m, plan, args)
            if result is EXECUTED and plan.makes_auto and (mutation is None or mutation.makes_auto):
                _prepend_auto(m)
    else:
        result = CANCELED
    if perf_counter() - started > m._slow_s:
        _report_slow(m, plan, perf_counter() - started)
    _end(m, result)
    return result


def run_auto(m: Machine, mutation: Mutation) -> Result:
    """Process the machine's own mutation for its Auto states, each of which may be refused by itself."""
    m._sequence += 1
    program = m._program
    plan = program.plan(m._node, ADD, mutation.called, m.id)
    args: dict[str, Any] = {}
    m._running, m._tx = (plan, args, mutation), None
    possible = [state for state in plan.called_numbers if state not in plan.missing]
    if m._tracers is not None:
        tx = m.transition
        assert tx is not None
        tx.accepted = bool(possible)
        m._tracers.call("transition_init", tx)
        m._tracers.call("transition_start", tx)
    result = CANCELED
    if possible:
        called = _negotiate_auto(m, plan, args, possible)
        if called is not None:
            second = program.plan(m._node, ADD, program.names(tuple(called)), m.id)
            if m._tracers is not None:
                _follow(m, second)
            result = _commit(m, second, args)
    _end(m, result)
    return result


def _follow(m: Machine, plan: Plan) -> None:
    """The transition's target is another one after all."""
    tx = m.transition
    if tx is not None:
        tx.follow(plan)


def _negotiate(m: Machine, plan: Plan, args: dict[str, Any]) -> Result:
    objects, tracers = m._objects, m._tracers
    step = None
    try:
        for step in plan.negotiation:
            name, owner = step.name, step.owner
            for binding, function, _ in step.calls:
                if tracers is not None or m._is_timed:
                    answer = _watched(m, step, binding, function, args)
                else:
                    answer = function(objects[binding], Event(name, args, m, owner))
                if answer is not None and not answer:
                    _cancel(m, name)
                    return CANCELED
    except Exception as error:
        assert step is not None
        _cancel(m, step.name)
        _fail(m, plan, step.name, error)
        return CANCELED
    return EXECUTED


def _negotiate_auto(m: Machine, plan: Plan, args: dict[str, Any], possible: list[int]) -> list[int] | None:
    """The called Auto states that nobody refuses, or None if the whole transition is cancelled."""
    relations, active = m._program.relations, m._node.active
    auto = relations.auto
    dropped: set[int] = set()
    kept_up: set[int] = set()  # Auto states that refused to end
    without: set[int] | None = None  # dropped before the pairs were formed
    step: Step | None = None
    try:
        for step in plan.negotiation:
            phase, owner = step.phase, step.owner
            if phase in ("self", "pair", "any") and without is None:
                without = set(dropped)
                _check_target(plan, dropped, step)
            if phase == "any":
                _check_target(plan, dropped, step)
            if without is not None and (owner in without or step.other in without):
                continue
            if _agrees(m, step, args):
                continue
            if phase in ("self", "any") or not auto[owner]:
                raise Refusal(step)
            if phase == "exit":
                kept_up.add(owner)
                for state in possible:
                    if owner not in relations.resolve(active, ADD, (state,)).target:
                        dropped.add(state)
            else:
                dropped.add(owner)
        if step is not None:
            _check_target(plan, dropped, step)
    except Refusal as refusal:
        _cancel(m, refusal.step.name)
        return None
    except Exception as error:
        assert step is not None
        _cancel(m, step.name)
        _fail(m, plan, step.name, error)
        return None
    called = [state for state in possible if state not in dropped]
    if kept_up - set(relations.resolve(active, ADD, tuple(called)).target):
        _cancel(m, "relations")
        return None
    return called


def _check_target(plan: Plan, dropped: set[int], step: Step) -> None:
    if not set(plan.target) - dropped:
        raise Refusal(step)


def _agrees(m: Machine, step: Step, args: dict[str, Any]) -> bool:
    for binding, function, _ in step.calls:
        answer = _watched(m, step, binding, function, args)
        if answer is not None and not answer:
            return False
    return True


def _watched(m: Machine, step: Step, binding: int, function: Any, args: dict[str, Any]) -> Any:
    """Call one handler where somebody watches it or its time."""
    tracers, name = m._tracers, step.name
    event = Event(name, args, m, step.owner)
    if tracers is not None:
        tracers.call("handler_start", m.transition, m._binding_ids[binding], name)
    started = perf_counter()
    try:
        return function(m._objects[binding], event)
    finally:
        seconds = perf_counter() - started
        if seconds > m._slow_s:
            _report_slow_handler(m, name, seconds)
        if tracers is not None:
            tracers.call("handler_end", m.transition, m._binding_ids[binding], name)


def _commit(m: Machine, plan: Plan, args: dict[str, Any]) -> Result:
    ticks = m._ticks
    if m._tracers is not None or m._tx is not None:
        assert m.transition is not None  # made now, so that `before` is read before the ticks change
    for state, increment in plan.bumps:
        ticks[state] += increment
    m._node = plan.next
    if m._contexts:
        m._expire(state for state, _ in plan.bumps)
    if m._tracers is not None:
        m._tracers.call("transition_finals", m.transition)
    if not plan.finals and not m._subscriptions.args:
        taken_back: tuple[int, ...] = ()
        result = EXECUTED
    else:
        result, taken_back = _finalise(m, plan, args)
    subscriptions = m._subscriptions
    if subscriptions.mask & plan.mask:
        changed = [state for state, _ in plan.bumps]
        m._release(subscriptions.match_states([*changed, *taken_back], ticks))
    if subscriptions.watches_all:
        m._release(subscriptions.match_queries(m.clock))
    return result


def _finalise(m: Machine, plan: Plan, args: dict[str, Any]) -> tuple[Result, tuple[int, ...]]:
    """Final handlers; gives the result and the states taken back."""
    objects, is_watched = m._objects, m._tracers is not None or m._is_timed
    step = None
    steps: Iterable[Step] = plan.finals
    if m._subscriptions.args:
        steps = _with_silent_states(plan)
    try:
        for step in steps:
            name, owner = step.name, step.owner
            for binding, function, is_async in step.calls:
                if is_async:
                    m._start_handler(step, function, objects[binding], Event(name, args, m, owner))
                elif is_watched:
                    _drop_coroutine(_watched(m, step, binding, function, args), name)
                else:
                    function(objects[binding], Event(name, args, m, owner))
            if step.phase == "state" and m._subscriptions.args:
                m._release(m._subscriptions.match_args(owner, args))
    except BaseException as error:
        assert step is not None
        taken_back = _take_back(m, plan, step)
        if not isinstance(error, Exception):
            raise  # cancellation and interrupts are nobody's state
        if step.phase == "state" and m._subscriptions.args:
            m._release(m._subscriptions.match_args(step.owner, args))
        _cancel(m, step.name)
        _fail(m, plan, step.name, error)
        return CANCELED, taken_back
    return EXECUTED, ()


def _drop_coroutine(answer: Any, name: str) -> None:
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError(f"handler {name} returned a coroutine but is no coroutine function")


def _with_silent_states(plan: Plan) -> list[Step]:
    """The final steps, with one for each entering state that has no handler: somebody may wait for its arguments."""
    by_owner = {step.owner: step for step in plan.finals if step.phase == "state"}
    ends = [step for step in plan.finals if step.phase == "end"]
    rest = [step for step in plan.finals if step.phase == "any"]
    return [*ends, *(by_owner.get(s) or Step("", "state", s, -1, ()) for s in plan.enters), *rest]


def _take_back(m: Machine, plan: Plan, failed: Step) -> tuple[int, ...]:
    """Deactivate every entering state whose State handler has not completed; Exception stays."""
    if failed.phase == "any":
        return ()
    first = plan.enters.index(failed.owner) if failed.phase == "state" else 0
    taken = tuple(s for s in plan.enters[first:] if s != m._program.automaton.exception or not plan.calls_exception)
    for state in taken:
        m._ticks[state] += 1
    m._node = m._program.node(tuple(s for s in m._node.active if s not in taken))
    if m._contexts:
        m._expire(taken)
    return taken


def _fail(m: Machine, plan: Plan, handler: str, error: Exception) -> None:
    """An error in a handler: Exception runs next. An error in Exception's own transition is logged only."""
    if plan.calls_exception:
        _log.error("[%s] error in %s of an Exception transition", m.id, handler, exc_info=error)
        return
    m._err = error
    running = m._running[2] if m._running is not None else None
    was_auto = running is not None and running.is_auto
    args = {"error": error, "handler": handler, "called": plan.called}
    # an auto transition that failed is not tried again by the error it caused
    m._prepend(Mutation(ADD, ("Exception",), args, makes_auto=not was_auto))


def _cancel(m: Machine, by: str) -> None:
    if m._tx is not None:
        m._tx.accepted = False
        m._tx.canceled_by = by


def _prepend_auto(m: Machine) -> None:
    autos = m._program.autos(m._node)
    if autos and not m._is_disposing:
        m._prepend(Mutation(ADD, m._program.names(autos), {}, is_auto=True, makes_auto=False))


def _end(m: Machine, result: Result) -> None:
    tx = m._tx
    if tx is not None:
        tx.completed = True
        if result is CANCELED:
            tx.accepted = False
        tx.after = tuple(m._ticks)
        if m._tracers is not None:
            m._tracers.call("transition_end", tx)
    m._running = m._tx = None


def _calls_multi(m: Machine, plan: Plan) -> bool:
    multi = m._program.relations.multi
    return any(multi[state] for state in plan.called_numbers)


def _report_slow(m: Machine, plan: Plan, seconds: float) -> None:
    """A whole transition was slow. Which handler it was is only known from the next time on."""
    if m._is_timed or m._tracers is not None:
        return  # each handler was timed by itself
    m._is_timed = True
    names = [step.name for step in (*plan.negotiation, *plan.finals)]
    if names:
        _report_slow_handler(m, " or ".join(names), seconds)


def _report_slow_handler(m: Machine, name: str, seconds: float) -> None:
    _log.warning("[%s] handler %s took %.3f s; it cannot be interrupted, so nothing was undone", m.id, name, seconds)
    if m._tracers is not None:
        m._tracers.call("handler_slow", m.transition, name, seconds)
