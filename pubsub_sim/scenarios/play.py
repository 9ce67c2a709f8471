"""Dispatch of the scenario to a version: to pubsub hosts, or to the lower bound, which has none."""

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
        options: what to play, and by whom.
        phase: entered with its name around each phase, in the order of PHASES.
        pause: called after each random message; may stop everything for a while.

    Raises:
        ScenarioFailure: a wrong payload, a missing registration or connection, a message too few or too many.
        OptionError: the lower bound was asked for what it does not have.
    """
    return await (lower_bound_discovery if options.version == LOWER_BOUND else simple_discovery)(options, phase, pause)
