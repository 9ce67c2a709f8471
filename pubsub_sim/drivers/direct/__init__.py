"""A yardstick: the same decisions with no actor around them. What a version costs above it is the cost of being one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pubsub_sim.drivers.direct.direct_calls import DirectCalls

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext


def make_driver(context: HostContext) -> DirectCalls:
    """The factory named in `drivers.versions`."""
    return DirectCalls(context)


def describe() -> dict[str, Any]:
    """What this version is made of, as data for reports."""
    return {
        "summary": "a yardstick: whoever has an input calls the host's method for it there and then; no owner task, no "
        "turns, no bound on what waits; discovery and bootstrap are the loops of `baseline`",
        "machines": [],
    }
