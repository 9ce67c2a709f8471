"""A seeded run with faults of sockets and hosts over libp2p, on wall time, and its check by the oracle.

Connections are cut and dialled again, from one side or from both at once; streams are reset under their users; hosts stop
reading their sockets, crash and restart, while the users of `fault_play` subscribe and publish. Cut pairs are connected again
by the run, as nobody else dials. A broken stream must be repaired by the hosts.

The order of events depends on the machine, so that a seed gives the same faults and not the same run. All frames in transit
between two hosts may be lost when their connection or a stream is ended, and none at any other time.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pubsub_sim.checking.fault_oracle import Evidence, judge
from pubsub_sim.checking.fault_play import FaultPlay, FaultTimes
from pubsub_sim.net.libp2p import Libp2pHost, Libp2pNetwork
from pubsub_sim.node.lifetime import Lifetime, raise_grouped
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.world.running import run
from pubsub_sim.world.world import World

if TYPE_CHECKING:
    from pubsub_sim.node.driver import Driver, HostContext

_HOSTS = 6
_FAULTS = 8
_TIMES = FaultTimes(quiet_s=0.2, faults_s=3.0, messages=24, ready_s=15.0, repair_s=0.3, settle_s=10.0)
_GOSSIP_S = 3.0  # the heartbeats a message is kept
_SHORTEST_S, _LONGEST_S = 0.1, 0.8  # a fault
_LIMIT_S = 90.0  # wall time of a run
_CRASH_GRACE_NS = 1_000_000_000  # a message that a host was at work on when it crashed

FAULTS = ("cut", "dials", "streams", "stall", "crash")
"""Kinds of faults: a connection is cut, cut and dialled from both sides, its streams are reset; a host stops reading, crashes."""


def socket_fault_run(
    version: str, router: str, seed: int, make_driver: Callable[[HostContext], Driver] | None = None
) -> list[str]:
    """Play one run and check it; return the problems as sentences.

    Args:
        version: version of the control flow.
        router: "floodsub" or "gossipsub".
        seed: seed of the faults and of the world.
        make_driver: factory of the drivers, instead of the version's own.
    """
    unhandled: list[str] = []

    async def limited() -> Evidence:
        def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            unhandled.append(f"unhandled {context.get('exception')!r}: {context['message']}")

        asyncio.get_running_loop().set_exception_handler(tell)
        async with asyncio.timeout(_LIMIT_S):
            return await _play(version, router, seed, make_driver)

    try:
        evidence = run(limited())
    except Exception as error:
        broken = [f"{type(error).__name__}: {error}"]
    else:
        broken = judge(evidence)
    gc.collect()  # an unretrieved error of a task is reported when the task is collected
    return [*broken, *unhandled]


async def _play(version: str, router: str, seed: int, make_driver: Callable[[HostContext], Driver] | None) -> Evidence:
    world = World(
        _HOSTS,
        version=version,
        router=router,
        seed=seed,
        transport="libp2p",
        discovery=False,
        params=GossipsubParams() if router == "gossipsub" else HostParams(),
        trace=True,
        make_driver=make_driver,
    )
    async with world:
        return await _SocketPlay(router, world, seed).play()


class _SocketPlay(FaultPlay):
    """One run; notes connections as it makes and ends them, before anything is lost."""

    crash_grace_ns = _CRASH_GRACE_NS

    def __init__(self, router: str, world: World, seed: int) -> None:
        times = replace(_TIMES, repair_s=_GOSSIP_S) if router == "gossipsub" else _TIMES
        super().__init__(router, world, random.Random(f"{seed}/socket fault run"), times)
        self._linked: set[tuple[int, int]] = set()
        self._down: set[int] = set()
        self._faults = Lifetime("the faults")
        self._errors: list[BaseException] = []
        self._faults.on_failure = self._errors.append

    async def begin(self) -> None:
        """Connect all hosts, then start the faults."""
        await self.connect_all()
        rng = self.rng
        for number in range(_FAULTS):
            kind = FAULTS[number] if number < len(FAULTS) else rng.choice(FAULTS)
            for_s = rng.uniform(_SHORTEST_S, _LONGEST_S)
            at_s = rng.uniform(0.0, self.times.faults_s - for_s)
            a, b = rng.sample(range(_HOSTS), 2)
            fault: Callable[[int, int, float], Awaitable[None]] = getattr(self, f"_{kind}")
            self._faults.start(self._strike(fault, at_s, a, b, for_s), f"fault {number} ({kind})")

    async def repair(self) -> None:
        """Wait for the end of the last fault, and connect what is not connected."""
        while not self._faults.is_idle:  # noqa: ASYNC110 - a lifetime has no event for it
            await asyncio.sleep(0.01)
        raise_grouped("faults", self._errors)
        await self.connect_all()

    async def _strike(
        self, fault: Callable[[int, int, float], Awaitable[None]], at_s: float, a: int, b: int, for_s: float
    ) -> None:
        await self.sleep_until(at_s)
        if not self._down & {a, b}:
            await fault(a, b, for_s)

    async def publish(self, number: int, ready: int = 0) -> bytes:
        """Publish as the base does; what a crashing host did last does not count."""
        payload = await super().publish(number, ready)
        if number in self._down:  # it crashed meanwhile: what it did last is not in the trace
            self.published.remove(payload)
        return payload

    # --- connections ---------------------------------------------------------------------------------------------

    async def connect(self, a: int, b: int) -> None:
        """Connect two hosts that are up and note it; a dial fails only if one of them has crashed meanwhile."""
        if not self._down & {a, b}:
            await super().connect(a, b)
            if self._host(a).is_connected(self.world.peer_ids[b]):
                self._note(a, b, "connect")

    def _note(self, a: int, b: int, what: str) -> None:
        pair = min(a, b), max(a, b)
        if (pair in self._linked) != (what == "connect"):
            self._linked ^= {pair}
            self.world.note(what, a, self.world.peer_ids[b])

    def _host(self, number: int) -> Libp2pHost:
        network = self.world.network
        assert isinstance(network, Libp2pNetwork)
        return network.host(self.world.peer_ids[number])

    async def _cut(self, a: int, b: int, for_s: float) -> None:
        self._note(a, b, "disconnect")
        await self.world.disconnect(a, b)
        await asyncio.sleep(for_s)
        await self.connect(a, b)

    async def _dials(self, a: int, b: int, for_s: float) -> None:
        self._note(a, b, "disconnect")
        await self.world.disconnect(a, b)
        async with asyncio.TaskGroup() as group:
            for dialler, dialled in ((a, b), (b, a)):
                group.create_task(self.connect(dialler, dialled))

    async def _streams(self, a: int, b: int, for_s: float) -> None:
        peer = self._host(a).peers.get(self.world.peer_ids[b])
        if peer is None:
            return
        self._note(a, b, "disconnect")  # as far as frames are concerned
        streams = [stream for stream in (peer.outgoing, peer.incoming) if stream is not None]
        for stream in self.rng.sample(streams, min(1, len(streams))):
            stream.reset()
        await asyncio.sleep(for_s)
        await self.connect(a, b)

    # --- hosts ---------------------------------------------------------------------------------------------------

    async def _stall(self, a: int, b: int, for_s: float) -> None:
        connections = self._host(a).connections
        for connection in connections:
            connection.transport.pause_reading()
        await asyncio.sleep(for_s)
        for connection in connections:
            if not connection.is_over:
                connection.transport.resume_reading()

    async def _crash(self, a: int, b: int, for_s: float) -> None:
        self._down.add(a)
        others = [number for number in range(_HOSTS) if number != a]
        self.world.crash(a)
        for other in others:
            self._note(a, other, "disconnect")
        await asyncio.sleep(for_s)
        await self.world.restart(a)
        self._down.discard(a)
        for other in others:
            await self.connect(other, a)
