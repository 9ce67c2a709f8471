"""Common schemas to inherit from or to merge.

Start and end, a connection, a connection pool, ordered disposal. Names and relations are those of asyncmachine-go 0.19
(`pkg/states`). The engine does not depend on them.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from asyncmachine.schema import Schema, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncmachine.machine import Event

_logger = logging.getLogger("asyncmachine")


class Basic(Schema):
    """The states of most machines: errors, start, readiness, health checks.

    `dispose` removes `Start` first. `Healthcheck` and `Heartbeat` cause no auto transition.
    """

    ErrNetwork = State(multi=True, add="Exception", require="Exception")
    ErrHandlerTimeout = State(multi=True, add="Exception", require="Exception")
    Start = State()
    Ready = State(require=Start)
    Healthcheck = State(multi=True)
    Heartbeat = State()


_CONNECTION = ("Connecting", "Connected", "Disconnecting", "Disconnected")


class Connected(Schema):
    """One connection, in exactly one of four states; `Disconnected` by default."""

    Start = State()
    ErrConnecting = State(require="Exception")
    Connecting = State(require=Start, remove=_CONNECTION)
    Connected = State(require=Start, remove=_CONNECTION)
    Disconnecting = State(remove=_CONNECTION)
    Disconnected = State(auto=True, remove=_CONNECTION)


class ConnPool(Schema):
    """A connection pool: `Connected` with at least one connection, `ConnectedFully` with all."""

    Start = State()
    ErrConnecting = State(require="Exception")
    Disconnected = State(remove=("Connecting", "ConnectedFully", "Disconnecting"))
    Connecting = State(require=Start, remove="Disconnecting")
    Connected = State(require=Start, remove=Disconnected)
    ConnectedFully = State(require=Connected, remove=Disconnected)
    Disconnecting = State(remove=(ConnectedFully, Connected, Connecting))


class Disposed(Schema):
    """Disposal as states, so that resources are closed in order and disposal can be awaited.

    Bind `DisposedHandlers` with it; `add("Disposing")` then disposes the machine.
    """

    Start = State()
    RegisterDisposal = State(multi=True)
    Disposing = State(remove=(Start, "Exception"))
    Disposed = State(remove=(Start, "Exception", Disposing))


class DisposedHandlers:
    """The handlers of `Disposed`: call the registered functions in order and dispose the machine.

    Register with `machine.add("RegisterDisposal", disposal=function)`, a plain or a coroutine function without
    arguments. An error is logged and the next function is called: disposal cannot be refused.
    """

    def __init__(self) -> None:
        self._disposals: list[Callable[[], Any]] = []

    def RegisterDisposalEnter(self, e: Event) -> bool:
        """Refuse anything that is not callable; outside a dry run this is an error of the machine."""
        given = e.args.get("disposal")
        if callable(given):
            return True
        if not e.is_check:
            e.add_err(TypeError(f"disposal must be a function without arguments, got {given!r}"))
        return False

    def RegisterDisposalState(self, e: Event) -> None:
        """Store the function."""
        self._disposals.append(e.args["disposal"])

    async def DisposingState(self, e: Event) -> None:
        """Call all functions, one after the other."""
        disposals, self._disposals = self._disposals, []
        for disposal in disposals:
            try:
                done = disposal()
                if inspect.isawaitable(done):
                    await done
            except Exception:
                # Disposing excludes the Exception state, so errors can only be logged here
                _logger.exception("[dispose] %s: %r failed", e.machine.id, disposal)
        e.machine.add("Disposed")

    def DisposedState(self, e: Event) -> None:
        """Dispose the machine once the queue has been drained."""
        e.machine.dispose()
