"""The Parquet format of runs: one explicit schema, atomic files, facts of the run in the footer."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pubsub_sim.results.errors import TruncatedFileError, UnreadableFileError, WrongSchemaError
from pubsub_sim.results.record import stored_version, version_stored_as
from pubsub_sim.results.whole_files import put_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pubsub_sim.results.record import RunRecord

_COLUMNS: list[pa.Field[Any]] = [
    pa.field("version", pa.string()),
    pa.field("hosts", pa.int16()),
    pa.field("messages", pa.int32()),
    pa.field("repeat", pa.int16()),
    pa.field("router", pa.string()),
    pa.field("transport", pa.string()),
    pa.field("loop", pa.string()),
    pa.field("sign", pa.string()),
    pa.field("seed", pa.int64()),
    pa.field("barrier", pa.bool_()),
    pa.field("warmup", pa.bool_()),
    pa.field("allocator", pa.string()),
    pa.field("kind", pa.string()),
    pa.field("session", pa.int16()),
    pa.field("order", pa.int32()),
    pa.field("outcome", pa.string()),
    pa.field("error", pa.string()),
    pa.field("limit_s", pa.float64()),
    pa.field("phase", pa.string()),
    pa.field("metric", pa.string()),
    pa.field("value", pa.int64()),
]

SCHEMA = pa.schema(_COLUMNS)
"""Columns of every file: in each row parameters and outcome of the run, then phase, metric and value."""

SCHEMA_VERSION = 2
"""Raised whenever SCHEMA or the meaning of a stored number changes."""

_WITHOUT_SESSIONS = pa.schema([field for field in _COLUMNS if field.name != "session"])
"""Columns of version 1, which knew no sessions: all of its runs are read as runs of one."""

_RENAMED = {"legs": "time_slices"}
"""Metrics of version 1 that have another name now."""

_DICTIONARY = [name for name in SCHEMA.names if name != "value"]


def table_of(record: RunRecord) -> pa.Table:
    """Return a record as a table with the store's schema; the footer's facts are its metadata."""
    run = asdict(record.parameters) | {
        "order": record.order,
        "outcome": record.outcome,
        "error": record.error,
        "limit_s": record.limit_s,
    }
    run["version"] = stored_version(record.parameters.version)
    columns: dict[str, list[Any]] = {name: [value] * len(record.rows) for name, value in run.items()}
    columns |= {"phase": [row.phase for row in record.rows], "metric": [row.metric for row in record.rows]}
    columns["value"] = [row.value for row in record.rows]
    footer = {
        "provenance": {"schema": SCHEMA_VERSION, **record.provenance},
        "version": dict(record.version),
        "parameters": asdict(record.parameters) | {"version": run["version"]},
    }
    return with_footer(pa.table(columns, schema=SCHEMA), footer)


def with_footer(table: pa.Table, footer: Mapping[str, Any]) -> pa.Table:
    """Return a table with facts in its metadata, one JSON text per name."""
    return table.replace_schema_metadata({name: json.dumps(value, sort_keys=True) for name, value in footer.items()})


def write_whole(table: pa.Table, path: Path, *, packed: bool = False) -> None:
    """Write a file atomically.

    Args:
        table: the content.
        path: the final name; an existing file is replaced.
        packed: whether to spend time on a small file.

    Raises:
        UnwritableFolderError: the folder cannot be created or written, or the disk is full.
    """
    put_whole(encoded(table, packed=packed), path)


def read_whole(path: Path) -> pa.Table:
    """Read a file, including its footer.

    A file of version 1 is given the columns and the names of this version, and versions have their current names.

    Raises:
        TruncatedFileError: the file is truncated or damaged.
        UnreadableFileError: the file may not be read.
        WrongSchemaError: the file has other columns.
    """
    table = read_table(path)
    if table.schema.equals(_WITHOUT_SESSIONS):
        table = _brought_up(table)
    if not table.schema.equals(SCHEMA):
        raise WrongSchemaError(path, _difference(table.schema))
    return _with_versions(table)


def read_table(path: Path) -> pa.Table:
    """Read a file of whatever columns, footer included.

    Raises:
        TruncatedFileError: the file is not whole, or damaged inside.
        UnreadableFileError: the file may not be read.
    """
    try:
        return _opened(path).read(use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise TruncatedFileError(path) from error


def read_footer(path: Path) -> dict[str, Any]:
    """Read only the facts in a file's footer.

    Returns:
        Name to decoded JSON: "provenance", "version", "parameters".

    Raises:
        TruncatedFileError: the file is truncated.
        UnreadableFileError: the file may not be read.
        WrongSchemaError: the file has other columns or no such facts.
    """
    try:
        schema = _opened(path).schema_arrow
    except (pa.ArrowInvalid, OSError) as error:
        raise TruncatedFileError(path) from error
    if not schema.equals(SCHEMA) and not schema.equals(_WITHOUT_SESSIONS):
        raise WrongSchemaError(path, _difference(schema))
    return footer_of(schema, path)


def footer_of(schema: pa.Schema, path: Path) -> dict[str, Any]:
    """Decode the facts in a file's schema.

    Raises:
        WrongSchemaError: there are no such facts.
    """
    metadata = schema.metadata or {}
    try:
        found = {name: json.loads(metadata[name.encode()]) for name in ("provenance", "version", "parameters")}
    except (KeyError, ValueError) as error:
        raise WrongSchemaError(path, f"its footer lacks {error}") from error
    if not all(isinstance(facts, dict) for facts in found.values()):
        raise WrongSchemaError(path, "its footer holds no objects")
    if "version" in found["parameters"]:
        found["parameters"]["version"] = version_stored_as(found["parameters"]["version"])
    if "session" not in schema.names and "repeat" in found["parameters"]:  # of a single run of version 1
        found["parameters"]["session"] = 1
    return found


_PACKED_LEVEL = 19  # of zstd: it is written once


def encoded(table: pa.Table, *, packed: bool = False) -> pa.Buffer:
    """Return the bytes of a file, with a checksum for each page.

    Values are left to zstd: deltas of neighbours, which are of different metrics, take twice the space.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=_DICTIONARY,  # type: ignore[arg-type]  # the stubs know only bool
        compression_level=_PACKED_LEVEL if packed else None,
        write_page_checksum=True,
    )
    return sink.getvalue()


def _brought_up(table: pa.Table) -> pa.Table:
    """Give a table of version 1 the columns and the names of this version; its footer stays."""
    at, metrics = SCHEMA.get_field_index("session"), table.column("metric").to_pylist()
    sessions = pa.array([1] * len(table), pa.int16())
    table = table.add_column(at, SCHEMA.field("session"), sessions)
    names = pa.array([_RENAMED.get(str(name), str(name)) for name in metrics], pa.string())
    return table.set_column(SCHEMA.get_field_index("metric"), SCHEMA.field("metric"), names)


def _with_versions(table: pa.Table) -> pa.Table:
    """Name the versions of a table's runs as they are named now."""
    stored = table.column("version").combine_chunks().dictionary_encode()
    names = pa.array([version_stored_as(str(name)) for name in stored.dictionary.to_pylist()], pa.string())
    versions = pa.DictionaryArray.from_arrays(stored.indices, names).cast(pa.string())
    return table.set_column(SCHEMA.get_field_index("version"), SCHEMA.field("version"), versions)


def _opened(path: Path) -> pq.ParquetFile:
    """Open a file from memory: Arrow's threads on a Python file object can abort or hang the interpreter at exit.

    See apache/arrow issue 50482; the files are a few kilobytes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(path, error.strerror or str(error)) from error
    return pq.ParquetFile(pa.BufferReader(content), pre_buffer=False, page_checksum_verification=True)


def _difference(found: pa.Schema) -> str:
    missing = [name for name in SCHEMA.names if name not in found.names]
    extra = [name for name in found.names if name not in SCHEMA.names]
    if missing or extra:
        parts = [f"missing {', '.join(missing)}"] * bool(missing) + [f"unknown {', '.join(extra)}"] * bool(extra)
        return "; ".join(parts)
    wrong = [
        f"{field.name} is {found.field(field.name).type}"
        for field in SCHEMA
        if found.field(field.name).type != field.type
    ]
    return ", ".join(wrong) or "columns in another order"
