"""The contents of a sweep: its runs, one row each, who is compared with whom, and where they come from.

A sweep has one main condition, which most of its runs share. Runs under other conditions are sweeps of their own beside it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from pubsub_sim.report.errors import MixedConditionsError
from pubsub_sim.results import RUN, RunParameters, Store, fingerprint, read_engine, wide
from pubsub_sim.results.load import LoadStore
from pubsub_sim.results.meshes import MeshRun, read_meshes
from pubsub_sim.results.record import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from pathlib import Path

    from pubsub_sim.results import EngineRecord
    from pubsub_sim.results.load import LoadRecord

T = TypeVar("T")

CONDITION = {"router": "floodsub", "transport": "memory", "loop": "uvloop", "sign": "strict"}
"""Parameters that make a condition, and the values of the one that comes first among equals."""

FIXED = ("barrier", "warmup", "allocator")
"""Parameters that are the same in all runs of a sweep but those beside comparators."""

CONDITIONS = (*CONDITION, *FIXED)
"""What all runs of a condition share."""

WATCHED = ("memory", "calls", "lag")
"""Kinds of run that something slows down: never compared by their times."""

CELL = ["hosts", "messages"]
"""Parameters that make a cell of the grid."""


@dataclass(frozen=True)
class Sweep:
    """The runs of one sweep.

    Attributes:
        name: name of its folder.
        runs: the runs that are compared, one row each (results.wide), failed ones included; in the column `pair` what the
            runs that were measured together have in common.
        controls: second runs of the first version in each pair.
        field: runs beside references and other implementations, each condition of its own.
        whole: runs that were made one after the other, without time slices.
        watched: runs that something slowed down while it watched them: memory, calls, turns of the loop.
        versions: names of the versions; the first is the one the others are compared with.
        phases: names of the phases in the order in which they ran.
        provenance: fact to its distinct values.
        described: version to its own description of its machines.
        fingerprint: of every stored number of the runs, shown or not.
        engine: the engine's own benchmark, None if the sweep has none.
        under_load: the runs under load, failed ones included.
        beside: the runs of each other condition, as a sweep of its own.
        meshes: runs of large meshes beside published ones; none if the sweep has none.
        computed: what `once` has computed of these runs.
    """

    name: str
    runs: pd.DataFrame
    controls: pd.DataFrame
    field: pd.DataFrame
    whole: pd.DataFrame
    watched: pd.DataFrame
    versions: tuple[str, ...]
    phases: tuple[str, ...]
    provenance: Mapping[str, Any]
    described: Mapping[str, Any]
    fingerprint: str
    engine: EngineRecord | None = None
    under_load: tuple[LoadRecord, ...] = ()
    beside: tuple[Sweep, ...] = ()
    meshes: tuple[MeshRun, ...] = ()
    computed: dict[Hashable, Any] = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, folder: Path) -> Sweep:
        """Read a sweep.

        Args:
            folder: where its files lie.

        Raises:
            MixedConditionsError: its runs were not measured under the same conditions.
            ResultsError: the files cannot be read.
        """
        store = Store(folder)
        frame = store.load()
        runs = wide(frame)
        runs["pair"] = _measured_with(store, runs)
        field = runs["kind"] == "field"
        _check_fixed(runs.loc[~field])
        provenance = store.provenance()
        described = provenance.pop("versions")
        phases = frame.loc[frame["phase"] != RUN, "phase"].drop_duplicates()
        of_all = fingerprint(frame)

        def sweep_of(runs: pd.DataFrame, **more: Any) -> Sweep:
            timing = runs.loc[runs["kind"] == "timing"].reset_index(drop=True)
            return cls(
                name=folder.name,
                runs=timing,
                controls=runs.loc[runs["kind"] == "control"].reset_index(drop=True),
                field=runs.loc[runs["kind"] == "field"].reset_index(drop=True),
                whole=runs.loc[runs["kind"] == "whole"].reset_index(drop=True),
                watched=runs.loc[runs["kind"].isin(WATCHED)].reset_index(drop=True),
                versions=_base_first(sorted(set(timing["version"]))),
                phases=tuple(map(str, phases)),
                provenance=provenance,
                described=described,
                fingerprint=of_all,
                **more,
            )

        main, *others = _by_condition(runs.loc[~field])
        beside = tuple(sweep_of(own) for own in others)
        return sweep_of(
            pd.concat([main, runs.loc[field]]),
            engine=read_engine(folder),
            under_load=tuple(LoadStore(folder).load()),
            meshes=read_meshes(folder),
            beside=beside,
        )

    @property
    def base(self) -> str:
        """The version that the others are compared with; "" in a sweep without runs."""
        return self.versions[0] if self.versions else ""

    @property
    def others(self) -> tuple[str, ...]:
        """The versions that are compared with the base."""
        return self.versions[1:]

    @property
    def hosts(self) -> list[int]:
        """Numbers of hosts in the grid."""
        return sorted({int(value) for value in self.runs["hosts"]})

    @property
    def messages(self) -> list[int]:
        """Numbers of messages in the grid."""
        return sorted({int(value) for value in self.runs["messages"]})

    @property
    def cells(self) -> list[tuple[int, int]]:
        """Pairs of hosts and messages that have runs."""
        return sorted({(int(h), int(m)) for h, m in zip(self.runs["hosts"], self.runs["messages"], strict=True)})

    @property
    def sessions(self) -> list[int]:
        """Numbers of the sessions that have runs."""
        return sorted({int(value) for value in self.runs["session"]})

    @property
    def center(self) -> str:
        """What a value of a cell is, in words: see `results.intervals.estimate_center`."""
        return "mean over sessions" if len(self.sessions) > 1 else "median"

    def of_kind(self, kind: str) -> pd.DataFrame:
        """Give the runs of a kind: those that are compared ("timing"), or those watched in one way."""
        return self.runs if kind == "timing" else self.watched.loc[self.watched["kind"] == kind]

    def of(self, version: str, cell: tuple[int, int] | None = None, kind: str = "timing") -> pd.DataFrame:
        """Give the runs of a version, of one cell or of all."""
        return self.once(("runs", version, cell, kind), lambda: self._choose(version, cell, kind))

    def once(self, what: Hashable, compute: Callable[[], T]) -> T:
        """Compute something of these runs, unless it was before: tables, figures and the summary ask for the same.

        Args:
            what: names it, whatever it depends on included. Whoever gets it must not change it.
            compute: how.
        """
        if what not in self.computed:
            self.computed[what] = compute()
        found: T = self.computed[what]
        return found

    def _choose(self, version: str, cell: tuple[int, int] | None, kind: str) -> pd.DataFrame:
        if cell is None:
            runs = self.of_kind(kind)
            return runs.loc[runs["version"] == version]
        runs = self.of(version, kind=kind)
        return runs.loc[(runs["hosts"] == cell[0]) & (runs["messages"] == cell[1])]

    def apart(self) -> int:
        """Count the compared runs of all conditions, controls among them, that were not measured with the base's of their pair."""
        timed = pd.concat([self.runs, self.controls])
        base = self.runs.loc[self.runs["version"] == self.base, [*CELL, "session", "repeat", "pair"]]
        beside = timed.merge(base, on=[*CELL, "session", "repeat"], suffixes=("", "_base"))
        own = int((beside["pair"] != beside["pair_base"]).sum())
        return own + sum(part.apart() for part in self.beside)

    def under_other_conditions(self) -> pd.DataFrame:
        """Give the timed runs under the conditions beside the main one, controls among them."""
        return pd.concat([self.runs.iloc[:0], *(runs for part in self.beside for runs in (part.runs, part.controls))])

    def conditions(self) -> dict[str, str]:
        """Give the conditions that all runs share, as words."""
        if self.runs.empty:
            return {}
        first = self.runs.iloc[0]
        words = {"True": "yes", "False": "no"}
        return {name: words.get(str(first[name]), str(first[name])) for name in CONDITIONS}


def _measured_with(store: Store, runs: pd.DataFrame) -> list[str]:
    """Give of each run what it has in common with those it was measured with."""
    known = store.pairs()
    rows = zip(*(runs[name].tolist() for name in PARAMETERS), strict=True)
    return [known[RunParameters(**dict(zip(PARAMETERS, row, strict=True)))] for row in rows]


_OWN = ("baseline", "states")


def _base_first(names: list[str]) -> tuple[str, ...]:
    """Order the project's own versions first, so that each keeps its colour whoever else is there."""
    return tuple(sorted(names, key=lambda name: (_OWN.index(name) if name in _OWN else len(_OWN), name)))


def _by_condition(runs: pd.DataFrame) -> list[pd.DataFrame]:
    """Divide runs by their conditions: the one with most compared runs first, of equals the usual one, then by their values."""
    if runs.empty:
        return [runs]
    found = [own for _, own in runs.groupby(list(CONDITION), sort=True)]

    def rank(own: pd.DataFrame) -> tuple[Any, ...]:
        first = own.iloc[0]
        return -int((own["kind"] == "timing").sum()), *(first[name] != usual for name, usual in CONDITION.items())

    return sorted(found, key=rank)


def _check_fixed(runs: pd.DataFrame) -> None:
    for name in FIXED:
        values = sorted(map(str, runs[name].unique()))
        if len(values) > 1:
            raise MixedConditionsError(name, values)
