"""The turn in which each thing is handled, in both versions, on a core that only records its calls."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from pubsub_sim import run
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.ids import PeerId
from pubsub_sim.net.clock import clock_of
from pubsub_sim.node.driver import Driver, HostContext
from pubsub_sim.protocol.params import INCOMING_RPCS, HostParams

PEER = PeerId(b"peer")


@pytest.mark.parametrize("version", ["baseline", "states"])
def test_refused_rpcs_are_taken_in_by_the_turn_that_handles_them(version: str) -> None:
    """RPCs are decoded when they are taken in: a turn earlier, with other hosts' turns in between, they would have left the cache again."""
    seen: list[str] = []
    refused: deque[str] = deque()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        handled = loop.create_future()

        def handle_rpc(peer: PeerId, rpc: str) -> None:
            seen.append(rpc)
            if rpc == f"rpc {INCOMING_RPCS - 1}":  # the last of its turn
                loop.call_soon(lambda: seen.append(f"another host, idle here: {driver.is_idle}"))
            if rpc == f"rpc {INCOMING_RPCS + 1}":
                handled.set_result(None)

        def take_in() -> None:
            seen.append("room")
            while refused and driver.offer_rpc(PEER, refused[0]):  # type: ignore[arg-type] # this core takes anything
                refused.popleft()

        driver = _driver(version, SimpleNamespace(handle_rpc=handle_rpc, publish_message=None), take_in)
        driver.start()
        await asyncio.sleep(0)
        for number in range(INCOMING_RPCS + 2):
            if not driver.offer_rpc(PEER, f"rpc {number}"):  # type: ignore[arg-type] # as above
                refused.append(f"rpc {number}")
        await handled
        await driver.close()

    run(main(), clock="virtual")
    first = [f"rpc {number}" for number in range(INCOMING_RPCS)]
    second = [f"rpc {number}" for number in range(INCOMING_RPCS, INCOMING_RPCS + 2)]
    assert seen == [*first, "another host, idle here: False", "room", *second]


def _driver(version: str, core: Any, on_room: Any) -> Driver:
    def on_failure(error: BaseException) -> None:
        raise error

    return driver_factory(version)(
        HostContext(
            core=core,
            clock=clock_of(asyncio.get_running_loop()),
            params=HostParams(),
            finder=None,
            number=0,
            on_room=on_room,
            on_failure=on_failure,
        )
    )
