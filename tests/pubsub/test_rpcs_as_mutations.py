"""The version `states-rpc`: every RPC is one mutation of IncomingRPC, and nothing else is different."""

from __future__ import annotations

from collections import Counter

import pytest

from asyncmachine import Tracer, Transition
from pubsub_sim import World, run
from pubsub_sim.checking.equivalence import difference, play
from pubsub_sim.checking.seeded import KINDS, Case
from pubsub_sim.drivers.states_rpc.rpc_machine import RpcMachine
from pubsub_sim.drivers.versions import machines_of


class Count(Tracer):
    """Counts the states added to a host's machine, but for an RPC that is read on after a message of it was published."""

    def __init__(self) -> None:
        self.added: Counter[str] = Counter()

    def transition_end(self, tx: Transition) -> None:
        if tx.mutation.kind == "add" and tx.accepted and "rest" not in tx.mutation.args:
            self.added.update(tx.mutation.called)


@pytest.mark.parametrize("sign", ["none", "strict"])
def test_each_rpc_is_one_mutation(sign: str) -> None:
    """As many IncomingRPC are added as RPCs are received; each is a pulse, so that none is active at the end."""

    async def main() -> None:
        async with World(4, version="states-rpc", discovery=False, sign=sign, trace=True) as world:
            await world.connect_all()
            await world.settle()
            before = len(world.trace)
            counts = [Count() for _ in world.pubsubs]
            for pubsub, count in zip(world.pubsubs, counts, strict=True):
                driver = pubsub._driver
                assert isinstance(driver, RpcMachine)
                driver.machine.bind_tracer(count)
            topics = [await pubsub.join("t") for pubsub in world.pubsubs]
            for topic in topics:
                await topic.subscribe()
            await world.settle()
            for number in range(5):
                await topics[0].publish(b"%d" % number)
            await world.settle()
            received = Counter(event.host for event in world.trace[before:] if event.kind == "recv_rpc")
            for host, (pubsub, count) in enumerate(zip(world.pubsubs, counts, strict=True)):
                assert count.added["IncomingRPC"] == received[host] > 0
                (machine, *_) = machines_of("states-rpc")(pubsub._driver)
                assert machine.active_states() == ()

    run(main(), clock="virtual")


@pytest.mark.parametrize("router", ["floodsub", "gossipsub"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_decides_as_states_does(kind: str, router: str) -> None:
    """Every kind of seeded scenario, with faults and without."""
    for seed in (1, 2):
        case = Case(router=router, kind=kind, seed=seed)
        versions = ("states", "states-rpc")
        assert difference(versions, *(play(case, version) for version in versions)) == ""
