"""How is a world of pubsub hosts put together? Hosts, network, clock, rendezvous and one version of the node."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pubsub_sim.checks import check_choice, check_whole
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.net.clock import LoopClock
from pubsub_sim.net.memory import MemoryHost, MemoryNetwork
from pubsub_sim.net.rendezvous import RendezvousClient, RendezvousServer
from pubsub_sim.node.pubsub import PubSub
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.scenarios.routers import ROUTERS, MakeRouter, check_params, router_maker
from pubsub_sim.scenarios.running import run_seed
from pubsub_sim.scenarios.trace import HostTrace, TraceEvent
from pubsub_sim.wire.signing import KeyPair, SignPolicy

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId

TRANSPORTS = ("memory",)
SIGNING = {
    "strict": SignPolicy.STRICT,
    "none": SignPolicy.STRICT_NO_SIGN,
}

_QUIET_ROUNDS = 3  # a callback may be scheduled that nobody can see yet; it acts in the next round
_BUSY_ROUNDS = 200  # then whatever goes on needs time to pass


class World:
    """Hosts that can reach each other. An async context manager; inside it, everything runs.

    Args:
        hosts: how many.
        version: which control flow: a name of `known_versions()`.
        router: "floodsub", "randomsub" or "gossipsub"; or a function that makes a host's router, called with its number
            and the peer ids of all hosts.
        seed: for keys, sequence numbers and every choice; None takes the seed given to `run`.
        transport: "memory".
        sign: "strict" (StrictSign: everything is signed and verified) or "none" (StrictNoSign).
        discovery: a shared rendezvous; without it, connect by hand.
        params: options of every host, `GossipsubParams` or `RandomsubParams` for the options of these routers; or a
            function that gives those of a host, called with its number.
        trace: keep `trace`; costs time, so benchmarks leave it out.

    Attributes:
        peer_ids: who the hosts are, by number.
        pubsubs: the nodes, by number.
        trace: what happened so far, in order.
        clock: its time.
        network: what carries the frames.
        rendezvous: the discovery server, or None.

    Raises:
        OptionError: an unusable argument; names it, its value and what was expected.
    """

    def __init__(
        self,
        hosts: int,
        *,
        version: str = "baseline",
        router: str | MakeRouter = "floodsub",
        seed: int | None = None,
        transport: str = "memory",
        sign: str = "strict",
        discovery: bool = True,
        params: HostParams | Callable[[int], HostParams] | None = None,
        trace: bool = True,
    ) -> None:
        self._hosts = check_whole("hosts", hosts, at_least=1)
        if not callable(router):
            check_choice("router", router, ROUTERS)
        check_choice("transport", transport, TRANSPORTS)
        check_choice("sign", sign, SIGNING)
        self._make_driver = driver_factory(version)
        self._make_router = router_maker(router)
        self._seed = run_seed.get() if seed is None else check_whole("seed", seed, at_least=0)
        self._policy = SIGNING[sign]
        self._params = [
            check_params(router, params(number) if callable(params) else params or HostParams())
            for number in range(hosts)
        ]
        self._keys = [KeyPair(hashlib.sha256(f"{self._seed}/key/{n}".encode()).digest()) for n in range(hosts)]
        self.peer_ids: list[PeerId] = [key.peer_id for key in self._keys]
        self._is_traced = trace
        self.rendezvous = RendezvousServer() if discovery else None
        self.pubsubs: list[PubSub] = []
        self.trace: list[TraceEvent] = []
        self.clock: LoopClock
        self.network: MemoryNetwork
        self._network_hosts: list[MemoryHost] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.clock = LoopClock(loop)
        self.network = MemoryNetwork(loop)
        for number in range(self._hosts):
            self._add_host(number)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for pubsub in self.pubsubs:
            await pubsub.close()
        self._raise_failures()

    async def connect(self, a: int, b: int) -> None:
        """Connect two hosts; host `a` dials. Nothing if they are connected."""
        await self._network_hosts[a].connect(self.pubsubs[b].peer_id)

    async def connect_all(self) -> None:
        """Connect every pair that is not."""
        for a in range(self._hosts):
            for b in range(a + 1, self._hosts):
                if not self._network_hosts[a].is_connected(self.pubsubs[b].peer_id):
                    await self.connect(a, b)

    async def disconnect(self, a: int, b: int) -> None:
        """Cut the connection of two hosts."""
        self.network.unlink(self._network_hosts[a], self._network_hosts[b])

    @property
    def is_quiet(self) -> bool:
        """Whether no frame is on its way and no host has anything to do; timers do not count."""
        return self.network.is_quiet and all(pubsub.is_idle for pubsub in self.pubsubs)

    async def settle(self) -> None:
        """Wait until the world is quiet.

        Raises:
            the error that ended a host's turns, if one did.
        """
        quiet = busy = 0
        while quiet < _QUIET_ROUNDS:
            self._raise_failures()
            await (asyncio.sleep(0) if busy < _BUSY_ROUNDS else self.clock.sleep(0.001))
            if self.is_quiet:
                quiet += 1
            else:
                quiet = 0
                busy += 1

    def _raise_failures(self) -> None:
        for pubsub in self.pubsubs:
            if pubsub.failure is not None:
                raise pubsub.failure

    def _add_host(self, number: int) -> None:
        rng = random.Random(f"{self._seed}/host/{number}")
        key = self._keys[number]
        params = self._params[number]
        host = self.network.add_host(key.peer_id)
        pubsub = PubSub(
            host,
            self.clock,
            rng,
            key=key,
            router=self._make_router(number, self.peer_ids, params),
            policy=self._policy,
            make_driver=self._make_driver,
            rendezvous=None
            if self.rendezvous is None
            else RendezvousClient(self.rendezvous, key.peer_id, limit=self._hosts),
            params=params,
            tracer=HostTrace(self.trace, number, self.clock.now_ns) if self._is_traced else None,
            number=number,
            initial_seqno=rng.getrandbits(48),
        )
        self._network_hosts.append(host)
        self.pubsubs.append(pubsub)
        pubsub.start()
