"""A reference without an actor: the same decisions by plain calls. A version's cost above it is the cost of the actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pubsub_sim.drivers.direct.direct_calls import DirectCalls

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext


def make_driver(context: HostContext) -> DirectCalls:
    """Create the driver of a host; see `drivers.versions`."""
    return DirectCalls(context)


def describe() -> dict[str, Any]:
    """Describe this version, as data for reports."""
    return {
        "summary": "a reference: every input is an immediate call of the host's method; no owner task, no turns, no bounded "
        "queues; discovery and bootstrap are the loops of `baseline`",
        "machines": [],
    }
