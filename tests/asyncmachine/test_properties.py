"""Whatever the program: the promises of the engine hold at every transition, and looking on changes nothing.

Random schemas, handlers that veto, fail and mutate, and random mutations run on five machines at once: one that nobody
observes, one with waits, one whose tracer hears only ends, one that logs, and one with waits and an `Onlooker`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from asyncmachine import LogLevel, Machine, Schema, Tracer, Transition
from asyncmachine._runtime import LEGAL
from asyncmachine.relations import KINDS
from tests.asyncmachine import plain_resolver
from tests.asyncmachine.onlooker import Onlooker, Wait
from tests.asyncmachine.programs import LATER, BoomError, Interruption, Program, answer_of, growths, handlers, programs

if TYPE_CHECKING:
    from collections.abc import Callable

CALLED = st.lists(st.integers(0, 9), min_size=1, max_size=3)
WAYS = ("when", "when_not", "when_time", "when_ticks", "when_next_active", "when_args", "when_query")


class Ends(Tracer):
    """Hears only how transitions end."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, bool]] = []

    def transition_end(self, tx: Transition) -> None:
        self.ends.append((tx.id, tx.accepted))


class Twin:
    """One of the machines that run the same program."""

    def __init__(self, schema: type[Schema], program: Program, *, waiting: bool = False, **options: Any) -> None:
        self.handlers = handlers(program, waiting=waiting)
        self.machine = Machine(schema, id="twin", handlers=self.handlers, **options)
        self.waits: list[asyncio.Future[Any]] = []

    def perform(self, step: Callable[[Machine], Any]) -> dict[str, Any]:
        """Run one step and return everything that is to be equal on all machines."""
        m, notes = self.machine, self.handlers.notes if self.handlers else None
        try:
            result = answer_of(step(m))
        except Interruption as error:
            result = f"interrupted by {error}"
        assert m._flags in LEGAL
        seen = {
            "result": result,
            "active": m.active_states(),
            "ticks": m.time(),
            "queue": (m.queue_tick, m.queue_len),
            "error": repr(m.err),
            "calls": list(notes.calls) if notes else [],
            "answers": [answer_of(answer) for answer in notes.answers] if notes else [],
        }
        if notes:
            notes.calls.clear()
            notes.answers.clear()
        return seen


class ProgramRun(RuleBasedStateMachine):
    """Runs one random program, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    @initialize(program=programs())
    def start(self, program: Program) -> None:
        schema = Schema.of(program.schema)  # one of its own, that remembers nothing of earlier programs
        watched = Twin(schema, program, waiting=True)
        self.onlooker = Onlooker(watched.handlers)
        watched.machine.bind_tracer(self.onlooker)
        self.watched = watched
        self.waiting = Twin(schema, program, waiting=True)
        self.recorded = Twin(schema, program, tracers=[Ends()])
        logged = Twin(schema, program, log_level=LogLevel.EVERYTHING)
        self.twins = [self.watched, self.waiting, Twin(schema, program), self.recorded, logged]

    def names(self, numbers: list[int]) -> tuple[str, ...]:
        names = self.watched.machine.state_names
        return tuple(names[number % len(names)] for number in numbers)

    def step(self, step: Callable[[Machine], Any]) -> None:
        """Take a step on every machine: all must do the same."""

        async def take() -> list[dict[str, Any]]:
            return [twin.perform(step) for twin in self.twins]

        first, *others = self.runner.run(take())
        assert not self.onlooker.wrong, self.onlooker.wrong
        for seen in others:
            assert seen == first
        assert [w.future.done() for w in self.onlooker.waits] == [wait.done() for wait in self.waiting.waits]
        self.check_memory()

    def check_memory(self) -> None:
        """What the automaton remembers is what the resolver says, and the resolver says what its rules say."""
        m = self.twins[2].machine
        names, node, automaton = m.state_names, m._configuration, m._plans
        for kind in (0, 1, 2):
            for called in [*node.tables[kind], (names[-1],)]:
                plan = automaton.plan(node, kind, called)
                numbers = tuple(dict.fromkeys(m._numbers(called)))
                plain = automaton.relations.resolve(node.active, node.mask, kind, numbers)
                assert plan.target.active == plain
                target = plain_resolver.resolve(m.schema.states, m.active_states(), KINDS[kind], called)
                assert tuple(names[state] for state in plain) == target.states
                assert plan.accepted == (kind == 1 or set(called) <= set(target.states))

    @rule(kind=st.sampled_from(["add", "add", "remove", "set", "toggle"]), called=CALLED, args=st.booleans())
    def mutate(self, kind: str, called: list[int], args: bool) -> None:
        states = self.names(called)
        self.step(lambda m: getattr(m, kind)(*states, **({"x": 1} if args else {})))

    @rule(kind=st.sampled_from(["add", "remove", "set"]), called=CALLED)
    def mutate_prepared(self, kind: str, called: list[int]) -> None:
        states = self.names(called)
        self.step(lambda m: m.prepare(kind, *states)({"y": 2}))

    @rule(kind=st.sampled_from(["can_add", "can_remove"]), called=CALLED)
    def try_out(self, kind: str, called: list[int]) -> None:
        states = self.names(called)
        self.step(lambda m: getattr(m, kind)(*states))

    @rule(called=CALLED)
    def fail(self, called: list[int]) -> None:
        states = self.names(called[1:])
        self.step(lambda m: m.add_err(BoomError("from outside"), *states))

    @rule(queued=st.lists(st.tuples(st.sampled_from(["add", "remove", "set"]), CALLED), min_size=1, max_size=4))
    def queue(self, queued: list[tuple[str, list[int]]]) -> None:
        calls = [(kind, self.names(called)) for kind, called in queued]
        self.step(lambda m: m.eval(lambda: [answer_of(getattr(m, kind)(*states)) for kind, states in calls]))

    @precondition(lambda self: not self.watched.machine.has(LATER[-1]))
    @rule(data=st.data())
    def grow(self, data: st.DataObject) -> None:
        m = self.watched.machine
        known = "".join(name for name in m.state_names if name != "Exception")
        growth = data.draw(growths(known))
        schema = m.schema.merge(growth)
        self.step(lambda m: m.set_schema(schema))

    @rule(way=st.sampled_from(WAYS), called=CALLED, n=st.integers(1, 5), args=st.booleans())
    def wait(self, way: str, called: list[int], n: int, args: bool) -> None:
        states = self.names(called)
        wanted = {"x": 1} if args else {}
        pairs = [
            (twin, self.runner.run(self.make_wait(twin.machine, way, states, n, wanted))) for twin in self.twins[:2]
        ]
        (_, (future, is_met, entered)), (_, (other, _, _)) = pairs
        assert future.done() == other.done() == (way != "when_args" and is_met())
        self.onlooker.waits.append(Wait(future, is_met, entered, met=future.done()))
        self.waiting.waits.append(other)

    async def make_wait(
        self, m: Machine, way: str, states: tuple[str, ...], n: int, args: dict[str, Any]
    ) -> tuple[asyncio.Future[Any], Callable[[], bool], Callable[[str, dict[str, Any]], bool]]:
        """Return a wait, when it is true, and which entered state with which arguments makes it so."""
        first, tick = states[0], m.tick(states[0])

        def never(state: str, given: dict[str, Any]) -> bool:
            return False

        match way:
            case "when":
                return m.when(*states), lambda: m.is_(*states), never
            case "when_not":
                return m.when_not(*states), lambda: m.not_(*states), never
            case "when_time":
                goals = {state: m.tick(state) + n for state in states}
                return m.when_time(goals), lambda: m.was_clock(goals), never
            case "when_ticks":
                return m.when_ticks(first, n), lambda: m.tick(first) >= tick + n, never
            case "when_next_active":
                return m.when_next_active(first), lambda: m.tick(first) >= (tick + 1) // 2 * 2 + 1, never
            case "when_args":
                return (
                    m.when_args(first, **args),
                    lambda: False,
                    lambda state, given: state == first and args.items() <= given.items(),
                )
            case _:
                return m.when_query(lambda clock: sum(clock.values()) % 5 == n), lambda: sum(m.time()) % 5 == n, never

    @precondition(lambda self: any(not wait.future.done() for wait in self.onlooker.waits))
    @rule(number=st.integers(0, 99))
    def stop_waiting(self, number: int) -> None:
        pending = [at for at, wait in enumerate(self.onlooker.waits) if not wait.future.done()]
        at = pending[number % len(pending)]
        self.onlooker.waits.pop(at).future.cancel()
        self.waiting.waits.pop(at).cancel()

    def teardown(self) -> None:
        for wait in self.waiting.waits if hasattr(self, "waiting") else ():
            wait.cancel()
        self.runner.close()


@pytest.mark.parametrize("limit", [20_000, 4])
def test_random_programs(limit: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Parity, order, relations, queue, waits and memory hold, however many plans are remembered."""
    monkeypatch.setattr("asyncmachine.plans.PLAN_LIMIT", limit)
    caplog.set_level(logging.CRITICAL, logger="asyncmachine")
    run_state_machine_as_test(
        ProgramRun,
        settings=settings(
            max_examples=80,
            stateful_step_count=25,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
