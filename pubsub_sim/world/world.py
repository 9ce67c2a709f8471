"""A world of pubsub hosts: hosts, network, clock, rendezvous and one version of the node."""

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
from pubsub_sim.net.libp2p import Libp2pHost, Libp2pNetwork
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
    from pubsub_sim.node.driver import Driver, HostContext
    from pubsub_sim.protocol.options import HostOptions

TRANSPORTS = ("memory", "tcp", "libp2p")
MODELLED = ("memory",)
"""Transports whose links can be given and broken; the others are real sockets, on wall time."""

SIGNING = {
    "strict": SignPolicy.STRICT,
    "none": SignPolicy.STRICT_NO_SIGN,
    "lax": SignPolicy.LAX,
    "lax-none": SignPolicy.LAX_NO_SIGN,
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
        transport: "memory"; "tcp": loopback sockets, one connection per pair of hosts, with a framing of our own; or
            "libp2p": loopback sockets with Noise and yamux, as go-libp2p speaks. Sockets live on wall time only.
        sign: "strict" (StrictSign: everything is signed and verified), "none" (StrictNoSign), "lax" (LaxSign) or
            "lax-none" (LaxNoSign).
        discovery: a shared rendezvous; without it, connect by hand.
        params: numbers every host runs on, `GossipsubParams` or `RandomsubParams` for those of these routers; or a
            function that gives those of a host, called with its number.
        options: what else is chosen for every host, or a function that gives it for a host's number.
        link: what links between hosts are like; without it frames take a round of the loop, as the rendezvous
            always does. Memory transport only.
        faults: what goes wrong, and when; memory transport only, made for the virtual clock.
        addresses: the IP address of a host as its peers see it, by its number, so that hosts can share one; without it
            each has one of its own.
        encode: encode and decode every RPC, as on wall time. On the virtual clock memory networks carry RPCs as objects otherwise
            (`wire.sealed`), which changes no decision and no length.
        trace: keep `trace`. Off unless asked for: it grows with every RPC and keeps what was sent (18.8 MiB for 100
            messages among 20 hosts), and takes time.
        make_driver: makes each host's control flow, instead of the version's own factory.
        watch: gives what else is told of all that a host decides, called with its number when one of its lives begins.

    Attributes:
        peer_ids: who the hosts are, by number.
        pubsubs: the nodes, by number.
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
        self._ends_of_watchers: dict[int, tuple[Callable[[], None], ...]] = {}  # of the present life of each host
        self._ends = Lifetime("the world", 2 * CLOSE_LIMIT_S)  # owns what ends hosts, and begins their next life
        self._down: dict[int, asyncio.Task[None] | None] = {}  # hosts that crashed, and their end
        self._closing: Shielded[None] | None = None
        self._errors: list[Exception] = []  # of the ends of hosts that have crashed
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
        """End the world: all hosts, the network, and what goes wrong in it, whatever fails on the way.

        It goes to its end even if it is cancelled meanwhile, and takes no longer than `CLOSE_LIMIT_S` per host. A second
        call waits for the first.

        Raises:
            the error that ended a host's turns, if that is all that went wrong.
            ExceptionGroup: such errors and those of the end itself.
        """
        if self.pubsubs:  # else the world has not begun
            await self._end()

    async def _open(self) -> None:
        await Shielded(self.network.open(), "opening of the network").end()

    async def _end(self) -> None:
        if self._closing is None:
            self._closing = Shielded(self._close(), "close of the world")
        await self._closing.end()

    async def _close(self) -> None:
        player, limit_s = self._player, CLOSE_LIMIT_S * (len(self.pubsubs) + 2)  # each host has a limit of its own
        errors, remaining = await run_steps(
            (
                ("close of the fault player", lambda: None if player is None else player.close()),
                ("refusal of those who wait for a restart", self._refuse_waiting),
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
        """Close all hosts, one after the other, so that each still sees those before it leave."""
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
        """Connect two hosts; host `a` dials. Nothing if they are connected.

        Raises:
            DialledItself: they are the same.
            DialError: host `b` cannot be reached.
        """
        await self._network_hosts[a].connect(self.pubsubs[b].peer_id)

    async def connect_all(self) -> None:
        """Connect every pair that is not."""
        for a in range(self._hosts):
            for b in range(a + 1, self._hosts):
                if not self._network_hosts[a].is_connected(self.pubsubs[b].peer_id):
                    await self.connect(a, b)

    async def disconnect(self, a: int, b: int) -> None:
        """Cut the connection of two hosts."""
        self.network.disconnect(self.peer_id(a), self.peer_id(b))

    def crash(self, number: int) -> None:
        """End a host without a word: its connections are reset, calls on its node are refused from the next round on.

        Raises:
            OptionError: it is down already.
        """
        if check_whole("number", number, at_least=0, at_most=self._hosts - 1) in self._down:
            raise OptionError("number", number, "the number of a host that is up")
        self.note("crash", number)
        for tell_end in self._ends_of_watchers.get(number, ()):
            tell_end()
        self.network.remove_host(self.peer_id(number))
        self._down[number] = self._ends.start(self._end_host(self.pubsubs[number]), f"end of host {number}")

    async def _end_host(self, pubsub: PubSub) -> None:
        """Close a host that crashed; nobody has asked for it, so what goes wrong is told at the end of the world."""
        try:
            await pubsub.close()
        except Exception as error:
            self._errors.append(error)

    async def restart(self, number: int) -> PubSub:
        """Begin the next life of a host that crashed: the same key and number, empty tables, no connections.

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
        """The next life of a host that is down; if that fails, it is down as before."""
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
        """Wait until a host has begun its next life; gives its new node, which has joined nothing yet.

        Raises:
            OptionError: no number of a host.
            HostClosed: the world ends before.
        """
        check_whole("number", number, at_least=0, at_most=self._hosts - 1)
        future: asyncio.Future[PubSub] = asyncio.get_running_loop().create_future()
        self._waiting_for[number].append(future)
        return await future

    def peer_id(self, number: int) -> PeerId:
        """Who a host is, in all its lives."""
        return self.pubsubs[number].peer_id

    @property
    def trace(self) -> list[TraceEvent]:
        """What happened so far, in order; of a world made with `trace=True`.

        Raises:
            TraceNotKept: it was made without.
        """
        if self._trace is None:
            raise TraceNotKept
        return self._trace

    def note(self, kind: str, host: int, peer: bytes = b"", detail: bytes | str = "") -> None:
        """Write into `trace`, if it is kept, what happened to the world and not in a host."""
        if self._trace is not None:
            self._trace.append(TraceEvent(self.clock.now_ns(), host, kind, peer, detail))

    @property
    def is_quiet(self) -> bool:
        """Whether no frame is on its way and no host has anything to do; timers do not count, nor hosts that are down."""
        return (
            self.network.is_quiet
            and all(pubsub.is_idle for number, pubsub in enumerate(self.pubsubs) if number not in self._down)
            and (self._player is None or self._player.is_idle)
        )

    async def settle(self, limit_s: float = 600.0) -> None:
        """Wait until the world is quiet.

        Args:
            limit_s: longest wait, on the world's clock.

        Raises:
            NeverQuiet: the limit is over; names who is busy.
            OptionError: the limit is no time.
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
            return Libp2pNetwork(loop, {key.peer_id: key.sign_bytes for key in self._keys})
        if self._link is None and self._plan is None:
            return MemoryNetwork(loop)
        return LinkedNetwork(loop, self.clock, self._link or LinkModel(), self._seed)

    def _failures(self) -> list[BaseException]:
        """The errors that ended hosts, and the one that ended the faults."""
        errors = [None if self._player is None else self._player.failure, *(pubsub.failure for pubsub in self.pubsubs)]
        return [error for error in errors if error is not None]

    def _raise_failures(self) -> None:
        if self._player is not None and self._player.failure is not None:
            raise self._player.failure
        for pubsub in self.pubsubs:
            if pubsub.failure is not None:
                raise pubsub.failure

    def _add_host(self, number: int) -> PubSub:
        """A host of the network, and a node on it; they take the place of the number's former life."""
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
                initial_seqno=(life << 48) + rng.getrandbits(48),  # above those of former lives
                options=options,
                foreign=foreign,
                seals=not self._encodes and self._transport in MODELLED and self.clock.kind == "virtual",
            )
        except BaseException:
            self.network.remove_host(key.peer_id)
            raise

    def _watched(self, number: int, foreign: ForeignCode) -> RawTracer:
        """Whoever is told of this life of a host; one alone is told directly."""
        watchers: list[RawTracer] = []
        ends: list[Callable[[], None]] = []
        if self._trace is not None:
            own = HostTrace(self._trace, number, self.clock.now_ns)
            watchers.append(own)
            ends.append(own.end)
        if self._watch is not None:
            watcher = self._watch(number)
            watchers.append(GuardedTracer(watcher, foreign))
            ends.append(foreign.guard("tracer", watcher.end, nothing, None, "it is not told of the host's end"))
        self._ends_of_watchers[number] = tuple(ends)
        return watchers[0] if len(watchers) == 1 else Tracers(self.peer_ids[number], watchers=watchers)
