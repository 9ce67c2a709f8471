"""The reference's fixtures: its three schemas, its recording handlers, and its way to compare orders."""

from __future__ import annotations

from collections import Counter
from typing import Any

from asyncmachine import Event, Machine

NO_RELS: dict[str, Any] = {"A": {}, "B": {}, "C": {}, "D": {}}
RELS: dict[str, Any] = {
    "A": {"auto": True, "require": ["C"]},
    "B": {"multi": True, "add": ["C"]},
    "C": {"after": ["D"]},
    "D": {"add": ["C", "B"]},
}
HISTORY = (
    "AnyEnter AnyState AD AC AExit AEnd AA AState AB BEnter BEnd BState BB BExit BD BAny BC CEnter CState DEnter DState"
).split()


def machine(schema: dict[str, Any], *initial: str, **options: Any) -> Machine:
    """A machine of this schema, with these states set."""
    m = Machine(schema, **options)
    if initial:
        m.set(*initial)
    return m


def no_rels(*initial: str, **patch: Any) -> Machine:
    """Four unrelated states, some of them defined otherwise, and some set."""
    return machine({**NO_RELS, **patch}, *initial)


def rels(*initial: str) -> Machine:
    """Four states with every relation but Remove, some of them set."""
    return machine(RELS, *initial)


def active(m: Machine) -> set[str]:
    """The active states, in no order."""
    return set(m.active_states())


def ended(m: Machine) -> str:
    """The machine's text without an inactive Exception."""
    return m.string_all().replace("[Exception:0 ", "[").replace("[Exception:0]", "[]")


class History:
    """Notes the calls of the reference's set of handlers; they answer nothing."""

    def __init__(self) -> None:
        self.order: list[str] = []

    @property
    def counts(self) -> Counter[str]:
        """How often each handler was called."""
        return Counter(self.order)

    def follow(self, names: str) -> bool:
        """Tell whether these handlers were first called in this order."""
        firsts = [self.order.index(name) for name in names.split()]
        return firsts == sorted(firsts)

    def text(self) -> str:
        """All calls, in order."""
        return " ".join(self.order)


def history(m: Machine) -> History:
    """Bind recording handlers, and return them."""

    def method(name: str) -> Any:
        def note(self: History, e: Event) -> None:
            self.order.append(name)

        return note

    recorder: History = type("Recorder", (History,), {name: method(name) for name in HISTORY})()
    m.bind(recorder)
    return recorder
