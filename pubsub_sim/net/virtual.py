"""An asyncio event loop on virtual time, whose clock jumps to the next timer.

The FIFO ready queue, C tasks and futures of asyncio stay; the clock, the timers and the poll are replaced.

Time is a whole number of nanoseconds. A timer's delay in seconds is rounded to the nearest one once, when the timer is
made, and added as a whole number, so sums neither drift nor depend on how late it is; a due time in float seconds
(`call_at`, `asyncio.timeout`) is exact to the nanosecond for 2**22 s, 48 days. Timers due at one instant fire in the
order they were made. Computation takes no time: queueing under load is not modelled.

What a simulated world does all the time needs no handle: nobody cancels the arrival of a frame. `post` takes a function
alone, `post_after` a function and what it is called with. They wait in the same queues as handles do, so that the order is
the same, and are called without an object and a context of their own, in the context of the loop.

A program is in deadlock when no callback is ready and no timer is armed. A world's polls and sweeps are armed for ever,
so timers come in two kinds: those of asyncio (`asyncio.sleep`, time limits, `loop.call_later`), whose purpose is not
known, and those armed through the Clock port, by which nodes poll, retry and carry frames. It is a deadlock too if for
`patience_s` of virtual time no timer of the first kind is armed or has fired, the main task has taken no step and it
does not pause on the clock itself. The program can then only be waiting for something that polling has not brought. A
program that legitimately waits longer for its nodes says so (`patience_s`). One whose main task polls for ever is ended
by `horizon_s`.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from functools import partial
from heapq import heapify, heappop, heappush
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from pubsub_sim.errors import Deadlock, NoOutsideWorld, OptionError
from pubsub_sim.net.outside import THREADS, Inside

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATIENCE_S = 7200.0
"""Virtual time a program may wait for its nodes' polls alone: twice their longest pause, the hour of a dial back-off."""

Post = tuple[int, int, Callable[[Any], object], Any]

_PLACE_BITS = 20  # a millisecond, in which a thousand hosts are sent a dozen frames

_FEW = 8  # cancelled timers that are not worth a clean-up: less than 2 kB of them stay


class Call(list[Any]):
    """A callback that is ready, outside debug mode: function, arguments and context. A handle that costs a fraction of the stock one."""

    __slots__ = ()

    def cancel(self) -> None:
        """Do not call it."""
        self[0] = None

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self[0] is None


class Timer(asyncio.TimerHandle):
    """A timer of a virtual loop.

    Attributes:
        is_background: armed through the Clock port.
    """

    __slots__ = ("is_background",)

    is_background: bool
    # attributes of Handle and TimerHandle that their stubs leave out
    _callback: Callable[..., object]
    _cancelled: bool
    _context: Context
    _loop: asyncio.AbstractEventLoop
    _repr: str | None
    _scheduled: bool
    _source_traceback: object
    _when: float

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        if loop.get_debug():
            super().__init__(when, callback, args, loop, context)
        else:  # without what the stock class asks for each, which costs more
            self._callback = callback
            self._args = args
            self._loop = loop
            self._context = copy_context() if context is None else context
            self._cancelled = False
            self._repr = None
            self._source_traceback = None
            self._when = when
            self._scheduled = False


class Pause(asyncio.Future[None]):
    """What a task waits for that pauses on the clock: the loop knows by it that the task waits for time itself."""

    def end(self) -> None:
        """The time has come."""
        if not self.done():
            self.set_result(None)


class VirtualLoop(Inside, asyncio.BaseEventLoop):
    """An event loop on virtual time, starting at 0.

    Args:
        patience_s: virtual time after which a program that waits for nothing but its nodes' polls is stuck.
        horizon_s: virtual time at which a program that has not ended is stuck; None sets no end.
    """

    # Beyond 30 attributes CPython 3.11 looks those of an instance up in a dict; the stock loop has 20 already.
    __slots__ = (
        "_armed", "_cancelled", "_horizon_ns", "_made", "_main", "_main_waits_for", "_now_ns", "_patience_ns", "_place",
        "_places", "_posts", "_posts_of", "_progress_ns", "_timers", "post",
    )  # fmt: skip

    # attributes of BaseEventLoop that its stub leaves out
    _ready: deque[Any]
    _stopping: bool
    _thread_id: int | None
    _check_closed: Callable[[], None]
    _closed: bool
    _debug: bool

    def __init__(self, *, patience_s: float = PATIENCE_S, horizon_s: float | None = None) -> None:
        super().__init__()
        self.slow_callback_duration = math.inf  # computation takes no time
        self._now_ns = 0
        self._timers: list[tuple[int, int, Timer]] = []  # a heap: due, order of making, timer
        # What was posted: due, order of making, function and its argument. It lies in places of 2**_PLACE_BITS ns each; those
        # up to `_place` are one heap, small enough for the processor's cache, and the others are not in order yet.
        self._posts: list[Post] = []
        self._place = -1
        self._places: list[int] = []  # a heap
        self._posts_of: dict[int, list[Post]] = {}
        self.post: Callable[[Callable[[], object]], None] = self._ready.append
        """Call a function in the next round; it cannot be cancelled."""
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign] # one call less than the stock loop's
        self._made = 0
        self._cancelled = 0  # timers in the heap that were cancelled
        self._armed = 0  # timers in the heap that are neither cancelled nor in the background
        self._patience_ns = to_ns("patience_s", patience_s)
        self._horizon_ns = None if horizon_s is None else to_ns("horizon_s", horizon_s)
        self._progress_ns = 0
        self._main: asyncio.Task[Any] | None = None
        self._main_waits_for: object = None

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now_ns / 1e9

    def now_ns(self) -> int:
        """Virtual nanoseconds since the start."""
        return self._now_ns

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Like the stock loop's; remembers whose progress counts.

        Raises:
            Deadlock: nothing will ever happen, or nothing the program could be waiting for.
        """
        self._main = future if isinstance(future, asyncio.Task) else None
        self._main_waits_for = None
        self._progress_ns = self._now_ns
        return super().run_until_complete(future)

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Like `call_soon` from the loop's own thread, where an interrupt's handler runs; refused from another."""
        if self._thread_id is not None and threading.get_ident() != self._thread_id:
            raise NoOutsideWorld("threads", THREADS)
        return self.call_soon(callback, *args, context=context)

    def interrupt(self, callback: Callable[[], object]) -> None:
        """Have a function called in the next turn. For an interrupt only, which is from outside this world; from any thread."""
        self._ready.append(asyncio.Handle(callback, (), self))  # nothing to wake: this loop never sleeps

    def close(self) -> None:
        """Like the stock loop's."""
        super().close()
        for entries in (self._timers, self._posts, self._places, self._posts_of):
            entries.clear()

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Like the stock loop's, in the same order."""
        if self._closed or self._debug:
            return super().call_soon(callback, *args, context=context)
        call = Call((callback, args, copy_context() if context is None else context))
        self._ready.append(call)
        return call  # type: ignore[return-value] # all that can be done with a handle can be done with it

    # --- timers --------------------------------------------------------------------------------------------------

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Timer:
        """Like the stock loop's; the delay is rounded to whole ns."""
        due_ns = math.inf if delay == math.inf else self._now_ns + to_ns("delay", delay)
        return self._arm(due_ns, callback, args, context, is_background=False)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Timer:
        """Like the stock loop's; the time is rounded to whole ns."""
        due_ns = math.inf if when == math.inf else to_ns("when", when)
        return self._arm(due_ns, callback, args, context, is_background=False)

    def call_at_ns(self, due_ns: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> Timer:
        """A background timer, for the Clock port."""
        return self._arm(due_ns, callback, args, None, is_background=True)

    def post_after(self, delay_ns: int, not_before_ns: int, function: Callable[[Any], object], argument: Any) -> int:
        """Call a function after a delay, and not before a time; in the background, and it cannot be cancelled.

        Returns:
            When it is called, in ns.
        """
        due_ns = self._now_ns + delay_ns
        if due_ns < not_before_ns:
            due_ns = not_before_ns
        self._made = made = self._made + 1
        place = due_ns >> _PLACE_BITS
        if place <= self._place:
            heappush(self._posts, (due_ns, made, function, argument))
            return due_ns
        posts = self._posts_of.get(place)
        if posts is None:
            self._posts_of[place] = [(due_ns, made, function, argument)]
            heappush(self._places, place)
        else:
            posts.append((due_ns, made, function, argument))
        return due_ns

    def is_last_call(self) -> bool:
        """Whether nothing else is ready or due at this instant: what the current call schedules for it is all that follows."""
        if self._ready:
            return False
        posts, timers, now_ns = self._posts, self._timers, self._now_ns
        return not ((posts and posts[0][0] <= now_ns) or (timers and timers[0][0] <= now_ns))

    def _arm(
        self, due_ns: float, callback: Any, args: tuple[Any, ...], context: Context | None, *, is_background: bool
    ) -> Timer:
        self._check_closed()
        timer = Timer(due_ns / 1e9, callback, args, self, context)
        timer.is_background = is_background
        if due_ns != math.inf:  # for ever: nothing that will happen
            self._made += 1
            heappush(self._timers, (int(due_ns), self._made, timer))
            timer._scheduled = True
            self._armed += not is_background
        return timer

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """The stock loop's hook. Forgets cancelled timers once they are the most, so that they cost no memory."""
        if handle._scheduled:
            self._armed -= not handle.is_background
            self._cancelled += 1
            if self._cancelled > _FEW and self._cancelled * 2 > len(self._timers):
                kept = []
                for entry in self._timers:
                    timer = entry[2]
                    if timer._cancelled or timer is handle:
                        timer._scheduled = False
                    else:
                        kept.append(entry)
                heapify(kept)
                self._timers[:] = kept
                self._cancelled = 0

    # --- turns ---------------------------------------------------------------------------------------------------

    def _run_once(self) -> None:
        """Rounds until the loop is stopped, each in the stock loop's order.

        What is due joins the end of the ready queue, then all that is ready runs.
        """
        ready, timers, posts, places = self._ready, self._timers, self._posts, self._places
        main, has_horizon = self._main, self._horizon_ns is not None
        take = ready.popleft
        while True:
            if not ready and not self._stopping:
                if not posts and places:
                    self._open_place()
                if posts and (not timers or timers[0][0] > posts[0][0]):
                    waits_for = None if main is None else main._fut_waiter  # type: ignore[attr-defined] # of Task, left out by its stub
                    if waits_for.__class__ is not Pause or has_horizon:
                        self._move_on(posts[0][0])
                        now_ns, _, function, argument = entry = heappop(posts)
                    else:  # as `_move_on` does, without another call for each frame
                        now_ns, _, function, argument = entry = heappop(posts)
                        self._main_waits_for = waits_for
                        self._progress_ns = self._now_ns
                        self._now_ns = now_ns
                    if posts and posts[0][0] == now_ns:
                        ready.append(entry)  # it is not all of this round
                    else:
                        try:
                            function(argument)
                        except (SystemExit, KeyboardInterrupt):
                            raise
                        except BaseException as error:
                            self._report(entry, error)
                        continue
                else:
                    self._jump()
            now_ns = self._now_ns
            if (timers and timers[0][0] <= now_ns) or (posts and posts[0][0] <= now_ns):
                self._take_due()
            for _ in range(len(ready)):
                call = take()
                try:
                    kind = call.__class__
                    if kind is tuple:
                        function = call[2]
                        function(call[3])
                    elif kind is Call:
                        function, args, context = call
                        if function is not None:
                            context.run(function, *args)
                    elif kind is MethodType or not isinstance(call, asyncio.Handle):
                        call()
                    elif not call._cancelled:
                        call._run()
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self._report(call, error)
            if self._stopping:
                return

    def _take_due(self) -> None:
        """What is due joins the end of the ready queue, in the order it was made."""
        timers, posts, now_ns = self._timers, self._posts, self._now_ns
        while True:
            is_post = posts and posts[0][0] <= now_ns
            if timers and timers[0][0] <= now_ns and not (is_post and posts[0] < timers[0]):
                timer = heappop(timers)[2]
                timer._scheduled = False
                if timer._cancelled:
                    self._cancelled -= 1
                    continue
                if not timer.is_background:
                    self._armed -= 1
                    self._progress_ns = now_ns
                self._ready.append(timer)
            elif is_post:
                self._ready.append(heappop(posts))
            else:
                return

    def _open_place(self) -> None:
        """Put what is due in the next place that holds anything in order."""
        self._place = place = heappop(self._places)
        self._posts += self._posts_of.pop(place)
        heapify(self._posts)

    def _report(self, call: Any, error: BaseException) -> None:
        """Tell of an error what the stock loop tells of that of a handle."""
        function = call[0] if isinstance(call, Call) else call[2] if isinstance(call, tuple) else call
        name = getattr(function, "__qualname__", repr(function))
        self.call_exception_handler({"message": f"Exception in callback {name}()", "exception": error, "handle": call})

    def _jump(self) -> None:
        """Move the clock to the next timer, or find that the program is stuck."""
        timers, posts = self._timers, self._posts
        while timers and timers[0][2]._cancelled:
            heappop(timers)[2]._scheduled = False
            self._cancelled -= 1
        if not timers and not posts:
            raise Deadlock("nothing will ever happen", self._waiting_tasks())
        self._move_on(min(entries[0][0] for entries in (timers, posts) if entries))

    def _move_on(self, due_ns: int) -> None:
        """Move the clock, unless nothing happens any more that the program could be waiting for."""
        main = self._main
        waits_for = None if main is None else main._fut_waiter  # type: ignore[attr-defined] # of Task, left out by its stub
        # it took a step, or waits for time itself
        if waits_for is not self._main_waits_for or waits_for.__class__ is Pause:
            self._main_waits_for = waits_for
            self._progress_ns = self._now_ns
        elif not self._armed and due_ns - self._progress_ns > self._patience_ns:
            waited_s = self._patience_ns / 1e9
            raise Deadlock(f"nothing but polls and sweeps for {waited_s:g} s of virtual time", self._waiting_tasks())
        if self._horizon_ns is not None and due_ns > self._horizon_ns:
            raise Deadlock(f"not ended at the horizon of {self._horizon_ns / 1e9:g} s", self._waiting_tasks())
        if due_ns > self._now_ns:
            self._now_ns = due_ns

    def _waiting_tasks(self) -> list[str]:
        lines = [
            (task is not self._main, f"{task.get_name()} ({_where(task.get_coro())})")
            for task in asyncio.all_tasks(self)
        ]
        return [line for _, line in sorted(lines)]


def to_ns(name: str, seconds: float) -> int:
    """Seconds as the nearest whole number of nanoseconds.

    Raises:
        OptionError: no finite number; `name` says which.
    """
    try:
        return round(seconds * 1e9)
    except (OverflowError, ValueError):
        raise OptionError(name, seconds, "a finite number of seconds") from None


def _where(coroutine: Any) -> str:
    """The coroutines a task is inside of, outermost first, each with the line it has come to."""
    places = []
    while isinstance(coroutine, Coroutine):
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            places.append(f"{frame.f_code.co_qualname}, line {frame.f_lineno}")
        coroutine = getattr(coroutine, "cr_await", None)
    return " > ".join(places)
