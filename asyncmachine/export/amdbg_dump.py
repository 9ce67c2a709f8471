"""Dumps of am-dbg: files `.gob.br`, one gob value compressed by brotli. Written from a record, and loaded into one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from asyncmachine.export.amdbg.differences import UnsupportedValueError
from asyncmachine.export.amdbg.from_record import MachineMessages, messages_of
from asyncmachine.export.amdbg.loading import load
from asyncmachine.export.amdbg.messages import DUMP, KINDS
from asyncmachine.export.errors import ExportError, MissingExtraError
from asyncmachine.export.files import write_whole
from asyncmachine.export.gob import Array, Basic, GobError, Map, Opaque, Slice, Struct, Type, decode, encode
from asyncmachine.record.errors import UnwritableRecordError
from asyncmachine.record.header import BESIDE, read_header
from asyncmachine.record.writer import RecordWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncmachine.record import Record

MAX_DUMP: Final = 1 << 30
"""Maximal size of a decompressed dump, in bytes."""
_PIECE: Final = 1 << 20
_QUALITY: Final = 5
"""Compression level: half the time of the Go library's default; higher levels gain little."""


class DumpError(ExportError):
    """A file cannot be read as a dump of am-dbg.

    Attributes:
        path: The file.
        reason: The problem.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} is not a dump of am-dbg: {reason}")


def write_dump(record: Record, path: Path | str) -> int:
    """Write a record as a dump for `am-dbg --import-data`, with the times of the record.

    Args:
        record: An open record.
        path: The file, by convention `*.gob.br`.

    Returns:
        Bytes written.

    Raises:
        MissingExtraError: The package `brotli` is not installed.
        UnwritableFileError: The file cannot be written.
        RecordError: The record cannot be read.
    """
    brotli = _brotli()
    told = [
        {"MsgStruct": machine.schema, "MsgTxs": machine.transitions, "Version": machine.version}
        for machine in messages_of(record)
    ]
    data: bytes = brotli.compress(encode(DUMP, told), quality=_QUALITY)
    return write_whole(path, [data])


def read_dump(path: Path | str, record_path: Path | str) -> int:
    """Load a dump into a record, from which `write_dump` reproduces it.

    Args:
        path: The dump.
        record_path: The record; an existing one is replaced after the dump has been read completely.

    Returns:
        Number of messages read.

    Raises:
        DumpError: The file does not exist, is not a dump, or has unknown content.
        MissingExtraError: The package `brotli` is not installed.
        RecordError: `record_path` is not a record, or cannot be written.
    """
    path, record_path = Path(path), Path(record_path)
    if record_path.exists():
        read_header(record_path)
    data = _read(path)
    dump = messages_in(data, path)
    hidden = record_path.with_name(f".{record_path.name}.{os.getpid()}.tmp")
    try:
        writer = RecordWriter(hidden, {"id": f"am-dbg-{hashlib.blake2b(data, digest_size=8).hexdigest()}"})
        try:
            load(dump, writer)
            writer.close()
            hidden.replace(record_path)
        finally:
            writer.abandon()
    except UnsupportedValueError as error:
        raise DumpError(path, "it holds a value of an unknown type") from error
    except UnwritableRecordError as error:
        raise UnwritableRecordError(record_path, error.problem) from error
    except (OSError, sqlite3.Error) as error:
        raise UnwritableRecordError(record_path, f"cannot be written: {error}") from error
    finally:
        for suffix in ("", *BESIDE):
            with contextlib.suppress(OSError):
                hidden.with_name(hidden.name + suffix).unlink(missing_ok=True)
    return sum(len(machine.transitions) for machine in dump)


def messages_in(data: bytes, path: Path) -> list[MachineMessages]:
    """Return the messages of a dump's decompressed content.

    Args:
        data: The content.
        path: Its file, for errors.

    Raises:
        DumpError: It is not a dump, or has unknown content.
    """
    try:
        messages = decode(data)
    except GobError as error:
        raise DumpError(path, str(error)) from error
    if len(messages) != 1:
        raise DumpError(path, f"it holds {len(messages)} values instead of one")
    ((kind, value),) = messages
    if (problem := _mismatch(kind, DUMP, "")) is not None:
        raise DumpError(path, problem)
    dump = [MachineMessages(one.get("MsgStruct", {}), one.get("MsgTxs", []), one.get("Version", "")) for one in value]
    _check(dump, path)
    return dump


def _check(dump: Sequence[MachineMessages], path: Path) -> None:
    """Refuse dumps that a record cannot represent.

    Raises:
        DumpError: A machine names a state twice, or a transition has an unknown type.
    """
    for machine in dump:
        names = machine.schema.get("StatesIndex", [])
        if len(set(names)) < len(names):
            raise DumpError(path, f"machine {machine.schema.get('ID', '')!r} names a state twice")
        for message in machine.transitions:
            kind = message.get("Type", 0)
            if not 0 <= kind < len(KINDS):
                raise DumpError(path, f"transition {message.get('ID', '')!r} is of the unknown type {kind}")


def _mismatch(kind: Type, known: Type, where: str) -> str | None:
    """Compare the types of a dump with the known ones; return the first unknown field or different type as a sentence."""
    if isinstance(kind, Struct) and isinstance(known, Struct):
        fields = dict(known.fields)
        for name, field in kind.fields:
            path = f"{where}.{name}" if where else name
            if name not in fields:
                return f"the field {path} is not known"
            if (problem := _mismatch(field, fields[name], path)) is not None:
                return problem
        return None
    if isinstance(kind, Map) and isinstance(known, Map) and kind.key is known.key:
        return _mismatch(kind.elem, known.elem, where)
    if isinstance(kind, Slice | Array) and isinstance(known, Slice):
        return _mismatch(kind.elem, known.elem, where)
    if kind is known or (isinstance(kind, Opaque) and isinstance(known, Opaque)):
        return None
    return f"{'the field ' + where if where else 'its value'} is of type {_name(kind)} instead of {_name(known)}"


def _name(kind: Type) -> str:
    return kind.name if isinstance(kind, Basic) else type(kind).__name__.lower()


def _read(path: Path) -> bytes:
    """Return the decompressed content of a dump.

    Raises:
        DumpError: The file does not exist, is not brotli, is truncated, or is too long.
    """
    brotli = _brotli()
    try:
        compressed = path.read_bytes()
    except OSError as error:
        raise DumpError(path, error.strerror or str(error)) from error
    decompressor = brotli.Decompressor()
    data = bytearray()
    piece = compressed
    try:
        while piece and not decompressor.is_finished():
            piece = decompressor.process(b"" if data else compressed, output_buffer_limit=_PIECE)
            data += piece
            if len(data) > MAX_DUMP:
                raise DumpError(path, f"it is longer than {MAX_DUMP} bytes")
    except brotli.error as error:
        raise DumpError(path, "it is not compressed by brotli") from error
    if not decompressor.is_finished():
        raise DumpError(path, "it is truncated")
    return bytes(data)


def _brotli() -> Any:
    try:
        import brotli  # type: ignore[import-untyped]  # it has no type information
    except ImportError as error:
        raise MissingExtraError("a dump of am-dbg", "brotli", "amdbg") from error
    return brotli
