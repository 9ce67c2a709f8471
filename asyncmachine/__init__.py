"""Declarative control flow: states are flags with clocks, and relations decide what may be active together.

    class Door(Schema):
        Open = State(remove="Closed")
        Closed = State(remove=Open)

    door = Machine(Door)
    door.add("Closed")

The semantics are those of asyncmachine-go 0.19. Decided differences: Add lists are followed to their end; After is a
stable topological order; autos are called in definition order; a failing final handler takes back every entering state
whose State handler has not completed, once; an error inside ExceptionState is logged; handlers are never interrupted,
a slow one is reported; waits raise when their machine is disposed; unknown names raise everywhere but in `has`.
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
from asyncmachine.waiting import StateContext

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
    "Result",
    "Schema",
    "SchemaError",
    "State",
    "StateContext",
    "Tracer",
    "Transition",
    "UnknownStateError",
]
