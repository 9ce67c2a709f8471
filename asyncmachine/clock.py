"""Tick arithmetic.

A state's tick counts its activations and deactivations: odd is active, even is inactive. Pure functions of integers
and sequences of integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_active_tick(tick: int) -> bool:
    """Return whether a state with this tick is active."""
    return tick & 1 == 1


def next_active(tick: int) -> int:
    """Return the first tick after `tick` at which the state is active."""
    return tick + (2 if tick & 1 else 1)


def next_inactive(tick: int) -> int:
    """Return the first tick after `tick` at which the state is inactive."""
    return tick + (1 if tick & 1 else 2)


def time_sum(time: Sequence[int]) -> int:
    """Return the sum of all ticks, a machine's total number of changes."""
    return sum(time)


def diff_since(time: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
    """Return the element-wise difference of two times of one schema.

    Raises:
        ValueError: The lengths differ.
    """
    return tuple(now - then for now, then in zip(time, before, strict=True))
