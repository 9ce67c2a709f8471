"""What can go wrong in a state machine, each with its facts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AsyncMachineError(Exception):
    """Base of every error this package raises."""


class SchemaError(AsyncMachineError, ValueError):
    """A schema that cannot be.

    Attributes:
        state: the state at fault, or "".
        why: what is wrong with it.
    """

    def __init__(self, state: str, why: str) -> None:
        super().__init__(f"state {state}: {why}" if state else why)
        self.state = state
        self.why = why


class UnknownStateError(AsyncMachineError, KeyError):
    """A state the schema does not have.

    Attributes:
        name: what was given.
        where: the machine or schema.
        close: the nearest names.
    """

    def __init__(self, name: object, where: str, known: Iterable[str]) -> None:
        super().__init__(name)
        self.name = name
        self.where = where
        self.close = close_matches(name, known)

    def __str__(self) -> str:
        return f"state {self.name!r} not defined in schema for {self.where}{_did_you_mean(self.close)}"


class HandlerError(AsyncMachineError, TypeError):
    """A handler that cannot be bound.

    Attributes:
        handler: its name.
        why: what is wrong with it.
    """

    def __init__(self, handler: str, why: str) -> None:
        super().__init__(f"handler {handler}: {why}")
        self.handler = handler
        self.why = why


class HandlerNameError(HandlerError):
    """A method named like a handler, of a state the schema does not have.

    Attributes:
        close: the nearest names.
    """

    def __init__(self, handler: str, known: Iterable[str]) -> None:
        self.close = close_matches(handler, known)
        super().__init__(handler, f"names no state{_did_you_mean(self.close)}")


class NestedEvalError(AsyncMachineError, RuntimeError):
    """`eval` inside a handler or an eval of the same machine; call the function directly, or use `eval_soon`.

    Attributes:
        label: of the eval.
        machine: id of the machine.
    """

    def __init__(self, label: str, machine: str) -> None:
        super().__init__(f"eval {label!r} inside a handler or an eval of {machine}")
        self.label = label
        self.machine = machine


class MachineDisposedError(AsyncMachineError):
    """A wait or a function that the end of its machine released.

    Attributes:
        machine: id of the machine.
    """

    def __init__(self, machine: str) -> None:
        super().__init__(f"machine {machine} was disposed")
        self.machine = machine


def close_matches(name: object, known: Iterable[str]) -> tuple[str, ...]:
    """The names nearest to one that is unknown, best first; at most three."""
    return tuple(difflib.get_close_matches(name, list(known))) if isinstance(name, str) else ()


def _did_you_mean(close: tuple[str, ...]) -> str:
    return f"; did you mean {' or '.join(close)}?" if close else ""
