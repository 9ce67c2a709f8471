"""No RPC makes a core raise, and nothing is left of a peer that is gone, whatever it said."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pubsub_sim.errors import MalformedFrame
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.floodsub import FloodSub
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.params import GOSSIPSUB_ID_V12, HostParams
from pubsub_sim.protocol.promises import Promises
from pubsub_sim.protocol.randomsub import RandomSub
from pubsub_sim.protocol.router import Router
from pubsub_sim.wire.codec import decode
from pubsub_sim.wire.message import Message
from tests.protocol.bench import OWN, Bench, S, Scores
from tests.pubsub.hostile import LIMIT_BYTES, TOPIC, frames

PARAMS = GossipsubParams(max_message_bytes=LIMIT_BYTES, idontwant=True, idontwant_threshold_bytes=10, do_px=True)
OTHERS = [PeerId(b"one"), PeerId(b"two")]


class HostileBench(Bench):
    """Takes messages into validation, and publishes them when told."""

    def enqueue_validation(self, message: Message) -> bool:
        self.handed_over.append(message)
        return len(self.handed_over) < 32

    def publish(self) -> None:
        for message in self.handed_over:
            self.core.publish_message(message)
        self.handed_over.clear()


class Wanted:
    """A subscription that keeps nothing."""

    topic = TOPIC

    def offer(self, message: Message) -> bool:
        return False

    def end(self) -> None:
        """Nobody waits."""


def router_named(name: str, bench: list[Bench]) -> Router:
    if name == "gossipsub":
        promises = Promises(now_ns=lambda: bench[0].time_ns, rng=random.Random(1))
        return GossipSub(PARAMS, scoring=Scores(), promises=promises)
    return RandomSub(size=10) if name == "randomsub" else FloodSub()


@pytest.mark.parametrize("router", ["floodsub", "randomsub", "gossipsub"])
@given(said=st.lists(st.tuples(st.sampled_from(OTHERS), frames([OWN, *OTHERS]), st.integers(0, 3)), max_size=15))
@settings(max_examples=60)
def test_no_rpc_makes_a_core_raise(router: str, said: list[tuple[PeerId, bytes, int]]) -> None:
    """Two peers say anything, seconds apart, one of them dies in the end; nothing is ever sent to a stranger."""
    benches: list[Bench] = []
    made = router_named(router, benches)
    bench = HostileBench(made, params=HostParams(max_message_bytes=LIMIT_BYTES))
    benches.append(bench)
    for peer in OTHERS:
        bench.add_peer(peer.decode(), TOPIC, protocol=GOSSIPSUB_ID_V12)
    bench.core.local_topics.record_subscription(Wanted())
    bench.core.join(TOPIC)
    for peer, frame, pause_s in said:
        try:
            rpc = decode(frame)
        except MalformedFrame:
            continue
        bench.receive(peer, rpc)
        bench.publish()
        if pause_s:
            bench.time_ns += pause_s * S
            for timer in made.timers:
                timer.action()
    gone = OTHERS[0]
    bench.core.peer_streams.note_dead(gone, bench.outboxes[gone])
    bench.core.blacklist_peer(gone)
    assert all(gone not in members for members in bench.core.topics.values())
    assert all(gone not in members for members in made.mesh.values())
    assert set(bench.outboxes) == set(OTHERS)
    assert all(sent.ByteSize() <= LIMIT_BYTES for outbox in bench.outboxes.values() for sent in outbox.sent)
