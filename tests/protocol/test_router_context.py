"""The seam between a host and its router: a router needs no more of its host than `RouterContext` names."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from typing import Any

import pytest

from pubsub_sim.protocol import router as seam
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.options import HostOptions
from pubsub_sim.protocol.params import GOSSIPSUB_ID_V12
from pubsub_sim.protocol.randomsub import RandomSub
from pubsub_sim.protocol.router import Router, RouterContext
from pubsub_sim.protocol.tracing import Tracers
from pubsub_sim.wire.rpc_pb2 import RPC
from tests.protocol.bench import OWN, Bench, S
from tests.protocol.test_peer_evaluation import JUDGED

NAMES = {name for name in vars(RouterContext) if not name.startswith("_")}
ROUTERS = {
    "floodsub": FloodSub,
    "randomsub": lambda: RandomSub(25),
    "gossipsub": lambda: GossipSub(replace(JUDGED, idontwant=True)),
}


def narrowed(host: RouterContext, asked: set[str]) -> RouterContext:
    """A host of which a router sees what `RouterContext` names, and which it cannot change; notes what it looks at."""

    class Narrow:
        __slots__ = ()

        def __getattr__(self, name: str) -> Any:
            assert name in NAMES, f"a router asked its host for {name!r}"
            asked.add(name)
            return getattr(host, name)

    return Narrow()  # type: ignore[return-value] # a stand-in made of names


@pytest.mark.parametrize("name", ROUTERS)
def test_a_router_works_with_its_context_alone(name: str) -> None:
    """It grafts, gossips, dials, scores and sends, and never looks at what `RouterContext` does not name."""
    router: Router = ROUTERS[name]()
    bench = Bench(router, params=JUDGED if name == "gossipsub" else None, options=HostOptions())
    asked: set[str] = set()
    router.attach(narrowed(bench.core, asked))
    if router.evaluators:
        bench.core.set_tracer(Tracers(OWN, watchers=(), evaluators=router.evaluators))
    peers = [
        bench.add_peer(f"peer {number:02}", "t", protocol=GOSSIPSUB_ID_V12, outbound=number % 2 == 0)
        for number in range(20)
    ]
    bench.core.join("t")
    bench.graft(peers[0], "t")
    for step in range(20):
        bench.time_ns += S
        bench.core.publish_message(bench.message("t", bytes([step])))
        bench.core.publish_message(bench.message("fanout", bytes([step])))
        have = RPC()
        have.control.ihave.add(topic_id="t", message_ids=[bytes([step])])
        have.control.iwant.add(message_ids=[b"unknown"])
        if step >= 10:
            have.control.prune.add(topic_id="t").peers.add(peer_id=b"somebody else")
        bench.receive(peers[step], have)
        for timer in router.timers:
            timer.action()
    router.preprocess(peers[1], [bench.message("t", bytes(2000))])  # large enough for IDONTWANT
    bench.core.leave("t")
    assert any(bench.take(peer) for peer in peers)
    assert {"topics", "peers", "trace_sending"} <= asked
    if name == "gossipsub":
        assert {"rng", "not_seen", "now_ns", "is_outbound", "addresses", "send", "send_urgent", "params"} <= asked


def test_the_seam_imports_nothing_of_the_core() -> None:
    """Not even for type checkers: whoever writes a router reads `router.py` and no more."""
    tree = ast.parse(inspect.getsource(seam))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "pubsub_sim.protocol.core" not in imported
