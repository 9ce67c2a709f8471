"""Small machines of a schema, some active states and some handlers."""

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Event, Machine
from tests.asyncmachine.followers import Follower

AUTO: dict[str, Any] = {"auto": True}
PLAIN: dict[str, Any] = {state: {} for state in "ABCD"}


def build(schema: dict[str, Any], active: str = "", *, observed: bool = False, **methods: Any) -> Machine:
    """A machine with some states active and some handlers: functions of the event."""
    states = list(schema)
    handlers = type("Handlers", (), {name: staticmethod(method) for name, method in methods.items()})()
    data = {"states": states, "time": [int(s in active.split()) for s in states], "active": active.split()}
    return Machine.restore(schema, data, handlers=handlers, tracers=[Follower()] if observed else [])


def text(m: Machine) -> str:
    return m.string_all().replace("[Exception:0 ", "[").replace("[Exception:0]", "[]")


def refuse(e: Event) -> bool:
    return False


def fail(e: Event) -> None:
    raise ValueError(e.name)


def note(calls: list[str]) -> Any:
    return lambda e: calls.append(e.name)


both_paths = pytest.mark.parametrize("observed", [False, True], ids=["alone", "observed"])
