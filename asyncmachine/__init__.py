"""A declarative control-flow library: states are flags with clocks, relations decide what may be active together.

The engine is synchronous and loop-free; only waiting and background work touch asyncio. Standard library only.
"""

from asyncmachine.errors import (
    AsyncMachineError,
    HandlerError,
    HandlerNameError,
    MachineDisposedError,
    NestedEvalError,
    SchemaError,
    UnknownStateError,
)
from asyncmachine.logs import LogLevel
from asyncmachine.machine import Machine
from asyncmachine.mutation import Event, Mutation, Result
from asyncmachine.schema import Schema, State
from asyncmachine.tracing import Tracer
from asyncmachine.transition import Transition
from asyncmachine.waiting import Outcome, StateContext

__all__ = [
    "AsyncMachineError",
    "Event",
    "HandlerError",
    "HandlerNameError",
    "LogLevel",
    "Machine",
    "MachineDisposedError",
    "Mutation",
    "NestedEvalError",
    "Outcome",
    "Result",
    "Schema",
    "SchemaError",
    "State",
    "StateContext",
    "Tracer",
    "Transition",
    "UnknownStateError",
]
