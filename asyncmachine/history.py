"""The history of one machine, kept in memory.

While the machine runs one tuple per transition is appended, nothing else; the questions of `past` do the work when they are
asked. Wall time comes from the clock given, machine time is the sum of all ticks. Knows nothing of files or event loops.
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from asyncmachine.mutation import IS_CHECK
from asyncmachine.past import Axis, Past
from asyncmachine.queries import Query, Record, Span, UntrackedStateError
from asyncmachine.tracing import Tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncmachine.machine import Machine
    from asyncmachine.transition import Transition

__all__ = ["Axis", "History", "Query", "Record", "Span", "UntrackedStateError"]


class History(Past, Tracer):
    """Records the transitions of a machine from now on, and answers questions about them.

    Dry runs are never recorded; refused mutations only on request, unless their failure has moved ticks. The lists
    decide in the order of the arguments, a later one overriding an earlier one: without `called` and `changed` every
    transition is recorded, with them those that match one; then what the exclusions match is left out.

    Args:
        machine: The machine; it is not kept alive.
        states: States to track: those questions can be asked about.
        called: Record mutations that call one of these; they are tracked too.
        called_exclude: Leave out mutations that call one of these.
        changed: Record transitions that change the tick of one of these; they are tracked too.
        changed_exclude: Leave out transitions that change the tick of one of these.
        rejected: Record refused mutations.
        max_records: The oldest records are dropped beyond this number.
        clock: Gives the wall time in seconds.

    Raises:
        UnknownStateError: A name is not in the machine's schema.
        ValueError: There is no state to track, or no record to keep.
    """

    def __init__(
        self,
        machine: Machine,
        states: Iterable[str] = (),
        *,
        called: Iterable[str] = (),
        called_exclude: Iterable[str] = (),
        changed: Iterable[str] = (),
        changed_exclude: Iterable[str] = (),
        rejected: bool = False,
        max_records: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        lists = [tuple(names) for names in (called, called_exclude, changed, changed_exclude)]
        self.machine_id = machine.id
        self.tracked = tuple(dict.fromkeys((*states, *lists[0], *lists[2])))
        if not self.tracked:
            raise ValueError("no states to track: name them, or give a list of called or changed states")
        if max_records < 1:
            raise ValueError(f"max_records has to be at least 1, not {max_records}")
        self._places = dict(zip(self.tracked, machine._numbers(self.tracked), strict=True))
        self._known = machine.state_names
        self._called, self._called_exclude = frozenset(lists[0]), frozenset(lists[1])
        self._changed, self._changed_exclude = machine._numbers(lists[2]), machine._numbers(lists[3])
        machine._numbers(lists[1])
        self._filtered = any(lists)
        self._rejected = rejected
        self._clock = clock
        self._raw: deque[tuple[Any, ...]] = deque(maxlen=max_records)  # of `_Raw`, made when somebody asks
        self._count = 0
        self._start = (clock(), machine.time())
        self._machine = weakref.ref(machine)
        machine.bind_tracer(self)

    # recording

    def transition_end(self, tx: Transition) -> None:
        """Keep the facts; called by the machine. Short, as this is what recording costs."""
        kind, called, _, source, number, flags, _ = tx._entry
        refused = tx.canceled_by
        before = tx.before
        if not (self._filtered or flags or refused):  # what it did is what was planned
            self._count += 1
            self._raw.append((self._clock(), before, kind, called, source, number, tx._plan.ticks))
            return
        after = tx.after
        if flags & IS_CHECK or (refused and not self._rejected and before == after):
            return
        if self._filtered and not self._is_wanted(called, before, after):
            return
        self._count += 1
        self._raw.append((self._clock(), before, kind, called, source, number, None, after, flags, refused))

    def schema_change(self, machine: Machine, old: Any) -> None:
        """Learn the new states; known ones keep their places."""
        self._known = machine.state_names

    def _is_wanted(self, called: tuple[str, ...], before: tuple[int, ...], after: tuple[int, ...]) -> bool:
        wanted = not (self._called or self._changed) or not self._called.isdisjoint(called)
        wanted = wanted and self._called_exclude.isdisjoint(called)
        wanted = wanted or any(before[place] != after[place] for place in self._changed)
        return wanted and all(before[place] == after[place] for place in self._changed_exclude)

    def close(self) -> None:
        """Stop recording; what is recorded can still be asked for."""
        machine = self._machine()
        if machine is not None:
            machine.unbind_tracer(self)
