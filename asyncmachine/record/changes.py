"""Interning of the changes made by transitions: equal ones share a row of `changes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmachine.mutation import IS_AUTO, IS_CHECK
from asyncmachine.relations import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncmachine.machine import Machine, Transition
    from asyncmachine.plans import Plan
    from asyncmachine.record.writer import RecordWriter
    from asyncmachine.relations import Blocked

Key = Any
"""A plan, for a mutation carried out as planned; else a tuple of plan, flags, called, refused by, ticks moved, reason."""

_LIMIT = 20_000


class Interned:
    """Numbers of changes by their plans.

    Args:
        writer: The writer of new changes.
    """

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        self._ids: dict[Key, int] = {}
        self._reasons: dict[Plan, tuple[Blocked, ...]] = {}

    def key_of(self, tx: Transition) -> Key:
        """Return the key of a transition's change: its plan, unless it was refused, automatic or a dry run."""
        plan, entry, refused = tx._plan, tx._queued, tx.canceled_by
        if not refused:
            if not entry[5]:
                return plan
            return (plan, entry[5], entry[1], "", None, ())
        moved = tuple([b - a for a, b in zip(tx.before, tx.after, strict=False)]) if tx.before != tx.after else ()
        return (plan, entry[5], entry[1], refused, moved, () if plan.accepted else self._reason(tx, plan))

    def _reason(self, tx: Transition, plan: Plan) -> tuple[Blocked, ...]:
        """Return why relations refuse a plan; cached, as a plan belongs to one configuration."""
        reason = self._reasons.get(plan)
        if reason is None:
            if len(self._reasons) >= _LIMIT:
                self._reasons.clear()
            reason = self._reasons[plan] = reason_of(tx.machine, plan)
        return reason

    def ids(self, keys: Sequence[Key], machines: Sequence[Machine]) -> list[int]:
        """Return the numbers of changes, writing those that are new.

        Args:
            keys: Results of `key_of`, or plans.
            machines: The machine of each.
        """
        known: list[int | None] = list(map(self._ids.get, keys))
        if None not in known:
            return known  # type: ignore[return-value]  # checked by the line above
        if len(self._ids) >= _LIMIT:
            self._ids.clear()
        return [
            self._intern(key, machine) if number is None else number
            for number, key, machine in zip(known, keys, machines, strict=True)
        ]

    def _intern(self, key: Key, machine: Machine) -> int:
        number = self._ids.get(key)
        if number is not None:  # seen earlier in this batch
            return number
        names = machine._plans.compiled.names
        if type(key) is tuple:
            plan, flags, called, refused, moved, reason = key
            called = tuple(dict.fromkeys(called))
        else:
            plan, flags, refused, moved, reason = key, 0, "", None, ()
            called = tuple([names[state] for state in plan.called])
        gained: dict[str, int] = {}
        if moved is not None:
            gained = {name: ticks for name, ticks in zip(names, moved, strict=False) if ticks}
        elif not flags & IS_CHECK:
            for state in sorted(plan.ticks):
                gained[names[state]] = gained.get(names[state], 0) + 1
        number = self._ids[key] = self._writer.change_id(
            KINDS[plan.kind],
            called,
            gained,
            is_auto=bool(flags & IS_AUTO),
            is_check=bool(flags & IS_CHECK),
            accepted=not refused,
            refused_by=refused,
            reason=reason,
        )
        return number


def reason_of(machine: Machine, plan: Plan) -> tuple[Blocked, ...]:
    """Return why relations refuse a plan in a machine's current configuration."""
    return machine._plans.blocked(machine._configuration, plan)
