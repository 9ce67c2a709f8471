"""Where do runs live, and which are already there? One folder per sweep, one immutable Parquet file per run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pubsub_sim.results.errors import (
    BusyFolderError,
    NoRunsError,
    TruncatedFileError,
    UnwritableFolderError,
    WrongSchemaError,
)
from pubsub_sim.results.footers import PACKED, merge, same_ground
from pubsub_sim.results.parquet import (
    SCHEMA,
    SCHEMA_VERSION,
    read_footer,
    read_whole,
    table_of,
    with_footer,
    write_whole,
)
from pubsub_sim.results.record import PARAMETERS, Row, RunParameters, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd


class Store:
    """The runs of one sweep.

    Attributes:
        folder: where the files are; made by the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the folder for one sweep: make it, see that it can be written, remove what a killed sweep left.

        The lock ends with the process, however that happens.

        Raises:
            BusyFolderError: another sweep holds it.
            UnwritableFolderError: it cannot be made or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise UnwritableFolderError(self.folder, error.strerror or str(error)) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyFolderError(self.folder) from None
            self._clean()
            yield
        finally:
            os.close(lock)

    def _clean(self) -> None:
        try:
            for leftover in self.folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)
            probe = self.folder / f".writable.{os.getpid()}.tmp"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UnwritableFolderError(self.folder, error.strerror or str(error)) from error

    def write(self, record: RunRecord) -> Path:
        """Store one run; a file of the same parameters is replaced as a whole.

        Returns:
            The file.

        Raises:
            UnwritableFolderError: the folder cannot be made or written.
        """
        path = self.folder / record.parameters.file_name()
        write_whole(table_of(record), path)
        return path

    def read(self, parameters: RunParameters) -> RunRecord | None:
        """Read one run back, or None if it is not there.

        Raises:
            TruncatedFileError: the file is not whole.
            WrongSchemaError: the file has another form.
        """
        path = self.folder / parameters.file_name()
        if not path.exists():
            return None
        footer = read_footer(path)
        rows = read_whole(path).to_pylist()
        if not rows:
            raise WrongSchemaError(path, "it has no rows")
        footer["provenance"].pop("schema", None)
        return RunRecord(
            parameters=parameters,
            outcome=rows[0]["outcome"],
            error=rows[0]["error"],
            order=rows[0]["order"],
            limit_s=rows[0]["limit_s"],
            rows=tuple(Row(row["phase"], row["metric"], row["value"]) for row in rows),
            provenance=footer["provenance"],
            version=footer["version"],
        )

    def finished(self, parameters: RunParameters, provenance: Mapping[str, Any]) -> bool:
        """Say whether a run need not be measured again.

        Args:
            parameters: the run in question.
            provenance: facts of the machine and the code now.

        Returns:
            True if a whole file holds this run and came from the same measured sources, Python, uvloop and
            processor model. A file that cannot be read counts as not there: measuring replaces it.
        """
        path = self.folder / parameters.file_name()
        if not path.exists():
            return False
        try:
            stored = read_footer(path)["provenance"]
        except (TruncatedFileError, WrongSchemaError):
            return False
        return same_ground(stored, {"schema": SCHEMA_VERSION, **provenance})

    def files(self) -> list[Path]:
        """List the files of the folder, single runs and packed ones, in a fixed order.

        Raises:
            NoRunsError: there are none.
        """
        found = sorted(path for path in self.folder.glob("*.parquet") if not path.name.startswith("."))
        if not found:
            raise NoRunsError(self.folder)
        return found

    def load(self) -> pd.DataFrame:
        """Read every run of the folder.

        Returns:
            The long frame: the columns of SCHEMA, one row per phase and metric, runs sorted by their parameters.
            A folder of single files and its packed form give the same frame.

        Raises:
            NoRunsError: the folder holds no runs.
            TruncatedFileError: a file is not whole; the message names it and says what to do.
            WrongSchemaError: a file has another form, or a run is there twice.
        """
        table = pa.concat_tables(read_whole(path).replace_schema_metadata(None) for path in self.files())
        frame = table.to_pandas(use_threads=False)
        keys = [*PARAMETERS, "phase", "metric"]
        if frame.duplicated(keys).any():
            twice = frame.loc[frame.duplicated(keys)].iloc[0]
            run = f"{twice['version']} with {twice['hosts']} hosts and {twice['messages']} messages"
            raise WrongSchemaError(self.folder, f"a run of {run} is there twice")
        return frame.sort_values(list(PARAMETERS), kind="stable", ignore_index=True)

    def provenance(self) -> dict[str, Any]:
        """Say where the runs come from.

        Returns:
            Fact to the list of its distinct values ("utc" and "load_average": the least and the greatest), and
            "versions": name of a version to its own description.

        Raises:
            NoRunsError: the folder holds no runs.
            TruncatedFileError: a file is not whole.
            WrongSchemaError: a file has another form.
        """
        footers = [read_footer(path) for path in self.files()]
        versions: dict[str, Any] = {}
        for footer in footers:
            name = footer["parameters"].get("version", "")
            if footer["version"] or name not in versions:
                versions[name] = footer["version"]
        return {**merge(footer["provenance"] for footer in footers), "versions": dict(sorted(versions.items()))}

    def pack(self, target: Path) -> list[Path]:
        """Write the form that is committed: one file per version with all its runs.

        Args:
            target: another folder; its packed files are replaced.

        Returns:
            The files written.

        Raises:
            NoRunsError: there is nothing to pack.
            TruncatedFileError: a file is not whole.
            UnwritableFolderError: the target cannot be written.
            WrongSchemaError: a file has another form, or the target is the store's own folder.
        """
        with contextlib.suppress(OSError):
            if target.samefile(self.folder):
                raise WrongSchemaError(target, "a sweep cannot be packed into its own folder")
        frame = self.load()
        footers = [read_footer(path) for path in self.files()]
        written = []
        for name, rows in frame.groupby("version", sort=True):
            own = [footer for footer in footers if footer["parameters"].get("version") == name]
            description: dict[str, Any] = next((footer["version"] for footer in own if footer["version"]), {})
            merged = merge(footer["provenance"] for footer in own)
            footer = {
                "provenance": {PACKED: True, **merged},
                "version": description,
                "parameters": {"version": name},
            }
            table = pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False, nthreads=1)
            path = target / f"packed-{name}.parquet"
            write_whole(with_footer(table, json.loads(json.dumps(footer))), path)
            written.append(path)
        return written
