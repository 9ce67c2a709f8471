"""The runs under load of a sweep: a Parquet file per run in the folder `load` below the sweep's, or one packed file there.

Every file has the same columns: parameters, outcome, whole numbers, and the provenance as JSON. So packed runs are the
rows of all files in one.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.results.errors import TruncatedFileError, WrongSchemaError
from pubsub_sim.results.footers import same_ground
from pubsub_sim.results.parquet import read_table
from pubsub_sim.results.record import NAME, OUTCOMES, is_name
from pubsub_sim.results.store import Store, move_aside
from pubsub_sim.results.whole_files import put_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LOAD_FOLDER = "load"
"""Name of the folder below that of a sweep."""

LOAD_SCHEMA = 1
"""Raised whenever the meaning of a stored number changes."""

PACKED_FILE = "packed.parquet"
"""Name of the file that holds all runs of a committed sweep."""

LOAD_METRICS: Mapping[str, str] = MappingProxyType(
    {
        "sent": "Messages sent from the beginning to the end.",
        "delivered": "Deliveries of them, each once to each host.",
        "dropped_subscription": "Deliveries that were not made as the buffer of a subscription was full.",
        "dropped_on_the_way": "Deliveries that were not made as full queues lost every copy on the way.",
        "frames_lost": "RPCs lost to full outbound queues; most of their messages come another way.",
        "validations_refused": "Copies of messages lost to full validation queues, likewise.",
        "given_up": "Messages that a closed loop no longer waited for.",
        "window_ns": "Length of the measurement.",
        "latencies": "Deliveries at other hosts of messages that were due in the measurement.",
        "p50_ns": "Median of their latencies, from when a message was due.",
        "p90_ns": "90th percentile of them.",
        "p99_ns": "99th percentile of them.",
        "p999_ns": "99.9th percentile of them.",
        "max_ns": "Largest of them.",
        "longest_queue": "Most messages that waited in one subscription.",
        "longest_backlog": "Most messages at a time that were due and not yet accepted by their hosts.",
        "most_in_flight": "Most messages at a time that were due and not yet delivered to all.",
        "cpu_ns": "Processor time of the process during the measurement; an open loop waits for the next moment actively.",
        "peak_rss_bytes": "Largest resident memory of the process.",
        "start_rss_bytes": "Resident memory after imports, before the run.",
        "involuntary_switches": "Times the kernel took the processor away: a sign of noise.",
        "watched_ns": "Time in which the machine was watched: from the start of the worker to its end.",
        "others_cpu_ns": "Processor time of other processes in that time: a sign of noise.",
        "steal_ns": "Time in which the hypervisor withheld processors meanwhile: a sign of noise.",
    }
)
"""Whole numbers of a run by name, with their meaning; a run that failed lacks some."""


@dataclass(frozen=True, kw_only=True)
class LoadRun:
    """The parameters of a run under load. Each field is a column.

    Attributes:
        version: the version.
        hosts: number of hosts.
        session: number of the session, from 1.
        in_flight: messages in flight per publisher of a closed loop; 0 for an open loop.
        percent: load of an open loop in percent of the session's saturation; 0 for a given rate and for closed loops.
        rate: messages a second of an open loop; 0 for a closed loop.
        publishers: how many hosts publish; 0 for all.
        payload_bytes: length of a payload.
        warmup_s: time under load before the measurement.
        duration_s: length of the measurement.
        router: routing protocol.
        transport: "memory", "tcp" or "libp2p".
        loop: event loop, "uvloop" or "asyncio".
        sign: "strict" or "none".
        seed: seed of keys and of the schedule.
        allocator: "pinned" or "default".

    Raises:
        OptionError: the version is not a valid name for file names.
    """

    version: str
    hosts: int = 5
    session: int = 1
    in_flight: int = 0
    percent: int = 0
    rate: float = 0.0
    publishers: int = 0
    payload_bytes: int = 32
    warmup_s: float = 0.25
    duration_s: float = 1.0
    router: str = "floodsub"
    transport: str = "memory"
    loop: str = "uvloop"
    sign: str = "strict"
    seed: int = 1
    allocator: str = "pinned"

    def __post_init__(self) -> None:
        if not is_name(self.version):
            raise OptionError("version", self.version, NAME)

    def file_name(self) -> str:
        """Name the file of this run. The rate of a load in percent follows from other runs and is no part of it."""
        told = asdict(self) | ({"rate": 0.0} if self.percent else {})
        text = json.dumps(told, sort_keys=True, separators=(",", ":"))
        kind = f"k{self.in_flight}" if self.in_flight else f"p{self.percent}" if self.percent else f"r{self.rate:g}"
        return f"{self.version}-h{self.hosts}-{kind}-s{self.session}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.parquet"


@dataclass(frozen=True, kw_only=True)
class LoadRecord:
    """The result of a run under load.

    Attributes:
        run: its parameters.
        outcome: one of OUTCOMES.
        error: one sentence, empty when the outcome is "ok".
        order: position in the sweep, from 0.
        limit_s: time limit of the run in seconds.
        numbers: whole numbers by their names in `LOAD_METRICS`.
        offered_by: messages of each publisher that were due in the measurement.
        completed_by: messages of each publisher that reached their last subscriber in the measurement.
        provenance: facts about machine and software; JSON values only.

    Raises:
        OptionError: an unknown outcome or number.
        OptionConflict: the error does not go with the outcome.
    """

    run: LoadRun
    outcome: str
    error: str = ""
    order: int = 0
    limit_s: float = 0.0
    numbers: Mapping[str, int] = field(default_factory=dict)
    offered_by: tuple[int, ...] = ()
    completed_by: tuple[int, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise OptionError("outcome", self.outcome, f"one of {', '.join(OUTCOMES)}")
        if (self.outcome == "ok") != (self.error == ""):
            raise OptionConflict(
                "error", self.error, "outcome", self.outcome, "a run has an error exactly if it is not ok"
            )
        for name, value in self.numbers.items():
            if name not in LOAD_METRICS or type(value) is not int:
                raise OptionError("numbers", (name, value), "a whole number with a name of LOAD_METRICS")

    @property
    def throughput(self) -> float | None:
        """Messages a second that reached every subscriber in the measurement; None for a run that is not ok."""
        return sum(self.completed_by) / self.numbers["window_ns"] * 1e9 if self.outcome == "ok" else None


_RUN_COLUMNS: list[pa.Field[Any]] = [
    pa.field(entry.name, {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}[str(entry.type)])
    for entry in fields(LoadRun)
]
_SCHEMA = pa.schema(
    [
        *_RUN_COLUMNS,
        pa.field("outcome", pa.string()),
        pa.field("error", pa.string()),
        pa.field("order", pa.int64()),
        pa.field("limit_s", pa.float64()),
        *(pa.field(name, pa.int64()) for name in LOAD_METRICS),
        pa.field("offered_by", pa.list_(pa.int64())),
        pa.field("completed_by", pa.list_(pa.int64())),
        pa.field("provenance", pa.string()),
    ]
)


class LoadStore:
    """The runs under load of one sweep.

    Args:
        sweep: folder of the sweep.

    Attributes:
        folder: where the files are; made by the first write.
    """

    def __init__(self, sweep: Path) -> None:
        self.folder = sweep / LOAD_FOLDER

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the folder for one sweep, as `Store.exclusive` does."""
        return Store(self.folder).exclusive()

    def write(self, record: LoadRecord) -> None:
        """Store a run atomically; what was stored of it before is replaced.

        Raises:
            UnwritableFolderError: the folder cannot be made or written, or the disk is full.
        """
        put_whole(_encoded([record]), self.folder / record.run.file_name())

    def read(self, run: LoadRun) -> LoadRecord | None:
        """Read a run back, packed ones included; None if there is none, or if it had another rate.

        Raises:
            TruncatedFileError: a file is not whole.
            UnreadableFileError: a file may not be read.
            WrongSchemaError: a file has another form.
        """
        path = self.folder / run.file_name()
        records = _read(path) if path.exists() else self._packed()
        return next((record for record in records if record.run == run), None)

    def load(self) -> list[LoadRecord]:
        """Read all runs, in the order in which they were made; raises as `read` does."""
        records = {record.run.file_name(): record for record in self._packed()}
        for path in self._files():
            records |= {record.run.file_name(): record for record in _read(path)}
        return sorted(records.values(), key=lambda record: (record.run.session, record.order, record.run.file_name()))

    def finished(self, run: LoadRun, facts: Mapping[str, Any]) -> bool:
        """Return whether a run is stored and came from the same code, interpreter, event loop and processor.

        Args:
            run: its parameters.
            facts: those of now.
        """
        record = self.read(run)
        return record is not None and same_ground(record.provenance, {**facts, "schema": LOAD_SCHEMA})

    def set_aside(self) -> dict[str, str]:
        """Rename files that cannot be read: FILE becomes FILE.corrupt.

        Returns:
            Names of the files that were moved to their new names.

        Raises:
            UnreadableFileError: a file may not be read.
            UnwritableFolderError: a file cannot be moved.
        """
        moved = {}
        for path in [*self._files(), *([self._pack] if self._pack.exists() else [])]:
            try:
                _read(path)
            except (TruncatedFileError, WrongSchemaError):
                moved[path.name] = move_aside(path)
        return moved

    def pack(self, target: Path) -> Path | None:
        """Write all runs into one file below another sweep's folder, which is the form that is committed.

        Args:
            target: folder of the other sweep.

        Returns:
            The file; None if there are no runs.

        Raises:
            UnwritableFolderError: it cannot be written.
        """
        records = self.load()
        if not records:
            return None
        path = target / LOAD_FOLDER / PACKED_FILE
        put_whole(_encoded(records), path)
        return path

    @property
    def _pack(self) -> Path:
        return self.folder / PACKED_FILE

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("[!.]*.parquet") if path != self._pack)

    def _packed(self) -> list[LoadRecord]:
        return _read(self._pack) if self._pack.exists() else []


def fingerprint_load(records: Sequence[LoadRecord]) -> str:
    """Return the hexadecimal SHA-256 of all stored numbers of runs under load and of their parameters."""
    running = hashlib.sha256()
    for record in sorted(records, key=lambda record: record.run.file_name()):
        told = asdict(record)
        del told["provenance"]
        running.update(json.dumps(told, sort_keys=True).encode())
    return running.hexdigest()


def _encoded(records: Sequence[LoadRecord]) -> pa.Buffer:
    rows = [
        {
            **asdict(record.run),
            "outcome": record.outcome,
            "error": record.error,
            "order": record.order,
            "limit_s": record.limit_s,
            **{name: record.numbers.get(name) for name in LOAD_METRICS},
            "offered_by": list(record.offered_by),
            "completed_by": list(record.completed_by),
            "provenance": json.dumps({"schema": LOAD_SCHEMA, **record.provenance}, sort_keys=True),
        }
        for record in records
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def _read(path: Path) -> list[LoadRecord]:
    table = read_table(path)
    if not table.schema.equals(_SCHEMA):
        raise WrongSchemaError(path, "its columns are not those of runs under load")
    try:
        return [_record(row) for row in table.to_pylist()]
    except (OptionError, ValueError) as error:
        raise WrongSchemaError(path, f"it holds no runs under load ({error})") from error


def _record(row: Mapping[str, Any]) -> LoadRecord:
    return LoadRecord(
        run=LoadRun(**{entry.name: row[entry.name] for entry in fields(LoadRun)}),
        outcome=row["outcome"],
        error=row["error"],
        order=row["order"],
        limit_s=row["limit_s"],
        numbers={name: row[name] for name in LOAD_METRICS if row[name] is not None},
        offered_by=tuple(row["offered_by"]),
        completed_by=tuple(row["completed_by"]),
        provenance=json.loads(row["provenance"]),
    )
