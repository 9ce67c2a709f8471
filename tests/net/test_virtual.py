"""The virtual clock: time jumps, order is that of the calls, and nothing outside exists."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pubsub_sim import OptionError, run
from pubsub_sim.errors import NoOutsideWorld
from pubsub_sim.net.clock import clock_of
from pubsub_sim.net.outside import Inside
from pubsub_sim.net.virtual import VirtualLoop


def test_waiting_takes_no_time() -> None:
    """A day passes at once, to the exact instant."""

    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert run(main(), clock="virtual") == 86_400.0


def test_timers_due_at_one_instant_fire_in_the_order_they_were_made() -> None:
    """The stock heap compares due times only."""

    async def main() -> list[int]:
        order: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(50):
            loop.call_at(1.0, order.append, number)
        await asyncio.sleep(1.0)
        return order

    assert run(main(), clock="virtual") == list(range(50))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_posted_is_called_when_it_is_due_among_the_timers(seed: int) -> None:
    """By the time, then by the order of making, wherever in a millisecond it is, and if it is posted on the way there."""
    rng = random.Random(seed)

    async def main() -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        made: list[tuple[int, int]] = []
        called: list[tuple[int, int]] = []

        def arm(more: int) -> None:
            delay_ns = rng.choice((1, 2, 1_000, 900_000, 1_048_576, 3_000_000, 2**32))
            number = len(made)
            if rng.random() < 0.5:
                due_ns = loop.post_after(delay_ns, rng.choice((0, 2_000_000)), call, (number, more))
            else:
                due_ns = loop.now_ns() + delay_ns
                loop.call_at_ns(due_ns, call, (number, more))
            made.append((due_ns, number))

        def call(given: tuple[int, int]) -> None:
            number, more = given
            called.append((loop.now_ns(), number))
            for _ in range(more):
                arm(0)

        for _ in range(200):
            arm(rng.choice((0, 0, 3)))
        await asyncio.sleep(20)
        return made, called

    made, called = run(main(), clock="virtual")
    assert len(made) > 300
    assert called == sorted(made)


def test_a_call_knows_whether_it_is_the_last_of_its_instant() -> None:
    """Nothing is ready and nothing due: neither a timer nor what was posted nor a task."""

    async def main() -> list[bool]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        told: list[bool] = []

        def tell(_: object) -> None:
            told.append(loop.is_last_call())

        loop.post_after(10, 0, tell, None)
        for _ in range(2):
            loop.post_after(20, 0, tell, None)
        loop.post_after(30, 0, tell, None)
        loop.call_at_ns(30, tell, None)
        loop.post_after(40, 0, lambda _: (loop.call_soon(int), tell(None)), None)
        await asyncio.sleep(1)
        return told

    assert run(main(), clock="virtual") == [True, False, True, False, True, False]


def test_an_error_in_what_is_posted_is_told_and_stops_nothing() -> None:
    """As that of any callback; the loop calls what comes after it."""

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        told: list[object] = []
        loop.set_exception_handler(lambda _, context: told.append(type(context["exception"])))
        for delay_ns in (1, 2, 2):
            loop.post_after(delay_ns, 0, int, "none")
        loop.post_after(3, 0, told.append, "on it goes")
        await asyncio.sleep(1)
        return told

    assert run(main(), clock="virtual") == [ValueError, ValueError, ValueError, "on it goes"]


def test_a_timer_fires_at_its_due_time_to_the_nanosecond() -> None:
    """The stock loop runs what is due within a clock resolution, and rounding libraries lose up to 1 us per hop."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        seen: list[int] = []
        for due in (0.3, 0.1, 0.1 + 1e-9, 1e6):
            loop.call_at(due, lambda: seen.append(loop.now_ns()))
        await asyncio.sleep(1e6 + 1)
        return seen

    assert run(main(), clock="virtual") == [100_000_000, 100_000_001, 300_000_000, 10**15]


def test_many_short_pauses_add_up_exactly() -> None:
    """A million times 0.1 s in floats is off by microseconds; in whole nanoseconds by none, after days too."""

    async def main() -> list[int]:
        clock = clock_of(asyncio.get_running_loop())
        await asyncio.sleep(5_000_000.1)
        start_ns = clock.now_ns()
        for _ in range(1000):
            await asyncio.sleep(0.1)
            await clock.sleep(1e-9)
        return [start_ns, clock.now_ns() - start_ns]

    assert run(main(), clock="virtual") == [5_000_000_100_000_000, 100_000_001_000]


def test_a_time_limit_is_exact_however_late_it_is() -> None:
    """asyncio.timeout adds in floats; the nanosecond is found again."""

    async def main() -> int:
        clock = clock_of(asyncio.get_running_loop())
        await asyncio.sleep(4_000_000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.123456789):
                await asyncio.get_running_loop().create_future()
        return clock.now_ns()

    assert run(main(), clock="virtual") == 4_000_000_123_456_789


def test_what_is_due_joins_the_ready_queue_behind_what_is_ready() -> None:
    """As in the stock loop, so that a program takes the same order on both clocks."""

    async def main() -> list[str]:
        loop, order = asyncio.get_running_loop(), []  # type: ignore[var-annotated]
        loop.call_later(0, order.append, "timer")
        loop.call_soon(order.append, "soon")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return order

    assert run(main(), clock="virtual") == run(main(), loop="asyncio") == ["soon", "timer"]


def test_cancelled_timers_cost_no_memory_and_change_no_order() -> None:
    """Time limits that were met are forgotten as soon as they are the most."""

    async def main() -> tuple[int, list[int]]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        order: list[int] = []
        for number in range(20_000):
            timer = loop.call_later(60, order.append, number)
            if number % 1000:
                timer.cancel()
                timer.cancel()
        held = len(loop._timers)
        await asyncio.sleep(61)
        return held, order

    held, order = run(main(), clock="virtual")
    assert held <= 2 * 20 + 8  # those that are armed, as many that are not, and few more
    assert order == list(range(0, 20_000, 1000))


def test_computation_takes_no_time() -> None:
    """A busy host is not a slow one here: queueing under load is not modelled."""

    async def main() -> int:
        clock = clock_of(asyncio.get_running_loop())
        for _ in range(1000):
            sum(range(1000))
            await asyncio.sleep(0)
        return clock.now_ns()

    assert run(main(), clock="virtual") == 0


def test_a_clock_tells_its_kind() -> None:
    """So that every figure can be labelled: the two answer different questions."""

    async def main() -> str:
        return clock_of(asyncio.get_running_loop()).kind

    assert [run(main(), clock=kind) for kind in ("wall", "virtual")] == ["wall", "virtual"]


def test_an_interrupt_reaches_the_program() -> None:
    """Its handler wakes the loop from the loop's own thread."""

    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        run(main(), clock="virtual")


def call_from_a_thread(loop: asyncio.AbstractEventLoop) -> None:
    caught: list[BaseException] = []

    def call() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except NoOutsideWorld as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    raise caught[0]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (call_from_a_thread, "a virtual loop has no threads: another thread's time is not virtual"),
        (
            lambda loop: asyncio.to_thread(print),
            "a virtual loop has no executors: another thread's time is not virtual",
        ),
        (
            lambda loop: asyncio.open_connection("127.0.0.1", 9),
            "a virtual loop has no sockets: sockets live on wall time, so give the world transport='memory'",
        ),
        (lambda loop: loop.getaddrinfo("localhost", 9), "a virtual loop has no sockets: "),
        (lambda loop: loop.add_reader(0, print), "a virtual loop has no sockets: "),
        (
            lambda loop: loop.add_signal_handler(signal.SIGTERM, print),
            "a virtual loop has no signals: signals come at a wall time",
        ),
        (
            lambda loop: asyncio.create_subprocess_exec("true"),
            "a virtual loop has no subprocesses: another process's time is not virtual",
        ),
        (
            lambda loop: loop.connect_read_pipe(asyncio.Protocol, None),
            "a virtual loop has no pipes: another process's time is not virtual",
        ),
    ],
)
def test_the_outside_world_is_refused_in_one_sentence(call: Callable[[Any], Any], sentence: str) -> None:
    """Each way out of the program, at the call."""

    async def main() -> None:
        await call(asyncio.get_running_loop())

    with pytest.raises(NoOutsideWorld, match=re.escape(sentence)):
        run(main(), clock="virtual")


def test_no_way_out_is_forgotten() -> None:
    """What asyncio's loops can do with the outside is refused by name; a new one would show up here."""
    inside = (
        "call_at call_exception_handler call_later call_soon call_soon_threadsafe close create_future create_task "
        "default_exception_handler get_debug get_exception_handler get_task_factory is_closed is_running run_forever "
        "run_until_complete set_debug set_exception_handler set_task_factory shutdown_asyncgens "
        "shutdown_default_executor slow_callback_duration stop time"
    )
    public = {name for name in dir(asyncio.AbstractEventLoop) if not name.startswith("_")}
    assert public - set(inside.split()) <= vars(Inside).keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clock": "lunar"}, "clock: expected 'wall' or 'virtual', got 'lunar'"),
        ({"clock": "virtual", "loop": "uvloop"}, "loop='uvloop' .* clock='virtual'"),
        ({"loop": "trio"}, "loop: expected 'uvloop' or 'asyncio', got 'trio'"),
        ({"seed": "x"}, "seed: expected a whole number, got 'x'"),
        ({"clock": "virtual", "patience_s": 0}, "patience_s: expected a number of seconds above 0, got 0"),
        ({"clock": "virtual", "horizon_s": "x"}, "horizon_s: expected a number of seconds above 0, got 'x'"),
        ({"horizon_s": 5.0}, "horizon_s=5.0 .* clock='wall'"),
    ],
)
def test_unusable_options_are_named(options: dict[str, object], message: str) -> None:
    """And the coroutine is closed, so that nothing warns of it."""

    async def main() -> None:
        """Never run."""

    with pytest.raises(OptionError, match=message):
        run(main(), **options)  # type: ignore[arg-type] # what is tested


def test_a_program_runs_from_inside_a_running_loop() -> None:
    """As in a notebook: in a thread of its own."""

    async def inner() -> int:
        await asyncio.sleep(0)
        return 42

    async def outer() -> int:
        return run(inner(), clock="virtual")

    assert asyncio.run(outer()) == 42
