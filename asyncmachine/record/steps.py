"""The steps of a transition's negotiation, derived from its plan: states called, implied, missing, refused, changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmachine.record.format import Step
from asyncmachine.record.writer import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncmachine.machine import Transition
    from asyncmachine.plans import Configuration, Plan
    from asyncmachine.relations import Note, Relations

Key = tuple[Any, ...]
_LIMIT = 20_000


class Steps:
    """A cache of step lists as JSON, shared by transitions with equal steps."""

    def __init__(self) -> None:
        self._texts: dict[Key, str] = {}

    def text(self, tx: Transition, node: Configuration, plan: Plan, handlers: tuple[str, ...]) -> str:
        """Return a transition's steps.

        Args:
            tx: The transition, at its end.
            node: The configuration it began in.
            plan: Its plan.
            handlers: The handlers that ran, in order.
        """
        key = (plan, tx._plan, tx.canceled_by, handlers)
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) >= _LIMIT:
                self._texts.clear()
            text = self._texts[key] = to_json([step_to_list(step) for step in steps_of(tx, node, plan, handlers)])
        return text


def step_to_list(step: Step) -> list[str]:
    """Return a step as plain data, without trailing empty fields."""
    fields = list(step)
    while fields and not fields[-1]:
        fields.pop()
    return fields


def steps_of(tx: Transition, node: Configuration, plan: Plan, handlers: tuple[str, ...]) -> Iterator[Step]:
    """Yield the steps of a transition.

    Args:
        tx: The transition, at its end.
        node: The configuration it began in.
        plan: Its plan.
        handlers: The handlers that ran, in order.
    """
    machine = tx.machine
    names = machine._plans.compiled.names
    relations = machine._plans.relations
    for state in plan.called:
        yield Step("called", names[state])
    notes: list[Note] = []
    relations.resolve(node.active, node.mask, plan.kind, plan.called, notes)
    for what, state, others in dict.fromkeys(notes):
        if what == "implied":
            for adder in _adders(relations, node, plan, state):
                yield Step("relation", names[adder], names[state], "add")
        for other in others:
            if what == "reject":
                yield Step("missing", names[state], names[other], "require")
            else:
                yield Step("relation", names[other], names[state], "remove")
    done = tx._plan
    for state in done.enters if plan.accepted else ():
        yield Step("activate", names[state])
    for state in done.exits if plan.accepted else ():
        yield Step("deactivate", names[state])
    for handler in handlers:
        yield Step("handler", _state_of(handler, names), handler=handler)
    if tx.canceled_by:
        refused = plan.enters if plan.accepted else [s for s in plan.called if not plan.target.mask >> s & 1]
        for state in refused or plan.called:
            yield Step("cancel", names[state])


def _adders(relations: Relations, node: Configuration, plan: Plan, state: int) -> list[int]:
    """Return the called or entered states that add another state."""
    candidates = dict.fromkeys([*plan.called, *plan.target.active])
    return [s for s in candidates if state in relations.adds[s] and (s in plan.called or not node.mask >> s & 1)]


def _state_of(handler: str, names: tuple[str, ...]) -> str:
    """Return the state of a handler: X of XEnter, Y of a pair XY, "Any" of AnyState."""
    for suffix in ("Enter", "Exit", "State", "End"):
        if handler.endswith(suffix) and handler.removesuffix(suffix) in names:
            return handler.removesuffix(suffix)
    return max((name for name in names if handler.endswith(name)), key=len, default="Any")
