"""A declarative control-flow library: states are flags with clocks; relations decide which may be active together.

The engine is synchronous and loop-free; only waiting and background work touch asyncio. Standard library only.
"""

from asyncmachine._asyncio import EvalFuture, StateContext
from asyncmachine.errors import (
    AsyncMachineError,
    HandlerError,
    HandlerNameError,
    MachineDisposedError,
    NestedEvalError,
    SchemaError,
    UnknownStateError,
    WrongThreadError,
)
from asyncmachine.logs import LogLevel
from asyncmachine.machine import Event, Machine, Transition
from asyncmachine.mutation import Mutation, RefusedBy, Result
from asyncmachine.schema import Schema, State
from asyncmachine.tracing import Tracer

__version__ = "0.1.0"

Outcome = EvalFuture
"""The former name of `EvalFuture`."""

__all__ = [
    "AsyncMachineError",
    "EvalFuture",
    "Event",
    "HandlerError",
    "HandlerNameError",
    "LogLevel",
    "Machine",
    "MachineDisposedError",
    "Mutation",
    "NestedEvalError",
    "Outcome",
    "RefusedBy",
    "Result",
    "Schema",
    "SchemaError",
    "State",
    "StateContext",
    "Tracer",
    "Transition",
    "UnknownStateError",
    "WrongThreadError",
]
