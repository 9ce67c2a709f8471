"""Ticks are counted the same way everywhere: odd is active."""

from __future__ import annotations

import pytest

from asyncmachine.clock import diff_since, is_active_tick, next_active, next_inactive, time_sum


@pytest.mark.parametrize(("tick", "active", "inactive"), [(0, 1, 2), (1, 3, 2), (2, 3, 4), (3, 5, 4)])
def test_next_ticks(tick: int, active: int, inactive: int) -> None:
    """The next activation or deactivation never is the current one."""
    assert is_active_tick(tick) is bool(tick % 2)
    assert (next_active(tick), next_inactive(tick)) == (active, inactive)


def test_times() -> None:
    """A time is a sequence of ticks: its sum counts changes, its difference those since another."""
    assert time_sum((1, 2, 3)) == 6
    assert diff_since((3, 2), (1, 2)) == (2, 0)
    with pytest.raises(ValueError, match="shorter"):
        diff_since((3, 2), (1,))
