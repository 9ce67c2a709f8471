"""What if nobody took turns? Every input is a call of the core's method, made by whoever has the input.

Not a contestant: a host that is called from everywhere has no order of its own and pushes back on nobody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from pubsub_sim.drivers.baseline.pubsub_loop import PubsubLoop
from pubsub_sim.protocol.operations import PublishMessage

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Seat
    from pubsub_sim.protocol.operations import Operation, Request
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

T = TypeVar("T")


class DirectCalls(PubsubLoop):
    """The baseline's handlers without its loop. Implements Driver."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._is_calling = False

    def start(self) -> None:
        """See Driver; there is nothing to start."""

    async def close(self) -> None:
        """See Driver."""
        self._refuse_all()

    def submit(self, operation: Operation) -> None:
        """See Driver; an input that comes up during another one follows it."""
        if self._is_closed:
            return
        if self._is_calling:
            self._inbox.append(operation)
            return
        self._is_calling = True
        try:
            if type(operation) is PublishMessage:
                self._core.publish_message(operation.message)
            else:
                self._inbox.append(operation)
            if self._inbox:
                self._turn()
        except Exception as error:
            self._refuse_all()
            self._seat.on_failure(error)
        finally:
            self._is_calling = False

    async def ask(self, request: Request[T]) -> T:
        """See Driver; the input is taken at once, and the answer comes a round of the loop later."""
        answer = await super().ask(request)
        await asyncio.sleep(0)
        return answer

    def offer_rpc(self, peer: PeerId, rpc: RPC | WireMessage) -> bool:
        """See Driver; never refuses."""
        if self._is_closed:
            return True
        try:
            self._core.handle_rpc(peer, rpc)
        except Exception as error:
            self._refuse_all()
            self._seat.on_failure(error)
        return True

    @property
    def has_message_room(self) -> bool:
        """See Driver; there is no queue to be full."""
        return True
