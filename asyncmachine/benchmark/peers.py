"""Workloads of other libraries for the same tasks: each with its default options, and a class written by hand.

Libraries are imported by name inside functions; a task says which module it needs. After one event the state has to be
the other one and the callbacks have to have run once, as with ours.
"""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from asyncmachine.benchmark.awaiting import ANSWER, Switch
from asyncmachine.benchmark.features import CALLBACKS, REGIONS, TOGGLE
from asyncmachine.benchmark.workload import BESIDE, HAND_WRITTEN, Bench, Workload, all_of, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_FLIP = [{"trigger": "toggle", "source": "a", "dest": "b"}, {"trigger": "toggle", "source": "b", "dest": "a"}]
_REGIONS = ("x", "y", "z")


class Model:
    """What the libraries call back."""

    def __init__(self) -> None:
        self.entered = 0
        self.asked = 0

    def agree(self, *_: Any) -> bool:
        """Count and agree: a guard."""
        self.asked += 1
        return True

    def enter(self, *_: Any) -> None:
        """Count: a callback."""
        self.entered += 1

    async def enter_async(self, *_: Any) -> None:
        """Count: a callback that is a coroutine function and does not suspend."""
        self.entered += 1


def toggling(
    toggle: Callable[[], Any], active: Callable[[], Collection[str]], off: str, on: str, regions: int = 1
) -> Bench:
    """Prepare a loop over an event that flips between two names.

    Args:
        toggle: Sends the event.
        active: Gives the names of the active states.
        off: Name, or end of a name, of the states that are active at first.
        on: The same of those that are active after one event.
        regions: How many states are active at once.
    """

    def loop(n: int) -> None:
        for _ in range(n):
            toggle()

    return Bench(loop=loop, wrong=_at_the_end(active, off, on, regions))


def awaited(toggle: Callable[[], Any], active: Callable[[], Collection[str]], off: str, on: str) -> Bench:
    """Prepare the same with an event that is awaited."""

    async def loop(n: int) -> None:
        for _ in range(n):
            await toggle()

    return Bench(loop=loop, wrong=_at_the_end(active, off, on, 1))


def calling(bench: Bench, read: Callable[[], int], per_event: int) -> Bench:
    """Let a bench also check how often it called back."""
    return Bench(loop=bench.loop, wrong=all_of(bench.wrong, counted(read, per_event, "calls")), finish=bench.finish)


def _at_the_end(active: Callable[[], Collection[str]], off: str, on: str, regions: int) -> Callable[[int], str]:
    def wrong(iterations: int) -> str:
        expected = on if iterations % 2 else off
        found = sorted(name for name in active() if name.endswith(expected))
        return "" if len(found) == regions else f"{sorted(active())} after {iterations:,} events, expected {expected}"

    return wrong


# --- by hand -----------------------------------------------------------------------------------------------------


class GuardedSwitch(Switch):
    """The same with a guard and a callback."""

    __slots__ = ("agree", "enter")

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.agree = model.agree
        self.enter = model.enter

    def toggle(self) -> bool:
        """Flip and count, if the guard agrees."""
        if not self.agree():
            return False
        self.is_on = not self.is_on
        self.ticks += 1
        self.enter()
        return True


class Switches:
    """Three pairs of states, one bit each."""

    __slots__ = ("bits", "ticks")

    def __init__(self) -> None:
        self.bits = 0
        self.ticks = 0

    def toggle(self) -> int:
        """Flip all."""
        self.bits ^= 0b111
        self.ticks += 1
        return self.bits


def hand_toggle() -> Bench:
    """Flip a flag."""
    switch = Switch()
    return toggling(switch.toggle, lambda: ["on" if switch.is_on else "off"], "off", "on")


def hand_callbacks() -> Bench:
    """Flip a flag between two calls."""
    model = Model()
    switch = GuardedSwitch(model)
    bench = toggling(switch.toggle, lambda: ["on" if switch.is_on else "off"], "off", "on")
    return calling(bench, lambda: model.entered + model.asked, 2)


def hand_regions() -> Bench:
    """Flip three bits."""
    switches = Switches()
    return toggling(switches.toggle, lambda: ["on" if switches.bits == 0b111 else "off"], "off", "on")


# --- transitions -------------------------------------------------------------------------------------------------


def transitions_toggle() -> Bench:
    """Toggle a machine of two states."""
    machine = import_module("transitions").Machine(states=["a", "b"], transitions=_FLIP, initial="a")
    return toggling(machine.toggle, lambda: [machine.state], "a", "b")


def transitions_callbacks() -> Bench:
    """Toggle with a condition and an enter callback."""
    model: Any = Model()
    states = [{"name": name, "on_enter": "enter"} for name in ("a", "b")]
    guarded = [flip | {"conditions": "agree"} for flip in _FLIP]
    import_module("transitions").Machine(model, states=states, transitions=guarded, initial="a")
    bench = toggling(model.toggle, lambda: [model.state], "a", "b")
    return calling(bench, lambda: model.entered + model.asked, 2)


def transitions_regions() -> Bench:
    """Toggle three parallel regions."""
    flips = [["toggle", "a", "b"], ["toggle", "b", "a"]]
    regions = [{"name": name, "children": ["a", "b"], "initial": "a", "transitions": flips} for name in _REGIONS]
    extensions: Any = import_module("transitions.extensions")
    machine = extensions.HierarchicalMachine(states=[{"name": "p", "parallel": regions}], initial="p")
    return toggling(machine.toggle, lambda: machine.state, "_a", "_b", len(_REGIONS))


async def transitions_async() -> Bench:
    """Toggle an AsyncMachine with one async callback."""
    model: Any = Model()
    states = [{"name": name, "on_enter": "enter_async"} for name in ("a", "b")]
    extensions: Any = import_module("transitions.extensions.asyncio")
    extensions.AsyncMachine(model, states=states, transitions=_FLIP, initial="a")
    return calling(awaited(model.toggle, lambda: [model.state], "a", "b"), lambda: model.entered, 1)


# --- python-statemachine -----------------------------------------------------------------------------------------


def statemachine_toggle() -> Bench:
    """Toggle a machine of two states."""
    machine = _statemachine({})
    return toggling(machine.toggle, lambda: list(machine.configuration_values), "a", "b")


def statemachine_callbacks() -> Bench:
    """Toggle with a condition and an enter callback."""
    model = Model()

    def agree(self: object) -> bool:
        return model.agree()

    def enter(self: object) -> None:
        model.enter()

    machine = _statemachine({"agree": agree, "on_enter_a": enter, "on_enter_b": enter}, cond="agree")
    bench = toggling(machine.toggle, lambda: list(machine.configuration_values), "a", "b")
    return calling(bench, lambda: model.entered + model.asked, 2)


def statemachine_regions() -> Bench:
    """Toggle three parallel regions of a StateChart."""
    library: Any = import_module("statemachine")
    state: Any = library.State
    regions = {}
    for name in _REGIONS:
        off, on = state(initial=True), state()
        inner = {f"{name}a": off, f"{name}b": on, "toggle": off.to(on) | on.to(off)}
        regions[name] = type(state.Compound)(name, (state.Compound,), inner)
    parallel = type(state.Parallel)("p", (state.Parallel,), regions)
    machine = type(library.StateChart)("Regions", (library.StateChart,), {"p": parallel})()
    return toggling(
        machine.toggle, lambda: [name for name in machine.configuration_values if len(name) == 2], "a", "b", 3
    )


async def statemachine_async() -> Bench:
    """Toggle with one async callback."""
    model = Model()

    async def enter(self: object) -> None:
        await model.enter_async()

    machine = _statemachine({"on_enter_a": enter, "on_enter_b": enter})
    await machine.activate_initial_state()
    bench = awaited(machine.toggle, lambda: list(machine.configuration_values), "a", "b")
    return calling(bench, lambda: model.entered, 1)


def _statemachine(callbacks: dict[str, Any], **options: Any) -> Any:
    library: Any = import_module("statemachine")
    a, b = library.State(initial=True), library.State()
    namespace = {"a": a, "b": b, "toggle": a.to(b, **options) | b.to(a, **options)} | callbacks
    return type(library.StateMachine)("Toggle", (library.StateMachine,), namespace)()


# --- xstate-statemachine -----------------------------------------------------------------------------------------


def xstate_toggle() -> Bench:
    """Toggle a machine of two states."""
    machine = _xstate(_two_states({}), None)
    return toggling(partial(machine.send, "TOGGLE"), lambda: machine.current_state_ids, ".a", ".b")


def xstate_callbacks() -> Bench:
    """Toggle with a guard and an entry action."""
    model = Model()
    library: Any = import_module("xstate_statemachine")
    logic = library.MachineLogic(actions={"enter": model.enter}, guards={"agree": model.agree})
    machine = _xstate(_two_states({"entry": ["enter"]}, guard="agree"), logic)
    bench = toggling(partial(machine.send, "TOGGLE"), lambda: machine.current_state_ids, ".a", ".b")
    return calling(bench, lambda: model.entered + model.asked, 2)


def xstate_regions() -> Bench:
    """Toggle three parallel regions."""
    region = {name: _two_states({})[name] for name in ("initial", "states")}
    machine = _xstate({"id": "m", "type": "parallel", "states": dict.fromkeys(_REGIONS, region)}, None)
    return toggling(partial(machine.send, "TOGGLE"), lambda: machine.current_state_ids, ".a", ".b", len(_REGIONS))


async def xstate_async() -> Bench:
    """Toggle an Interpreter with one async entry action and await the end of the event."""
    model = Model()
    library: Any = import_module("xstate_statemachine")
    logging.getLogger("xstate_statemachine").setLevel(logging.ERROR)
    logic = library.MachineLogic(actions={"enter": model.enter_async})
    machine = await library.Interpreter(library.create_machine(_two_states({"entry": ["enter"]}), logic=logic)).start()
    bench = awaited(
        partial(machine.send, "TOGGLE", wait=True),
        lambda: [i for i in machine.current_state_ids if "." in i],
        ".a",
        ".b",
    )
    called = calling(bench, lambda: model.entered, 1)
    return Bench(loop=called.loop, wrong=called.wrong, finish=machine.stop)


def _two_states(entry: dict[str, Any], **guard: str) -> dict[str, Any]:
    states = {name: entry | {"on": {"TOGGLE": {"target": other, **guard}}} for name, other in (("a", "b"), ("b", "a"))}
    return {"id": "m", "initial": "a", "states": states}


def _xstate(config: dict[str, Any], logic: Any) -> Any:
    library: Any = import_module("xstate_statemachine")
    logging.getLogger("xstate_statemachine").setLevel(logging.ERROR)  # it tells of every machine it makes
    return library.SyncInterpreter(library.create_machine(config, logic=logic)).start()


def _by(who: str, needs: str, *rows: tuple[str, str, str, Callable[[], Any]]) -> tuple[Workload, ...]:
    return tuple(
        Workload(name=name, title=title, group=BESIDE, make=make, per="event", who=who, needs=needs, task=task)
        for name, title, task, make in rows
    )


WORKLOADS = (
    *_by(
        "transitions",
        "transitions",
        ("transitions-toggle", "Machine", TOGGLE, transitions_toggle),
        ("transitions-callbacks", "Machine, condition and on_enter", CALLBACKS, transitions_callbacks),
        ("transitions-regions", "HierarchicalMachine, parallel", REGIONS, transitions_regions),
        ("transitions-async", "AsyncMachine, async on_enter", ANSWER, transitions_async),
    ),
    *_by(
        "python-statemachine",
        "statemachine",
        ("statemachine-toggle", "StateMachine", TOGGLE, statemachine_toggle),
        ("statemachine-callbacks", "StateMachine, cond and on_enter", CALLBACKS, statemachine_callbacks),
        ("statemachine-regions", "StateChart, parallel", REGIONS, statemachine_regions),
        ("statemachine-async", "StateMachine, async on_enter", ANSWER, statemachine_async),
    ),
    *_by(
        "xstate-statemachine",
        "xstate_statemachine",
        ("xstate-toggle", "SyncInterpreter", TOGGLE, xstate_toggle),
        ("xstate-callbacks", "SyncInterpreter, guard and entry", CALLBACKS, xstate_callbacks),
        ("xstate-regions", "SyncInterpreter, parallel", REGIONS, xstate_regions),
        ("xstate-async", "Interpreter, async entry", ANSWER, xstate_async),
    ),
    *_by(
        HAND_WRITTEN,
        "",
        ("hand-toggle", "a flag", TOGGLE, hand_toggle),
        ("hand-callbacks", "a flag between two calls", CALLBACKS, hand_callbacks),
        ("hand-regions", "three bits", REGIONS, hand_regions),
    ),
)
"""The workloads of this module in the order in which tables show them."""
