"""The options of a sweep of simulations: which runs it has, and how they are made."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from pubsub_sim.bench.options import PROGRESS, sweep_folder
from pubsub_sim.checks import check_bool, check_choice, check_seconds, check_whole
from pubsub_sim.errors import OptionError
from pubsub_sim.flags import REPEATED, read_value
from pubsub_sim.parameters import Parameters, reject_unknown, several
from pubsub_sim.simulator.options import SimOptions

if TYPE_CHECKING:
    from pathlib import Path

EXECUTORS = ("processes", "dask")
AXES = ("duration", "peers", "topics", "router", "loss")
"""Options that have a parameter of their own."""

_SINGLE = ("clock", "transport")
_SNAPSHOTS = 60  # networks that are kept of a run


@dataclass(frozen=True, kw_only=True)
class SimSweepOptions(Parameters):
    """A grid of simulations on the virtual clock. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: which control flows the nodes have.
        seeds: of the runs of each cell.
        duration: of each run, on its own clock, such as 10m.
        peers: most peers at a time.
        topics: most topics at a time.
        router: "floodsub", "randomsub" or "gossipsub".
        loss: probability that a frame is lost.
        options: further options of a simulation as "name=value", or "name=value/value" for several values.
        out: folder of the sweep; a relative one starts at the clone's data/raw, or outside a clone at the current folder.
        play: whether to play what is missing; if not, the stored runs are only read.
        retry_failed: whether stored runs that failed are played again.
        force: whether all stored runs are played again.
        executor: "processes" plays on this machine, "dask" on a cluster.
        processes: how many runs at a time, each in a process of its own; 0 for one per processor. With Dask the number
            of workers that are started here.
        scheduler: address of a Dask scheduler; "" starts workers here.
        limit_s: a run is stopped after this many seconds.
        progress: "auto" for a bar or an updating display, "lines" for plain lines, "none".

    Raises:
        OptionError: a value that cannot be used; the sentence names the parameter, the value and what was expected.
        OptionConflict: values that do not go together.
    """

    versions: tuple[str, ...] = ("states", "baseline")
    seeds: tuple[int, ...] = (1, 2, 3)
    duration: tuple[str | float, ...] = ("2m",)
    peers: tuple[int, ...] = (20,)
    topics: tuple[int, ...] = (10,)
    router: tuple[str, ...] = ("gossipsub",)
    loss: tuple[float, ...] = (0.0,)
    options: tuple[str, ...] = field(default=(), metadata=REPEATED)
    out: str = "local-simulations"
    play: bool = True
    retry_failed: bool = False
    force: bool = False
    executor: str = "processes"
    processes: int = 0
    scheduler: str = ""
    limit_s: float = 600.0
    progress: str = "auto"

    def __post_init__(self) -> None:
        for name in ("versions", "seeds", *AXES):
            object.__setattr__(self, name, several(name, getattr(self, name)))
        given = self.options
        object.__setattr__(self, "options", tuple(given) if isinstance(given, list | tuple) else (given,))
        for name in ("play", "retry_failed", "force"):
            check_bool(name, getattr(self, name))
        check_choice("executor", self.executor, EXECUTORS)
        check_whole("processes", self.processes, at_least=0)
        check_seconds("limit_s", self.limit_s)
        check_choice("progress", self.progress, PROGRESS)
        if not isinstance(self.scheduler, str):
            raise OptionError("scheduler", self.scheduler, "an address, or an empty text")
        sweep_folder("out", self.out)
        object.__setattr__(self, "out", str(self.out))
        self._check_runs()

    def _check_runs(self) -> None:
        """Make every run once: its options are checked by their own class."""
        plural = {"version": "versions", "seed": "seeds"}
        try:
            self.runs()
        except OptionError as error:
            if type(error) is OptionError and error.option in plural:
                raise OptionError(plural[error.option], error.value, error.expected) from None
            raise

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        return sweep_folder("out", self.out)

    def varied(self) -> dict[str, tuple[Any, ...]]:
        """Option to its values, for those that make the cells of the grid."""
        axes: dict[str, tuple[Any, ...]] = {name: getattr(self, name) for name in AXES}
        for text in self.options:
            name, values = _read_option(text, [*axes, "version", "seed"])
            axes[name] = values
        return axes

    def runs(self) -> list[SimOptions]:
        """The runs, cell by cell and seed by seed, the versions of a seed one after the other."""
        axes = self.varied()
        return [
            SimOptions(**dict(zip(axes, cell, strict=True)), seed=seed, version=version)
            for cell in itertools.product(*axes.values())
            for seed in self.seeds
            for version in self.versions
        ]

    def names(self) -> list[str]:
        """Names of the files of the runs, without ending, in their order."""
        return [name_of(run) for run in self.runs()]


@dataclass(frozen=True, kw_only=True)
class LookOptions(SimSweepOptions):
    """A sweep of simulations, and what the notebook looks at.

    Attributes:
        moment: when the network is drawn, in seconds of the run.
        topic: whose mesh is drawn; "" for the largest.
        record: file for a record of the first run of the sweep, which is played again for it; "" for none.

    Raises:
        OptionError: a value that cannot be used.
    """

    moment: int = 60
    topic: str = ""
    record: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("moment", self.moment, at_least=0)
        if self.moment > min(run.duration_s for run in self.runs()):
            raise OptionError("moment", self.moment, "a moment of every run")
        for name in ("topic", "record"):
            if not isinstance(getattr(self, name), str):
                raise OptionError(name, getattr(self, name), "a text")


def _read_option(text: object, taken: list[str]) -> tuple[str, tuple[Any, ...]]:
    """Read an option and its values."""
    name, sign, values = text.partition("=") if isinstance(text, str) else ("", "", "")
    name = name.strip().replace("-", "_")
    if not sign:
        raise OptionError(
            "options", text, "a name and a value, such as every_send=1, or several values: every_send=1/3"
        )
    hints = get_type_hints(SimOptions)
    reject_unknown({name: values}, [entry.name for entry in fields(SimOptions)])
    if name in taken or name in _SINGLE:
        expected = "the virtual clock over memory, where runs can share a machine"
        raise OptionError(
            "options", text, expected if name in _SINGLE else f"each option once, and {name!r} is given already"
        )
    return name, several(name, [read_value(name, value.strip(), hints[name]) for value in values.split("/")])


def name_of(run: SimOptions) -> str:
    """Name the files of a run, without ending: the same for the same options, in every process."""
    text = json.dumps(asdict(run), sort_keys=True, separators=(",", ":"))
    return f"sim-{run.version}-s{run.seed}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def snapshot_s(run: SimOptions) -> float:
    """How many seconds of a run are between two of its networks that are kept: whole ones."""
    return float(max(1, math.ceil(run.duration_s / _SNAPSHOTS)))


def column_types() -> dict[str, type]:
    """Option of a simulation to the type that its column has; a duration in words is a text."""
    types: dict[str, type] = {}
    for name, hint in get_type_hints(SimOptions).items():
        kinds = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
        types[name] = str if str in kinds else kinds[0]
    return types
