"""The table of commands and the entry point of `python -m pubsub_sim <command>`. Commands are imported on use."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.errors import PubsubSimError
from pubsub_sim.packages import explain_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        summary: its description in the list of commands.
        module: the module of its function.
        function: takes the words after the command and returns the exit status: 0, or 1 if runs failed.
    """

    summary: str
    module: str
    function: str


COMMANDS = {
    "run": Command("measure one run and print its costs", "pubsub_sim.bench.commands", "run_command"),
    "sweep": Command("measure a grid of runs and store them", "pubsub_sim.bench.commands", "sweep_command"),
    "pack": Command("write a sweep as one file per version", "pubsub_sim.bench.commands", "pack_command"),
    "engine": Command("measure the engine alone, into a sweep's folder", "pubsub_sim.bench.engine", "engine_command"),
    "load": Command("measure throughput and latencies under load", "pubsub_sim.bench.load_sweep", "load_command"),
    "equivalence": Command(
        "compare the decisions of two versions over many seeds", "pubsub_sim.bench.equivalence", "equivalence_command"
    ),
    "faults": Command("play random fault plans and check the results", "pubsub_sim.bench.faults", "faults_command"),
    "simsub": Command(
        "play a mesh of many hosts and compare it with a published one", "pubsub_sim.bench.simsub", "simsub_command"
    ),
    "costs": Command("fit the costs of a publish, a delivery and an RPC", "pubsub_sim.bench.costs", "costs_command"),
    "cost-parts": Command(
        "count the bytecodes of a message by part", "pubsub_sim.bench.cost_parts", "cost_parts_command"
    ),
    "pictures": Command(
        "draw the pictures of README and the guides", "pubsub_sim.recording.pictures", "pictures_command"
    ),
    "report": Command("write the report of a sweep", "pubsub_sim.report.command", "report_command"),
    "compare": Command("compare two sweeps", "pubsub_sim.report.compare", "compare_command"),
    "node": Command("run a libp2p node and chat in a topic", "pubsub_sim.world.chat", "node_command"),
    "play": Command("play a scenario once, recorded", "pubsub_sim.recording.commands", "play_command"),
    "simulate": Command(
        "simulate a dynamic network of peers and topics", "pubsub_sim.simulator.command", "simulate_command"
    ),
    "simulate-sweep": Command(
        "simulate a grid of options and seeds, store each run",
        "pubsub_sim.bench.simulations",
        "simulate_sweep_command",
    ),
    "simulate-report": Command(
        "write the report of simulations, notebook 6",
        "pubsub_sim.report.simulation_report",
        "simulation_report_command",
    ),
    "dashboard": Command(
        "write the Grafana dashboard of the simulator", "pubsub_sim.simulator.dashboard", "dashboard_command"
    ),
    "discovery": Command(
        "play TestSimpleDiscovery once per version and leave its record in every form",
        "pubsub_sim.recording.commands",
        "discovery_command",
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: the command and its words.

    Returns:
        The exit status: 0, 1 if runs failed, 2 for bad input, 130 if it was interrupted.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(_listing())
        return 0 if arguments else 2
    command = COMMANDS.get(arguments[0])
    if command is None:
        sys.stderr.write(f"there is no command {arguments[0]!r}: choose one of {', '.join(COMMANDS)}\n")
        return 2
    try:
        with explain_missing(f"python -m pubsub_sim {arguments[0]}"):
            function: Callable[[Sequence[str]], int] = getattr(
                importlib.import_module(command.module), command.function
            )
            return function(arguments[1:])
    except PubsubSimError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt as interrupt:  # a sweep reports what it has stored
        sys.stderr.write(f"{str(interrupt) or 'interrupted'}\n")
        return 130


def _listing() -> str:
    lines = [f"  {name:<17}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: python -m pubsub_sim COMMAND ... (each has --help)", "", *lines, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
