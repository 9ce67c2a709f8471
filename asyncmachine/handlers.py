"""Discovery of handlers by name, their checks, and handler tables.

Handler names are checked against the schema, and one table is built per combination of handler classes. A coroutine function
becomes a step that passes its coroutine to the machine.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Generator
from functools import cached_property, partial, partialmethod, singledispatchmethod
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, MemberDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from asyncmachine.errors import HandlerError, HandlerNameError, close_matches
from asyncmachine.schema import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ANY = -1
_PLAIN: Final = (object, type, ModuleType)
"""Classes with the default `dir`."""


Step: TypeAlias = tuple[str, "Callable[[Any, Any], Any]", int, int]
"""One handler call: the handler's name, its function, the position of its object, and its state.

A plain tuple: CPython 3.11 unpacks other classes of tuples through an iterator (`UNPACK_SEQUENCE_TUPLE` in ceval.c).
"""


class Role(NamedTuple):
    """The meaning of a handler name: a suffix of state `first`, a pair, or one of the Any handlers (`first` is -1)."""

    suffix: str
    first: int
    second: int


def parse(name: str, index: dict[str, int]) -> Role | None:
    """Return the role of a handler name; None if it is not a handler of these states."""
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


def handler_names(handlers: object, index: dict[str, int]) -> tuple[tuple[str, Role, object], ...]:
    """Return the handlers of an object after checking all of them: name, role and attribute.

    No property is evaluated, and `__getattr__` is called only for handler names that the object's own `__dir__` lists.

    Raises:
        HandlerNameError: A CamelCase method ends like a handler but does not name a state.
        HandlerError: A negotiation handler is a coroutine function; a handler is a generator function, which never runs, or a property.
    """
    owner = type(handlers).__name__
    found: list[tuple[str, Role, object]] = []
    for name in dir(handlers):
        if not name[0].isupper():
            continue
        role = parse(name, index)
        if role is None and not name.endswith(SUFFIXES):
            continue
        static = _under(handlers, name, evaluate=role is not None)
        if not _is_method(static):
            if role is None or not hasattr(type(static), "__get__"):
                continue
            if _is_property(static):
                raise HandlerError(
                    "a handler cannot be a property, which is never evaluated", handler=name, owner=owner
                )
        if role is None:
            raise HandlerNameError(name, owner, close_matches(name, _candidates(name, index)))
        function = _bare(static)
        if role.suffix not in ("State", "End") and inspect.iscoroutinefunction(function):
            raise HandlerError("a negotiation handler cannot be a coroutine function", handler=name, owner=owner)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise HandlerError("a handler cannot be a generator function, which never runs", handler=name, owner=owner)
        found.append((name, role, static))
    return tuple(found)


def _candidates(name: str, index: dict[str, int]) -> Iterable[str]:
    suffix = next(suffix for suffix in SUFFIXES if name.endswith(suffix))
    return (state + suffix for state in index)


def _under(handlers: object, name: str, *, evaluate: bool) -> object:
    """Return an attribute as stored in the object or its class; None if there is none."""
    try:
        static = inspect.getattr_static(handlers, name)
    except AttributeError:  # a proxy: the attributes it lists may be available through getattr only
        return getattr(handlers, name, None) if evaluate else None
    if isinstance(static, MemberDescriptorType):  # of `__slots__`: reading it runs no code
        try:
            return static.__get__(handlers, type(handlers))
        except AttributeError:
            return None
    return static


def _is_method(static: object) -> bool:
    """Return whether an attribute of a class or an object can be called as a method."""
    return callable(static) or isinstance(static, staticmethod | classmethod | partialmethod | singledispatchmethod)


def _is_property(static: object) -> bool:
    """Return whether an attribute of a class is a descriptor that computes a value."""
    kind = type(static)
    return isinstance(static, cached_property) or hasattr(kind, "__set__") or hasattr(kind, "__delete__")


def _bare(static: object) -> Any:
    """Return the underlying function of a method."""
    while True:
        if isinstance(static, staticmethod | classmethod):
            static = static.__func__
        elif isinstance(static, partialmethod | partial):
            static = static.func
        elif isinstance(static, singledispatchmethod):
            static = static.dispatcher.dispatch(object)
        else:
            return static


class ClassHandlers(NamedTuple):
    """The handlers of one class of objects.

    Attributes:
        functions: Each name, its role and its function of (object, event).
        classes: Their classes with their method resolution order; None if they are valid for one object only.
        contents: The dictionaries of those classes, and copies of them.
    """

    functions: tuple[tuple[str, Role, Callable[[Any, Any], Any]], ...]
    classes: tuple[tuple[type, tuple[type, ...]], ...] | None
    contents: tuple[tuple[Mapping[str, Any], dict[str, Any]], ...]


def are_current(sources: Iterable[ClassHandlers]) -> bool:
    """Return whether no class has changed since its handlers were looked up. Called for every new machine."""
    for _, classes, contents in sources:
        if classes is None:
            return False
        for kind, order in classes:
            if kind.__mro__ is not order:
                return False
        try:
            for now, then in contents:
                if now != then:
                    return False
        except Exception:  # the attributes cannot be compared, as with arrays
            return False
    return True


def class_handlers(handlers: object, index: dict[str, int], multi_mask: int) -> ClassHandlers:
    """Resolve the handler functions of an object in a form that similar objects can share.

    The activations of a Multi state are events without duration, so tasks of its async handlers, like those of
    AnyState, are bound to the lifetime of the machine.
    """
    functions = []
    for name, role, static in handler_names(handlers, index):
        function = _function(handlers, name, static)
        if inspect.iscoroutinefunction(_bare(static)):
            bound_to = ANY if role.first < 0 or multi_mask >> role.first & 1 else role.first
            function = _task_starter(function, bound_to, name)
        functions.append((name, role, function))
    classes = _classes(handlers)
    owners = dict.fromkeys([owner for _, order in classes or () for owner in order if owner not in _PLAIN])
    return ClassHandlers(tuple(functions), classes, tuple([(vars(owner), dict(vars(owner))) for owner in owners]))


def _classes(handlers: object) -> tuple[tuple[type, tuple[type, ...]], ...] | None:
    """Return the classes that define an object's methods; None if the object itself defines some."""
    kind = handlers if isinstance(handlers, type) else type(handlers)
    if handlers.__class__ is not type(handlers):  # a proxy for another object
        return None
    for owner in type(handlers).__mro__:
        if owner not in _PLAIN and "__dir__" in vars(owner):
            return None
    for owner in kind.__mro__:
        if any(name[:1].isupper() and isinstance(member, MemberDescriptorType) for name, member in vars(owner).items()):
            return None
    return ((kind, kind.__mro__),)


class FixedHandlers:
    """An object whose handlers are given once, such as a pipe's: the key under which they are shared is kept.

    Args:
        handlers: The handler functions by name.
    """

    __slots__ = ("__dict__", "sharing_key")

    def __init__(self, handlers: Mapping[str, Callable[[Any], Any]]) -> None:
        self.__dict__.update(handlers)
        self.sharing_key = (type(self), *_own_functions(handlers))


def binding_id(handlers: object, number: int) -> str:
    """Return the default id of the `number`-th bound object."""
    return f"{type(handlers).__name__}-{number}"


def sharing_key(handlers: object) -> object:
    """Return the key under which objects share handler functions, usually their class."""
    if isinstance(handlers, type):
        return handlers
    kind = type(handlers)
    if isinstance(handlers, FixedHandlers):
        return handlers.sharing_key
    own = getattr(handlers, "__dict__", None)
    if own:
        for name in own:
            if name[:1].isupper():
                return (kind, *_own_functions(own))
    return kind


def _own_functions(own: Mapping[str, Any]) -> Iterable[tuple[str, bool]]:
    """Return the object's own attributes that may be handlers, and whether each is a coroutine function."""
    return sorted((n, _is_coroutine_function(v)) for n, v in own.items() if n[:1].isupper() and callable(v))


def _is_coroutine_function(function: Any) -> bool:
    """Return what `inspect.iscoroutinefunction` does, of a plain function at once: pipes are bound by the thousand."""
    if type(function) is FunctionType and not function.__dict__:
        return bool(function.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(function)


def _function(handlers: object, name: str, static: object) -> Callable[[Any, Any], Any]:
    is_own = name in getattr(handlers, "__dict__", {}) or inspect.getattr_static(handlers, name, None) is not static
    if isinstance(static, FunctionType) and not is_own:  # neither in the object's `__dict__` nor the value of a slot
        return static

    def call(owner: Any, event: Any) -> Any:
        return getattr(owner, name)(event)

    return call


class Answer:
    """An awaitable result of a machine, which runs without being awaited and reports its own error."""

    __slots__ = ()


def is_awaitable(value: object) -> bool:
    """Return whether a value can be awaited."""
    return inspect.isawaitable(value)


def is_pending(value: object) -> bool:
    """Return whether a value is an awaitable or a generator, but not an `Answer`."""
    if isinstance(value, Answer):
        return False
    return inspect.isawaitable(value) or isinstance(value, GeneratorType | AsyncGeneratorType)


def close_coroutine(value: object) -> None:
    """Close a coroutine or generator that will not run, to avoid a "never awaited" warning. Ignore other values."""
    if isinstance(value, Coroutine | Generator):
        value.close()


def coroutine_of(awaitable: Any) -> Coroutine[Any, Any, Any]:
    """Return a coroutine that awaits the given awaitable."""
    return awaitable if isinstance(awaitable, CoroutineType) else _await(awaitable)


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _task_starter(function: Callable[[Any, Any], Any], state: int, name: str) -> Callable[[Any, Any], Any]:
    def start(owner: Any, event: Any) -> None:
        event.start_task(function(owner, event), state, name)

    return start


class HandlerTable:
    """All handlers of a machine's bound objects, from which plans are built.

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
            step: Step = (name, function, slot, second)
            if first == second:
                self.selfs[first] = (*self.selfs.get(first, ()), step)
            else:
                self.pairs[first, second] = (*self.pairs.get((first, second), ()), step)
            return
        step = (name, function, slot, first)
        if first == ANY:
            if suffix == "Enter":
                self.any_enter += (step,)
            else:
                self.any_state += (step,)
            return
        per_state = {"Enter": self.enter, "Exit": self.exit, "State": self.state, "End": self.end}[suffix]
        per_state[first] += (step,)
