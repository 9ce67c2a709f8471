"""The turns of a classic event loop: one owner task per host.

The task sleeps on a future while there is nothing to do. In a turn, it takes all operations in the inbox, in order, and
then up to `INCOMING_RPCS` RPCs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pubsub_sim.drivers.baseline.discovery_loop import DiscoveryLoop
from pubsub_sim.drivers.baseline.pubsub_handlers import handlers_of
from pubsub_sim.node.inbox import TURN_ERRORS, Inbox
from pubsub_sim.protocol.pending import Pending

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext


class PubsubLoop(Inbox):
    """The event loop of one host. Implements Driver.

    Attributes:
        discovery: the discovery loop, or None.
        handlers: the handler of each operation; `tracing` wraps them.
    """

    def __init__(self, context: HostContext) -> None:
        super().__init__(context)
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        finder = context.finder
        self.discovery = None if finder is None else DiscoveryLoop(context, finder, self.ask)
        self.handlers = handlers_of(self._core, self.discovery)

    @property
    def settles_rpcs(self) -> bool:
        """Whether it is this class: a subclass may do more with an RPC."""
        return type(self) is PubsubLoop

    def start(self) -> None:
        name = f"pubsub loop {self._context.number}"
        self._task = self._context.lifetime.start(self._run(), name, is_work=False)

    async def close(self) -> None:
        self._refuse_all()
        if self._task is not None:
            self._context.lifetime.stop(self._task)
            await asyncio.wait([self._task])

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _end(self) -> None:
        if self.discovery is not None:
            self.discovery.end()

    async def _run(self) -> None:
        create_future, turn = asyncio.get_running_loop().create_future, self._turn
        operations, rpcs = self._operations, self._rpcs
        while True:
            if operations or rpcs or self._has_refused:
                try:
                    turn()
                except TURN_ERRORS as error:
                    self.fail(error)
                if operations or rpcs or self._has_refused:
                    await asyncio.sleep(0)  # validation, scheduled by this turn, runs first
                    continue
            if self._is_closed:
                return
            self._waiter = waiter = create_future()
            self._is_asleep = True
            await waiter

    def _turn(self) -> None:
        handlers = self.handlers
        if self._operations or self._has_refused:
            self._serve(handlers)
        rpcs, handle_rpc = self._rpcs, self._core.handle_rpc
        for _ in range(len(rpcs)):  # at most INCOMING_RPCS: the inbox takes no more
            peer, rpc = rpcs.popleft()
            pending = handle_rpc(peer, rpc)
            while pending is not None:
                handlers[Pending](pending.message)
                pending = None if pending.is_last else pending.resume()
