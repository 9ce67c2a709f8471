"""How does a state machine take a host's inputs? Each is a mutation of `PubsubStates`; the machine's queue is the loop.

Inputs from outside are posted and mutated in one scheduled turn, in the order they came, followed by up to
`INCOMING_RPCS` RPCs, each a function run between transitions. Nearly every state is a pulse: the first thing its
handler does is to remove it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from asyncmachine import Machine, Result
from pubsub_sim.drivers.states.discovery_machine import DiscoveryMachine
from pubsub_sim.drivers.states.pubsub_handlers import PubsubHandlers
from pubsub_sim.drivers.states.schemas import PubsubStates
from pubsub_sim.errors import HostClosed, OperationRefused
from pubsub_sim.protocol.operations import (
    AddRelay,
    AddSubscription,
    AddTopic,
    AddValidator,
    BlacklistPeer,
    Eval,
    GetPeers,
    GetTopics,
    Heartbeat,
    Operation,
    PeerCloseStream,
    PeerError,
    PeerNewStream,
    PeersDead,
    PeersPending,
    PublishMessage,
    RemoveRelay,
    RemoveSubscription,
    RemoveTopic,
    RemoveValidator,
    Request,
)
from pubsub_sim.protocol.params import INCOMING_RPCS, PENDING_MESSAGES
from pubsub_sim.wire.message import Message

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Seat
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

T = TypeVar("T")

_ARGUMENT: dict[type[Operation], str] = {
    PeerNewStream: "network.Stream",
    PeerCloseStream: "pid",
    PeerError: "pid",
    GetTopics: "topicReq",
    AddTopic: "addTopicReq",
    RemoveTopic: "rmTopicReq",
    RemoveSubscription: "Subscription",
    AddSubscription: "addSubReq",
    AddRelay: "addRelayReq",
    RemoveRelay: "topic",
    GetPeers: "listPeerReq",
    AddValidator: "addValReq",
    RemoveValidator: "rmValReq",
    BlacklistPeer: "pid",
}
"""Under which name an operation travels in its mutation's arguments; the state has the operation's name."""

_PEERS_PENDING = PeersPending()
_PEERS_DEAD = PeersDead()


class PubsubMachine:
    """The host machine and its turns. Implements Driver.

    Attributes:
        machine: the host's state machine, `ps-<n>`.
        discovery: the discovery machine, or None.
    """

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._core = seat.core
        self._posted: deque[Operation] = deque()
        self._rpcs: deque[tuple[PeerId, RPC | WireMessage]] = deque()
        self._signals: set[type[Operation]] = set()  # signals that are posted
        self._messages = 0  # PublishMessage operations posted
        self._has_refused = False
        self._is_due = False  # whether a turn is scheduled
        self._is_closed = False
        self.machine = Machine(PubsubStates, id=f"ps-{seat.number}")
        self.discovery = None
        if seat.finder is not None:
            self.discovery = DiscoveryMachine(seat, seat.finder, self.ask, self.machine)
        self.machine.bind(PubsubHandlers(seat.core, self.discovery, self._failed))
        self._publish = self.machine.prepare("add", "PublishMessage")  # the one input there are many of

    def start(self) -> None:
        """See Driver."""

    async def close(self) -> None:
        """See Driver."""
        self._is_closed = True
        if self.discovery is not None:
            await self.discovery.close()
        self.machine.dispose()
        await self.machine.disposed()
        self._refuse_all()

    def _refuse_all(self) -> None:
        self._is_closed = True
        for operation in self._posted:
            if isinstance(operation, Request):
                operation.refuse(HostClosed(type(operation).__name__))
        self._posted.clear()
        self._rpcs.clear()
        self._has_refused = False

    # --- inputs from outside -------------------------------------------------------------------------------------

    def submit(self, operation: Operation) -> None:
        """See Driver."""
        if type(operation) is PublishMessage:
            self._messages += 1
        self._posted.append(operation)
        if not self._is_due:
            self._schedule()

    async def ask(self, request: Request[T]) -> T:
        """See Driver."""
        if self._is_closed:
            raise HostClosed(type(request).__name__)
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        request.reply = reply
        self.submit(request)
        return await reply

    def signal(self, operation: type[PeersPending | PeersDead]) -> None:
        """See Driver."""
        if operation not in self._signals:
            self._signals.add(operation)
            self.submit(_PEERS_PENDING if operation is PeersPending else _PEERS_DEAD)

    def offer_rpc(self, peer: PeerId, rpc: RPC | WireMessage) -> bool:
        """See Driver."""
        if len(self._rpcs) >= INCOMING_RPCS:
            self._has_refused = True
            return False
        self._rpcs.append((peer, rpc))
        if not self._is_due:
            self._schedule()
        return True

    def hand_over(self, message: Message) -> bool:
        """See Driver."""
        self._publish({"Message": message, "msgID": message.id})
        return True

    @property
    def has_message_room(self) -> bool:
        """See Driver."""
        return self._messages < PENDING_MESSAGES

    @property
    def is_idle(self) -> bool:
        """See Driver."""
        return not self._posted and not self._rpcs and not self._has_refused

    def _schedule(self) -> None:
        self._is_due = True
        self._seat.clock.call_soon(self._turn)

    # --- turns ---------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if self._is_closed:
            return
        posted = self._posted
        while posted:
            self._mutate(posted.popleft())
        rpcs, core = self._rpcs, self._core
        if self._has_refused and not rpcs:  # only now: RPCs are decoded as they come, and should still be in the cache
            self._has_refused = False
            self._seat.on_room()
        room = INCOMING_RPCS
        try:
            while (rpcs and room) or core.halfway is not None:
                room = self.machine.eval(self._handle_rpcs, room, label="handleIncomingRPC")
        except Exception as error:
            self._failed(error)
        self._is_due = False
        if posted or rpcs or self._has_refused:  # validation, scheduled by this turn, comes first
            self._schedule()

    def _handle_rpcs(self, room: int) -> int:
        """Between transitions: handle RPCs until one asks for a mutation, which comes before what follows it."""
        rpcs, core = self._rpcs, self._core
        if core.halfway is not None and core.go_on():
            return room
        handle_rpc = core.handle_rpc
        while rpcs and room:
            room -= 1
            peer, rpc = rpcs.popleft()
            if handle_rpc(peer, rpc):
                break
        return room

    def _mutate(self, operation: Operation) -> None:
        kind = type(operation)
        if kind is PublishMessage:
            self._messages -= 1
            message = operation.message  # type: ignore[attr-defined] # the line above is the check
            self._publish({"Message": message, "msgID": message.id})
            return
        if kind is Eval:
            self.machine.eval(_evaluate, operation, label=operation.label)  # type: ignore[attr-defined] # as above
            return
        if kind is Heartbeat:
            self._beat(operation.action)  # type: ignore[attr-defined] # as above
            return
        if kind in _ARGUMENT:
            result = self.machine.add(kind.__name__, **{_ARGUMENT[kind]: operation})
        else:
            self._signals.discard(kind)
            result = self.machine.add(kind.__name__)
        if result is Result.CANCELED and isinstance(operation, Request):
            self._refuse(operation)

    def _beat(self, action: Callable[[], None]) -> None:
        """A timer of the router: a function between transitions, like an RPC, as the original has it."""
        try:
            self.machine.eval(action, label="heartbeatTimer")
        except Exception as error:
            self._failed(error)

    def _refuse(self, request: Request[Any]) -> None:
        if isinstance(request, RemoveSubscription | RemoveRelay):
            request.answer(None)  # there was nothing to remove
        else:
            request.refuse(OperationRefused(type(request).__name__, "the mutation was cancelled"))

    def _failed(self, error: BaseException) -> None:
        self._refuse_all()
        self._seat.on_failure(error)


def _evaluate(operation: Eval[Any]) -> None:
    try:
        operation.answer(operation.function())
    except Exception as error:  # whoever asked is told
        operation.refuse(error)
