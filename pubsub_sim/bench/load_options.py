"""The options of a sweep under load: which runs it has, and how they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.machine import check_hosts
from pubsub_sim.bench.options import ALLOCATORS, PROGRESS, QUIET, sweep_folder
from pubsub_sim.checks import check_bool, check_choice, check_number, check_seconds, check_whole
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.parameters import Parameters, several
from pubsub_sim.results.load import LoadRun
from pubsub_sim.scenarios.load import Load
from pubsub_sim.scenarios.versions import several_versions
from pubsub_sim.world.running import loop_factory

if TYPE_CHECKING:
    from pathlib import Path

_MOST_PERCENT = 200
_INT16_MAX = 2**15 - 1


@dataclass(frozen=True, kw_only=True)
class LoadOptions(Parameters):
    """A sweep under load. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: which control flows are put under load; "direct" and "lower-bound" are references.
        hosts: number of hosts; all subscribe.
        loads: loads of open loops in percent of the saturation of each version, which is searched first; empty for no search.
        rates: further open loops, in messages a second of all publishers together, the same for all versions.
        most_in_flight: most messages in flight per publisher that the search tries.
        sessions: how often everything is measured, each time with a hash seed and a size of the environment of its own;
            intervals are those over sessions.
        publishers: how many hosts publish; 0 for all.
        payload_bytes: length of a payload.
        warmup_s: time under load before each measurement.
        duration_s: length of each measurement.
        router: routing protocol, "floodsub" or "gossipsub".
        transport: how hosts are connected, "memory", "tcp" or "libp2p".
        loop: event loop, "uvloop" or "asyncio".
        sign: "strict" signs and verifies every message, "none" does not.
        seed: seed of the first session; later sessions count up from it.
        out: folder of the sweep that the runs belong to; a relative one starts at the clone's data/raw, or outside a clone at the
            current folder.
        measure: whether to measure; if not, the stored runs are only read.
        retry_failed: whether stored runs that failed are made again.
        force: whether all stored runs are made again.
        allocator: "pinned" fixes glibc's malloc thresholds in the workers, "default" leaves them alone.
        limit_s: a run is stopped after this many seconds.
        quiet_only: what to do while the machine is not quiet: "wait" until it is before each run, "stop", "no" to measure all
            the same.
        progress: "auto" for a bar or an updating display, "lines" for plain lines, "none".
        share: whether to measure although something else is measured on this machine, and let others do so: for tests.

    Raises:
        OptionError: a value that cannot be used; the sentence names the parameter, the value and what was expected.
        OptionConflict: values that do not go together.
    """

    versions: tuple[str, ...] = ("baseline", "states", "direct", "lower-bound")
    hosts: int = 5
    loads: tuple[int, ...] = (25, 50, 75, 90)
    rates: tuple[float, ...] = ()
    most_in_flight: int = 32
    sessions: int = 3
    publishers: int = 0
    payload_bytes: int = 32
    warmup_s: float = 0.25
    duration_s: float = 1.0
    router: str = "floodsub"
    transport: str = "memory"
    loop: str = "uvloop"
    sign: str = "strict"
    seed: int = 1
    out: str = "local-default"
    measure: bool = True
    retry_failed: bool = False
    force: bool = False
    allocator: str = "pinned"
    limit_s: float = 60.0
    quiet_only: str = "no"
    progress: str = "auto"
    share: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", several_versions("versions", self.versions))
        for name in ("loads", "rates"):
            given: Any = getattr(self, name)
            object.__setattr__(self, name, several(name, given) if given not in ((), [], "") else ())
        for percent in self.loads:
            check_whole("loads", percent, at_least=1, at_most=_MOST_PERCENT)
        for rate in self.rates:
            check_number("rates", rate, at_least=0)
            if not rate:
                raise OptionError("rates", rate, "messages a second, above 0")
        if not self.loads and not self.rates:
            raise OptionConflict("loads", self.loads, "rates", self.rates, "there is nothing to run")
        for name in ("most_in_flight", "sessions"):
            check_whole(name, getattr(self, name), at_least=1, at_most=_INT16_MAX)
        self._check_runs()
        for name in ("measure", "retry_failed", "force", "share"):
            check_bool(name, getattr(self, name))
        check_choice("allocator", self.allocator, ALLOCATORS)
        check_seconds("limit_s", self.limit_s)
        check_choice("quiet_only", self.quiet_only, QUIET)
        check_choice("progress", self.progress, PROGRESS)
        sweep_folder("out", self.out)
        object.__setattr__(self, "out", str(self.out))

    def _check_runs(self) -> None:
        """Make the options of a run of each version: they are checked by their own class."""
        loop_factory(self.loop)
        for version in self.versions:
            try:
                load_of(self.run(version, 1, in_flight=1))
            except OptionError as error:
                if error.option == "version" and not isinstance(error, OptionConflict):
                    raise OptionError("versions", error.value, error.expected) from None
                raise
        check_hosts(self.hosts)

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        return sweep_folder("out", self.out)

    def run(self, version: str, session: int, *, in_flight: int = 0, percent: int = 0, rate: float = 0.0) -> LoadRun:
        """Give the parameters of a run."""
        return LoadRun(
            version=version,
            hosts=self.hosts,
            session=session,
            in_flight=in_flight,
            percent=percent,
            rate=float(rate),
            publishers=self.publishers,
            payload_bytes=self.payload_bytes,
            warmup_s=float(self.warmup_s),
            duration_s=float(self.duration_s),
            router=self.router,
            transport=self.transport,
            loop=self.loop,
            sign=self.sign,
            seed=self.seed + session - 1,
            allocator=self.allocator,
        )


def load_of(run: LoadRun) -> Load:
    """Give the options of the scenario for a run.

    Raises:
        OptionError: a value that cannot be used.
    """
    return Load(
        version=run.version,
        hosts=run.hosts,
        rate=run.rate,
        in_flight=run.in_flight,
        publishers=run.publishers,
        payload_bytes=run.payload_bytes,
        warmup_s=run.warmup_s,
        duration_s=run.duration_s,
        router=run.router,
        transport=run.transport,
        sign=run.sign,
        seed=run.seed,
    )
