"""The runs of a sweep of simulations on the disk: for each a file with one row, one with its series, one with its networks.

The row tells the options, the outcome and the account. A run that failed has its row too, with a sentence, and what it
measured until then is not kept. The three files of a run get their names together.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pubsub_sim.results.errors import TruncatedFileError, UnwritableFolderError, WrongSchemaError
from pubsub_sim.results.parquet import read_table, with_footer
from pubsub_sim.results.record import OUTCOMES
from pubsub_sim.results.store import Store, move_aside
from pubsub_sim.results.whole_files import put_together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCHEMA_VERSION = 1
"""Raised whenever the meaning of a stored number changes."""

SAME = ("schema", "sources", "python")
"""Facts that must be unchanged for a stored run to stand for a new one. On the virtual clock no processor matters."""

ROW, SERIES, NETWORK = ".run.parquet", ".series.parquet", ".network.parquet"
"""Endings of the files of a run."""

_TYPES: dict[type, pa.DataType] = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
_FACTS = ("options", "result", "provenance")


@dataclass(frozen=True, kw_only=True)
class SimulationRecord:
    """What a run of a sweep leaves.

    Attributes:
        name: of its files, without ending.
        options: what was simulated; JSON values only.
        outcome: one of `OUTCOMES`.
        error: one sentence, empty when the outcome is "ok".
        row: the columns beside these: options and account, each a whole number, a number, a text, true or false, or None.
        types: of the columns.
        result: the account as a JSON object; empty where there is none.
        provenance: where and with what it was played; JSON values only.
        series: the series as a Parquet file; None where there is none.
        network: the networks of chosen moments, likewise.
    """

    name: str
    options: Mapping[str, Any]
    outcome: str
    error: str
    row: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, type] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    series: bytes | None = None
    network: bytes | None = None


class SimulationStore:
    """The runs of one sweep of simulations.

    Attributes:
        folder: where the files are; made by the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the folder for one sweep, as `Store.exclusive` does."""
        return Store(self.folder).exclusive()

    def write(self, record: SimulationRecord) -> None:
        """Store a run; what was stored of it before is replaced.

        Raises:
            UnwritableFolderError: the folder cannot be made or written, or the disk is full.
        """
        contents: dict[Path, bytes | pa.Buffer] = {}
        for ending, content in ((SERIES, record.series), (NETWORK, record.network)):
            path = self.folder / f"{record.name}{ending}"
            if content is not None:
                contents[path] = content
            else:
                _remove(path)
        contents[self.folder / f"{record.name}{ROW}"] = _encoded(record)
        put_together(contents)

    def read(self, name: str) -> SimulationRecord | None:
        """Read a run's row back; None if there is none.

        Raises:
            TruncatedFileError: the file is not whole.
            UnreadableFileError: the file may not be read.
            WrongSchemaError: the file has another form.
        """
        path = self.folder / f"{name}{ROW}"
        if not path.exists():
            return None
        table = read_table(path)
        metadata = table.schema.metadata or {}
        try:
            facts = {fact: json.loads(metadata[fact.encode()]) for fact in _FACTS}
            (row,) = table.to_pylist()
            outcome, sentence = row.pop("outcome"), row.pop("error")
        except (KeyError, ValueError) as error:
            raise WrongSchemaError(path, f"it is no row of a simulation ({error})") from error
        if outcome not in OUTCOMES:
            raise WrongSchemaError(path, f"its outcome is {outcome!r}")
        return SimulationRecord(name=name, outcome=outcome, error=sentence, row=row, **facts)

    def finished(self, name: str, options: Mapping[str, Any], grounds: Sequence[Mapping[str, Any]]) -> bool:
        """Say whether a run need not be played again: it is stored whole, and came from the same options and sources.

        Args:
            name: of the run.
            options: what it simulates.
            grounds: facts of code and machine, one of which must be its own.
        """
        try:
            record = self.read(name)
        except (TruncatedFileError, WrongSchemaError):
            return False
        if record is None or record.options != options:
            return False
        if record.outcome == "ok" and not all(
            (self.folder / f"{name}{ending}").exists() for ending in (SERIES, NETWORK)
        ):
            return False
        now = [{**facts, "schema": SCHEMA_VERSION} for facts in grounds]
        return any(all(record.provenance.get(fact) == facts.get(fact) for fact in SAME) for facts in now)

    def set_aside(self, names: Sequence[str]) -> dict[str, str]:
        """Move files of these runs that cannot be read out of the way: FILE becomes FILE.corrupt.

        Returns:
            Names of the files that were moved to their new names.

        Raises:
            UnreadableFileError: a file may not be read.
            UnwritableFolderError: a file cannot be moved.
        """
        moved = {}
        for path in [self.folder / f"{name}{ending}" for name in names for ending in (ROW, SERIES, NETWORK)]:
            if not path.exists():
                continue
            try:
                if path.name.endswith(ROW):
                    self.read(path.name.removesuffix(ROW))
                else:
                    read_table(path)
            except (TruncatedFileError, WrongSchemaError):
                moved[path.name] = move_aside(path)
        return moved

    def series(self, name: str) -> Any:
        """Read a run's series as a data frame, a row per second; raises as `read` does."""
        return read_table(self.folder / f"{name}{SERIES}").to_pandas(use_threads=False)

    def network(self, name: str) -> list[dict[str, Any]]:
        """Read a run's networks: rows of time_s, kind, topic, one and other; raises as `read` does."""
        rows: list[dict[str, Any]] = read_table(self.folder / f"{name}{NETWORK}").to_pylist()
        return rows


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableFolderError(path.parent, error.strerror or str(error)) from error


def encoded(
    rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], types: Mapping[str, type] | None = None
) -> bytes:
    """Give the bytes of a Parquet file with these rows, a checksum for each page.

    Args:
        rows: values by column.
        facts: for the footer; JSON values only.
        types: column to the type of its values; None takes them from the rows.
    """
    schema = None if types is None else pa.schema([pa.field(name, _TYPES[kind]) for name, kind in types.items()])
    table = with_footer(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), facts)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def _encoded(record: SimulationRecord) -> bytes:
    row = {**record.row, "outcome": record.outcome, "error": record.error}
    types = {**record.types, "outcome": str, "error": str}
    facts = {
        "options": dict(record.options),
        "result": dict(record.result),
        "provenance": {"schema": SCHEMA_VERSION, **record.provenance},
    }
    return encoded([row], facts, types)
