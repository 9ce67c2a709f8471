"""A stand-in for am-dbg: a net/rpc server on a thread of its own that decodes all it gets."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from asyncmachine.export.amdbg.messages import RESPONSE
from asyncmachine.export.gob import STRING, Decoder, Encoder

if TYPE_CHECKING:
    from types import TracebackType


class Debugger:
    """Accepts connections and confirms calls; `calls` holds method and message of each, by connection."""

    def __init__(self, *, answers: bool = True, error: str = "", closes_after: int | None = None) -> None:
        self.calls: list[list[tuple[str, dict[str, Any]]]] = []
        self.failures: list[Exception] = []
        self._answers = answers
        self._error = error
        self._closes_after = closes_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._may_go_on = threading.Event()
        self._may_go_on.set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def hold(self) -> None:
        """Answer nothing from now on."""
        self._may_go_on.clear()

    def go_on(self) -> None:
        """Answer again."""
        self._may_go_on.set()

    def messages(self) -> dict[str, list[dict[str, Any]]]:
        """Return the transitions, by machine."""
        found: dict[str, list[dict[str, Any]]] = {}
        for calls in self.calls:
            for method, message in calls:
                if method == "RPCServer.DbgMsgTx":
                    found.setdefault(message["MachineID"], []).append(message)
        return found

    def schemas(self) -> dict[str, dict[str, Any]]:
        return {m["ID"]: m for calls in self.calls for method, m in calls if method == "RPCServer.DbgMsgSchema"}

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            calls: list[tuple[str, dict[str, Any]]] = []
            self.calls.append(calls)
            self._connections.append(connection)
            self._start(self._serve, connection, calls)

    def _serve(self, connection: socket.socket, calls: list[tuple[str, dict[str, Any]]]) -> None:
        decoder, encoder = Decoder(), Encoder()
        waiting: list[dict[str, Any]] = []
        try:
            while data := connection.recv(65536):
                decoder.feed(data)
                for message in decoder:
                    waiting.append(message.value)
                    if len(waiting) == 2:
                        request, body = waiting
                        waiting = []
                        calls.append((request["ServiceMethod"], body))
                        if len(calls) == self._closes_after:
                            connection.close()
                            return
                        self._may_go_on.wait()
                        if self._answers:
                            answer = {k: request[k] for k in ("ServiceMethod", "Seq") if k in request}
                            answer["Error"] = self._error
                            connection.sendall(encoder.encode(RESPONSE, answer) + encoder.encode(STRING, ""))
            decoder.finish()
        except OSError:
            pass
        except Exception as error:
            self.failures.append(error)

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._may_go_on.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join()
        assert not self.failures, self.failures
