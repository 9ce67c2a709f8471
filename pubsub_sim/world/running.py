"""The event loop of a program: wall or virtual time, asyncio or uvloop, from a script or a notebook."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from pubsub_sim.checks import check_seconds
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.net.virtual import VirtualLoop
from pubsub_sim.packages import MissingPackageError, explain_missing

T = TypeVar("T")

run_seed: ContextVar[int] = ContextVar("run_seed", default=0)
"""The seed given to `run`, the default for worlds."""


def loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the factory of event loops on wall time.

    Args:
        loop: "uvloop" or "asyncio".

    Raises:
        MissingPackageError: uvloop is not installed.
        OptionError: unknown name.
    """
    if loop == "asyncio":
        return asyncio.new_event_loop
    if loop != "uvloop":
        raise OptionError("loop", loop, "'uvloop' or 'asyncio'")
    with explain_missing("loop 'uvloop' (the alternative is 'asyncio')"):
        import uvloop
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
    """Run a coroutine to completion on a new loop, and return its result.

    If a loop is already running, as in a notebook, the program runs in a separate thread. Interrupts work as usual: the
    first one cancels the program and waits for its end, a second one raises in its thread.

    Args:
        main: the coroutine.
        clock: "wall", or "virtual": time jumps to the next timer, and there is no outside world.
        loop: "uvloop" (the default if installed) or "asyncio"; must be omitted when the clock is virtual.
        seed: the default seed of worlds.
        patience_s: virtual clock only: time without events other than the polls and sweeps of nodes after which the
            program is considered deadlocked (default: 7200 s; the rule is in `pubsub_sim.net.virtual`).
        horizon_s: virtual clock only: time limit of the program; None sets no limit.

    Raises:
        OptionError: an invalid argument; `main` is closed then.
        Deadlock: virtual clock only; names each waiting task and its location.
        KeyboardInterrupt: the program was interrupted and has ended.
    """
    try:
        factory = _factory(clock, loop, patience_s, horizon_s)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise OptionError("seed", seed, "a whole number")
    except OptionError:
        main.close()
        raise

    if _is_loop_running():
        return _InThread(main, factory, seed).run()
    token = run_seed.set(seed)
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main)
    finally:
        run_seed.reset(token)


def _is_loop_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _factory(
    clock: str, loop: str | None, patience_s: float | None, horizon_s: float | None
) -> Callable[[], asyncio.AbstractEventLoop]:
    limits = {
        name: value for name, value in (("patience_s", patience_s), ("horizon_s", horizon_s)) if value is not None
    }
    if clock == "virtual":
        if loop is not None:
            raise OptionConflict("loop", loop, "clock", clock, "the virtual clock has its own event loop")
        for name, value in limits.items():
            check_seconds(name, value)
        return lambda: VirtualLoop(**limits)
    if clock != "wall":
        raise OptionError("clock", clock, "'wall' or 'virtual'")
    for name, value in limits.items():
        raise OptionConflict(name, value, "clock", clock, "only the virtual clock has this limit")
    if loop is not None:
        return loop_factory(loop)
    try:
        return loop_factory("uvloop")
    except MissingPackageError:
        return loop_factory("asyncio")


_LOOK_S = 0.1
"""Interval in seconds at which a waiting caller checks for interrupts."""


@contextmanager
def _interrupts_taken(take: Callable[[], None]) -> Iterator[None]:
    """Handle interrupts here: a running loop's own handler would leave them to the loop, which is blocked.

    A disposition of SIGINT that ignores it or ends the process is kept.
    """
    handler = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(handler):
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: take())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


class _InThread(Generic[T]):
    """A program in a separate thread, for callers whose thread has a running loop.

    Args:
        main: the coroutine.
        factory: creates its loop.
        seed: the default seed of worlds.
    """

    def __init__(
        self, main: Coroutine[Any, Any, T], factory: Callable[[], asyncio.AbstractEventLoop], seed: int
    ) -> None:
        self._main = main
        self._factory = factory
        self._seed = seed
        self._thread = threading.Thread(target=self._call, name="pubsub_sim.run")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._interrupts = 0
        self._has_ended = threading.Event()
        self._outcome: list[T] = []
        self._failure: BaseException | None = None

    def run(self) -> T:
        """Run it to completion.

        Raises:
            KeyboardInterrupt: the caller was interrupted; the thread has ended.
        """
        with _interrupts_taken(self._end):
            self._thread.start()
            # not `join`, which after an interrupt reports a running thread as ended (bpo-45274); with a timeout, since a signal between
            # the handler of a previous one and the following wait does not interrupt that wait
            while not self._has_ended.wait(_LOOK_S):
                pass
            self._thread.join()
        if self._interrupts:
            interrupt = KeyboardInterrupt()
            if self._failure is not None and not isinstance(self._failure, asyncio.CancelledError | KeyboardInterrupt):
                interrupt.add_note(f"the program ended with {type(self._failure).__name__}: {self._failure}")
            raise interrupt
        if self._failure is not None:
            raise self._failure
        return self._outcome[0]

    def _call(self) -> None:
        run_seed.set(self._seed)
        try:
            with asyncio.Runner(loop_factory=self._factory) as runner:
                self._outcome.append(runner.run(self._follow()))
        except BaseException as error:  # raised in the caller's thread
            self._failure = error
        finally:
            self._has_ended.set()

    async def _follow(self) -> T:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._interrupts:
            self._main.close()
            raise asyncio.CancelledError
        return await self._main

    def _end(self) -> None:
        """Cancel the program; if already cancelled, raise in its thread."""
        self._interrupts += 1
        if self._interrupts == 1:
            if self._task is None:
                return  # it will notice the interrupt
            if isinstance(self._loop, VirtualLoop):
                self._loop.interrupt(self._task.cancel)
            elif self._loop is not None:
                with suppress(RuntimeError):  # the loop has just been closed
                    self._loop.call_soon_threadsafe(self._task.cancel)
        elif self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(KeyboardInterrupt)
            )
