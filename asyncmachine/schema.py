"""States, their relations, and schemas.

Defines `State` and `Schema`. A definition is checked completely when it is created.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from asyncmachine.errors import SchemaError, close_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

EXCEPTION = "Exception"
RELATIONS = ("require", "add", "remove", "after")
SUFFIXES = ("Enter", "Exit", "State", "End")
_ALLOWED = (
    EXCEPTION,
    "diagram",
)  # valid state names although `Schema` has these attributes: drawing does not access them by name
_FIELDS = frozenset(("auto", "multi", "tags", *RELATIONS))


class State:
    """One state: its flags and its relations to other states. Immutable.

    Args:
        auto: The machine activates it whenever its relations allow.
        multi: It can be activated again while active; each activation is an event.
        require: States that must be active with it.
        add: States activated with it; they may be refused silently.
        remove: States that cannot be active together with it.
        after: States whose handlers run before its own.
        tags: Free text, without behaviour.

    A relation takes one name or `State`, or an iterable of them. Inside a `Schema` class body, earlier states can be
    given by object and later ones by name. As a class attribute of a schema, a state evaluates to its name, a plain string.
    """

    __slots__ = ("_frozen", "_relations", "auto", "multi", "name", "tags")

    auto: bool
    multi: bool
    name: str
    tags: tuple[str, ...]

    def __init__(
        self,
        *,
        auto: bool = False,
        multi: bool = False,
        require: str | State | Iterable[str | State] = (),
        add: str | State | Iterable[str | State] = (),
        remove: str | State | Iterable[str | State] = (),
        after: str | State | Iterable[str | State] = (),
        tags: str | Iterable[str] = (),
    ) -> None:
        self._frozen = False
        self.name = ""
        self.auto = bool(auto)
        self.multi = bool(multi)
        self.tags = (tags,) if isinstance(tags, str) else tuple(tags)
        given = {"require": require, "add": add, "remove": remove, "after": after}
        self._relations = {key: _as_tuple(value) for key, value in given.items()}
        self._frozen = True

    _frozen: bool
    _relations: dict[str, tuple[str | State, ...]]

    def __setattr__(self, key: str, value: object) -> None:
        if getattr(self, "_frozen", False):
            raise AttributeError(f"State is immutable: cannot set {key!r}")
        object.__setattr__(self, key, value)

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __get__(self, instance: object, owner: type | None = None) -> str:
        return self.name

    @property
    def require(self) -> tuple[str, ...]:
        """Names of the states it requires."""
        return self._names("require")

    @property
    def add(self) -> tuple[str, ...]:
        """Names of the states it adds."""
        return self._names("add")

    @property
    def remove(self) -> tuple[str, ...]:
        """Names of the states it removes."""
        return self._names("remove")

    @property
    def after(self) -> tuple[str, ...]:
        """Names of the states whose handlers run before its own."""
        return self._names("after")

    def _names(self, relation: str) -> tuple[str, ...]:
        names = []
        for item in self._relations[relation]:
            name = item.name if isinstance(item, State) else item
            if not name:
                raise SchemaError("a relation refers to a State that is not in a schema yet; use its name instead")
            names.append(name)
        return tuple(names)

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as plain data, without empty fields."""
        data: dict[str, Any] = {flag: True for flag in ("auto", "multi") if getattr(self, flag)}
        for relation in RELATIONS:
            if names := self._names(relation):
                data[relation] = list(names)
        if self.tags:
            data["tags"] = list(self.tags)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, name: str = "") -> State:
        """Create a state from plain data, as returned by `to_dict`.

        Raises:
            SchemaError: A key is not a field of a state.
        """
        for key in data:
            if key not in _FIELDS:
                raise SchemaError(f"unknown field {key!r}", state=name, matches=close_matches(str(key), _FIELDS))
        return cls(**{key: value for key, value in data.items() if value is not None})

    @classmethod
    def _named(cls, name: str, data: Mapping[str, Any]) -> State:
        state = cls.from_dict(data, name=name)
        object.__setattr__(state, "name", name)
        return state

    def __reduce__(self) -> tuple[Any, ...]:
        if type(self) is not State:
            raise TypeError(f"{type(self).__name__!r} is a subclass of State: a copy would lose its additions")
        return (State._named, (self.name, self.to_dict()))

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, State) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.auto, self.multi, self.name))

    def __repr__(self) -> str:
        inner = ", ".join(f"{key}={value!r}" for key, value in self.to_dict().items())
        return f"State({inner})"


def _as_tuple(value: str | State | Iterable[str | State]) -> tuple[str | State, ...]:
    if isinstance(value, str | State):
        return (value,)
    items = tuple(value)
    for item in items:
        if not isinstance(item, str | State):
            raise SchemaError(f"a relation takes names or States, got {item!r}")
    return items


class SchemaMeta(type):
    """The metaclass of schemas, which collects and checks their states."""

    names: tuple[str, ...]
    states: Mapping[str, State]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> SchemaMeta:
        """Create the class, with inherited states first, in definition order."""
        own = {key: value for key, value in namespace.items() if isinstance(value, State)}
        # internal attributes are computed, never declared by a user
        cls = super().__new__(mcs, name, bases, namespace)
        states: dict[str, State] = {}
        for base in reversed(cls.__mro__[1:]):
            states.update(base.__dict__.get("_own", {}))
        states.update(own)
        if EXCEPTION not in states:
            states = {EXCEPTION: State(multi=True), **states}
        type.__setattr__(cls, "_own", own)
        type.__setattr__(cls, "names", tuple(states))
        type.__setattr__(cls, "states", MappingProxyType({key: _clean(key, states, name) for key in states}))
        _check_names(cls.names, name)
        return cls

    def __setattr__(cls, key: str, value: object) -> None:
        # states are immutable after definition; other attributes belong to the user
        if key in cls.__dict__.get("names", ()) or key in ("names", "states"):
            raise AttributeError(f"schema {cls.__name__} is immutable: cannot set {key!r}")
        type.__setattr__(cls, key, value)

    def keep_compiled(cls, compiled: object) -> None:
        """Cache the compiled form for the lifetime of the schema; see `plans.compile_schema`."""
        type.__setattr__(cls, "_compiled", compiled)

    def __len__(cls) -> int:
        return len(cls.names)

    def __contains__(cls, name: object) -> bool:
        return name in cls.states

    def diagram(cls, format: str = "svg") -> str:  # noqa: A002  # the usual name
        """Draw the states with their relations. See `Machine.diagram` for formats and errors."""
        from asyncmachine.export import diagrams

        return diagrams.draw(diagrams.of_schema(cls), format)

    def _repr_mimebundle_(cls, **_: Any) -> dict[str, str]:
        from asyncmachine.export import diagrams

        return diagrams.mimebundle(diagrams.of_schema(cls))

    def _repr_pretty_(cls, printer: Any, cycle: bool) -> None:
        # IPython calls this for a class in any case; inside a list of classes the name is enough
        is_alone = len(printer.stack) == 1
        printer.text(cls._repr_mimebundle_()["text/plain"].rstrip() if is_alone else repr(cls))


def _clean(name: str, states: Mapping[str, State], schema: str) -> State:
    """Check one state against all names and return it without redundant relations.

    Self-removal and self-After are dropped; a name in both Add and Remove stays in Add only (asyncmachine-go 0.19,
    schema parsing). Unknown names are errors here; Go drops or keeps them silently.
    """
    state = states[name]
    lists = {relation: tuple(dict.fromkeys(state._names(relation))) for relation in RELATIONS}
    for relation, targets in lists.items():
        for target in targets:
            if target not in states:
                matches = close_matches(target, states)
                raise SchemaError(
                    f"{relation} names {target!r}, which is not a state", schema=schema, state=name, matches=matches
                )
    added = lists["add"]
    lists["remove"] = tuple(other for other in lists["remove"] if other != name and other not in added)
    lists["after"] = tuple(other for other in lists["after"] if other != name)
    for other in lists["require"]:
        if other in lists["remove"]:
            raise SchemaError(f"requires {other!r} and removes it", schema=schema, state=name)
    return State._named(name, {"auto": state.auto, "multi": state.multi, "tags": state.tags, **lists})


def _check_names(names: tuple[str, ...], schema: str) -> None:
    """Refuse names that are not identifiers or that make two handler names equal."""
    for name in names:
        if not name.isidentifier():
            raise SchemaError("a state's name must be an identifier", schema=schema, state=name)
        if name in SUFFIXES or name == "Any":
            raise SchemaError("the name is reserved for handlers", schema=schema, state=name)
    known = set(names)
    seconds = known | set(SUFFIXES)
    firsts: dict[str, set[str]] = dict.fromkeys(names, seconds)
    firsts["Any"] = {"Enter", "State"}
    for longer, longer_seconds in firsts.items():
        for end in range(1, len(longer)):
            shorter = longer[:end]
            if shorter not in firsts:
                continue
            rest = longer[end:]
            for second in longer_seconds:
                if rest + second in firsts[shorter]:
                    problem = f"handler {longer + second!r} belongs to both {longer!r} and {shorter!r}"
                    raise SchemaError(problem, schema=schema, state=longer)


class Schema(metaclass=SchemaMeta):
    """A set of states and their relations, declared as a class.

    Subclasses inherit and override states. Class attributes evaluate to plain strings, so names need not be repeated.
    `Exception` (multi) is defined first unless the schema defines it itself; the order of states is definition order.

    Raises:
        SchemaError: At definition: an unknown name in a relation, a state that both requires and removes another, two
            states with ambiguous handler names.
    """

    names: ClassVar[tuple[str, ...]]
    states: ClassVar[Mapping[str, State]]

    @classmethod
    def of(cls, mapping: Mapping[str, State | Mapping[str, Any]], *, name: str = "Schema") -> type[Schema]:
        """Create a schema from a mapping of `State` objects or plain data.

        Args:
            mapping: State name to `State`, or to plain data such as `{"require": ["B"], "multi": True}`.
            name: Name of the new class.

        Raises:
            SchemaError: The definition contradicts itself.
        """
        namespace: dict[str, Any] = {}
        for key, value in mapping.items():
            if not isinstance(key, str):
                raise SchemaError(f"a state's name must be a string, got {key!r}", schema=name)
            data = value.to_dict() if isinstance(value, State) else value
            namespace[key] = State.from_dict(data, name=key)
        return cast("type[Schema]", SchemaMeta(name, (Schema,), _without_clashes(namespace, name)))

    @classmethod
    def to_dict(cls) -> dict[str, dict[str, Any]]:
        """Return the whole schema as plain data, in definition order."""
        return {name: state.to_dict() for name, state in cls.states.items()}

    @classmethod
    def merge(cls, other: type[Schema] | Mapping[str, State | Mapping[str, Any]]) -> type[Schema]:
        """Return a schema with the states of both; a state of `other` replaces its namesake (asyncmachine-go 0.19, Schema.Merge)."""
        more = other.states if isinstance(other, SchemaMeta) else other
        merged = {**cls._plain(), **{key: _plain(value) for key, value in more.items()}}
        return cls.of(merged, name=cls.__name__)

    @classmethod
    def prefix(
        cls,
        prefix: str,
        *,
        remove_dups: bool = False,
        allow: Iterable[str] | None = None,
        skip: Iterable[str] = (),
    ) -> type[Schema]:
        """Return a schema with every name and every relation prefixed (asyncmachine-go 0.19, Schema.Prefix).

        Args:
            prefix: Text put before each name; `Exception` keeps its name.
            remove_dups: Keep names that already start with the prefix.
            allow: Include only these states.
            skip: Exclude these states.
        """
        skipped = set(skip)
        chosen = [name for name in cls.names if (allow is None or name in set(allow)) and name not in skipped]
        rename = _renamer(prefix, remove_dups=remove_dups)
        states: dict[str, Any] = {}
        for name in chosen:
            data = cls.states[name].to_dict()
            for relation in RELATIONS:
                if relation in data:
                    data[relation] = [rename(other) for other in data[relation] if other in chosen]
            states[rename(name)] = data
        return cls.of(states, name=prefix + cls.__name__)

    @classmethod
    def _plain(cls) -> dict[str, Any]:
        return {name: state.to_dict() for name, state in cls.states.items()}


def _plain(value: State | Mapping[str, Any]) -> Mapping[str, Any]:
    return value.to_dict() if isinstance(value, State) else value


def _renamer(prefix: str, *, remove_dups: bool) -> Callable[[str], str]:
    def rename(name: str) -> str:
        if name == EXCEPTION or (remove_dups and name.startswith(prefix)):
            return name
        return prefix + name

    return rename


def _without_clashes(namespace: dict[str, Any], schema: str) -> dict[str, Any]:
    """Refuse state names that would shadow the schema's own methods."""
    for name in namespace:
        if hasattr(Schema, name) and name not in _ALLOWED:
            raise SchemaError("the name is taken by a method of Schema", schema=schema, state=name)
    return namespace
