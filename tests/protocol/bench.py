"""A core with a router on a test bench: ports that record, peers made of names, time that the test moves."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.core import Core
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.options import HostOptions
from pubsub_sim.protocol.params import GOSSIPSUB_ID_V11, HostParams
from pubsub_sim.protocol.router import Acceptance, Router
from pubsub_sim.protocol.score_params import PeerScoreThresholds
from pubsub_sim.protocol.tracing import RawTracer
from pubsub_sim.wire.codec import decode
from pubsub_sim.wire.message import Message, outgoing
from pubsub_sim.wire.rpc_pb2 import RPC, ControlPrune
from pubsub_sim.wire.signing import SignPolicy

OWN = PeerId(b"own")
S = 1_000_000_000
LOW = PeerScoreThresholds(
    gossip_threshold=-10, publish_threshold=-10, graylist_threshold=-10
)  # negative scores are heard


class Outbox:
    """Keeps what is pushed, decoded; refuses it while `is_full`."""

    def __init__(self) -> None:
        self.sent: list[RPC] = []
        self.urgent: list[RPC] = []
        self.is_full = False
        self.lost = 0

    def push(self, frame: bytes) -> bool:
        if self.is_full:
            self.lost += 1
            return False
        self.sent.append(decode(frame))
        return True

    def push_urgent(self, frame: bytes) -> bool:
        self.urgent.append(decode(frame))
        return True

    def close(self) -> None:
        """Nothing to close."""


class Bench:
    """One host: its core, its router and the ports around them.

    Attributes:
        outboxes: per peer, what was sent to it.
        places: peers' IP addresses.
        dialled: who was dialled for the router.
        traced: (hook, peer, topic) of grafts, prunes and throttles.
    """

    def __init__(
        self,
        router: Router,
        *,
        params: HostParams | None = None,
        options: HostOptions | None = None,
        seed: int = 1,
    ) -> None:
        self.time_ns = 0
        self.places: dict[PeerId, str] = {}
        self.outboxes: dict[PeerId, Outbox] = {}
        self.outbound: set[PeerId] = set()
        self.dialled: list[PeerId] = []
        self.handed_over: list[Message] = []
        self.core = Core(
            OWN,
            params=params or HostParams(),
            policy=SignPolicy.STRICT_NO_SIGN,
            router=router,
            ports=self,
            rng=random.Random(seed),
            initial_seqno=0,
            options=options or HostOptions(),
        )
        self.traced: list[tuple[str, PeerId, str]] = []
        self.core.set_tracer(_Tracer(self.traced))

    def add_peer(self, name: str, *topics: str, protocol: str = GOSSIPSUB_ID_V11, outbound: bool = False) -> PeerId:
        """A peer with an open stream that has announced some topics."""
        peer = PeerId(name.encode())
        if outbound:
            self.outbound.add(peer)
        self.core.peer_streams.note_connected(peer)
        self.core.peer_streams.take_pending_peers()
        self.core.peer_streams.add_stream(peer, protocol, self.core.peers[peer])
        if topics:
            self.receive(peer, RPC(subscriptions=[RPC.SubOpts(subscribe=True, topicid=topic) for topic in topics]))
        return peer

    def receive(self, peer: PeerId, rpc: RPC) -> None:
        """An RPC comes in."""
        pending = self.core.handle_rpc(peer, rpc)
        while pending is not None:
            self.handed_over.append(pending.message)
            pending.is_published = True  # noted only: messages are not routed here
            pending = pending.resume()

    def graft(self, peer: PeerId, *topics: str) -> None:
        """A peer grafts us."""
        rpc = RPC()
        for topic in topics:
            rpc.control.graft.add().topic_id = topic
        self.receive(peer, rpc)

    def take(self, peer: PeerId) -> list[RPC]:
        """What was sent to a peer since the last call."""
        outbox = self.outboxes[peer]
        sent, outbox.sent = outbox.sent, []
        return sent

    def message(self, topic: str, data: bytes = b"x", author: PeerId = OWN) -> Message:
        """A message that is not signed."""
        seqno = self.core.next_seqno()
        wire = outgoing(topic, data, author=author, seqno=seqno)
        return Message(wire, author, source=author, seqno=seqno, topic=topic, id=author + seqno)

    # --- the core's ports ----------------------------------------------------------------------------------------

    def is_connected(self, peer: PeerId) -> bool:
        return True

    def is_outbound(self, peer: PeerId) -> bool:
        return peer in self.outbound

    def addresses(self, peer: PeerId) -> Sequence[str]:
        return (self.places[peer],) if peer in self.places else ()

    def dial(self, peer: PeerId) -> bool:
        self.dialled.append(peer)
        return True

    def open_outbox(self, peer: PeerId, hello: Sequence[bytes], delay_ms: int) -> Outbox:
        self.outboxes[peer] = Outbox()
        return self.outboxes[peer]

    def retry_announcement(self, peer: PeerId, topic: str, delay_ms: int, *, subscribe: bool) -> None:
        raise AssertionError("nothing is announced here")

    def enqueue_validation(self, message: Message) -> bool:
        raise AssertionError("nothing is validated here")

    def now_ns(self) -> int:
        return self.time_ns


class _Tracer(RawTracer):
    def __init__(self, log: list[tuple[str, PeerId, str]]) -> None:
        self._log = log

    def graft(self, peer: PeerId, topic: str) -> None:
        self._log.append(("graft", peer, topic))

    def prune(self, peer: PeerId, topic: str) -> None:
        self._log.append(("prune", peer, topic))

    def throttle_peer(self, peer: PeerId) -> None:
        self._log.append(("throttle", peer, ""))


class Scores:
    """Scores as the test says; penalties are counted."""

    def __init__(self, scores: Mapping[PeerId, float] | None = None) -> None:
        self.scores = dict(scores or {})
        self.penalties: dict[PeerId, int] = {}

    def score(self, peer: PeerId) -> float:
        return self.scores.get(peer, 0.0)

    def add_penalty(self, peer: PeerId, count: int) -> None:
        self.penalties[peer] = self.penalties.get(peer, 0) + count


class Ledger:
    """Promises as they are made; broken as the test says."""

    def __init__(self) -> None:
        self.made: list[tuple[PeerId, list[bytes]]] = []
        self.to_report: dict[PeerId, int] = {}

    def add(self, peer: PeerId, message_ids: Sequence[bytes]) -> None:
        self.made.append((peer, list(message_ids)))

    def broken(self, now_ns: int) -> Mapping[PeerId, int]:
        broken, self.to_report = self.to_report, {}
        return broken


class Gate:
    """Lets through what the test says."""

    def __init__(self, acceptance: Acceptance) -> None:
        self.acceptance = acceptance

    def accept_from(self, peer: PeerId) -> Acceptance:
        return self.acceptance


def bench_of(count: int, router: GossipSub, *, outbound: int = 0, topic: str = "t") -> tuple[Bench, list[PeerId]]:
    """A host and peers of one topic; the first `outbound` of them were dialled."""
    bench = Bench(router)
    return bench, [bench.add_peer(f"peer {n:02}", topic, outbound=n < outbound) for n in range(count)]


def grafts(rpcs: list[RPC]) -> list[str]:
    return [graft.topic_id for rpc in rpcs for graft in rpc.control.graft]


def prunes(rpcs: list[RPC]) -> list[ControlPrune]:
    return [prune for rpc in rpcs for prune in rpc.control.prune]


def offers(bench: Bench, peers: list[PeerId]) -> dict[PeerId, list[bytes]]:
    return {
        peer: [i for rpc in rpcs for have in rpc.control.ihave for i in have.message_ids]
        for peer, rpcs in ((peer, bench.take(peer)) for peer in peers)
        if any(rpc.control.ihave for rpc in rpcs)
    }
