"""A simulation: the root, its network, its account and its measurements.

result = run(Simulation(SimOptions(duration="1m")).run(), clock="virtual")
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.net.clock import LoopClock, clock_of
from pubsub_sim.node.lifetime import Shielded, raise_grouped
from pubsub_sim.simulator.accounts import Ledger, LossWatcher
from pubsub_sim.simulator.network import Network
from pubsub_sim.simulator.peer import BOOTSTRAPS, Part, Peer
from pubsub_sim.simulator.root import Root, end_peer, end_topic
from pubsub_sim.simulator.schemas import PeerStates, RootStates
from pubsub_sim.simulator.topic import PEER, Topic

if TYPE_CHECKING:
    from asyncmachine import Machine
    from pubsub_sim.simulator.options import SimOptions


@dataclass(frozen=True, kw_only=True)
class SimResult:
    """The result of a simulation.

    Attributes:
        outcome: "ok", or "interrupted".
        sent: number of messages.
        owed: owed deliveries.
        delivered: owed deliveries in time.
        missed: missed deliveries by reason.
        extra: deliveries that were not owed, such as to a peer that joined later.
        adds_up: whether every owed delivery has one outcome, and every miss a reason.
        peers_failed: errors that ended peers, as text.
        simulated_s: duration on its own clock.
        digest: hash of all decisions, messages and deliveries, with their times; equal for equal runs of all versions.
    """

    outcome: str
    sent: int
    owed: int
    delivered: int
    missed: dict[str, int]
    extra: int
    adds_up: bool
    peers_failed: tuple[str, ...]
    simulated_s: float
    digest: str


class Digest:
    """A hash of timed events. Events at one time are sorted.

    Two versions of a node make the same decisions at the same virtual time, but in a different order of loop iterations.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._hash = hashlib.sha256()
        self._moment_ns = -1
        self._lines: list[str] = []

    def note(self, *facts: object) -> None:
        """Add an event at the current time."""
        now_ns = self._now_ns()
        if now_ns != self._moment_ns:
            self._flush()
            self._moment_ns = now_ns
        self._lines.append(repr(facts))

    def _flush(self) -> None:
        if self._lines:
            self._hash.update(f"{self._moment_ns}{sorted(self._lines)}".encode())
            self._lines.clear()

    def text(self) -> str:
        """Return the hash of the events so far."""
        self._flush()
        return self._hash.hexdigest()


class Simulation:
    """A simulation. Implements the interfaces for its peers and topics.

    Args:
        options: the options.
        tracers: tracers of the machines of root, peers and topics, such as a recorder.
        bind_node_machine: called with each state machine of each node, before the node starts.
        on_heartbeat: called at the start of each heartbeat.
        on_metrics: called once a second, and at the end, when the account is settled and all peers are still present.

    Attributes:
        options: the options.
        clock: its time; valid while it runs.
        ledger: the account of messages; likewise.
        network: the network of nodes; likewise.
        handlers: the root's handlers, with peers and topics; likewise.
    """

    def __init__(
        self,
        options: SimOptions,
        *,
        tracers: Sequence[object] = (),
        bind_node_machine: Callable[[Any], None] | None = None,
        on_heartbeat: Callable[[Simulation], None] | None = None,
        on_metrics: Callable[[Simulation], None] | None = None,
    ) -> None:
        self.options = options
        self.clock: LoopClock
        self.ledger: Ledger
        self.network: Network
        self.handlers: Root
        self.failures: list[str] = []
        self._tracers = tuple(tracers)
        self._bind_node_machine = bind_node_machine or _nobody
        self._on_heartbeat = on_heartbeat or _nobody
        self._on_metrics = on_metrics or _nobody
        self._start_ns = 0

    # --- interfaces for peers and topics -------------------------------------------------------------------------

    @property
    def root(self) -> Machine:
        """The root machine."""
        return self.handlers.machine

    @property
    def peers(self) -> dict[str, Peer]:
        """Peers by name."""
        return self.handlers.peers

    @property
    def topics(self) -> dict[str, Topic]:
        """Topics by name."""
        return self.handlers.topics

    def members(self, topic: str) -> Sequence[Part]:
        """Return the members of a topic, from the peers."""
        known = [peer for peer in self.peers.values() if topic in peer.parts]
        return [peer.parts[topic] for peer in known if peer.is_in(topic) and peer.is_ready]

    def bootstraps(self, peer: Peer) -> Sequence[Peer]:
        """Return the oldest ready peers."""
        return [other for other in self.handlers.ready() if other is not peer][:BOOTSTRAPS]

    def failed(self, who: str, error: BaseException) -> None:
        """Record an error that ended a peer."""
        self.failures.append(f"{who}: {type(error).__name__}: {error}")

    @property
    def elapsed_s(self) -> float:
        """Elapsed time on its own clock."""
        return (self.clock.now_ns() - self._start_ns) / 1e9

    # --- the run -------------------------------------------------------------------------------------------------

    async def run(self) -> SimResult:
        """Run for the duration and return the result.

        If cancelled, it ends cleanly and raises CancelledError; `result` returns the partial result.

        Raises:
            ExceptionGroup: errors during its end.
            the error of a handler of the root.
        """
        self._begin()
        error = self.root.when_err()
        try:
            self.root.add(RootStates.Start)
            loop = asyncio.get_running_loop()
            over: asyncio.Future[None] = loop.create_future()
            timer = loop.call_later(self.options.duration_s, over.set_result, None)
            try:
                await asyncio.wait([over, error], return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
            self._simulated_s = self.elapsed_s
            if error.done() and self.root.err is not None:
                raise self.root.err
        finally:
            self._simulated_s = self.elapsed_s
            error.cancel()
            await Shielded(self._end(), "end of the simulation").end()
        return self.result()

    def result(self, outcome: str = "ok") -> SimResult:
        """Return the result, once it has ended."""
        ledger = self.ledger
        return SimResult(
            outcome=outcome,
            sent=ledger.sent,
            owed=ledger.owed,
            delivered=ledger.delivered,
            missed={reason: count for reason, count in sorted(ledger.missed.items()) if count},
            extra=ledger.extra,
            adds_up=ledger.adds_up,
            peers_failed=tuple(self.failures),
            simulated_s=self._simulated_s,
            digest=self._digest.text(),
        )

    def _begin(self) -> None:
        self.clock = clock_of(asyncio.get_running_loop())
        self._start_ns = self.clock.now_ns()
        self._simulated_s = 0.0
        self._digest = Digest(lambda: self.clock.now_ns() - self._start_ns)
        draws_lots = self.options.router == "randomsub"
        self.ledger = Ledger(self.clock.now_ns, self.members, self._digest.note, draws_lots=draws_lots)
        self.network = Network(self.options, self.clock, self._bind_node_machine, LossWatcher(self.ledger))
        self.handlers = Root(
            self.options,
            self.clock,
            self.ledger,
            make_peer=lambda number: Peer(self, number, self._tracers),
            make_topic=lambda name: Topic(self, name, self._tracers),
            note=self._digest.note,
            on_heartbeat=lambda: self._on_heartbeat(self),
            on_metrics=lambda: self._on_metrics(self),
            tracers=self._tracers,
        )

    async def _end(self) -> None:
        """Settle the account, then end peers, topics and the root, in this order."""
        self.ledger.settle(self.clock.now_ns() - round(self.options.delivery_limit_s * 1e9))
        self.ledger.end()
        self._on_metrics(self)
        self.root.remove(RootStates.Start)
        errors: list[BaseException] = []
        peers, topics = list(self.peers.values()), list(self.topics.values())
        self.peers.clear()
        self.topics.clear()
        for peer in peers:
            peer.machine.add(PeerStates.Disconnecting, **{PEER: peer.name})
        peers += self.handlers.leaving.values()
        ends = [*(end_peer(peer) for peer in peers), *(end_topic(topic) for topic in topics)]
        errors += [one for one in await asyncio.gather(*ends, return_exceptions=True) if isinstance(one, BaseException)]
        self.root.dispose()
        await self.root.disposed()
        try:
            await self.network.close()
        except Exception as error:
            errors.append(error)
        raise_grouped("end of the simulation", errors)


def _nobody(*args: Any) -> None:
    """Ignore the call."""
