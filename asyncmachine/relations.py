"""Which states would be active after a mutation? A pure function of (active states in order, kind, called states).

The algorithm is that of asyncmachine-go 0.19 ("resolution"), with its decided differences: an Add list is followed to
its end and not two levels deep, After is a stable topological order, ties go by definition order. States are numbers
here: their positions in the schema. Knows nothing of handlers, clocks or queues.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from asyncmachine.mutation import ADD, REMOVE, SET
from asyncmachine.schema import State, compiled_relations

Numbers = tuple[int, ...]


class Resolution(NamedTuple):
    """What a mutation would lead to.

    Attributes:
        target: the complete active set afterwards, in handler order.
        missing: called states that are not in it (empty for remove).
    """

    target: Numbers
    missing: Numbers


class Relations:
    """The relations of one schema, compiled to positions.

    Args:
        states: name -> State in definition order.
    """

    def __init__(self, states: Mapping[str, State]) -> None:
        self.names = tuple(states)
        self.index = {name: number for number, name in enumerate(self.names)}
        compiled = compiled_relations(states)
        self.auto = tuple(state.auto for state in compiled.values())
        self.multi = tuple(state.multi for state in compiled.values())
        self.require = self._lists(compiled, "require")
        self.add = self._lists(compiled, "add")
        self.remove = self._lists(compiled, "remove")
        self.after = self._lists(compiled, "after")
        self._has_after = any(self.after)
        self._position = self._require_positions()

    def resolve(self, active: Numbers, kind: str, called: Numbers) -> Resolution:
        """Apply the relations.

        Args:
            active: states active now, in order.
            kind: "add", "remove" or "set".
            called: states named in the mutation, each once.
        """
        if kind == ADD:
            base: Iterable[int] = (*called, *active)
        elif kind == REMOVE:
            base = (s for s in active if s not in called)
        else:
            base = called
        entered = self._entered(active, kind, called)
        wanted = self._prune(self._expand(base, entered))
        kept = self._without_blocked(wanted)
        gone = {r for s in kept for r in self.remove[s]}
        allowed = [s for s in self._expand(kept, entered) if s not in gone]
        target = self.sort(self._prune(allowed[::-1]))
        missing = () if kind == REMOVE else tuple(s for s in called if s not in target)
        return Resolution(target, missing)

    def sort(self, states: Iterable[int]) -> Numbers:
        """Handler order: required states first, then After; otherwise as given."""
        ordered = list(states)
        if self._position is not None:
            ordered.sort(key=self._position.__getitem__)
        if self._has_after:
            ordered = self._after_order(ordered)
        return tuple(ordered)

    def autos(self, active: Numbers) -> Numbers:
        """Auto states to try: inactive, and removed by no active state."""
        barred = {r for s in active for r in self.remove[s]}
        barred.update(active)
        return tuple(s for s, is_auto in enumerate(self.auto) if is_auto and s not in barred)

    def _lists(self, states: Mapping[str, State], relation: str) -> tuple[Numbers, ...]:
        return tuple(tuple(self.index[n] for n in getattr(state, relation)) for state in states.values())

    def _entered(self, active: Numbers, kind: str, called: Numbers) -> frozenset[int] | None:
        """Active states whose Add list counts again: called Multi states. None: nothing is added at all."""
        if kind == REMOVE:
            return None
        return frozenset(active) - {s for s in called if self.multi[s]}

    def _expand(self, states: Iterable[int], settled: frozenset[int] | None) -> list[int]:
        """The states and, following Add to its end, what they add; settled ones add nothing."""
        out = dict.fromkeys(states)
        if settled is None:
            return list(out)
        queue = list(out)
        for state in queue:
            if state not in settled:
                for added in self.add[state]:
                    if added not in out:
                        out[added] = None
                        queue.append(added)
        return queue

    def _prune(self, states: list[int]) -> list[int]:
        """Drop states that lack a required one, until none does."""
        while True:
            present = set(states)
            kept = [s for s in states if all(r in present for r in self.require[s])]
            if len(kept) == len(states):
                return kept
            states = kept

    def _without_blocked(self, states: list[int]) -> list[int]:
        """Drop states that another one removes; later ones are looked at first. In reversed order."""
        remove = self.remove
        blocked: set[int] = set()
        kept = []
        for state in reversed(states):
            if any(state in remove[other] and other not in blocked for other in states):
                blocked.add(state)
            else:
                kept.append(state)
        return kept

    def _require_positions(self) -> list[int] | None:
        """Position of each state in the Require order; -1 without Require edges; None if there is a cycle."""
        waiting = {s for s, required in enumerate(self.require) if required}
        waiting.update(r for required in self.require for r in required)
        position = [-1] * len(self.names)
        order = sorted(waiting)
        placed = 0
        while order:
            ready = next((s for s in order if not any(r in waiting for r in self.require[s] if r != s)), None)
            if ready is None:
                return None
            order.remove(ready)
            waiting.discard(ready)
            position[ready] = placed
            placed += 1
        return position

    def _after_order(self, states: list[int]) -> list[int]:
        out = []
        waiting = list(states)
        while waiting:
            ready = next((s for s in waiting if not any(a in waiting for a in self.after[s])), waiting[0])
            waiting.remove(ready)
            out.append(ready)
        return out


__all__ = ["ADD", "REMOVE", "SET", "Numbers", "Relations", "Resolution"]
