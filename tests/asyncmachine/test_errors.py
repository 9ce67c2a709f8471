"""Errors of handlers become the Exception state, and unfinished states are taken back."""

# handlers are named after their states

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Event, Machine, Result
from tests.asyncmachine.followers import Follower


def handlers(panic: tuple[str, ...], calls: list[str], states: str = "A B C M Exception") -> Any:
    names = [s + suffix for s in states.split() for suffix in ("Enter", "Exit", "State", "End")] + [
        "AnyEnter",
        "AnyState",
    ]

    def method(name: str) -> Any:
        def call(self: object, e: Event) -> None:
            calls.append(name)
            if name in panic and ("Exception" not in e.mutation.called or name.startswith(("Exception", "Err"))):
                raise ValueError(name)

        return call

    return type("Handlers", (), {name: method(name) for name in names})()


SCHEMA: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "M": {"multi": True}}


def build(panic: str, active: str = "A", *, observed: bool = False) -> tuple[Machine, list[str]]:
    calls: list[str] = []
    tracers = (Follower(),) if observed else ()
    states = list(SCHEMA)
    time = [int(s in active.split()) for s in states]
    m = Machine.restore(SCHEMA, {"states": states, "time": time}, handlers=handlers((panic,), calls), tracers=tracers)
    return m, calls


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize(
    ("panic", "active", "ticks"),
    [
        ("BEnter", "A Exception", (1, 1, 0, 0, 0)),
        ("BState", "Exception", (1, 2, 2, 2, 0)),
        ("CState", "Exception B", (1, 2, 1, 2, 0)),
        ("AEnd", "Exception", (1, 2, 2, 2, 0)),
        ("AnyState", "Exception B C", (1, 2, 1, 1, 0)),
    ],
)
def test_take_back(panic: str, active: str, ticks: tuple[int, ...], observed: bool) -> None:
    """States whose State handler has not completed are taken back once; AnyState takes nothing back."""
    m, _ = build(panic, observed=observed)
    assert m.set("B", "C") == Result.CANCELED
    assert m.time() == ticks
    assert set(m.active_states()) == set(active.split())
    assert str(m.err) == panic


def test_completed_multi_is_not_touched() -> None:
    """A called Multi state whose State handler completed keeps its single re-entry."""
    m, _ = build("BState", "M")
    m.add("M", "B", "C")
    assert (m.tick("M"), m.tick("B"), m.tick("C")) == (3, 2, 2)


def test_failing_reentry_ends_the_multi_state() -> None:
    """A re-entered Multi state whose own State handler fails is taken back once."""
    m, _ = build("MState", "M")
    m.add("M")
    assert m.tick("M") == 4
    assert m.not_("M")


def test_exception_runs_before_the_queue() -> None:
    """The Exception transition precedes what the failing handler queued."""
    order: list[str] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")
            raise ValueError

        def ExceptionState(self, e: Event) -> None:
            order.append("Exception")
            order.append(type(e.args["error"]).__name__)

        def BState(self, e: Event) -> None:
            order.append("B")

    Machine(SCHEMA, handlers=Handlers()).add("A")
    assert order == ["Exception", "ValueError", "B"]


def test_negotiation_error_skips_the_rest() -> None:
    """An error in negotiation cancels; no later handler of the transition runs."""
    m, calls = build("BEnter")
    m.set("B", "C")
    assert calls == ["AExit", "BEnter", "ExceptionEnter", "AnyEnter", "ExceptionState", "AnyState"]


def test_auto_error_is_not_retried() -> None:
    """An auto state whose handler always fails does not loop through Exception."""
    calls: list[str] = []
    m = Machine({"A": {}, "B": {"auto": True}}, handlers=handlers(("BState",), calls, "A B"))
    m.add("A")
    assert calls.count("BState") == 1
    assert m.is_err()
    m.remove("A")
    assert calls.count("BState") == 2


def test_exception_state_survives_its_own_handler() -> None:
    """An error inside ExceptionState is logged, Exception stays, the machine goes on."""
    m, _ = build("ExceptionState")
    first = ValueError("first")
    m.add_err(first)
    assert m.is_err()
    assert m.err is first
    assert m.add("B") is Result.EXECUTED


def test_error_states_entered_with_a_failing_exception_state_are_taken_back() -> None:
    """Exception stays, the error state entered with it is taken back."""
    schema = {"ErrFoo": {"require": ["Exception"]}}
    m = Machine(schema, handlers=handlers(("ExceptionState",), [], "ErrFoo Exception"))
    m.add_err(ValueError(), "ErrFoo")
    assert (m.active_states(), m.tick("ErrFoo")) == (("Exception",), 2)


def test_error_states() -> None:
    """Error states come after Exception, are not re-entered, and go with it."""
    calls: list[str] = []
    m = Machine({"ErrFoo": {"require": ["Exception"]}, "A": {}}, handlers=handlers((), calls, "ErrFoo Exception"))
    error = ValueError("e2")
    assert m.add_err(ValueError("e1"), "ErrFoo") is Result.EXECUTED
    assert calls == ["ExceptionEnter", "ErrFooEnter", "AnyEnter", "ExceptionState", "ErrFooState", "AnyState"]
    m.add_err(error, "ErrFoo")
    assert (m.tick("ErrFoo"), m.tick("Exception")) == (1, 3)
    m.remove("Exception")
    assert (m.tick("ErrFoo"), m.tick("Exception"), m.err, m.is_err()) == (2, 4, error, False)
    assert m.add("ErrFoo") == Result.CANCELED


def test_add_err_takes_exceptions_only() -> None:
    """Anything but an exception is a TypeError."""
    with pytest.raises(TypeError):
        Machine(SCHEMA).add_err(None)  # type: ignore[arg-type]  # what is tested


def test_add_err_keeps_the_object_and_args() -> None:
    """The error object itself is in the arguments, and wins over a caller's."""
    seen: list[Any] = []

    class Handlers:
        def ExceptionState(self, e: Event) -> None:
            seen.append(e.args)

    error = ValueError()
    Machine(SCHEMA, handlers=Handlers()).add_err(error, where="here", error="mine")
    assert seen == [{"where": "here", "error": error}]


def test_first_binding_sees_an_earlier_error() -> None:
    """Handlers bound while Exception is active get the last error."""
    calls: list[str] = []
    m = Machine(SCHEMA)
    m.add_err(ValueError())
    m.bind(handlers((), calls))
    assert "ExceptionState" in calls
    assert m.tick("Exception") == 3


def test_error_while_exception_ends() -> None:
    """A failing ExceptionEnd or ExceptionExit is an error like any other: Exception is active again, or still."""
    for panic, tick in (("ExceptionEnd", 3), ("ExceptionExit", 3)):
        m, _ = build("nothing")
        m.add_err(ValueError("first"))
        calls: list[str] = []
        m.bind(handlers((), calls))
        h = type("H", (), {panic: lambda self, e: 1 / 0 if e.mutation.kind == "remove" else None})()
        m.bind(h)
        m.remove("Exception")
        assert m.is_err(), panic
        assert isinstance(m.err, ZeroDivisionError)
        assert m.tick("Exception") >= tick
