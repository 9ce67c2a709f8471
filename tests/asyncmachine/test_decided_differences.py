"""Where the engine differs from asyncmachine-go 0.19 on purpose: one test or more per row of `asyncmachine.differences`."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

import asyncmachine.differences
from asyncmachine import (
    Event,
    HandlerError,
    Machine,
    MachineDisposedError,
    NestedEvalError,
    Result,
    SchemaError,
    pipes,
)
from asyncmachine.history import History, UntrackedStateError
from tests.asyncmachine.followers import Follower

AUTO: dict[str, Any] = {"auto": True}
PLAIN: dict[str, Any] = {state: {} for state in "ABCD"}


def build(schema: dict[str, Any], active: str = "", *, observed: bool = False, **methods: Any) -> Machine:
    """A machine with some states active and some handlers: functions of the event."""
    states = list(schema)
    handlers = type("Handlers", (), {name: staticmethod(method) for name, method in methods.items()})()
    data = {"states": states, "time": [int(s in active.split()) for s in states], "active": active.split()}
    return Machine.restore(schema, data, handlers=handlers, tracers=[Follower()] if observed else [])


def text(m: Machine) -> str:
    return m.string_all().replace("[Exception:0 ", "[").replace("[Exception:0]", "[]")


def refuse(e: Event) -> bool:
    return False


def fail(e: Event) -> None:
    raise ValueError(e.name)


def note(calls: list[str]) -> Any:
    return lambda e: calls.append(e.name)


both_paths = pytest.mark.parametrize("observed", [False, True], ids=["alone", "observed"])


def test_every_numbered_difference_has_a_test() -> None:
    """The table names exactly the quirks that are tested here."""
    described = set(re.findall(r"^(Q-\d\d)", asyncmachine.differences.__doc__ or "", re.MULTILINE))
    tested = {f"Q-{name[6:8]}" for name in globals() if re.match(r"test_q\d\d_", name)}
    assert described == tested


# schema


def test_q01_an_unknown_name_in_a_relation_is_an_error() -> None:
    """Whatever the relation, and also if the name is in two of them."""
    for relations in ({"add": ["X"], "remove": ["X"]}, {"require": ["X"]}, {"after": ["X"]}):
        with pytest.raises(SchemaError, match="'X'"):
            Machine({"A": relations})


def test_q02_relations_to_exception_need_no_definition_of_it() -> None:
    """An error state can bring Exception along although the schema does not define it."""
    m = Machine({"ErrFoo": {"add": ["Exception"], "require": ["Exception"]}})
    assert m.add("ErrFoo") is Result.EXECUTED
    assert m.is_("ErrFoo", "Exception")


def test_q04_a_refused_schema_changes_nothing() -> None:
    """A schema that bound handlers do not fit is refused, and the machine goes on with its own."""
    m = build(PLAIN, "A", AState=fail)
    with pytest.raises(SchemaError):
        m.set_schema({"A": {}, "E": {}})
    assert (m.state_names, text(m)) == (("Exception", "A", "B", "C", "D"), "(A:1) [B:0 C:0 D:0]")


def test_q05_waits_made_after_the_schema_has_grown_resolve() -> None:
    """Waits for ticks and questions go on working."""

    async def main() -> None:
        m = Machine(PLAIN)
        m.set_schema({**PLAIN, "E": {}})
        waits = [m.when_time({"A": 1}), m.when_ticks("A", 1), m.when_query(lambda clock: clock["A"] == 1)]
        m.add("A")
        assert all(wait.done() for wait in waits)

    asyncio.run(main())


# relations


def test_q07_an_active_multi_state_does_not_add_again() -> None:
    """Its Add list is applied when it is activated or called again, on no other transition."""
    m = Machine({"M": {"multi": True, "add": ["X"]}, "X": {}, "Y": {}})
    m.add("M")
    m.remove("X")
    m.add("Y")
    assert text(m) == "(M:1 Y:1) [X:2]"
    m.set("M", "Y")
    assert text(m) == "(M:3 X:3 Y:1) []"


@pytest.mark.parametrize(
    ("schema", "active", "result", "after"),
    [
        ({"A": {"add": ["B"]}, "B": {"add": ["C"]}, "C": {"add": ["D"]}, "D": {}}, "", "executed", "(A:1 B:1 C:1 D:1) []"),
        ({"A": {"add": ["B"]}, "B": {"add": ["C"]}, "C": {"remove": ["X"]}, "X": {}}, "X", "executed", "(A:1 B:1 C:1) [X:2]"),
        ({"A": {"add": ["B"], "require": ["C"]}, "B": {"add": ["C"]}, "C": {}}, "", "executed", "(A:1 B:1 C:1) []"),
    ],
    ids=["to the end", "Remove of the last", "Require met by the last"],
)  # fmt: skip
def test_q17_add_is_followed_to_the_end(schema: dict[str, Any], active: str, result: str, after: str) -> None:
    """Implied states imply further ones, with all their relations."""
    m = build(schema, active)
    assert str(m.add("A")) == result
    assert text(m) == after


def test_q18_definition_order_breaks_ties() -> None:
    """Not the order of names: of autos, of autos that exclude each other, and of unrelated Require components."""
    m = Machine({"Z": AUTO, "A": {}, "Y": AUTO})
    m.add("A")
    assert m.active_states() == ("Z", "Y", "A")
    for first, second in (("Z", "Y"), ("Y", "Z")):
        m = Machine({"A": {}, first: {**AUTO, "remove": [second]}, second: {**AUTO, "remove": [first]}})
        m.add("A")
        assert m.is_(first)
        assert m.not_(second)
    m = Machine({"Z": {"require": ["Y"]}, "Y": {}, "B": {"require": ["A"]}, "A": {}, "Q": {}, "P": {}})
    m.set("P", "B", "A", "Z", "Q", "Y")
    assert m.active_states() == ("P", "Q", "Y", "Z", "A", "B")


def test_q18_a_require_cycle_switches_the_require_order_off() -> None:
    """States stay as they are listed."""
    m = Machine({"B": {"require": ["A"]}, "A": {"require": ["B"]}, "D": {"require": ["C"]}, "C": {}})
    m.add("D", "B", "C", "A")
    assert m.active_states() == ("D", "B", "C", "A")


def test_q19_after_holds_between_states_that_are_no_neighbours() -> None:
    """Also through a chain; of a cycle the first one listed comes first."""
    m = Machine({"Z": {"after": ["C"]}, "B": {}, "C": {"after": ["D"]}, "A": {}, "D": {}})
    m.add("Z", "B", "C", "A", "D")
    assert m.active_states() == ("B", "A", "D", "C", "Z")
    m = Machine({"Z": {"after": ["Y"]}, "Y": {"after": ["Z"]}, "A": {}})
    m.add("Y", "Z", "A")
    assert m.active_states() == ("A", "Y", "Z")


# queue


def queued(*mutations: str, schema: dict[str, Any] | None = None) -> tuple[list[int], Machine]:
    """The ticks promised to mutations made in one handler, and the machine afterwards."""
    results: list[int] = []

    def mutate(e: Event) -> None:
        for mutation in mutations:
            kind, *states = mutation.split()
            results.append(getattr(e, kind)(*states).tick)

    m = build(schema or PLAIN, AState=mutate)
    m.add("A")
    return results, m


def test_q09_a_full_queue_takes_errors() -> None:
    """An error is never lost."""
    results: list[Result] = []

    def overfill(e: Event) -> None:
        results.extend([e.add("B"), e.add("C"), e.add_err(ValueError()), e.add("Exception")])

    m = build(PLAIN, AState=overfill)
    m.queue_limit = 1
    m.add("A")
    assert [result.canceled for result in results] == [False, True, False, False]
    assert m.is_("A", "B", "Exception")


@pytest.mark.parametrize(
    ("mutations", "ticks", "active"),
    [
        ("add B, remove B, add B", [3, 4, 5], "A B"),
        ("add B, remove B C, add B", [3, 4, 5], "A B"),
        ("add B, remove C, add B", [3, 4, 0], "A B"),
        ("add B C, add C B", [3, 0], "A B C"),
        ("add B, add B C", [3, 4], "A B C"),
        ("add B, set C, add B", [3, 4, 5], "B C"),
        ("set B, set B", [3, 0], "B"),
        ("set B, add C, set B", [3, 4, 5], "B"),
        ("set B, add B, set B", [3, 4, 5], "B"),
    ],
)
def test_q10_a_duplicate_is_dropped_unless_something_touched_its_states(
    mutations: str, ticks: list[int], active: str
) -> None:
    """A later queued mutation that touches one of its states keeps it; a set touches all."""
    promised, m = queued(*mutations.split(", "))
    assert promised == ticks
    assert set(m.active_states()) == set(active.split())


def test_q36_a_canceled_mutation_releases_its_waiters() -> None:
    """Also one that relations refuse, with nothing after it."""

    async def main() -> None:
        waits: list[asyncio.Future[None]] = []

        def ask(e: Event) -> None:
            waits.append(e.machine.when_queue(e.add("B")))

        m = build({"A": {}, "B": {"require": ["C"]}, "C": {}}, AState=ask)
        m.add("A")
        assert text(m) == "(A:1) [B:0 C:0]"
        assert [wait.done() for wait in waits] == [True]

    asyncio.run(main())


# dry runs and evals


def test_q12_an_event_of_a_dry_run_says_so() -> None:
    """Handlers can tell a dry run from a mutation."""
    seen: list[bool] = []
    m = build(PLAIN, AEnter=lambda e: seen.append(e.is_check))
    m.can_add("A")
    m.add("A")
    assert seen == [True, False]


def test_q13_a_dry_run_tells_the_truth() -> None:
    """Of adds and of removes."""
    m = build(PLAIN, "A B", AExit=refuse, CEnter=refuse)
    assert [str(m.can_remove("A")), str(m.can_remove("B")), str(m.can_add("C")), str(m.can_add("D"))] == [
        "canceled", "executed", "canceled", "executed",
    ]  # fmt: skip


def test_q13_a_dry_run_inside_a_handler_tells_the_truth_later() -> None:
    """It is queued, and its outcome can be awaited; what its own handlers mutate is processed before."""

    async def main() -> None:
        checks: list[Any] = []

        def check(e: Event) -> None:
            checks.extend([e.machine.can_remove("A"), e.machine.can_remove("B")])

        def bring_d(e: Event) -> None:
            e.add("D")

        m = build(PLAIN, "B", AState=check, AExit=refuse, BExit=bring_d)
        m.add("A")
        assert [result.queued for result in checks] == [True, True]
        assert [str(await result) for result in checks] == ["canceled", "executed"]
        assert m.is_("A", "B", "D")

    asyncio.run(main())


def test_q14_a_dry_run_of_a_remove_has_arguments() -> None:
    """Its handlers are given them."""
    seen: list[Any] = []
    build(PLAIN, "A", AExit=lambda e: seen.append(e.args)).can_remove("A", why="asked")
    assert seen == [{"why": "asked"}]


def test_q15_a_nested_eval_raises_at_once() -> None:
    """It neither blocks nor runs, and the outer one goes on."""
    m = Machine(PLAIN)
    ran: list[str] = []

    def outer() -> str:
        with pytest.raises(NestedEvalError):
            m.eval(ran.append, "inner")
        return "outer"

    assert m.eval(outer) == "outer"
    assert ran == []


def test_q16_an_error_in_an_eval_reaches_the_caller_only() -> None:
    """What it queued is processed, and the machine goes on."""
    m = Machine(PLAIN)

    def outer() -> None:
        m.add("A")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        m.eval(outer)
    assert m.is_("A")
    assert not m.is_err()
    assert m.add("B") is Result.EXECUTED


# auto states


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


# errors


@both_paths
@pytest.mark.parametrize("handler", ["AEnd", "DEnd"])
def test_q27_after_a_failing_end_nothing_half_entered_is_left(handler: str, observed: bool) -> None:
    """All entered states are taken back once, a called Multi state too; exited ones stay out, no State handler runs."""
    calls: list[str] = []
    schema: dict[str, Any] = {"A": {}, "D": {}, "M": {"multi": True}, "B": {}, "C": {}}
    methods = {name: note(calls) for name in ("AEnd", "DEnd", "MState", "BState", "CState", "AnyState")}
    m = build(schema, "A D M", observed=observed, **{**methods, handler: fail})
    assert m.set("M", "B", "C") is Result.CANCELED
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
    assert m.add("M", "B", "C") is Result.CANCELED
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
    assert m.set("B") is Result.CANCELED
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
    assert m.add_err(asyncio.CancelledError()) is Result.CANCELED
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


# handlers


def test_q24_handlers_are_checked_when_they_are_bound() -> None:
    """A coroutine function cannot negotiate, and a name like a handler's has to name a state."""

    class Coroutine:
        async def AEnter(self, e: Event) -> bool:
            return True

    class Misspelt:
        def AaState(self, e: Event) -> None: ...

    for handlers in (Coroutine(), Misspelt()):
        with pytest.raises(HandlerError):
            Machine(PLAIN, handlers=handlers)


@pytest.mark.parametrize(
    ("answer", "expected"), [(None, "executed"), (True, "executed"), (1, "executed"), (0, "canceled"), ("", "canceled"), ([], "canceled")]
)  # fmt: skip
def test_none_is_no_veto(answer: object, expected: str) -> None:
    """Anything else is judged by its truth."""
    assert str(build(PLAIN, AEnter=lambda e: answer).add("A")) == expected


def test_the_context_of_an_event() -> None:
    """X's for X's handlers, Y's for a pair XY, none for the Any handlers."""
    seen: dict[str, Any] = {}

    def look(e: Event) -> None:
        seen[e.name] = e.ctx and (e.ctx.state, e.ctx.tick, e.ctx.expired)

    names = ("AExit", "BEnter", "AB", "AnyEnter", "AEnd", "BState", "AnyState")
    m = build(PLAIN, "A", **dict.fromkeys(names, look))
    m.set("B")
    assert seen == {
        "AExit": ("A", 1, False), "BEnter": ("B", 0, False), "AB": ("B", 0, False), "AnyEnter": None,
        "AEnd": ("A", 2, False), "BState": ("B", 1, False), "AnyState": None,
    }  # fmt: skip


def test_a_transition_can_be_read_afterwards() -> None:
    """Ticks before and after are tuples in state order, also of a canceled one."""
    seen: list[Any] = []
    m = build(
        PLAIN, "A", BEnter=lambda e: seen.append(e.transition), BExit=lambda e: seen.append(e.transition), CEnter=refuse
    )
    m.set("B")
    m.set("C")
    assert [(tx.before, tx.after, tx.accepted, tx.canceled_by) for tx in seen] == [
        ((0, 1, 0, 0, 0), (0, 2, 1, 0, 0), True, ""),
        ((0, 2, 1, 0, 0), (0, 2, 1, 0, 0), False, "CEnter"),
    ]


# waits


def test_q34_a_question_is_asked_at_once() -> None:
    """A wait for a question whose answer is yes already is done, and can be cancelled like any other."""

    async def main() -> None:
        m = build(PLAIN, "A")
        assert m.when_query(lambda clock: clock["A"] == 1).done()
        wait = m.when_query(lambda clock: clock["A"] == 2)
        wait.cancel()
        m.remove("A")
        assert wait.cancelled()

    asyncio.run(main())


def test_q35_all_waits_end_with_the_machine() -> None:
    """Questions too, with an error that names the machine; but whoever waits for the end itself has no error."""

    async def main() -> None:
        m = Machine(PLAIN, id="mine")
        waits: list[asyncio.Future[Any]] = [
            m.when("A"), m.when_time({"A": 1}), m.when_args("A"), m.when_query(lambda clock: False), m.when_err(),
        ]  # fmt: skip
        end = m.when_disposed()
        m.dispose()
        for wait in waits:
            with pytest.raises(MachineDisposedError, match="mine"):
                await wait
        await end

    asyncio.run(main())


def test_q37_waits_are_not_shared() -> None:
    """Two waits for the same are two futures: cancelling one leaves the other."""

    async def main() -> None:
        m = Machine(PLAIN)
        one, other = m.when_args("B", foo="bar"), m.when_args("B", foo="bar")
        less = m.when_args("B", foo="bar", baz=1)
        assert one is not other
        one.cancel()
        m.add("B", foo="bar")
        assert (other.done(), less.done()) == (True, False)
        less.cancel()

    asyncio.run(main())


def test_waits_see_a_transition_whose_final_handler_failed() -> None:
    """What it committed and did not take back resolves waits."""

    async def main() -> None:
        m = build(PLAIN, CState=fail)
        waits = [m.when("B"), m.when_time({"B": 1}), m.when_query(lambda clock: clock["B"] == 1), m.when("C")]
        m.add("B", "C")
        assert [wait.done() for wait in waits] == [True, True, True, False]
        waits[3].cancel()

    asyncio.run(main())


# slow handlers


def test_a_slow_handler_stands(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is taken back, nothing is dropped, nobody waits: it is reported."""

    def queue(e: Event) -> None:
        e.add("B")

    m = build(PLAIN, AState=queue)
    m.slow_handler_s = 0.0
    assert m.add("A") is Result.EXECUTED
    assert text(m) == "(A:1 B:1) [C:0 D:0]"
    assert "[handler:slow]" in caplog.text


# pipes and history


def test_q43_a_pipe_from_the_whole_machine_mirrors_removals() -> None:
    """What the source loses, the target loses."""

    async def main() -> None:
        source, target = Machine(PLAIN), Machine(PLAIN)
        pipes.bind_any(source, target)
        source.add("A", "B")
        source.remove("A")
        assert target.active_states() == ("B",)

    asyncio.run(main())


def test_q44_a_history_leaves_out_what_it_is_told_to() -> None:
    """Mutations and changes that are excluded are not recorded, and a state that is not tracked is no question."""
    m = Machine(PLAIN)
    history = History(m, ("A",), called_exclude=("B",), changed_exclude=("C",))
    m.add("A")
    m.add("B")
    m.add("C")
    assert [record.called for record in history.find()] == [("A",)]
    with pytest.raises(UntrackedStateError, match="'B' is not tracked"):
        history.active_between("B")
