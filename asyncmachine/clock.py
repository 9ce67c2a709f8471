"""What does a tick mean? Every state counts its activations and deactivations: an odd tick is an active state."""

from __future__ import annotations


def is_active_tick(tick: int) -> bool:
    """Whether a state with this tick is active."""
    return tick & 1 == 1


def next_active_tick(tick: int) -> int:
    """The tick of the next activation; the current one does not count."""
    return tick + 2 if tick & 1 else tick + 1
