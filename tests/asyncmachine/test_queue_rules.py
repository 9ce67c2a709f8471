"""What is asked inside a handler is judged when its turn comes; only what can change nothing is left out of the queue."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine, Result, Schema, Tracer, Transition, pipes
from asyncmachine.relations import KINDS
from tests.asyncmachine.scripted import STATES, Script, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncmachine.mutation import QueuedMutation

NAMES = "ABCDE"
SUFFIXES = ("Enter", "Exit", "State", "End")


class Unshortened(Machine):
    """Queues everything."""

    __slots__ = ()

    def _is_duplicate(self, last: QueuedMutation, kind: int, called: tuple[str, ...]) -> bool:
        return False


class Scripted:
    """Queues mutations from GoState; other handlers note their calls and refuse, fail or mutate as a script says."""

    def __init__(self, queue: list[tuple[str, tuple[str, ...]]], script: dict[str, tuple[str, ...]]) -> None:
        self.queue = queue
        self.script = script
        self.results: list[Result] = []
        self.calls: list[str] = []

    def GoState(self, e: Event) -> None:
        self.results = [getattr(e.machine, kind)(*states) for kind, states in self.queue]

    def handle(self, name: str, e: Event) -> bool | None:
        """Follow the script; what is not in it happens once."""
        self.calls.append(name)
        what, *states = self.script.get(name, ("",))
        if what == "once":
            del self.script[name]
            return False
        if what == "boom":
            raise ValueError(name)
        if what in KINDS:
            del self.script[name]
            getattr(e.machine, what)(*states)
        return False if what == "veto" else None


def some(rng: random.Random, chance: float, limit: int = 2) -> list[str]:
    """Draw states, mostly none."""
    return rng.sample(NAMES, rng.randint(1, limit)) if rng.random() < chance else []


def random_schema(rng: random.Random) -> dict[str, Any]:
    """Draw relations of all kinds, so that half of the schemas have no autos, and half no order."""
    autos, order, chance = rng.random() < 0.5, rng.random() < 0.5, rng.choice((0.1, 0.3, 0.6))
    schema: dict[str, Any] = {"Go": {}}
    for name in NAMES:
        require = [other for other in some(rng, chance) if other != name]
        schema[name] = {
            "require": require,
            "remove": [other for other in some(rng, chance) if other not in (name, *require)],
            "add": [other for other in some(rng, chance / 2) if other != name],
            "after": [other for other in some(rng, chance) if other != name] if order else [],
            "auto": autos and rng.random() < 0.3,
            "multi": rng.random() < 0.15,
        }
    if rng.random() < 0.3:
        schema["Exception"] = {"multi": True, "remove": some(rng, 0.5), "add": some(rng, 0.5)}
    return schema


def random_handlers(rng: random.Random) -> dict[str, tuple[str, ...]]:
    """Draw which handlers there are, and what each does."""
    if rng.random() < 0.4:
        return {}
    every = [name + suffix for name in NAMES for suffix in SUFFIXES]
    every += [x + y for x in NAMES for y in NAMES] + ["AnyEnter", "AnyState", "ExceptionState"]
    acts = [("",), ("veto",), ("once",), ("boom",)]
    acts += [(kind, rng.choice(NAMES)) for kind in ("add", "remove", "set", "toggle")]
    return {name: rng.choice(acts) for name in rng.sample(every, rng.randint(1, 6))}


def random_queue(rng: random.Random) -> list[tuple[str, tuple[str, ...]]]:
    """Draw mutations of which many repeat an earlier one, half of those the one right before."""
    queue: list[tuple[str, tuple[str, ...]]] = []
    for _ in range(rng.randint(2, 9)):
        if queue and rng.random() < 0.5:
            queue.append(queue[-1] if rng.random() < 0.5 else rng.choice(queue))
        else:
            kind = rng.choice(("add", "add", "remove", "remove", "set", "toggle"))
            queue.append((kind, tuple(rng.sample(NAMES, rng.randint(1, 2)))))
    return queue


class Case:
    """One random program."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.schema = Schema.of(random_schema(rng))
        self.script, self.queue, self.start = random_handlers(rng), random_queue(rng), some(rng, 0.7, 3)
        methods: dict[str, Any] = {name: (lambda self, e, name=name: self.handle(name, e)) for name in self.script}
        self.handlers = type("Handlers", (Scripted,), methods)

    def outcome(self, kind: type[Machine]) -> tuple[Any, int]:
        """Run it; return all that can be seen of it but the queue ticks, and how many mutations were left out."""
        h = self.handlers(self.queue, dict(self.script))
        m = kind(self.schema, handlers=h)
        m.set("Go", *self.start)
        if not h.results:  # GoState did not run: its transition was refused
            m.eval(queue_all, m, h)
        left_out = sum(result is Result.EXECUTED for result in h.results)
        return (m.time(), m.active_states(), h.calls, repr(m.err)), left_out


def queue_all(m: Machine, h: Scripted) -> None:
    h.results = [getattr(m, kind)(*states) for kind, states in h.queue]


def test_what_is_left_out_changes_nothing() -> None:
    """1,000 random queues over random relations and handlers end alike with and without the short cut, call for call."""
    dropped = 0
    for seed in range(1000):
        case = Case(seed)
        short, left_out = case.outcome(Machine)
        whole, none = case.outcome(Unshortened)
        assert short == whole, seed
        assert none == 0
        dropped += left_out
    assert dropped > 100  # it is used


@pytest.mark.parametrize("args", [{}, {"n": 1}])
def test_a_mutation_between_two_equal_ones(args: dict[str, Any]) -> None:
    """The second is carried out, with arguments and without: what it needs has become active in between."""
    m, script = run(
        lambda e: [e.add("C", **args), e.add("B", **args), e.add("C", **args)],
        {"A": {}, "B": {}, "C": {"require": ["B"]}},
    )
    assert [r.queued for r in script.results] == [True] * 3
    assert m.is_("C", "B")


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("mutate", ["remove", "event", "prepared"])
def test_removing_a_state_that_is_about_to_be_entered(first: bool, mutate: str) -> None:
    """Inside its Enter handler it is queued and carried out, whether something else waits or not."""

    class Handlers:
        def AEnter(self, e: Event) -> None:
            if first:
                e.machine.add("B")
            remove = {
                "remove": lambda: e.machine.remove("A"),
                "event": lambda: e.remove("A"),
                "prepared": lambda: e.machine.prepare("remove", "A")(None),
            }[mutate]
            assert remove().queued

    m = Machine(STATES, handlers=Handlers())
    m.add("A")
    assert m.tick("A") == 2


def test_removing_what_an_auto_state_brings() -> None:
    """A state is removed that becomes active between the call and its turn."""
    m, _ = run(lambda e: [e.remove("B")], {"A": {}, "B": {"auto": True, "require": ["A"]}})
    assert m.tick("B") == 2 + 1  # entered as an Auto state, removed, and entered again after that


def test_removing_exception_in_the_handler_that_fails() -> None:
    """Exception is not active yet when its removal is asked for; it is removed when its turn comes."""

    class Handlers:
        def AState(self, e: Event) -> None:
            e.machine.remove("Exception")
            raise ValueError

    m = Machine(STATES, handlers=Handlers())
    m.add("A")
    assert m.tick("Exception") == 2


@pytest.mark.parametrize(("times", "active"), [(1, True), (2, False), (3, True)])
def test_toggles_in_a_handler(times: int, active: bool) -> None:
    """Each is decided when its turn comes, so that two of them cancel each other."""
    m, script = run(lambda e: [e.machine.toggle("B") for _ in range(times)])
    assert m.is_active("B") is active
    assert [r.tick for r in script.results] == list(range(3, 3 + times))


def test_a_toggle_behind_a_counter_mutation() -> None:
    """It goes by what the mutations before it have done; what a tracer hears is what is done."""
    ends: list[str] = []

    class Ends(Tracer):
        def transition_end(self, tx: Transition) -> None:
            ends.append(str(tx.mutation))

    m = Machine(
        STATES,
        tracers=[Ends()],
        handlers=Script(lambda e: [e.add("B"), e.machine.toggle("B"), e.machine.toggle("B", "A")]),
    )
    m.add("A")
    assert ends == ["[add] A", "[add] B", "[remove] B", "[add] B A"]


def test_a_toggle_in_the_queue_is_no_add() -> None:
    """Questions about the queue leave it out, a full queue refuses it, and a disposed machine cancels it."""
    m, script = run(
        lambda e: [e.machine.toggle("B"), e.machine.will_be("B"), e.machine.queue_len, e.machine.toggle("C")],
        queue_limit=1,
    )
    assert [str(r) for r in script.results] == ["queued:3", "False", "1", "canceled"]
    m.dispose()
    assert m.toggle("B") == Result.CANCELED


def test_a_toggle_after_an_interruption() -> None:
    """What was left in the queue comes first."""

    class Interrupts:
        def AState(self, e: Event) -> None:
            e.add("B")
            raise KeyboardInterrupt

    m = Machine(STATES, handlers=Interrupts())
    with pytest.raises(KeyboardInterrupt):
        m.add("A")
    assert m.toggle("B") is Result.EXECUTED
    assert m.tick("B") == 2


def test_errors_pass_a_full_queue_whatever_is_active_now() -> None:
    """Exception may be removed by what waits, and added again behind it."""
    m = Machine(
        STATES, queue_limit=1, handlers=Script(lambda e: [e.remove("Exception"), e.add("B"), e.add("Exception")])
    )
    m.add("Exception")
    m.add("A")
    assert m.is_("Exception")
    assert m.tick("Exception") == 3
    assert m.not_("B")


def test_start_is_removed_though_it_is_being_entered() -> None:
    """`dispose` inside StartEnter ends what Start begins."""
    calls: list[str] = []

    class Handlers:
        def StartEnter(self, e: Event) -> None:
            e.machine.dispose()

        def StartState(self, e: Event) -> None:
            calls.append(e.name)

        def StartEnd(self, e: Event) -> None:
            calls.append(e.name)

    m = Machine({"Start": {}}, handlers=Handlers())
    m.add("Start")
    assert calls == ["StartState", "StartEnd"]
    assert m.is_disposed


PIPES: list[Callable[[Machine, Machine], Any]] = [
    lambda src, dst: pipes.bind(src, dst, "B", flat=True),
    lambda src, dst: pipes.bind(src, dst, "B"),
    lambda src, dst: pipes.bind_any(src, dst),
]


@pytest.mark.parametrize("bind", PIPES)
def test_pipes_to_a_machine_that_is_at_work(bind: Callable[[Machine, Machine], Any]) -> None:
    """A target in the middle of a transition decides at its turn whether anything is to be done."""
    src = Machine(STATES, id="src")

    class Handlers:
        def BEnter(self, e: Event) -> None:  # not active yet
            src.add("B")
            src.remove("B")

    dst = Machine(STATES, id="dst", handlers=Handlers())
    bind(src, dst)
    dst.add("B")
    assert dst.not_("B")
