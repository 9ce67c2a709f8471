"""What stands in the way of a mutation's short path? The bits of a machine's gate; while it is zero, nothing does."""

from __future__ import annotations

WATCHED = 1
"""Somebody waits for states, or a state context is open. The lowest bit: it alone can still be passed."""
WATCHED_ALL = 2
"""Somebody waits for the queue or a query: every transition matters."""
BUSY = 4
"""A transition or an eval runs."""
TRACED = 8
"""Somebody watches."""
LEFTOVERS = 16
"""An interrupt left mutations on the queue."""
DISPOSED = 32
"""The machine has ended."""
