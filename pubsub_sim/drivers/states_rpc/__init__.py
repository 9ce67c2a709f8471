"""The state-machine version without its short cut: every RPC is a mutation of the host machine, IncomingRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pubsub_sim.drivers import states
from pubsub_sim.drivers.states import machines, trace
from pubsub_sim.drivers.states_rpc.rpc_machine import RpcMachine

if TYPE_CHECKING:
    from pubsub_sim.node.driver import HostContext

__all__ = ["describe", "machines", "make_driver", "trace"]


def make_driver(context: HostContext) -> RpcMachine:
    """The factory named in `drivers.versions`."""
    return RpcMachine(context)


def describe() -> dict[str, Any]:
    """What this version is made of, as data for reports."""
    return {
        "summary": "`states` without its short cut: RPCs are mutations too, one of IncomingRPC each, and no longer "
        "functions between transitions",
        "machines": states.describe()["machines"],
    }
