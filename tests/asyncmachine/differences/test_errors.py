"""Intended differences from the reference: errors and interruptions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, Machine, Result
from tests.asyncmachine.differences.machines import PLAIN, both_paths, build, fail, note, text


@both_paths
@pytest.mark.parametrize("handler", ["AEnd", "DEnd"])
def test_q27_after_a_failing_end_nothing_half_entered_is_left(handler: str, observed: bool) -> None:
    """All entered states are taken back once, a called Multi state too; exited ones stay out, no State handler runs."""
    calls: list[str] = []
    schema: dict[str, Any] = {"A": {}, "D": {}, "M": {"multi": True}, "B": {}, "C": {}}
    methods = {name: note(calls) for name in ("AEnd", "DEnd", "MState", "BState", "CState", "AnyState")}
    m = build(schema, "A D M", observed=observed, **{**methods, handler: fail})
    assert m.set("M", "B", "C") == Result.CANCELED
    assert m.string_all() == "(Exception:1) [A:2 D:2 M:4 B:2 C:2]"
    assert calls == (["AnyState"] if handler == "AEnd" else ["AEnd", "AnyState"]), "AnyState is Exception's own"


def test_q28_waits_and_contexts_see_what_is_taken_back() -> None:
    """Contexts of all states taken back expire, waits for their end resolve, waits for their activation do not."""

    async def main() -> None:
        seen: dict[str, Any] = {}

        def first(e: Event) -> None:
            seen["B"], seen["C"] = e.machine.state_ctx("B"), e.machine.state_ctx("C")
            seen["gone"] = e.machine.when_not("C", "B")
            raise ValueError

        m = build(PLAIN, BState=first)
        active = m.when("C")
        ticks = m.when_time({"C": 2})
        m.add("A", "B", "C")
        assert text(m).startswith("(Exception:1 A:1) [B:2 C:2")
        assert (seen["B"].expired, seen["C"].expired, seen["gone"].done()) == (True, True, True)
        assert (active.done(), ticks.done()) == (False, True)
        active.cancel()

    asyncio.run(main())


@both_paths
@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("BState", "(Exception:1 M:3) [B:2 C:2]"),
        ("MState", "(Exception:1) [M:4 B:2 C:2]"),
        ("CState", "(Exception:1 M:3 B:1) [C:2]"),
        ("AnyState", "(Exception:1 M:3 B:1 C:1) []"),
    ],
)
def test_q29_a_multi_state_called_again_is_taken_back_once_or_not_at_all(
    handler: str, expected: str, observed: bool
) -> None:
    """It is taken back if its State handler has not completed, and untouched if it has."""

    def fail_once(e: Event) -> None:
        if "Exception" not in e.mutation.called:
            raise ValueError(e.name)

    m = build({"M": {"multi": True}, "B": {}, "C": {}}, "M", observed=observed, **{handler: fail_once})
    assert m.add("M", "B", "C") == Result.CANCELED
    assert m.string_all() == expected


@both_paths
def test_a_failing_any_state_takes_nothing_back_and_has_no_auto(observed: bool) -> None:
    """The transition is canceled, its changes stand, contexts of what it entered live on."""
    seen: dict[str, Any] = {}

    def fail_for_b(e: Event) -> None:
        if e.mutation.called == ("B",):
            seen["ctx"] = e.machine.state_ctx("B")
            raise ValueError

    m = build({"A": {}, "B": {}}, "A", observed=observed, AnyState=fail_for_b)
    assert m.set("B") == Result.CANCELED
    assert m.string_all() == "(Exception:1 B:1) [A:2]"
    assert not seen["ctx"].expired


@both_paths
def test_q30_an_error_in_exception_state_is_survived(observed: bool, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, Exception stays with the first error, error states entered with it are taken back, the queue goes on."""

    def queue_and_fail(e: Event) -> None:
        e.add("B")
        raise ValueError("first")

    schema: dict[str, Any] = {"A": {}, "B": {}, "ErrFoo": {"require": ["Exception"]}}
    m = build(schema, observed=observed, AState=queue_and_fail, ExceptionState=fail)
    m.add("A")
    assert m.string_all() == "(Exception:1 B:1) [A:2 ErrFoo:0]"
    assert str(m.err) == "first"
    assert "ExceptionState" in caplog.text
    m.add_err(ValueError("second"), "ErrFoo")
    assert m.string_all() == "(Exception:3 B:1) [A:2 ErrFoo:2]"


def test_q33_the_error_object_is_kept() -> None:
    """Whether a handler raised it or somebody added it."""
    error = ValueError()
    seen: list[Any] = []

    def fail_with_it(e: Event) -> None:
        raise error

    m = build(PLAIN, AEnter=fail_with_it, ExceptionState=lambda e: seen.append(e.args["error"]))
    m.add("A")
    m.add_err(error)
    assert [found is error for found in (*seen, m.err)] == [True] * 3


def test_nil_is_no_error() -> None:
    """Adding none is a mistake of the caller, and cancellation is none of the machine's errors."""
    m = Machine(PLAIN)
    for wrong in (None, "text", ValueError):
        with pytest.raises(TypeError):
            m.add_err(wrong)  # type: ignore[arg-type]  # what is tested
    assert m.add_err(asyncio.CancelledError()) == Result.CANCELED
    assert (m.err, m.is_err()) == (None, False)


@both_paths
@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("handler", ["BEnter", "BState", "AEnd"])
def test_interruptions_leave_the_call(kind: type[BaseException], handler: str, observed: bool) -> None:
    """They are no Exception state; entered states are taken back; what was queued runs with the next mutation."""
    interruptions = [kind]

    def interrupt(e: Event) -> None:
        if interruptions:
            e.add("D")
            raise interruptions.pop()

    m = build(PLAIN, "A", observed=observed, **{handler: interrupt})
    with pytest.raises(kind):
        m.set("B", "C")
    left = "(A:1) [B:0 C:0 D:0]" if handler == "BEnter" else "() [A:2 B:2 C:2 D:0]"
    assert (text(m), m.transition, m.queue_len) == (left, None, 1)
    assert m.add("B") is Result.EXECUTED
    assert m.is_("B", "D")
    assert not m.is_err()


def test_add_err_calls_exception_first() -> None:
    """Then the error states, in the order given."""
    calls: list[str] = []
    called: list[tuple[str, ...]] = []
    names = ("ExceptionEnter", "AEnter", "BEnter")
    m = build(PLAIN, AnyEnter=lambda e: called.append(e.mutation.called), **dict.fromkeys(names, note(calls)))
    m.add_err(ValueError(), "B", "A")
    assert called == [("Exception", "B", "A")]
    assert calls == ["ExceptionEnter", "BEnter", "AEnter"]
