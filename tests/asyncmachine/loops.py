"""How a test runs on a loop, and what a machine looks like that nobody waits for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from asyncmachine import Machine
from asyncmachine._runtime import OBSERVED, WAITED

Main = Callable[[], Coroutine[Any, Any, None]]
Run = Callable[[Main], None]


def is_clean(m: Machine) -> bool:
    """Nobody waits, and the machine takes its shortest way again; one that was made in debug mode is observed and never takes it."""
    return (m._flags == 0 or m._flags & ~WAITED == OBSERVED) and m._waiters.is_empty and m._waiters.args_mask == 0
