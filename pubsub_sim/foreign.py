"""Calls of foreign code: user functions of a node, and discovery services.

Validators, message id functions, tracers, filters and scores are foreign code, called during the node's work, often with
data chosen by a peer. They may raise any error, including CancelledError, and return invalid values. That must not end a
node or leave its work unfinished. Therefore all foreign code is called through `ForeignCode`:

- If a caller waits for the call, the error is raised to it (`ask`). A CancelledError would be mistaken for a cancellation
  of the caller: it becomes the cause of an OperationRefused.
- Otherwise the failure is counted, logged once per kind of code and type of error, and replaced by a safe default
  (`guard`, or `note` where the calling code decides).

A CancelledError raised by a plain function never cancels the calling task, as the function cannot await. One from an
awaited call is a cancellation of the calling task only if that was cancelled since the call (`Cancellations`).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pubsub_sim.errors import OperationRefused, UnusableAnswer

T = TypeVar("T")

FOREIGN_ERRORS = (Exception, asyncio.CancelledError)
"""Errors of foreign code that are caught. Interrupts and process exits propagate."""

_log = logging.getLogger("pubsub_sim.foreign")


class ForeignCode:
    """The foreign code of one node, with a count of its failures.

    Args:
        owner: name of the node, for the log.

    Attributes:
        failures: number of failures by kind of code; a live view.
    """

    __slots__ = ("_counts", "_owner", "_told", "failures")

    def __init__(self, owner: str = "a host") -> None:
        self._owner = owner
        self._counts: dict[str, int] = {}
        self._told: set[tuple[str, type[BaseException]]] = set()
        self.failures: Mapping[str, int] = MappingProxyType(self._counts)

    def note(self, kind: str, error: BaseException, instead: str) -> None:
        """Count a failure, and log the first of its kind and type with its traceback.

        Args:
            kind: kind of code, e.g. "tracer".
            error: the error.
            instead: description of the consequence.
        """
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if (kind, type(error)) not in self._told:
            self._told.add((kind, type(error)))
            _log.error(
                "%s: the %s raised %s; %s. Further errors of this kind are only counted.",
                self._owner,
                kind,
                type(error).__name__,
                instead,
                exc_info=error,
            )

    def guard(
        self, kind: str, function: Callable[..., Any], check: Callable[[Any], T], answer: T, instead: str
    ) -> Callable[..., T]:
        """Return a wrapper of a function that never raises.

        Args:
            kind: kind of code, e.g. "tracer".
            function: the foreign code.
            check: converts the result, or raises.
            answer: the default result on an error.
            instead: description of that default.
        """

        def guarded(*args: Any) -> T:
            try:
                return check(function(*args))
            except FOREIGN_ERRORS as error:
                self.note(kind, error, instead)
                return answer

        return guarded


def ask(kind: str, function: Callable[..., Any], check: Callable[[Any], T], *args: Any) -> T:
    """Call foreign code on behalf of a waiting caller.

    Raises:
        OperationRefused: it raised StopIteration, which a future cannot hold, or a BaseException that is not an Exception.
        UnusableAnswer: its result is invalid.
        whatever else it raises.
    """
    try:
        return check(function(*args))
    except FOREIGN_ERRORS as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        raise OperationRefused(kind, f"{type(error).__name__} was raised") from error


class Cancellations:
    """Distinguishes a CancelledError of awaited foreign code from a cancellation of the awaiting task. Created before the call."""

    __slots__ = ("_count", "_task")

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._count = 0 if self._task is None else self._task.cancelling()

    def are_ours(self, error: BaseException) -> bool:
        """Return whether an error is a cancellation of the current task since this object was created."""
        return (
            isinstance(error, asyncio.CancelledError)
            and self._task is not None
            and self._task.cancelling() > self._count
        )


# --- checks of results -------------------------------------------------------------------------------------------------


def is_true(answer: Any) -> bool:
    """Return the truth value of a result; raise UnusableAnswer for an awaitable, which would never be awaited."""
    if answer is True or answer is False:
        return bool(answer)
    return bool(at_once(answer, "an answer that can be true or false"))


def nothing(answer: Any) -> None:
    """Ignore a result; raise UnusableAnswer for an awaitable, which would never be awaited."""
    at_once(answer, "a function that has done its work when it returns")


def as_bytes(answer: Any) -> bytes:
    """Return a result that is bytes; raise UnusableAnswer for others."""
    if isinstance(answer, bytes):
        return answer
    raise UnusableAnswer(at_once(answer, "bytes"), "bytes")


def at_once(answer: Any, expected: str) -> Any:
    """Return a result; raise UnusableAnswer if it is an awaitable."""
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise UnusableAnswer(answer, expected)
    return answer
