"""The inbox of a host and its rules, common to all versions.

External inputs (operations, signals and RPCs) arrive at any time and are queued in order until the driver takes a turn.
`Inbox` is the common part of the drivers; a driver inherits from it and defines how it is woken (`_wake`) and how a turn
handles each input. The rules:

- *Order.* A turn takes all operations in order of arrival, then makes room for refused RPCs, then takes up to
  `INCOMING_RPCS` RPCs.
- *Waking.* An idle driver sets `_is_asleep`. The next input clears it and calls `_wake`, once.
- *Signals* coalesce: a queued signal is not posted again until it is taken.
- *Room.* At most `INCOMING_RPCS` RPCs are queued. A refused RPC is kept by its reader until a turn calls `on_room`. At most
  `PENDING_MESSAGES` messages should be queued; callers check `has_message_room` before they submit.
- *Settling.* On the virtual clock, an RPC that comes to an idle host when nothing else happens in the world, and that changes
  nothing, is taken without a turn (`settle_rpc`): nobody could tell the difference.
- *Cancellation.* A request whose caller was cancelled is not taken, unless it releases something. If it has just been
  taken, it is undone (`Request.undo`), as its result has no owner.
- *Errors.* An error raised by a request is raised to its caller, and the host continues. Any other error in a turn, or in a
  task of its `lifetime`, ends the host (`fail`): all waiters are refused with HostClosed, and `on_failure` is called. A
  CancelledError raised in a turn is treated like any other error: turns do not await, so it cannot be a cancellation.
- *End.* A closed inbox refuses requests, including those taken but unanswered, and drops everything else, so that no caller
  waits for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pubsub_sim.errors import HostClosed, OperationRefused, PubsubSimError
from pubsub_sim.foreign import FOREIGN_ERRORS
from pubsub_sim.protocol.operations import NOBODY, Operation, PeersDead, PeersPending, PublishMessage, Request
from pubsub_sim.protocol.params import INCOMING_RPCS, PENDING_MESSAGES

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import HostContext
    from pubsub_sim.wire.sealed import ReceivedRPC

T = TypeVar("T")

TURN_ERRORS = FOREIGN_ERRORS
"""Errors that a turn may raise; see the rule on errors."""

_SIGNALS: dict[type[Operation], Operation] = {PeersPending: PeersPending(), PeersDead: PeersDead()}


class Inbox:
    """The queued inputs of a host. Implements the inputs of Driver, and `settle_rpc`.

    Args:
        context: the context of the driver.

    Attributes:
        has_message_room: whether another message may be submitted.
        _operations: queued operations, including signals and messages, in order.
        _rpcs: queued RPCs, in order.
        _has_refused: whether an RPC has been refused since the last call of `on_room`.
        _is_asleep: whether the next input must call `_wake`; set by the driver.
        _is_closed: whether the host takes no more turns.
    """

    @property
    def settles_rpcs(self) -> bool:
        """Whether `settle_rpc` may be used: a driver says so whose turns do nothing with an RPC but `Core.handle_rpc`."""
        return False

    def __init__(self, context: HostContext) -> None:
        self._context = context
        self._core = context.core
        self._operations: deque[Operation] = deque()
        self._rpcs: deque[tuple[PeerId, ReceivedRPC]] = deque()
        self._rpc_limit = INCOMING_RPCS  # 0 once closed, so that an RPC costs one test
        self._asked: dict[Request[Any], None] = {}  # requests with a waiter, queued or already taken by a turn
        self._signals: set[type[Operation]] = set()  # queued signals
        self._messages = 0  # number of queued messages
        self.has_message_room = True
        self._has_refused = False
        self._is_asleep = False
        self._is_closed = False
        self._failure: BaseException | None = None
        context.lifetime.on_failure = self.fail

    # --- external inputs -----------------------------------------------------------------------------------------

    def submit(self, operation: Operation) -> None:
        if self._is_closed:
            return
        if type(operation) is PublishMessage:
            self._messages += 1
            if self._messages >= PENDING_MESSAGES:
                self.has_message_room = False
        self._operations.append(operation)
        if self._is_asleep:
            self._is_asleep = False
            self._wake()

    async def ask(self, request: Request[T]) -> T:
        if self._is_closed:
            raise self._make_closed_error(request)
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        request.reply = reply
        request.is_answered = False
        self._asked[request] = None
        self.submit(request)
        try:
            return await reply
        except asyncio.CancelledError:
            self._undo(request)
            raise
        finally:
            self._asked.pop(request, None)

    def signal(self, operation: type[PeersPending | PeersDead]) -> None:
        if operation not in self._signals and not self._is_closed:
            self._signals.add(operation)
            self.submit(_SIGNALS[operation])

    def offer_rpc(self, peer: PeerId, rpc: ReceivedRPC) -> bool:
        if len(self._rpcs) >= self._rpc_limit:
            if self._is_closed:
                return True
            self._has_refused = True
            return False
        self._rpcs.append((peer, rpc))
        if self._is_asleep:
            self._is_asleep = False
            self._wake()
        return True

    def settle_rpc(self, peer: PeerId, rpc: ReceivedRPC) -> bool:
        if self._is_asleep:
            settle_rpc = self._core.settle_rpc
            return settle_rpc(peer, rpc)
        return False

    @property
    def is_idle(self) -> bool:
        return not self._operations and not self._rpcs and not self._has_refused

    # --- implemented by drivers ----------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Schedule a turn: an input has arrived while `_is_asleep` was set."""
        raise NotImplementedError

    def _end(self) -> None:
        """Stop everything besides the turns: the host has failed."""

    # --- called by drivers ---------------------------------------------------------------------------------------

    def _serve(self, handlers: Mapping[type[Operation], Callable[[Any], None]]) -> None:
        """Do the first part of a turn: handle all queued operations in order, then make room for RPCs.

        Args:
            handlers: handlers by type of operation. The one of PublishMessage takes the message itself.

        Raises:
            errors of operations without a caller; the turn is over then, and `fail` must follow.
        """
        operations, signals = self._operations, self._signals
        while operations:
            operation = operations.popleft()
            kind = type(operation)
            if kind is PublishMessage:
                handlers[kind](operation.message)  # type: ignore[attr-defined] # checked by the line above
                continue
            if signals:
                signals.discard(kind)
            if not isinstance(operation, Request):
                handlers[kind](operation)
            elif operation.is_release or not operation.reply.cancelled():
                try:
                    handlers[kind](operation)
                except TURN_ERRORS as error:
                    _blame(operation, error)
        self._messages = 0
        self.has_message_room = True
        # not earlier: RPCs are decoded on arrival, and handled while still in the processor's cache
        if self._has_refused and not self._rpcs:
            self._has_refused = False
            self._context.on_room()

    def fail(self, error: BaseException) -> None:
        """End the host after an error without a caller, in a turn or in a task; later calls have no effect."""
        is_first = self._failure is None
        self._failure = self._failure or error
        self._refuse_all()
        if is_first:
            self._end()
            self._context.on_failure(error)

    _fail = fail
    """Former name, kept for third-party versions."""

    def _refuse_all(self) -> None:
        """Accept no more inputs, and refuse all unanswered requests."""
        self._is_closed = True
        self._rpc_limit = 0
        self._operations.clear()
        self._rpcs.clear()
        self._signals.clear()
        self._messages = 0
        self.has_message_room = True
        self._has_refused = False
        for request in self._asked:
            request.refuse(self._make_closed_error(request))

    # --- internals -----------------------------------------------------------------------------------------------

    def _make_closed_error(self, request: Request[Any]) -> HostClosed:
        closed = HostClosed(type(request).__name__)
        closed.__cause__ = self._failure
        return closed

    def _undo(self, request: Request[Any]) -> None:
        """Undo a request whose caller was cancelled before it received the answer."""
        undoing = request.undo() if request.is_answered else None
        if undoing is not None:
            undoing.reply = NOBODY
            self.submit(undoing)

    @property
    def _seat(self) -> HostContext:
        """`_context` under its former name, for third-party versions."""
        return self._context


def _blame(request: Request[Any], error: BaseException) -> None:
    """Deliver the error of a request to its caller; without a caller raise it, unless the request was merely refused."""
    if request.reply is NOBODY and not isinstance(error, PubsubSimError):
        raise error
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        request.refuse(error)
        return
    refusal = OperationRefused(type(request).__name__, f"{type(error).__name__} was raised")  # a future cannot hold it
    refusal.__cause__ = error
    request.refuse(refusal)
