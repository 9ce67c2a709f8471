"""The store of a sweep: one folder per sweep, with one immutable Parquet file per run, or one per version if packed.

Only runs that were measured together are compared. Each file has the identifier of its pair; runs with different
identifiers are not a pair, even in the same folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pubsub_sim.errors import OptionError
from pubsub_sim.results.errors import (
    BusyFolderError,
    NoRunsError,
    TruncatedFileError,
    UnwritableFolderError,
    WrongSchemaError,
)
from pubsub_sim.results.footers import APART, PACKED, merge, same_ground
from pubsub_sim.results.parquet import (
    SCHEMA,
    SCHEMA_VERSION,
    encoded,
    footer_of,
    read_footer,
    read_whole,
    table_of,
    with_footer,
    write_whole,
)
from pubsub_sim.results.record import NAME, PAIR, PARAMETERS, Row, RunParameters, RunRecord, is_name, stored_version
from pubsub_sim.results.whole_files import put_together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd

_SINGLE = re.compile(r"[A-Za-z].*-h\d+-m\d+(?:-s\d+)?-r\d+-[0-9a-f]{12}\.parquet", re.DOTALL)
_PACKED = re.compile(r"packed-.+\.parquet", re.DOTALL)
_LEFTOVER = re.compile(r"\.(?:.*\.parquet|manifest\.json|engine\.json|writable)\.\d+\.tmp", re.DOTALL)


class Store:
    """The runs of one sweep.

    Attributes:
        folder: the folder of the files; created by the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._packed: dict[RunParameters, RunRecord] | None = None

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the folder for one sweep: create it, check that it is writable, remove temporary files of a killed sweep.

        The lock ends with the process.

        Raises:
            BusyFolderError: another sweep holds the lock.
            UnwritableFolderError: it cannot be created or written.
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
                if _LEFTOVER.fullmatch(leftover.name):
                    leftover.unlink(missing_ok=True)
            probe = self.folder / f".writable.{os.getpid()}.tmp"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UnwritableFolderError(self.folder, error.strerror or str(error)) from error

    def write(self, record: RunRecord) -> Path:
        """Store one run, replacing a file of the same parameters atomically.

        Returns:
            The file.

        Raises:
            UnwritableFolderError: the folder cannot be created or written.
        """
        path = self.folder / record.parameters.file_name()
        write_whole(table_of(record), path)
        return path

    def write_together(self, records: Iterable[RunRecord]) -> None:
        """Store the runs of a pair: files appear only when all of them are on disk.

        Raises:
            UnwritableFolderError: the folder cannot be created or written; existing files are unchanged.
        """
        put_together({self.folder / one.parameters.file_name(): encoded(table_of(one)) for one in records})

    def read(self, parameters: RunParameters) -> RunRecord | None:
        """Read one run from its own file or a packed one, or return None if it is in neither.

        Raises:
            TruncatedFileError: the file is truncated.
            UnreadableFileError: the file may not be read.
            WrongSchemaError: the file has another format, or contains another run.
        """
        record = self._stored(parameters)
        if record is None or record.provenance.get(PACKED):
            return record
        return replace(record, provenance={name: fact for name, fact in record.provenance.items() if name != "schema"})

    def _stored(self, parameters: RunParameters) -> RunRecord | None:
        path = self.folder / parameters.file_name()
        if not path.exists():
            return self.packed().get(parameters)
        record = _record(path)
        if record.parameters != parameters:
            raise WrongSchemaError(path, "it contains a run other than its name indicates")
        return record

    def packed(self) -> Mapping[RunParameters, RunRecord]:
        """Return the runs in packed files, with the reduced provenance of such files.

        Raises:
            TruncatedFileError: a file is truncated.
            UnreadableFileError: a file may not be read.
            WrongSchemaError: a file has another format.
        """
        if self._packed is None:
            found: dict[RunParameters, RunRecord] = {}
            for path in sorted(self.folder.glob("packed-*.parquet")):
                if read_footer(path)["provenance"].get(PACKED):
                    found |= {record.parameters: record for record in _records(path)}
            self._packed = found
        return self._packed

    def finished(self, parameters: RunParameters, provenance: Mapping[str, Any]) -> bool:
        """Return whether a run need not be measured again.

        Args:
            parameters: the run.
            provenance: current facts of the machine and the code.

        Returns:
            True if a complete file contains this run from the same measured sources, Python, uvloop and processor
            model, or if it is in a packed file. An unreadable file counts as missing.
        """
        try:
            record = self._stored(parameters)
        except (TruncatedFileError, WrongSchemaError):
            return False
        if record is None:
            return False
        if record.provenance.get(PACKED):
            return True
        return same_ground(record.provenance, {**provenance, "schema": SCHEMA_VERSION})

    def set_aside(self) -> dict[str, str]:
        """Rename unreadable files: NAME becomes NAME.corrupt.

        Only files with names of this store are considered. A file that contains a run other than its name indicates is
        renamed too.

        Returns:
            Names of the files that were moved to their new names.

        Raises:
            UnreadableFileError: a file may not be read.
            UnwritableFolderError: a file cannot be moved.
        """
        moved = {}
        for path in sorted(self.folder.glob("*.parquet")):
            is_single = _SINGLE.fullmatch(path.name) is not None
            if not is_single and not _PACKED.fullmatch(path.name):
                continue
            try:
                is_wrong = bool(is_single and _record(path).parameters.file_name() != path.name)
                if not is_single:
                    _records(path)
            except (TruncatedFileError, WrongSchemaError):
                is_wrong = True
            if is_wrong:
                moved[path.name] = move_aside(path)
        return moved

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
            TruncatedFileError: a file is truncated.
            WrongSchemaError: a file has another format, or a run occurs twice.
        """
        table = pa.concat_tables(read_whole(path).replace_schema_metadata(None) for path in self.files())
        frame = table.to_pandas(use_threads=False)
        keys = [*PARAMETERS, "phase", "metric"]
        if frame.duplicated(keys).any():
            twice = frame.loc[frame.duplicated(keys)].iloc[0]
            run = f"{twice['version']} with {twice['hosts']} hosts and {twice['messages']} messages"
            raise WrongSchemaError(self.folder, f"a run of {run} is there twice")
        return frame.sort_values(list(PARAMETERS), kind="stable", ignore_index=True)

    def pairs(self) -> dict[RunParameters, str]:
        """Return the pairs of runs.

        Returns:
            Identifier of the pair by run; "" if unknown.

        Raises:
            NoRunsError: the folder holds no runs.
            TruncatedFileError: a file is truncated.
            UnreadableFileError: a file may not be read.
            WrongSchemaError: a file has another format.
        """
        found: dict[RunParameters, str] = {}
        for path in self.files():
            footer = read_footer(path)
            if footer["provenance"].get(PACKED):
                apart = footer["provenance"].get(APART, {})
                rows = read_whole(path).select(list(PARAMETERS)).group_by(list(PARAMETERS)).aggregate([])
                for values in rows.to_pylist():
                    run = _parameters(path, values)
                    found[run] = str(apart.get(run.file_name(), "")) if apart else ""
            else:
                found[_parameters(path, footer["parameters"])] = str(footer["provenance"].get(PAIR, ""))
        return found

    def provenance(self) -> dict[str, Any]:
        """Return the merged provenance of the runs.

        Returns:
            List of distinct values by fact ("utc" and "load_average": minimum and maximum), and "versions":
            description by name of version.

        Raises:
            NoRunsError: the folder holds no runs.
            TruncatedFileError: a file is truncated.
            WrongSchemaError: a file has another format.
        """
        footers = [read_footer(path) for path in self.files()]
        versions: dict[str, Any] = {}
        for footer in footers:
            name = footer["parameters"].get("version", "")
            if footer["version"] or name not in versions:
                versions[name] = footer["version"]
        return {**merge(footer["provenance"] for footer in footers), "versions": dict(sorted(versions.items()))}

    def pack(self, target: Path) -> list[Path]:
        """Write the packed form, which is committed: one file per version with all its runs.

        Args:
            target: another folder; its packed files are replaced.

        Returns:
            The files written.

        Raises:
            NoRunsError: there is nothing to pack.
            TruncatedFileError: a file is truncated.
            UnwritableFolderError: the target cannot be written.
            WrongSchemaError: a file has another format, or the target is the store's own folder.
        """
        with contextlib.suppress(OSError):
            if target.samefile(self.folder):
                raise WrongSchemaError(target, "a sweep cannot be packed into its own folder")
        frame = self.load()
        footers = [read_footer(path) for path in self.files()]
        apart = _apart(self.pairs())
        for name in frame["version"].unique():
            if not is_name(name):
                raise WrongSchemaError(self.folder, f"version: expected {NAME}, got {name!r}")
        written = []
        for name, rows in frame.groupby("version", sort=True):
            own = [footer for footer in footers if footer["parameters"].get("version") == name]
            description: dict[str, Any] = next((footer["version"] for footer in own if footer["version"]), {})
            merged = merge(footer["provenance"] for footer in own) | {"schema": [SCHEMA_VERSION]}
            lone = {file: pair for file, (version, pair) in apart.items() if version == name}
            stored = stored_version(str(name))
            footer = {
                "provenance": {PACKED: True, **merged, **({APART: lone} if lone else {})},
                "version": description,
                "parameters": {"version": stored},
            }
            table = pa.Table.from_pandas(rows.assign(version=stored), schema=SCHEMA, preserve_index=False, nthreads=1)
            path = target / f"packed-{stored}.parquet"
            write_whole(with_footer(table, json.loads(json.dumps(footer))), path, packed=True)
            written.append(path)
        return written


def move_aside(path: Path) -> str:
    """Rename a file by appending ".corrupt", with a number if that name is taken.

    Returns:
        The new name.

    Raises:
        UnwritableFolderError: it cannot be moved.
    """
    target, number = path.with_name(f"{path.name}.corrupt"), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.corrupt.{number}")
    try:
        path.rename(target)
    except OSError as error:
        raise UnwritableFolderError(path.parent, error.strerror or str(error)) from error
    return target.name


def partners(run: RunParameters) -> RunParameters:
    """Return the common parameters of a pair: equal for two runs if they are compared."""
    return replace(run, version="any", kind="timing" if run.kind == "control" else run.kind)


def _apart(pairs: Mapping[RunParameters, str]) -> dict[str, tuple[str, str]]:
    """Return the runs whose counterparts belong to another pair: version and pair by file name."""
    told: dict[RunParameters, set[str]] = {}
    for run, pair in pairs.items():
        told.setdefault(partners(run), set()).add(pair)
    return {run.file_name(): (run.version, pair) for run, pair in pairs.items() if len(told[partners(run)]) > 1}


def _record(path: Path) -> RunRecord:
    """Read the run in a single-run file."""
    found = _records(path)
    if len(found) != 1:
        raise WrongSchemaError(path, f"it contains {len(found)} runs instead of one")
    return found[0]


def _records(path: Path) -> list[RunRecord]:
    """Read all runs of a file."""
    table = read_whole(path)
    footer = footer_of(table.schema, path)
    runs: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        runs.setdefault(tuple(row[name] for name in PARAMETERS), []).append(row)
    facts = dict(footer["provenance"])
    apart = facts.pop(APART, {})
    found = []
    for key, rows in runs.items():
        parameters = _parameters(path, dict(zip(PARAMETERS, key, strict=True)))
        told = {PAIR: apart[parameters.file_name()]} if parameters.file_name() in apart else {}
        try:
            found.append(
                RunRecord(
                    parameters=parameters,
                    outcome=rows[0]["outcome"],
                    error=rows[0]["error"],
                    order=rows[0]["order"],
                    limit_s=rows[0]["limit_s"],
                    rows=tuple(Row(row["phase"], row["metric"], row["value"]) for row in rows),
                    provenance=facts | told,
                    version=footer["version"],
                )
            )
        except OptionError as error:
            raise WrongSchemaError(path, str(error)) from error
    return found


def _parameters(path: Path, values: Mapping[str, Any]) -> RunParameters:
    if set(values) != set(PARAMETERS):  # what older files lack has been added by whoever read them
        raise WrongSchemaError(path, "its footer lacks parameters of the run")
    try:
        return RunParameters(**values)
    except OptionError as error:
        raise WrongSchemaError(path, str(error)) from error
