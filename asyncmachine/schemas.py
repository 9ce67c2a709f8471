"""Schemas that most machines have a use for.

Schemas to inherit from or to merge: a start and an end, a connection, a pool of connections, an orderly disposal. Names
and relations are those of asyncmachine-go 0.19 (`pkg/states`). Nothing in the engine knows of them.
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
    """What nearly every machine has: errors of its own kind, a start, readiness, signs of life.

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
    """One connection, in exactly one of four conditions; without a reason to be elsewhere it is `Disconnected`."""

    Start = State()
    ErrConnecting = State(require="Exception")
    Connecting = State(require=Start, remove=_CONNECTION)
    Connected = State(require=Start, remove=_CONNECTION)
    Disconnecting = State(remove=_CONNECTION)
    Disconnected = State(auto=True, remove=_CONNECTION)


class ConnPool(Schema):
    """Several connections: `Connected` while there is one, `ConnectedFully` while there are all."""

    Start = State()
    ErrConnecting = State(require="Exception")
    Disconnected = State(remove=("Connecting", "ConnectedFully", "Disconnecting"))
    Connecting = State(require=Start, remove="Disconnecting")
    Connected = State(require=Start, remove=Disconnected)
    ConnectedFully = State(require=Connected, remove=Disconnected)
    Disconnecting = State(remove=(ConnectedFully, Connected, Connecting))


class Disposed(Schema):
    """An end of life in states, so that what has to be closed is closed in order and can be waited for.

    Bind a `DisposedHandlers` with it; `add("Disposing")` then ends the machine.
    """

    Start = State()
    RegisterDisposal = State(multi=True)
    Disposing = State(remove=(Start, "Exception"))
    Disposed = State(remove=(Start, "Exception", Disposing))


class DisposedHandlers:
    """The handlers of `Disposed`: calls what was registered, in that order, and disposes of the machine.

    Register with `machine.add("RegisterDisposal", disposal=function)`, a plain or a coroutine function without
    arguments. One that fails is logged and the next one follows: an end cannot be refused.
    """

    def __init__(self) -> None:
        self._disposals: list[Callable[[], Any]] = []

    def RegisterDisposalEnter(self, e: Event) -> bool:
        """Refuse anything that cannot be called; outside a dry run this is an error of the machine's."""
        given = e.args.get("disposal")
        if callable(given):
            return True
        if not e.is_check:
            e.add_err(TypeError(f"disposal has to be a function without arguments, not {given!r}"))
        return False

    def RegisterDisposalState(self, e: Event) -> None:
        """Keep the function."""
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
                # Disposing excludes the Exception state, so this is the only place an error can show
                _logger.exception("[dispose] %s: %r failed", e.machine.id, disposal)
        e.machine.add("Disposed")

    def DisposedState(self, e: Event) -> None:
        """End the machine's life once the queue has been drained."""
        e.machine.dispose()
