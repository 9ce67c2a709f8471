"""A world of pubsub hosts: hosts, network, clock, rendezvous and the version of the node."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pubsub_sim.checks import check_bool, check_choice, check_ip, check_kind, check_seconds, check_whole
from pubsub_sim.drivers.versions import driver_factory
from pubsub_sim.errors import HostClosed, NeverQuiet, OptionConflict, OptionError, TasksRemain, TraceNotKept
from pubsub_sim.foreign import ForeignCode, nothing
from pubsub_sim.net.clock import LoopClock, clock_of
from pubsub_sim.net.faults import FaultPlan
from pubsub_sim.net.link import LinkModel
from pubsub_sim.net.linked import LinkedNetwork
from pubsub_sim.net.memory import MemoryHost, MemoryNetwork
from pubsub_sim.net.rendezvous import RendezvousClient, RendezvousServer
from pubsub_sim.net.tcp import TcpHost, TcpNetwork
from pubsub_sim.node.lifetime import CLOSE_LIMIT_S, Lifetime, Shielded, raise_grouped, run_steps
from pubsub_sim.node.pubsub import PubSub
from pubsub_sim.protocol.guards import GuardedTracer
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.protocol.tracing import RawTracer, Tracers
from pubsub_sim.wire.signing import KeyPair, SignPolicy
from pubsub_sim.world.chance import Chance
from pubsub_sim.world.faults import FaultPlayer
from pubsub_sim.world.routers import ROUTERS, MakeRouter, check_params, router_maker
from pubsub_sim.world.running import run_seed
from pubsub_sim.world.trace import HostTrace, HostWatcher, TraceEvent

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.net.libp2p import Libp2pHost, Libp2pNetwork
    from pubsub_sim.node.driver import Driver, HostContext
    from pubsub_sim.protocol.options import HostOptions

TRANSPORTS = ("memory", "tcp", "libp2p")
MODELLED = ("memory",)
"""Transports with configurable links and faults; the others are real sockets, on wall time."""

SIGNING = {
    "strict": SignPolicy.STRICT,
    "none": SignPolicy.STRICT_NO_SIGN,
    "lax": SignPolicy.LAX,
    "lax-none": SignPolicy.LAX_NO_SIGN,
}

_QUIET_ROUNDS = 3  # a callback may be scheduled that is not visible yet; it runs in the next iteration
_BUSY_ROUNDS = 200  # after that, the remaining activity needs time to pass


class World:
    """Hosts of one network. An async context manager, inside which everything runs.

    Args:
        hosts: number of hosts.
        version: version of the control flow, a name of `known_versions()`.
        router: "floodsub", "randomsub" or "gossipsub"; or a function that creates a host's router, called with its number
            and the peer ids of all hosts.
        seed: seed of keys, sequence numbers and all random choices; None takes the seed given to `run`.
        transport: "memory"; "tcp": loopback sockets, one connection per pair of hosts, with a custom framing; or
            "libp2p": loopback sockets with Noise and yamux, as in go-libp2p. Sockets need wall time.
        sign: "strict" (StrictSign: everything is signed and verified), "none" (StrictNoSign), "lax" (LaxSign) or
            "lax-none" (LaxNoSign).
        discovery: whether there is a shared rendezvous; without it, hosts are connected explicitly.
        params: parameters of every host, `GossipsubParams` or `RandomsubParams` for these routers; or a function that
            returns those of a host, called with its number.
        options: further options of every host, or a function that returns them, called with its number.
        link: model of the links between hosts; without it frames take one iteration of the loop, as the rendezvous
            always does. Memory transport only.
        faults: the fault plan; memory transport only, intended for the virtual clock.
        addresses: returns the IP address of a host, called with its number, so that hosts can share one; by default
            each has its own.
        encode: encode and decode every RPC, as on wall time. By default RPCs are sent as objects on the virtual clock
            (see `wire.sealed`), which changes no decision and no size.
        trace: keep `trace`. Off by default: it grows with every RPC and keeps the sent frames (18.8 MiB for 100
            messages among 20 hosts), and takes time.
        make_driver: factory of the drivers, instead of the version's own.
        watch: returns an additional tracer of a host, called with its number at the start of each of its lives.

    Attributes:
        peer_ids: the peer ids of the hosts, by number.
        pubsubs: the nodes, by number.
        clock: its time.
        network: the network.
        rendezvous: the discovery server, or None.

    Raises:
        OptionError: an invalid argument.
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
        link: LinkModel | None = None,
        faults: FaultPlan | None = None,
        options: HostOptions | Callable[[int], HostOptions] | None = None,
        addresses: Callable[[int], str] | None = None,
        encode: bool = False,
        trace: bool = False,
        make_driver: Callable[[HostContext], Driver] | None = None,
        watch: Callable[[int], HostWatcher] | None = None,
    ) -> None:
        self._hosts = check_whole("hosts", hosts, at_least=1)
        if not callable(router):
            check_choice("router", router, ROUTERS)
        check_choice("transport", transport, TRANSPORTS)
        check_choice("sign", sign, SIGNING)
        self._make_driver = make_driver or driver_factory(version)
        self._make_router = router_maker(router)
        self._transport = transport
        self._seed = run_seed.get() if seed is None else check_whole("seed", seed, at_least=0)
        self._policy = SIGNING[sign]
        self._params = [
            check_params(router, params(number) if callable(params) else params or HostParams())
            for number in range(hosts)
        ]
        self._keys = [KeyPair(hashlib.sha256(f"{self._seed}/key/{n}".encode()).digest()) for n in range(hosts)]
        self.peer_ids: list[PeerId] = [key.peer_id for key in self._keys]
        self._link = check_kind("link", link, LinkModel)
        self._plan = check_kind("faults", faults, FaultPlan)
        if self._plan is not None:
            self._plan.check_hosts(hosts)
        for option, value in (("link", link), ("faults", faults)):
            if transport not in MODELLED and value is not None:
                raise OptionConflict(option, value, "transport", transport, "real sockets are not modelled")
        self._options = options
        self._addresses = None if addresses is None else [check_ip("addresses", addresses(n)) for n in range(hosts)]
        check_bool("encode", encode)
        self._encodes = encode
        check_bool("trace", trace)
        self._trace: list[TraceEvent] | None = [] if trace else None
        self._watch = watch
        self.rendezvous = RendezvousServer() if discovery else None
        self.pubsubs: list[PubSub] = []
        self.clock: LoopClock
        self.network: MemoryNetwork | TcpNetwork | Libp2pNetwork
        self._network_hosts: dict[int, MemoryHost | TcpHost | Libp2pHost] = {}
        self._lives: list[int] = [0] * hosts
        self._ends_of_watchers: dict[int, tuple[Callable[[], None], ...]] = {}  # of the current life of each host
        self._ends = Lifetime("the world", 2 * CLOSE_LIMIT_S)  # owns the ends and restarts of hosts
        self._down: dict[int, asyncio.Task[None] | None] = {}  # crashed hosts, and the tasks that end them
        self._closing: Shielded[None] | None = None
        self._errors: list[Exception] = []  # errors while ending crashed hosts
        self._waiting_for: list[list[asyncio.Future[PubSub]]] = [[] for _ in range(hosts)]
        self._player: FaultPlayer | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.clock = clock_of(loop)
        self.network = self._make_network(loop)
        try:
            for number in range(self._hosts):
                self.pubsubs.append(self._add_host(number))
                self.pubsubs[number].start()
            await self._open()
        except BaseException:
            await self._end()
            raise
        if self._plan is not None:
            assert isinstance(self.network, LinkedNetwork)
            self._player = FaultPlayer(self._plan, self, self.network)
            self._player.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close all hosts, the network and the fault player, regardless of errors.

        It completes even if cancelled, and takes at most `CLOSE_LIMIT_S` per host. A second call waits for the first.

        Raises:
            the error that ended a host's turns, if it is the only error.
            ExceptionGroup: such errors and those of the close itself.
        """
        if self.pubsubs:  # else the world was not entered
            await self._end()

    async def _open(self) -> None:
        await Shielded(self.network.open(), "opening of the network").end()

    async def _end(self) -> None:
        if self._closing is None:
            self._closing = Shielded(self._close(), "close of the world")
        await self._closing.end()

    async def _close(self) -> None:
        player, limit_s = self._player, CLOSE_LIMIT_S * (len(self.pubsubs) + 2)  # each host has its own limit
        errors, remaining = await run_steps(
            (
                ("close of the fault player", lambda: None if player is None else player.close()),
                ("refusal of waits for a restart", self._refuse_waiting),
                ("close of the hosts", self._close_hosts),
                ("close of the network", lambda: self.network.close()),
            ),
            asyncio.get_running_loop().time() + limit_s,
        )
        if remaining:
            errors.append(TasksRemain("the world", remaining, limit_s))
        errors += self._errors
        failures = self._failures()
        if len(failures) == 1 and not errors:
            raise failures[0]
        raise_grouped("end of the world", [*failures, *errors])

    def _refuse_waiting(self) -> None:
        for future in (future for waiting in self._waiting_for for future in waiting):
            if not future.done():
                future.set_exception(HostClosed("when_restarted"))

    async def _close_hosts(self) -> None:
        """Close all hosts in sequence, so that each observes the departure of those before it."""
        errors: list[BaseException] = []
        for number, pubsub in enumerate(self.pubsubs):
            if number not in self._down:
                try:
                    await pubsub.close()
                except Exception as error:
                    errors.append(error)
        await self._ends.close()
        raise_grouped("close of the hosts", errors)

    async def connect(self, a: int, b: int) -> None:
        """Connect two hosts, unless connected; host `a` dials.

        Raises:
            DialledItself: they are the same host.
            DialError: host `b` cannot be reached.
        """
        await self._network_hosts[a].connect(self.pubsubs[b].peer_id)

    async def connect_all(self) -> None:
        """Connect all pairs of hosts."""
        for a in range(self._hosts):
            for b in range(a + 1, self._hosts):
                if not self._network_hosts[a].is_connected(self.pubsubs[b].peer_id):
                    await self.connect(a, b)

    async def disconnect(self, a: int, b: int) -> None:
        """Close the connection of two hosts."""
        self.network.disconnect(self.peer_id(a), self.peer_id(b))

    def crash(self, number: int) -> None:
        """Crash a host: its connections are reset, and calls on its node are refused from the next loop iteration on.

        Raises:
            OptionError: it is already down.
        """
        if check_whole("number", number, at_least=0, at_most=self._hosts - 1) in self._down:
            raise OptionError("number", number, "the number of a host that is up")
        self.note("crash", number)
        for tell_end in self._ends_of_watchers.get(number, ()):
            tell_end()
        self.network.remove_host(self.peer_id(number))
        self._down[number] = self._ends.start(self._end_host(self.pubsubs[number]), f"end of host {number}")

    async def _end_host(self, pubsub: PubSub) -> None:
        """Close a crashed host; as there is no caller, errors are raised at the end of the world."""
        try:
            await pubsub.close()
        except Exception as error:
            self._errors.append(error)

    async def restart(self, number: int) -> PubSub:
        """Restart a crashed host: the same key and number, empty tables, no connections.

        Raises:
            OptionError: it is up.
        """
        check_whole("number", number, at_least=0, at_most=self._hosts - 1)
        end = self._down.get(number)
        if end is not None and not end.done():
            await asyncio.wait([end])
        if number not in self._down:
            raise OptionError("number", number, "the number of a host that is down")
        pubsub = self._begin_life(number)
        await self._open()
        return pubsub

    def _begin_life(self, number: int) -> PubSub:
        """Create the next life of a host that is down; on an error it stays down."""
        self._lives[number] += 1
        try:
            pubsub = self._add_host(number)
        except BaseException:
            self._lives[number] -= 1
            raise
        del self._down[number]
        self.pubsubs[number] = pubsub
        self.note("restart", number)
        pubsub.start()
        waiting, self._waiting_for[number] = self._waiting_for[number], []
        for future in waiting:
            if not future.done():
                future.set_result(pubsub)
        return pubsub

    async def when_restarted(self, number: int) -> PubSub:
        """Wait until a host has restarted; return its new node, which has not joined any topics.

        Raises:
            OptionError: not the number of a host.
            HostClosed: the world ended first.
        """
        check_whole("number", number, at_least=0, at_most=self._hosts - 1)
        future: asyncio.Future[PubSub] = asyncio.get_running_loop().create_future()
        self._waiting_for[number].append(future)
        return await future

    def peer_id(self, number: int) -> PeerId:
        """Return the peer id of a host, the same in all its lives."""
        return self.pubsubs[number].peer_id

    @property
    def trace(self) -> list[TraceEvent]:
        """The events so far, in order; for a world with `trace=True`.

        Raises:
            TraceNotKept: the world was made without it.
        """
        if self._trace is None:
            raise TraceNotKept
        return self._trace

    def note(self, kind: str, host: int, peer: bytes = b"", detail: bytes | str = "") -> None:
        """Add an event of the world, outside hosts, to `trace`, if it is kept."""
        if self._trace is not None:
            self._trace.append(TraceEvent(self.clock.now_ns(), host, kind, peer, detail))

    @property
    def is_quiet(self) -> bool:
        """Whether no frame is in transit and no host is busy; timers and hosts that are down do not count."""
        return (
            self.network.is_quiet
            and all(pubsub.is_idle for number, pubsub in enumerate(self.pubsubs) if number not in self._down)
            and (self._player is None or self._player.is_idle)
        )

    async def settle(self, limit_s: float = 600.0) -> None:
        """Wait until the world is quiet.

        Args:
            limit_s: time limit, on the world's clock.

        Raises:
            NeverQuiet: the limit was exceeded; names the busy parts.
            OptionError: an invalid limit.
            the error that ended a host's turns, if one did.
        """
        check_seconds("limit_s", limit_s)
        quiet = busy = 0
        end_ns = self.clock.now_ns() + round(limit_s * 1e9)
        while quiet < _QUIET_ROUNDS:
            self._raise_failures()
            await (asyncio.sleep(0) if busy < _BUSY_ROUNDS else self.clock.sleep(0.001))
            if self.is_quiet:
                quiet += 1
            else:
                quiet = 0
                busy += 1
                if self.clock.now_ns() > end_ns:
                    raise NeverQuiet(limit_s, self._busy())

    def _busy(self) -> list[str]:
        hosts = [
            f"host {number}"
            for number, pubsub in enumerate(self.pubsubs)
            if number not in self._down and not pubsub.is_idle
        ]
        return hosts if self.network.is_quiet else ["the network", *hosts]

    def _make_network(self, loop: asyncio.AbstractEventLoop) -> MemoryNetwork | TcpNetwork | Libp2pNetwork:
        if self._transport not in MODELLED:
            if self.clock.kind == "virtual":
                raise OptionConflict("transport", self._transport, "clock", "virtual", "sockets need the wall clock")
            if self._transport == "tcp":
                return TcpNetwork(loop)
            from pubsub_sim.net.libp2p import Libp2pNetwork  # a tenth of what a worker would import, and few need it

            return Libp2pNetwork(loop, {key.peer_id: key.sign_bytes for key in self._keys})
        if self._link is None and self._plan is None:
            return MemoryNetwork(loop, carries_objects=self._seals)
        model = self._link or LinkModel()
        return LinkedNetwork(loop, self.clock, model, self._seed, carries_objects=self._seals)

    @property
    def _seals(self) -> bool:
        return not self._encodes and self._transport in MODELLED and self.clock.kind == "virtual"

    def _failures(self) -> list[BaseException]:
        """Return the errors that ended hosts, and that of the fault player."""
        errors = [None if self._player is None else self._player.failure, *(pubsub.failure for pubsub in self.pubsubs)]
        return [error for error in errors if error is not None]

    def _raise_failures(self) -> None:
        if self._player is not None and self._player.failure is not None:
            raise self._player.failure
        for pubsub in self.pubsubs:
            if pubsub.failure is not None:
                raise pubsub.failure

    def _add_host(self, number: int) -> PubSub:
        """Create a host of the network with a node, replacing the previous life of its number."""
        life = self._lives[number]
        rng = Chance(f"{self._seed}/host/{number}" + (f"/{life}" if life else ""))
        key = self._keys[number]
        params = self._params[number]
        options = self._options(number) if callable(self._options) else self._options
        foreign = ForeignCode(f"host {number}")
        is_watched = self._trace is not None or self._watch is not None
        tracer = self._watched(number, foreign) if is_watched else None
        router = self._make_router(number, self.peer_ids, params)
        client = None
        if self.rendezvous is not None:
            client = RendezvousClient(self.rendezvous, key.peer_id, limit=self._hosts)
        host = self.network.add_host(key.peer_id, None if self._addresses is None else self._addresses[number])
        self._network_hosts[number] = host
        try:
            return PubSub(
                host,
                self.clock,
                rng,
                key=key,
                router=router,
                policy=self._policy,
                make_driver=self._make_driver,
                rendezvous=client,
                params=params,
                tracer=tracer,
                number=number,
                initial_seqno=(life << 48) + rng.getrandbits(48),  # above those of previous lives
                options=options,
                foreign=foreign,
                seals=self._seals,
            )
        except BaseException:
            self.network.remove_host(key.peer_id)
            raise

    def _watched(self, number: int, foreign: ForeignCode) -> RawTracer:
        """Return the tracer of this life of a host; a single one is used directly."""
        watchers: list[RawTracer] = []
        ends: list[Callable[[], None]] = []
        if self._trace is not None:
            own = HostTrace(self._trace, number, self.clock.now_ns)
            watchers.append(own)
            ends.append(own.end)
        if self._watch is not None:
            watcher = self._watch(number)
            watchers.append(GuardedTracer(watcher, foreign))
            ends.append(foreign.guard("tracer", watcher.end, nothing, None, "the host's end is not traced"))
        self._ends_of_watchers[number] = tuple(ends)
        return watchers[0] if len(watchers) == 1 else Tracers(self.peer_ids[number], watchers=watchers)
