"""`run` where a loop is running already, as in a notebook: how it fails and how it is interrupted."""

import asyncio
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from pubsub_sim import OptionError, World, run
from pubsub_sim.errors import Deadlock

NOTEBOOK = """
import asyncio, os, signal, sys, threading
from pubsub_sim import World, run
from pubsub_sim.errors import HostClosed

ended = []

async def wait():
    while True:  # on the virtual clock any time passes at once
        await asyncio.sleep(0.01)

async def endless():
    async with World(hosts=2, version="states", seed=1) as world:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await wait()
        finally:
            ended.append("cleaned up")

async def sockets():
    world = World(hosts=2, version="baseline", transport="tcp")
    try:
        async with world:
            await world.connect(0, 1)
            os.kill(os.getpid(), signal.SIGINT)
            await wait()
    finally:
        ended.append(world.network.connections)
        for node in world.pubsubs:
            try:
                await node.topics()
            except HostClosed:
                ended.append("closed")

async def stubborn():
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await wait()
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            pass

async def deaf():
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await wait()
    except asyncio.CancelledError:
        ended.append("cleaned up")
    return 1

async def fails():
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await wait()
    finally:
        raise ZeroDivisionError("on the way out")

async def cell():
    run(MAIN(), clock=CLOCK)

loop = asyncio.new_event_loop()
try:
    START
except KeyboardInterrupt as error:
    notes = getattr(error, "__notes__", [])
    threads = [thread.name for thread in threading.enumerate()]
    print("interrupted", ended, threads, error.__context__, *notes)
loop.close()
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""

STARTS = {
    "default handler": "loop.run_until_complete(cell())",
    "handler of asyncio": "asyncio.run(cell())",
}


def interrupted(main: str, clock: str = "wall", start: str = "default handler") -> list[str]:
    source = NOTEBOOK.replace("MAIN", main).replace("CLOCK", repr(clock)).replace("START", STARTS[start])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("clock", ["wall", "virtual"])
def test_interrupt_ends_the_program_and_its_thread(clock: str, start: str) -> None:
    """The program is cancelled, cleans up, and is over when KeyboardInterrupt is raised; the handler is as before."""
    assert interrupted("endless", clock, start) == ["interrupted ['cleaned up'] ['MainThread'] None", "True"]


def test_interrupt_closes_the_hosts_of_a_world_and_their_sockets() -> None:
    """Nothing of it is open when KeyboardInterrupt is raised, and no socket is left to the garbage collector."""
    assert interrupted("sockets") == ["interrupted [0, 'closed', 'closed'] ['MainThread'] None", "True"]


@pytest.mark.parametrize("clock", ["wall", "virtual"])
def test_second_interrupt_breaks_into_what_never_waits(clock: str) -> None:
    """A program that does not end when it is cancelled ends at the next interrupt, whatever it does."""
    assert interrupted("stubborn", clock) == ["interrupted [] ['MainThread'] None", "True"]


def test_interrupt_is_raised_though_the_program_took_it_for_its_end() -> None:
    """The cell was interrupted, so the cells after it must not run."""
    assert interrupted("deaf")[0] == "interrupted ['cleaned up'] ['MainThread'] None"


def test_failure_on_the_way_out_is_told() -> None:
    """What went wrong in cleaning up is a note on the interrupt."""
    assert interrupted("fails")[0].endswith("None the program ended with ZeroDivisionError: on the way out")


def test_ignored_interrupt_stays_ignored() -> None:
    """Where interrupts are ignored, as in a worker of a pool, they are here."""
    source = (
        "import asyncio, os, signal\nfrom pubsub_sim import run\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "async def main():\n    os.kill(os.getpid(), signal.SIGINT)\n    await asyncio.sleep(0)\n    return 5\n"
        "async def cell():\n    return run(main())\n"
        "print(asyncio.new_event_loop().run_until_complete(cell()))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("5\n", "")


async def broken() -> None:
    raise ValueError("as it happens")


async def stuck() -> None:
    await asyncio.get_running_loop().create_future()


def in_script(call: Callable[[], Any]) -> BaseException:
    with pytest.raises(Exception) as error:  # noqa: PT011 - which one is the test's business
        call()
    return error.value


def in_notebook(call: Callable[[], Any]) -> BaseException:
    async def cell() -> BaseException:
        return in_script(call)

    return asyncio.run(cell())


@pytest.mark.parametrize("place", [in_script, in_notebook])
def test_error_of_the_program_has_no_context(place: Callable[[Callable[[], Any]], BaseException]) -> None:
    """Its traceback is about the program and nothing of how it was started."""
    for error in (
        place(lambda: run(broken())),
        place(lambda: run(stuck(), clock="virtual")),
        place(lambda: run(broken(), loop="none")),
    ):
        assert isinstance(error, ValueError | Deadlock | OptionError)
        assert error.__context__ is None or error.__suppress_context__
        text = "".join(traceback.format_exception(error))
        assert "During handling" not in text
        assert "no running event loop" not in text


def test_worlds_run_one_after_the_other_under_a_running_loop() -> None:
    """A value comes back, and no thread is left."""

    async def hosts() -> int:
        async with World(hosts=3) as world:
            return len(world.pubsubs)

    async def cell() -> list[int]:
        return [run(hosts(), clock=clock) for clock in ("wall", "virtual")]

    assert asyncio.run(cell()) == [3, 3]
    assert "pubsub_sim.run" not in [thread.name for thread in threading.enumerate()]
