"""Mutations run at once or queue, in order, with promised ticks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, HandlerError, Machine, Result, UnknownStateError
from tests.asyncmachine.scripted import STATES, Refuse, Script, run


def ticks(results: list[Result]) -> list[int]:
    return [result.tick for result in results]


def test_result_has_no_truth_value() -> None:
    """A result cannot be used as a condition."""
    with pytest.raises(TypeError, match="no truth value"):
        bool(Machine(STATES).add("A"))


def test_result_attributes() -> None:
    """The two constants and a queued result tell what they are."""
    _, script = run(lambda e: [e.add("B")])
    assert (Result.EXECUTED.executed, Result.EXECUTED.queued, Result.EXECUTED.tick) == (True, False, 0)
    assert (Result.CANCELED.canceled, Result.CANCELED.executed) == (True, False)
    assert (script.results[0].queued, script.results[0].tick) == (True, 3)
    assert Result.EXECUTED != Result.CANCELED


def test_first_tick() -> None:
    """The queue tick starts at one and grows with every mutation taken from the queue."""
    m = Machine(STATES)
    assert m.queue_tick == 1
    m.add("A")
    m.remove("B")
    assert m.queue_tick == 3


def test_nested_mutations_get_consecutive_ticks() -> None:
    """Mutations made in a handler are promised consecutive queue ticks and run in order."""
    m, script = run(
        lambda e: [e.add("B"), e.remove("B"), e.add("B"), e.add("B", x=1), e.set("C"), e.set("C"), e.add("D")]
    )
    assert ticks(script.results) == [3, 4, 5, 6, 7, 0, 8]
    assert m.active_states() == ("D", "C")
    assert m.queue_tick == 8


def test_repetition_at_the_end_is_dropped() -> None:
    """A mutation that repeats the last one in the queue is dropped."""
    m, script = run(lambda e: [e.add("C"), e.add("B"), e.add("B")])
    assert script.results[2] is Result.EXECUTED
    assert m.queue_tick == 4


def test_repetition_is_dropped_where_nothing_handles_it() -> None:
    """A machine without handlers drops it too."""
    m = Machine(STATES)
    assert ticks(m.eval(lambda: [m.add("A"), m.add("A"), m.remove("A"), m.remove("A")])) == [2, 0, 3, 0]
    assert m.queue_tick == 3


def test_repetition_behind_another_is_kept() -> None:
    """A repeated mutation has its turn if anything waits behind the first one: it changes the order of the active states."""
    m, _ = run(lambda e: [e.add("B"), e.add("C"), e.add("B")])
    assert m.active_states() == ("B", "C", "A")
    assert m.queue_tick == 5


def test_duplicate_behind_counter_is_kept() -> None:
    """A repeated mutation behind one that touches its states is not dropped."""
    m, _ = run(lambda e: [e.add("B"), e.remove("B"), e.add("B")])
    assert m.is_("B")


def test_duplicate_behind_set_is_kept() -> None:
    """A set touches every state."""
    m, _ = run(lambda e: [e.add("B"), e.set("A"), e.add("B")])
    assert m.is_("B")


def test_repeated_set_only_dropped_at_the_end() -> None:
    """A set is dropped only if the last queued mutation is the same set."""
    _, script = run(lambda e: [e.set("B"), e.add("C"), e.set("B"), e.set("B")])
    assert ticks(script.results) == [3, 4, 5, 0]


def test_multi_and_args_are_never_duplicates() -> None:
    """Multi states are events, and arguments make a difference."""
    schema = {"A": {}, "M": {"multi": True}, "B": {}}
    _, script = run(lambda e: [e.add("M"), e.add("M"), e.add("B", x=1), e.add("B", x=1)], schema)
    assert ticks(script.results) == [3, 4, 5, 6]


def test_removing_inactive_states_in_a_handler() -> None:
    """Removing inactive states is queued like everything else: they may be active when its turn comes."""
    m, script = run(lambda e: [e.remove("B")])
    assert ticks(script.results) == [3]
    assert m.queue_tick == 3


def test_queue_limit() -> None:
    """A full queue refuses mutations but no errors."""
    m, script = run(lambda e: [e.add("B"), e.add("C"), e.add("D"), e.add_err(ValueError())], queue_limit=2)
    assert [r.canceled for r in script.results] == [False, False, True, False]
    assert m.is_err()
    assert m.not_("D")


@pytest.mark.parametrize("waiting", [63, 64, 65, 900])
@pytest.mark.parametrize("is_prepared", [False, True])
def test_a_queue_of_any_length_keeps_its_order(waiting: int, is_prepared: bool) -> None:
    """However many mutations wait, and whichever way they came, they are processed in the order they were made."""
    taken: list[int] = []

    class Numbered:
        def AState(self, e: Event) -> None:
            prepared = e.machine.prepare("add", "B")
            for number in range(waiting):
                result = prepared({"number": number}) if is_prepared else e.add("B", number=number)
                assert result.tick == e.machine.queue_tick + number + 1

        def BState(self, e: Event) -> None:
            taken.append(e.args["number"])
            if e.args["number"] < waiting:  # as one is taken another comes
                e.add("B", number=e.args["number"] + waiting)

    m = Machine(STATES | {"B": {"multi": True}}, handlers=Numbered())
    m.add("A")
    assert taken == list(range(2 * waiting))
    assert m.queue_len == 0


def test_queue_questions() -> None:
    """The queue can be looked at from a handler."""

    def script(e: Event) -> list[Any]:
        m = e.machine
        e.add("B", "C")
        e.remove("A")
        return [
            m.queue_len,
            m.will_be("B"),
            m.will_be("D"),
            m.will_be_removed("A"),
            [str(mutation) for mutation in m.queued()],
        ]

    _, s = run(script)
    assert s.results == [2, True, False, True, ["[add] B C", "[remove] A"]]


def test_toggle() -> None:
    """Toggling removes only if all states are active."""
    m = Machine(STATES)
    m.add("A")
    m.toggle("A", "B")
    assert m.is_("A", "B")
    m.toggle("A", "B")
    assert m.not_("A", "B")


@pytest.mark.parametrize(
    "method",
    [
        "add",
        "remove",
        "set",
        "toggle",
        "can_add",
        "can_remove",
        "is_",
        "not_",
        "any_",
        "tick",
        "time",
        "clock",
        "inspect",
        "switch",
        "will_be",
        "state_ctx",
    ],
)
def test_unknown_state(method: str) -> None:
    """Unknown names raise everywhere, with the close matches; it is a KeyError too."""
    m = Machine({"Ready": {}})
    with pytest.raises(UnknownStateError) as caught:
        getattr(m, method)("Redy")
    assert caught.value.matches == ("Ready",)
    assert isinstance(caught.value, KeyError)
    assert not m.has("Redy")


def test_unknown_state_in_a_handler() -> None:
    """An unknown name in a queued mutation raises where it is made."""
    m = Machine(STATES, handlers=Script(lambda e: [e.remove("Nope")]))
    assert m.add("A").canceled
    assert isinstance(m.err, UnknownStateError)


def test_prepared_mutation() -> None:
    """A prepared mutation hands its dict to the handlers as it is."""
    seen: list[Any] = []
    m = Machine({"A": {"multi": True}}, handlers=Script(lambda e: seen.append(e.args)))
    p = m.prepare("add", "A")
    args = {"x": 1}
    assert p(args) is Result.EXECUTED
    assert seen[0] is args
    with pytest.raises(ValueError, match="kind"):
        m.prepare("flip", "A")


def test_prepared_mutation_of_a_machine_somebody_waits_for() -> None:
    """It is processed like any other, idle or inside a handler: waits for states and arguments are told."""

    async def main() -> None:
        asked: list[Result] = []
        m = Machine(STATES | {"B": {"multi": True}}, handlers=Script(lambda e: asked.append(add_b({"x": 2}))))
        add_a, add_b = m.prepare("add", "A"), m.prepare("add", "B")
        waits = [m.when("A"), m.when_args("B", x=2), m.when_args("B", x=3)]
        assert add_a({"x": 1}) is Result.EXECUTED
        assert [str(result) for result in asked] == ["queued:3"]
        assert m.queue_tick == 3
        assert [wait.done() for wait in waits] == [True, True, False]
        assert waits[1].result() == {"x": 2}
        waits[2].cancel()

    asyncio.run(main())


def test_prepared_mutation_without_handlers() -> None:
    """A prepared mutation of a machine without handlers changes states."""
    m = Machine(STATES)
    m.prepare("set", "A", "B")(None)
    assert m.is_("A", "B")


def test_args_are_shared_by_handlers() -> None:
    """A negotiation handler can hand something to the final handler."""

    class Handlers:
        def AEnter(self, e: Event) -> None:
            e.args["more"] = 2

        def AState(self, e: Event) -> None:
            self.args = e.args

    h = Handlers()
    Machine(STATES, handlers=h).add("A", one=1)
    assert h.args == {"one": 1, "more": 2}


def test_queue_without_room() -> None:
    """A limit of zero lets nothing wait but errors."""
    m, script = run(lambda e: [e.add("B"), e.add("Exception")], queue_limit=0)
    assert [r.canceled for r in script.results] == [True, False]
    assert m.is_err()


def test_prepared_mutation_in_a_handler() -> None:
    """A prepared mutation queues like any other: duplicates, limits and inactive states included."""
    m = Machine(STATES, queue_limit=2, handlers=(script := Script(lambda e: [p(args) for p, args in calls])))
    add, remove = m.prepare("add", "B"), m.prepare("remove", "D")
    calls = [(remove, {"x": 1}), (add, {"x": 1}), (add, None), (add, {"x": 2})]
    m.add("A")
    assert [str(r) for r in script.results] == ["queued:3", "queued:4", "canceled", "canceled"]


def test_one_binding_of_a_name() -> None:
    """A binding's id is taken until it is unbound; an unknown one is refused; none changes inside a handler."""
    m = Machine(STATES, handlers=(script := Script(lambda e: [e.machine.bind(Refuse())])))
    m.bind(Refuse(), id="mine")
    with pytest.raises(HandlerError, match="'mine' exists already"):
        m.bind(Refuse(), id="mine")
    m.unbind("mine")
    with pytest.raises(HandlerError, match="no binding 'mine'"):
        m.unbind("mine")
    m.add("A")
    assert script.results == []
    assert "inside a handler" in str(m.err)
