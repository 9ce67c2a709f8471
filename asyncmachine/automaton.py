"""What does a mutation do in a given configuration, decided once for all machines of a schema?

A `Node` is an ordered set of active states; a `Plan` is everything that follows from calling certain states there:
the next node, the ticks to increment, the handlers to call. Both are shared and immutable but for their caches, which
are bounded. Knows nothing of a single machine, its arguments or who waits for it.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from asyncmachine.handlers import ClassHandlers, HandlerTable, Step, binding_id, class_handlers, sharing_key
from asyncmachine.relations import ADD, AUTO, REMOVE, SET, Relations, mask_of
from asyncmachine.schema import EXCEPTION, Schema, SchemaMeta

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from asyncmachine.schema import State

PLAN_LIMIT: Final = 20_000
"""Plans kept per automaton; when it is reached, everything remembered is dropped and learnt again."""
TABLE_LIMIT: Final = 64
"""Combinations of handler classes kept per schema."""

HEALTH = ("Heartbeat", "Healthcheck")


class Plan:
    """What one mutation does in one configuration.

    Attributes:
        accepted: Relations allow it.
        target: The next node.
        enters: States entered, in order; called active Multi states included.
        exits: States exited, in order.
        ticks: State numbers to increment, one by one; a re-entered Multi state occurs twice.
        negotiation: Handlers to ask, in order.
        finals: Handlers to run after the commit, in order.
        quick: If nothing but arithmetic happens, all ticks of it, the auto transition's included; else None.
        quick_target: The node after that.
        auto: Plan of the auto transition that follows, or None.
        commit: For an auto plan, the plan that is committed when nobody vetoes; else the plan itself.
    """

    __slots__ = (
        "accepted", "auto", "called", "calls_exception", "commit", "enter_mask", "enters", "exits", "finals", "kind",
        "negotiation", "quick", "quick_target", "target", "ticks",
    )  # fmt: skip

    def __init__(
        self, kind: int, called: tuple[int, ...], target: Node, enters: tuple[int, ...], exits: tuple[int, ...]
    ) -> None:
        self.kind = kind
        self.called = called
        self.target = target
        self.enters = enters
        self.exits = exits
        self.enter_mask = mask_of(enters) if enters else 0
        self.accepted = True
        self.calls_exception = False
        self.ticks: tuple[int, ...] = ()
        self.negotiation: tuple[Step, ...] = ()
        self.finals: tuple[Step, ...] = ()
        self.quick: tuple[int, ...] | None = None
        self.quick_target = target
        self.auto: Plan | None = None
        self.commit = self

    @property
    def bare(self) -> bool:
        """No handler takes part in it."""
        return not self.negotiation and not self.commit.finals


class Node:
    """One configuration: the ordered active states, and the plans known from here.

    Attributes:
        active: Active state numbers in order.
        mask: The same as a bit mask.
        names: The same as a set of names.
        adds: Plans of add mutations by called names; `removes` and `sets` likewise.
        autos: Plans of auto mutations by called state numbers.
    """

    __slots__ = ("active", "adds", "auto", "autos", "mask", "names", "removes", "sets", "tables")

    def __init__(self, active: tuple[int, ...], names: frozenset[str]) -> None:
        self.active = active
        self.mask = mask_of(active)
        self.names = names
        self.adds: dict[tuple[str, ...], Plan] = {}
        self.removes: dict[tuple[str, ...], Plan] = {}
        self.sets: dict[tuple[str, ...], Plan] = {}
        self.tables = (self.adds, self.removes, self.sets)
        self.autos: dict[tuple[int, ...], Plan] = {}
        self.auto: Plan | bool | None = False  # False: not computed yet

    def forget(self) -> None:
        """Drop all plans, so that this node keeps no other node alive."""
        self.adds.clear()
        self.removes.clear()
        self.sets.clear()
        self.autos.clear()
        self.auto = False


class Compiled:
    """A schema with its relations as numbers and one automaton per combination of handler classes."""

    __slots__ = ("automata", "bare", "classes", "exception", "health", "index", "names", "relations", "schema")

    def __init__(self, schema: SchemaMeta) -> None:
        self.schema = schema
        self.names = schema.names
        self.index = {name: number for number, name in enumerate(schema.names)}
        self.exception = self.index[EXCEPTION]
        self.health = tuple(self.index[name] for name in HEALTH if name in self.index)
        self.relations = Relations(schema)
        self.automata: dict[tuple[object, ...], Automaton] = {}
        self.classes: dict[object, ClassHandlers] = {}
        self.bare = Automaton(self, HandlerTable(len(self.names), ()))

    def automaton(self, bound: tuple[object, ...]) -> Automaton:
        """Return the automaton for these handler objects, shared by all machines with objects of the same classes.

        Raises:
            HandlerError: One of the objects cannot be bound.
        """
        if not bound:
            return self.bare
        keys = tuple(map(sharing_key, bound))
        automaton = self.automata.get(keys)
        if automaton is None:
            tables = tuple(self._class_handlers(key, handlers) for key, handlers in zip(keys, bound, strict=True))
            automaton = Automaton(self, HandlerTable(len(self.names), tables), bound)
            if len(self.automata) >= TABLE_LIMIT:
                self.automata.clear()
            self.automata[keys] = automaton
        return automaton

    def _class_handlers(self, key: object, handlers: object) -> ClassHandlers:
        found = self.classes.get(key)
        if found is None:
            found = class_handlers(handlers, self.index, self.relations.multi_mask)
            if len(self.classes) >= TABLE_LIMIT:
                self.classes.clear()
            self.classes[key] = found
        return found


class Automaton:
    """Nodes and plans of one schema with one set of handlers.

    Args:
        compiled: The schema.
        table: Its handlers.
        bound: Objects that have them, in binding order.

    Attributes:
        ids: What such objects are called when they are bound without an id.
    """

    __slots__ = ("compiled", "empty", "ids", "known", "nodes", "relations", "table")

    def __init__(self, compiled: Compiled, table: HandlerTable, bound: tuple[object, ...] = ()) -> None:
        self.ids = tuple([binding_id(handlers, number) for number, handlers in enumerate(bound)])
        self.compiled = compiled
        self.relations = compiled.relations
        self.table = table
        self.nodes: dict[tuple[int, ...], Node] = {}
        self.known = 0
        self.empty = self.node(())

    def node(self, active: tuple[int, ...]) -> Node:
        """Return the node of these active states, in this order."""
        node = self.nodes.get(active)
        if node is None:
            names = self.compiled.names
            node = self.nodes[active] = Node(active, frozenset([names[state] for state in active]))
        return node

    def plan(self, node: Node, kind: int, called: tuple[str, ...]) -> Plan:
        """Return the plan of a mutation by names, making and remembering it.

        Raises:
            KeyError: A name is not a state.
        """
        index = self.compiled.index
        numbers = tuple(dict.fromkeys([index[name] for name in called]))
        names = self.compiled.names
        canonical = tuple([names[number] for number in numbers])
        plans = node.tables[kind]
        plan = plans.get(canonical)
        if plan is None:
            plan = self._make(node, kind, numbers)
            self._admit(node)
            plans[canonical] = plan
        if canonical != called:
            self._admit(node)
            plans[called] = plan
        return plan

    def auto(self, node: Node) -> Plan | None:
        """Return the plan of the auto mutation due in this node, None if no Auto state is a candidate."""
        if node.auto is False:
            candidates, _ = self.relations.blocked_autos(node.mask)
            node.auto = self.auto_plan(node, candidates) if candidates else None
        return node.auto  # type: ignore[return-value]  # True never occurs: bool stands for "not computed"

    def auto_plan(self, node: Node, called: tuple[int, ...]) -> Plan:
        """Return the plan of an auto mutation calling these states."""
        plan = node.autos.get(called)
        if plan is None:
            plan = self._make(node, AUTO, called)
            self._admit(node)
            node.autos[called] = plan
        return plan

    def _admit(self, node: Node) -> None:
        """Count one more plan; at the limit forget everything, links between nodes included."""
        self.known += 1
        if self.known > PLAN_LIMIT:
            for old in self.nodes.values():
                old.forget()
            node.forget()
            self.empty.forget()
            self.nodes = {(): self.empty}
            self.known = 1

    def _make(self, node: Node, kind: int, called: tuple[int, ...]) -> Plan:
        relations = self.relations
        active_mask = node.mask
        target_node = self.node(relations.resolve(node.active, active_mask, kind, called))
        target, target_mask = target_node.active, target_node.mask
        reentered = relations.multi_mask & mask_of(called) if kind in (ADD, SET) else 0
        entered = target_mask & ~active_mask | reentered & target_mask
        enters = tuple([s for s in target if entered >> s & 1]) if entered else ()
        exits: tuple[int, ...] = ()
        if active_mask & ~target_mask:
            exits = tuple(relations.sort([s for s in node.active if not target_mask >> s & 1]))
        plan = Plan(kind, called, target_node, enters, exits)
        plan.accepted = self._is_accepted(kind, called, target_mask)
        plan.calls_exception = kind in (ADD, SET) and self.compiled.exception in called
        plan.ticks = exits + enters
        if entered & active_mask:
            plan.ticks += tuple([s for s in enters if active_mask >> s & 1])
        if kind == AUTO and plan.accepted:
            remaining = tuple([s for s in called if target_mask >> s & 1])
            if remaining != called:
                plan.commit = self.auto_plan(node, remaining)
        if not self.table.empty:
            plan.negotiation = self.negotiation(node, plan, target)
            plan.finals = self._finals(plan)
        if kind != AUTO and plan.accepted:
            self._add_auto(plan)
        return plan

    def _is_accepted(self, kind: int, called: tuple[int, ...], target_mask: int) -> bool:
        if kind == REMOVE or not called:
            return True
        inside = mask_of(called) & target_mask
        return inside != 0 if kind == AUTO else inside == mask_of(called)

    def _add_auto(self, plan: Plan) -> None:
        """Find the auto transition that follows, and merge it if nothing but arithmetic happens."""
        is_health = plan.kind == ADD and len(plan.called) == 1 and plan.called[0] in self.compiled.health
        auto = self.auto(plan.target) if plan.ticks and not is_health else None
        plan.auto = auto
        if plan.negotiation or plan.finals:
            return
        if auto is None or not auto.accepted:
            plan.quick = plan.ticks
        elif auto.bare:
            plan.quick = plan.ticks + auto.commit.ticks
            plan.quick_target = auto.commit.target

    def negotiation(self, node: Node, plan: Plan, target: tuple[int, ...]) -> tuple[Step, ...]:
        """Return the negotiation handlers in the order they are asked."""
        table = self.table
        steps: list[Step] = []
        for state in plan.exits:
            steps += table.exit[state]
        for state in plan.enters:
            steps += table.enter[state]
        steps += self.selfs(node, plan.kind, target)
        steps += self.pairs(node, target)
        steps += table.any_enter
        return tuple(steps)

    def selfs(self, node: Node, kind: int, target: tuple[int, ...]) -> list[Step]:
        """Return the self handlers (XX) of kept states; remove mutations have none."""
        selfs = self.table.selfs
        if not selfs or kind == REMOVE:
            return []
        return [step for state in target if node.mask >> state & 1 for step in selfs.get(state, ())]

    def pairs(self, node: Node, target: tuple[int, ...]) -> list[Step]:
        """Return the pair handlers (XY) from states active before to target states."""
        pairs = self.table.pairs
        if not pairs:
            return []
        return [step for x in node.active for y in target for step in pairs.get((x, y), ())]

    def _finals(self, plan: Plan) -> tuple[Step, ...]:
        table = self.table
        steps: list[Step] = []
        for state in plan.exits:
            steps += table.end[state]
        for state in plan.enters:
            steps += table.state[state]
        steps += table.any_state
        return tuple(steps)


_INTERNED: WeakValueDictionary[Any, SchemaMeta] = WeakValueDictionary()


def compiled(schema: type[Schema] | Mapping[str, State | Mapping[str, Any]]) -> Compiled:
    """Return the compiled form of a schema, made on first use and shared from then on.

    Equal plain mappings share one compiled schema.

    Raises:
        SchemaError: A mapping contradicts itself.
    """
    declared = schema if isinstance(schema, SchemaMeta) else _interned(schema)
    found: Compiled | None = declared.__dict__.get("_compiled")
    if found is None:
        found = Compiled(declared)
        type.__setattr__(declared, "_compiled", found)
    return found


def _interned(mapping: Mapping[str, State | Mapping[str, Any]]) -> SchemaMeta:
    key: object
    try:
        # the cheapest faithful key of plain data; version 2 ignores identity
        key = marshal.dumps(mapping, 2)  # type: ignore[arg-type]  # what it cannot write raises ValueError, as below
    except ValueError:
        key = tuple((name, repr(value)) for name, value in mapping.items())
    schema = _INTERNED.get(key)
    if schema is None:
        schema = _INTERNED[key] = Schema.of(mapping)
    return schema
