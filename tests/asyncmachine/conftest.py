"""The loops on which a promise is held."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.asyncmachine.loops import Main, Run


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine function on a loop of each kind."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def call(main: Main) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    return call
