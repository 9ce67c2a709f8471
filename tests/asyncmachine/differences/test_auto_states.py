"""Intended differences from the reference: auto states."""

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Event
from tests.asyncmachine.differences.machines import AUTO, both_paths, build, refuse, text


@both_paths
def test_q20_an_auto_state_that_refuses_to_exit_stays(observed: bool) -> None:
    """The called autos that would end it are dropped, the others come."""
    schema: dict[str, Any] = {"K": AUTO, "A": {**AUTO, "remove": ["K"], "require": ["C"]}, "B": AUTO, "C": {}}
    m = build(schema, "K", observed=observed, KExit=refuse)
    m.add("C")
    assert text(m) == "(K:1 B:1 C:1) [A:0]"


@both_paths
def test_q20_autos_that_end_the_state_only_together_are_all_refused(observed: bool) -> None:
    """No single one can be blamed, so the auto transition is canceled."""
    schema: dict[str, Any] = {
        "K": AUTO,
        "A": {**AUTO, "require": ["C"], "add": ["Q"]},
        "B": {**AUTO, "require": ["C"]},
        "Q": {"require": ["B"], "remove": ["K"]},
        "C": {},
    }
    m = build(schema, "K", observed=observed, KExit=refuse)
    assert m.add("C").executed
    assert text(m) == "(K:1 C:1) [A:0 B:0 Q:0]"


@both_paths
@pytest.mark.parametrize("handler", ["ZEnter", "ZState", "AEnd", "AnyState"])
def test_q23_a_failing_auto_transition_is_not_retried_at_once(handler: str, observed: bool) -> None:
    """The Exception transition it causes makes no auto mutation; the next change does."""
    calls: list[str] = []

    def fail_if_auto(e: Event) -> None:
        if e.mutation.is_auto and len(calls) < 5:  # an engine that retries is to fail the test, not to hang it
            calls.append(e.name)
            raise ValueError(e.name)

    schema: dict[str, Any] = {"A": {}, "B": {}, "Z": {**AUTO, "require": ["B"], "remove": ["A"]}, "Y": AUTO}
    m = build(schema, "A Y", observed=observed, **{handler: fail_if_auto})
    assert m.add("B").executed
    assert calls == [handler]
    assert m.is_err()
    assert m.is_("Z") is (handler == "AnyState")
    if handler != "AnyState":
        m.remove("Exception")
        assert len(calls) == (1 if handler == "AEnd" else 2), "the next change retries; AEnd has gone with A"


@both_paths
@pytest.mark.parametrize("order", ["K L", "L K"])
def test_q47_a_refusing_self_handler_of_an_auto_state_cancels(order: str, observed: bool) -> None:
    """Wherever the state stands in the list, the auto transition is canceled and its cause stands."""
    schema: dict[str, Any] = {"K": AUTO, "L": {}, "A": {**AUTO, "require": ["C"]}, "C": {}}
    m = build(schema, order, observed=observed, KK=lambda e: not e.mutation.is_auto)
    assert m.add("C").executed
    assert text(m) == "(K:1 L:1 C:1) [A:0]"


@both_paths
def test_an_auto_transition_is_canceled_before_any_enter_when_nothing_is_left(observed: bool) -> None:
    """Emptiness is judged after the Enters and after the pairs."""
    calls: list[str] = []

    def any_enter(e: Event) -> None:
        if e.mutation.is_auto:
            calls.append(e.name)

    schema: dict[str, Any] = {"X": {}, "K": {}, "A": {**AUTO, "remove": ["K"]}}
    m = build(schema, "X K", observed=observed, AEnter=refuse, AnyEnter=any_enter)
    m.remove("X", "K")
    assert (text(m), calls) == ("() [X:2 K:2 A:0]", [])
    m = build(schema, "X K", observed=observed, KA=refuse, AnyEnter=any_enter)
    m.remove("X")
    assert (text(m), calls) == ("(K:1) [X:2 A:0]", [])


@both_paths
def test_an_auto_state_refused_by_its_enter_is_in_no_pair(observed: bool) -> None:
    """Its pairs are not asked; a state that needed it is dropped without another judgement."""
    calls: list[str] = []

    def ask(e: Event) -> bool:
        if e.mutation.is_auto:
            calls.append(e.name)
        return e.name != "AEnter"

    schema: dict[str, Any] = {"A": {**AUTO, "require": ["C"]}, "B": {**AUTO, "require": ["A"]}, "C": {}}
    names = ("AEnter", "BEnter", "CC", "CA", "CB", "AnyEnter", "AState", "BState", "AnyState")
    m = build(schema, observed=observed, **dict.fromkeys(names, ask))
    m.add("C")
    assert " ".join(calls) == "AEnter BEnter CC CB AnyEnter AnyState"
    assert text(m) == "(C:1) [A:0 B:0]"
