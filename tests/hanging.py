"""A test that hangs is ended, with the stacks of all threads and of all asyncio tasks; `conftest` takes the hooks from here.

The process ends with it, as nothing else ends whatever hangs. With several processes that is the failure of that one test,
and another process goes on with the rest.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import IO, Any

import pytest

LIMIT_S = 300.0
"""How long a test may take, with its fixtures, unless `-o hang_limit_s=` says otherwise."""

SLOW_FACTOR = 12
"""How much longer a test may take that is marked as slow."""

_GRACE_S = 30.0  # then faulthandler ends it, which needs no turn of the interpreter
_LIMIT = "hang_limit_s"
_told = pytest.StashKey[IO[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_LIMIT, "seconds after which a test that hangs is ended, 0 for never", default=str(LIMIT_S))


def pytest_configure(config: pytest.Config) -> None:
    # what a test prints is caught, so the stacks go to a copy of stderr
    config.stash[_told] = os.fdopen(os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2), "w")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_told].close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    limit_s = float(item.config.getini(_LIMIT))
    limit_s *= SLOW_FACTOR if any(map(item.get_closest_marker, ("slow", "viewers"))) else 1
    if not limit_s or item.config.getoption("usepdb"):
        return (yield)
    told = item.config.stash[_told]
    watch = threading.Timer(limit_s, _end, (item.nodeid, limit_s, told))
    watch.daemon = True
    watch.name = "watches for hanging tests"
    watch.start()
    if not float(item.config.getini("faulthandler_timeout") or 0):
        faulthandler.dump_traceback_later(limit_s + _GRACE_S, exit=True, file=told)
    try:
        return (yield)
    finally:
        watch.cancel()
        faulthandler.cancel_dump_traceback_later()


def _end(test: str, limit_s: float, told: IO[str]) -> None:
    try:
        print(f"\n{test} has not ended after {limit_s:g} s", file=told)
        _tell_stacks(told)
        told.flush()
    finally:
        os._exit(1)


def _tell_stacks(told: IO[str]) -> None:
    """Write where every thread is, and where every task of every loop waits."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            print(f"\nThread {names.get(ident, ident)}, innermost call last:", file=told)
            traceback.print_stack(frame, file=told)
    for task in [one for one in gc.get_objects() if isinstance(one, asyncio.Task)]:
        if not task.done():
            print(f"\nTask {task.get_name()}, innermost await last:", file=told)
            summary = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in _awaiting(task))
            print("".join(summary.format()), end="", file=told)


def _awaiting(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Give the frames of a task's coroutine and of what that awaits, as far as they are Python's."""
    awaited: Any = task.get_coro()
    while awaited is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                awaited = getattr(awaited, {"cr": "cr_await", "gi": "gi_yieldfrom", "ag": "ag_await"}[kind])
                break
        else:
            return
