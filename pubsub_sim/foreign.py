"""Calls of code that is not ours: what users hand to a node, and what discovery services answer.

A validator, a message id, a tracer, a filter, a score: each is somebody else's code, called in the middle of our work,
often on data that a peer has chosen. It may raise, also a CancelledError that nobody meant for us, and it may give what
nobody expects. None of that may end a node or leave its work half done. So all such code is called through `ForeignCode`:

- If somebody waits for this very call, it gets the error (`ask`). A CancelledError is not passed on, as it would look
  like a cancellation of whoever waits: it becomes the cause of an OperationRefused.
- Otherwise the failure is counted, logged once per kind of code and type of error, and a harmless answer taken instead
  (`guard`, or `note` where the caller knows best what to do).

A CancelledError that a plain function raises is always its own, as it can await nothing. One that comes out of an awaited
call is ours only if our task has been cancelled since (`Cancellations`).
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
"""What foreign code may raise. Interrupts and exits of the process go through it."""

_log = logging.getLogger("pubsub_sim.foreign")


class ForeignCode:
    """Calls the foreign code of one node, and keeps account of its failures.

    Args:
        owner: whose it is, as the log names it.

    Attributes:
        failures: kind of code -> how often it failed; a view that changes.
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
            kind: what failed, e.g. "tracer".
            error: what it raised.
            instead: what happens instead, as words.
        """
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if (kind, type(error)) not in self._told:
            self._told.add((kind, type(error)))
            _log.error(
                "%s: the %s raised %s; %s. Further errors like this are counted only.",
                self._owner,
                kind,
                type(error).__name__,
                instead,
                exc_info=error,
            )

    def guard(
        self, kind: str, function: Callable[..., Any], check: Callable[[Any], T], answer: T, instead: str
    ) -> Callable[..., T]:
        """Return a function that calls another one and never fails.

        Args:
            kind: what it is, e.g. "tracer".
            function: the foreign code.
            check: gives the answer as we want it, or raises.
            answer: given when it fails.
            instead: what that means, as words.
        """

        def guarded(*args: Any) -> T:
            try:
                return check(function(*args))
            except FOREIGN_ERRORS as error:
                self.note(kind, error, instead)
                return answer

        return guarded


def ask(kind: str, function: Callable[..., Any], check: Callable[[Any], T], *args: Any) -> T:
    """Call foreign code for somebody who waits for its answer.

    Raises:
        OperationRefused: it raised what is no Exception, or a StopIteration, which no future carries.
        UnusableAnswer: its answer is not what was expected.
        whatever else it raises.
    """
    try:
        return check(function(*args))
    except FOREIGN_ERRORS as error:
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise
        raise OperationRefused(kind, f"{type(error).__name__} was raised") from error


class Cancellations:
    """Tells a CancelledError of awaited foreign code from a cancellation of the task that awaits it. Made before the call."""

    __slots__ = ("_count", "_task")

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._count = 0 if self._task is None else self._task.cancelling()

    def are_ours(self, error: BaseException) -> bool:
        """Return whether an error says that our task was cancelled since this was made."""
        return (
            isinstance(error, asyncio.CancelledError)
            and self._task is not None
            and self._task.cancelling() > self._count
        )


# --- what answers have to be -------------------------------------------------------------------------------------------


def is_true(answer: Any) -> bool:
    """Return the truth of an answer; raises UnusableAnswer for an awaitable, which nobody would await."""
    if answer is True or answer is False:
        return bool(answer)
    return bool(at_once(answer, "an answer that can be true or false"))


def nothing(answer: Any) -> None:
    """For answers that do not matter; raises UnusableAnswer for an awaitable, which nobody would await."""
    at_once(answer, "a function that has done its work when it returns")


def as_bytes(answer: Any) -> bytes:
    """Return an answer that is bytes; raises UnusableAnswer."""
    if isinstance(answer, bytes):
        return answer
    raise UnusableAnswer(at_once(answer, "bytes"), "bytes")


def at_once(answer: Any, expected: str) -> Any:
    """Return an answer that is there; raises UnusableAnswer for one that would have to be awaited."""
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise UnusableAnswer(answer, expected)
    return answer
