"""The turns of a state machine: each input is a mutation of `PubsubStates`; the machine's queue is the loop.

External inputs wait in the inbox and become mutations in one scheduled turn, in order of arrival, followed by up to
`INCOMING_RPCS` RPCs, each a function run between transitions. Nearly every state is a pulse: its handler first removes
it.

An error in a handler makes the machine add Exception, whose handler stores the error; the turn raises it again at the
mutation, which determines its origin. An error at any other time comes from a task and ends the host.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncmachine import Machine
from pubsub_sim.drivers.states.discovery_machine import DiscoveryMachine
from pubsub_sim.drivers.states.pubsub_handlers import PubsubHandlers
from pubsub_sim.drivers.states.schemas import PubsubStates
from pubsub_sim.errors import OperationRefused
from pubsub_sim.node.inbox import TURN_ERRORS, Inbox
from pubsub_sim.protocol import operations as op
from pubsub_sim.protocol.params import INCOMING_RPCS

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext
    from pubsub_sim.protocol.pending import Pending
    from pubsub_sim.wire.message import Message

_ARGUMENT: dict[type[op.Operation], str] = {
    op.PeerNewStream: "network.Stream",
    op.PeerCloseStream: "pid",
    op.PeerError: "pid",
    op.GetTopics: "topicReq",
    op.AddTopic: "addTopicReq",
    op.RemoveTopic: "rmTopicReq",
    op.RemoveSubscription: "Subscription",
    op.AddSubscription: "addSubReq",
    op.AddRelay: "addRelayReq",
    op.RemoveRelay: "topic",
    op.GetPeers: "listPeerReq",
    op.AddValidator: "addValReq",
    op.RemoveValidator: "rmValReq",
    op.BlacklistPeer: "pid",
}
"""Name of the mutation's argument that holds the operation; the state is named after the operation."""


_CANCELED = "the mutation was cancelled"


class PubsubMachine(Inbox):
    """The host machine and its turns. Implements Driver.

    Attributes:
        machine: the host's state machine, `ps-<n>`.
        discovery: the discovery machine, or None.
        _take_rpcs: handles RPCs, so many at most; gives for how many more there is room.
    """

    def __init__(self, context: HostContext) -> None:
        super().__init__(context)
        self._is_asleep = True
        self._is_in_turn = False
        self._error: BaseException | None = None  # the error of a handler in this turn
        self._pending: Pending | None = None  # an RPC whose message is published next
        self.machine = Machine(PubsubStates, id=f"ps-{context.number}")
        self.discovery: DiscoveryMachine | None = None
        if context.finder is not None:
            self.discovery = DiscoveryMachine(context, context.finder, self.ask, self.fail, self.machine)
        self.machine.bind(self._make_handlers())
        self._call_soon = context.clock.call_soon
        self._next_turn = self._turn  # bound once, as it is scheduled for every turn
        self._take_rpcs: Callable[[int], int] = partial(self.machine.eval, self._handle_rpcs, label="handleIncomingRPC")
        self._publish = self.machine.prepare("add", "PublishMessage")  # the one input there are many of
        self._mutations: dict[type[Any], Callable[[Any], None]] = {
            op.PublishMessage: self._publish_message,
            op.Eval: self._evaluate,
            op.Heartbeat: self._beat,
            op.PeersPending: self._signal,
            op.PeersDead: self._signal,
            **dict.fromkeys(_ARGUMENT, self._mutate),
        }

    def _make_handlers(self) -> PubsubHandlers:
        return PubsubHandlers(self._core, self.discovery, self._note_error)

    @property
    def settles_rpcs(self) -> bool:
        """Whether it is this class: a subclass may do more with an RPC."""
        return type(self) is PubsubMachine

    def start(self) -> None:
        """Do nothing: there is no task."""

    async def close(self) -> None:
        self._refuse_all()
        if self.discovery is not None:
            await self.discovery.close()
        self._dispose()
        await self.machine.disposed()

    def _wake(self) -> None:
        call_soon = self._call_soon  # read before the call: as a method it would be searched for in the class first
        call_soon(self._next_turn)

    def _end(self) -> None:
        self._context.clock.call_soon(self._dispose)  # deferred: a handler may be running

    def _dispose(self) -> None:
        if self.discovery is not None:
            self.discovery.dispose()
        self.machine.dispose()

    def _turn(self) -> None:
        if self._is_closed:
            return
        self._is_in_turn = True
        try:
            if self._operations or self._has_refused:
                self._serve(self._mutations)
            room = INCOMING_RPCS
            take_rpcs = self._take_rpcs
            while (self._rpcs and room) or self._pending is not None:
                room = take_rpcs(room)
                pending = self._pending
                if pending is not None:
                    self._publish({"Message": pending.message, "msgID": pending.message.id})
                    if pending.is_last:
                        self._pending = None
                if self._error is not None:
                    self._raise_error()
        except TURN_ERRORS as error:
            self.fail(error)
        else:
            if self._operations or self._rpcs or self._has_refused:  # validation, scheduled by this turn, runs first
                self._wake()
            else:
                self._is_asleep = True
        finally:
            self._is_in_turn = False

    def _handle_rpcs(self, room: int) -> int:
        """Handle RPCs between transitions, until one needs a mutation, which precedes the following RPCs."""
        rpcs, handle_rpc = self._rpcs, self._core.handle_rpc
        pending = None if self._pending is None else self._pending.resume()
        left = room
        if pending is None:
            for left in range(room - 1, max(room - len(rpcs), 0) - 1, -1):  # noqa: B007  # returned
                peer, rpc = rpcs.popleft()
                pending = handle_rpc(peer, rpc)
                if pending is not None:
                    break
        self._pending = pending
        return left

    # --- handling of operations ----------------------------------------------------------------------------------

    def _publish_message(self, message: Message) -> None:
        result = self._publish({"Message": message, "msgID": message.id})
        if self._error is not None:
            self._raise_error()
        if result.canceled:
            raise OperationRefused("PublishMessage", _CANCELED)

    def _evaluate(self, request: op.Eval[Any]) -> None:
        request.answer(self.machine.eval(request.function, label=request.label))

    def _beat(self, operation: op.Heartbeat) -> None:
        """Run a timer of the router: a function between transitions, like an RPC, as in the original."""
        self.machine.eval(operation.action, label="heartbeatTimer")

    def _signal(self, operation: op.Operation) -> None:
        self.machine.add(type(operation).__name__)
        if self._error is not None:
            self._raise_error()

    def _mutate(self, operation: op.Operation) -> None:
        kind = type(operation)
        result = self.machine.add(kind.__name__, **{_ARGUMENT[kind]: operation})
        if self._error is not None:
            self._raise_error()
        if result.canceled:
            self._refuse(operation)

    def _refuse(self, operation: op.Operation) -> None:
        """Answer an operation whose mutation was cancelled; raise OperationRefused if it has no waiter, as it would be lost."""
        if isinstance(operation, op.RemoveSubscription | op.RemoveRelay):
            operation.answer(None)  # nothing to remove
            return
        refusal = OperationRefused(type(operation).__name__, _CANCELED)
        if not isinstance(operation, op.Request):
            raise refusal
        operation.refuse(refusal)

    def _note_error(self, error: BaseException) -> None:
        if self._is_in_turn:
            self._error = self._error or error
        else:  # from a task of the machine
            self.fail(error)

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
