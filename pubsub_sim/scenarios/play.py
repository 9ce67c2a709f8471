"""Dispatch of the scenario to a version: to pubsub hosts, or to the lower bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.scenarios.lower_bound import lower_bound_discovery
from pubsub_sim.scenarios.simple_discovery import go_on, simple_discovery
from pubsub_sim.scenarios.versions import LOWER_BOUND

if TYPE_CHECKING:
    from pubsub_sim.scenarios.simple_discovery import Observe, Outcome, Pause, SimpleDiscovery


async def play(options: SimpleDiscovery, phase: Observe, pause: Pause = go_on) -> Outcome:
    """Play the scenario once.

    Args:
        options: the options, including the version.
        phase: entered with its name around each phase, in the order of PHASES.
        pause: called after each random message; may block for a while.

    Raises:
        ScenarioFailure: a wrong payload, a missing registration or connection, a missing or duplicate message.
        OptionError: an option not supported by the lower bound.
    """
    return await (lower_bound_discovery if options.version == LOWER_BOUND else simple_discovery)(options, phase, pause)
