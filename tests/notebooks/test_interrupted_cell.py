"""The stop button of a notebook, pressed while a cell runs a world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_client.manager import KernelManager, start_new_kernel

pytestmark = pytest.mark.xdist_group("kernels")

WORLD = """
import asyncio, threading
from pubsub_sim import World, run

async def endless():
    world = World(hosts=2, version="states", seed=1)
    try:
        async with world:
            print("it runs", flush=True)
            while True:
                await asyncio.sleep(0.01)
    finally:
        print("closed" if world.pubsubs[0]._is_closed else "left open", flush=True)
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[tuple[KernelManager, Any]]:
    """One kernel for all cells, each of which leaves it as it was, and who talks to it."""
    manager, client = start_new_kernel()
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def execute(client: Any, source: str, follow: Callable[[str], None] = lambda _: None) -> tuple[str, str]:
    """Run a cell; give how it ended and what it printed."""
    printed = []

    def show(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])
            follow("".join(printed))

    reply = client.execute_interactive(source, timeout=120, output_hook=show)["content"]
    return str(reply.get("ename", reply["status"])), "".join(printed)


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("run(endless())", "KeyboardInterrupt"),
        ("run(endless(), clock='virtual')", "KeyboardInterrupt"),
        ("await asyncio.sleep(0); run(endless())", "KeyboardInterrupt"),
        ("await endless()", "CancelledError"),  # the kernel's own loop: it cancels the cell
    ],
)
def test_interrupted_cell_ends_and_so_does_its_world(kernel: tuple[KernelManager, Any], cell: str, error: str) -> None:
    """The cell ends, its hosts are closed, no thread of it goes on, and the next cell runs."""
    manager, client = kernel

    def interrupt(printed: str) -> None:
        if printed == "it runs\n":
            manager.interrupt_kernel()

    assert execute(client, WORLD) == ("ok", "")
    ending, printed = execute(client, cell, interrupt)
    assert ending == error
    assert printed == "it runs\nclosed\n"
    left = "print('pubsub_sim.run' in [thread.name for thread in threading.enumerate()])"
    assert execute(client, left) == ("ok", "False\n")
