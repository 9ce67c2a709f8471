"""How is a mutation processed that is watched, automatic or a dry run?

The complete course of a transition with tracer hooks, log lines and the partial acceptance of auto mutations. The
unobserved course in `transition` must do the same; the conformance tests run both. Knows nothing of queues or loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncmachine.logs import LogLevel
from asyncmachine.mutation import CANCELED, EXECUTED, IS_AUTO, IS_CHECK, NO_AUTO, Result, tx_id
from asyncmachine.relations import AUTO, KINDS, mask_of
from asyncmachine.transition import (
    OBSERVED,
    TRACED,
    WAITED,
    begin,
    new_event,
    perform,
    prepend_auto,
    recover,
    run_finals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncmachine.automaton import Plan
    from asyncmachine.handlers import Step
    from asyncmachine.mutation import Entry
    from asyncmachine.queueing import Queueing
    from asyncmachine.relations import Note


class _VetoError(Exception):
    """A handler refused; never leaves this module."""

    def __init__(self, name: str) -> None:
        self.name = name


def perform_recorded(m: Queueing, plan: Plan, entry: Entry) -> Result:
    """Process a mutation that is neither automatic nor a dry run for tracers that only want to know its end."""
    tx = m._tx = begin(m, plan, entry, tuple(m._ticks), "" if plan.accepted else "relations")
    try:
        return perform(m, plan, entry)
    except BaseException:
        tx._refuse("error")
        raise
    finally:
        tx._complete()
        m._tx = None
        m._hooks.fire(m._hooks.transition_end, tx)


def perform_fully(m: Queueing, plan: Plan, entry: Entry) -> Result:
    """Process any mutation, telling whoever observes."""
    m._entry = entry
    m._plan = plan
    accepted = plan.accepted
    if not accepted and entry[5] & IS_CHECK:
        accepted = bool(m._automaton.relations.multi_mask & mask_of(plan.called))
    if not m._gate & TRACED:
        return _course(m, plan, entry) if accepted else CANCELED
    tx = m._tx = begin(m, plan, entry, tuple(m._ticks), "" if accepted else "relations")
    hooks = m._hooks
    if m._log_level:
        _log_start(m, plan, entry)
    if hooks.transition_init:
        hooks.fire(hooks.transition_init, tx)
    if hooks.transition_start:
        hooks.fire(hooks.transition_start, tx)
    try:
        return _course(m, plan, entry) if accepted else CANCELED
    except BaseException:
        tx._refuse("error")
        raise
    finally:
        tx._after = tuple(m._ticks)
        tx.completed = True
        if hooks.transition_end:
            hooks.fire(hooks.transition_end, tx)


def _course(m: Queueing, plan: Plan, entry: Entry) -> Result:
    """Negotiate, commit and finalise."""
    flags = entry[5]
    commit = plan
    if plan.negotiation:
        try:
            if flags & IS_AUTO:
                commit = _negotiate_auto(m, plan, entry)
            else:
                _demand(m, plan.negotiation, entry)
        except _VetoError as veto:
            if m._tx is not None:
                m._tx._refuse(veto.name)
                _log_veto(m, plan, veto.name)
            return CANCELED
        except Exception as error:
            recover(m, plan, entry, error)
            return CANCELED
    elif flags & IS_AUTO:
        commit = plan.commit
    if flags & IS_CHECK:
        return EXECUTED
    m._plan = commit
    _commit(m, commit, entry)
    if (commit.finals or m._gate & WAITED) and not run_finals(m, commit, entry):
        return CANCELED
    if m._gate & WAITED:
        m._match(commit.ticks)
    if commit.auto is not None and not flags & (IS_AUTO | NO_AUTO):
        if m._log_level:
            _log_auto(m, commit.auto)
        prepend_auto(m, commit.auto)
    return EXECUTED


def _commit(m: Queueing, plan: Plan, entry: Entry) -> None:
    ticks = m._ticks
    for state in plan.ticks:
        ticks[state] += 1
    m._node = plan.target
    tx = m._tx
    if tx is not None:
        tx._plan = plan
        if m._log_level:
            _log_commit(m, plan, entry)
    if m._gate & WAITED and m._subs is not None:
        m._subs.expire(plan.ticks)
    if tx is not None and m._hooks.transition_finals:
        m._hooks.fire(m._hooks.transition_finals, tx)


def _ask(m: Queueing, steps: Iterable[Step], entry: Entry) -> str:
    """Ask handlers in turn; return the name of the first that refuses, or an empty string."""
    for name, function, slot, state in steps:
        event = new_event(m, name, state, entry)
        answer = m._announced(name, function, slot, event) if m._gate & OBSERVED else function(m._slots[slot], event)
        if answer is not None and not answer:
            return name
    return ""


def _demand(m: Queueing, steps: Iterable[Step], entry: Entry) -> None:
    refused = _ask(m, steps, entry)
    if refused:
        raise _VetoError(refused)


def _negotiate_auto(m: Queueing, plan: Plan, entry: Entry) -> Plan:
    """Negotiate an auto mutation, dropping only the Auto states that are refused; return the plan to commit.

    asyncmachine-go 0.19 crashes when an Auto state's Exit refuses; here the state stays, and the called autos that
    would end it are dropped.
    """
    automaton = m._automaton
    table = automaton.table
    node = m._node
    is_auto = automaton.relations.auto_mask
    target = list(plan.target.active)
    staying = 0
    for state in plan.exits:
        refused = _ask(m, table.exit[state], entry)
        if refused:
            enders = [c for c in plan.called if not automaton.auto_plan(node, (c,)).target.mask >> state & 1]
            if not is_auto >> state & 1 or not enders:
                raise _VetoError(refused)
            staying |= 1 << state
            target = [s for s in target if s not in enders]
    for state in plan.enters:
        refused = _ask(m, table.enter[state], entry) if state in target else ""
        if refused:
            if not is_auto >> state & 1:
                raise _VetoError(refused)
            target.remove(state)
    if not target and not staying:
        raise _VetoError("relations")
    _demand(m, automaton.selfs(node, AUTO, tuple(target)), entry)
    asked = (
        [(y, table.pairs[x, y]) for x in node.active for y in target if (x, y) in table.pairs] if table.pairs else []
    )
    for state, steps in asked:
        refused = _ask(m, steps, entry)
        if refused:
            if not is_auto >> state & 1:
                raise _VetoError(refused)
            target = [s for s in target if s != state]
    if not target and not staying:
        raise _VetoError("relations")
    _demand(m, table.any_enter, entry)
    called = tuple([s for s in plan.called if s in target])
    commit = automaton.auto_plan(node, called).commit if called != plan.called else plan
    if staying & ~commit.target.mask:
        raise _VetoError("relations")
    return commit


def _names(m: Queueing, states: Iterable[int]) -> str:
    names = m._automaton.compiled.names
    return " ".join([names[state] for state in states])


def _log_start(m: Queueing, plan: Plan, entry: Entry) -> None:
    if m._log_level < LogLevel.OPS:
        return
    automatic = entry[5] & IS_AUTO
    level = LogLevel.DECISIONS if automatic else LogLevel.OPS
    kind = KINDS[entry[0]] + (":auto" if automatic else "")
    m._log(level, f"[{kind}] {_names(m, plan.called)}{m._args_text(entry[2])}")
    if entry[3] is not None:
        machine_id, number, time = entry[3]
        m._log(LogLevel.OPS, f"[source] {machine_id}/{tx_id(machine_id, number)}/{time}")
    notes: list[Note] = []
    node = m._node
    m._automaton.relations.resolve(node.active, node.mask, plan.kind, plan.called, notes)
    for what, state, because in dict.fromkeys(notes):
        _log_note(m, what, state, because, was_active=bool(node.mask >> state & 1), automatic=bool(automatic))
    if not plan.accepted:
        missing = [s for s in plan.called if not plan.target.mask >> s & 1]
        m._log(LogLevel.OPS, f"[cancel:reject] {_names(m, missing)}")


def _log_note(
    m: Queueing, what: str, state: int, because: tuple[int, ...], *, was_active: bool, automatic: bool
) -> None:
    name = _names(m, (state,))
    if what == "rel:remove":
        level = LogLevel.OPS if was_active else LogLevel.DECISIONS
        m._log(level, f"[rel:remove] {name} by {_names(m, because)}")
    elif what == "reject":
        missing = " ".join(f"-{_names(m, (other,))}" for other in because)
        if automatic:
            m._log(LogLevel.DECISIONS, f"[reject:auto] {name}({missing})")
        else:
            m._log(LogLevel.OPS, f"[reject] {name}({missing})")
    else:
        m._log(LogLevel.OPS, f"[implied] {name}")


def _log_veto(m: Queueing, plan: Plan, handler: str) -> None:
    if m._log_level >= LogLevel.OPS:
        half = handler[: len(handler) // 2]
        kind = "cancel:self" if half + half == handler and half in m._automaton.compiled.index else "cancel"
        m._log(LogLevel.OPS, f"[{kind}] ({_names(m, plan.target.active)}) by {handler}")


def _log_commit(m: Queueing, plan: Plan, entry: Entry) -> None:
    if m._log_level < LogLevel.CHANGES:
        return
    parts = [f"+{_names(m, (state,))}" for state in plan.enters]
    parts += [f"-{_names(m, (state,))}" for state in plan.exits]
    if m._log_level >= LogLevel.EVERYTHING:
        parts += [_names(m, (state,)) for state in plan.target.active if not plan.enter_mask >> state & 1]
    if parts:
        label = "[auto_]" if entry[5] & IS_AUTO else "[state]"
        m._log(LogLevel.CHANGES, f"{label} {' '.join(parts)}{m._args_text(entry[2])}")


def _log_auto(m: Queueing, auto: Plan) -> None:
    if m._log_level >= LogLevel.OPS:
        m._log(LogLevel.OPS, f"[auto] {_names(m, auto.called)}")
    if m._log_level >= LogLevel.EVERYTHING:
        relations = m._automaton.relations
        for state in relations.blocked_autos(m._node.mask)[1]:
            removers = [s for s in m._node.active if relations.removed_by[state] >> s & 1]
            m._log(LogLevel.EVERYTHING, f"[auto:rel:remove] {_names(m, (state,))} by {_names(m, removers)}")
