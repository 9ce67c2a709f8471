"""Random programs for a machine: strategies for schemas and handlers, and the scripted handlers themselves.

What each handler does is data, so that the same program can be run on several machines.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from asyncmachine import Event, Result

NAMES = "ABCDEFGH"
LATER = "IJ"
KINDS = ("add", "remove", "set")


class BoomError(Exception):
    """What a scripted handler raises."""


class Interruption(BaseException):
    """What leaves a mutation without becoming an Exception state, as KeyboardInterrupt does."""


class Act(NamedTuple):
    """What a handler does when it is called: for the first `times` calls, always if that is 0."""

    what: str
    states: tuple[str, ...] = ()
    times: int = 1
    args: bool = False


@dataclass(frozen=True)
class Program:
    """A schema, and which handlers are bound with which script."""

    schema: dict[str, Any]
    script: dict[str, Act]
    listening: tuple[str, ...]


@dataclass
class Notes:
    """What a scripted object has seen."""

    calls: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    waits: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)
    failed: str = ""


class Scripted:
    """Handlers that note their calls and follow a script."""

    def __init__(self, script: dict[str, Act], *, waiting: bool) -> None:
        self.script = script
        self.waiting = waiting
        self.notes = Notes()
        self.times: Counter[str] = Counter()

    def handle(self, name: str, event: Event) -> bool | None:
        """Follow the script of one handler."""
        self.notes.calls.append(f"{name}{'?' if event.is_check else ''} {sorted(event.args)}")
        act = self.script.get(name)
        if act is None or (act.times and self.times[name] >= act.times):
            return None
        self.times[name] += 1
        if act.what == "veto":
            return False
        if act.what in ("boom", "interrupt"):
            self.notes.failed = name
            raise BoomError(name) if act.what == "boom" else Interruption(name)
        self.mutate(act, event)
        return None

    def failure(self) -> type[BaseException] | None:
        """Return the type of what the last failing handler raised."""
        act = self.script.get(self.notes.failed)
        return None if act is None else BoomError if act.what == "boom" else Interruption

    def mutate(self, act: Act, event: Event) -> None:
        """Make one nested call and keep its answer."""
        args = {"x": 1} if act.args else {}
        answers, machine = self.notes.answers, event.machine
        if act.what == "eval_soon":
            answers.append(machine.eval_soon(lambda: [answer_of(machine.add(s)) for s in act.states]))
        elif act.what == "add_err":
            answers.append(event.add_err(BoomError("nested"), *act.states))
        elif act.what.startswith("can_"):
            answers.append(getattr(machine, act.what)(*act.states))
        else:
            result: Result = getattr(event, act.what)(*act.states, **args)
            answers.append(result)
            if self.waiting and result.queued:
                self.notes.waits.append((result.tick, machine.when_queue(result)))


def answer_of(result: Any) -> Any:
    """Return a comparable form of what a call gave."""
    outcome = getattr(result, "_outcome", result)  # a dry run inside a handler: what came of it in the end
    if not hasattr(outcome, "done"):
        return str(outcome)
    try:
        return str(outcome.result()) if outcome.done else "pending"
    except Interruption as error:
        return f"interrupted by {error}"


def handlers(program: Program, *, waiting: bool = False) -> Scripted | None:
    """Make the program's handler object; None if it has no handlers."""
    names = dict.fromkeys([*program.script, *program.listening])
    if not names:
        return None

    def method(name: str) -> Callable[[Scripted, Event], bool | None]:
        return lambda self, event: self.handle(name, event)

    return type("Handlers", (Scripted,), {name: method(name) for name in names})(program.script, waiting=waiting)


def relation(names: str) -> st.SearchStrategy[list[str]]:
    """Mostly nothing, sometimes up to two states."""
    some = st.lists(st.sampled_from([*names, "Exception"]), max_size=2, unique=True)
    return st.one_of(st.just([]), st.just([]), some)


@st.composite
def states(draw: st.DrawFn, names: str) -> dict[str, Any]:
    """Draw one state whose definition does not contradict itself."""
    rel = relation(names)
    data: dict[str, Any] = {key: draw(rel) for key in ("require", "add", "remove", "after")}
    data["remove"] = [name for name in data["remove"] if name not in data["require"]]
    data["auto"], data["multi"] = draw(st.integers(0, 3)) == 3, draw(st.integers(0, 3)) == 3
    return data


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a schema of three to eight states."""
    names = NAMES[: draw(st.integers(3, 8))]
    return {name: draw(states(names)) for name in names}


@st.composite
def acts(draw: st.DrawFn, names: str) -> Act:
    """Draw what one handler does."""
    what = draw(
        st.sampled_from(["veto", "boom", *KINDS, "veto", "boom", "eval_soon", "can_add", "add_err", "interrupt"])
    )
    called = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)))
    once = what not in ("veto", "boom") or draw(st.booleans())
    return Act(what, called, int(once), draw(st.booleans()))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Draw a schema with handlers of which some veto, fail or mutate."""
    schema = draw(schemas())
    names = "".join(schema)
    owners = [*names, "Exception"]
    every = [name + suffix for name in owners for suffix in ("Enter", "Exit", "State", "End")]
    every += [x + y for x in names for y in names] + ["AnyEnter", "AnyState"]
    one = st.sampled_from(every)
    script = draw(st.dictionaries(one, acts(names), max_size=5))
    listening = draw(st.one_of(st.just([]), st.lists(one, max_size=12), st.just(every)))
    return Program(schema, script, tuple(listening))


@st.composite
def growths(draw: st.DrawFn, names: str) -> dict[str, Any]:
    """Draw definitions for some states and for at least one that is not there yet."""
    more = next(name for name in LATER if name not in names)
    changed = draw(st.lists(st.sampled_from(names), max_size=1))
    return {name: draw(states(names + more)) for name in [*changed, more]}
