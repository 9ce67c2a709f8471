"""Handlers are found by name, asked in order, and may refuse."""

# handlers are named after their states

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from asyncmachine import Event, HandlerError, HandlerNameError, Machine, Result, Tracer, Transition


def recorder(states: str, veto: tuple[str, ...] = (), panic: tuple[str, ...] = (), extra: tuple[str, ...] = ()) -> Any:
    """An object with every handler of these states, that notes calls in `calls`."""
    names = [s + suffix for s in states.split() for suffix in ("Enter", "Exit", "State", "End")]
    names += [x + y for x in states.split() for y in states.split()] + ["AnyEnter", "AnyState", *extra]

    def method(name: str) -> Any:
        def call(self: Any, e: Event) -> bool | None:
            self.calls.append(name)
            if name in panic:
                raise ValueError(name)
            return False if name in veto else None

        return call

    made = type("Handlers", (), {name: method(name) for name in names})()
    made.calls = []
    return made


def machine(states: str, schema: dict[str, Any] | None = None, **options: Any) -> tuple[Machine, list[str]]:
    h = recorder(states, **options)
    return Machine(schema or {s: {} for s in states.split()}, handlers=h), h.calls


SEQUENCES = [
    ("add A", "AEnter AnyEnter AState AnyState"),
    ("add B", "BEnter AA AB AnyEnter BState AnyState"),
    ("add C", "CEnter BB AA BC BA AC AB AnyEnter CState AnyState"),
    ("add C", "CC BB AA CB CA BC BA AC AB AnyEnter AnyState"),
    ("remove B", "BExit CA BC BA AC AnyEnter BEnd AnyState"),
    ("remove B", "CA AC AnyEnter AnyState"),
    ("set D A", "CExit DEnter AA CD CA AD AnyEnter CEnd DState AnyState"),
    ("remove A D", "DExit AExit AnyEnter DEnd AEnd AnyState"),
    ("add", "AnyEnter AnyState"),
]


def test_documented_sequences() -> None:
    """Every documented handler sequence, one mutation after the other."""
    m, calls = machine("A B C D")
    for mutation, expected in SEQUENCES:
        calls.clear()
        kind, *states = mutation.split()
        assert getattr(m, kind)(*states) is Result.EXECUTED
        assert " ".join(calls) == expected, mutation


@pytest.mark.parametrize(
    ("veto", "ran"),
    [
        ("AExit", "AExit"),
        ("BEnter", "AExit BEnter"),
        ("CC", "AExit BEnter CC"),
        ("AB", "AExit BEnter CC AB"),
        ("CB", "AExit BEnter CC AB AC CB"),
        ("AnyEnter", "AExit BEnter CC AB AC CB AnyEnter"),
    ],
)
def test_veto(veto: str, ran: str) -> None:
    """A refusal stops everything and changes nothing."""
    h = recorder("A B C", veto=(veto,))
    m = Machine.restore({"A": {}, "B": {}, "C": {}}, {"states": ["A", "B", "C"], "time": [1, 0, 1]}, handlers=h)
    assert m.set("B", "C") == Result.CANCELED
    assert " ".join(h.calls) == ran
    assert m.active_states() == ("A", "C")


@pytest.mark.parametrize(("answer", "result"), [(None, "executed"), (1, "executed"), (0, "canceled"), ("", "canceled")])
def test_veto_is_judged_by_truth(answer: object, result: str) -> None:
    """None means yes, anything else is judged by its truth."""

    class Handlers:
        def AEnter(self, e: Event) -> object:
            return answer

    assert str(Machine({"A": {}}, handlers=Handlers()).add("A")) == result


def test_reentered_multi() -> None:
    """A Multi state called again runs Enter, self and State handlers."""
    m, calls = machine("M", {"M": {"multi": True}})
    m.add("M")
    calls.clear()
    m.add("M")
    assert " ".join(calls) == "MEnter MM AnyEnter MState AnyState"


def test_rejected_by_relations_asks_nobody() -> None:
    """No handler runs when relations refuse."""
    m, calls = machine("A B", {"A": {"require": ["B"]}, "B": {}})
    assert m.add("A") == Result.CANCELED
    assert calls == []


def test_several_objects_in_binding_order() -> None:
    """All bound objects are asked in binding order; the first refusal stops."""
    first, second = recorder("A"), recorder("A", veto=("AEnter",))
    third = recorder("A")
    m = Machine({"A": {}}, handlers=first)
    name = m.bind(second, id="second")
    m.bind(third)
    assert m.add("A") == Result.CANCELED
    assert (first.calls, second.calls, third.calls) == (["AEnter"], ["AEnter"], [])
    m.unbind(name)
    assert m.add("A") is Result.EXECUTED


def test_instance_attributes_are_handlers() -> None:
    """A function set on the object is a handler too, for this object only."""
    h, other = recorder(""), recorder("")
    h.AState = lambda e: h.calls.append("own")
    Machine({"A": {}}, handlers=h).add("A")
    Machine({"A": {}}, handlers=other).add("A")
    assert "own" in h.calls
    assert "own" not in other.calls


def test_static_and_class_methods() -> None:
    """Handlers can be static and class methods."""
    seen: list[str] = []

    class Handlers:
        @staticmethod
        def AEnter(e: Event) -> None:
            seen.append(e.name)

        @classmethod
        def AState(cls, e: Event) -> None:
            seen.append(e.name)

    Machine({"A": {}}, handlers=Handlers()).add("A")
    assert seen == ["AEnter", "AState"]


def test_misspelt_handler() -> None:
    """A handler-like name of no state is refused with the close matches."""

    class Handlers:
        def ConectingState(self, e: Event) -> None: ...

    with pytest.raises(HandlerNameError) as caught:
        Machine({"Connecting": {}}, handlers=Handlers())
    assert (caught.value.handler, caught.value.owner, caught.value.matches[0]) == (
        "ConectingState",
        "Handlers",
        "ConnectingState",
    )


def test_async_negotiation_is_refused() -> None:
    """A negotiation handler cannot be a coroutine function."""

    class Handlers:
        async def AEnter(self, e: Event) -> None: ...

    with pytest.raises(HandlerError, match="AEnter"):
        Machine({"A": {}}, handlers=Handlers())


def test_other_methods_are_ignored() -> None:
    """Lower-case methods and CamelCase methods without a handler's ending are left alone."""

    class Handlers:
        def on_end(self) -> None: ...
        def Prepare(self) -> None: ...

    assert Machine({"A": {}}, handlers=Handlers()).add("A") is Result.EXECUTED


def test_transition_seen_by_handlers() -> None:
    """Handlers see the running transition: predicted ticks before, real ones after, none when idle."""
    seen: list[Any] = []

    class Handlers:
        def AEnter(self, e: Event) -> None:
            assert e.transition is not None
            seen.append((e.transition.before, e.transition.after, e.transition.enters, e.machine.is_("A")))

        def AState(self, e: Event) -> None:
            assert e.transition is not None
            self.tx = e.transition

    h = Handlers()
    m = Machine({"A": {}}, handlers=h)
    m.add("A")
    assert seen == [((0, 0), (0, 1), ("A",), False)]
    assert (h.tx.before, h.tx.after, h.tx.completed, h.tx.accepted, m.transition) == ((0, 0), (0, 1), True, True, None)


def test_transition_asked_for_late_knows_ticks_before() -> None:
    """A transition first looked at in a final handler still knows the ticks before it."""

    class Handlers:
        def MState(self, e: Event) -> None:
            assert e.machine.transition is not None
            self.before = e.machine.transition.before

    h = Handlers()
    m = Machine({"M": {"multi": True}}, handlers=h)
    m.add("M")
    m.add("M")
    assert h.before == (0, 1)


def test_event_fields() -> None:
    """An event tells name, mutation and source."""
    seen: list[Any] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B", x=1)

        def BState(self, e: Event) -> None:
            mutation = e.mutation
            seen.extend([e.name, mutation.kind, mutation.called, mutation.args, mutation.is_auto, mutation.source])

    m = Machine({"A": {}, "B": {}}, id="mach", handlers=Handlers())
    m.add("A")
    assert seen[:5] == ["BState", "add", ("B",), {"x": 1}, False]
    assert (seen[5].machine_id, seen[5].tx_id) == ("mach", "mach-2")


def test_slow_handler_is_reported_and_stands(caplog: pytest.LogCaptureFixture) -> None:
    """A slow handler is reported; the transition stands."""

    class Handlers:
        def AState(self, e: Event) -> None: ...

    m = Machine({"A": {}}, handlers=Handlers(), slow_handler_s=0.0)
    assert m.add("A") is Result.EXECUTED
    assert "[handler:slow]" in caplog.text


@pytest.mark.parametrize("is_traced", [False, True])
@pytest.mark.parametrize(("limit_s", "is_reported"), [(0.1, True), (math.inf, False)])
def test_no_handler_is_slow_where_the_event_loop_calls_nothing_slow(
    caplog: pytest.LogCaptureFixture, limit_s: float, is_reported: bool, is_traced: bool
) -> None:
    """On simulated time computing takes no time, and what is reported must not hang on the machine's load."""
    told: list[str] = []

    class Watch(Tracer):
        def handler_slow(self, tx: Transition, name: str, seconds: float) -> None:
            told.append(name)

    class Handlers:
        def AState(self, e: Event) -> None: ...

    async def main() -> None:
        asyncio.get_running_loop().slow_callback_duration = limit_s
        tracers = [Watch()] if is_traced else []
        Machine({"A": {}}, handlers=Handlers(), tracers=tracers, slow_handler_s=0.0).add("A")

    asyncio.run(main())
    assert ("[handler:slow]" in caplog.text) == is_reported
    assert told == ["AState"] * (is_reported and is_traced)


@pytest.mark.parametrize(("debug", "limit_s", "found"), [(True, 0.0, 0.0), (False, 0.0, None), (True, math.inf, None)])
def test_slow_handlers_are_looked_for_in_debug_mode(
    caplog: pytest.LogCaptureFixture, debug: bool, limit_s: float, found: float | None
) -> None:
    """Without a limit of its own a machine takes that of the loop it is made on, as asyncio ties its own to debug mode."""

    class Handlers:
        def AState(self, e: Event) -> None: ...

    async def main() -> Machine:
        asyncio.get_running_loop().slow_callback_duration = limit_s
        return Machine({"A": {}}, handlers=Handlers())

    m = asyncio.run(main(), debug=debug)
    assert m.slow_handler_s == found
    m.add("A")
    assert ("[handler:slow]" in caplog.text) == (found is not None)


def test_looking_for_slow_handlers_can_be_turned_on_and_off(caplog: pytest.LogCaptureFixture) -> None:
    """It is off by default: then no clock is read."""

    class Handlers:
        def AState(self, e: Event) -> None: ...

    m = Machine({"A": {}}, handlers=Handlers())
    assert (m.slow_handler_s, m._flags) == (None, 0)
    m.slow_handler_s = 0.0
    m.add("A")
    assert caplog.text.count("[handler:slow]") == 1
    m.slow_handler_s = None
    m.add("A")
    assert (caplog.text.count("[handler:slow]"), m._flags) == (1, 0)
