"""Which states are there, and what do they want of each other? `State`, `Schema` and the checks on them.

Knows nothing of machines: a schema is data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, overload
from weakref import WeakValueDictionary

from asyncmachine.errors import SchemaError, close_matches

EXCEPTION = "Exception"
"""The state every machine has: an error happened. Multi, and first if it is not defined."""

_RELATIONS = ("require", "add", "remove", "after")
_SUFFIXES = ("Enter", "Exit", "State", "End")


@dataclass(frozen=True, init=False, eq=True)
class State:
    """One state: a flag with relations.

    Attributes:
        auto: the machine tries to activate it after every transition that changed something.
        multi: adding it while active runs its handlers again, and ticks twice.
        require: all of these must be active with it.
        add: these are activated with it, if nothing is against it.
        remove: none of these can be active with it.
        after: its handlers run after theirs.
        tags: free text.

    A relation takes one name, one State defined earlier in the same class body, or several of either.

    Raises:
        SchemaError: a relation or flag of the wrong type.
    """

    auto: bool
    multi: bool
    require: tuple[str, ...]
    add: tuple[str, ...]
    remove: tuple[str, ...]
    after: tuple[str, ...]
    tags: tuple[str, ...]

    def __init__(
        self,
        *,
        auto: bool = False,
        multi: bool = False,
        require: Any = (),
        add: Any = (),
        remove: Any = (),
        after: Any = (),
        tags: Any = (),
    ) -> None:
        for flag, value in (("auto", auto), ("multi", multi)):
            if not isinstance(value, bool):
                raise SchemaError("", f"{flag}: expected True or False, got {value!r}")
            object.__setattr__(self, flag, value)
        relations = (("require", require), ("add", add), ("remove", remove), ("after", after), ("tags", tags))
        for relation, given in relations:
            object.__setattr__(self, relation, _as_names(relation, given))

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "_name", name)

    @overload
    def __get__(self, instance: None, owner: type[Schema]) -> str: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Any: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A schema's attribute reads as the state's name."""
        name = getattr(self, "_name", None)
        return self if name is None or owner is None or not issubclass(owner, Schema) else name

    def to_dict(self) -> dict[str, Any]:
        """Plain data, what is empty left out."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in data.items() if value}


def _as_names(relation: str, given: Any) -> tuple[Any, ...]:
    """One or several names or States; States are resolved to names once the class body is known."""
    if isinstance(given, str | State):
        return (given,)
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        raise SchemaError("", f"{relation}: expected a state or several, got {given!r}")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str | State):
            raise SchemaError("", f"{relation}: expected a name or a State, got {name!r}")
    return names


def replace_relations(state: State, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> State:
    """A State with each relation's names changed."""
    data = {field.name: getattr(state, field.name) for field in fields(state)}
    return State(**data | {relation: change(data[relation]) for relation in _RELATIONS})


def _from_data(name: str, value: State | Mapping[str, Any]) -> State:
    if isinstance(value, State):
        return value
    if not isinstance(value, Mapping):
        raise SchemaError(name, f"expected a State or a mapping, got {value!r}")
    known = [field.name for field in fields(State)]
    for key in value:
        if key not in known:
            raise SchemaError(name, f"unknown property {key!r}; expected one of {', '.join(known)}")
    return State(**value)


def _resolved(states: Mapping[str, State]) -> dict[str, State]:
    """Relations given as State objects become names."""
    by_identity = {id(state): name for name, state in states.items()}

    def to_name(owner: str, target: str | State) -> str:
        if isinstance(target, str):
            return target
        name = by_identity.get(id(target)) or getattr(target, "_name", None)
        if name is None:
            raise SchemaError(owner, "a relation names a State that is not defined in this schema")
        return str(name)

    out = {}
    for name, state in states.items():
        if not any(isinstance(target, State) for relation in _RELATIONS for target in getattr(state, relation)):
            out[name] = state
            continue
        named = {r: tuple(to_name(name, target) for target in getattr(state, r)) for r in _RELATIONS}
        out[name] = new = replace_plain(state, **named)
        object.__setattr__(new, "_name", name)
    return out


def _checked(where: str, states: dict[str, State]) -> Mapping[str, State]:
    if EXCEPTION not in states:
        states = {EXCEPTION: State(multi=True)} | states
    for name, state in states.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise SchemaError(str(name), "a state's name must be an identifier")
        for relation in _RELATIONS:
            for target in getattr(state, relation):
                if target not in states:
                    close = close_matches(target, states)
                    hint = f"; did you mean {' or '.join(close)}?" if close else ""
                    raise SchemaError(name, f"{relation} names {target!r}, which {where} does not define{hint}")
        conflict = set(state.require) & (set(state.remove) - set(state.add) - {name})
        if conflict:
            raise SchemaError(name, f"requires and removes {', '.join(sorted(conflict))}")
    _check_handler_names(states)
    return MappingProxyType(states)


def _check_handler_names(states: Mapping[str, State]) -> None:
    """No two things may share a handler name: `AState` could be the handler of A or the state `AState`'s pair."""
    owners: dict[str, str] = {"AnyEnter": "Any", "AnyState": "Any"}
    for name in states:
        for suffix in _SUFFIXES:
            handler = name + suffix
            if handler in owners and owners[handler] != name:
                raise SchemaError(name, f"its handler {handler} is also one of {owners[handler]}")
            owners[handler] = name
    if len(states) > 200:  # pairs of so many states are looked at when handlers are bound
        return
    for first in states:
        for second in states:
            owner = owners.get(first + second)
            if owner is not None:
                raise SchemaError(second, f"the handler {first + second} of the pair is also one of {owner}")


def compiled_relations(states: Mapping[str, State]) -> Mapping[str, State]:
    """The relations as the engine applies them: Add wins over Remove, nothing removes or follows itself."""
    out = {}
    for name, state in states.items():
        remove = tuple(n for n in state.remove if n != name and n not in state.add)
        out[name] = replace_plain(state, remove=remove, after=tuple(n for n in state.after if n != name))
    return out


def replace_plain(state: State, **changes: Any) -> State:
    """A State with some attributes changed."""
    data = {field.name: getattr(state, field.name) for field in fields(state)}
    return State(**data | changes)


class _SchemaMeta(type):
    """Checks a schema when its class is defined."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _SchemaMeta:
        own = {key: value for key, value in namespace.items() if isinstance(value, State)}
        new = super().__new__(cls, name, bases, namespace)
        inherited: dict[str, State] = {}
        for base in reversed(new.__mro__[1:]):
            inherited.update(base.__dict__.get("states", {}))
        for key, value in namespace.items():
            if key in inherited and not isinstance(value, State):
                raise SchemaError(key, f"{name} overrides it with {value!r}, which is no State")
        new.states = _checked(name, inherited | _resolved(own))  # type: ignore[attr-defined] # declared on Schema
        return new

    def __iter__(cls) -> Iterator[str]:
        return iter(cls.states)  # type: ignore[attr-defined] # declared on Schema

    @property
    def names(cls) -> tuple[str, ...]:
        """All state names, in definition order."""
        return tuple(cls.states)  # type: ignore[attr-defined] # declared on Schema


class Schema(metaclass=_SchemaMeta):
    """A set of states. Subclass it and write states as class attributes; subclasses inherit and override.

    Attributes:
        states: name -> State in definition order; `Exception` comes first if it is not defined.
        names: the names alone (on the class).

    Raises:
        SchemaError: when the class is defined: an unknown name in a relation, a state that requires another and
            removes it, two states whose handler names cannot be told apart.
    """

    states: ClassVar[Mapping[str, State]]

    @staticmethod
    def of(mapping: Mapping[str, State | Mapping[str, Any]], *, name: str = "Schema") -> type[Schema]:
        """Make a schema from a mapping of names to States or to plain data like `{"require": ["B"], "multi": True}`.

        Raises:
            SchemaError: as for a class, and for a property that states do not have.
        """
        states = {key: _from_data(key, value) for key, value in mapping.items()}
        new = _SchemaMeta(name, (Schema,), {"__doc__": "Made from a mapping."})
        new.states = _checked(name, _resolved(states))  # type: ignore[attr-defined] # declared on Schema
        return new  # type: ignore[return-value] # the metaclass makes subclasses of Schema

    @classmethod
    def to_dict(cls) -> dict[str, dict[str, Any]]:
        """Plain data that `of` takes back."""
        return {name: state.to_dict() for name, state in cls.states.items()}

    @classmethod
    def merge(cls, other: type[Schema]) -> type[Schema]:
        """A schema with the states of both; where both have one, the other's."""
        return Schema.of(dict(cls.states) | dict(other.states), name=f"{cls.__name__}+{other.__name__}")

    @classmethod
    def prefix(cls, prefix: str) -> type[Schema]:
        """A schema whose states and relations carry a prefix; `Exception` stays as it is."""

        def rename(name: str) -> str:
            return name if name == EXCEPTION else prefix + name

        states = {
            rename(name): replace_relations(state, lambda names: tuple(map(rename, names)))
            for name, state in cls.states.items()
        }
        return Schema.of(states, name=f"{prefix}{cls.__name__}")

    _by_content: ClassVar[WeakValueDictionary[Any, Any]] = WeakValueDictionary()


def schema_of(given: type[Schema] | Mapping[str, Any]) -> type[Schema]:
    """The schema a caller means: a class, or a mapping. Equal mappings give one schema, compiled once.

    Raises:
        SchemaError: neither, or a mapping that is no schema.
    """
    if isinstance(given, type) and issubclass(given, Schema):
        return given
    if not isinstance(given, Mapping):
        raise SchemaError("", f"expected a Schema or a mapping of states, got {given!r}")
    states = tuple((name, _from_data(name, value)) for name, value in given.items())
    found: type[Schema] | None = Schema._by_content.get(states)
    if found is None:
        found = Schema._by_content[states] = Schema.of(dict(states))
    return found
