"""A refused mutation says what refused it: as data, and in words that are made when they are asked for."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import sys
import weakref
from typing import Any

import pytest

from asyncmachine import Event, Machine, RefusedBy, Result
from asyncmachine.mutation import Canceled
from asyncmachine.record import Record, Recorder
from tests.asyncmachine.followers import Follower
from tests.asyncmachine.loops import Run

STATES: dict[str, Any] = {
    "A": {}, "B": {"require": ["A"]}, "C": {"require": ["B"]}, "D": {"remove": ["E", "A"]}, "E": {"remove": ["D"]}, "M": {"multi": True},
    "F": {"auto": True, "require": ["M"]},
}  # fmt: skip


def build(*, observed: bool = False, **handlers: Any) -> Machine:
    tracers = (Follower(),) if observed else ()
    return Machine(STATES, id="m", handlers=type("Handlers", (), handlers)(), tracers=tracers)


def veto(self: object, e: Event) -> bool:
    return False


def fail(self: object, e: Event) -> None:
    raise ValueError("boom")


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize(
    ("active", "mutation", "reason", "relations"),
    [
        ("", "add B", "B requires A", [("B", "requires", ("A",))]),
        ("", "set C A", "C requires B", [("C", "requires", ("B",))]),
        ("", "add C", "C requires B", [("C", "requires", ("B",))]),
        ("", "add D E", "E removed by D", [("E", "removed by", ("D",))]),
        ("", "add D A B", "A removed by D; B requires A", [("A", "removed by", ("D",)), ("B", "requires", ("A",))]),
        ("A", "add D B", "A removed by D; B requires A", [("A", "removed by", ("D",)), ("B", "requires", ("A",))]),
        ("E", "add B", "B requires A", [("B", "requires", ("A",))]),
    ],
)
def test_relations(active: str, mutation: str, reason: str, relations: list[Any], observed: bool) -> None:
    """The relation and both states, for what is missing and for what is removed."""
    m = build(observed=observed)
    m.set(*active.split())
    kind, *called = mutation.split()
    result = getattr(m, kind)(*called)
    if result.executed:
        pytest.fail("a mutation that relations refuse was expected")
    assert result.reason == f"{kind} {' '.join(called)} of 'm' was refused by relations: {reason}"
    assert result.refused_by == RefusedBy("relations", "m", kind, tuple(called), relations=tuple(relations))


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize(
    ("handler", "mutation"),
    [("AEnter", "add A"), ("MExit", "remove M"), ("MA", "add A"), ("MM", "add A"), ("AnyEnter", "add A"), ("MExit", "set A")],
)  # fmt: skip
def test_a_veto(handler: str, mutation: str, observed: bool) -> None:
    """The handler, of any kind."""
    m = build(observed=observed)
    m.add("M")
    m.bind(type("Vetoing", (), {handler: veto})())
    kind, state = mutation.split()
    result = getattr(m, kind)(state, state)
    assert result.reason == f"{kind} {state} of 'm' was refused by {handler}"
    assert result.refused_by == RefusedBy(handler, "m", kind, (state,), handler)


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("handler", ["AEnter", "AState", "MEnd", "AnyState"])
def test_an_error(handler: str, observed: bool) -> None:
    """The handler and what it raised."""

    def fail_once(self: object, e: Event) -> None:
        if "A" in e.mutation.called:
            raise ValueError("boom")

    m = build(observed=observed, **{handler: fail_once})
    m.add("M")
    result = m.set("A")
    assert result.reason == f"set A of 'm' was canceled by ValueError('boom') in {handler}"
    assert result.refused_by == RefusedBy("error", "m", "set", ("A",), handler, error=m.err)


def test_a_full_queue_a_disposed_machine_and_a_cancellation() -> None:
    """What refuses without a look at the mutation names itself too."""
    results: list[Result] = []
    m = Machine(STATES, id="m", queue_limit=1)
    m.eval(lambda: results.extend([m.add("A"), m.add("M", x=1)]))
    m.dispose()
    results += [m.remove("A"), m.can_add("A"), m.add_err(asyncio.CancelledError()), m.add_err(ValueError(), "A")]
    assert [result.reason for result in results] == [
        "",
        "add M of 'm' was refused by the full queue (limit 1)",
        "remove A of 'm' was refused: the machine is disposed",
        "add A of 'm' was refused: the machine is disposed",
        "add Exception of 'm' was refused: CancelledError() is not an error of a machine",
        "add Exception A of 'm' was refused: the machine is disposed",
    ]
    assert [result.refused_by and result.refused_by.by for result in results] == [
        None, "queue", "disposed", "disposed", "cancellation", "disposed",
    ]  # fmt: skip


@pytest.mark.parametrize("observed", [False, True])
def test_a_queued_mutation(observed: bool) -> None:
    """It has its reason once it is processed, and stays a queued result; an executed one never has one."""
    results: list[Result] = []

    def queue(self: object, e: Event) -> None:
        results.extend([e.add("B"), e.add("A"), e.remove("M"), e.add("C"), e.add("D")])
        assert [result.reason for result in results] == [""] * 5

    m = build(observed=observed, MState=queue, AState=fail, MExit=veto)
    m.add("M")
    assert [result.reason for result in results] == [
        "add B of 'm' was refused by relations: B requires A",
        "add A of 'm' was canceled by ValueError('boom') in AState",
        "remove M of 'm' was refused by MExit",
        "add C of 'm' was refused by relations: C requires B",
        "",
    ]
    assert all(result.queued and not result.canceled for result in results)
    assert results[0] == Result(results[0].tick)


def test_what_an_end_or_an_interruption_leaves() -> None:
    """A queued mutation that is interrupted or dropped says so; one that runs later has no reason."""
    results: list[Result] = []

    def interrupt(self: object, e: Event) -> None:
        if not e.machine.is_("E"):
            raise KeyboardInterrupt

    def queue(self: object, e: Event) -> None:
        results.extend([e.add("A"), e.add("D"), e.add("E")])

    for handler, where in (("AEnter", ""), ("AState", " in AState")):
        results.clear()
        m = build(**{"MState": queue, handler: interrupt})
        with pytest.raises(KeyboardInterrupt):
            m.add("M")
        assert results[0].reason == f"add A of 'm' was canceled by KeyboardInterrupt(){where}"
        assert results[1].reason == ""
        m.remove("M")
        assert [result.reason for result in results[1:]] == ["", ""]

    results.clear()
    m = build(MState=queue, AEnter=lambda self, e: e.machine.dispose(), AState=interrupt)
    with pytest.raises(KeyboardInterrupt):
        m.add("M")
    assert [result.reason.partition("was ")[2] for result in results] == [
        "canceled by KeyboardInterrupt() in AState", "refused: the machine is disposed", "refused: the machine is disposed",
    ]  # fmt: skip


def test_a_mutation_that_finds_what_an_interruption_left() -> None:
    """It is queued behind that, and its caller is told its own outcome."""

    def stop(self: object, e: Event) -> None:
        e.add("A")
        raise KeyboardInterrupt

    m = build(MState=stop)
    with pytest.raises(KeyboardInterrupt):
        m.add("M")
    result = m.add("C")
    assert (result.canceled, result.reason) == (True, "add C of 'm' was refused by relations: C requires B")
    assert m.is_("A")


def test_prepared_mutations_and_dry_runs(run: Run) -> None:
    """They say the same; a queued dry run once it has been made."""

    async def main() -> None:
        checks: list[Any] = []
        m = build(AEnter=veto, MState=lambda self, e: checks.append(e.machine.can_add("A")))
        assert m.prepare("add", "A")(None).reason == m.can_add("A").reason == "add A of 'm' was refused by AEnter"
        assert m.can_remove("A").reason == ""
        m.add("M")
        assert checks[0].queued
        assert checks[0].reason == (await checks[0]).reason == "add A of 'm' was refused by AEnter"

    run(main)


def test_canceled_results_are_equal() -> None:
    """Whatever refused them: to each other, to the constant, as keys, and copied or pickled."""
    m = build(AEnter=veto)
    veto_, relations = m.add("A"), m.add("B")
    assert veto_ == relations == Result.CANCELED == veto_
    assert veto_ != Result.EXECUTED
    assert veto_ != Result(0)
    assert {veto_: 1}[Result.CANCELED] == 1
    assert (str(veto_), repr(veto_)) == ("canceled", "Result(canceled)")
    assert (Result.CANCELED.reason, Result.CANCELED.refused_by, Result.EXECUTED.reason) == ("", None, "")
    for result in (veto_, relations):
        assert copy.copy(result) is copy.deepcopy(result) is result
        again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(result))))
        assert (again, again.reason, again.refused_by) == (result, result.reason, result.refused_by)


def test_a_pickled_result_goes_without_the_error() -> None:
    """Its text is kept, so that an error that cannot be pickled does no harm; a queued result keeps its reason too."""
    results: list[Result] = []

    def fail_with_a_function(self: object, e: Event) -> None:
        raise ValueError(lambda: None)

    m = build(AState=fail_with_a_function, MState=lambda self, e: results.append(e.add("A")))
    results.append(m.add("A"))
    m.add("M")
    for result in results:
        again = pickle.loads(pickle.dumps(result))
        assert (again, again.tick, again.reason) == (result, result.tick, result.reason)
        assert again.refused_by == result.refused_by._replace(error=None)  # type: ignore[union-attr]  # it is refused


def test_a_refusal_keeps_no_machine_alive() -> None:
    """Results of vetoes and relations refer to what all machines of a schema share."""
    m = build(AEnter=veto)
    kept = [m.add("A", machine=m), m.add("B", machine=m)]
    gone = weakref.ref(m)
    gc.disable()
    try:
        del m
        assert gone() is None
    finally:
        gc.enable()
    assert all("of 'm' was refused by" in result.reason for result in kept)


def test_the_reason_is_that_of_then() -> None:
    """What happens later does not change it, not even another schema."""
    m = build()
    result = m.add("B")
    m.add("A")
    m.set_schema({**{name: state for name, state in STATES.items() if name != "B"}, "B": {}, "New": {}})
    assert m.add("B").executed
    assert result.reason == "add B of 'm' was refused by relations: B requires A"


def test_an_accepted_mutation_makes_nothing() -> None:
    """Only a refused one makes an object; the outcome of all others is the same one."""
    m = build(AState=lambda self, e: None)
    assert m.add("A") is m.remove("A") is m.add("M") is Result.EXECUTED
    m.add("M")
    gc.collect()
    before = sum(isinstance(thing, Canceled) for thing in gc.get_objects())
    for _ in range(10):
        m.add("A")
        m.remove("A")
    assert sum(isinstance(thing, Canceled) for thing in gc.get_objects()) == before


def test_a_refusal_makes_one_small_object() -> None:
    """No text is made before it is asked for, and what is kept stays small."""
    result = build(AEnter=veto).add("A")
    assert isinstance(result, Canceled)
    assert result._refused is not None
    assert sys.getsizeof(result) + sys.getsizeof(result._refused) <= 200


def test_a_record_says_the_same(tmp_path: Any) -> None:
    """Results and records give relations the same words."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        m = Machine(STATES, id="m", tracers=[recorder])
        result = m.add("D", "A", "B")
    with Record.open(tmp_path / "run.sqlite") as record:
        (refusal,) = record.blocked("B")
    assert refusal.text == "relations: A removed by D; B requires A"
    assert result.reason.endswith(refusal.text)
