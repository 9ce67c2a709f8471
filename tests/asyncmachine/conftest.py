"""The loops on which a promise is held."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.asyncmachine.loops import Main, Run

if TYPE_CHECKING:
    from collections.abc import Callable


def _debugging() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    return loop


def _eager() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]  # of Python 3.12
    return loop


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "debug": _debugging,
    "uvloop": uvloop.new_event_loop,
    "eager": _eager,
}


# eager tasks came with Python 3.12
KINDS = [kind for kind in LOOPS if kind != "eager" or sys.version_info >= (3, 12)]


@pytest.fixture(params=KINDS)
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine function on a loop of each kind; in debug mode a handler counts as slow after a time that no test takes."""
    factory = LOOPS[request.param]

    def call(main: Main) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.get_loop().slow_callback_duration = 100.0  # type: ignore[attr-defined]  # of both kinds of loops
            runner.run(main())

    return call
