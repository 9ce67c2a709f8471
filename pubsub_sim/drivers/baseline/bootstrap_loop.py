"""Bootstrap of the classic version, which waits until a topic has enough peers: check, look, pause, repeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext


async def bootstrap_loop(
    check: Callable[[], Awaitable[bool]], look: Callable[[], Awaitable[None]], context: HostContext
) -> bool:
    """Run until `check` returns true.

    Args:
        check: evaluates readiness in a turn of the host.
        look: one discovery request, until it is done.
        context: clock and pause.
    """
    while not await check():
        await look()
        await context.clock.wait(context.params.bootstrap_delay_s)
    return True
