"""The state-machine version: the same host as 20 + 10 + 5 states, after the asyncmachine branch of go-libp2p-pubsub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmachine import Machine, Schema
from pubsub_sim.drivers.states.pubsub_machine import PubsubMachine
from pubsub_sim.drivers.states.schemas import BootstrapStates, DiscoveryStates, PubsubStates
from pubsub_sim.drivers.states.tracing import trace

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext

__all__ = ["describe", "machines", "make_driver", "trace"]


def make_driver(context: HostContext) -> PubsubMachine:
    """Create the driver of a host; see `drivers.versions`."""
    return PubsubMachine(context)


def machines(driver: PubsubMachine) -> list[Machine]:
    """Return the machines of a new driver, parents first; bootstrap machines are children of the last."""
    return [driver.machine] if driver.discovery is None else [driver.machine, driver.discovery.machine]


def describe() -> dict[str, Any]:
    """Describe this version, as data for reports."""
    return {
        "summary": "the same host as three state machines: every input is a mutation, the machine's queue is the "
        "event loop, and RPCs run as functions between transitions",
        "machines": [
            _machine("pubsub host", "ps-<n>", PubsubStates),
            _machine("discovery", "ps-<n>-disc", DiscoveryStates),
            _machine("bootstrap flow", "ps-<n>-disc-bf-<tick>-<topic>", BootstrapStates),
        ],
    }


def _machine(name: str, id_pattern: str, schema: type[Schema]) -> dict[str, Any]:
    states = [
        {
            "name": state_name,
            "auto": state.auto,
            "multi": state.multi,
            "require": list(state.require),
            "add": list(state.add),
            "remove": list(state.remove),
            "after": list(state.after),
        }
        for state_name, state in schema.states.items()
        if state_name != "Exception"  # every machine has it
    ]
    return {"name": name, "id": id_pattern, "states": states}
