"""A live stream to am-dbg: Go's net/rpc over TCP, one connection per machine.

Machines only create messages and put them into a queue; a thread sends them and waits for each reply. Messages that am-dbg cannot
accept in time are dropped and counted, so that machines never block. am-dbg shows the arrival time of a message; to see the times of
the run, write a dump.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

from asyncmachine.export.amdbg.messages import REQUEST, SCHEMA, SEND_SCHEMA, SEND_TRANSITION, TRANSITION, Message
from asyncmachine.export.amdbg.telling import MachineTelling
from asyncmachine.export.errors import ExportError
from asyncmachine.export.gob import Decoder, Encoder, GobError, Struct
from asyncmachine.tracing import Tracer

if TYPE_CHECKING:
    from types import TracebackType

    from asyncmachine._asyncio import StateContext
    from asyncmachine.machine import Machine, Transition
    from asyncmachine.mutation import Mutation

DEFAULT_ADDRESS = "127.0.0.1:6831"
_ANSWER_S = 5.0
"""Timeout in seconds for connecting to am-dbg and for its replies."""
_ANSWER_BYTES = 1 << 16
_logger = logging.getLogger("asyncmachine")


class AmDbgError(ExportError):
    """am-dbg cannot be reached, or its reply is invalid.

    Attributes:
        address: Host and port.
        reason: The problem.
    """

    def __init__(self, address: str, reason: str) -> None:
        self.address = address
        self.reason = reason
        super().__init__(f"am-dbg at {address}: {reason}")


class _Sent(NamedTuple):
    """A message to send."""

    machine: int
    kind: Struct
    message: Message


Outbox: TypeAlias = "queue.SimpleQueue[_Sent | int | None]"
"""Messages; a machine's number to close its connection; None at the end."""


class AmDbgTracer(Tracer):
    """A tracer that sends machines and their transitions to am-dbg. A context manager that sends remaining messages on exit.

    Bind it like any tracer; machines with a bound machine as `parent` are sent too. If am-dbg cannot be reached or disconnects, one
    warning is logged, `failure` holds the error, and the machines continue.

    Args:
        address: Host and port of am-dbg.
        limit: Maximal number of queued messages; further ones are dropped and counted.

    Raises:
        ValueError: The address has no port.

    Attributes:
        address: Host and port.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS, *, limit: int = 10_000) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"an address must be a host and a port, such as {DEFAULT_ADDRESS}, got {address!r}")
        self.address = address
        self._limit = limit
        self._dropped = 0
        self._followed: dict[int, _Followed] = {}
        self._numbers = itertools.count()
        self._outbox: Outbox = queue.SimpleQueue()
        self._sender = _Sender(address)
        self._thread: threading.Thread | None = None
        self._is_closed = False

    # hooks

    def machine_init(self, machine: Machine) -> None:
        """Announce a new machine."""
        self._telling(machine)

    def machine_bound(self, machine: Machine) -> None:
        """Announce an existing machine."""
        self._telling(machine)

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        """Trace a submachine of a traced machine."""
        machine.bind_tracer(self)

    def schema_change(self, machine: Machine, old: Any) -> None:
        """Announce a machine again."""
        self._put(machine, SCHEMA, self._telling(machine).schema(machine))

    def machine_dispose(self, machine: Machine) -> None:
        """Close a machine's connection after its last message."""
        self._forget(id(machine))

    def mutation_queued(self, machine: Machine, mutation: Mutation) -> None:
        """Send a queued mutation."""
        if self._goes_on(machine):
            self._put(machine, TRANSITION, self._telling(machine).queued(machine, mutation))

    def transition_init(self, tx: Transition) -> None:
        """Note the start of a transition."""
        self._telling(tx.machine).begin(tx)

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:
        """Note a handler."""
        self._telling(tx.machine).handler(tx, binding, name)

    def transition_end(self, tx: Transition) -> None:
        """Send a completed transition."""
        if self._goes_on(tx.machine):
            self._put(tx.machine, TRANSITION, self._telling(tx.machine).ended(tx))

    def log(self, machine: Machine, level: int, line: str) -> None:
        """Note a log line."""
        self._telling(machine).line(machine, level, line)

    def subscription_new(self, machine: Machine, text: str) -> None:
        """Note a wait."""
        self._telling(machine).wait(machine, "new", text)

    def subscription_match(self, machine: Machine, text: str) -> None:
        """Note the end of a wait."""
        self._telling(machine).wait(machine, "match", text)

    def state_ctx_new(self, machine: Machine, ctx: StateContext) -> None:
        """Note a context."""
        self._telling(machine).wait(machine, "context", ctx.state)

    def state_ctx_end(self, machine: Machine, ctx: StateContext) -> None:
        """Note the end of a context."""
        self._telling(machine).wait(machine, "context ends", ctx.state)

    def pipe_add(self, machine: Machine, state: str, target: Machine, target_state: str) -> None:
        """Note a pipe."""
        self._telling(machine).wait(machine, "pipe", f"{state} to {target.id} {target_state}")

    # status and queue

    @property
    def sent(self) -> int:
        """Number of messages confirmed by am-dbg."""
        return self._sender.sent

    @property
    def dropped(self) -> int:
        """Number of messages not sent because the queue was full or the stream had failed."""
        return self._dropped + self._sender.lost

    @property
    def failure(self) -> AmDbgError | None:
        """The error that ended the stream; None if there was none."""
        return self._sender.failure

    def _telling(self, machine: Machine) -> MachineTelling:
        """Return the message generator of a machine, announcing the machine on first use."""
        key = id(machine)
        followed = self._followed.get(key)
        if followed is None:
            reference = weakref.ref(machine, lambda _: self._forget(key))
            followed = self._followed[key] = _Followed(next(self._numbers), MachineTelling(machine), reference)
            self._put(machine, SCHEMA, followed.telling.schema(machine))
        return followed.telling

    def _forget(self, key: int) -> None:
        self._outbox.put(self._followed.pop(key).number)

    def _goes_on(self, machine: Machine) -> bool:
        """Return whether the stream is open; if not, detach from the machine."""
        if self._sender.failure is None and not self._is_closed:
            return True
        self._dropped += not self._is_closed
        machine.unbind_tracer(self)
        return False

    def _put(self, machine: Machine, kind: Struct, message: Message) -> None:
        if self._is_closed:
            return
        # a schema is always queued, since am-dbg cannot show a machine without it
        if kind is not SCHEMA and self._outbox.qsize() >= self._limit:
            self._dropped += 1
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._sender.run, args=(self._outbox,), name="am-dbg", daemon=True)
            self._thread.start()
        self._outbox.put(_Sent(self._followed[id(machine)].number, kind, message))

    # the end

    def close(self, timeout_s: float = 5.0) -> None:
        """Send the remaining messages and detach from the machines. Does not raise: an error is stored in `failure`.

        Args:
            timeout_s: Timeout in seconds, after which remaining messages are dropped.
        """
        if self._is_closed:
            return
        self._is_closed = True
        machines = [followed.reference() for followed in list(self._followed.values())]
        for machine in [machine for machine in machines if machine is not None]:
            machine.unbind_tracer(self)
        if self._thread is None:
            return
        self._outbox.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._sender.give_up(f"not all messages could be sent within {timeout_s:g} s")
            self._thread.join(_ANSWER_S)
        if self._dropped and self.failure is None:
            _logger.warning("[am-dbg] %s: %d messages did not fit into the queue", self.address, self._dropped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Followed(NamedTuple):
    """A traced machine."""

    number: int
    telling: MachineTelling
    reference: weakref.ref[Machine]


class _Sender:
    """The sender thread: connections and message counters."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.sent = 0
        self.lost = 0
        self.failure: AmDbgError | None = None
        self._connections: dict[int, _Connection] = {}

    def run(self, outbox: Outbox) -> None:
        """Send queued messages until None is received. After a failure all messages are counted as lost."""
        while (item := outbox.get()) is not None:
            if isinstance(item, int):
                self._disconnect(item)
            elif self.failure is not None:
                self.lost += 1
            else:
                self._send(item)
        for number in list(self._connections):
            self._disconnect(number)

    def give_up(self, reason: str) -> None:
        """End the stream from another thread."""
        self._fail(reason)
        for connection in list(self._connections.values()):
            connection.interrupt()

    def _send(self, item: _Sent) -> None:
        try:
            connection = self._connections.get(item.machine)
            if connection is None:
                connection = self._connections[item.machine] = _Connection(self.address)
            error = connection.call(SEND_SCHEMA if item.kind is SCHEMA else SEND_TRANSITION, item.kind, item.message)
        except (OSError, GobError) as failure:
            error = getattr(failure, "strerror", None) or str(failure)
        if error:
            self.lost += 1
            self._fail(error)
        else:
            self.sent += 1

    def _fail(self, reason: str) -> None:
        if self.failure is None:
            self.failure = AmDbgError(self.address, reason)
            _logger.warning("[am-dbg] %s: %s; the machines continue without it", self.address, reason)

    def _disconnect(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        if connection is not None:
            connection.close()


class _Connection:
    """A net/rpc client that waits for each answer.

    Raises:
        OSError: The connection was refused.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder = Encoder()
        self._decoder = Decoder(max_message=_ANSWER_BYTES)
        self._calls = 0

    def call(self, method: str, kind: Struct, message: Message) -> str:
        """Send a message; return the error in am-dbg's reply, or an empty text.

        Raises:
            OSError: The connection was lost, or the reply timed out.
            GobError: The message cannot be encoded, or the reply not decoded.
        """
        body = self._encoder.encode(kind, message)
        header = self._encoder.encode(REQUEST, {"ServiceMethod": method, "Seq": self._calls})
        self._calls += 1
        self._socket.sendall(header + body)
        answers: list[Any] = []
        while len(answers) < 2:  # the status of the call, and its result
            data = self._socket.recv(_ANSWER_BYTES)
            if not data:
                raise ConnectionResetError("it closed the connection")
            self._decoder.feed(data)
            answers += [answer.value for answer in self._decoder]
        return str(answers[0].get("Error", "")) if isinstance(answers[0], dict) else "its reply is invalid"

    def interrupt(self) -> None:
        """Abort a pending call, from another thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
