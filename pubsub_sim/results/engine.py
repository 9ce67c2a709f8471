"""The file of the engine's benchmark in a sweep's folder: its samples, words, clauses and origin.

The file is the output of `python -m asyncmachine.benchmark --out` plus its provenance. It is self-describing, so that reading
it needs neither the engine nor its benchmark.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from pubsub_sim.results.errors import EngineFileError
from pubsub_sim.results.whole_files import put_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENGINE_FILE = "engine.json"
"""Name of the file in the folder of a sweep."""

ENGINE_FORM = "asyncmachine-benchmark"
ENGINE_SCHEMA = 1
"""Supported version of the file's schema."""

SAMPLE_OUTCOMES = ("ok", "absent", "failed")
"""Outcomes of a sample: measured, library not installed, any other failure."""

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class EngineWorkload:
    """A measured workload.

    Attributes:
        name: its key.
        title: its description.
        group: "feature" for the engine's own features, "beside" for other libraries, "support" for workloads used only in
            ratios.
        per: the counted event, in the singular.
        events: events per iteration.
        unit: "ns" of processor time, or "bytes".
        who: the measured library.
        task: the task, equal for workloads that are compared; "" if there is no comparison.
    """

    name: str
    title: str
    group: str
    per: str
    events: int
    unit: str
    who: str
    task: str


@dataclass(frozen=True)
class EngineClause:
    """One promise about the cost of the engine.

    Attributes:
        operation: description of the operation.
        own: its workload.
        figure: "speed" (times as many events per second), "time" (times the time of an iteration), "value" (cost of an
            event) or "difference" (of two such costs).
        over: the workload it is compared with, "" for a value.
        at_least: the lower bound, or None.
        at_most: the upper bound, or None.
        noise: two identical workloads; the figure may deviate from 1 as much as their ratio does, up to `at_most`.
        unit: of the figure, "1" for ratios.
        pace: for nanoseconds, the workload by whose cost in the same round they are normalised; "" without normalisation.
        pace_ns: cost of an event of it on the machine for which the bound was set.
    """

    operation: str
    own: str
    figure: str
    over: str
    at_least: float | None
    at_most: float | None
    noise: list[str] | None
    unit: str
    pace: str = ""
    pace_ns: float = 0.0


@dataclass(frozen=True)
class EngineSample:
    """One measurement in a separate process.

    Attributes:
        round: number of the round, from 1; samples of one round are compared with each other.
        order: position in the run, from 0.
        workload: name of the workload.
        outcome: one of SAMPLE_OUTCOMES.
        error: one sentence, empty when ok.
        amount: nanoseconds or bytes.
        count: number of events.
    """

    round: int
    order: int
    workload: str
    outcome: str
    error: str
    amount: int
    count: int


@dataclass(frozen=True, kw_only=True)
class EngineRecord:
    """The result of a run of the engine's benchmark.

    Attributes:
        rounds: number of samples per workload.
        effort: amount of work per sample.
        environment: versions of Python and of the compared libraries; None for one that was not installed.
        workloads: in the order of tables.
        contract: in the order of tables.
        samples: in order of measurement.
        provenance: facts about machine and software; JSON values only.
    """

    rounds: int
    effort: Mapping[str, Any]
    environment: Mapping[str, Any]
    workloads: tuple[EngineWorkload, ...]
    contract: tuple[EngineClause, ...]
    samples: tuple[EngineSample, ...]
    provenance: Mapping[str, Any]


def write_engine(folder: Path, record: EngineRecord) -> Path:
    """Store a record in the folder of a sweep, replacing an existing one atomically.

    Returns:
        The file.

    Raises:
        UnwritableFolderError: the folder cannot be created or written.
    """
    path = folder / ENGINE_FILE
    data = {"form": ENGINE_FORM, "schema": ENGINE_SCHEMA, **asdict(record)}
    put_whole((json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(), path)
    return path


def read_engine(folder: Path) -> EngineRecord | None:
    """Read the record of a sweep, or None if it has none.

    Raises:
        EngineFileError: the file is truncated or has another format.
    """
    path = folder / ENGINE_FILE
    return load_engine(path) if path.exists() else None


def load_engine(path: Path, provenance: Mapping[str, Any] | None = None) -> EngineRecord:
    """Read a file.

    Args:
        path: the file.
        provenance: provenance for a file without its own.

    Raises:
        EngineFileError: the file cannot be read, is truncated or has another format.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise EngineFileError(path, "it is not complete JSON") from None
    if not isinstance(data, dict) or data.get("form") != ENGINE_FORM:
        raise EngineFileError(path, f"it does not call itself {ENGINE_FORM}")
    if data.get("schema") != ENGINE_SCHEMA:
        raise EngineFileError(path, f"its schema is {data.get('schema')!r}, expected {ENGINE_SCHEMA}")
    if provenance is not None:
        data["provenance"] = dict(provenance)
    try:
        return _record(data)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineFileError(path, f"{type(error).__name__}: {error}") from None


def _record(data: Mapping[str, Any]) -> EngineRecord:
    record = EngineRecord(
        rounds=int(data["rounds"]),
        effort=dict(data["effort"]),
        environment=dict(data["environment"]),
        workloads=tuple(_part(EngineWorkload, entry) for entry in data["workloads"]),
        contract=tuple(_part(EngineClause, entry) for entry in data["contract"]),
        samples=tuple(_part(EngineSample, entry) for entry in data["samples"]),
        provenance=dict(data["provenance"]),
    )
    known = {entry.name for entry in record.workloads}
    for sample in record.samples:
        if sample.workload not in known:
            raise ValueError(f"a sample of {sample.workload!r}, which is not a workload of the file")
        is_ok = sample.outcome == "ok" and sample.amount > 0 and sample.count > 0
        if sample.outcome not in SAMPLE_OUTCOMES or is_ok != (sample.outcome == "ok") or is_ok != (sample.error == ""):
            raise ValueError(
                f"a sample of {sample.workload!r} with outcome {sample.outcome!r} does not fit its numbers"
            )
    for clause in record.contract:
        if not {clause.own, clause.over, *(clause.noise or ()), clause.pace} <= known | {""}:
            raise ValueError(f"the clause {clause.operation!r} needs a workload that the file lacks")
    return record


def _part(cls: type[_Part], data: Mapping[str, Any]) -> _Part:
    parts = fields(cls)  # type: ignore[arg-type]  # each part is a dataclass
    names = [entry.name for entry in parts]
    needed = {entry.name for entry in parts if entry.default is MISSING}  # the others were added later
    if not needed <= set(data) <= set(names):
        raise ValueError(f"expected {', '.join(names)}, got {', '.join(map(str, data))}")
    return cls(**data)
