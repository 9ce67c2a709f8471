"""Who waits for what, and is it there yet? Pure matching of waits against ticks; whoever waits is opaque here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol


class Waiter(Protocol):
    """Somebody who waits; a future is one."""

    def done(self) -> bool:
        """Whether it no longer waits."""


class StatesWait:
    """Waits until several states are all active, or all inactive.

    Args:
        states: their numbers.
        parity: 1 for active, 0 for inactive.
    """

    __slots__ = ("kind", "parity", "states", "waiter")

    def __init__(self, states: tuple[int, ...], parity: int, kind: str) -> None:
        self.states = states
        self.parity = parity
        self.kind = kind
        self.waiter: Waiter

    def is_met(self, ticks: list[int]) -> bool:
        """Whether it is so now."""
        parity = self.parity
        return all(ticks[state] & 1 == parity for state in self.states)


class TimeWait:
    """Waits until each of several states has reached a tick, each for itself.

    Args:
        due: state number -> tick.
    """

    __slots__ = ("due", "kind", "states", "waiter")

    def __init__(self, due: dict[int, int], kind: str) -> None:
        self.due = due
        self.states = tuple(due)
        self.kind = kind
        self.waiter: Waiter

    def is_met(self, ticks: list[int]) -> bool:
        """Whether all have been reached; what was reached once stays so."""
        for state in [state for state, tick in self.due.items() if ticks[state] >= tick]:
            del self.due[state]
        return not self.due


class ArgsWait:
    """Waits until a state is activated with certain arguments.

    Args:
        state: its number.
        args: what must be among the arguments, by equality.
    """

    __slots__ = ("args", "kind", "states", "waiter")

    def __init__(self, state: int, args: Mapping[str, Any]) -> None:
        self.states = (state,)
        self.args = args
        self.kind = "whenArgs"
        self.waiter: Waiter

    def is_met(self, given: Mapping[str, Any]) -> bool:
        """Whether these arguments are the ones."""
        return all(key in given and given[key] == value for key, value in self.args.items())


class QueryWait:
    """Waits until a function of the clock is true."""

    __slots__ = ("function", "kind", "states", "waiter")

    def __init__(self, function: Callable[[dict[str, int]], bool]) -> None:
        self.function = function
        self.states: tuple[int, ...] = ()
        self.kind = "whenQuery"
        self.waiter: Waiter


class QueueWait:
    """Waits until the queue has come to a tick, or to its end."""

    __slots__ = ("kind", "states", "tick", "waiter")

    def __init__(self, tick: int | None) -> None:
        self.tick = tick
        self.states: tuple[int, ...] = ()
        self.kind = "whenQueueEnds" if tick is None else "whenQueue"
        self.waiter: Waiter


Wait = StatesWait | TimeWait | ArgsWait | QueryWait | QueueWait


class Subscriptions:
    """All waits of one machine.

    Attributes:
        mask: a bit for each state that is waited for.
        args: waits for arguments, by state.
        watches_all: whether some wait must be looked at after every transition.
    """

    __slots__ = ("_by_state", "_queries", "_queue", "args", "mask", "watches_all")

    def __init__(self) -> None:
        self._by_state: dict[int, dict[StatesWait | TimeWait, None]] = {}
        self.args: dict[int, dict[ArgsWait, None]] = {}
        self._queries: dict[QueryWait, None] = {}
        self._queue: dict[QueueWait, None] = {}
        self.mask = 0
        self.watches_all = False

    def add(self, wait: Wait) -> None:
        """Start waiting."""
        if isinstance(wait, ArgsWait):
            self.args.setdefault(wait.states[0], {})[wait] = None
        elif isinstance(wait, QueryWait):
            self._queries[wait] = None
        elif isinstance(wait, QueueWait):
            self._queue[wait] = None
        else:
            for state in wait.states:
                self._by_state.setdefault(state, {})[wait] = None
        for state in wait.states:
            self.mask |= 1 << state
        self.watches_all = bool(self._queries or self._queue)

    def discard(self, wait: Wait) -> None:
        """Stop waiting; nothing of it stays."""
        if isinstance(wait, QueryWait):
            self._queries.pop(wait, None)
        elif isinstance(wait, QueueWait):
            self._queue.pop(wait, None)
        else:
            table: dict[int, dict[Any, None]] = self.args if isinstance(wait, ArgsWait) else self._by_state
            for state in wait.states:
                waits = table.get(state)
                if waits is not None:
                    waits.pop(wait, None)
                    if not waits:
                        del table[state]
                        if state not in self._by_state and state not in self.args:
                            self.mask &= ~(1 << state)
        self.watches_all = bool(self._queries or self._queue)

    def match_states(self, changed: Iterable[int], ticks: list[int]) -> list[Wait]:
        """Waits for states and ticks that are met now; they are removed. In order of the changed states."""
        met: dict[StatesWait | TimeWait, None] = {}
        by_state = self._by_state
        for state in changed:
            for wait in by_state.get(state, ()):
                if wait not in met and wait.is_met(ticks):
                    met[wait] = None
        # contexts of states first, clocks after, as the reference releases them
        ordered: list[Wait] = [wait for wait in met if isinstance(wait, StatesWait)]
        ordered += [wait for wait in met if not isinstance(wait, StatesWait)]
        for found in ordered:
            self.discard(found)
        return ordered

    def match_args(self, state: int, args: Mapping[str, Any]) -> list[Wait]:
        """Waits for arguments of an activation; they are removed."""
        met: list[Wait] = [wait for wait in self.args.get(state, ()) if wait.is_met(args)]
        for wait in met:
            self.discard(wait)
        return met

    def match_queries(self, clock: Callable[[], dict[str, int]]) -> list[Wait]:
        """Waits for functions of the clock that are true now; they are removed."""
        if not self._queries:
            return []
        now = clock()
        met: list[Wait] = [wait for wait in self._queries if wait.function(now)]
        for wait in met:
            self.discard(wait)
        return met

    def match_queue(self, tick: int, *, is_end: bool) -> list[Wait]:
        """Waits for the queue: those whose tick has come, and at its end those that wait for that."""
        met: list[Wait] = [wait for wait in self._queue if (is_end if wait.tick is None else wait.tick <= tick)]
        for wait in met:
            self.discard(wait)
        return met

    def __len__(self) -> int:
        return len(self.all())

    def all(self) -> list[Wait]:
        """Everything that is waited for."""
        by_state = [wait for waits in self._by_state.values() for wait in waits]
        by_args = [wait for waits in self.args.values() for wait in waits]
        return list(dict.fromkeys([*by_state, *by_args, *self._queries, *self._queue]))
