"""The reference's tests of the order of handlers between unrelated states."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from asyncmachine import Event, Machine
from tests.reference.machines import ended, history, no_rels


@pytest.mark.parametrize(
    ("initial", "called", "calls", "order"),
    [
        pytest.param("A B", "C", "AExit BExit CEnter AC BC AnyEnter AEnd BEnd CState AnyState", "C", marks=pytest.mark.reference("TestSingleToSingleStateTransition"), id="one"),
        pytest.param("A", "B C", "AExit BEnter CEnter AB AC AnyEnter AEnd BState CState AnyState", "B C", marks=pytest.mark.reference("TestSingleToMultiStateTransition"), id="one to two"),
        pytest.param("A B", "D C", "AExit BExit DEnter CEnter AD AC BD BC AnyEnter AEnd BEnd DState CState AnyState", "D C", marks=pytest.mark.reference("TestMultiToMultiStateTransition"), id="two to two"),
        pytest.param("A B", "C", "AExit BExit CEnter AC BC AnyEnter AEnd BEnd CState AnyState", "C", marks=pytest.mark.reference("TestMultiToSingleStateTransition"), id="two to one"),
    ],
)  # fmt: skip
def test_from_states_to_states(initial: str, called: str, calls: str, order: str) -> None:
    """Exits, Enters, pairs, AnyEnter, Ends, States, AnyState: each handler once."""
    m = no_rels(*initial.split())
    h = history(m)
    assert m.set(*called.split()).executed
    assert h.text() == calls
    assert set(h.counts.values()) == {1}
    assert " ".join(m.active_states()) == order


@pytest.mark.reference("TestTransitionToActiveState")
def test_to_a_state_that_is_active() -> None:
    """A kept state neither exits nor enters."""
    m = no_rels("A", "B")
    h = history(m)
    m.set("A")
    assert h.text() == "BExit AA AnyEnter BEnd AnyState"
    assert ended(m) == "(A:1) [B:2 C:0 D:0]"


@pytest.mark.reference("TestSelfHandlersOrder")
def test_self_handlers_come_after_enters() -> None:
    """The self handler of a kept state is asked between the Enters and the pairs."""
    m = no_rels("A")
    h = history(m)
    m.set("A", "B")
    assert h.text() == "BEnter AA AB AnyEnter BState AnyState"


@pytest.mark.reference("TestSelfHandlersForAllNoChangeStates")
def test_self_handlers_of_all_kept_states() -> None:
    """Self handlers are asked for every kept state, called or not."""
    m = no_rels("A")
    h = history(m)
    m.add("B")
    m.add("A")
    assert (h.counts["AA"], h.counts["BB"]) == (2, 1)
    assert h.text() == "BEnter AA AB AnyEnter BState AnyState AA BB AB AnyEnter AnyState"


@pytest.mark.reference("TestSelfHandlersCancellable")
def test_a_self_handler_refuses() -> None:
    """A refusing self handler cancels; pairs are not asked any more."""

    class Refuse:
        def AA(self, e: Event) -> bool:
            e.args["counter"].append(e.name)
            return False

    m = no_rels("A")
    h = history(m)
    m.bind(Refuse())
    counter: list[str] = []
    assert m.set("A", "B", counter=counter).canceled
    assert counter == ["AA"]
    assert h.text() == "BEnter AA"
    assert ended(m) == "(A:1) [B:0 C:0 D:0]"


@pytest.mark.reference("TestHandlerStateState")
def test_pairs_start_from_active_states() -> None:
    """AB is asked when B joins an active A, BA is not."""
    asked: list[str] = []

    class Pairs:
        def AB(self, e: Event) -> bool:
            asked.append(e.name)
            return True

        def BA(self, e: Event) -> bool:
            asked.append(e.name)
            return True

    m = no_rels("A")
    m.bind(Pairs())
    m.add("B")
    assert asked == ["AB"]
    assert ended(m) == "(A:1 B:1) [C:0 D:0]"


@pytest.mark.reference("TestHandlerNegotiationStateState")
def test_a_pair_refuses() -> None:
    """A refusing pair cancels."""

    class Pairs:
        def AB(self, e: Event) -> bool:
            return False

    m = no_rels("A")
    m.bind(Pairs())
    assert m.add("B").canceled
    assert ended(m) == "(A:1) [B:0 C:0 D:0]"


@pytest.mark.reference("TestAnonHandlers")
def test_functions_of_an_anonymous_object() -> None:
    """Functions put on any object are handlers."""
    flags: list[str] = []

    def end(e: Event) -> None:
        flags.append(e.name)

    handlers: Any = SimpleNamespace(AExit=lambda e: True, AEnd=end)
    m: Machine = no_rels("A")
    m.bind(handlers)
    m.remove("A")
    assert m.not_("A")
    assert flags == ["AEnd"]
