"""The check of a record file's header before SQLite opens it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from asyncmachine.record.errors import (
    DamagedRecordError,
    MissingRecordError,
    NotARecordError,
    RecordFileError,
    RecordVersionError,
)
from asyncmachine.record.format import APPLICATION_ID, VERSION

if TYPE_CHECKING:
    from pathlib import Path

BESIDE = ("-wal", "-shm", "-journal")
"""Suffixes of the files SQLite keeps next to a database in use."""

_MAGIC = b"SQLite format 3\0"
_SIZE = 100


def read_header(path: Path) -> None:
    """Check that a file is a record this library can read.

    Offsets: https://sqlite.org/fileformat2.html, section 1.3.

    Raises:
        MissingRecordError: The file does not exist.
        NotARecordError: It is not a record.
        RecordVersionError: It was written by a newer version.
        DamagedRecordError: It is shorter than its header states.
        RecordFileError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_SIZE)
        size = path.stat().st_size
    except FileNotFoundError:
        raise MissingRecordError(path, "does not exist") from None
    except OSError as error:
        raise RecordFileError(path, f"cannot be read: {error.strerror or error}") from error
    if not head.startswith(_MAGIC[: max(len(head), 1)]) or not head:
        raise NotARecordError(path, "is not a record: it is not an SQLite database")
    if len(head) < _SIZE:
        raise DamagedRecordError(path, f"is a truncated record: it has {len(head)} bytes")
    version, application = struct.unpack(">I4xI", head[60:72])
    if application != APPLICATION_ID:
        raise NotARecordError(path, "is not a record: it is another program's database")
    if version > VERSION:
        raise RecordVersionError(path, version, VERSION)
    (page,) = struct.unpack(">H", head[16:18])
    (pages,) = struct.unpack(">I", head[28:32])
    expected = pages * (65536 if page == 1 else page)
    if size < expected and not any(path.with_name(path.name + suffix).exists() for suffix in BESIDE):
        raise DamagedRecordError(path, f"is a truncated record: it has {size:,} of {expected:,} bytes")
