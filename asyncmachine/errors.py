"""The exceptions of the library.

Every exception derives from `AsyncMachineError`, keeps its facts as attributes and composes its own message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def close_matches(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return up to three known names that look like `name`, the closest first."""
    from difflib import get_close_matches  # imported only for a wrong name

    return tuple(get_close_matches(name, list(known), n=3, cutoff=0.6))


def _suggestion(matches: tuple[str, ...]) -> str:
    return f"; did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""


class AsyncMachineError(Exception):
    """Base of every error this library raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # constructors take facts, not the message: a copy is rebuilt from the attributes
        return (_restored, (type(self), self.args), self.__dict__)


def _restored(kind: type[AsyncMachineError], args: tuple[Any, ...]) -> AsyncMachineError:
    return kind.__new__(kind, *args)


class SchemaError(AsyncMachineError):
    """A schema contradicts itself.

    Attributes:
        schema: Name of the schema.
        state: The state with the wrong definition; empty if the problem is not about one state.
        problem: The problem.
        matches: Known names similar to an unknown one.
    """

    def __init__(self, problem: str, *, schema: str = "", state: str = "", matches: tuple[str, ...] = ()) -> None:
        self.problem = problem
        self.schema = schema
        self.state = state
        self.matches = matches
        place = ".".join(part for part in (schema, state) if part)
        super().__init__(f"{place + ': ' if place else ''}{problem}{_suggestion(matches)}")


class UnknownStateError(AsyncMachineError, KeyError):
    """A state name is not in the machine's schema.

    Attributes:
        name: The unknown name.
        machine_id: Id of the machine.
        matches: Known names similar to it.
    """

    def __init__(self, name: object, machine_id: str, known: Iterable[str]) -> None:
        self.name = name
        self.machine_id = machine_id
        self.matches = close_matches(name, known) if isinstance(name, str) else ()
        super().__init__(f"state {name!r} is not defined in the schema of {machine_id!r}{_suggestion(self.matches)}")

    def __str__(self) -> str:
        return str(self.args[0])


class HandlerError(AsyncMachineError):
    """A handler object cannot be bound, or one of its handlers behaves in a forbidden way.

    Attributes:
        handler: Name of the offending method; empty if the whole object is refused.
        owner: Name of its class.
        problem: The problem.
    """

    def __init__(self, problem: str, *, handler: str = "", owner: str = "") -> None:
        self.problem = problem
        self.handler = handler
        self.owner = owner
        place = ".".join(part for part in (owner, handler) if part)
        super().__init__(f"{place + ': ' if place else ''}{problem}")


class HandlerNameError(HandlerError):
    """A method is named like a handler of a state that does not exist.

    Attributes:
        matches: Handler names similar to the given one.
    """

    def __init__(self, handler: str, owner: str, matches: tuple[str, ...]) -> None:
        self.matches = matches
        super().__init__(f"does not name a state of the schema{_suggestion(matches)}", handler=handler, owner=owner)


class NestedEvalError(AsyncMachineError):
    """`eval` was called while its own machine is running a handler or another eval.

    Attributes:
        machine_id: Id of the machine.
        label: Label of the refused eval.
    """

    def __init__(self, machine_id: str, label: str) -> None:
        self.machine_id = machine_id
        self.label = label
        super().__init__(f"eval {label!r} nested in a handler or eval of {machine_id!r}; use eval_soon")


class MachineDisposedError(AsyncMachineError):
    """The machine was disposed during a wait for it, or before the call.

    Attributes:
        machine_id: Id of the machine.
    """

    def __init__(self, machine_id: str) -> None:
        self.machine_id = machine_id
        super().__init__(f"machine {machine_id!r} is disposed")


class WrongThreadError(AsyncMachineError, RuntimeError):
    """A machine was used by a thread other than the one that made it; detected in debug mode only.

    Attributes:
        machine_id: Id of the machine.
        owner: Identifier of the thread it belongs to, from `threading.get_ident`.
        caller: Identifier of the thread that used it.
    """

    def __init__(self, machine_id: str, owner: int, caller: int) -> None:
        self.machine_id = machine_id
        self.owner = owner
        self.caller = caller
        problem = f"belongs to thread {owner} and was used by thread {caller}; use loop.call_soon_threadsafe"
        super().__init__(f"machine {machine_id!r} {problem}")
