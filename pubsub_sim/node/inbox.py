"""The inbox of a host and its rules, the same for every way of taking turns.

Inputs come from outside at any time: operations, signals and RPCs. They wait here, in order, until the driver takes a
turn. `Inbox` is the part of a driver that does not differ between the versions; a driver inherits from it, says how it is
woken (`_wake`), and says what a turn does with each input. The rules:

- *Order.* Operations are taken in the order they came, all of them in one turn; after them comes room for refused RPCs,
  then up to `INCOMING_RPCS` RPCs.
- *Waking.* A driver that has nothing to do sets `_is_asleep`. The next input clears it and calls `_wake`, once.
- *Signals* coalesce: one that waits already is not posted again. It may be posted again as soon as it is taken.
- *Room.* At most `INCOMING_RPCS` RPCs wait. One that is refused is kept by its reader until a turn calls `on_room`. At most
  `PENDING_MESSAGES` messages should wait; whoever submits them looks at `has_message_room` first.
- *Cancellation.* A request whose asker was cancelled is not taken, unless it gives something up. If it was taken in the
  same moment, what it did is undone (`Request.undo`), as nobody owns it.
- *Errors.* An error raised by a request reaches its asker, and the host goes on. Any other error in a turn ends the host
  (`fail`), and so does an error of a task of its `lifetime`: all who wait are refused with HostClosed, and `on_failure` is
  told. A CancelledError raised in a turn is an error like any other: no turn awaits anything, so nobody can have cancelled
  it.
- *End.* A closed inbox refuses requests, those that were taken and never answered included, and drops everything else, so
  that nobody waits for it.
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
"""What a turn may raise; see the rule on errors."""

_SIGNALS: dict[type[Operation], Operation] = {PeersPending: PeersPending(), PeersDead: PeersDead()}


class Inbox:
    """What waits for a host's next turn. Implements the inputs of Driver.

    Args:
        context: what the driver was given.

    Attributes:
        has_message_room: whether another message may be submitted.
        _operations: operations that wait, signals and messages included, in order.
        _rpcs: RPCs that wait, in order.
        _has_refused: whether an RPC was refused since there was room last.
        _is_asleep: whether the next input has to call `_wake`; set by the driver.
        _is_closed: whether the host takes no more turns.
    """

    def __init__(self, context: HostContext) -> None:
        self._context = context
        self._core = context.core
        self._operations: deque[Operation] = deque()
        self._rpcs: deque[tuple[PeerId, ReceivedRPC]] = deque()
        self._asked: dict[Request[Any], None] = {}  # requests that somebody awaits, queued or already taken by a turn
        self._signals: set[type[Operation]] = set()  # signals among the operations
        self._messages = 0  # messages among the operations
        self.has_message_room = True
        self._has_refused = False
        self._is_asleep = False
        self._is_closed = False
        self._failure: BaseException | None = None
        context.lifetime.on_failure = self.fail

    # --- inputs from outside -------------------------------------------------------------------------------------

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
        if self._is_closed:
            return True
        if len(self._rpcs) >= INCOMING_RPCS:
            self._has_refused = True
            return False
        self._rpcs.append((peer, rpc))
        if self._is_asleep:
            self._is_asleep = False
            self._wake()
        return True

    @property
    def is_idle(self) -> bool:
        return not self._operations and not self._rpcs and not self._has_refused

    # --- what a driver adds --------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Have a turn taken soon: an input has come while `_is_asleep` was set."""
        raise NotImplementedError

    def _end(self) -> None:
        """Stop whatever runs besides the turns: the host has failed."""

    # --- what a driver calls -------------------------------------------------------------------------------------

    def _serve(self, handlers: Mapping[type[Operation], Callable[[Any], None]]) -> None:
        """First part of a turn: all operations that wait, in order, then room for RPCs.

        Args:
            handlers: what to do with an operation, by its type. That of PublishMessage is given the message itself.

        Raises:
            whatever an operation raises that belongs to no asker; the turn is over then, and `fail` must follow.
        """
        operations, signals = self._operations, self._signals
        while operations:
            operation = operations.popleft()
            kind = type(operation)
            if kind is PublishMessage:
                handlers[kind](operation.message)  # type: ignore[attr-defined] # the line above is the check
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
        # not earlier: RPCs are decoded as they are taken in, and are handled while they are in the processor's cache
        if self._has_refused and not self._rpcs:
            self._has_refused = False
            self._context.on_room()

    def fail(self, error: BaseException) -> None:
        """End the host by an error that belongs to no asker, in a turn or in a task; a second one changes nothing."""
        is_first = self._failure is None
        self._failure = self._failure or error
        self._refuse_all()
        if is_first:
            self._end()
            self._context.on_failure(error)

    _fail = fail
    """For versions written against the name it had before."""

    def _refuse_all(self) -> None:
        """Take no more inputs, and refuse all requests that are not answered."""
        self._is_closed = True
        self._operations.clear()
        self._rpcs.clear()
        self._signals.clear()
        self._messages = 0
        self.has_message_room = True
        self._has_refused = False
        for request in self._asked:
            request.refuse(self._make_closed_error(request))

    # --- inside --------------------------------------------------------------------------------------------------

    def _make_closed_error(self, request: Request[Any]) -> HostClosed:
        closed = HostClosed(type(request).__name__)
        closed.__cause__ = self._failure
        return closed

    def _undo(self, request: Request[Any]) -> None:
        """Take back what a request did whose asker was cancelled before the answer reached it."""
        undoing = request.undo() if request.is_answered else None
        if undoing is not None:
            undoing.reply = NOBODY
            self.submit(undoing)

    @property
    def _seat(self) -> HostContext:
        """`_context`, for versions written against the name it had before."""
        return self._context


def _blame(request: Request[Any], error: BaseException) -> None:
    """Tell the asker of a request what it raised; raise it if nobody asked, unless the request was merely refused."""
    if request.reply is NOBODY and not isinstance(error, PubsubSimError):
        raise error
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        request.refuse(error)
        return
    refusal = OperationRefused(type(request).__name__, f"{type(error).__name__} was raised")  # no future carries it
    refusal.__cause__ = error
    request.refuse(refusal)
