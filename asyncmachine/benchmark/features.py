"""Workloads without an event loop: one small one per feature of the engine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncmachine.benchmark import machines
from asyncmachine.benchmark.machines import A, B
from asyncmachine.benchmark.unobserved import UnobservedMachine
from asyncmachine.benchmark.workload import FEATURE, SUPPORT, Bench, Workload, all_of, counted, ticks_after
from asyncmachine.record import Record, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncmachine.machine import Machine

MACHINES = 1_000
"""Machines made in one iteration of the workloads about construction."""

TOGGLE = "a state on and off, no callbacks"
CALLBACKS = "a state on and off, a guard and a callback"
REGIONS = "one event flips three exclusive pairs"


def pair_of(machine: Machine) -> Bench:
    """Prepare to add and remove `A`."""

    def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A)
            machine.remove(A)

    return Bench(loop=loop, wrong=ticks_after(machine, {A: 2}))


def bare() -> Bench:
    """Add and remove a state that nothing is known about."""
    return pair_of(machines.machine())


def require() -> Bench:
    """Add and remove a state whose required state is active."""
    machine = machines.machine({B: {}, A: {"require": [B]}})
    machine.add(B)
    return pair_of(machine)


def add() -> Bench:
    """Add a state that brings another one along, and remove both."""
    machine = machines.machine({A: {"add": [B]}})

    def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A)
            machine.remove(A, B)

    return Bench(loop=loop, wrong=ticks_after(machine, {A: 2, B: 2}))


def remove() -> Bench:
    """Add two states in turn that exclude each other."""
    machine = machines.machine({A: {"remove": [B]}, B: {"remove": [A]}})
    machine.add(B)

    def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A)
            machine.add(B)

    return Bench(loop=loop, wrong=ticks_after(machine, {A: 2, B: 2}))


def after() -> Bench:
    """Add two states of which one comes after the other, and remove both."""
    machine = machines.machine({A: {"after": [B]}})

    def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A, B)
            machine.remove(A, B)

    return Bench(loop=loop, wrong=ticks_after(machine, {A: 2, B: 2}))


def veto() -> Bench:
    """Add a state that its handler refuses."""
    handlers = machines.Refusing()
    machine = machines.machine(handlers=handlers)

    def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A)

    return Bench(loop=loop, wrong=all_of(ticks_after(machine, {}), counted(lambda: handlers.asked, 1, "questions")))


def one_handler() -> Bench:
    """Add and remove a state with one final handler."""
    handlers = machines.OnState()
    bench = pair_of(machines.machine(handlers=handlers))
    return Bench(loop=bench.loop, wrong=all_of(bench.wrong, counted(lambda: handlers.entered, 1, "calls")))


def enter_and_state() -> Bench:
    """Add and remove a state with a negotiation handler and a final one."""
    handlers = machines.OnEnterAndState()
    bench = pair_of(machines.machine(handlers=handlers))
    calls = counted(lambda: handlers.entered + handlers.asked, 2, "calls")
    return Bench(loop=bench.loop, wrong=all_of(bench.wrong, calls))


def without_hooks() -> Bench:
    """Do the same by a copy of the hot path that asks for no observers."""
    handlers = machines.OnEnterAndState()
    bench = pair_of(UnobservedMachine(machines.schema(), id="measured", handlers=handlers))
    calls = counted(lambda: handlers.entered + handlers.asked, 2, "calls")
    return Bench(loop=bench.loop, wrong=all_of(bench.wrong, calls))


def with_args() -> Bench:
    """Add with an argument that the final handler reads, and remove."""
    handlers = machines.OnStateWithArgs()
    machine = machines.machine(handlers=handlers)

    def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A, amount=1)
            machine.remove(A)

    calls = counted(lambda: handlers.entered, 1, "calls")
    return Bench(loop=loop, wrong=all_of(ticks_after(machine, {A: 2}), calls))


def prepared() -> Bench:
    """Do the same by prepared mutations."""
    handlers = machines.OnStateWithArgs()
    machine = machines.machine(handlers=handlers)
    on, off = machine.prepare("add", A), machine.prepare("remove", A)

    def loop(n: int) -> None:
        for _ in range(n):
            on({"amount": 1})
            off(None)

    calls = counted(lambda: handlers.entered, 1, "calls")
    return Bench(loop=loop, wrong=all_of(ticks_after(machine, {A: 2}), calls))


def queued() -> Bench:
    """Add a state whose handler queues another mutation, and remove both."""
    handlers = machines.Queueing()
    machine = machines.machine(handlers=handlers)

    def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A)
            machine.remove(A, B)

    calls = counted(lambda: handlers.entered, 1, "calls")
    return Bench(loop=loop, wrong=all_of(ticks_after(machine, {A: 2, B: 2}), calls))


def pulse() -> Bench:
    """Add a Multi state with an argument; its handler ends it again."""
    handlers = machines.Pulse()
    machine = machines.machine({A: {"multi": True}}, handlers=handlers)

    def loop(n: int) -> None:
        for _ in range(n):
            machine.add(A, amount=1)

    calls = counted(lambda: handlers.entered, 1, "calls")
    return Bench(loop=loop, wrong=all_of(ticks_after(machine, {A: 2}), calls))


def flip() -> Bench:
    """Flip three pairs of states that exclude each other, by one `set`."""
    pairs = [("Left0", "Right0"), ("Left1", "Right1"), ("Left2", "Right2")]
    special = {one: {"remove": [other]} for pair in pairs for one, other in (pair, pair[::-1])}
    machine = machines.machine(special)
    left, right = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    machine.set(*right)

    def loop(n: int) -> None:
        for _ in range(n):
            machine.set(*left)
            machine.set(*right)

    return Bench(loop=loop, wrong=ticks_after(machine, dict.fromkeys(special, 2)))


def quiet_tracer() -> Bench:
    """Add and remove a state while a tracer hears everything."""
    return pair_of(machines.machine(tracer=machines.quiet_tracer()))


def recorder() -> Bench:
    """Add and remove a state while every transition is kept in memory."""
    tracer = machines.Recorder()
    machine = machines.machine(tracer=tracer)
    bench = pair_of(machine)

    def unlike(_: int) -> str:
        last = tracer.kept[-1]
        said = (last.mutation.kind, last.mutation.called, last.accepted, last.after)
        return "" if said == ("remove", (A,), True, machine.time()) else f"the last transition kept is {said}"

    heard = counted(lambda: tracer.heard, 2, "transitions")
    return Bench(loop=bench.loop, wrong=all_of(bench.wrong, heard, unlike))


def recorded() -> Bench:
    """Add and remove a state while every transition is written into a record."""
    folder = tempfile.TemporaryDirectory()
    recorder = Recorder(Path(folder.name, "run.sqlite"))
    bench = pair_of(machines.machine(tracer=recorder))

    def unlike(iterations: int) -> str:
        recorder.close()
        with folder, Record.open(recorder.path) as record:
            held = record.last_seq
        return "" if held == 2 * iterations else f"the record holds {held:,} transitions of {2 * iterations:,}"

    return Bench(loop=bench.loop, wrong=all_of(bench.wrong, unlike))


def evaluate() -> Bench:
    """Run a function between transitions."""
    machine, handlers = machines.machine(), machines.Counting()

    def loop(n: int) -> None:
        for _ in range(n):
            machine.eval(handlers.count)

    return Bench(loop=loop, wrong=all_of(ticks_after(machine, {}), counted(lambda: handlers.entered, 1, "calls")))


def evaluate_soon() -> Bench:
    """Run a function between transitions and take its value from the awaitable."""
    machine, handlers = machines.machine(), machines.Counting()

    def loop(n: int) -> None:
        for _ in range(n):
            machine.eval_soon(handlers.count).result()

    return Bench(loop=loop, wrong=all_of(ticks_after(machine, {}), counted(lambda: handlers.entered, 1, "calls")))


def construct() -> Bench:
    """Make machines of one schema with one handler class."""
    from asyncmachine import Machine, Schema

    compiled = Schema.of(machines.schema())
    kept: list[Machine] = []

    def loop(n: int) -> None:
        for _ in range(n):
            kept[:] = [Machine(compiled, handlers=machines.OnEnterAndState()) for _ in range(MACHINES)]

    return Bench(loop=loop, wrong=lambda _: "" if len(set(kept)) == MACHINES else "the machines are not there")


def construct_bytes() -> Bench:
    """Make the same machines once more and let them lie in memory."""
    from asyncmachine import Machine, Schema

    compiled = Schema.of(machines.schema())
    first = Machine(compiled, handlers=machines.OnEnterAndState())

    def loop(n: int) -> list[Machine]:
        return [Machine(compiled, handlers=machines.OnEnterAndState()) for _ in range(n * MACHINES)]

    return Bench(loop=loop, wrong=ticks_after(first, {}))


def of_states(size: int) -> Callable[[], Bench]:
    """Return what prepares a pair in a schema of that many states, each related to others."""

    def make() -> Bench:
        from asyncmachine import Machine

        machine = Machine(machines.related(size), id="measured")
        machine.add("First")
        state = machine.state_names[-1]

        def loop(n: int) -> None:
            for _ in range(n):
                machine.add(state)
                machine.remove(state)

        return Bench(loop=loop, wrong=ticks_after(machine, {state: 2}))

    return make


def _workload(name: str, title: str, make: Callable[[], Bench], events: int, **more: Any) -> Workload:
    given: dict[str, Any] = {"name": name, "title": title, "group": FEATURE, "make": make, "events": events} | more
    return Workload(**given)


WORKLOADS = (
    _workload("bare", "add and remove, nothing else", bare, 2, task=TOGGLE),
    _workload("require", "one Require relation", require, 2),
    _workload("add", "one Add relation", add, 2),
    _workload("remove", "two states that remove each other", remove, 2),
    _workload("after", "one After relation, two states", after, 2),
    _workload("flip", "a set that flips three exclusive pairs", flip, 2, task=REGIONS),
    _workload("veto", "a veto by an Enter handler", veto, 1),
    _workload("one-handler", "one State handler", one_handler, 2),
    _workload("enter-and-state", "an Enter and a State handler", enter_and_state, 2, task=CALLBACKS),
    _workload("args", "one State handler and an argument", with_args, 2),
    _workload("prepared", "the same, prepared mutations", prepared, 2),
    _workload("queued", "one in three queued by a handler", queued, 3),
    _workload("pulse", "a Multi state that ends itself, with an argument", pulse, 1, per="pulse"),
    _workload("quiet-tracer", "a tracer with every hook, doing nothing", quiet_tracer, 2),
    _workload("recorder", "a tracer that keeps each transition", recorder, 2),
    _workload("recorded", "a record of each transition, written to a file", recorded, 2),
    _workload("eval", "eval", evaluate, 1, per="call"),
    _workload("eval-soon", "eval_soon", evaluate_soon, 1, per="call"),
    _workload("construct", "one of 1,000 machines, time", construct, MACHINES, per="machine"),
    _workload(
        "construct-bytes", "one of 1,000 machines, memory", construct_bytes, MACHINES, per="machine", unit="bytes"
    ),
    _workload("states-20", "20 related states", of_states(20), 2),
    _workload("states-200", "200 related states", of_states(200), 2),
    _workload("again", "an Enter and a State handler, measured again", enter_and_state, 2, group=SUPPORT),
    _workload(
        "without-hooks",
        "an Enter and a State handler, hooks deleted",
        without_hooks,
        2,
        group=SUPPORT,
    ),
)
"""The workloads of this module in the order in which tables show them."""
