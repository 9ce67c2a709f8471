"""A live stream to am-dbg: Go's net/rpc over TCP, one connection per machine.

The machines' side only makes messages and hands them over; a thread sends them and waits for each answer. What am-dbg cannot take in
time is dropped and counted, so that no machine ever waits. am-dbg shows the time at which a message arrives; for the times of
the run write a dump.
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
"""How long am-dbg may take to accept a connection or to answer."""
_ANSWER_BYTES = 1 << 16
_logger = logging.getLogger("asyncmachine")


class AmDbgError(ExportError):
    """am-dbg cannot be reached, or does not answer as it should.

    Attributes:
        address: Host and port.
        reason: What went wrong.
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
"""Messages; a machine's number when its connection is no longer needed; None at the end."""


class AmDbgTracer(Tracer):
    """Sends machines and their transitions to am-dbg. A context manager; leaving it sends what is left.

    Bind it like any tracer; machines with a bound machine as `parent` are sent too. If am-dbg cannot be reached or goes away, one
    warning says so, `failure` holds the error, and the machines go on.

    Args:
        address: Host and port of am-dbg.
        limit: Messages that may wait; further ones are dropped and counted.

    Raises:
        ValueError: The address has no port.

    Attributes:
        address: Host and port.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS, *, limit: int = 10_000) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"an address is a host and a port, such as {DEFAULT_ADDRESS}, not {address!r}")
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
        """Introduce a machine that was just constructed."""
        self._telling(machine)

    def machine_bound(self, machine: Machine) -> None:
        """Introduce a machine that exists already."""
        self._telling(machine)

    def submachine_new(self, parent: Machine, machine: Machine) -> None:
        """Follow a machine that belongs to a followed one."""
        machine.bind_tracer(self)

    def schema_change(self, machine: Machine, old: Any) -> None:
        """Introduce a machine anew."""
        self._put(machine, SCHEMA, self._telling(machine).schema(machine))

    def machine_dispose(self, machine: Machine) -> None:
        """Let go of a machine's connection, once all it did is sent."""
        self._forget(id(machine))

    def mutation_queued(self, machine: Machine, mutation: Mutation) -> None:
        """Send a mutation that was queued."""
        if self._goes_on(machine):
            self._put(machine, TRANSITION, self._telling(machine).queued(machine, mutation))

    def transition_init(self, tx: Transition) -> None:
        """Note where a transition begins."""
        self._telling(tx.machine).begin(tx)

    def handler_start(self, tx: Transition, binding: str, name: str) -> None:
        """Note a handler."""
        self._telling(tx.machine).handler(tx, binding, name)

    def transition_end(self, tx: Transition) -> None:
        """Send a transition that has ended."""
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

    # the machines' side

    @property
    def sent(self) -> int:
        """Messages am-dbg has confirmed."""
        return self._sender.sent

    @property
    def dropped(self) -> int:
        """Messages that were not sent: what did not fit into the queue, and what was left after a failure."""
        return self._dropped + self._sender.lost

    @property
    def failure(self) -> AmDbgError | None:
        """What ended the stream; None while it goes on, and if all went well."""
        return self._sender.failure

    def _telling(self, machine: Machine) -> MachineTelling:
        """Return what makes a machine's messages, having introduced the machine."""
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
        """Tell whether the stream goes on; let go of the machine if it does not."""
        if self._sender.failure is None and not self._is_closed:
            return True
        self._dropped += not self._is_closed
        machine.unbind_tracer(self)
        return False

    def _put(self, machine: Machine, kind: Struct, message: Message) -> None:
        if self._is_closed:
            return
        # a schema always fits, since am-dbg shows nothing of a machine without it
        if kind is not SCHEMA and self._outbox.qsize() >= self._limit:
            self._dropped += 1
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._sender.run, args=(self._outbox,), name="am-dbg", daemon=True)
            self._thread.start()
        self._outbox.put(_Sent(self._followed[id(machine)].number, kind, message))

    # the end

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what is left and let go of the machines. Does not raise: what went wrong is in `failure`.

        Args:
            timeout_s: How long it may take, in seconds; what is left then is dropped.
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
            self._sender.give_up(f"not everything could be sent within {timeout_s:g} s")
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
    """A machine that is sent."""

    number: int
    telling: MachineTelling
    reference: weakref.ref[Machine]


class _Sender:
    """The thread's side: the connections, and what became of the messages."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.sent = 0
        self.lost = 0
        self.failure: AmDbgError | None = None
        self._connections: dict[int, _Connection] = {}

    def run(self, outbox: Outbox) -> None:
        """Send what comes, until None does. After a failure everything is counted as lost."""
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
            _logger.warning("[am-dbg] %s: %s; the machines go on without it", self.address, reason)

    def _disconnect(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        if connection is not None:
            connection.close()


class _Connection:
    """A net/rpc client that waits for each answer.

    Raises:
        OSError: Nobody listens there.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder = Encoder()
        self._decoder = Decoder(max_message=_ANSWER_BYTES)
        self._calls = 0

    def call(self, method: str, kind: Struct, message: Message) -> str:
        """Send a message; return the error am-dbg answers, or an empty text.

        Raises:
            OSError: The connection broke, or the answer took too long.
            GobError: The message cannot be encoded, or the answer not be decoded.
        """
        body = self._encoder.encode(kind, message)
        header = self._encoder.encode(REQUEST, {"ServiceMethod": method, "Seq": self._calls})
        self._calls += 1
        self._socket.sendall(header + body)
        answers: list[Any] = []
        while len(answers) < 2:  # what became of the call, and its result
            data = self._socket.recv(_ANSWER_BYTES)
            if not data:
                raise ConnectionResetError("it closed the connection")
            self._decoder.feed(data)
            answers += [answer.value for answer in self._decoder]
        return str(answers[0].get("Error", "")) if isinstance(answers[0], dict) else "it answers with something else"

    def interrupt(self) -> None:
        """Have a call that waits fail, from another thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
