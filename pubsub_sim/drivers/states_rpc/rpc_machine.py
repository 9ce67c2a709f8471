"""RPCs as mutations: the handler of IncomingRPC, the one state that `states` never adds, and the turns that add it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.drivers.states.pubsub_handlers import PubsubHandlers
from pubsub_sim.drivers.states.pubsub_machine import PubsubMachine

if TYPE_CHECKING:
    from asyncmachine import Event
    from pubsub_sim.node.driver import HostContext


class RpcHandlers(PubsubHandlers):
    """The handlers of the 20 states, IncomingRPC included."""

    __slots__ = ()

    def IncomingRPCState(self, e: Event) -> None:
        """Read an RPC, or the rest of one: up to a message that is to be published before what follows it."""
        e.remove("IncomingRPC")
        rest = e.args.get("rest")
        pending = self._core.handle_rpc(e.args["peer"], e.args["rpc"]) if rest is None else rest.resume()
        if pending is not None:
            e.add("PublishMessage", Message=pending.message, msgID=pending.message.id)
            if not pending.is_last:
                e.add("IncomingRPC", rest=pending)


class RpcMachine(PubsubMachine):
    """The host machine and its turns, in which each RPC is a mutation. Implements Driver."""

    def __init__(self, context: HostContext) -> None:
        super().__init__(context)
        self._incoming = self.machine.prepare("add", "IncomingRPC")
        self._take_rpcs = self._mutate_rpcs

    def _make_handlers(self) -> RpcHandlers:
        return RpcHandlers(self._core, self.discovery, self._note_error)

    def _mutate_rpcs(self, room: int) -> int:
        """Add IncomingRPC for each RPC, until an error is to be raised; gives for how many more there is room."""
        rpcs = self._rpcs
        while rpcs and room and self._error is None:
            room -= 1
            peer, rpc = rpcs.popleft()
            self._incoming({"peer": peer, "rpc": rpc})
        return room
