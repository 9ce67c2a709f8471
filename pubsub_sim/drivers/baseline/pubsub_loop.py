"""How does a classic event loop take a host's inputs? One owner task, one inbox, futures for answers.

The task sleeps on a future while there is nothing to do. Awake, it takes everything in the inbox, in order, and then
up to `INCOMING_RPCS` RPCs, in one go: that is a turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pubsub_sim.drivers.baseline.discovery_loop import DiscoveryLoop
from pubsub_sim.errors import HostClosed
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

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Seat
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

T = TypeVar("T")

_PEERS_PENDING = PeersPending()
_PEERS_DEAD = PeersDead()


class PubsubLoop:
    """The event loop of one host. Implements Driver."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._core = core = seat.core
        self._inbox: deque[Operation] = deque()
        self._rpcs: deque[tuple[PeerId, RPC | WireMessage]] = deque()
        self._signals: set[type[Operation]] = set()  # signals that are in the inbox
        self._messages = 0  # PublishMessage operations in the inbox
        self._has_refused = False
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None]
        self._is_closed = False
        self.discovery = None if seat.finder is None else DiscoveryLoop(seat, seat.finder, self.ask)
        self.hand_over = core.publish_message
        self._handlers: dict[type[Operation], Callable[[Any], None]] = {
            PublishMessage: self._publish_message,
            PeersPending: self._peers_pending,
            PeersDead: self._peers_dead,
            PeerNewStream: lambda op: core.add_stream(op.peer, op.protocol, op.outbox),
            PeerError: lambda op: core.forget_peer(op.peer, op.outbox),
            PeerCloseStream: lambda op: core.close_inbound(op.peer, op.stream),
            Heartbeat: lambda op: op.action(),
            GetTopics: lambda op: op.answer(core.interest.list_topics()),
            AddTopic: lambda op: op.answer(core.interest.add_topic(op.topic)),
            RemoveTopic: self._remove_topic,
            AddSubscription: self._add_subscription,
            RemoveSubscription: self._remove_subscription,
            AddRelay: self._add_relay,
            RemoveRelay: self._remove_relay,
            GetPeers: lambda op: op.answer(core.list_peers(op.topic)),
            AddValidator: self._add_validator,
            RemoveValidator: self._remove_validator,
            BlacklistPeer: self._blacklist_peer,
            Eval: lambda op: op.answer(op.function()),
        }

    def start(self) -> None:
        """See Driver."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"pubsub loop {self._seat.number}")

    async def close(self) -> None:
        """See Driver."""
        self._is_closed = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._refuse_all()

    def _refuse_all(self) -> None:
        self._is_closed = True
        for operation in self._inbox:
            if isinstance(operation, Request):
                operation.refuse(HostClosed(type(operation).__name__))
        self._inbox.clear()
        self._rpcs.clear()
        self._has_refused = False

    # --- inputs from outside -------------------------------------------------------------------------------------

    def submit(self, operation: Operation) -> None:
        """See Driver."""
        if type(operation) is PublishMessage:
            self._messages += 1
        self._inbox.append(operation)
        if self._waiter is not None:
            self._wake()

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
        if self._waiter is not None:
            self._wake()
        return True

    @property
    def has_message_room(self) -> bool:
        """See Driver."""
        return self._messages < PENDING_MESSAGES

    @property
    def is_idle(self) -> bool:
        """See Driver."""
        return not self._inbox and not self._rpcs and not self._has_refused

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- turns ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                while not (self._inbox or self._rpcs or self._has_refused):
                    self._waiter = loop.create_future()
                    await self._waiter
                self._turn()
                if self._inbox or self._rpcs or self._has_refused:
                    await asyncio.sleep(0)  # validation, scheduled by this turn, comes first
        except Exception as error:
            self._refuse_all()
            self._seat.on_failure(error)

    def _turn(self) -> None:
        inbox = self._inbox
        while inbox:
            operation = inbox.popleft()
            try:
                self._handlers[type(operation)](operation)
            except Exception as error:
                if not isinstance(operation, Request):
                    raise
                operation.refuse(error)
        rpcs, handle_rpc = self._rpcs, self._core.handle_rpc
        if self._has_refused and not rpcs:  # only now: RPCs are decoded as they come, and should still be in the cache
            self._has_refused = False
            self._seat.on_room()
        for _ in range(min(len(rpcs), INCOMING_RPCS)):
            peer, rpc = rpcs.popleft()
            handle_rpc(peer, rpc)

    def _publish_message(self, operation: PublishMessage) -> None:
        self._messages -= 1
        self._core.publish_message(operation.message)

    def _peers_pending(self, operation: PeersPending) -> None:
        self._signals.discard(PeersPending)
        self._core.take_pending_peers()

    def _peers_dead(self, operation: PeersDead) -> None:
        self._signals.discard(PeersDead)
        self._core.take_dead_peers()

    def _remove_topic(self, operation: RemoveTopic) -> None:
        self._core.interest.remove_topic(operation.topic)
        operation.answer(None)

    def _add_validator(self, operation: AddValidator) -> None:
        self._core.validators.add(operation.validator)
        operation.answer(None)

    def _remove_validator(self, operation: RemoveValidator) -> None:
        self._core.validators.remove(operation.topic)
        operation.answer(None)

    def _blacklist_peer(self, operation: BlacklistPeer) -> None:
        self._core.blacklist_peer(operation.peer)
        operation.answer(None)

    def _add_subscription(self, operation: AddSubscription) -> None:
        subscription = operation.subscription
        if not self._core.interest.is_wanted(subscription.topic):
            self._take_up(subscription.topic)
        self._core.interest.record_subscription(subscription)
        operation.answer(subscription)

    def _remove_subscription(self, operation: RemoveSubscription) -> None:
        if self._core.interest.end_subscription(operation.subscription):
            self._give_up(operation.subscription.topic)
        operation.answer(None)

    def _add_relay(self, operation: AddRelay) -> None:
        if not self._core.interest.is_wanted(operation.topic):
            self._take_up(operation.topic)
        self._core.interest.record_relay(operation.topic)
        operation.answer(None)

    def _remove_relay(self, operation: RemoveRelay) -> None:
        if self._core.interest.end_relay(operation.topic):
            self._give_up(operation.topic)
        operation.answer(None)

    def _take_up(self, topic: str) -> None:
        if self.discovery is not None:
            self.discovery.advertise(topic)
        self._core.announce(topic, subscribe=True)
        self._core.join(topic)

    def _give_up(self, topic: str) -> None:
        if self.discovery is not None:
            self.discovery.stop_advertise(topic)
        self._core.announce(topic, subscribe=False)
        self._core.leave(topic)
