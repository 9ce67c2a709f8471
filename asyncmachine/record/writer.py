"""The writer of a record file, by rows of its tables.

While being written, a record is a database in WAL mode, so that another process can follow it and a killed program loses only rows not
yet written. `close` makes it one plain file. On file systems without shared memory SQLite refuses WAL without an error; the file is then
written with a rollback journal, as recorded in `run.journal`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from asyncmachine.record.errors import RecordError, UnwritableRecordError
from asyncmachine.record.format import APPLICATION_ID, TABLES, VERSION
from asyncmachine.record.header import BESIDE, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

_CHECKPOINT_PAGES = 64
_LIMIT = 50_000  # of interned objects of each kind
_VALUES_AT_ONCE: Final = 100
"""Values per statement. Rows of five values take 0.6 of the time with 20 rows per statement; more rows give no further gain."""


to_json: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode
"""Return a value as compact JSON; unsupported objects are converted with `str`."""


def plain_text(text: str) -> str:
    """Return a text that SQLite can store, with lone surrogates escaped."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


class RecordWriter:
    """A record file being written. A context manager that closes the file on exit.

    Args:
        path: The file. An existing record of that name is replaced; any other file is refused.
        run: Facts about the run, by name; see `format`. `id`, `started_unix_ns` and `level` are filled in if absent.

    Raises:
        UnwritableRecordError: The file cannot be created, or its name is taken by another kind of file.
    """

    def __init__(self, path: str | os.PathLike[str], run: Mapping[str, object]) -> None:
        self.path = Path(path)
        _clear(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise UnwritableRecordError(self.path, f"cannot be created: {_reason(error)}") from error
        try:
            self._begin(run)
        except sqlite3.Error as error:
            self._file.close()
            raise UnwritableRecordError(self.path, f"cannot be written: {_reason(error)}") from error
        self._changes: dict[tuple[Any, ...], int] = {}
        self._steps: dict[str, int] = {}
        self._counts = {"schemas": 0, "changes": 0, "steps": 0}
        self.is_closed = False

    def _begin(self, run: Mapping[str, object]) -> None:
        file = self._file
        file.execute(f"pragma application_id = {APPLICATION_ID}")
        file.execute(f"pragma user_version = {VERSION}")
        (journal,) = file.execute("pragma journal_mode = wal").fetchone()
        if journal != "wal":
            file.execute("pragma journal_mode = truncate")
        file.execute("pragma synchronous = off")  # safe against a killed program, though not against a power failure
        file.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        started = time.time_ns()
        facts = {"id": f"{started:x}-{os.getpid():x}", "started_unix_ns": started, "level": "changes", "clock": "wall"}
        facts |= {"attributes": "{}", "dropped": 0, "lost": 0, "failure": "", "is_closed": 0, "journal": journal, **run}
        with self.transaction():
            for statement in TABLES.split(";"):
                file.execute(statement)
            file.executemany("insert into run values (?, ?)", facts.items())
        file.execute("pragma wal_checkpoint(truncate)")  # so that the main file alone is a record

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything inside in one transaction.

        Raises:
            sqlite3.Error: It cannot be written, for example because the disk is full.
        """
        self._file.execute("begin")
        try:
            yield
            self._file.execute("commit")
        except BaseException:
            if self._file.in_transaction:
                self._file.execute("rollback")
            raise

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows into a table.

        Raises:
            sqlite3.Error: They cannot be written.
        """
        width = len(columns)
        size = width * max(1, _VALUES_AT_ONCE // width)
        values = list(chain.from_iterable(rows))
        whole = len(values) - len(values) % size
        for group, start, end in ((size, 0, whole), (width, whole, len(values))):
            if start < end:
                row = f"({', '.join('?' * width)})"
                statement = f"insert into {table} ({', '.join(columns)}) values {', '.join([row] * (group // width))}"
                self._file.executemany(statement, [values[at : at + group] for at in range(start, end, group)])

    def execute(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Run a statement and return all its rows.

        Raises:
            sqlite3.Error: It failed.
        """
        return self._file.execute(statement, arguments).fetchall()

    def update(self, table: str, key: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Set columns of rows; each row holds the values followed by the key.

        Raises:
            sqlite3.Error: They cannot be written.
        """
        assignments = ", ".join(f"{column} = ?" for column in columns)
        self._file.executemany(f"update {table} set {assignments} where {key} = ?", rows)

    def set_run(self, **facts: object) -> None:
        """Set facts about the run.

        Raises:
            sqlite3.Error: They cannot be written.
        """
        self._file.executemany("insert or replace into run values (?, ?)", facts.items())

    def add_schema(self, name: str, states: Mapping[str, Mapping[str, Any]]) -> int:
        """Insert a schema and return its id.

        Args:
            name: Its name.
            states: State -> relations, as returned by `Schema.to_dict`.
        """
        self._counts["schemas"] += 1
        number = self._counts["schemas"]
        self.insert("schemas", ("id", "name", "states"), [(number, plain_text(name), to_json(states))])
        return number

    def change_id(
        self,
        kind: str,
        called: Sequence[str],
        moved: Mapping[str, int],
        *,
        is_auto: bool = False,
        is_check: bool = False,
        accepted: bool = True,
        refused_by: str = "",
        reason: Sequence[tuple[str, str, Sequence[str]]] = (),
    ) -> int:
        """Return the id of a change, inserting it if it is new."""
        content = (
            kind, to_json(called), to_json(moved), int(is_auto), int(is_check), int(accepted), plain_text(refused_by), to_json(reason)
        )  # fmt: skip
        number = self._changes.get(content)
        if number is None:
            if len(self._changes) >= _LIMIT:  # equal changes may then occur twice; readers compare contents
                self._changes.clear()
            self._counts["changes"] += 1
            number = self._changes[content] = self._counts["changes"]
            self.insert("changes", _CHANGE, [(number, *content)])
        return number

    def steps_id(self, text: str) -> int:
        """Return the id of a list of steps, given as JSON, inserting it if it is new."""
        number = self._steps.get(text)
        if number is None:
            if len(self._steps) >= _LIMIT:
                self._steps.clear()
            self._counts["steps"] += 1
            number = self._steps[text] = self._counts["steps"]
            self.insert("steps", ("id", "steps"), [(number, text)])
        return number

    def start_clock(self, machine: int) -> dict[str, int]:
        """Return a machine's initial ticks by state."""
        query = "select s.states, m.start_ticks from machines m join schemas s on s.id = m.schema where m.number = ?"
        ((states, ticks),) = self.execute(query, machine)
        return dict(zip(json.loads(states), json.loads(ticks), strict=False))

    def close(self) -> None:
        """Make the record one plain file.

        Raises:
            UnwritableRecordError: It cannot be finished; the rows written so far remain readable.
        """
        if self.is_closed:
            return
        self.is_closed = True
        try:
            self.set_run(is_closed=1)
            self._file.execute("pragma synchronous = full")
            self._file.execute("pragma wal_checkpoint(truncate)")
            self._file.execute("pragma journal_mode = delete")
        except sqlite3.Error as error:
            raise UnwritableRecordError(self.path, f"cannot be finished: {_reason(error)}") from error
        finally:
            self._file.close()

    def fail(self, failure: str, lost: int) -> None:
        """Close the file after an error, storing it in the record if possible.

        Args:
            failure: Description of the error.
            lost: Rows that could not be written.
        """
        with suppress(sqlite3.Error):
            self.set_run(failure=failure, lost=lost)
        with suppress(UnwritableRecordError):
            self.close()

    def abandon(self) -> None:
        """Close and delete the file, because its contents turned out to be unusable."""
        if not self.is_closed:
            self.is_closed = True
            self._file.close()
        _delete(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_CHANGE = ("id", "kind", "called", "moved", "is_auto", "is_check", "accepted", "refused_by", "reason")


def _clear(path: Path) -> None:
    """Delete an existing record at the path.

    Raises:
        UnwritableRecordError: Another kind of file is there.
    """
    try:
        if path.exists():
            read_header(path)
    except RecordError as error:
        raise UnwritableRecordError(path, "is not a record and will not be replaced") from error
    _delete(path)


def _delete(path: Path) -> None:
    try:
        for name in (path.name, *(path.name + suffix for suffix in BESIDE)):
            path.with_name(name).unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableRecordError(path, f"cannot be replaced: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
