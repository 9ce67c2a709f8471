"""A seeded run with random faults on the virtual clock, and its check by the oracle.

Links lose and delay frames, partitions come and heal, hosts crash, restart and stop reading, while the users of `fault_play`
subscribe and publish. Then the faults end.

After the faults, two things are repaired externally because no node does it: without discovery every pair is reconnected;
and pairs whose connection lost a hello or an announcement are reconnected, as neither is ever sent again. Everything else
must recover without help.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.checking.fault_oracle import Evidence, judge
from pubsub_sim.checking.fault_play import FaultPlay, FaultTimes
from pubsub_sim.checking.socket_fault_runs import socket_fault_run
from pubsub_sim.checking.user_fault_runs import user_fault_run
from pubsub_sim.checks import check_choice, check_whole
from pubsub_sim.drivers.versions import check_version
from pubsub_sim.net.faults import FaultPlan
from pubsub_sim.net.link import LinkModel
from pubsub_sim.net.linked import LinkedNetwork
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.wire.codec import decode
from pubsub_sim.world.running import run
from pubsub_sim.world.world import World

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.node.driver import Driver, HostContext

ROUTERS = ("floodsub", "gossipsub")
"""The routers supported by the oracle."""

KINDS = ("network", "users", "sockets")
"""Kinds of faults: of links and hosts; of user code and cancelled calls (see `user_fault_runs`); of sockets and hosts over
libp2p, on wall time (see `socket_fault_runs`)."""

_TIMES = FaultTimes(
    quiet_s=0.5,
    faults_s=12.0,
    messages=24,
    ready_s=120.0,  # dials of discovered peers back off for up to 10, 10, 25 and 125 s
    repair_s=5.0,
    settle_s=30.0,
)
_HORIZON_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class FaultRun:
    """One run.

    Attributes:
        version: version of the control flow.
        router: "floodsub" or "gossipsub".
        seed: seed of the fault plan, the world, its size and everything else.
        kind: kind of faults, one of KINDS.

    Raises:
        OptionError: an invalid value.
    """

    version: str
    router: str
    seed: int
    kind: str = "network"

    def __post_init__(self) -> None:
        check_version(self.version)
        check_choice("kind", self.kind, KINDS)
        check_choice("router", self.router, ROUTERS)
        check_whole("seed", self.seed, at_least=0)

    def __str__(self) -> str:
        kind = "" if self.kind == "network" else f", {self.kind}"
        return f"{self.version}, {self.router}, seed {self.seed}{kind}"


def fault_run(options: FaultRun, make_driver: Callable[[HostContext], Driver] | None = None) -> list[str]:
    """Play one run and check it.

    Args:
        options: the run.
        make_driver: factory of the drivers, instead of the version's own.

    Returns:
        The problems as sentences: violated rules (see `fault_oracle`), the error that ended the run (a deadlock, a world
        that does not settle, a failure of a host), unhandled errors. Empty on success.
    """
    if options.kind == "users":
        return user_fault_run(options.version, options.router, options.seed, make_driver)
    if options.kind == "sockets":
        return socket_fault_run(options.version, options.router, options.seed, make_driver)
    unhandled: list[str] = []
    try:
        evidence = run(_play(options, make_driver, unhandled), clock="virtual", horizon_s=_HORIZON_S)
    except Exception as error:
        broken = [f"{type(error).__name__}: {error}"]
    else:
        broken = judge(evidence)
    gc.collect()  # an unretrieved error of a task is reported when the task is collected
    return [*broken, *unhandled]


async def _play(
    options: FaultRun, make_driver: Callable[[HostContext], Driver] | None, unhandled: list[str]
) -> Evidence:
    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unhandled.append(f"unhandled {context.get('exception')!r}: {context['message']}")

    asyncio.get_running_loop().set_exception_handler(tell)
    rng = random.Random(f"{options.seed}/fault run")
    hosts = rng.randint(6, 10)
    has_discovery = rng.random() < 0.5
    queue_size = rng.choice((4, 32, 32))
    kind = GossipsubParams if options.router == "gossipsub" else HostParams
    world = World(
        hosts,
        version=options.version,
        router=options.router,
        seed=options.seed,
        discovery=has_discovery,
        params=kind(outbound_queue_size=queue_size),
        link=LinkModel(latency_s=(0.001, 0.1), jitter=0.1, bandwidth_bps=rng.choice((None, 20_000_000))),
        faults=FaultPlan.random(options.seed, hosts, _TIMES.faults_s),
        trace=True,
        make_driver=make_driver,
    )
    async with world:
        return await _LinkedPlay(options, world, rng, has_discovery).play()


class _LinkedPlay(FaultPlay):
    """A run over modelled links; observes connections and lost frames of the network (see LinkWatcher)."""

    def __init__(self, options: FaultRun, world: World, rng: random.Random, has_discovery: bool) -> None:
        super().__init__(options.router, world, rng, _TIMES)
        self._has_discovery = has_discovery
        self._impaired: dict[tuple[int, int], None] = {}  # pairs that lost a hello or an announcement

    async def begin(self) -> None:
        """Observe the network; connect the hosts, unless they find each other."""
        network = self.world.network
        assert isinstance(network, LinkedNetwork)
        network.watcher = self
        if not self._has_discovery:
            await self.connect_all()

    async def repair(self) -> None:
        """Reconnect every pair that nobody dials, and those that lost what is never sent again."""
        if not self._has_discovery:
            await self.connect_all()
        for a, b in list(self._impaired):
            await self.world.disconnect(a, b)
            await self.world.connect(a, b)

    # --- see LinkWatcher -----------------------------------------------------------------------------------------

    def connected(self, one: PeerId, other: PeerId) -> None:
        """Note a new connection."""
        self.world.note("connect", self.numbers[one], other)

    def disconnected(self, one: PeerId, other: PeerId) -> None:
        """Note the end of a connection."""
        self.world.note("disconnect", self.numbers[one], other)
        self._impaired.pop(self._pair(one, other), None)

    def lost(self, writer: PeerId, reader: PeerId, frame: bytes) -> None:
        """Note a lost frame."""
        if frame:
            self.world.note("lose_rpc", self.numbers[writer], reader, frame)
            if decode(frame).subscriptions:
                self._impaired[self._pair(writer, reader)] = None

    def _pair(self, one: PeerId, other: PeerId) -> tuple[int, int]:
        a, b = self.numbers[one], self.numbers[other]
        return min(a, b), max(a, b)
