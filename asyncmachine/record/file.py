"""Read-only access to the file of a record, including unfinished records and read-only folders."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from asyncmachine.record.errors import DamagedRecordError, RecordFileError
from asyncmachine.record.header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAL = "-wal"


class RecordFile:
    """An open record file.

    A record that is being written, or whose writer was killed, needs SQLite's files next to it. Where those cannot be used, as in a
    read-only folder, a record without such files is opened as immutable, and a record with them is read from a copy.

    Args:
        path: The file.

    Attributes:
        connection: To the file, or to the copy.

    Raises:
        RecordFileError: It cannot be read, or is not a record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        read_header(path)
        self.connection = _connect(path, "mode=ro")
        try:
            self.rows("select count(*) from run")
        except DamagedRecordError as error:
            self.connection.close()
            if not isinstance(error.__cause__, sqlite3.OperationalError) or "no such table" in str(error):
                raise
            self.connection = self._open_elsewhere()

    def _open_elsewhere(self) -> sqlite3.Connection:
        wal = self._path.with_name(self._path.name + _WAL)
        if not wal.exists() or not wal.stat().st_size:
            return _connect(self._path, "immutable=1")
        self._copy = tempfile.TemporaryDirectory()
        try:
            for source in (self._path, wal):
                shutil.copyfile(source, Path(self._copy.name, source.name))
        except OSError as error:
            self._copy.cleanup()
            raise RecordFileError(self._path, f"cannot be read: {error.strerror or error}") from error
        return _connect(Path(self._copy.name, self._path.name), "mode=rw")

    def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Run a query and return all its rows, releasing the lock.

        Raises:
            DamagedRecordError: The file is truncated or damaged.
        """
        try:
            return self.connection.execute(query, arguments).fetchall()
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            raise DamagedRecordError(self._path, f"is a damaged record: {error}") from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read from a temporary copy inside, so that all reads see the file as it was at the beginning.

        A copy, and not one long transaction: that would keep the writer from its commits, or from finishing the file.

        Raises:
            DamagedRecordError: The file is truncated or damaged.
        """
        live, copy = self.connection, sqlite3.connect("", isolation_level=None, check_same_thread=False)
        try:
            live.backup(copy)
            self.connection = copy
            yield
        except sqlite3.DatabaseError as error:
            raise DamagedRecordError(self._path, f"is a damaged record: {error}") from error
        finally:
            self.connection = live
            copy.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
        if self._copy is not None:
            self._copy.cleanup()


def _connect(path: Path, options: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"file:{quote(str(path))}?{options}", uri=True, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise RecordFileError(path, f"cannot be read: {error}") from error
