"""Precomputed effects of mutations, shared by all machines of a schema.

A `Configuration` is an ordered set of active states. A `Plan` is the effect of calling certain states in a configuration: the next
configuration, the ticks to increment, the handlers to call. Both are shared and immutable except for their bounded caches, and
independent of single machines, arguments and waits.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from asyncmachine.handlers import (
    ClassHandlers,
    HandlerTable,
    Step,
    are_current,
    binding_id,
    class_handlers,
    sharing_key,
)
from asyncmachine.relations import ADD, AUTO, REMOVE, SET, Relations, mask_of
from asyncmachine.schema import EXCEPTION, Schema, SchemaMeta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncmachine.relations import Blocked
    from asyncmachine.schema import State

PLAN_LIMIT: Final = 20_000
"""Maximal number of plans per cache; when it is reached, the cache is emptied."""
TABLE_LIMIT: Final = 64
"""Maximal number of combinations of handler classes kept per schema."""
TELL_ARGS: Final = -1
"""Slot of a step that is not a handler: notifies the waits for the arguments of its state."""
TELL_ERROR: Final = -2
"""Slot of the first step of a plan that adds Exception: logs the error if it is unhandled."""

HEALTH = ("Heartbeat", "Healthcheck")


class Plan:
    """The effect of one mutation in one configuration.

    Attributes:
        accepted: Whether relations allow it.
        is_check_accepted: Whether they allow a dry run of it.
        target: The next configuration.
        enters: States entered, in order; called active Multi states included.
        exits: States exited, in order.
        ticks: State numbers whose ticks are incremented; a re-entered Multi state occurs twice.
        negotiation: Negotiation handlers, in order.
        finals: Handlers to run after the commit, in order.
        finals_with_args: The same with a step of slot `TELL_ARGS` after those of each entered state; None until first requested.
        fast_ticks: If no handler takes part, all ticks to increment, including the auto transition's; else None.
        fast_target: The configuration after that.
        auto: Plan of the auto transition that follows, or None.
        commit: For an auto plan, the plan that is committed if no handler vetoes; else the plan itself.
    """

    __slots__ = (
        "accepted",
        "auto",
        "called",
        "calls_exception",
        "commit",
        "enter_mask",
        "enters",
        "exits",
        "fast_target",
        "fast_ticks",
        "finals",
        "finals_with_args",
        "is_check_accepted",
        "kind",
        "negotiation",
        "target",
        "ticks",
    )  # fmt: skip

    def __init__(
        self, kind: int, called: tuple[int, ...], target: Configuration, enters: tuple[int, ...], exits: tuple[int, ...]
    ) -> None:
        self.kind = kind
        self.called = called
        self.target = target
        self.enters = enters
        self.exits = exits
        self.enter_mask = mask_of(enters) if enters else 0
        self.accepted = self.is_check_accepted = True
        self.calls_exception = False
        self.ticks: tuple[int, ...] = ()
        self.negotiation: tuple[Step, ...] = ()
        self.finals: tuple[Step, ...] = ()
        self.finals_with_args: tuple[Step, ...] | None = None
        self.fast_ticks: tuple[int, ...] | None = None
        self.fast_target = target
        self.auto: Plan | None = None
        self.commit = self

    @property
    def is_bare(self) -> bool:
        """Whether no handler takes part in it."""
        return not self.negotiation and not self.commit.finals


class Configuration:
    """One configuration: the ordered active states, and the known plans from it.

    Attributes:
        active: Active state numbers in order.
        mask: The same as a bit mask.
        names: The same as a set of names.
        adds: Plans of add mutations by called names; `removes` and `sets` likewise.
        autos: Plans of auto mutations by called state numbers.
        auto: The plan of the auto mutation due here; None if no Auto state is a candidate or it is not yet computed.
    """

    __slots__ = ("active", "adds", "auto", "autos", "is_auto_known", "mask", "names", "removes", "sets", "tables")

    def __init__(self, active: tuple[int, ...], names: frozenset[str]) -> None:
        self.active = active
        self.mask = mask_of(active)
        self.names = names
        self.adds: dict[tuple[str, ...], Plan] = {}
        self.removes: dict[tuple[str, ...], Plan] = {}
        self.sets: dict[tuple[str, ...], Plan] = {}
        self.tables = (self.adds, self.removes, self.sets)
        self.autos: dict[tuple[int, ...], Plan] = {}
        self.auto: Plan | None = None
        self.is_auto_known = False

    def forget(self) -> None:
        """Drop all plans, and with them the references to other configurations."""
        self.adds.clear()
        self.removes.clear()
        self.sets.clear()
        self.autos.clear()
        self.auto = None
        self.is_auto_known = False


class CompiledSchema:
    """A schema with its relations as numbers and one cache of plans per combination of handler classes."""

    __slots__ = ("bare", "classes", "exception", "health", "index", "names", "plan_caches", "relations", "schema")

    def __init__(self, schema: SchemaMeta) -> None:
        self.schema = schema
        self.names = schema.names
        self.index = {name: number for number, name in enumerate(schema.names)}
        self.exception = self.index[EXCEPTION]
        self.health = tuple(self.index[name] for name in HEALTH if name in self.index)
        self.relations = Relations(schema)
        self.plan_caches: dict[tuple[object, ...], PlanCache] = {}
        self.classes: dict[object, ClassHandlers] = {}
        self.bare = PlanCache(self, HandlerTable(len(self.names), ()))

    def plan_cache(self, bound: tuple[object, ...]) -> PlanCache:
        """Return the plans for these handler objects, shared by all machines with objects of the same classes.

        Raises:
            HandlerError: One of the objects cannot be bound.
        """
        if not bound:
            return self.bare
        keys = tuple(map(sharing_key, bound))
        cache = self.plan_caches.get(keys)
        if cache is None or not are_current(cache.sources):
            tables = tuple(self._class_handlers(key, handlers) for key, handlers in zip(keys, bound, strict=True))
            cache = PlanCache(self, HandlerTable(len(self.names), tables), bound, tables)
            if are_current(tables):  # else an object with the same keys may have different handlers
                if len(self.plan_caches) >= TABLE_LIMIT:
                    self.plan_caches.clear()
                self.plan_caches[keys] = cache
        return cache

    def _class_handlers(self, key: object, handlers: object) -> ClassHandlers:
        found = self.classes.get(key)
        if found is None or not are_current((found,)):
            found = class_handlers(handlers, self.index, self.relations.multi_mask)
            if are_current((found,)):
                if len(self.classes) >= TABLE_LIMIT:
                    self.classes.clear()
                self.classes[key] = found
        return found


class PlanCache:
    """Configurations and plans of one schema with one set of handlers.

    Args:
        compiled: The schema.
        table: Its handlers.
        bound: Objects with these handlers, in binding order.
        sources: The handlers found in them.

    Attributes:
        ids: Default ids of these objects.
    """

    __slots__ = ("compiled", "configurations", "empty", "ids", "known", "relations", "sources", "table")

    def __init__(
        self,
        compiled: CompiledSchema,
        table: HandlerTable,
        bound: tuple[object, ...] = (),
        sources: tuple[ClassHandlers, ...] = (),
    ) -> None:
        self.sources = sources
        self.ids = tuple([binding_id(handlers, number) for number, handlers in enumerate(bound)])
        self.compiled = compiled
        self.relations = compiled.relations
        self.table = table
        self.configurations: dict[tuple[int, ...], Configuration] = {}
        self.known = 0
        self.empty = self.configuration(())

    def configuration(self, active: tuple[int, ...]) -> Configuration:
        """Return the configuration of these active states, in this order."""
        configuration = self.configurations.get(active)
        if configuration is None:
            names = self.compiled.names
            configuration = self.configurations[active] = Configuration(
                active, frozenset([names[state] for state in active])
            )
        return configuration

    def plan(self, configuration: Configuration, kind: int, called: tuple[str, ...]) -> Plan:
        """Make, cache and return the plan of a mutation by names.

        Raises:
            KeyError: A name is not a state.
        """
        index = self.compiled.index
        numbers = tuple(dict.fromkeys([index[name] for name in called]))
        names = self.compiled.names
        canonical = tuple([names[number] for number in numbers])
        plans = configuration.tables[kind]
        plan = plans.get(canonical)
        if plan is None:
            plan = self._make(configuration, kind, numbers)
            self._admit(configuration)
            plans[canonical] = plan
        if canonical != called:
            self._admit(configuration)
            plans[called] = plan
        return plan

    def auto(self, configuration: Configuration) -> Plan | None:
        """Return the plan of the auto mutation due in this configuration; None if no Auto state is a candidate."""
        if not configuration.is_auto_known:
            candidates, _ = self.relations.blocked_autos(configuration.mask)
            configuration.auto = self.auto_plan(configuration, candidates) if candidates else None
            configuration.is_auto_known = True
        return configuration.auto

    def auto_plan(self, configuration: Configuration, called: tuple[int, ...]) -> Plan:
        """Return the plan of an auto mutation calling these states."""
        plan = configuration.autos.get(called)
        if plan is None:
            plan = self._make(configuration, AUTO, called)
            self._admit(configuration)
            configuration.autos[called] = plan
        return plan

    def blocked(self, configuration: Configuration, plan: Plan) -> tuple[Blocked, ...]:
        """Return why relations refuse a plan of this configuration."""
        names = self.compiled.names
        return self.relations.blocked(configuration.active, configuration.mask, plan.kind, plan.called, names)

    def is_idempotent(self, kind: int, called: tuple[str, ...]) -> bool:
        """Return whether repeating a mutation immediately has no effect, in any configuration.

        The test is sufficient, not necessary. No mutation comes between the two, as there are no Auto states and no
        handler can fail; no handler can refuse the first and accept the second, and the second calls none; no called
        state is Multi, so none is re-entered; and without `Add` (of the called states) and `After`, resolving relations
        again gives the same states in the same order.
        """
        relations, table, index = self.relations, self.table, self.compiled.index
        numbers = [index[name] for name in called]
        if relations.auto_mask or any(relations.after) or relations.multi_mask & mask_of(numbers):
            return False
        if kind != REMOVE and any(relations.adds[state] for state in numbers):
            return False
        if table.empty:
            return True
        if table.any_enter or table.any_state or table.pairs or table.selfs or any(table.exit) or any(table.end):
            return False
        return kind == REMOVE or not any(table.enter[state] or table.state[state] for state in numbers)

    def _admit(self, configuration: Configuration) -> None:
        """Count one more plan; at the limit, empty the cache, including links between configurations."""
        self.known += 1
        if self.known > PLAN_LIMIT:
            for old in self.configurations.values():
                old.forget()
            configuration.forget()
            self.empty.forget()
            self.configurations = {(): self.empty}
            self.known = 1

    def _make(self, configuration: Configuration, kind: int, called: tuple[int, ...]) -> Plan:
        relations = self.relations
        active_mask = configuration.mask
        target_configuration = self.configuration(relations.resolve(configuration.active, active_mask, kind, called))
        target, target_mask = target_configuration.active, target_configuration.mask
        reentered = relations.multi_mask & mask_of(called) if kind in (ADD, SET) else 0
        entered = target_mask & ~active_mask | reentered & target_mask
        enters = tuple([s for s in target if entered >> s & 1]) if entered else ()
        exits: tuple[int, ...] = ()
        if active_mask & ~target_mask:
            exits = tuple(relations.sort([s for s in configuration.active if not target_mask >> s & 1]))
        plan = Plan(kind, called, target_configuration, enters, exits)
        plan.accepted = self._is_accepted(kind, called, target_mask)
        plan.is_check_accepted = plan.accepted or bool(relations.multi_mask & mask_of(called))
        plan.calls_exception = kind in (ADD, SET) and self.compiled.exception in called
        plan.ticks = exits + enters
        if entered & active_mask:
            plan.ticks += tuple([s for s in enters if active_mask >> s & 1])
        if kind == AUTO and plan.accepted:
            remaining = tuple([s for s in called if target_mask >> s & 1])
            if remaining != called:
                plan.commit = self.auto_plan(configuration, remaining)
        if not self.table.empty:
            plan.negotiation = self.negotiation(configuration, plan, target)
        if not self.table.empty or plan.calls_exception:
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
        """Find the auto transition that follows, and merge it if no handler takes part."""
        is_health = plan.kind == ADD and len(plan.called) == 1 and plan.called[0] in self.compiled.health
        auto = self.auto(plan.target) if plan.ticks and not is_health else None
        plan.auto = auto
        if plan.negotiation or plan.finals:
            return
        if auto is None or not auto.accepted:
            plan.fast_ticks = plan.ticks
        elif auto.is_bare:
            plan.fast_ticks = plan.ticks + auto.commit.ticks
            plan.fast_target = auto.commit.target

    def negotiation(self, configuration: Configuration, plan: Plan, target: tuple[int, ...]) -> tuple[Step, ...]:
        """Return the negotiation handlers in call order."""
        table = self.table
        steps: list[Step] = []
        for state in plan.exits:
            steps += table.exit[state]
        for state in plan.enters:
            steps += table.enter[state]
        steps += self.selfs(configuration, plan.kind, target)
        steps += self.pairs(configuration, target)
        steps += table.any_enter
        return tuple(steps)

    def selfs(self, configuration: Configuration, kind: int, target: tuple[int, ...]) -> list[Step]:
        """Return the self handlers (XX) of kept states; remove mutations have none."""
        selfs = self.table.selfs
        if not selfs or kind == REMOVE:
            return []
        return [step for state in target if configuration.mask >> state & 1 for step in selfs.get(state, ())]

    def pairs(self, configuration: Configuration, target: tuple[int, ...]) -> list[Step]:
        """Return the pair handlers (XY) from states active before to target states."""
        pairs = self.table.pairs
        if not pairs:
            return []
        return [step for x in configuration.active for y in target for step in pairs.get((x, y), ())]

    def finals_with_args(self, plan: Plan) -> tuple[Step, ...]:
        """Return the final handlers with a step of slot `TELL_ARGS` after those of each entered state."""
        known = plan.finals_with_args
        if known is not None:
            return known
        table = self.table
        steps = self._first_finals(plan)
        for state in plan.enters:
            steps += table.state[state]
            steps.append(("", _no_handler, TELL_ARGS, state))
        steps += table.any_state
        plan.finals_with_args = tuple(steps)
        return plan.finals_with_args

    def _finals(self, plan: Plan) -> tuple[Step, ...]:
        table = self.table
        steps = self._first_finals(plan)
        for state in plan.enters:
            steps += table.state[state]
        steps += table.any_state
        return tuple(steps)

    def _first_finals(self, plan: Plan) -> list[Step]:
        """Return the final steps before those of the entered states."""
        steps: list[Step] = []
        if plan.calls_exception and plan.kind == ADD:
            steps.append(("", _no_handler, TELL_ERROR, self.compiled.exception))
        for state in plan.exits:
            steps += self.table.end[state]
        return steps


def _no_handler(owner: Any, event: Any) -> None:  # pragma: no cover - the runtime recognises such a step by its slot
    """Placeholder for the handler of a step that is not a handler."""


_INTERNED: WeakValueDictionary[Any, SchemaMeta] = WeakValueDictionary()


def compile_schema(schema: type[Schema] | Mapping[str, State | Mapping[str, Any]]) -> CompiledSchema:
    """Return the compiled form of a schema, made on first use and shared.

    Equal plain mappings share one compiled schema.

    Raises:
        SchemaError: A mapping contradicts itself.
    """
    declared = schema if isinstance(schema, SchemaMeta) else _interned(schema)
    found: CompiledSchema | None = declared.__dict__.get("_compiled")
    if found is None:
        found = CompiledSchema(declared)
        declared.keep_compiled(found)
    return found


def _interned(mapping: Mapping[str, State | Mapping[str, Any]]) -> SchemaMeta:
    key: object
    try:
        # the cheapest faithful key of plain data; version 2 ignores identity
        key = marshal.dumps(mapping, 2)  # type: ignore[arg-type]  # unsupported objects raise ValueError, as below
    except ValueError:
        key = tuple((name, repr(value)) for name, value in mapping.items())
    schema = _INTERNED.get(key)
    if schema is None:
        schema = _INTERNED[key] = Schema.of(mapping)
    return schema
