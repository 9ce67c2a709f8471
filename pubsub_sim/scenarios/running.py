"""On which event loop does a program run? Wall or virtual time, asyncio or uvloop, from a script or a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from pubsub_sim.checks import check_seconds
from pubsub_sim.errors import OptionError
from pubsub_sim.net.virtual import VirtualLoop

T = TypeVar("T")

run_seed: ContextVar[int] = ContextVar("run_seed", default=0)
"""The seed given to `run`; worlds without a seed of their own take it."""


def loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes an event loop on wall time.

    Args:
        loop: "uvloop" or "asyncio".

    Raises:
        OptionError: another name, or uvloop is not installed.
    """
    if loop == "asyncio":
        return asyncio.new_event_loop
    if loop != "uvloop":
        raise OptionError("loop", loop, "'uvloop' or 'asyncio'")
    try:
        import uvloop
    except ImportError:
        raise OptionError("loop", loop, "'asyncio', as uvloop is not installed") from None
    return uvloop.new_event_loop


def run(
    main: Coroutine[Any, Any, T],
    *,
    clock: str = "wall",
    loop: str | None = None,
    seed: int = 0,
    patience_s: float | None = None,
    horizon_s: float | None = None,
) -> T:
    """Run a coroutine to its end on a loop of its own, and give its value.

    Where a loop is running already, as in a notebook, the program runs in a thread of its own.

    Args:
        main: the coroutine.
        clock: "wall", or "virtual": time jumps to the next timer, nothing outside the process exists.
        loop: "uvloop" (the default where installed) or "asyncio"; must be left out when the clock is virtual.
        seed: for worlds that are made without one.
        patience_s: virtual clock only: how long the program may wait for nothing but the polls and sweeps of its
            nodes before it is stuck (default: 7200 s; the rule is in `pubsub_sim.net.virtual`).
        horizon_s: virtual clock only: when the program must have ended; None sets no end.

    Raises:
        OptionError: an unusable argument; `main` is closed then.
        Deadlock: virtual clock, and the program is stuck; names each waiting task and where.
    """
    try:
        factory = _factory(clock, loop, patience_s, horizon_s)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise OptionError("seed", seed, "a whole number")
    except OptionError:
        main.close()
        raise

    def run_here() -> T:
        run_seed.set(seed)
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        token = run_seed.set(seed)
        try:
            return run_here()
        finally:
            run_seed.reset(token)
    return _in_thread(run_here)


def _factory(
    clock: str, loop: str | None, patience_s: float | None, horizon_s: float | None
) -> Callable[[], asyncio.AbstractEventLoop]:
    limits = {
        name: value for name, value in (("patience_s", patience_s), ("horizon_s", horizon_s)) if value is not None
    }
    if clock == "virtual":
        if loop is not None:
            raise OptionError("loop", loop, "nothing, as the virtual clock has a loop of its own")
        for name, value in limits.items():
            check_seconds(name, value)
        return lambda: VirtualLoop(**limits)
    if clock != "wall":
        raise OptionError("clock", clock, "'wall' or 'virtual'")
    for name, value in limits.items():
        raise OptionError(name, value, "nothing, as only the virtual clock has it")
    if loop is not None:
        return loop_factory(loop)
    try:
        return loop_factory("uvloop")
    except OptionError:
        return loop_factory("asyncio")


def _in_thread(function: Callable[[], T]) -> T:
    outcome: list[T] = []
    failure: list[BaseException] = []

    def call() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # carried over to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=call, name="pubsub_sim.run")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
