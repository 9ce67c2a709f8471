"""A host without turns: every input is an immediate call of the core's method.

It is a reference, not a competing version: such a host does not order its inputs and applies no back-pressure. It uses
the baseline's table of handlers and its discovery, without an owner task.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from pubsub_sim.drivers.baseline.discovery_loop import DiscoveryLoop
from pubsub_sim.drivers.baseline.pubsub_handlers import handlers_of
from pubsub_sim.node.inbox import TURN_ERRORS, Inbox
from pubsub_sim.protocol.operations import PublishMessage

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import HostContext
    from pubsub_sim.protocol.operations import Operation, Request
    from pubsub_sim.wire.sealed import ReceivedRPC

T = TypeVar("T")


class DirectCalls(Inbox):
    """Calls instead of turns. Implements Driver; its inbox holds only inputs that arrive during another input.

    Attributes:
        discovery: the baseline's discovery loop, or None.
    """

    def __init__(self, context: HostContext) -> None:
        super().__init__(context)
        self._is_calling = False
        self.discovery: DiscoveryLoop | None = None
        if context.finder is not None:
            self.discovery = DiscoveryLoop(context, context.finder, self.ask)
        self._handlers = handlers_of(self._core, self.discovery)

    def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        self._refuse_all()

    def submit(self, operation: Operation) -> None:
        """Handle an input immediately, or after the current one."""
        if self._is_closed:
            return
        if self._is_calling:
            super().submit(operation)
            return
        self._is_calling = True
        try:
            if type(operation) is PublishMessage:
                self._core.publish_message(operation.message)
            else:
                self._operations.append(operation)
            if self._operations:
                self._serve(self._handlers)
        except TURN_ERRORS as error:
            self.fail(error)
        finally:
            self._is_calling = False

    async def ask(self, request: Request[T]) -> T:
        """Handle an input immediately; return the answer one loop iteration later."""
        answer = await super().ask(request)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._undo(request)
            raise
        return answer

    def offer_rpc(self, peer: PeerId, rpc: ReceivedRPC) -> bool:
        """Handle an RPC immediately; never refuse it."""
        if self._is_closed:
            return True
        try:
            pending = self._core.handle_rpc(peer, rpc)
            while pending is not None:
                self._core.publish_message(pending.message)
                pending = None if pending.is_last else pending.resume()
        except TURN_ERRORS as error:
            self.fail(error)
        return True

    def _end(self) -> None:
        if self.discovery is not None:
            self.discovery.end()
