"""Tracers, log lines and texts show what happens and never change it."""

# handlers are named after their states

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, LogLevel, Machine, Mutation, Result, Tracer, Transition
from asyncmachine.mutation import CALLED, NUMBER

if TYPE_CHECKING:
    from asyncmachine.mutation import QueuedMutation
    from asyncmachine.plans import Plan


class Stream(Tracer):
    """Writes down every hook."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def machine_init(self, machine: Machine) -> None:
        self.seen.append(f"init {machine.id}")

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        self.seen.append(f"sub {parent.id} {machine.id}")

    def machine_dispose(self, machine: Machine) -> None:
        self.seen.append("dispose")

    def mutation_queued(self, machine: Machine, mutation: Mutation) -> None:
        self.seen.append(f"queued {mutation} {mutation.queue_tick}{' auto' if mutation.is_auto else ''}")

    def transition_init(self, tx: Transition) -> None:
        self.seen.append(f"tx {tx.accepted} {' '.join(tx.target)}".strip())

    def transition_start(self, tx: Transition) -> None:
        self.seen.append("start")

    def transition_finals(self, tx: Transition) -> None:
        self.seen.append("finals")

    def transition_end(self, tx: Transition) -> None:
        self.seen.append(f"end {tx.accepted} {tx.canceled_by}".strip())

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:
        self.seen.append(f"> {name}")

    def handler_end(self, tx: Transition, binding: str, name: str) -> None:
        self.seen.append(f"< {name}")

    def handler_slow(self, tx: Transition, name: str, seconds: float) -> None:
        self.seen.append(f"slow {name}")

    def queue_end(self, machine: Machine) -> None:
        self.seen.append("idle")


class Handlers:
    def AState(self, e: Event) -> None: ...

    def BState(self, e: Event) -> None: ...


def test_stream_of_hooks() -> None:
    """The documented stream of an add with an auto state."""
    t = Stream()
    m = Machine({"A": {}, "B": {"auto": True, "require": ["A"]}}, id="m", handlers=Handlers(), tracers=(t,))
    m.add("A")
    assert t.seen == [
        "init m",
        "queued [add] A 2", "tx True A", "start", "finals", "> AState", "< AState", "queued [add] B 0 auto", "end True",
        "tx True A B", "start", "finals", "> BState", "< BState", "end True", "idle",
    ]  # fmt: skip


def test_dispose_is_told_once() -> None:
    """After the removal of `Start`; disposing of the machine again is nothing new."""
    t = Stream()
    m = Machine({"Start": {}}, id="m", tracers=(t,))
    m.add("Start")
    t.seen.clear()
    m.dispose()
    m.dispose()
    assert t.seen == ["queued [remove] Start 3", "tx True", "start", "finals", "end True", "idle", "dispose"]


def test_stream_of_rejected_check_and_eval() -> None:
    """Rejected mutations, dry runs and evals have their shorter streams."""
    t = Stream()
    m = Machine({"A": {"require": ["B"]}, "B": {}}, tracers=(t,))
    t.seen.clear()
    m.add("A")
    assert t.seen == ["queued [add] A 2", "tx False", "start", "end False relations", "idle"]
    t.seen.clear()
    m.can_add("B")
    assert t.seen == ["queued [add] B 0", "tx True B", "start", "end True", "idle"]
    t.seen.clear()
    m.eval(int)
    assert t.seen == ["idle"]


def test_parent_is_told() -> None:
    """The tracers of the parent learn of a new submachine."""
    t = Stream()
    parent = Machine({"A": {}}, id="p", tracers=(t,))
    Machine({"A": {}}, id="c", parent=parent)
    assert t.seen[-1] == "sub p c"


def test_a_tracer_is_told_that_it_was_bound() -> None:
    """Once, to a machine that exists; a construction tells by `machine_init`, and others hear nothing of it."""

    class Bound(Tracer):
        def __init__(self) -> None:
            self.told: list[tuple[str, str]] = []

        def machine_init(self, machine: Machine) -> None:
            self.told.append(("init", machine.id))

        def machine_bound(self, machine: Machine) -> None:
            self.told.append(("bound", machine.id))

    first, second = Bound(), Bound()
    m = Machine({"A": {}}, id="m", tracers=[first])
    m.bind_tracer(second)
    m.bind_tracer(second)
    m.bind_tracer(first)
    assert (first.told, second.told) == ([("init", "m")], [("bound", "m")])


def test_slow_handler_hook() -> None:
    """A slow handler is named to the tracers."""
    t = Stream()
    Machine({"A": {}, "B": {}}, handlers=Handlers(), tracers=(t,), slow_handler_s=0.0).add("A")
    assert "slow AState" in t.seen


class Faulty(Tracer):
    """Raises in every transition."""

    def __init__(self) -> None:
        self.calls = 0

    def transition_end(self, tx: Transition) -> None:
        self.calls += 1
        raise ValueError


def test_faulty_tracer(caplog: pytest.LogCaptureFixture) -> None:
    """A raising tracer changes no result, is logged once, and is detached after ten errors."""
    t = Faulty()
    m = Machine({"A": {}}, tracers=(t,))
    results = {m.toggle("A") for _ in range(20)}
    assert (results, t.calls, m.is_err()) == ({Result.EXECUTED}, 10, False)
    assert len([r for r in caplog.records if "raised" in r.message]) == 1
    assert m._flags == 0


def test_unbinding_restores_the_quick_path() -> None:
    """Without tracers nothing is observed any more."""
    m = Machine({"A": {}})
    t = Stream()
    m.bind_tracer(t)
    m.bind_tracer(t)
    m.add("A")
    m.unbind_tracer(t)
    seen = len(t.seen)
    m.remove("A")
    assert (len(t.seen), m._flags) == (seen, 0)


def test_equal_runs_have_equal_ids() -> None:
    """Transition ids are deterministic."""

    class Ids(Tracer):
        def __init__(self) -> None:
            self.ids: list[str] = []

        def transition_end(self, tx: Transition) -> None:
            self.ids.append(tx.id)

    runs = []
    for _ in range(2):
        t = Ids()
        m = Machine({"A": {}, "B": {"auto": True}}, id="same", tracers=(t,))
        m.add("A")
        m.remove("A")
        runs.append(t.ids)
    assert runs[0] == runs[1] == ["same-2", "same-p1", "same-3"]


def lines(
    caplog: pytest.LogCaptureFixture, level: int, schema: dict[str, Any], *mutations: str, **args: Any
) -> list[str]:
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    m = Machine(schema, id="machine", log_level=level)
    for mutation in mutations:
        kind, *states = mutation.split()
        getattr(m, kind)(*states, **args)
    return [record.getMessage() for record in caplog.records]


def test_log_lines_of_an_add(caplog: pytest.LogCaptureFixture) -> None:
    """The documented lines of a mutation with an implied and an auto state."""
    schema = {"Foo": {"add": ["Imp"]}, "Bar": {"auto": True}, "Imp": {}}
    written = lines(caplog, LogLevel.EVERYTHING, schema, "add Foo", id=1, name="a very long name indeed", secret=2)
    assert written == [
        "[machi] [queue:add] Foo (id=1 name=a very long name ...)",
        "[machi] [add] Foo (id=1 name=a very long name ...)",
        "[machi] [implied] Imp",
        "[machi] [state] +Foo +Imp (id=1 name=a very long name ...)",
        "[machi] [auto] Bar",
        "[machi] [prepend:add] Bar",
        "[machi] [add:auto] Bar",
        "[machi] [auto_] +Bar Foo Imp",
    ]


def test_log_levels(caplog: pytest.LogCaptureFixture) -> None:
    """At level CHANGES only changes are written."""
    written = lines(caplog, LogLevel.CHANGES, {"A": {}, "M": {"multi": True}}, "add A M", "set M")
    assert written == ["[machi] [state] +A +M", "[machi] [state] +M -A"]


def test_log_of_a_rejection(caplog: pytest.LogCaptureFixture) -> None:
    """A rejection says what was missing."""
    written = lines(caplog, LogLevel.OPS, {"A": {"require": ["B"]}, "B": {}}, "add A")
    assert written[2:] == ["[machi] [reject] A(-B)", "[machi] [cancel:reject] A"]


def test_user_log(caplog: pytest.LogCaptureFixture) -> None:
    """A user's line goes out at level EXTERNAL, on one line."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    Machine({"A": {}}, id="machine", log_level=LogLevel.EXTERNAL).log("two\nlines")
    assert caplog.messages == ["[machi] [exter] two lines"]


def test_texts() -> None:
    """The texts of a machine, in definition order."""
    m = Machine({"A": {"auto": True, "require": ["C"]}, "B": {"multi": True, "add": ["C"]}, "C": {}})
    assert (str(m), m.string_all()) == ("()", "() [Exception:0 A:0 B:0 C:0]")
    m.add("B")
    assert (str(m), m.string_all()) == ("(A:1 B:1 C:1)", "(A:1 B:1 C:1) [Exception:0]")
    m.remove("A", "B")
    assert m.inspect("B", "A") == (
        "0 B\n    |Tick     2\n    |Multi    true\n    |Add      C\n1 A\n    |Tick     3\n    |Auto     true\n    |Require  C\n"
    )


def test_clock_questions() -> None:
    """Ticks, times and clocks, by name and as a whole."""
    m = Machine({"A": {}, "B": {}})
    m.add("A")
    assert (m.tick("A"), m.time(), m.time("B", "A"), m.clock("A"), m.clock()) == (
        1,
        (0, 1, 0),
        (0, 1),
        {"A": 1},
        {"Exception": 0, "A": 1, "B": 0},
    )
    assert (m.is_clock({"A": 1}), m.is_clock({"A": 0}), m.was_clock({"A": 0, "B": 0}), m.was_clock({"A": 2})) == (
        True,
        False,
        True,
        False,
    )
    assert (m.switch("B", "A"), m.switch(("B",), ["A"]), m.switch("B")) == ("A", "A", "")


def test_export_and_restore() -> None:
    """A restored machine has the same ticks and order."""
    schema: dict[str, Any] = {"A": {}, "B": {}}
    m = Machine(schema, id="x")
    m.add("A")
    m.add("B")
    twin = Machine.restore(schema, m.export())
    assert (twin.id, twin.time(), twin.active_states()) == ("x", m.time(), ("B", "A"))
    assert Machine.restore(schema, {"states": ["B"], "time": [3]}).tick("B") == 3
    with pytest.raises(ValueError, match="contradict"):
        Machine.restore(schema, {"states": ["B"], "time": [3], "active": ["A"]})


class Ends(Tracer):
    """Hears only how transitions end, and can mutate, fail or dispose there."""

    def __init__(self, script: Any) -> None:
        self.script = script
        self.seen: list[str] = []

    def transition_end(self, tx: Transition) -> None:
        self.seen.append(f"{tx.mutation} {tx.accepted}")
        self.script(tx)


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("kind", ["add", "remove", "set"])
def test_mutations_made_in_a_hook_queue(kind: str, bound: bool) -> None:
    """A tracer's own mutation follows, as a handler's would."""
    results: list[Any] = []

    def script(tx: Transition) -> None:
        if tx.mutation.called == ("A",):
            results.append(tx.machine.add("B"))

    t = Ends(script)
    m = Machine({"A": {}, "B": {}}, tracers=(t,), handlers=Handlers() if bound else None)
    for _ in range(2):  # the second time everything is known
        getattr(m, kind)("A")
        m.set()
    assert all(result.queued for result in results)
    assert t.seen == [f"[{kind}] A True", "[add] B True", "[set]  True"] * 2


def test_disposing_in_a_hook() -> None:
    """The machine ends when the transition has been told to all."""
    t = Ends(lambda tx: tx.machine.dispose())
    m = Machine({"A": {}, "B": {}}, tracers=(t,))
    m.add("A")
    assert m.is_disposed


def test_interruption_is_told() -> None:
    """A transition that an interruption leaves has ended, refused."""

    class Interrupting:
        def AState(self, e: Event) -> None:
            raise KeyboardInterrupt

    for tracer in (Ends(lambda tx: None), Stream()):
        m = Machine({"A": {}}, tracers=(tracer,), handlers=Interrupting())
        with pytest.raises(KeyboardInterrupt):
            m.add("A")
        assert tracer.seen[-1] in ("[add] A False", "end False error")
        assert m.transition is None


class Keeping:
    """Keeps facts of transitions, and has no use for the transition; can be told to fail."""

    def __init__(self, *, is_failing: bool = False) -> None:
        self.is_failing = is_failing
        self.kept: list[tuple[int, tuple[str, ...], int, bool]] = []

    def _transition_facts(self, machine: Machine, plan: Plan, queued: QueuedMutation, tx: Transition | None) -> None:
        self.kept.append((queued[NUMBER], queued[CALLED], sum(machine._ticks), tx is None))
        if self.is_failing:
            raise ValueError("of the tracer")


class Ending:
    """Wants the transition, at its end only."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def transition_end(self, tx: Transition) -> None:
        self.seen.append(str(tx.mutation))


def test_facts_are_told_without_a_transition_object() -> None:
    """It is made for mutations with handlers, refused ones, and as soon as another tracer wants it; the facts are the same."""
    m = Machine({"A": {}, "B": {"require": ["A"]}}, id="m")
    keeping, follower = Keeping(), Ending()
    m.bind_tracer(keeping)
    m.add("A")
    m.remove("A")
    m.add("B")
    m.bind_tracer(follower)
    m.add("A")
    m.unbind_tracer(follower)
    m.add("B")
    assert keeping.kept == [
        (2, ("A",), 1, True), (3, ("A",), 2, True), (4, ("B",), 2, False), (5, ("A",), 3, False), (6, ("B",), 4, True),
    ]  # fmt: skip


@pytest.mark.parametrize("with_others", [False, True])
def test_a_tracer_of_facts_that_fails(with_others: bool, caplog: pytest.LogCaptureFixture) -> None:
    """It is blamed, and detached after ten errors, like any other tracer; the others hear of everything."""
    failing, keeping = Keeping(is_failing=True), Keeping()
    m = Machine({"A": {}}, tracers=[failing, keeping, *([Ending()] if with_others else [])])
    for _ in range(6):
        assert m.add("A").executed
        assert m.remove("A").executed
    assert len(failing.kept) == 10
    assert len(keeping.kept) == 12
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_tracers_hear_of_ends_in_the_order_they_were_bound() -> None:
    """Whether they take facts, a transition, or both."""
    heard: list[str] = []

    class Both:
        def _transition_facts(
            self, machine: Machine, plan: Plan, queued: QueuedMutation, tx: Transition | None
        ) -> None:
            heard.append("facts of both")

        def transition_end(self, tx: Transition) -> None:
            heard.append("end of both")

    class Facts:
        def _transition_facts(
            self, machine: Machine, plan: Plan, queued: QueuedMutation, tx: Transition | None
        ) -> None:
            heard.append("facts")

    class End:
        def transition_end(self, tx: Transition) -> None:
            heard.append("end")

    Machine({"A": {}}, tracers=[End(), Facts(), Both()]).add("A")
    assert heard == ["end", "facts", "facts of both", "end of both"]
