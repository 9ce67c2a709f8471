"""Mutations run at once or queue, in order, with promised ticks."""

# handlers are named after their states

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Event, HandlerError, Machine, NestedEvalError, Result, UnknownStateError
from asyncmachine.errors import MachineDisposedError
from asyncmachine.queueing import SHORT

STATES: dict[str, Any] = {state: {} for state in "ABCD"}


class Script:
    """Runs one function in AState."""

    def __init__(self, script: Any) -> None:
        self.script = script
        self.results: list[Any] = []

    def AState(self, e: Event) -> None:
        self.results = self.script(e)


def run(script: Any, schema: dict[str, Any] | None = None, **options: Any) -> tuple[Machine, Script]:
    script = Script(script)
    m = Machine(schema or STATES, handlers=script, **options)
    assert m.add("A") is Result.EXECUTED
    return m, script


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


def test_duplicate_without_counter_is_dropped() -> None:
    """A repeated mutation with nothing between that touches its states is dropped."""
    m, script = run(lambda e: [e.add("B"), e.add("C"), e.add("B")])
    assert script.results[2] is Result.EXECUTED
    assert m.queue_tick == 4


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
    """Removing inactive states with nothing queued is executed without being queued."""
    m, script = run(lambda e: [e.remove("B")])
    assert script.results == [Result.EXECUTED]
    assert m.queue_tick == 2


def test_queue_limit() -> None:
    """A full queue refuses mutations but no errors."""
    m, script = run(lambda e: [e.add("B"), e.add("C"), e.add("D"), e.add_err(ValueError())], queue_limit=2)
    assert [r.canceled for r in script.results] == [False, False, True, False]
    assert m.is_err()
    assert m.not_("D")


@pytest.mark.parametrize("waiting", [SHORT - 1, SHORT, SHORT + 1, 900])
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


# dry runs


class Refuse:
    """Refuses B and takes notes."""

    def __init__(self) -> None:
        self.checks: list[bool] = []

    def BEnter(self, e: Event) -> bool:
        self.checks.append(e.is_check)
        return False

    def CEnter(self, e: Event) -> None:
        e.add("D")


def test_can_add_asks_relations_and_handlers() -> None:
    """A dry run asks, and changes nothing."""
    h = Refuse()
    m = Machine(
        {"A": {"require": ["B"]}, "B": {}, "C": {}, "D": {}, "M": {"multi": True, "require": ["B"]}}, handlers=h
    )
    assert [m.can_add(s) for s in "ABDM"] == [Result.CANCELED, Result.CANCELED, Result.EXECUTED, Result.EXECUTED]
    assert m.can_remove("A") is Result.EXECUTED
    assert (m.time(), m.queue_tick, h.checks) == ((0,) * 6, 1, [True])


def test_mutations_of_a_dry_run_are_drained() -> None:
    """Mutations made by handlers of a dry run are processed before it returns."""
    m = Machine(STATES, handlers=Refuse())
    assert m.can_add("C") is Result.EXECUTED
    assert m.active_states() == ("D",)


def test_can_add_inside_a_handler_is_awaitable() -> None:
    """A dry run inside a handler is queued, and its outcome can be awaited."""

    async def main() -> None:
        m = Machine(STATES, handlers=(h := Script(lambda e: [e.machine.can_add("B")])))
        m.bind(Refuse())
        m.add("A")
        assert h.results[0].queued
        assert await h.results[0] is Result.CANCELED

    asyncio.run(main())


# eval


def test_eval_returns_value_and_raises() -> None:
    """Eval gives back the value, or what the function raises."""
    m = Machine(STATES)
    assert m.eval(lambda a, b: a + b, 1, 2, label="sum") == 3
    with pytest.raises(ZeroDivisionError):
        m.eval(lambda: 1 / 0)
    assert m.add("A").executed


def test_mutations_in_eval_follow_it() -> None:
    """Mutations made in an eval are queued and processed when it ends."""
    m = Machine(STATES)
    assert m.eval(lambda: m.add("A")).queued
    assert m.is_("A")


def test_nested_eval() -> None:
    """Eval in a handler or in an eval of the same machine is refused."""
    m = Machine(STATES, handlers=Script(lambda e: e.machine.eval(int, label="inner")))
    m.add("A")
    assert isinstance(m.err, NestedEvalError)
    with pytest.raises(NestedEvalError, match="inner"):
        m.eval(lambda: m.eval(int, label="inner"))


def test_eval_soon_on_an_idle_machine() -> None:
    """Eval_soon runs at once when idle, without an event loop."""
    m = Machine(STATES)
    outcome = m.eval_soon(lambda a: a * 2, 21)
    assert outcome.done
    assert outcome.result() == 42


def test_eval_soon_runs_before_the_queue() -> None:
    """Eval_soon in a handler runs after the transition, before queued mutations, in the order asked."""

    async def main() -> list[Any]:
        order: list[Any] = []

        def script(e: Event) -> list[Any]:
            e.add("B")
            return [e.machine.eval_soon(note, e.machine, n) for n in range(2)]

        def note(m: Machine, n: int) -> int:
            order.append((n, m.is_("B")))
            return n

        m, s = run(script)
        assert m.is_("B")
        return [order, [await outcome for outcome in s.results]]

    assert asyncio.run(main()) == [[(0, False), (1, False)], [0, 1]]


def test_eval_soon_error_reaches_the_awaiter() -> None:
    """What the function raises is raised where it is awaited."""

    async def main() -> None:
        m = Machine(STATES)
        with pytest.raises(ZeroDivisionError):
            await m.eval_soon(lambda: 1 / 0)
        assert not m.is_err()

    asyncio.run(main())


def test_eval_after_dispose() -> None:
    """Evals of a disposed machine raise."""

    async def main() -> None:
        m = Machine(STATES)
        m.dispose()
        with pytest.raises(MachineDisposedError):
            m.eval(int)
        with pytest.raises(MachineDisposedError):
            await m.eval_soon(int)

    asyncio.run(main())


# interruptions


class Interrupt:
    """Interrupts the program once."""

    def __init__(self) -> None:
        self.armed = True

    def AState(self, e: Event) -> None:
        e.add("D")
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt


def test_interruption_leaves_the_call_and_the_queue() -> None:
    """KeyboardInterrupt leaves the call, the state is taken back, and the next mutation goes on with the queue."""
    m = Machine(STATES, handlers=Interrupt())
    with pytest.raises(KeyboardInterrupt):
        m.add("A")
    assert (m.tick("A"), m.is_err(), m.queue_len) == (2, False, 1)
    assert m.add("B") is Result.EXECUTED
    assert m.is_("B", "D")


def test_cancelled_error_is_never_an_exception_state() -> None:
    """CancelledError passes through handlers and add_err."""

    class Cancel:
        def AEnter(self, e: Event) -> None:
            raise asyncio.CancelledError

    m = Machine(STATES, handlers=Cancel())
    with pytest.raises(asyncio.CancelledError):
        m.add("A")
    assert m.add_err(asyncio.CancelledError()) is Result.CANCELED
    assert not m.is_err()


class Interrupts:
    """Interrupts the program in AState, after queueing B with a dry run and an eval."""

    def AState(self, e: Event) -> None:
        e.add("B")
        raise KeyboardInterrupt

    def DState(self, e: Event) -> None:
        e.add("C")
        raise KeyboardInterrupt


def interrupted(**options: Any) -> Machine:
    m = Machine(STATES, handlers=Interrupts(), **options)
    with pytest.raises(KeyboardInterrupt):
        m.add("A")
    assert m.queue_len == 1
    return m


@pytest.mark.parametrize(
    "go_on",
    [
        lambda m: m.eval(int),
        lambda m: m.eval_soon(int),
        lambda m: m.can_add("C"),
        lambda m: m.add("B"),
        lambda m: m.remove("C"),
    ],
)
def test_anything_goes_on_with_an_interrupted_queue(go_on: Any) -> None:
    """What an interruption left in the queue is processed by the next call of any kind, a dropped duplicate included."""
    m = interrupted()
    go_on(m)
    assert m.is_("B")
    assert (m.queue_len, m._gate) == (0, 0)


def test_who_waits_for_an_interrupted_mutation_is_told() -> None:
    """Its tick has come, though it was cut short; who waits for what is still queued goes on waiting."""

    async def main() -> None:
        waits: list[asyncio.Future[None]] = []

        class Handlers:
            def AState(self, e: Event) -> None:
                waits.append(e.machine.when_queue(e.add("B")))
                waits.append(e.machine.when_queue(e.add("C")))

            def BState(self, e: Event) -> None:
                raise KeyboardInterrupt

        m = Machine(STATES, handlers=Handlers())
        with pytest.raises(KeyboardInterrupt):
            m.add("A")
        assert [wait.done() for wait in waits] == [True, False]
        m.add("D")
        assert [wait.done() for wait in waits] == [True, True]

    asyncio.run(main())


def test_dispose_after_an_interruption() -> None:
    """The queue is processed before the end."""
    m = interrupted()
    seen: list[bool] = []
    m.on_dispose(lambda: seen.append(m.is_disposed))
    m.dispose()
    m.on_dispose(lambda: seen.append(m.is_disposed))
    assert seen == [True, True]
    assert m.queue_tick == 3


@pytest.mark.parametrize("call", [lambda m: m.add("C", x=1), lambda m: m.eval(int), lambda m: m.can_add("C")])
def test_interrupted_while_going_on(call: Any) -> None:
    """A second interruption leaves the rest of the queue again."""
    m = Machine(STATES, handlers=Interrupts())
    with pytest.raises(KeyboardInterrupt):
        m.eval(lambda: [m.add("D"), m.add("A"), m.add("B", x=1)])
    with pytest.raises(KeyboardInterrupt):
        call(m)
    assert m.queue_len > 0
    m.remove("C")
    m.add("C")
    assert m.queue_len == 0


def test_interrupted_eval_reaches_its_caller() -> None:
    """An interruption in an eval that somebody awaits leaves the call; the awaiter gets it too."""
    m = Machine(STATES)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        m.eval_soon(interrupt)
    assert m.add("A") is Result.EXECUTED


def test_queue_without_room() -> None:
    """A limit of zero lets nothing wait but errors."""
    m, script = run(lambda e: [e.add("B"), e.add("Exception")], queue_limit=0)
    assert [r.canceled for r in script.results] == [True, False]
    assert m.is_err()


def test_failing_dispose_function_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The others are still called."""
    m = Machine(STATES)
    seen: list[int] = []
    m.on_dispose(lambda: 1 // 0)
    m.on_dispose(lambda: seen.append(1))
    m.dispose()
    assert seen == [1]
    assert "on_dispose function failed" in caplog.text


def test_dispose_in_the_end_of_start() -> None:
    """Disposing again while Start is being removed is the same end."""

    class Handlers:
        def StartEnd(self, e: Event) -> None:
            e.machine.dispose()

    m = Machine({"Start": {}}, handlers=Handlers())
    m.add("Start")
    m.dispose()
    assert m.is_disposed


def test_prepared_mutation_in_a_handler() -> None:
    """A prepared mutation queues like any other: duplicates, limits and inactive states included."""
    m = Machine(STATES, queue_limit=2, handlers=(script := Script(lambda e: [p(args) for p, args in calls])))
    add, remove = m.prepare("add", "B"), m.prepare("remove", "D")
    calls = [(remove, {"x": 1}), (add, {"x": 1}), (add, None), (add, {"x": 2})]
    m.add("A")
    assert [str(r) for r in script.results] == ["executed", "queued:3", "queued:4", "canceled"]


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
