"""Runs of large gossipsub meshes (the command `simsub`): what is stored of each, and how they compare with published ones.

A folder of a sweep may hold them below `meshes`, one Parquet file of one row per run. A published figure is one run of
another simulator. It is compared with the range of ours over seeds. Of n runs that differ by chance only, a further one
lies within the range of the others with a probability of (n - 1) / (n + 1), whatever the distribution: 90 % for 20 seeds.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, fields
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pubsub_sim.places import shipped
from pubsub_sim.results.errors import WrongSchemaError
from pubsub_sim.results.parquet import read_table
from pubsub_sim.results.whole_files import put_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

MESHES = "meshes"
"""Name of the folder of these runs in the folder of a sweep."""

PACKED = "packed.parquet"
"""Name of the file that holds all runs of a published sweep, a row each."""

PUBLISHED = "data/reference/simsub-2022.csv"
"""Where the published figures lie, in the repository."""

BUCKETS = ("to_100_ms", "to_200_ms", "to_300_ms", "to_400_ms", "later")
"""Latencies by the bound they are below; those of 400 ms and more are later."""

_TEXTS = ("version",)


@dataclass(frozen=True, kw_only=True)
class MeshRun:
    """One run.

    Attributes:
        version: which control flow.
        hosts, messages, seed: what was played.
        links: pairs of hosts that were connected when the first message was published.
        sent, ihave, iwant, graft, prune: what the RPCs sent held.
        rpcs: RPCs sent, hellos and announcements included.
        dropped: RPCs lost to a full queue.
        deliveries: messages read from subscriptions, those of the publishers themselves included.
        undelivered: how many more there should be.
        members_at_begin, members_at_end: members of all hosts' meshes, when the first message was published and in the end.
        to_100_ms, to_200_ms, to_300_ms, to_400_ms, later: deliveries at other hosts by their latency.
        p50_ns, p99_ns: quantiles of these latencies.
        cpu_ns: processor time.
        peak_rss_bytes: most memory that was resident.
    """

    version: str
    hosts: int
    messages: int
    seed: int
    links: int
    sent: int
    ihave: int
    iwant: int
    graft: int
    prune: int
    rpcs: int
    dropped: int
    deliveries: int
    undelivered: int
    members_at_begin: int
    members_at_end: int
    to_100_ms: int
    to_200_ms: int
    to_300_ms: int
    to_400_ms: int
    later: int
    p50_ns: int
    p99_ns: int
    cpu_ns: int
    peak_rss_bytes: int

    @property
    def copies(self) -> float:
        """Messages sent per delivery."""
        return self.sent / self.deliveries

    @property
    def degree(self) -> float:
        """Members of a mesh, in the mean over hosts, between begin and end."""
        return (self.members_at_begin + self.members_at_end) / 2 / self.hosts

    def share(self, bucket: str) -> float:
        """Deliveries of a bucket in percent of all those at other hosts."""
        return float(100 * getattr(self, bucket) / sum(getattr(self, name) for name in BUCKETS))


_SCHEMA = pa.schema([pa.field(f.name, pa.string() if f.name in _TEXTS else pa.int64()) for f in fields(MeshRun)])
_PROVENANCE = "provenance"
_PACKED_SCHEMA = _SCHEMA.append(pa.field(_PROVENANCE, pa.string()))


def mesh_path(folder: Path, version: str, hosts: int, messages: int, seed: int) -> Path:
    """The file of a run in the folder of a sweep."""
    return folder / MESHES / f"{version}-{hosts}-{messages}-{seed}.parquet"


def write_mesh(folder: Path, run: MeshRun, provenance: Mapping[str, Any]) -> None:
    """Store a run whole, in the place of an older one.

    Raises:
        UnwritableFolderError: the folder cannot be made or written, or the disk is full.
    """
    columns = {name: [value] for name, value in asdict(run).items()}
    table = pa.table(columns, schema=_SCHEMA).replace_schema_metadata(
        {_PROVENANCE: json.dumps(dict(provenance), sort_keys=True)}
    )
    _write(table, mesh_path(folder, run.version, run.hosts, run.messages, run.seed))


def read_mesh(path: Path) -> tuple[MeshRun, dict[str, Any]]:
    """Read a run, and where it comes from.

    Raises:
        TruncatedFileError: the file is not whole, or damaged inside.
        WrongSchemaError: the file is whole but has other columns.
    """
    table = read_table(path)
    if not table.schema.equals(_SCHEMA) or table.num_rows != 1:
        raise WrongSchemaError(path, "it is no run of a mesh")
    footer = json.loads((table.schema.metadata or {}).get(_PROVENANCE.encode(), b"{}"))
    return MeshRun(**table.to_pylist()[0]), footer


def read_meshes(folder: Path) -> tuple[MeshRun, ...]:
    """Read all runs in the folder of a sweep, packed or not, by version, hosts, messages and seed; none if there are none.

    Raises:
        ResultsError: a file cannot be read.
    """
    return tuple(run for run, _ in _read_all(folder))


def pack_meshes(source: Path, target: Path) -> Path | None:
    """Write the packed form of a sweep's meshes, which is committed: one file, a row per run with its provenance as JSON.

    Args:
        source: folder of the sweep.
        target: folder of another sweep; its packed file is replaced.

    Returns:
        The file; None if the sweep has no such runs.

    Raises:
        ResultsError: a file cannot be read.
        UnwritableFolderError: the target cannot be written.
    """
    found = _read_all(source)
    if not found:
        return None
    rows = [asdict(run) | {_PROVENANCE: json.dumps(footer, sort_keys=True)} for run, footer in found]
    path = target / MESHES / PACKED
    _write(pa.Table.from_pylist(rows, schema=_PACKED_SCHEMA), path)
    return path


def _read_all(folder: Path) -> list[tuple[MeshRun, dict[str, Any]]]:
    """Read all runs; one that is in a file of its own was played after the packed one of its parameters."""
    place, packed = folder / MESHES, folder / MESHES / PACKED
    found = _read_packed(packed) if packed.exists() else []
    found += [read_mesh(path) for path in place.glob("*.parquet") if path != packed]
    latest = {(run.version, run.hosts, run.messages, run.seed): (run, footer) for run, footer in found}
    return [latest[key] for key in sorted(latest)]


def _read_packed(path: Path) -> list[tuple[MeshRun, dict[str, Any]]]:
    table = read_table(path)
    if not table.schema.equals(_PACKED_SCHEMA):
        raise WrongSchemaError(path, "it holds no runs of meshes")
    footers = [json.loads(str(footer)) for footer in table[_PROVENANCE].to_pylist()]
    runs = [MeshRun(**row) for row in table.drop_columns([_PROVENANCE]).to_pylist()]
    return list(zip(runs, footers, strict=True))


def _write(table: pa.Table, path: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    put_whole(sink.getvalue(), path)


# --- published runs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """A published figure beside ours.

    Attributes:
        title: what it is.
        published: the figure of the one published run.
        mean: of ours over the seeds.
        low: least of ours.
        high: greatest of ours.
        seeds: how many of ours there are.
    """

    title: str
    published: float
    mean: float
    low: float
    high: float
    seeds: int

    @property
    def tolerance(self) -> float:
        """The probability with which a further run lies within the range of ours, if chance is all that differs."""
        return (self.seeds - 1) / (self.seeds + 1)

    @property
    def verdict(self) -> str:
        """Whether it is "inside" or "outside" the range of ours; "one seed" if there is no range."""
        if self.seeds < 2:
            return "one seed"
        return "inside" if self.low <= self.published <= self.high else "outside"


def published(hosts: int, messages: int) -> dict[str, float] | None:
    """The published figures of a run of so many hosts and messages; None if there are none."""
    return next((row for row in _rows() if (row["hosts"], row["messages"]) == (hosts, messages)), None)


def published_messages(hosts: int) -> int | None:
    """How many messages were published in the published run of so many hosts; None if there is none."""
    return next((int(row["messages"]) for row in _rows() if row["hosts"] == hosts), None)


def compare(runs: Sequence[MeshRun]) -> list[Comparison]:
    """Set the runs of one version, number of hosts and number of messages beside the published one; empty without one."""
    row = published(runs[0].hosts, runs[0].messages) if runs else None
    if row is None:
        return []
    pairs: list[tuple[str, float, Iterable[float]]] = [
        ("messages sent", row["sent"], [run.sent for run in runs]),
        ("copies per delivery", row["sent"] / (row["hosts"] * row["messages"]), [run.copies for run in runs]),
        *(
            (name.upper(), row[name], [getattr(run, name) for run in runs])
            for name in ("ihave", "iwant", "graft", "prune")
        ),
        *(
            (
                f"latency {100 * place}-{100 * (place + 1)} ms, %",
                row[f"{name}_percent"],
                [run.share(name) for run in runs],
            )
            for place, name in enumerate(BUCKETS[:4])
        ),
    ]
    found = []
    for title, figure, values in pairs:
        ours = list(values)
        found.append(Comparison(title, figure, fmean(ours), min(ours), max(ours), len(ours)))
    return found


def _rows() -> list[dict[str, float]]:
    with shipped(PUBLISHED).open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
