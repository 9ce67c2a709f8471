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
    async with World(hosts=2, version="states", seed=1) as world:
        print("it runs", flush=True)
        while True:
            await asyncio.sleep(0.01)
"""


@pytest.fixture
def kernel() -> Iterator[tuple[KernelManager, Any]]:
    """A kernel of its own, and who talks to it."""
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
    "cell", ["run(endless())", "run(endless(), clock='virtual')", "await asyncio.sleep(0); run(endless())"]
)
def test_interrupted_cell_ends_and_so_does_its_world(kernel: tuple[KernelManager, Any], cell: str) -> None:
    """The cell ends with KeyboardInterrupt, no thread of it goes on, and the next cell runs."""
    manager, client = kernel
    assert execute(client, WORLD) == ("ok", "")
    ending, printed = execute(client, cell, lambda _: manager.interrupt_kernel())
    assert ending == "KeyboardInterrupt"
    assert printed.startswith("it runs")
    left = "print('pubsub_sim.run' in [thread.name for thread in threading.enumerate()])"
    assert execute(client, left) == ("ok", "False\n")
