"""The handlers of bound objects: found by name, checked, and put into tables.

Reads handler names, checks them against the schema and builds one table per combination of handler classes. Knows
nothing of transitions or loops; a coroutine function becomes a step that hands its coroutine to the machine.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncmachine.errors import HandlerError, HandlerNameError, close_matches
from asyncmachine.schema import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ANY = -1


class Step(NamedTuple):
    """One handler to call: its name, the function, the position of its object, and the state it speaks for."""

    name: str
    function: Callable[[Any, Any], Any]
    slot: int
    state: int


class Role(NamedTuple):
    """What a handler name means: a suffix of state `first`, a pair, or one of the Any handlers (`first` is -1)."""

    suffix: str
    first: int
    second: int


def parse(name: str, index: dict[str, int]) -> Role | None:
    """Return the role of a handler name, None if it names no handler of these states."""
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            stem = name[: -len(suffix)]
            if stem in index:
                return Role(suffix, index[stem], ANY)
            if stem == "Any" and suffix in ("Enter", "State"):
                return Role(suffix, ANY, ANY)
    for end in range(1, len(name)):
        if name[:end] in index and name[end:] in index:
            return Role("", index[name[:end]], index[name[end:]])
    return None


def handler_names(handlers: object, index: dict[str, int]) -> tuple[tuple[str, Role], ...]:
    """Return the handlers an object has, by name, after checking all of them.

    Raises:
        HandlerNameError: A CamelCase method ends like a handler and names no state.
        HandlerError: A negotiation handler is a coroutine function.
    """
    owner = type(handlers).__name__
    found: list[tuple[str, Role]] = []
    for name in dir(handlers):
        if not name[0].isupper() or not callable(getattr(handlers, name)):
            continue
        role = parse(name, index)
        if role is None:
            if name.endswith(SUFFIXES):
                raise HandlerNameError(name, owner, close_matches(name, _candidates(name, index)))
            continue
        if role.suffix not in ("State", "End") and inspect.iscoroutinefunction(getattr(handlers, name)):
            raise HandlerError("a negotiation handler cannot be a coroutine function", handler=name, owner=owner)
        found.append((name, role))
    return tuple(found)


def _candidates(name: str, index: dict[str, int]) -> Iterable[str]:
    suffix = next(suffix for suffix in SUFFIXES if name.endswith(suffix))
    return (state + suffix for state in index)


class ClassHandlers(NamedTuple):
    """The handlers of one class of objects: each name, its role and its function of (object, event)."""

    functions: tuple[tuple[str, Role, Callable[[Any, Any], Any]], ...]


def class_handlers(handlers: object, index: dict[str, int], multi_mask: int) -> ClassHandlers:
    """Resolve the handler functions of an object so that equal objects can share them.

    The activations of a Multi state are events and not spans, so tasks of its async handlers, like those of AnyState,
    are bound to the machine's life.
    """
    functions = []
    for name, role in handler_names(handlers, index):
        function = _function(handlers, name)
        if inspect.iscoroutinefunction(getattr(handlers, name)):
            bound_to = ANY if role.first < 0 or multi_mask >> role.first & 1 else role.first
            function = _task_starter(function, bound_to, name)
        functions.append((name, role, function))
    return ClassHandlers(tuple(functions))


def binding_id(handlers: object, number: int) -> str:
    """Return the id of an object bound without one, after so many others."""
    return f"{type(handlers).__name__}-{number}"


def sharing_key(handlers: object) -> object:
    """Return what two objects must have in common to share their handler functions: nearly always their class."""
    if isinstance(handlers, type):
        return handlers
    kind = type(handlers)
    own = getattr(handlers, "__dict__", None)
    if own:
        for name in own:
            if name[:1].isupper():
                return (kind, *_own_functions(own))
    return kind


def _own_functions(own: Mapping[str, Any]) -> Iterable[tuple[str, bool]]:
    """What of an object's own attributes may be handlers, and which of those are coroutine functions."""
    return sorted((n, inspect.iscoroutinefunction(v)) for n, v in own.items() if n[:1].isupper() and callable(v))


def _function(handlers: object, name: str) -> Callable[[Any, Any], Any]:
    static = inspect.getattr_static(handlers, name)
    if isinstance(static, FunctionType) and name not in getattr(handlers, "__dict__", {}):
        return static

    def call(owner: Any, event: Any) -> Any:
        return getattr(owner, name)(event)

    return call


def _task_starter(function: Callable[[Any, Any], Any], state: int, name: str) -> Callable[[Any, Any], Any]:
    def start(owner: Any, event: Any) -> None:
        event.start_task(function(owner, event), state, name)

    return start


class HandlerTable:
    """All handlers of a machine's bound objects, ready to be put into plans.

    Args:
        count: Number of states.
        bound: The handlers of each bound object, in binding order.
    """

    __slots__ = ("any_enter", "any_state", "empty", "end", "enter", "exit", "pairs", "selfs", "state")

    def __init__(self, count: int, bound: tuple[ClassHandlers, ...]) -> None:
        self.enter: list[tuple[Step, ...]] = [()] * count
        self.exit: list[tuple[Step, ...]] = [()] * count
        self.state: list[tuple[Step, ...]] = [()] * count
        self.end: list[tuple[Step, ...]] = [()] * count
        self.selfs: dict[int, tuple[Step, ...]] = {}
        self.pairs: dict[tuple[int, int], tuple[Step, ...]] = {}
        self.any_enter: tuple[Step, ...] = ()
        self.any_state: tuple[Step, ...] = ()
        self.empty = not any(handlers.functions for handlers in bound)
        for slot, handlers in enumerate(bound):
            for name, role, function in handlers.functions:
                self._put(name, role, function, slot)

    def _put(self, name: str, role: Role, function: Callable[[Any, Any], Any], slot: int) -> None:
        suffix, first, second = role
        if not suffix:
            step = Step(name, function, slot, second)
            if first == second:
                self.selfs[first] = (*self.selfs.get(first, ()), step)
            else:
                self.pairs[first, second] = (*self.pairs.get((first, second), ()), step)
            return
        step = Step(name, function, slot, first)
        if first == ANY:
            if suffix == "Enter":
                self.any_enter += (step,)
            else:
                self.any_state += (step,)
            return
        per_state = {"Enter": self.enter, "Exit": self.exit, "State": self.state, "End": self.end}[suffix]
        per_state[first] += (step,)
