"""Handlers that run what a test gives them, that refuse, or that work until they are stopped."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncmachine import Event, Machine, Result

STATES: dict[str, Any] = {state: {} for state in "ABCD"}


class Script:
    """Runs one function in AState."""

    def __init__(self, script: Any) -> None:
        self.script = script
        self.results: list[Any] = []

    def AState(self, e: Event) -> None:
        self.results = self.script(e)


def run(script: Any, schema: dict[str, Any] | None = None, **options: Any) -> tuple[Machine, Script]:
    script = Script(script)
    m = Machine(schema or STATES, handlers=script, **options)
    assert m.add("A") is Result.EXECUTED
    return m, script


class Refuse:
    """Refuses B and takes notes."""

    def __init__(self) -> None:
        self.checks: list[bool] = []

    def BEnter(self, e: Event) -> bool:
        self.checks.append(e.is_check)
        return False

    def CEnter(self, e: Event) -> None:
        e.add("D")


class Working:
    """An async State handler that works until it is stopped."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def AState(self, e: Event) -> None:
        self.log.append("started")
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append("stopped")
