"""Auto states are activated by the machine, as far as relations and handlers allow."""

# handlers are named after their states

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Event, Machine

AUTO: dict[str, Any] = {"auto": True}


def handlers(veto: tuple[str, ...], calls: list[str], states: str) -> Any:
    """Every handler of these states; those in `veto` refuse auto mutations."""
    names = [s + suffix for s in states.split() for suffix in ("Enter", "Exit", "State", "End")]
    names += [x + y for x in states.split() for y in states.split()] + ["AnyEnter", "AnyState"]

    def method(name: str) -> Any:
        def call(self: object, e: Event) -> bool | None:
            if e.mutation.is_auto:
                calls.append(name)
                return False if name in veto else None
            return None

        return call

    return type("Handlers", (), {name: method(name) for name in names})()


def text(m: Machine) -> str:
    return m.string_all().replace("Exception:0", "").replace("[ ", "[")


@pytest.mark.parametrize(
    ("schema", "called", "after"),
    [
        ({"A": {}, "B": {**AUTO, "require": ["A"]}, "C": {**AUTO, "require": ["B"]}, "D": {**AUTO, "require": ["Z"]}, "Z": {}}, "A", "(A:1 B:1 C:1) [D:0 Z:0]"),
        ({"A": {}, "B": {**AUTO, "require": ["A"], "add": ["X"]}, "X": {}, "C": {**AUTO, "require": ["X"]}}, "A", "(A:1 B:1 X:1 C:1) []"),
        ({"A": {"remove": ["B"]}, "B": AUTO}, "A", "(A:1) [B:0]"),
        ({"A": {}, "B": {**AUTO, "remove": ["A"]}}, "A", "(B:1) [A:2]"),
        ({"C": {**AUTO, "require": ["B"]}, "D": {**AUTO, "require": ["B"]}, "A": {}, "B": {}}, "A", "(A:1) [C:0 D:0 B:0]"),
        ({"Healthcheck": {"multi": True}, "Heartbeat": {}, "B": AUTO}, "Healthcheck", "(Healthcheck:1) [Heartbeat:0 B:0]"),
        ({"Healthcheck": {"multi": True}, "Heartbeat": {}, "B": AUTO}, "Healthcheck Heartbeat", "(Healthcheck:1 Heartbeat:1 B:1) []"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bound", [False, True])
def test_worked_example(schema: dict[str, Any], called: str, after: str, bound: bool) -> None:
    """Each worked example ends as documented, with handlers and without."""
    m = Machine(schema, handlers=handlers((), [], "A") if bound and "A" in schema else None)
    assert m.add(*called.split()).executed
    assert text(m) == after


def test_left_autos_come_back() -> None:
    """Autos that leave with a removed one return in the auto transition."""
    m = Machine({"A": {}, "B": {**AUTO, "require": ["A"]}, "C": {**AUTO, "require": ["B"]}})
    m.add("A")
    m.remove("B")
    assert text(m) == "(A:1 B:3 C:3) []"


def test_no_change_no_auto() -> None:
    """A mutation that changes nothing is followed by no auto mutation."""
    calls: list[str] = []
    m = Machine({"A": {}, "B": {**AUTO, "require": ["Z"]}, "Z": {}}, handlers=handlers((), calls, "A B"))
    m.add("A")
    calls.clear()
    m.add("A")
    assert calls == []


def test_auto_runs_before_the_queue() -> None:
    """The auto transition precedes what handlers queued."""
    order: list[str] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")

        def BState(self, e: Event) -> None:
            order.append("B")

        def CState(self, e: Event) -> None:
            order.append("C")

    Machine({"A": {}, "B": {}, "C": {**AUTO, "require": ["A"]}}, handlers=Handlers()).add("A")
    assert order == ["C", "B"]


def test_autos_are_called_in_definition_order() -> None:
    """Definition order, not name order, decides between autos."""
    m = Machine({"A": {}, "Z": AUTO, "Y": AUTO})
    m.add("A")
    assert m.active_states() == ("Z", "Y", "A")


@pytest.mark.parametrize(
    ("schema", "start", "veto", "called", "after"),
    [
        ({"A": AUTO, "B": {**AUTO, "add": ["D"]}, "C": {}, "D": {}}, "", "BEnter", "C", "(A:1 C:1) [B:0 D:0]"),
        ({"A": AUTO, "B": AUTO, "C": {}}, "", "CB", "C", "(A:1 C:1) [B:0]"),
        ({"A": AUTO, "B": AUTO, "C": {}}, "", "CC", "C", "(C:1) [A:0 B:0]"),
        ({"A": {**AUTO, "require": ["C"], "add": ["D"]}, "C": {}, "D": {}}, "", "DEnter", "C", "(C:1) [A:0 D:0]"),
        ({"A": {**AUTO, "require": ["C"], "remove": ["K"]}, "B": {**AUTO, "require": ["C"]}, "C": {}, "K": {}}, "K", "KExit", "C", "(C:1 K:1) [A:0 B:0]"),
        ({"A": {**AUTO, "require": ["C"]}, "B": {**AUTO, "require": ["A"]}, "C": {}}, "", "AEnter", "C", "(C:1) [A:0 B:0]"),
        ({"A": AUTO, "B": {**AUTO, "add": ["C"], "require": ["C"]}, "C": {}}, "", "AA", "A", "(A:1) [B:0 C:0]"),
    ],
)  # fmt: skip
def test_partial_acceptance(schema: dict[str, Any], start: str, veto: str, called: str, after: str) -> None:
    """A refused Auto state is dropped alone; anything else refused cancels the auto transition."""
    states = list(schema)
    calls: list[str] = []
    h = handlers((veto,), calls, " ".join(states))
    m = Machine.restore(schema, {"states": states, "time": [int(s in start.split()) for s in states]}, handlers=h)
    assert m.add(called).executed
    assert veto in calls
    assert text(m) == after


def test_exit_of_an_auto_state_refuses() -> None:
    """The Auto state stays active, and the called auto that would end it is dropped."""
    schema: dict[str, Any] = {
        "K": AUTO,
        "A": {**AUTO, "require": ["C"], "remove": ["K"]},
        "B": {**AUTO, "require": ["C"]},
        "C": {},
    }
    m = Machine.restore(schema, {"states": ["K"], "time": [1]}, handlers=handlers(("KExit",), [], "K A B C"))
    m.add("C")
    assert text(m) == "(K:1 B:1 C:1) [A:0]"


def test_self_veto_of_an_active_auto_state_cancels() -> None:
    """The self handler of an active Auto state cancels the auto transition."""
    schema: dict[str, Any] = {"A": {**AUTO, "require": ["C"]}, "B": AUTO, "C": {}}
    m = Machine.restore(schema, {"states": ["B"], "time": [1]}, handlers=handlers(("BB",), [], "A B C"))
    m.add("C")
    assert text(m) == "(B:1 C:1) [A:0]"


@pytest.mark.parametrize("kind", ["add", "set"])
@pytest.mark.parametrize("state", ["Heartbeat", "Healthcheck"])
def test_health_pings(kind: str, state: str) -> None:
    """Only an add of exactly one health state is a ping, which no auto mutation follows."""
    m = Machine({"Healthcheck": {"multi": True}, "Heartbeat": {}, "B": AUTO})
    getattr(m, kind)(state)
    assert m.is_("B") is (kind == "set")


@pytest.mark.parametrize("bound", [False, True])
def test_what_a_dropped_auto_implied_goes_with_it(bound: bool) -> None:
    """An Auto state that relations refuse brings nothing along, though another one is accepted."""
    schema = {"A": {**AUTO, "require": ["Z"], "add": ["X"]}, "B": AUTO, "C": {}, "X": {}, "Z": {}}
    m = Machine(schema, handlers=handlers((), [], "A B C X Z") if bound else None)
    m.add("C")
    assert text(m) == "(B:1 C:1) [A:0 X:0 Z:0]"


def test_a_staying_state_that_the_rest_would_end_cancels() -> None:
    """The autos that are left, of which no single one but two together end a state that refuses to go, are cancelled."""
    schema: dict[str, Any] = {
        "K": {**AUTO, "require": ["R"]},
        "R": {},
        "A": {**AUTO, "require": ["C"], "remove": ["R"]},
        "D": {**AUTO, "require": ["C", "B"], "remove": ["R"]},
        "B": {**AUTO, "require": ["C"]},
        "C": {},
    }
    h = handlers(("KExit",), [], "K A B C D R")
    m = Machine.restore(schema, {"states": ["K", "R"], "time": [1, 1]}, handlers=h)
    m.add("C")
    assert text(m) == "(K:1 R:1 C:1) [A:0 D:0 B:0]"


def test_auto_of_a_machine_whose_handlers_do_not_concern_it() -> None:
    """An auto transition without handlers follows a transition with handlers, and nothing else is asked."""
    seen: list[str] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            seen.append(f"{e.name} {e.machine.is_('B')}")

    m = Machine({"A": {}, "B": AUTO}, handlers=Handlers())
    m.add("A")
    assert (seen, m.is_("A", "B"), m.queue_tick) == (["AState False"], True, 2)


def test_no_auto_while_closing() -> None:
    """A machine that is being disposed starts nothing of its own."""
    seen: list[bool] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            e.machine.dispose()

        def BState(self, e: Event) -> None:
            seen.append(e.mutation.is_auto)

    Machine({"A": {}, "B": AUTO}, handlers=Handlers()).add("A")
    assert seen == []
