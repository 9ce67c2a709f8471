"""What of a machine can be copied or pickled?

Its schema, ticks, active states, options and bound handlers; what belongs to a running program stays behind: waits,
contexts, tasks, tracers, pipes, the parent, functions of `on_dispose`, the last error. Knows nothing of transitions.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from asyncmachine.errors import AsyncMachineError, MachineDisposedError
from asyncmachine.schema import Schema
from asyncmachine.transition import BUSY, CLOSING, DISPOSED, LEFTOVERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncmachine.machine import Machine

STAYS_BEHIND = "stays_behind"
"""An object with handlers that has this attribute, and true, belongs to its machine only."""
Bindings = tuple[tuple[str, object], ...]
"""Ids and handler objects, in binding order."""
Portable = tuple[str, dict[str, dict[str, Any]]]
"""A schema that no module holds: its name, and its states as plain data."""


def reduced(machine: Machine) -> tuple[Any, ...]:
    """Return what `copy` and `pickle` make an equal machine of.

    Handlers are restored last, since they may refer to the machine.

    Raises:
        MachineDisposedError: The machine is disposed.
        AsyncMachineError: A transition is running, or mutations wait in the queue.
    """
    if machine._gate & DISPOSED:
        raise MachineDisposedError(machine.id)
    if machine._gate & (BUSY | CLOSING | LEFTOVERS):
        raise AsyncMachineError(f"machine {machine.id!r} is at work: it can be copied between mutations only")
    options = {
        "log_level": int(machine.log_level),
        "queue_limit": machine.queue_limit,
        "slow_handler_s": machine.slow_handler_s,
        "tags": machine.tags,
    }
    bound = zip(machine._bound, machine._slots, strict=True)
    bindings: Bindings = tuple([binding for binding in bound if not getattr(binding[1], STAYS_BEHIND, False)])
    return (
        restored,
        (type(machine), _portable(cast("type[Schema]", machine.schema)), machine.export(), options),
        bindings,
    )


def restored(kind: type[Machine], schema: type[Schema] | Portable, data: Mapping[str, Any], options: Any) -> Machine:
    """Make a machine of what `reduced` returned, without its handlers."""
    if isinstance(schema, tuple):
        name, states = schema
        return kind.restore(Schema.of(states, name=name), data, **options)
    return kind.restore(schema, data, **options)


def bind_again(machine: Machine, bindings: Bindings) -> None:
    """Bind the handlers of the original, under their ids."""
    for name, handlers in bindings:
        machine.bind(handlers, id=name)


def _portable(schema: type[Schema]) -> type[Schema] | Portable:
    """Return the class if it can be found by its name, else plain data."""
    found: Any = sys.modules.get(schema.__module__)
    for part in schema.__qualname__.split("."):
        found = getattr(found, part, None)
    return schema if found is schema else (schema.__name__, schema.to_dict())
