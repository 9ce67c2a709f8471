"""Conditions of a sweep: the one that its parameters describe, and others that are measured beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pubsub_sim.errors import OptionError
from pubsub_sim.parameters import reject_unknown, several

if TYPE_CHECKING:
    from pubsub_sim.bench.options import SweepOptions

NAMES = ("router", "transport", "loop", "sign")
"""Parameters that make a condition."""

GRID = ("hosts", "messages")
"""Parameters by which a condition can have a grid of its own."""

_EXAMPLE = "words such as 'sign=none transport=tcp hosts=5,20 messages=100'"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What the compared runs of a part of the sweep share, and its grid.

    Attributes:
        router: routing protocol.
        transport: how hosts are connected.
        loop: event loop.
        sign: "strict" or "none".
        hosts: numbers of hosts.
        messages: numbers of random messages.
    """

    router: str
    transport: str
    loop: str
    sign: str
    hosts: tuple[int, ...]
    messages: tuple[int, ...]

    @property
    def place(self) -> dict[str, str]:
        """The parameters that make it."""
        return {name: getattr(self, name) for name in NAMES}

    @property
    def label(self) -> str:
        """Its parameters in one text, which names it in seeds."""
        return "/".join(self.place.values())


def list_conditions(options: SweepOptions) -> tuple[Condition, ...]:
    """Give the conditions of a sweep, the one of its own parameters first.

    Raises:
        OptionError: a text that describes none, or the same condition as another.
    """
    main = Condition(**{name: getattr(options, name) for name in (*NAMES, *GRID)})
    found = [main]
    for text in options.conditions:
        condition = _read(text, main)
        if any(condition.place == other.place for other in found):
            raise OptionError("conditions", text, "a condition that is not there yet")
        found.append(condition)
    return tuple(found)


def _read(text: str, main: Condition) -> Condition:
    given: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals or not value or name in given:
            raise OptionError("conditions", text, _EXAMPLE)
        given[name] = value
    if not given:
        raise OptionError("conditions", text, _EXAMPLE)
    reject_unknown(given, (*NAMES, *GRID))
    values: dict[str, Any] = {name: several(name, value) if name in GRID else value for name, value in given.items()}
    return replace(main, **values)
