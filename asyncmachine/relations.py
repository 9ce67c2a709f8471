"""The resolution of relations: from active states and a mutation to the states active afterwards, in order.

Pure functions of state numbers; `plans` caches their results. The algorithm is that of asyncmachine-go 0.19
(resolver); deliberate differences are documented where they occur.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncmachine.schema import SchemaMeta

ADD, REMOVE, SET, AUTO = 0, 1, 2, 3
KINDS = ("add", "remove", "set", "add")

Note = tuple[str, int, tuple[int, ...]]
"""An explanation for the log: the event, the state, and the states that caused it."""

Blocked = tuple[str, str, tuple[str, ...]]
"""Why a state cannot be active: its name, "requires" or "removed by", and the names of the others."""
_BLOCKING = {"reject": "requires", "rel:remove": "removed by"}


def tell_blocked(blocked: Iterable[Blocked]) -> str:
    """Return as text why states cannot be active, such as "Done requires Ready; Ready removed by Failed"."""
    return "; ".join([f"{state} {what} {', '.join(others)}" for state, what, others in blocked])


def mask_of(states: Iterable[int]) -> int:
    """Return the set of state numbers as a bit mask."""
    mask = 0
    for state in states:
        mask |= 1 << state
    return mask


class Relations:
    """The relations of one schema as numbers and bit masks.

    Args:
        schema: A checked schema; state numbers are positions in `schema.names`.
    """

    __slots__ = (
        "adding",
        "adds",
        "after",
        "auto_mask",
        "auto_states",
        "has_order",
        "multi_mask",
        "rank",
        "remove",
        "removed_by",
        "removing",
        "require",
        "requiring",
        "schema",
    )

    def __init__(self, schema: SchemaMeta) -> None:
        index = {name: number for number, name in enumerate(schema.names)}
        states = list(schema.states.values())
        self.schema = schema
        self.adds = [tuple(index[name] for name in state.add) for state in states]
        self.require = [mask_of(index[name] for name in state.require) for state in states]
        self.remove = [mask_of(index[name] for name in state.remove) for state in states]
        self.after = [mask_of(index[name] for name in state.after) for state in states]
        self.removed_by = [
            mask_of(b for b, mask in enumerate(self.remove) if mask >> s & 1) for s in range(len(states))
        ]
        self.auto_states = tuple(number for number, state in enumerate(states) if state.auto)
        self.adding = mask_of(number for number, others in enumerate(self.adds) if others)
        self.requiring = mask_of(number for number, mask in enumerate(self.require) if mask)
        self.removing = mask_of(number for number, mask in enumerate(self.remove) if mask)
        self.auto_mask = mask_of(self.auto_states)
        self.multi_mask = mask_of(number for number, state in enumerate(states) if state.multi)
        self.rank = _require_ranks(self.require)
        self.has_order = any(self.after) or any(rank >= 0 for rank in self.rank)

    def resolve(
        self,
        active: tuple[int, ...],
        active_mask: int,
        kind: int,
        called: tuple[int, ...],
        notes: list[Note] | None = None,
    ) -> tuple[int, ...]:
        """Return the states that would be active after the mutation, in order.

        Args:
            active: Active states in their current order.
            active_mask: The same as a bit mask.
            kind: ADD, REMOVE, SET or AUTO.
            called: The called states, without repetitions.
            notes: A list to which explanations are appended.

        Differences from asyncmachine-go 0.19: `Add` is followed to its fixpoint in list order, and an active Multi
        state applies its `Add` only when it is called again.
        """
        called_mask = mask_of(called)
        if kind == REMOVE:
            base = [state for state in active if not called_mask >> state & 1]
            mask, implying = active_mask & ~called_mask, 0
        else:
            base, mask = list(called), called_mask
            if kind != SET:
                base += [state for state in active if not called_mask >> state & 1]
                mask |= active_mask
            implying = (~active_mask | (self.multi_mask & called_mask)) & self.adding
        if implying & mask:
            mask = self._expand(base, mask, implying)
        if self.requiring & mask:
            base, mask = self._prune(base, mask, notes)
        gone = 0
        kept = base[::-1]
        if self.removing & mask:
            kept, gone = self._keep(base, mask, notes)
            mask = mask_of(kept)
        if implying & mask:
            mask = self._expand(kept, mask, implying)
        if gone & mask:
            kept = [state for state in kept if not gone >> state & 1]
            mask &= ~gone
        kept.reverse()
        if self.requiring & mask:
            kept, mask = self._prune(kept, mask, notes)
        if notes is not None:
            known = called_mask | active_mask
            notes.extend(("implied", state, ()) for state in kept if not known >> state & 1)
        return tuple(self.sort(kept))

    def blocked(
        self, active: tuple[int, ...], active_mask: int, kind: int, called: tuple[int, ...], names: tuple[str, ...]
    ) -> tuple[Blocked, ...]:
        """Return why relations refuse a mutation.

        The removal of an active state is not a reason unless another state requires that state.
        """
        notes: list[Note] = []
        self.resolve(active, active_mask, kind, called, notes)
        needed = mask_of(other for what, _, others in notes if what == "reject" for other in others)
        return tuple([
            (names[state], _BLOCKING[what], tuple([names[other] for other in others]))
            for what, state, others in dict.fromkeys(notes)
            if what == "reject" or (what == "rel:remove" and (~active_mask | needed) >> state & 1)
        ])  # fmt: skip

    def _keep(self, listed: list[int], mask: int, notes: list[Note] | None) -> tuple[list[int], int]:
        """Drop removed states, from the end of the list; return the kept states, reversed, and the mask of those they remove."""
        kept: list[int] = []
        blocked = gone = 0
        removed_by, remove = self.removed_by, self.remove
        for state in reversed(listed):
            blockers = removed_by[state] & mask & ~blocked
            if blockers:
                blocked |= 1 << state
                if notes is not None:
                    notes.append(("rel:remove", state, tuple(b for b in listed if blockers >> b & 1)))
            else:
                kept.append(state)
                gone |= remove[state]
        return kept, gone

    def sort(self, states: list[int]) -> list[int]:
        """Order states for their handlers: required ones first, then `After` as a stable topological pass.

        Difference from asyncmachine-go 0.19: ties are broken by definition order, and `After` holds between states
        that are not neighbours too.
        """
        if not self.has_order:
            return states
        states = sorted(states, key=self.rank.__getitem__)
        mask = mask_of(states)
        after = self.after
        if not any(after[state] & mask for state in states):
            return states
        waiting = mask
        ordered: list[int] = []
        while states:
            chosen = next((state for state in states if not after[state] & waiting), states[0])
            states.remove(chosen)
            waiting &= ~(1 << chosen)
            ordered.append(chosen)
        return ordered

    def blocked_autos(self, active_mask: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the inactive Auto states, split into candidates and those removed by an active state."""
        candidates: list[int] = []
        blocked: list[int] = []
        for state in self.auto_states:
            if not active_mask >> state & 1:
                (blocked if self.removed_by[state] & active_mask else candidates).append(state)
        return tuple(candidates), tuple(blocked)

    def _expand(self, states: list[int], mask: int, implying: int) -> int:
        """Follow `Add` of the implying states to its fixpoint, breadth first; extend the list and return its mask."""
        adds = self.adds
        for state in states:  # extended during iteration
            if implying >> state & 1:
                for other in adds[state]:
                    if not mask >> other & 1:
                        mask |= 1 << other
                        states.append(other)
        return mask

    def _prune(self, states: list[int], mask: int, notes: list[Note] | None) -> tuple[list[int], int]:
        """Drop states whose requirements are not in the list, until nothing changes."""
        require = self.require
        while True:
            bad = 0
            for state in states:
                missing = require[state] & ~mask
                if missing:
                    bad |= 1 << state
                    if notes is not None:
                        notes.append(("reject", state, tuple(n for n in range(len(require)) if missing >> n & 1)))
            if not bad:
                return states, mask
            states = [state for state in states if not bad >> state & 1]
            mask &= ~bad


def _require_ranks(require: list[int]) -> list[int]:
    """Return each state's position in the Require order; -1 without a Require edge, all -1 on a cycle."""
    count = len(require)
    involved = 0
    for state, mask in enumerate(require):
        if mask:
            involved |= mask | 1 << state
    waiting = [state for state in range(count) if involved >> state & 1]
    ranks = [-1] * count
    placed = 0
    for rank in range(len(waiting)):
        chosen = next((state for state in waiting if not require[state] & ~placed), None)
        if chosen is None:
            return [-1] * count
        waiting.remove(chosen)
        placed |= 1 << chosen
        ranks[chosen] = rank
    return ranks
