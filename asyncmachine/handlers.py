"""Which handlers does an object have, and are they named and made right? One table per handler class.

Handlers are found on the class, once, and shared by all machines that bind an object of it. Knows the names of
states, nothing of their relations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from asyncmachine.errors import HandlerError, HandlerNameError

NEGOTIATION = ("Enter", "Exit")
FINAL = ("State", "End")
ANY_ENTER = "AnyEnter"
ANY_STATE = "AnyState"


class Handler(NamedTuple):
    """One handler of one class.

    Attributes:
        function: called with (object, event).
        is_async: a coroutine function; only final handlers may be.
    """

    function: Callable[[Any, Any], Any]
    is_async: bool


class HandlerTable:
    """The handlers of one class for one set of states.

    Args:
        cls: the class.
        names: the states.

    Attributes:
        by_name: handler name -> Handler.
        pairs: (state, state) of each pair handler, itself included, to its name.

    Raises:
        HandlerNameError: a CamelCase method ends in Enter, Exit, State or End and names no state.
        HandlerError: a negotiation handler is a coroutine function; the name of a handler is no function.
    """

    def __init__(self, cls: type, names: tuple[str, ...]) -> None:
        self.by_name: dict[str, Handler] = {}
        self.pairs: dict[tuple[str, str], str] = {}
        known = frozenset(names)
        for name in dir(cls):
            if name.startswith("_"):
                continue
            pair = None
            if not self._names_state(name, known):
                pair = split_pair(name, known)
                if pair is None:
                    if name[0].isupper() and name.endswith(NEGOTIATION + FINAL) and _is_method(cls, name):
                        raise HandlerNameError(name, _handler_names(names))
                    continue
            self.by_name[name] = _handler(cls, name, is_final=pair is None and name.endswith(FINAL))
            if pair is not None:
                self.pairs[pair] = name

    @staticmethod
    def _names_state(name: str, known: frozenset[str]) -> bool:
        if name in (ANY_ENTER, ANY_STATE):
            return True
        return any(name.endswith(suffix) and name[: -len(suffix)] in known for suffix in NEGOTIATION + FINAL)


def split_pair(name: str, known: frozenset[str]) -> tuple[str, str] | None:
    """The two states a pair handler's name is made of, or None."""
    for cut in range(1, len(name)):
        if name[:cut] in known and name[cut:] in known:
            return name[:cut], name[cut:]
    return None


def _handler_names(names: tuple[str, ...]) -> list[str]:
    return [name + suffix for name in names for suffix in NEGOTIATION + FINAL]


def _is_method(cls: type, name: str) -> bool:
    found = inspect.getattr_static(cls, name)
    return inspect.isfunction(found) or isinstance(found, staticmethod | classmethod)


def _handler(cls: type, name: str, *, is_final: bool) -> Handler:
    found = inspect.getattr_static(cls, name)
    function: Callable[[Any, Any], Any]
    if isinstance(found, staticmethod):
        plain = found.__func__
        is_async = inspect.iscoroutinefunction(plain)

        def function(_: Any, event: Any) -> Any:
            return plain(event)
    elif isinstance(found, classmethod):
        bound = getattr(cls, name)
        is_async = inspect.iscoroutinefunction(bound)

        def function(_: Any, event: Any) -> Any:
            return bound(event)
    elif callable(found):
        function = found
        is_async = inspect.iscoroutinefunction(found)
    else:
        raise HandlerError(name, f"expected a method, got {found!r}")
    if is_async and not is_final:
        raise HandlerError(name, "decides whether a transition may happen and cannot be a coroutine function")
    return Handler(function, is_async)
