"""Handlers are looked up when they are bound: as they are now, without running anything of the object."""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from asyncmachine import Event, HandlerError, HandlerNameError, Machine, Schema

if TYPE_CHECKING:
    from collections.abc import Callable

DOOR = Schema.of({"A": {}, "B": {}}, name="Door")


class Base:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def AState(self, e: Event) -> None:
        self.calls.append("Base")


class Handlers(Base):
    other = 1

    def BState(self, e: Event) -> None:
        self.calls.append("B")


def called() -> list[str]:
    """Which handlers a new machine with a new object calls."""
    h = Handlers()
    m = Machine(DOOR, handlers=h)
    m.add("A")
    m.add("B")
    return h.calls


def patched(self: Base, e: Event) -> None:
    self.calls.append("patched")


CHANGES: dict[str, tuple[type, str, Any]] = {
    "replaced in a base": (Base, "AState", patched),
    "overridden": (Handlers, "AState", patched),
    "new": (Handlers, "AEnd", patched),
    "in the place of something else": (Handlers, "other", patched),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_class_that_changes(how: str) -> None:
    """Machines made after the change have the handlers that are there then, and after it is undone the former ones."""
    owner, name, function = CHANGES[how]
    assert called() == ["Base", "B"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, function, raising=False)
        assert called() == (["patched", "B"] if name == "AState" else ["Base", "B"])
        if name == "AEnd":
            h = Handlers()
            Machine(DOOR, handlers=h).set("A")
            m = Machine(DOOR, handlers=h)
            m.add("A")
            m.remove("A")
            assert h.calls[-1] == "patched"
    assert called() == ["Base", "B"]


def test_a_handler_that_is_deleted_or_renamed() -> None:
    """It is gone; a class that has as many attributes as before has changed nevertheless."""

    class Own(Base):
        def BState(self, e: Event) -> None:
            self.calls.append("B")

    def run() -> list[str]:
        h = Own()
        m = Machine(DOOR, handlers=h)
        m.add("B")
        m.remove("B")
        return h.calls

    assert run() == ["B"]
    function = Own.BState
    del Own.BState
    Own.BEnd = function  # type: ignore[attr-defined]
    assert run() == ["B"]
    Own.BState = function  # type: ignore[method-assign]
    assert run() == ["B", "B"]
    Own.__bases__ = (Fresh,)
    h = Own()
    Machine(DOOR, handlers=h).add("A")
    assert h.calls == ["Fresh"]


class Fresh(Base):
    def AState(self, e: Event) -> None:
        self.calls.append("Fresh")


@pytest.mark.parametrize("autospec", [None, True], ids=["mock", "function"])
@pytest.mark.parametrize("where", ["base", "class", "object"])
def test_mocks(where: str, autospec: bool | None) -> None:
    """`mock.patch.object` is noticed on the classes and on the object, also for a handler that was bound before."""
    assert called() == ["Base", "B"]
    h = Handlers()
    owner = {"base": Base, "class": Handlers, "object": h}[where]
    with mock.patch.object(owner, "AState", autospec=autospec) as fake:
        m = Machine(DOOR)
        m.bind(h)
        m.add("A")
        fake.assert_called_once()
    assert h.calls == []
    assert called() == ["Base", "B"]


def test_what_does_not_change_is_looked_up_once() -> None:
    """Machines with objects of one class share their plans as long as the class stays as it is."""
    first, second = Machine(DOOR, handlers=Handlers()), Machine(DOOR, handlers=Handlers())
    assert first._plans is second._plans


class Awkward:
    """A class attribute that cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_attributes_that_cannot_be_compared() -> None:
    """They count as changed when they have been replaced."""

    class Own(Handlers):
        array = Awkward()

    assert Machine(DOOR, handlers=Own())._plans is Machine(DOOR, handlers=Own())._plans
    Own.array = Awkward()
    m = Machine(DOOR, handlers=Own())
    assert m.add("A").executed


class Cold:
    """A class nothing of which may be evaluated."""

    @property
    def Session(self) -> Any:
        raise ConnectionError

    @functools.cached_property
    def SessionState(self) -> Any:
        raise ConnectionError

    @property
    def ReadyEnter(self) -> Any:
        raise ConnectionError

    def __getattr__(self, name: str) -> Any:
        raise ConnectionError(name)

    def AState(self, e: Event) -> None:
        self.__dict__["ran"] = True


def test_nothing_is_evaluated() -> None:
    """No property with a capital, named like a handler or not, no cached property, and no `__getattr__`."""
    h = Cold()
    m = Machine(DOOR, handlers=h)
    assert m.add("A").executed
    assert h.__dict__ == {"ran": True}


class Computed:
    """A data descriptor of the user's."""

    def __get__(self, owner: object, kind: type) -> Any:
        raise ConnectionError

    def __set__(self, owner: object, value: object) -> None: ...


@pytest.mark.parametrize(
    "descriptor", [property(lambda self: None), functools.cached_property(lambda self: None), Computed()]
)
def test_a_property_in_the_place_of_a_handler(descriptor: Any) -> None:
    """It is refused by name, as nobody can know whether it is one."""
    kind = type("Handlers", (), {"AState": descriptor})
    if isinstance(descriptor, functools.cached_property):
        descriptor.__set_name__(kind, "AState") if descriptor.attrname is None else None
    with pytest.raises(HandlerError, match=r"Handlers\.AState: a handler cannot be a property"):
        Machine(DOOR, handlers=kind())


def noting(name: str) -> Callable[..., None]:
    def note(*args: Any) -> None:
        args[-1].machine.log_args({name: 1})
        SEEN.append(name)

    return note


SEEN: list[str] = []


class Method:
    """A decorator's object that is a method by its `__get__` only."""

    def __get__(self, owner: object, kind: type) -> Any:
        return noting("descriptor")


class Slots:
    __slots__ = ("AState",)


def in_a_slot() -> Slots:
    slots = Slots()
    slots.AState = noting("slot")  # type: ignore[attr-defined]
    return slots


def a_proxy() -> object:
    kept.append(type("Plain", (), {"AState": noting("proxy")})())
    return weakref.proxy(kept[-1])


kept: list[object] = []
METHODS: dict[str, Callable[[], object]] = {
    "function": lambda: type("H", (), {"AState": noting("function")})(),
    "static": lambda: type("H", (), {"AState": staticmethod(noting("static"))})(),
    "class": lambda: type("H", (), {"AState": classmethod(noting("class"))})(),
    "partial": lambda: type("H", (), {"AState": staticmethod(functools.partial(noting("partial"), 1))})(),
    "partialmethod": lambda: type("H", (), {"AState": functools.partialmethod(noting("partialmethod"), 1)})(),
    "singledispatch": lambda: type("H", (), {"AState": functools.singledispatchmethod(noting("singledispatch"))})(),
    "descriptor": lambda: type("H", (), {"AState": Method()})(),
    "mock": lambda: type("H", (), {"AState": mock.Mock(side_effect=noting("mock"))})(),
    "slot": in_a_slot,
    "proxy": a_proxy,
    "class itself": lambda: type("H", (), {"AState": staticmethod(noting("class itself"))}),
}


@pytest.mark.parametrize("kind", METHODS)
def test_every_kind_of_method(kind: str) -> None:
    """Whatever is a method is a handler."""
    SEEN.clear()
    m = Machine(DOOR, handlers=METHODS[kind]())
    assert m.add("A").executed, m.err
    assert [*SEEN] == [kind]


def a_proxy_of_nothing() -> object:
    kept.append(object.__new__(type("Empty", (), {})))
    return weakref.proxy(kept[-1])


@pytest.mark.parametrize(
    ("without", "kind"), [(Slots, "slot"), (a_proxy_of_nothing, "proxy")], ids=["slots", "proxies"]
)
def test_slots_and_proxies_are_no_class(without: Callable[[], object], kind: str) -> None:
    """Objects of one class whose slots differ, and stand-ins for objects of different classes, have their own handlers each."""
    SEEN.clear()
    assert Machine(DOOR, handlers=without()).add("A").executed
    assert SEEN == []
    Machine(DOOR, handlers=METHODS[kind]()).add("A")
    assert [*SEEN] == [kind]


class Listing:
    """Says itself which attributes it has."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __dir__(self) -> list[str]:
        return [self.name]

    def __getattr__(self, name: str) -> Any:
        return noting("listed")


def test_objects_that_list_their_own_attributes() -> None:
    """Two objects of one class have the handlers that each of them lists."""
    SEEN.clear()
    assert Machine(DOOR, handlers=Listing("name")).add("A").executed
    assert SEEN == []
    assert Machine(DOOR, handlers=Listing("AState")).add("A").executed
    assert [*SEEN] == ["listed"]


def generates(self: object, e: Event) -> Any:
    yield


async def generates_too(self: object, e: Event) -> Any:
    yield


@pytest.mark.parametrize("name", ["AState", "AEnter", "AnyState"])
@pytest.mark.parametrize(
    "function",
    [generates, generates_too, functools.partialmethod(generates)],
    ids=["generator", "async generator", "partial"],
)
def test_generator_functions_are_refused(function: Any, name: str) -> None:
    """Nobody would run them."""
    with pytest.raises(HandlerError, match=f"H.{name}: a handler cannot be a generator function"):
        Machine(DOOR, handlers=type("H", (), {name: function})())


@pytest.mark.parametrize(
    "method", [patched, staticmethod(patched), functools.partialmethod(patched)], ids=["function", "static", "partial"]
)
def test_names_of_no_state(method: Any) -> None:
    """A method, of whatever kind, that is named like a handler of a state that does not exist is refused as before."""
    with pytest.raises(HandlerNameError, match="did you mean 'AState'"):
        Machine(DOOR, handlers=type("H", (), {"AaState": method})())
