"""What would each mutation do in each configuration? Relations, resolved once and remembered.

A *node* is a configuration: the active states, in order. For each mutation tried from it, it holds a *plan*: what
changes, which handlers run, and the next node. All machines of one schema that bind handlers of the same classes share
the nodes, so a mutation that any of them has made before is one dict look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asyncmachine.errors import UnknownStateError
from asyncmachine.handlers import ANY_ENTER, ANY_STATE, HandlerTable
from asyncmachine.mutation import ADD, REMOVE, SET, Result
from asyncmachine.relations import Numbers, Relations
from asyncmachine.schema import EXCEPTION, Schema, State

MAX_PLANS = 20_000
"""Plans one program remembers; a schema with more configurations starts over instead of growing for ever."""

_HEALTH = ("Heartbeat", "Healthcheck")


Call = tuple[int, Callable[[Any, Any], Any], bool]
"""One handler to call: number of the handler object, function, whether it is a coroutine function."""


class Step:
    """One handler name in the course of a transition, with everything that is bound to it.

    Attributes:
        name: e.g. "FooEnter".
        phase: "exit", "enter", "self", "pair", "any", "end" or "state".
        owner: the state whose context its event has, -1 for none: the second state of a pair.
        other: the first state of a pair, else -1.
        calls: in binding order.
    """

    __slots__ = ("calls", "name", "other", "owner", "phase")

    def __init__(self, name: str, phase: str, owner: int, other: int, calls: tuple[Call, ...]) -> None:
        self.name = name
        self.phase = phase
        self.owner = owner
        self.other = other
        self.calls = calls


class Node:
    """One configuration.

    Attributes:
        active: active states, in order.
        plans: for add, remove and set: called names -> plan.
        autos: Auto states to try from here; None until asked for.
    """

    __slots__ = ("active", "adds", "autos", "removes", "sets")

    def __init__(self, active: Numbers) -> None:
        self.active = active
        self.adds: dict[tuple[str, ...], Plan] = {}
        self.removes: dict[tuple[str, ...], Plan] = {}
        self.sets: dict[tuple[str, ...], Plan] = {}
        self.autos: Numbers | None = None

    def plans(self, kind: str) -> dict[tuple[str, ...], Plan]:
        """The plans of one kind of mutation."""
        return self.adds if kind == ADD else self.removes if kind == REMOVE else self.sets


class Plan:
    """What one mutation does in one configuration.

    Attributes:
        kind, called: the mutation.
        called_numbers: the called states, each once.
        is_accepted: relations allow it.
        missing: called states that relations refuse.
        target: active states afterwards, in order.
        enters, exits: states whose handlers run.
        bumps: (state, ticks to add) of each state that ticks.
        mask: a bit for each state that ticks.
        next: the configuration afterwards.
        negotiation, finals: handlers that exist, in order.
        is_plain: no handler runs and no Auto state follows: applying bumps and next is all there is to do.
        makes_auto: Auto states may follow.
        result: what a mutation that is not vetoed returns.
        calls_exception: the mutation calls Exception.
    """

    __slots__ = (
        "bumps",
        "called",
        "called_numbers",
        "calls_exception",
        "enters",
        "exits",
        "finals",
        "is_accepted",
        "is_plain",
        "kind",
        "makes_auto",
        "mask",
        "missing",
        "negotiation",
        "next",
        "result",
        "target",
    )

    kind: str
    called: tuple[str, ...]
    called_numbers: Numbers
    calls_exception: bool
    is_accepted: bool
    missing: Numbers
    target: Numbers
    enters: Numbers
    exits: Numbers
    bumps: tuple[tuple[int, int], ...]
    mask: int
    next: Node
    negotiation: tuple[Step, ...]
    finals: tuple[Step, ...]
    is_plain: bool
    makes_auto: bool
    result: Result


class Automaton:
    """A compiled schema.

    Args:
        states: name -> State.
        name: of the schema, for machine ids.

    Attributes:
        relations: the compiled relations.
        machines: how many machines have been made, for their ids.
    """

    def __init__(self, states: Mapping[str, State], name: str) -> None:
        self.relations = Relations(states)
        self.states = states
        self.name = name
        self.exception = self.relations.index[EXCEPTION]
        self.machines = 0
        self._programs: dict[tuple[type, ...], Program] = {}
        self._tables: dict[type, HandlerTable] = {}

    @staticmethod
    def of(schema: type[Schema]) -> Automaton:
        """The automaton of a schema, compiled when first asked for and kept with it."""
        found = schema.__dict__.get("_automaton")
        if found is None:
            found = Automaton(schema.states, schema.__name__)
            schema._automaton = found  # type: ignore[attr-defined] # a cache, private to this module
        return found

    def program(self, classes: tuple[type, ...]) -> Program:
        """The configurations for machines that bind handlers of these classes, in this order."""
        found = self._programs.get(classes)
        if found is None:
            found = self._programs[classes] = Program(self, [self.table(cls) for cls in classes])
        return found

    def table(self, cls: type) -> HandlerTable:
        """The handlers of a class; raises HandlerNameError and HandlerError."""
        found = self._tables.get(cls)
        if found is None:
            found = self._tables[cls] = HandlerTable(cls, self.relations.names)
        return found


class Program:
    """The configurations of one schema for one combination of handler classes."""

    def __init__(self, automaton: Automaton, tables: list[HandlerTable]) -> None:
        self.automaton = automaton
        self.relations = automaton.relations
        self._tables = tables
        self._pairs = {
            (self.relations.index[a], self.relations.index[b]): name
            for table in tables
            for (a, b), name in table.pairs.items()
        }
        self._nodes: dict[Numbers, Node] = {}
        self._plans = 0
        self.has_handlers = any(table.by_name for table in tables)

    def node(self, active: Numbers) -> Node:
        """The configuration with these active states, in this order."""
        found = self._nodes.get(active)
        if found is None:
            found = self._nodes[active] = Node(active)
        return found

    def plan(self, node: Node, kind: str, called: tuple[str, ...], where: str) -> Plan:
        """What a mutation does in a configuration.

        Args:
            node: the configuration.
            kind: "add", "remove" or "set".
            called: names as the caller gave them.
            where: the machine, for the error.

        Raises:
            UnknownStateError: a called state does not exist.
        """
        plans = node.plans(kind)
        found = plans.get(called)
        if found is None:
            if self._plans >= MAX_PLANS:
                self._forget()
            found = plans[called] = self._make(node, kind, called, self.numbers(called, where))
            self._plans += 1
        return found

    def numbers(self, names: tuple[str, ...], where: str) -> Numbers:
        """Positions of states, each once; raises UnknownStateError."""
        index = self.relations.index
        try:
            return tuple(dict.fromkeys(index[name] for name in names))
        except (KeyError, TypeError):
            unknown = next(name for name in names if not isinstance(name, str) or name not in index)
            raise UnknownStateError(unknown, where, self.relations.names) from None

    def names(self, numbers: Numbers) -> tuple[str, ...]:
        """Names of states."""
        names = self.relations.names
        return tuple(names[number] for number in numbers)

    def autos(self, node: Node) -> Numbers:
        """Auto states to try in a configuration."""
        if node.autos is None:
            node.autos = self.relations.autos(node.active)
        return node.autos

    def _forget(self) -> None:
        """Start over. Old nodes hold plans that lead to other old nodes, so those go too."""
        for node in self._nodes.values():
            for plans in (node.adds, node.removes, node.sets):
                plans.clear()
        self._nodes.clear()
        self._plans = 0

    def _make(self, node: Node, kind: str, called: tuple[str, ...], numbers: Numbers) -> Plan:
        relations, active = self.relations, node.active
        resolution = relations.resolve(active, kind, numbers)
        target = resolution.target
        plan = Plan()
        plan.kind, plan.called, plan.called_numbers = kind, called, numbers
        plan.calls_exception = kind != REMOVE and self.automaton.exception in numbers
        plan.missing, plan.is_accepted, plan.target = resolution.missing, not resolution.missing, target
        was, will_be = set(active), set(target)
        again = {s for s in numbers if relations.multi[s]} & was if kind != REMOVE else set()
        plan.enters = tuple(s for s in target if s not in was or s in again)
        plan.exits = relations.sort(s for s in active if s not in will_be)
        plan.bumps = tuple((s, 2 if s in was else 1) for s in plan.enters) + tuple((s, 1) for s in plan.exits)
        plan.mask = sum(1 << s for s, _ in plan.bumps)
        plan.result = Result.EXECUTED if plan.is_accepted else Result.CANCELED
        plan.negotiation = self._negotiation(plan, active)
        plan.finals = self._finals(plan)
        plan.next = self.node(target) if plan.is_accepted else node
        is_health = kind == ADD and len(called) == 1 and called[0] in _HEALTH
        plan.makes_auto = plan.is_accepted and bool(plan.bumps) and not is_health and bool(self.autos(plan.next))
        plan.is_plain = not plan.is_accepted or not (plan.negotiation or plan.finals or plan.makes_auto)
        if not plan.is_accepted and plan.is_plain:
            plan.bumps, plan.mask = (), 0
        return plan

    def _negotiation(self, plan: Plan, active: Numbers) -> tuple[Step, ...]:
        if not self.has_handlers:
            return ()
        names = self.relations.names
        steps = [self._step(f"{names[s]}Exit", "exit", s) for s in plan.exits]
        steps += [self._step(f"{names[s]}Enter", "enter", s) for s in plan.enters]
        if self._pairs:
            if plan.kind != REMOVE:
                steps += [self._pair("self", s, s) for s in plan.target if s in active]
            steps += [self._pair("pair", x, y) for x in active for y in plan.target if x != y]
        steps.append(self._step(ANY_ENTER, "any", -1))
        return tuple(step for step in steps if step is not None)

    def _finals(self, plan: Plan) -> tuple[Step, ...]:
        if not self.has_handlers:
            return ()
        names = self.relations.names
        steps = [self._step(f"{names[s]}End", "end", s) for s in plan.exits]
        steps += [self._step(f"{names[s]}State", "state", s) for s in plan.enters]
        steps.append(self._step(ANY_STATE, "any", -1))
        return tuple(step for step in steps if step is not None)

    def _pair(self, phase: str, x: int, y: int) -> Step | None:
        name = self._pairs.get((x, y))
        return None if name is None else self._step(name, phase, y, x)

    def _step(self, name: str, phase: str, owner: int, other: int = -1) -> Step | None:
        calls = tuple((n, *table.by_name[name]) for n, table in enumerate(self._tables) if name in table.by_name)
        return Step(name, phase, owner, other, calls) if calls else None


__all__ = ["ADD", "MAX_PLANS", "REMOVE", "SET", "Automaton", "Call", "Node", "Plan", "Program", "Step"]
