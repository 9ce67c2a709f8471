"""The options of a sweep: which runs are asked for, and how; each is checked before anything is measured."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pubsub_sim.bench.conditions import list_conditions
from pubsub_sim.bench.machine import check_hosts
from pubsub_sim.bench.spec import RunSpec
from pubsub_sim.checks import check_bool, check_choice, check_seconds, check_whole
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.flags import REPEATED
from pubsub_sim.parameters import Parameters, several
from pubsub_sim.places import sweeps_folder
from pubsub_sim.results import NAME, is_name
from pubsub_sim.scenarios.versions import LOWER_BOUND, current_name, known_versions, several_versions
from pubsub_sim.world.running import loop_factory

LOOPS = ("uvloop", "asyncio")
"""The event loops of the comparators."""

SIGNS = ("strict", "none")
"""Its ways of signing."""

TRANSPORTS = ("memory", "tcp", "libp2p")
"""Its ways of connecting hosts."""

COMPARED_TRANSPORTS = ("memory", "tcp")
"""Those on which comparators are run beside the versions: what all of them can play."""

ALLOCATORS = ("pinned", "default")
EXECUTORS = ("serial", "dask")
PROGRESS = ("auto", "lines", "none")
QUIET = ("no", "wait", "stop")
_INT16_MAX = 2**15 - 1
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class RunOptions(RunSpec):
    """One run from the command line.

    Attributes:
        allocator: "pinned" fixes glibc's malloc thresholds, "default" leaves them alone.
        limit_s: the run is stopped after this many seconds.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
    """

    allocator: str = "pinned"
    limit_s: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("allocator", self.allocator, ALLOCATORS)
        check_seconds("limit_s", self.limit_s)
        check_hosts(self.hosts, barrier=self.barrier)


@dataclass(frozen=True, kw_only=True)
class SweepOptions(Parameters):
    """A grid of runs. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: which control flows to compare.
        hosts: numbers of hosts, each at least 2.
        messages: numbers of random messages in total, each at least 1.
        sessions: how many sessions there are. Each has a hash seed, an order of imports and a size of the environment of its
            own, and runs the whole grid; intervals are those over sessions if there are several.
        repeats: how often each cell of the grid is run in a session.
        half_width: if above 0, cells are run on until half the 95 % interval of each ratio is no wider than this share of
            the ratio (0.02 is 2 %), but at least `repeats` times; 0 for exactly `repeats` times.
        max_repeats: where that ends at the latest.
        router: routing protocol.
        transport: how hosts are connected, "memory", "tcp" (loopback sockets) or "libp2p" (loopback sockets with Noise and yamux).
        loop: event loop, "uvloop" or "asyncio".
        sign: "strict" signs and verifies every message, "none" does not.
        conditions: other conditions that are measured beside that of the four parameters before, each as a text such as
            "sign=none transport=tcp hosts=5,20 messages=100"; what it does not name is that of the sweep.
        seed: seed of the first repeat and of the order of the runs; later repeats count up from it.
        out: folder of the sweep; a relative one starts at the clone's data/raw, or outside a clone at the current folder.
        measure: whether to measure; if not, the stored runs are only read.
        barrier: whether all hosts are connected before the first message, which makes the work equal.
        warmup: whether a small run of the same version comes first in each worker.
        control: whether the first version runs twice in each pair, for the comparison of a version with itself.
        allocator: "pinned" fixes glibc's malloc thresholds in the workers, "default" leaves them alone.
        limit_s: a timing run is stopped after this many seconds.
        whole_repeats: how often the smallest and the largest cell are run in each session one run after the other, without
            time slices, as a check of those; 0 for never.
        memory_repeats: how often in the whole sweep each cell is run with its memory traced; 0 for never.
        calls_repeats: how often in the whole sweep each cell is run with its calls counted; 0 for never.
        lag_repeats: how often in the whole sweep each cell is run with the turns of its event loop timed; 0 for never.
        comparators: what else is run, beside the versions and for comparison only: references and other implementations. In
            the smallest and the largest cell, in memory and over sockets, on both event loops, with and without
            signatures; programs of others over sockets and on this sweep's loop only, as what they run on is their own. With
            each of their runs the versions are run over libp2p, too, one after the other as the programs are.
        comparator_repeats: how often in the whole sweep each of those conditions is run; of fewer than ten there is no
            interval.
        program_repeats: how often programs of others are run among them, as some take long: a number for all of them, or
            texts such as "mine=2" for one each; 0 for each time, as are those not named.
        slow_limit_s: a run of a comparator, or an instrumented one, is stopped after this many seconds.
        retry_failed: whether stored runs that failed are measured again, with the others of their pairs.
        force: whether all stored runs of the grid are measured again.
        executor: "serial" makes the runs in this process's children, "dask" on the machines of a cluster, one run at a
            time on each machine.
        scheduler: address of a Dask scheduler whose workers were started with --resources run=1; "" starts workers here.
        dask_workers: how many workers are started here; they take turns, as one machine makes one run at a time.
        programs: other implementations as "name=command": programs that speak the protocol of `bench.worker`, in an
            environment of their own. Their names can stand among the versions and in `comparators`.
        quiet_only: what to do while the machine is not quiet: "wait" until it is before each pair, "stop" the sweep, "no" to
            measure all the same; in any case the runs tell.
        progress: "auto" for a bar or an updating display, "lines" for plain lines, "none".
        share: whether to measure although something else is measured on this machine, and let others do so: for tests.

    Raises:
        OptionError: a value that cannot be used; the sentence names the parameter, the value and what was expected.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {"field": "comparators", "field_repeats": "comparator_repeats"}
    """Earlier names of two fields; flags and parameters of these names still work."""

    versions: tuple[str, ...] = ("baseline", "states")
    hosts: tuple[int, ...] = (5, 10, 15, 20)
    messages: tuple[int, ...] = (20, 60, 100)
    sessions: int = 1
    repeats: int = 5
    half_width: float = 0.0
    max_repeats: int = 60
    router: str = "floodsub"
    transport: str = "memory"
    loop: str = "uvloop"
    sign: str = "strict"
    conditions: tuple[str, ...] = field(default=(), metadata=REPEATED)
    seed: int = 1
    out: str = "local-default"
    measure: bool = True
    barrier: bool = True
    warmup: bool = True
    control: bool = False
    allocator: str = "pinned"
    limit_s: float = 3.0
    whole_repeats: int = 0
    memory_repeats: int = 0
    calls_repeats: int = 0
    lag_repeats: int = 0
    comparators: tuple[str, ...] = ()
    comparator_repeats: int = 5
    program_repeats: tuple[str, ...] = field(default=(), metadata=REPEATED)
    slow_limit_s: float = 120.0
    retry_failed: bool = False
    force: bool = False
    executor: str = "serial"
    scheduler: str = ""
    dask_workers: int = 1
    programs: tuple[str, ...] = field(default=(), metadata=REPEATED)
    quiet_only: str = "no"
    progress: str = "auto"
    share: bool = False

    def __post_init__(self) -> None:
        for name in ("programs", "conditions", "program_repeats"):
            object.__setattr__(self, name, _texts(getattr(self, name)))
        for name in ("hosts", "messages"):
            object.__setattr__(self, name, several(name, getattr(self, name)))
        object.__setattr__(self, "versions", several_versions("versions", self.versions))
        comparators = several_versions("comparators", self.comparators) if self.comparators else ()
        object.__setattr__(self, "comparators", comparators)
        self._check_cells()
        self._check_comparators()
        for name in ("sessions", "repeats"):
            check_whole(name, getattr(self, name), at_least=1, at_most=_INT16_MAX)
        for name in ("whole_repeats", "memory_repeats", "calls_repeats", "lag_repeats"):
            check_whole(name, getattr(self, name), at_least=0, at_most=_INT16_MAX)
        check_whole("comparator_repeats", self.comparator_repeats, at_least=1, at_most=_INT16_MAX)
        check_seconds("slow_limit_s", self.slow_limit_s)
        for name in ("measure", "control", "retry_failed", "force", "share"):
            check_bool(name, getattr(self, name))
        self._check_stopping()
        check_choice("executor", self.executor, EXECUTORS)
        if not isinstance(self.scheduler, str):
            raise OptionError("scheduler", self.scheduler, "an address, or an empty text")
        check_whole("dask_workers", self.dask_workers, at_least=1)
        check_choice("quiet_only", self.quiet_only, QUIET)
        check_choice("progress", self.progress, PROGRESS)
        sweep_folder("out", self.out)
        object.__setattr__(self, "out", str(self.out))

    def _check_cells(self) -> None:
        main, *beside = list_conditions(self)
        for condition in (main, *beside):
            for value in condition.hosts:
                check_whole("hosts", value, at_least=2, at_most=_INT16_MAX)
            for value in condition.messages:
                check_whole("messages", value, at_least=1, at_most=_INT32_MAX)
        own = {entry.name for entry in fields(self)}
        plain = {entry.name: getattr(self, entry.name) for entry in fields(RunOptions) if entry.name in own}
        ours = next((name for name in self.versions if name not in self.commands), known_versions()[0])
        one: dict[str, Any] = plain | {"version": ours, "hosts": 2, "messages": 1}
        for condition in beside:
            RunOptions(**one | condition.place)
        several = {"versions": "version", "hosts": "hosts", "messages": "messages"}
        for option, name in several.items():
            for value in getattr(self, option):
                if option == "versions" and value in self.commands:
                    continue
                try:
                    RunOptions(**one | {name: value})
                except OptionError as error:
                    if error.option != name or isinstance(error, OptionConflict):
                        raise
                    raise OptionError(option, error.value, error.expected) from None
        together = [name for name in (*self.versions, *self.comparators) if name not in (LOWER_BOUND, *self.commands)]
        for number in sorted({number for condition in (main, *beside) for number in condition.hosts}):
            check_hosts(number, runs=max(1, len(together) + (self.control is True)), barrier=self.barrier)

    def _check_comparators(self) -> None:
        for version in (*self.versions, *self.comparators):
            if not is_name(version):
                raise OptionError("comparators" if version in self.comparators else "versions", version, NAME)
        for version in self.comparators:
            check_choice("comparators", version, (*known_versions(), *self.commands))
            if version in self.versions:
                raise OptionConflict(
                    "comparators",
                    version,
                    "versions",
                    self.versions,
                    "the versions always run alongside the comparators",
                )
        self.program_limits()
        routers = [condition.router for condition in list_conditions(self)]
        if LOWER_BOUND in self.comparators:
            routers = routers[:1]  # comparators are run under the sweep's own condition
        elif LOWER_BOUND not in self.versions:
            routers = []
        for router in routers:
            if router != "floodsub":
                option = "comparators" if LOWER_BOUND in self.comparators else "versions"
                raise OptionConflict(option, LOWER_BOUND, "router", router, f"{LOWER_BOUND!r} only implements flooding")
        if self.comparators:
            for loop in LOOPS:
                loop_factory(loop)
            if not self.barrier:
                raise OptionConflict(
                    "comparators",
                    self.comparators,
                    "barrier",
                    self.barrier,
                    "without the barrier the work is not equal",
                )

    def _check_stopping(self) -> None:
        if (
            isinstance(self.half_width, bool)
            or not isinstance(self.half_width, int | float)
            or not self.half_width >= 0
        ):
            raise OptionError("half_width", self.half_width, "a share such as 0.02, or 0")
        check_whole("max_repeats", self.max_repeats, at_least=1, at_most=_INT16_MAX)
        for name, has_several in (("sessions", self.sessions > 1), ("conditions", bool(self.conditions))):
            if self.half_width and has_several:
                reason = "the stop rule adds repeats to the cells of one session and one condition"
                raise OptionConflict("half_width", self.half_width, name, getattr(self, name), reason)
        if self.half_width and self.max_repeats < self.repeats:
            raise OptionConflict(
                "max_repeats", self.max_repeats, "repeats", self.repeats, "the maximum is below the minimum"
            )

    @cached_property
    def commands(self) -> Mapping[str, tuple[str, ...]]:
        """Other implementations: name to the words of the command that starts one.

        Raises:
            OptionError: a text that is no "name=command", or the name of a version.
        """
        found: dict[str, tuple[str, ...]] = {}
        versions = known_versions()
        for text in self.programs:
            name, _, command = text.partition("=")
            try:
                words = tuple(shlex.split(command))
            except ValueError as error:
                raise OptionError("programs", text, f"a command of whole words ({error})") from None
            if not name.strip() or not words or current_name(name.strip()) in (*versions, *found):
                raise OptionError("programs", text, 'a new name and a command, such as "mine=python mine.py"')
            if not is_name(name.strip()):
                raise OptionError("programs", name.strip(), NAME)
            if any("\0" in word for word in words):
                raise OptionError("programs", text, "a command without NUL characters")
            found[name.strip()] = words
        return found

    def repeats_of(self, name: str) -> int:
        """Give how often a comparator is run under each of its conditions in the whole sweep."""
        limits = self.program_limits() if name in self.commands else {}
        return min(self.comparator_repeats, limits.get(name, limits.get("", self.comparator_repeats)))

    def program_limits(self) -> dict[str, int]:
        """Give the most repeats of programs of others: name to number, "" for all that are not named.

        Raises:
            OptionError: a text among the repeats of programs that is neither a number nor a program's name and one.
        """
        limits: dict[str, int] = {}
        for text in self.program_repeats:
            program, _, number = text.rpartition("=")
            is_number = number.isascii() and number.isdigit() and int(number) <= _INT16_MAX
            if not is_number or program in limits or (program and program not in self.commands):
                expected = (
                    f'a number from 0 to {_INT16_MAX:,}, or one program of this sweep and a number, such as "mine=2"'
                )
                raise OptionError("program_repeats", text, expected)
            limits[program] = int(number) or self.comparator_repeats
        return limits

    @property
    def folder(self) -> Path:
        """The folder of the sweep; in a clone it is found from where this package lies, wherever Python was started."""
        return sweep_folder("out", self.out)


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """Which sweep to pack, and where to.

    Attributes:
        out: folder of the sweep; a relative one starts at the clone's data/raw, or outside a clone at the current folder.
        target: folder for one packed file per version, found in the same way.

    Raises:
        OptionError: a value that is no name of a folder.
    """

    out: str = "local-default"
    target: str

    def __post_init__(self) -> None:
        sweep_folder("out", self.out)
        sweep_folder("target", self.target)


def sweep_folder(option: str, value: object) -> Path:
    """Find the folder of a sweep.

    Args:
        option: the parameter that names it.
        value: an absolute folder, or one below `sweeps_folder()`.

    Raises:
        OptionError: it is no name of a folder.
    """
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise OptionError(option, value, "the name of a folder")
    if "\0" in str(value):
        raise OptionError(option, value, "the name of a folder, which holds no NUL character")
    try:
        folder = Path(value).expanduser()
    except RuntimeError:
        raise OptionError(option, str(value), "a folder of a user of this machine") from None
    if folder.is_absolute():
        return folder
    return sweeps_folder() / folder


def _texts(value: object) -> tuple[str, ...]:
    """Take one text or several; commands hold commas, so those separate nothing."""
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else (str(value),)
