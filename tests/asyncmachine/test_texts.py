"""Results, events, transitions and log lines read as documented."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asyncmachine import Event, LogLevel, Machine, Mutation, Result, Tracer, Transition
from asyncmachine.logs import args_mapper


def test_reprs() -> None:
    """Everything says what it is."""
    seen: list[str] = []

    class Handlers:
        def AEnter(self, e: Event) -> None:
            tx, mutation = e.transition, e.mutation
            assert tx is not None
            assert tx.mutation is tx.mutation
            seen.extend([repr(e), repr(mutation), str(mutation), repr(tx), str(tx), " ".join(tx.exits)])
            seen.append(repr(e.machine.add("A", "B")))

    m = Machine({"A": {}, "B": {}}, id="m", handlers=Handlers())
    m.add("B")
    m.set("A")
    assert seen == [
        "Event(AEnter of m)", "Mutation([set] A)", "[set] A", "Transition(m-3 [set] A)", "tx#m-3\n[set] A", "B",
        "Result(queued:4)",
    ]  # fmt: skip
    assert (repr(Result.EXECUTED), repr(Result.CANCELED), repr(m)) == (
        "Result(executed)",
        "Result(canceled)",
        "<Machine m (A:1 B:3)>",
    )


def test_results_compare_with_results_only() -> None:
    """Queued results are equal by tick; a result equals nothing else."""
    results: list[Result] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            results.extend([e.add("B", x=1), e.add("B", x=1)])

    Machine({"A": {}, "B": {}}, handlers=Handlers()).add("A")
    first, second = results
    assert first != second
    assert first == Result(first.tick)
    assert hash(first) == hash(Result(first.tick))
    assert (first != first.tick, Result.EXECUTED != "executed") == (True, True)


def lines(caplog: pytest.LogCaptureFixture, schema: dict[str, Any], *mutations: str, **options: Any) -> list[str]:
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = Machine(schema, id="machine", **{"log_level": LogLevel.EVERYTHING, **options})
    for mutation in mutations:
        kind, *states = mutation.split()
        getattr(m, kind)(*states)
    return [record.getMessage().removeprefix("[machi] ") for record in caplog.records]


def test_log_of_removals(caplog: pytest.LogCaptureFixture) -> None:
    """A state that is pushed out or blocked is named with what did it, and nothing else is."""
    schema = {"A": {"remove": ["B"]}, "B": {}, "C": {}, "D": {"add": ["B"]}}
    written = lines(caplog, schema, "add B C", "add A", "add D", log_level=LogLevel.DECISIONS)
    assert [line for line in written if line.startswith(("[rel", "[imp"))] == ["[rel:remove] B by A"] * 2
    assert "[state] +A -B" in written


def test_log_of_blocked_and_rejected_autos(caplog: pytest.LogCaptureFixture) -> None:
    """An Auto state that is not called says what blocks it; one that is rejected says what it lacks."""
    schema = {"A": {"remove": ["X"]}, "X": {"auto": True}, "Y": {"auto": True, "require": ["Z"]}, "Z": {}}
    written = lines(caplog, schema, "add A")
    assert written[-5:] == [
        "[auto:rel:remove] X by A",
        "[prepend:add] Y",
        "[add:auto] Y",
        "[reject:auto] Y(-Z)",
        "[cancel:reject] Y",
    ]


def test_autos_are_logged_at_their_levels(caplog: pytest.LogCaptureFixture) -> None:
    """Below OPS an auto mutation is only the change it makes; a change of nothing is not written."""
    schema = {"A": {}, "X": {"auto": True}}
    assert lines(caplog, schema, "add A", "add A", log_level=LogLevel.CHANGES) == ["[state] +A", "[auto_] +X"]
    caplog.clear()
    assert "[auto] X" in lines(caplog, schema, "add A", log_level=LogLevel.OPS)


def test_log_of_vetoes_and_handlers(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal names the states and the handler; a self handler's is told apart."""

    class Handlers:
        def AA(self, e: Event) -> bool:
            return False

        def BEnter(self, e: Event) -> bool:
            e.add("C", x=1)
            return False

    written = lines(caplog, {"A": {}, "B": {}, "C": {}}, "add A", "set A", "set B", handlers=Handlers())
    assert "[handlers] bind 0:Handlers-0" in written
    assert "[handler:0] BEnter" in written
    assert "[cancel:self] (A) by AA" in written
    assert "[cancel] (B) by BEnter" in written
    assert "[source] machine/machine-4/1" in written


def test_log_of_errors_evals_and_duplicates(caplog: pytest.LogCaptureFixture) -> None:
    """Errors, recoveries, evals, dropped duplicates and waits have their lines."""

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")
            e.add("B")
            e.machine.state_ctx("A")
            raise ValueError("boom")

    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = Machine({"A": {}, "B": {}}, id="machine", handlers=Handlers(), log_level=LogLevel.OPS)
    m.add("A")
    m.add_err(ValueError("again"))
    m.eval(int, label="number")
    m.unbind("Handlers-0")
    written = [record.getMessage().removeprefix("[machi] ") for record in caplog.records]
    for line in (
        "[queue:skipped] Duplicate detected for [add] B", "[recover] handling panic...", "[cancel] (A) by recover",
        "[error:add] Exception (again)", "[eval] number", "[handlers] detach Handlers-0", "[ctx:new] A", "[ctx:match] A",
    ):  # fmt: skip
        assert line in written, line


def test_level_can_change_at_any_time(caplog: pytest.LogCaptureFixture) -> None:
    """Logging can be switched on and off; what is off costs nothing."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = Machine({"A": {}}, id="machine")
    m.unbind_tracer(Tracer())
    m.log_level = LogLevel.CHANGES
    m.add("A")
    assert m.log_level is LogLevel.CHANGES
    m.log_level = LogLevel.NOTHING
    m.remove("A")
    assert (caplog.messages, m._flags) == (["[machi] [state] +A"], 0)


@pytest.mark.parametrize(("length", "text"), [(20, "abcdefgh"), (7, "abcd..."), (4, "abcd")])
def test_long_arguments_are_cut(length: int, text: str) -> None:
    """Arguments are cut to the length given, with dots if there is room."""
    assert args_mapper(("name",), length)({"name": "abcdefgh", "secret": 1}) == {"name": text}


def test_transition_of_a_recorder() -> None:
    """A tracer that hears ends only can keep transitions: they stay readable, and say when they were refused."""

    class Ends(Tracer):
        def __init__(self) -> None:
            self.ends: list[Transition] = []

        def transition_end(self, tx: Transition) -> None:
            self.ends.append(tx)

    t = Ends()
    m = Machine({"A": {"require": ["B"]}, "B": {}, "C": {"auto": True, "require": ["B"]}}, id="m", tracers=(t,))
    for kind, state in (("add", "A"), ("set", "B"), ("remove", "B"), ("set", "B"), ("remove", "B")):
        getattr(m, kind)(state)
    told = [(str(tx.mutation), tx.accepted, tx.canceled_by, tx.before, tx.after, tx.completed) for tx in t.ends]
    assert told[0] == ("[add] A", False, "relations", (0, 0, 0, 0), (0, 0, 0, 0), True)
    assert told[1] == ("[set] B", True, "", (0, 0, 0, 0), (0, 0, 1, 0), True)
    assert told[2] == ("[add] C", True, "", (0, 0, 1, 0), (0, 0, 1, 1), True)
    assert told[3] == ("[remove] B", True, "", (0, 0, 1, 1), (0, 0, 2, 2), True)
    assert isinstance(t.ends[0].mutation, Mutation)
    assert t.ends[0].mutation is t.ends[0].mutation
    assert t.ends[1].after is t.ends[1].after
